// expect: sinter: an in-place operation takes a right side of at most the tensor's rank
#include "sinter/sinter.hpp"

using namespace sinter;

void f(Tensor<float, 1>& x, const Tensor<float, 2>& y) { x += y; }
