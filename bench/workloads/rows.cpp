// SPDX-License-Identifier: MIT
// Operations on rows, forward and backward: softmax, layer norm, cross entropy.
#include <sinter/sinter.hpp>

#include "../bench.hpp"

namespace bench {

void softmax_gradient(Run& run) {
  Tensor<float, 2> x = input("x", {4096, 1024}), g = input("g", {4096, 1024});
  x.requires_grad_();
  const auto call = [&] {
    x.set_grad({});
    Tensor y = softmax(x, 1);
    y.backward(g);
    return y;
  };
  run.time(call);
  run.check(call(), x.grad());
}

void layer_norm_gradient(Run& run) {
  Tensor<float, 2> x = input("x", {4096, 1024}), g = input("g", {4096, 1024});
  Tensor<float, 1> w = input("w", {1024}), b = input("b", {1024});
  x.requires_grad_(), w.requires_grad_(), b.requires_grad_();
  const auto call = [&] {
    x.set_grad({}), w.set_grad({}), b.set_grad({});
    Tensor y = layer_norm(x, {1024}, w, b);
    y.backward(g);
    return y;
  };
  run.time(call);
  run.check(call(), x.grad(), w.grad(), b.grad());
}

void cross_entropy_gradient(Run& run) {
  Tensor<float, 2> x = input("x", {1024, 8192});
  const Tensor<std::int64_t, 1> y = labels("y", {1024}, 8192);
  x.requires_grad_();
  const auto call = [&] {
    x.set_grad({});
    Tensor<float, 0> loss = cross_entropy(x, y);
    loss.backward();
    return loss;
  };
  run.time(call);
  run.check(call(), x.grad());
}

void add_rows(Workloads& to) {
  to.push_back({"softmax_grad_4m", softmax_gradient, ""});
  to.push_back({"layer_norm_grad_4m", layer_norm_gradient, ""});
  to.push_back({"cross_entropy_grad", cross_entropy_gradient, ""});
}

}  // namespace bench
