// SPDX-License-Identifier: MIT
// Chains of elementwise operations, forward and backward.
#include <sinter/sinter.hpp>

#include "../bench.hpp"

namespace bench {

void chain_forward(Run& run, std::int64_t n) {
  const Tensor<float, 1> x = input("x", {n});
  const auto call = [&]() -> Tensor<float, 1> { return tanh(x * 1.5f + 0.5f) * x; };
  run.time(call);
  run.check(call());
}

void chain_gradients(Run& run) {
  Tensor<float, 2> x = input("x", {4096, 1024}), g = input("g", {4096, 1024});
  Tensor<float, 1> a = input("a", {1024}), b = input("b", {1024}), c = input("c", {1024});
  x.requires_grad_(), a.requires_grad_(), b.requires_grad_(), c.requires_grad_();
  const auto call = [&] {
    x.set_grad({}), a.set_grad({}), b.set_grad({}), c.set_grad({});
    Tensor y = gelu_tanh(x * a + b) * c;
    y.backward(g);
    return y;
  };
  run.time(call);
  run.check(call(), x.grad(), a.grad(), b.grad(), c.grad());
}

void add_chains(Workloads& to) {
  to.push_back({"chain_fwd_16m", [](Run& run) { chain_forward(run, 1 << 24); }, ""});
  to.push_back({"chain_fwd_16k", [](Run& run) { chain_forward(run, 1 << 14); }, ""});
  to.push_back({"chain_grad_4m", chain_gradients, ""});
}

}  // namespace bench
