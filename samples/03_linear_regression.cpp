// SPDX-License-Identifier: MIT
// A first model: a line through noisy points, fitted by an optimizer.
#include <cstdio>
#include <sinter/sinter.hpp>

using namespace sinter;

int main() {
  manual_seed(0);
  Tensor<float, 1> x = rand({200}) * 4 - 2;
  Tensor<float, 1> y = 3 * x - 0.5 + 0.1 * randn({200});  // the truth, and noise

  Tensor<float, 0> slope = zeros(Shape<0>{}), offset = zeros(Shape<0>{});
  slope.requires_grad_();
  offset.requires_grad_();
  optim::SGD opt({slope, offset}, optim::SGDOptions(0.1).momentum(0.9));

  for (int step = 0; step <= 100; ++step) {
    opt.zero_grad();
    Tensor<float, 0> loss = mean(square(slope * x + offset - y));
    loss.backward();
    opt.step();
    if (step % 20 == 0)
      std::printf("step %3d  loss %8.5f  y = %.3f x %+.3f\n", step, loss.item(), slope.item(), offset.item());
  }
}
