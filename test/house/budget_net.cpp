// SPDX-License-Identifier: MIT
// The one-page program whose compilation has a budget: a two-layer net and a training step.
#include <sinter/sinter.hpp>

#include <iostream>

using namespace sinter;

struct Net : nn::Module<Net> {
  nn::Linear fc1{784, 256}, fc2{256, 10};
  template <class V>
  void visit(V&& v) {
    v("fc1", fc1);
    v("fc2", fc2);
  }
  template <class X>
  auto forward(const X& x) const { return fc2(relu(fc1(x))); }
};

int main() {
  manual_seed(0);
  Net net;
  optim::AdamW opt(net, optim::AdamWOptions().lr(1e-3));
  Tensor<float, 2> x = randn({32, 784});
  Tensor<std::int64_t, 1> y = zeros<std::int64_t>({32});
  for (int step = 0; step < 10; ++step) {
    opt.zero_grad();
    Tensor<float, 0> loss = cross_entropy(net(x), y);
    loss.backward();
    opt.step();
    std::cout << loss.item() << '\n';
  }
}
