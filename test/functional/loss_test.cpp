// SPDX-License-Identifier: MIT
// Pointwise losses against PyTorch 1.13's values, and their gradients against finite differences.
#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/functional/loss.hpp"
#include "sinter/graph/explain.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;
using Catch::Contains;

static const auto x = tensor<double>({{0.3, -1.2, 2.0}, {0.7, 0.1, -0.4}});
static const auto target = tensor<double>({{0.1, 0.9, 0.5}, {1.0, 0.0, 0.25}});
static const auto w = tensor<double>({0.5, 2.0, 1.5});

template <class E>
void check(const E& e, double expected) {
  CHECK(eval(e).item() == Approx(expected).epsilon(1e-12));
}

TEST_CASE("losses of a difference") {
  check(mse_loss(x, target), 1.20375);
  check(mse_loss(x, target, reduction::sum), 7.2225);
  CHECK(allclose(l1_loss(x, target, reduction::none), tensor<double>({{0.2, 2.1, 1.5}, {0.3, 0.1, 0.65}})));
  check(smooth_l1_loss(x, target, reduction::sum, 0.5), 3.64);
  check(smooth_l1_loss(x, target, reduction::mean, 0), 0.808333333333333333);
  check(huber_loss(x, target, reduction::mean, 0.5), 0.303333333333333333);
  CHECK(gradcheck([](auto a, auto b) { return mse_loss(a, b); }, x, target));
  CHECK(gradcheck([](auto a, auto b) { return l1_loss(a, b, reduction::none); }, x, target));
  CHECK(gradcheck([](auto a, auto b) { return smooth_l1_loss(a, b, reduction::mean, 0.5); }, x, target));
  CHECK(gradcheck([](auto a, auto b) { return huber_loss(a, b, reduction::sum, 0.5); }, x, target));
  static_assert(fused_kernels<decltype(mse_loss(x, target))> == 1);
}

TEST_CASE("binary cross entropy") {
  const auto p = eval(sigmoid(x));
  check(binary_cross_entropy(p, target), 0.842527280701419);
  check(binary_cross_entropy(p, target, w, reduction::sum), 7.39904379666458);
  check(binary_cross_entropy_with_logits(x, target), 0.842527280701419);
  const auto o = BCEWithLogitsOptions<>().weight(w).pos_weight(w);
  check(binary_cross_entropy_with_logits(x, target, o, reduction::sum), 10.1370852085061);
  CHECK(gradcheck([](auto a, auto b) { return binary_cross_entropy(a, b); }, p, target));
  CHECK(gradcheck([](auto a, auto b) { return binary_cross_entropy_with_logits(a, b, reduction::none); }, x, target));
  CHECK(gradcheck([](auto a, auto b, auto c) { return binary_cross_entropy_with_logits(a, b, BCEWithLogitsOptions<>().pos_weight(c)); }, x, target, w));
}

TEST_CASE("binary cross entropy stays finite") {
  CHECK(equal(binary_cross_entropy(tensor({0., 1., 0., 1.}), tensor({0., 1., 1., 0.}), reduction::none), tensor({0., 0., 100., 100.})));
  auto logits = tensor({-1e4, -90., 90., 1e4});
  logits.requires_grad_();
  const Tensor<float, 1> l = binary_cross_entropy_with_logits(logits, tensor({1., 0., 1., 0.}), reduction::none);
  CHECK(allclose(l, tensor({1e4, 0., 0., 1e4})));
  l.backward(ones({4}));
  CHECK(allclose(logits.grad(), tensor({-1., 0., 0., 1.})));
}

TEST_CASE("divergences and likelihoods") {
  const auto p = eval(sigmoid(x));
  const auto log_p = eval(x - log(sum(exp(x), 1, keepdim))), q = eval(exp(target) / sum(exp(target), 1, keepdim));
  check(kl_div(log_p, q), 0.176089511753979);
  check(kl_div(log_p, q, reduction::batchmean), 0.528268535261937);
  check(kl_div_log_target(log_p, log(q), reduction::sum), 1.05653707052387);
  CHECK(equal(kl_div(tensor({-1.}), tensor({0.}), reduction::none), tensor({0.})));
  check(poisson_nll_loss(x, target * 4), 1.77155879833344);
  check(poisson_nll_loss(p, target * 4, PoissonNLLOptions().log_input(false).full(true), reduction::sum), 17.9302052335292);
  check(gaussian_nll_loss(x, target, p, true), 2.4837073704917);
  const auto one = p.narrow(1, 0, 1);
  check(gaussian_nll_loss(x, target, one, false, 1e-6, reduction::sum), 4.78641200986828);
  CHECK(gradcheck([](auto a, auto b) { return kl_div(a, b); }, log_p, q));
  CHECK(gradcheck([](auto a, auto b) { return kl_div_log_target(a, b, reduction::batchmean); }, log_p, eval(log(q))));
  CHECK(gradcheck([](auto a, auto b) { return poisson_nll_loss(a, b, PoissonNLLOptions().full(true)); }, x, eval(target * 4.1)));
  CHECK(gradcheck([](auto a, auto b) { return poisson_nll_loss(a, b, PoissonNLLOptions().log_input(false)); }, p, target));
  CHECK(gradcheck([](auto a, auto b, auto v) { return gaussian_nll_loss(a, b, v); }, x, target, p));
}

TEST_CASE("losses: shapes that do not fit") {
  CHECK_THROWS_WITH(mse_loss(zeros({2, 12}), zeros({2, 16})), Contains("mse_loss") && Contains("12 against 16"));
  CHECK_THROWS_WITH(l1_loss(zeros({12}), zeros({16})), Contains("12 against 16"));
  CHECK_THROWS_WITH(binary_cross_entropy(zeros({12}), zeros({16})), Contains("12 against 16"));
  CHECK_THROWS_WITH(binary_cross_entropy_with_logits(zeros({2, 12}), zeros({2, 16})), Contains("12 against 16"));
  CHECK_THROWS_WITH(kl_div(zeros({2, 12}), zeros({2, 16})), Contains("12 against 16"));
  CHECK_THROWS_AS(huber_loss(x, target, reduction::mean, 0), ValueError);
}
