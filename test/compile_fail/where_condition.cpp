// expect: sinter: where() takes a condition of dtype bool
#include "sinter/sinter.hpp"

using namespace sinter;

Tensor<float, 1> f(const Tensor<float, 1>& x) { return where(x, x, x); }
