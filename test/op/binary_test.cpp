// SPDX-License-Identifier: MIT
#include "sinter/op/binary.hpp"

#include "op/check.hpp"

namespace op = sinter::op;

TEST_CASE("every op of two arguments: value, slopes, lanes, special values") { all_ops::binary(check::Binary{}); }

struct Compare {
  template <class Op, class F>
  void operator()(const Op& f, F exact) const {
    using L = check::Block<float>;
    for (float a : check::specials<float>())
      for (float b : check::specials<float>()) {
        INFO(Op::name << "(" << a << ", " << b << ")");
        if (f.f(a, b) != exact(a, b)) CHECK(f.f(a, b) == exact(a, b));
        if (plain(f.f(L(a), L(b)))[0] != exact(a, b)) CHECK(plain(f.f(L(a), L(b)))[0] == exact(a, b));
      }
    CHECK(plain(f.f(check::Block<std::int64_t>(-3), check::Block<std::int64_t>(4)))[0] == exact(-3, 4));
    CHECK(plain(f.f(check::Block<std::uint8_t>(200), check::Block<std::uint8_t>(4)))[0] == exact(200, 4));
  }
};
TEST_CASE("comparisons answer as the language does") { all_ops::comparisons(Compare{}); }

template <class T>
void integers() {
  using L = check::Block<T>;
  using Limits = std::numeric_limits<T>;
  std::vector<T> v = {0, 1, 2, 3, 7, 100, Limits::max()};
  if (Limits::is_signed) v.insert(v.end(), {T(-1), T(-2), T(-3), T(-7), T(-100), Limits::min()});
  for (T a : v)
    for (T b : v) {
      INFO(+a << ", " << +b);
      T trunc = 0, floor = 0, rest = 0, remainder = 0;
      if (b == T(-1) && Limits::is_signed) {
        trunc = floor = T(0 - std::make_unsigned_t<T>(a));
      } else if (b != 0) {
        trunc = T(a / b), rest = T(a % b);
        const bool other = rest != 0 && (rest < 0) != (b < 0);
        floor = T(trunc - other), remainder = T(other ? rest + b : rest);
      }
      CHECK(op::DivTrunc::f(a, b) == trunc);
      CHECK(op::DivTrunc::f(L(a), L(b))[0] == trunc);
      CHECK(op::DivFloor::f(a, b) == floor);
      CHECK(op::DivFloor::f(L(a), L(b))[0] == floor);
      if (b != 0) {
        CHECK(op::Fmod::f(a, b) == rest);
        CHECK(op::Fmod::f(L(a), L(b))[0] == rest);
        CHECK(op::Remainder::f(a, b) == remainder);
        CHECK(op::Remainder::f(L(a), L(b))[0] == remainder);
      }
    }
  CHECK(op::Fmod::f(T(5), T(0)) == 0);
  CHECK(op::Remainder::f(L(T(5)), L(T(0)))[0] == 0);
  CHECK(op::Pow::f(T(3), T(4)) == 81);
  CHECK(op::Pow::f(L(T(3)), L(T(4)))[0] == 81);
}
TEST_CASE("integers divide without traps") {
  integers<std::int64_t>();
  integers<std::int32_t>();
  integers<std::uint8_t>();
  CHECK(op::Pow::f(-1, -3) == -1);
  CHECK(op::Pow::f(2, -3) == 0);
}

TEST_CASE("slopes of two arguments where PyTorch decides") {
  CHECK(op::Maximum::da(2.0f, 2.0f) == 0.5f);
  CHECK(op::Minimum::db(2.0, 2.0) == 0.5);
  CHECK(op::Pow::da(0.0f, 0.0f) == 0);
  CHECK(op::Pow::db(0.0f, 0.0f) == 0);
  CHECK(op::Pow::db(0.0, 2.0) == 0);
  CHECK(op::Pow::da(0.0, 1.0) == 1);
  CHECK(op::Pow::da(0.0, 2.0) == 0);
  CHECK(std::isnan(op::Pow::db(-2.0, 2.0)));
  CHECK(op::Atan2::da(1e30f, 1e30f) == Approx(5e-31));
  CHECK(op::Atan2::db(1e-30f, 1e-30f) == Approx(-5e29));
}

TEST_CASE("bools add as or, multiply as and") {
  using L = check::Block<bool>;
  for (bool a : {false, true})
    for (bool b : {false, true}) {
      CHECK(op::Add::f(a, b) == (a || b));
      CHECK(op::Add::f(L(a), L(b))[0] == (a || b));
      CHECK(op::Mul::f(L(a), L(b))[0] == (a && b));
      CHECK(op::LogicalAnd::f(a, b) == (a && b));
      CHECK(op::LogicalAnd::f(L(a), L(b))[0] == (a && b));
      CHECK(op::LogicalOr::f(L(a), L(b))[0] == (a || b));
      CHECK(plain(op::LogicalXor::f(L(a), L(b)))[0] == (a != b));
      CHECK(plain(op::LogicalNot::f(L(a)))[0] == !a);
    }
}
