// SPDX-License-Identifier: MIT
// The first of two translation units that share tensors: it makes them, the second computes with them and records a graph,
// and the gradient is taken here. Both also evaluate the same expression, each with the code of its own compiler.
#include <sinter/sinter.hpp>

#include <cstdio>

sinter::Tensor<float, 1> softened(const sinter::Tensor<float, 1>& x);
sinter::Tensor<float, 0> loss_of(const sinter::Tensor<float, 1>& x);

int main() {
  using namespace sinter;
  const std::int64_t n = 1003;  // whole registers and a rest at every width
  Tensor<float, 1> x = full({n}, 0.25);
  x.requires_grad_();
  Tensor<float, 1> theirs = softened(x);
  Tensor<float, 1> ours = tanh(x * 2.0f) + 1.0f;
  Tensor<float, 0> difference = sum(abs(theirs - ours));
  if (!(difference.item() < 1e-3f)) return std::puts("the two objects compute differently"), 1;
  Tensor<float, 0> loss = loss_of(x);
  loss.backward();
  Tensor<float, 0> total = sum(x.grad());  // d(sum x^2)/dx = 2x
  if (!(std::abs(total.item() - 0.5f * float(n)) < 1e-2f)) return std::puts("the gradient is wrong"), 1;
  return 0;
}
