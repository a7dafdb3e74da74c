// SPDX-License-Identifier: MIT
// The one-page program whose compilation has a budget: tensors and gradients, no model.
#include <sinter/sinter.hpp>

#include <iostream>

using namespace sinter;

int main() {
  manual_seed(0);
  Tensor<float, 2> x = randn({32, 16});
  Tensor<float, 1> w = randn({16});
  w.requires_grad_();
  for (int step = 0; step < 10; ++step) {
    Tensor<float, 0> loss = mean(square(tanh(x * w) - 1.0f));
    loss.backward();
    std::cout << loss.item() << '\n' << w.grad() << '\n';
  }
}
