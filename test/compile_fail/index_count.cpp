// expect: sinter: more indices than the tensor has dimensions
#include "sinter/sinter.hpp"

using namespace sinter;

auto f(const Tensor<float, 1>& x) { return x(all, all); }
