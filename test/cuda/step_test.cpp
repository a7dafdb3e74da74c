// SPDX-License-Identifier: MIT
// Whole training steps on CUDA: the same losses as on the CPU, bit for bit the same each time, and from a captured graph.
#include "on_cuda.hpp"

using namespace on_cuda;

namespace {

struct Net : nn::Module<Net> {
  nn::Conv2d conv{1, 4, 3, nn::Conv2dOptions().padding(1)};
  nn::BatchNorm2d norm{4};
  nn::Linear fc1{4 * 4 * 4, 16}, fc2{16, 10};
  template <class V>
  void visit(V&& v) { v("conv", conv), v("norm", norm), v("fc1", fc1), v("fc2", fc2); }
  template <class X>
  auto forward(const X& x) {
    const auto y = max_pool2d(relu(norm(conv(x))), 2);
    return fc2(relu(fc1(flatten<1>(y))));
  }
};

template <class Optimizer, class Options>
V losses(Device d, Options options, int steps = 4) {
  manual_seed(3);
  Net net;
  const auto x = randn({12, 1, 8, 8});
  const auto y = randint(0, 10, {12});
  net.to(d);
  Optimizer opt(net, options);
  const auto in = x.to(d);
  const auto labels = y.to(d);
  V all;
  for (int i = 0; i < steps; ++i) {
    opt.zero_grad();
    const Tensor<float, 0> loss = cross_entropy(net(in), labels);
    loss.backward();
    opt.step();
    all.push_back(double(loss.item()));
  }
  return all;
}
template <class Optimizer, class Options>
void same_losses(Options options) {
  const V here = losses<Optimizer>(Device::cpu(), options), there = losses<Optimizer>(gpu, options);
  for (std::size_t i = 0; i < here.size(); ++i) REQUIRE(there[i] == Approx(here[i]).epsilon(2e-4));
  REQUIRE(losses<Optimizer>(gpu, options) == there);
}

}  // namespace

TEST_CASE("cuda: a net trains as on the CPU") {
  same_losses<optim::SGD>(optim::SGDOptions(0.1).momentum(0.9));
  same_losses<optim::AdamW>(optim::AdamWOptions().lr(1e-2));
}

TEST_CASE("cuda: a captured step goes on as the steps before it") {
  const auto train = [](bool captured) {
    manual_seed(4);
    Net net;
    net.to(gpu);
    optim::AdamW opt(net, optim::AdamWOptions().lr(1e-2));
    const auto x = randn({12, 1, 8, 8}).to(gpu);
    const auto y = randint(0, 10, {12}).to(gpu);
    const Tensor<float, 0> loss = eval(sum(x) * 0);
    const auto step = [&] {
      opt.zero_grad();
      const Tensor<float, 0> l = cross_entropy(dropout(net(x), 0.1), y);
      l.backward();
      opt.step();
      no_grad([&] { loss.detach().copy_(l.detach()); });
    };
    V all;
    for (int i = 0; i < 2; ++i) step(), all.push_back(double(loss.item()));
    cuda::Graph graph;
    if (captured) graph = cuda::capture(step);
    for (int i = 0; i < 4; ++i) {
      if (captured) graph.replay();
      else step();
      all.push_back(double(loss.item()));
      if (i == 1) opt.set_lr(1e-3);
    }
    return all;
  };
  const V plain = train(false), captured = train(true);
  REQUIRE(captured == plain);
  REQUIRE(plain.back() < plain.front());
}
