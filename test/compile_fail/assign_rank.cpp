// expect: sinter: the expression has another rank than the tensor
#include "sinter/sinter.hpp"

using namespace sinter;

Tensor<float, 1> f(const Tensor<float, 2>& x) { return x * 2; }
