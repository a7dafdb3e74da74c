// SPDX-License-Identifier: MIT
// Dual numbers: a lane block and its derivative along one direction. Ops run on them as they run on blocks, so that the
// slopes an op states are differentiated without a word more. Only gradients of gradients use them: their words are kept
// out of line, compiled once for all expressions.
#pragma once

#include "sinter/op/lane_math.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace lane {  // never op: see lane.hpp

// v + t eps with eps^2 = 0. Integers and bools have no derivative.
template <class L, bool = std::is_floating_point_v<element_t<L>>>
struct Dual {
  L v, t;
  Dual() = default;
  Dual(element_t<L> x) : v(x), t(element_t<L>(0)) {}
  Dual(L x, L dx) : v(x), t(dx) {}
};
template <class L>
struct Dual<L, false> {
  L v;
  Dual() = default;
  Dual(element_t<L> x) : v(x) {}
  Dual(L x) : v(x) {}
};
template <class L>
using Whole = Dual<L, false>;
template <class L>
using Real = Dual<L, true>;

template <class L, bool B>
inline constexpr bool is_lanes<Dual<L, B>> = true;
template <class L, bool B>
struct ElementOf<Dual<L, B>> : ElementOf<L> {};

// The outcome of comparing values.
template <class M>
struct Chosen {
  M m;
  friend Chosen operator&(Chosen a, Chosen b) { return {a.m & b.m}; }
  friend Chosen operator|(Chosen a, Chosen b) { return {a.m | b.m}; }
  friend Chosen operator^(Chosen a, Chosen b) { return {a.m ^ b.m}; }
  friend Chosen operator!(Chosen a) { return {!a.m}; }
};
template <class M>
Chosen(M) -> Chosen<M>;

template <class L, bool B>
auto operator==(const Dual<L, B>& a, const Dual<L, B>& b) { return Chosen{a.v == b.v}; }
template <class L, bool B>
auto operator!=(const Dual<L, B>& a, const Dual<L, B>& b) { return Chosen{a.v != b.v}; }
template <class L, bool B>
auto operator<(const Dual<L, B>& a, const Dual<L, B>& b) { return Chosen{a.v < b.v}; }
template <class L, bool B>
auto operator<=(const Dual<L, B>& a, const Dual<L, B>& b) { return Chosen{a.v <= b.v}; }
template <class L, bool B>
auto operator>(const Dual<L, B>& a, const Dual<L, B>& b) { return Chosen{a.v > b.v}; }
template <class L, bool B>
auto operator>=(const Dual<L, B>& a, const Dual<L, B>& b) { return Chosen{a.v >= b.v}; }

// ---- Arithmetic

template <class L>
[[gnu::noinline]] Real<L> operator+(const Real<L>& a, const Real<L>& b) { return {a.v + b.v, a.t + b.t}; }
template <class L>
[[gnu::noinline]] Real<L> operator-(const Real<L>& a, const Real<L>& b) { return {a.v - b.v, a.t - b.t}; }
template <class L>
[[gnu::noinline]] Real<L> operator*(const Real<L>& a, const Real<L>& b) { return {a.v * b.v, a.v * b.t + a.t * b.v}; }
template <class L>
[[gnu::noinline]] Real<L> operator/(const Real<L>& a, const Real<L>& b) {
  const L q = a.v / b.v;
  return {q, (a.t - q * b.t) / b.v};
}
template <class L>
[[gnu::noinline]] Real<L> operator-(const Real<L>& a) { return {-a.v, -a.t}; }

template <class L>
Whole<L> operator+(const Whole<L>& a, const Whole<L>& b) { return a.v + b.v; }
template <class L>
Whole<L> operator-(const Whole<L>& a, const Whole<L>& b) { return a.v - b.v; }
template <class L>
Whole<L> operator*(const Whole<L>& a, const Whole<L>& b) { return a.v * b.v; }
template <class L>
Whole<L> operator/(const Whole<L>& a, const Whole<L>& b) { return a.v / b.v; }
template <class L>
Whole<L> operator-(const Whole<L>& a) { return -a.v; }

// ---- Selection and conversion

template <class M, class L>
[[gnu::noinline]] Real<L> where(Chosen<M> c, const Real<L>& x, const Real<L>& y) { return {where(c.m, x.v, y.v), where(c.m, x.t, y.t)}; }
template <class M, class L>
Whole<L> where(Chosen<M> c, const Whole<L>& x, const Whole<L>& y) { return where(c.m, x.v, y.v); }
template <int N, class L, bool B>
Dual<L, B> where(const Whole<Lanes<bool, N>>& c, const Dual<L, B>& x, const Dual<L, B>& y) {
  return where(Chosen{mask<int(sizeof(x.v.v[0]))>(c.v)}, x, y);
}

template <int B, int N>
Whole<Lanes<bool, N>> plain(Chosen<Mask<B, N>> c) { return plain(c.m); }

template <class To, class T, int N, bool B>
auto convert(const Dual<Lanes<T, N>, B>& x) {
  using D = Dual<Lanes<To, N>>;
  if constexpr (B && std::is_floating_point_v<To>) return D(convert<To>(x.v), convert<To>(x.t));
  else if constexpr (std::is_floating_point_v<To>) return D(convert<To>(x.v), Lanes<To, N>(To(0)));
  else return D(convert<To>(x.v));
}
template <class To, int B, int N>
auto convert(Chosen<Mask<B, N>> c) { return convert<To>(plain(c)); }

// f'(x) stands for the slope of f at x.
template <class L>
Real<L> chain(const Real<L>& x, L value, L slope) { return {value, x.t * slope}; }
// The same where the slope is 0 almost everywhere.
template <class L>
Real<L> level(L value) { return {value, L(element_t<L>(0))}; }

// At 0 the slope of |x| is that to the right: formulas with exp(-|x|) treat 0 as they treat what is above it.
template <class L>
[[gnu::noinline]] Real<L> abs(const Real<L>& x) { return {abs(x.v), where(x.v < L(element_t<L>(0)), -x.t, x.t)}; }
template <class L>
[[gnu::noinline]] Real<L> copysign(const Real<L>& x, const Real<L>& y) {
  const L one(element_t<L>(1));
  return chain(x, copysign(x.v, y.v), copysign(one, x.v) * copysign(one, y.v));
}
template <class L, class F>
Whole<L> each_lane(const Whole<L>& x, const Whole<L>& y, F f) { return each_lane(x.v, y.v, f); }

// ---- Exponentials, logarithms, roots, powers

template <class L>
[[gnu::noinline]] Real<L> exp(const Real<L>& x) {
  const L y = exp(x.v);
  return chain(x, y, y);
}
template <class L>
[[gnu::noinline]] Real<L> expm1(const Real<L>& x) {
  const L y = expm1(x.v);
  return chain(x, y, y + L(element_t<L>(1)));
}
template <class L>
[[gnu::noinline]] Real<L> log(const Real<L>& x) { return {log(x.v), x.t / x.v}; }
template <class L>
[[gnu::noinline]] Real<L> log1p(const Real<L>& x) { return {log1p(x.v), x.t / (x.v + L(element_t<L>(1)))}; }
template <class L>
[[gnu::noinline]] Real<L> log2(const Real<L>& x) { return {log2(x.v), x.t * L(element_t<L>(1.4426950408889634074)) / x.v}; }
template <class L>
[[gnu::noinline]] Real<L> sqrt(const Real<L>& x) {
  const L y = sqrt(x.v);
  return {y, x.t * L(element_t<L>(0.5)) / y};
}
template <class L>
[[gnu::noinline]] Real<L> rsqrt(const Real<L>& x) {
  const L y = rsqrt(x.v);
  return chain(x, y, L(element_t<L>(-0.5)) * y * y * y);
}
// What does not move adds nothing, were its slope infinite or undefined.
template <class L>
[[gnu::noinline]] Real<L> pow(const Real<L>& x, const Real<L>& y) {
  const L zero(element_t<L>(0)), one(element_t<L>(1)), p = pow(x.v, y.v);
  const L by_x = where((y.v == zero) | (x.t == zero), zero, x.t * y.v * pow(x.v, y.v - one));
  const L by_y = where(((x.v == zero) & (y.v >= zero)) | (y.t == zero), zero, y.t * p * log(x.v));
  return {p, by_x + by_y};
}

// ---- Trigonometry, hyperbolic functions, the error function

template <class L>
[[gnu::noinline]] Real<L> sin(const Real<L>& x) { return chain(x, sin(x.v), cos(x.v)); }
template <class L>
[[gnu::noinline]] Real<L> cos(const Real<L>& x) { return chain(x, cos(x.v), -sin(x.v)); }
template <class L>
[[gnu::noinline]] Real<L> tan(const Real<L>& x) {
  const L y = tan(x.v);
  return chain(x, y, L(element_t<L>(1)) + y * y);
}
template <class L>
[[gnu::noinline]] Real<L> asin(const Real<L>& x) {
  const L one(element_t<L>(1));
  return chain(x, asin(x.v), rsqrt((one - x.v) * (one + x.v)));
}
template <class L>
[[gnu::noinline]] Real<L> acos(const Real<L>& x) {
  const L one(element_t<L>(1));
  return chain(x, acos(x.v), -rsqrt((one - x.v) * (one + x.v)));
}
template <class L>
[[gnu::noinline]] Real<L> atan(const Real<L>& x) { return {atan(x.v), x.t / (L(element_t<L>(1)) + x.v * x.v)}; }
template <class L>
[[gnu::noinline]] Real<L> atan2(const Real<L>& y, const Real<L>& x) {
  return {atan2(y.v, x.v), (y.t * x.v - x.t * y.v) / (x.v * x.v + y.v * y.v)};
}
template <class L>
[[gnu::noinline]] Real<L> sinh(const Real<L>& x) { return chain(x, sinh(x.v), cosh(x.v)); }
template <class L>
[[gnu::noinline]] Real<L> cosh(const Real<L>& x) { return chain(x, cosh(x.v), sinh(x.v)); }
template <class L>
[[gnu::noinline]] Real<L> tanh(const Real<L>& x) {
  const L y = tanh(x.v);
  return chain(x, y, L(element_t<L>(1)) - y * y);
}
template <class L>
[[gnu::noinline]] Real<L> erf(const Real<L>& x) { return chain(x, erf(x.v), L(element_t<L>(1.1283791670955125739)) * exp(-x.v * x.v)); }
template <class L>
[[gnu::noinline]] Real<L> erfc(const Real<L>& x) { return chain(x, erfc(x.v), L(element_t<L>(-1.1283791670955125739)) * exp(-x.v * x.v)); }

// ---- Rounding

template <class L>
Real<L> floor(const Real<L>& x) { return level(floor(x.v)); }
template <class L>
Real<L> ceil(const Real<L>& x) { return level(ceil(x.v)); }
template <class L>
Real<L> rint(const Real<L>& x) { return level(rint(x.v)); }
template <class L>
Real<L> trunc(const Real<L>& x) { return level(trunc(x.v)); }
template <class L>
[[gnu::noinline]] Real<L> fmod(const Real<L>& x, const Real<L>& y) { return {fmod(x.v, y.v), x.t - y.t * trunc(x.v / y.v)}; }

}  // namespace lane
}  // namespace SINTER_ABI
}  // namespace sinter
