// SPDX-License-Identifier: MIT
// What must hold for every op: its value is the mathematics', on numbers and in lanes; its slopes are the value's
// difference quotients; lanes treat special values as numbers do.
#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "op/all_ops.hpp"
#include "sinter/expr/slope.hpp"

namespace check {

using all_ops::R;
using all_ops::Range;
namespace op = sinter::op;
namespace plan = sinter::plan;
template <class T>
using Block = sinter::lane::Lanes<T, sinter::simd_bytes / int(sizeof(T))>;
template <class T>
using HalfBlock = sinter::lane::Lanes<T, sinter::simd_bytes / int(sizeof(T)) / 2 + (sinter::simd_bytes / int(sizeof(T)) == 2)>;

inline bool near(R got, R want, R tolerance) {
  if (std::isnan(got) || std::isnan(want)) return std::isnan(got) && std::isnan(want);
  if (std::isinf(got) || std::isinf(want)) return got == want;
  return std::fabs(got - want) <= tolerance * (1 + std::fabs(want));
}
template <class T>
constexpr R tolerance = 24 * std::numeric_limits<T>::epsilon();

template <class T>
std::vector<T> samples(Range r, int seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> in(r.low, r.high);
  std::vector<T> x(256);
  for (T& v : x) v = T(in(random));
  return x;
}
template <class T>
std::vector<T> specials() {
  using L = std::numeric_limits<T>;
  std::vector<T> v = {0, T(0.5), 1, 2, T(2.5), 3, 6, 17, 30, 88, 750, T(1e30), L::min(), L::denorm_min(), L::max(), L::infinity()};
  const auto n = v.size();
  for (std::size_t i = 0; i < n; ++i) v.push_back(-v[i]);
  v.push_back(L::quiet_NaN());
  return v;
}

// What an op's slope is at (x), whichever way it states it; `no slope` is 0.
template <class Op, class T>
T slope(const Op& f, T x) {
  constexpr auto kind = plan::dx_of<Op, T>(0);
  if constexpr (kind == plan::Slope::constant) return f.template dx<T>();
  else if constexpr (kind == plan::Slope::input) return f.dx(x);
  else if constexpr (kind == plan::Slope::output) return f.dy(f.f(x));
  else return T(0);
}
template <class Op, class T>
std::array<T, 2> slopes(const Op& f, T a, T b) {
  T da(0), db(0);
  constexpr auto kind_a = plan::da_of<Op, T, T, T>(0), kind_b = plan::db_of<Op, T, T, T>(0);
  if constexpr (kind_a == plan::Slope::constant) da = f.template da<T>();
  else if constexpr (kind_a == plan::Slope::input) da = f.da(a, b);
  if constexpr (kind_b == plan::Slope::constant) db = f.template db<T>();
  else if constexpr (kind_b == plan::Slope::input) db = f.db(a, b);
  return {da, db};
}

// The difference quotient of f at x, where x lies nowhere near a kink.
template <class F>
R quotient(F f, R x) {
  const R h = 1e-6L * std::fmax(R(1), std::fabs(x));
  return (f(x + h) - f(x - h)) / (2 * h);
}
constexpr R slope_tolerance = 2e-7L;

template <class L, class Op, class T, class F>
void unary_in(const Op& f, const std::vector<T>& x, F exact) {
  for (std::size_t i = 0; i + L::size <= x.size(); i += L::size) {
    const L in = L::load(&x[i]), y = f.f(in), s = slope(f, in);
    for (int j = 0; j < L::size; ++j) {
      INFO(Op::name << "(" << x[i + j] << ") in " << L::size << " lanes of " << sizeof(T) << " bytes");
      const R want = exact(x[i + j]);
      if (!near(y[j], want, tolerance<T>)) CHECK(y[j] == Approx(double(want)));
      if (!near(s[j], slope(f, x[i + j]), 8 * tolerance<T>)) CHECK(s[j] == slope(f, x[i + j]));
    }
  }
}
template <class T, class Op, class F>
void unary_as(const Op& f, Range r, F exact) {
  const auto x = samples<T>(r, 1);
  unary_in<Block<T>>(f, x, exact);
  unary_in<HalfBlock<T>>(f, x, exact);
  for (T v : x) {
    INFO(Op::name << "(" << v << ") of " << sizeof(T) << " bytes");
    if (!near(f.f(v), exact(v), tolerance<T>)) CHECK(f.f(v) == Approx(double(exact(v))));
  }
  for (T v : specials<T>()) {  // lanes as numbers
    INFO(Op::name << "(" << v << ") of " << sizeof(T) << " bytes");
    const Block<T> y = f.f(Block<T>(v)), s = slope(f, Block<T>(v));
    if (!near(y[0], f.f(v), tolerance<T>)) CHECK(y[0] == f.f(v));
    if (!near(s[0], slope(f, v), tolerance<T>)) CHECK(s[0] == slope(f, v));
  }
}
// All of it for one op of one argument.
struct Unary {
  template <class Op, class F>
  void operator()(const Op& f, Range r, F exact) const {
    unary_as<float>(f, r, exact);
    unary_as<double>(f, r, exact);
    for (double v : samples<double>(r, 2)) {
      INFO("slope of " << Op::name << " at " << v);
      const R want = quotient(exact, v);
      if (!near(slope(f, v), want, slope_tolerance)) CHECK(slope(f, v) == Approx(double(want)));
    }
    CHECK(true);  // counts the op
  }
};

template <class T, class Op, class F>
void binary_as(const Op& f, Range ra, Range rb, F exact) {
  using L = Block<T>;
  const auto a = samples<T>(ra, 3), b = samples<T>(rb, 4);
  for (std::size_t i = 0; i < a.size(); i += L::size) {
    const L y = f.f(L::load(&a[i]), L::load(&b[i]));
    for (int j = 0; j < L::size; ++j) {
      const T u = a[i + j], v = b[i + j];
      INFO(Op::name << "(" << u << ", " << v << ") of " << sizeof(T) << " bytes");
      if (!near(y[j], exact(u, v), tolerance<T>)) CHECK(y[j] == Approx(double(exact(u, v))));
      if (!near(f.f(u, v), exact(u, v), tolerance<T>)) CHECK(f.f(u, v) == Approx(double(exact(u, v))));
    }
  }
  for (T u : specials<T>())
    for (T v : specials<T>()) {
      INFO(Op::name << "(" << u << ", " << v << ") of " << sizeof(T) << " bytes");
      const L y = f.f(L(u), L(v));
      if (!near(y[0], f.f(u, v), tolerance<T>)) CHECK(y[0] == f.f(u, v));
      const auto s = slopes(f, L(u), L(v));
      const auto t = slopes(f, u, v);
      for (int k = 0; k < 2; ++k)
        if (!near(s[k][0], t[k], tolerance<T>)) CHECK(s[k][0] == t[k]);
    }
}
struct Binary {
  template <class Op, class F>
  void operator()(const Op& f, Range ra, Range rb, F exact) const {
    binary_as<float>(f, ra, rb, exact);
    binary_as<double>(f, ra, rb, exact);
    const auto a = samples<double>(ra, 5), b = samples<double>(rb, 6);
    for (std::size_t i = 0; i < a.size(); ++i) {
      INFO("slopes of " << Op::name << " at " << a[i] << ", " << b[i]);
      const auto s = slopes(f, a[i], b[i]);
      const R da = quotient([&](R x) { return exact(x, b[i]); }, a[i]), db = quotient([&](R x) { return exact(a[i], x); }, b[i]);
      if (!near(s[0], da, slope_tolerance)) CHECK(s[0] == Approx(double(da)));
      if (!near(s[1], db, slope_tolerance)) CHECK(s[1] == Approx(double(db)));
    }
    CHECK(true);
  }
};

}  // namespace check
