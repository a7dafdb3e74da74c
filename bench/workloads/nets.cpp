// SPDX-License-Identifier: MIT
// Training steps of a net of two layers and of a small convolutional one.
#include <sinter/sinter.hpp>

#include "../bench.hpp"

namespace bench {

struct Mlp64 : nn::Module<Mlp64> {
  nn::Linear fc1{784, 256}, fc2{256, 10};
  template <class V>
  void visit(V&& v) {
    v("fc1", fc1), v("fc2", fc2);
  }
  auto forward(const Tensor<float, 2>& x) const { return fc2(relu(fc1(x))); }
};

struct Cnn : nn::Module<Cnn> {
  nn::Conv2d conv1{1, 32, 3, Conv2dOptions().padding(1)}, conv2{32, 64, 3, Conv2dOptions().padding(1)};
  nn::Linear fc1{3136, 128}, fc2{128, 10};
  template <class V>
  void visit(V&& v) {
    v("conv1", conv1), v("conv2", conv2), v("fc1", fc1), v("fc2", fc2);
  }
  auto forward(const Tensor<float, 4>& x) const {
    const auto a = max_pool2d(relu(conv1(x)), 2);
    const auto b = max_pool2d(relu(conv2(a)), 2);
    return fc2(relu(fc1(flatten<1>(b))));
  }
};

template <class Net, class X>
void classify(Run& run, const X& x) {
  Net net;
  optim::Adam opt(net);
  const Tensor<std::int64_t, 1> y = labels("y", {64}, 10);
  run.train(net, [&] {
    opt.zero_grad();
    Tensor<float, 0> loss = cross_entropy(net(x), y);
    loss.backward();
    opt.step();
    return loss;
  });
}

void add_nets(Workloads& to) {
  to.push_back({"mlp_step", [](Run& run) { classify<Mlp64>(run, input("x", {64, 784})); }, ""});
  to.push_back({"cnn_step", [](Run& run) { classify<Cnn>(run, input("x", {64, 1, 28, 28})); }, ""});
}

}  // namespace bench
