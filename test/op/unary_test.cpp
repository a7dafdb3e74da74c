// SPDX-License-Identifier: MIT
#include "sinter/op/unary.hpp"

#include "op/check.hpp"

namespace op = sinter::op;

TEST_CASE("every op of one argument: value, slope, lanes, special values") { all_ops::unary(check::Unary{}); }

TEST_CASE("subgradients of one argument are PyTorch's") {
  CHECK(op::Abs::dx(0.0f) == 0);
  CHECK(op::Abs::dx(-0.0) == 0);
  CHECK(std::isinf(op::Sqrt::dy(0.0f)));
  CHECK(op::Sign::f(std::nan("")) == 0);
  CHECK(op::Round::f(2.5f) == 2);
  CHECK(op::Round::f(-3.5) == -4);
}

TEST_CASE("integers and bools keep their type where the mathematics lets them") {
  CHECK(op::Abs::f(std::int64_t(-3)) == 3);
  CHECK(op::Sign::f(std::uint8_t(200)) == 1);
  CHECK(op::Floor::f(7) == 7);
  CHECK(op::Square::f(std::int32_t(-5)) == 25);
  CHECK_FALSE(op::IsInf::f(std::int64_t(5)));
  using L = check::Block<std::int32_t>;
  CHECK(op::Neg::f(L(4))[1] == -4);
  CHECK(op::Abs::f(L(-4))[1] == 4);
  CHECK(op::Relu::f(L(-4))[1] == 0);
}

TEST_CASE("questions about a number") {
  using L = check::Block<float>;
  for (float x : check::specials<float>()) {
    INFO(x);
    CHECK(op::IsNan::f(x) == std::isnan(x));
    CHECK(op::IsInf::f(x) == std::isinf(x));
    CHECK(op::IsFinite::f(x) == std::isfinite(x));
    CHECK(plain(op::IsNan::f(L(x)))[0] == std::isnan(x));
    CHECK(plain(op::IsInf::f(L(x)))[0] == std::isinf(x));
    CHECK(plain(op::IsFinite::f(L(x)))[0] == std::isfinite(x));
  }
}

TEST_CASE("a cast has slope 1 between floating types, and none else") {
  using sinter::plan::Slope;
  CHECK(sinter::plan::dx_of<op::Cast<double>, float>(0) == Slope::constant);
  CHECK(sinter::plan::dx_of<op::Cast<std::int32_t>, float>(0) == Slope::none);
  CHECK(op::Cast<bool>::f(0.5f));
  CHECK(op::Cast<bool>::f(std::nan("")));
  CHECK_FALSE(op::Cast<bool>::f(-0.0));
  CHECK(op::Cast<std::int64_t>::f(-2.75) == -2);
  CHECK(op::Cast<bool>::f(check::Block<double>(0.5))[0]);
}
