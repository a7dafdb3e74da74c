// SPDX-License-Identifier: MIT
#include "sinter/functional/attention_weights.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/functional/attention.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

TEST_CASE("attention: a mask of numbers that wants a gradient gets one; the weights can be had") {
  const auto q = randn<double>({2, 3, 4}), k = randn<double>({2, 5, 4}), v = randn<double>({2, 5, 2}), m = randn<double>({2, 1, 5});
  const auto o = SDPAOptions().is_causal(true).scale(0.4);
  CHECK(gradcheck([&](auto mask, auto a) { return scaled_dot_product_attention(a, k, v, mask, o); }, m, q));
  CHECK(allclose(matmul(attention_weights(q, k, m, o), v), scaled_dot_product_attention(q, k, v, m, o), 1e-12, 1e-12));
  const Tensor<double, 2> hidden = full<double>({3, 5}, -INFINITY);
  CHECK(equal(attention_weights(q, k, hidden), zeros<double>({2, 3, 5})));
}

TEST_CASE("multi_head_attention is attention with the heads side by side") {
  const std::int64_t N = 2, L = 9, H = 3, E = 4;
  const Tensor<bool, 4> mask = rand({N, 1, 1, L}) < 0.8;
  auto x = randn<double>({N, L, 3 * H * E}).requires_grad_(), x2 = x.detach().clone().requires_grad_(), x3 = x.detach().clone().requires_grad_();
  const auto up = randn<double>({N, L, H * E});
  const auto o = SDPAOptions().is_causal(true);
  const auto fused = multi_head_attention(x, H, mask, o);
  fused.backward(up);
  const auto part = [&](const auto& t, int i) { return Tensor<double, 3>(t.narrow(2, i * H * E, H * E)); };
  const auto joined = multi_head_attention(part(x2, 0), part(x2, 1), part(x2, 2), H, mask, o);
  joined.backward(up);
  const auto split = [&](int i) { return Tensor<double, 4>(part(x3, i).reshape({N, L, H, E}).transpose(1, 2)); };
  const auto apart = scaled_dot_product_attention(split(0), split(1), split(2), mask, o);
  const Tensor<double, 3> y = apart.transpose(1, 2).reshape({N, L, H * E});
  y.backward(up);
  CHECK(equal(fused, y));
  CHECK(equal(joined, y));
  CHECK(allclose(x.grad(), x3.grad(), 1e-12, 1e-12));
  CHECK(allclose(x2.grad(), x3.grad(), 1e-12, 1e-12));
  CHECK(gradcheck([](auto a, auto b, auto c) { return multi_head_attention(a, b, c, 2); }, randn<double>({2, 3, 4}), randn<double>({2, 5, 4}),
                  randn<double>({2, 5, 6})));
}
