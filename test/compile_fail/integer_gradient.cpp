// expect: sinter: only tensors of floating point dtype can require gradients
#include "sinter/sinter.hpp"

using namespace sinter;

void f(Tensor<std::int64_t, 1>& x) { x.requires_grad_(); }
