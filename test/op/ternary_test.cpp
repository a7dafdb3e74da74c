// SPDX-License-Identifier: MIT
#include "sinter/op/ternary.hpp"

#include "op/check.hpp"

namespace op = sinter::op;

struct Ternary {
  template <class T, class Op, class F>
  static void as(const Op& f, check::Range ra, check::Range rb, check::Range rc, F exact) {
    using L = check::Block<T>;
    const auto a = check::samples<T>(ra, 1), b = check::samples<T>(rb, 2), c = check::samples<T>(rc, 3);
    for (std::size_t i = 0; i < a.size(); ++i) {
      INFO(Op::name << "(" << a[i] << ", " << b[i] << ", " << c[i] << ") of " << sizeof(T) << " bytes");
      const T want = T(exact(a[i], b[i], c[i]));
      CHECK(check::near(f.f(a[i], b[i], c[i]), want, check::tolerance<T>));
      CHECK(check::near(f.f(L(a[i]), L(b[i]), L(c[i]))[0], want, check::tolerance<T>));
    }
  }
  template <class Op, class F>
  void operator()(const Op& f, check::Range ra, check::Range rb, check::Range rc, F exact) const {
    as<float>(f, ra, rb, rc, exact);
    as<double>(f, ra, rb, rc, exact);
    const auto a = check::samples<double>(ra, 4), b = check::samples<double>(rb, 5), c = check::samples<double>(rc, 6);
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double x = a[i], y = b[i], z = c[i];
      INFO("slopes of " << Op::name << " at " << x << ", " << y << ", " << z);
      using check::R;
      CHECK(check::near(f.da(x, y, z), check::quotient([&](R t) { return exact(t, y, z); }, x), check::slope_tolerance));
      CHECK(check::near(f.db(x, y, z), check::quotient([&](R t) { return exact(x, t, z); }, y), check::slope_tolerance));
      CHECK(check::near(f.dc(x, y, z), check::quotient([&](R t) { return exact(x, y, t); }, z), check::slope_tolerance));
    }
  }
};
TEST_CASE("every op of three arguments: value, slopes, lanes") { all_ops::ternary(Ternary{}); }

TEST_CASE("lerp is exact at both ends") {
  CHECK(op::Lerp::f(0.1f, 0.7f, 0.0f) == 0.1f);
  CHECK(op::Lerp::f(0.1f, 0.7f, 1.0f) == 0.7f);
}

TEST_CASE("where selects by bools, masks, and masks of another width") {
  using F = check::Block<float>;
  using D = sinter::lane::Lanes<double, check::Block<double>::size>;
  using Narrow = sinter::lane::Lanes<float, D::size>;
  CHECK(op::Where::f(true, 1, 2) == 1);
  CHECK(op::Where::f(F(1) < F(2), F(3), F(4))[0] == 3);
  CHECK(op::Where::f(sinter::lane::Lanes<bool, F::size>(false), F(3), F(4))[0] == 4);
  CHECK(op::Where::f(Narrow(1) > Narrow(2), D(3.0), D(4.0))[0] == 4);
  CHECK(op::Where::f(D(1.0) == D(1.0), Narrow(3), Narrow(4))[1] == 3);
  CHECK(op::Where::db(F(1) < F(2), F(3), F(4))[0] == 1);
  CHECK(op::Where::dc(F(1) < F(2), F(3), F(4))[0] == 0);
}
