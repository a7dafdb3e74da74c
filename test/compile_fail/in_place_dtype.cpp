// expect: sinter: the result of an in-place operation does not fit the tensor's dtype
#include "sinter/sinter.hpp"

using namespace sinter;

void f(Tensor<std::int64_t, 1>& x) { x /= 2; }
