// SPDX-License-Identifier: MIT
// Work so small that what counts is the cost of a call.
#include <sinter/sinter.hpp>

#include "../bench.hpp"

namespace bench {

void small_add(Run& run) {
  const Tensor<float, 1> a = input("a", {16}), b = input("b", {16});
  const auto call = [&]() -> Tensor<float, 1> { return a + b; };
  run.time(call);
  run.check(call());
}

struct Mlp : nn::Module<Mlp> {
  nn::Linear fc1{784, 256}, fc2{256, 10};
  template <class V>
  void visit(V&& v) {
    v("fc1", fc1), v("fc2", fc2);
  }
  auto forward(const Tensor<float, 2>& x) const { return fc2(relu(fc1(x))); }
};

void mlp_inference(Run& run) {
  Mlp net;
  prepare(net);
  const Tensor<float, 2> x = input("x", {1, 784});
  NoGradGuard no_grad;
  const auto call = [&]() -> Tensor<float, 2> { return net(x); };
  run.time(call);
  run.check(call());
}

struct TinyMlp : nn::Module<TinyMlp> {
  nn::Linear fc1{32, 32}, fc2{32, 1};
  template <class V>
  void visit(V&& v) {
    v("fc1", fc1), v("fc2", fc2);
  }
  auto forward(const Tensor<float, 2>& x) const { return fc2(tanh(fc1(x))); }
};

void tiny_step(Run& run) {
  TinyMlp net;
  optim::SGD opt(net, optim::SGDOptions(0.01));
  const Tensor<float, 2> x = input("x", {32, 32}), y = input("y", {32, 1});
  run.train(net, [&] {
    opt.zero_grad();
    Tensor<float, 0> loss = mse_loss(net(x), y);
    loss.backward();
    opt.step();
    return loss;
  });
}

void add_small(Workloads& to) {
  to.push_back({"small_add_16", small_add, ""});
  to.push_back({"mlp_infer_b1", mlp_inference, ""});
  to.push_back({"mlp_tiny_step", tiny_step, ""});
}

}  // namespace bench
