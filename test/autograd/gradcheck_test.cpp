// SPDX-License-Identifier: MIT
// gradcheck accepts right gradients and names what is wrong in others.
#include "sinter/autograd/gradcheck.hpp"

#include <catch2/catch.hpp>

#include "sinter/tensor/create.hpp"

using namespace sinter;
using Catch::Matchers::Contains;

TEST_CASE("gradcheck accepts expressions of several inputs and ranks") {
  manual_seed(1);
  const auto x = randn<double>({3, 2});
  const auto a = randn<double>({2});
  const auto b = tensor<double>(0.5);
  REQUIRE(gradcheck([](auto p) { return p * p; }, x));
  REQUIRE(gradcheck([](auto p, auto q, auto r) { return sum(tanh(p * q + r), 0); }, x, a, b));
  REQUIRE(gradcheck([](auto p, auto q) { return mean(transpose(p, 0, 1), 1) * q; }, x, a, GradcheckOptions().eps(1e-5).atol(1e-7)));
}

TEST_CASE("gradcheck passes other dtypes through and skips what requires no gradient") {
  manual_seed(2);
  const auto mask = tensor({true, false, true});
  auto x = randn<double>({3}), y = randn<double>({3});
  REQUIRE(gradcheck([](auto m, auto p) { return where(m, p * 3, 0); }, mask, x));
  // abs at 0 has no two-sided derivative, so checking y fails; it is not checked when only x requires a gradient
  y.zero_();
  x.requires_grad_();
  const auto half = autograd::function("half_wrong", [](auto p, auto q) { return eval(p * q); },
                                       [](auto g, auto, auto, auto q) { return std::tuple(eval(g * q), eval(g * 0 + 7)); });
  REQUIRE(gradcheck([&](auto p, auto q) { return half(p, q); }, x, y));
  y.requires_grad_();
  REQUIRE_THROWS_AS(gradcheck([&](auto p, auto q) { return half(p, q); }, x, y), GradError);
}

TEST_CASE("gradcheck says which input, which elements and both values") {
  const auto x = tensor<double>({{1., 2.}, {3., 4.}});
  const auto wrong = autograd::function("wrong", [](auto p) { return eval(p * p); },
                                        [](auto g, auto, auto p) { return std::tuple(eval(g * p * 2 + where(p == 3.0, 0.25, 0.0) * g)); });
  REQUIRE_THROWS_WITH(gradcheck([&](auto, auto p) { return wrong(p); }, tensor<double>(1.), x),
                      Contains("element [1, 0] of the result") && Contains("element [1, 0] of input 1") && Contains("6.25") && Contains("6"));
  // a gradient that is not there counts as zero
  REQUIRE_THROWS_WITH(gradcheck([](auto p) { return p.detach() * 2; }, x), Contains("is 0 by backward"));
}

TEST_CASE("gradcheck leaves the inputs and their gradients as they were, and takes empty ones") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  gradcheck([](auto p) { return sum(p * p); }, x);
  REQUIRE_FALSE(x.grad().defined());
  REQUIRE(x.data()[0] == 1.);
  REQUIRE(x.version() == 0);
  REQUIRE(gradcheck([](auto p) { return p * 2; }, zeros<double>({0, 3})));
}
