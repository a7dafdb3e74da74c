// expect: sinter: backward() without a gradient takes a tensor of rank 0; reduce it or pass a gradient
#include "sinter/sinter.hpp"

using namespace sinter;

void f(const Tensor<float, 1>& x) { x.backward(); }
