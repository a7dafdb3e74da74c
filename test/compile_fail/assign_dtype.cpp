// expect: sinter: the expression has another dtype than the tensor; convert it with to<T>(expression)
#include "sinter/sinter.hpp"

using namespace sinter;

Tensor<double, 1> f(const Tensor<float, 1>& x) { return x * 2; }
