// SPDX-License-Identifier: MIT
#include "sinter/op/activation.hpp"

#include "op/check.hpp"

namespace op = sinter::op;

TEST_CASE("every activation: value, slope, lanes, special values") { all_ops::activations(check::Unary{}); }

TEST_CASE("activations at their kinks have PyTorch's subgradients") {
  CHECK(op::Relu::dy(0.0f) == 0);
  CHECK(op::Clamp{-1, 1}.dx(1.0f) == 1);
  CHECK(op::Clamp{-1, 1}.dx(-1.0) == 1);
  CHECK(op::Hardtanh{}.dx(1.0f) == 0);
  CHECK(op::Hardtanh{}.dx(-1.0f) == 0);
  CHECK(op::Relu6::dx(6.0) == 0);
  CHECK(op::Relu6::dx(0.0) == 0);
  CHECK(op::LeakyRelu{0.2}.dx(0.0) == 0.2);
  CHECK(op::HardSigmoid::dx(3.0f) == 0);
  CHECK(op::HardSwish::dx(3.0f) == 1);
}

TEST_CASE("clamp with an absent bound, and on integers") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  CHECK(op::Clamp{-inf, 2}.f(std::numeric_limits<std::int64_t>::min()) == std::numeric_limits<std::int64_t>::min());
  CHECK(op::Clamp{0, inf}.f(std::int64_t(-5)) == 0);
  CHECK(op::Clamp{-inf, 1e300}.f(std::int32_t(7)) == 7);
  CHECK(op::Clamp{3, 1}.f(2.0f) == 1);
  CHECK(op::Clamp{-inf, 2}.f(check::Block<std::int64_t>(9))[0] == 2);
}

// Neither inf * 0 nor a sign that is lost where x is large.
struct Stable {
  template <class Op, class F>
  void operator()(const Op& f, all_ops::Range, F) const {
    for (double x : {40.0, 95.0, 500.0, 1e5, 1e18, 3e38, -40.0, -95.0, -500.0, -1e5, -1e18, -3e38}) {
      INFO(Op::name << " at " << x);
      using L = check::Block<float>;
      CHECK(std::isfinite(L(f.f(L(float(x))))[0]));
      const float s = check::slope(f, L(float(x)))[0];
      CHECK((s >= -1e-12f && s <= 1.0508f));
      CHECK(std::isfinite(check::slope(f, x)));
    }
  }
};
TEST_CASE("values and slopes of activations stay finite at large x") { all_ops::activations(Stable{}); }
