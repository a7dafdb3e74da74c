// SPDX-License-Identifier: MIT
// Lane blocks: exponentials, logarithms, hyperbolic functions and powers. The polynomials are minimax fits on the reduced
// ranges; the errors, in units of the last place, are asserted in test/op/lane_math_test.cpp.
#pragma once

#include <limits>

#include "sinter/op/lane_round.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace lane {  // never op: see lane.hpp

// ---- e^x = (1 + p) 2^n with |p| < 0.42

template <class T, int N>
struct ExpParts : Vectors<T, N> {
  using typename Vectors<T, N>::V;
  using typename Vectors<T, N>::I;
  using typename Vectors<T, N>::U;
  V p, n, t;  // t: n in the low bits

  // Of x, |x| < 1500.
  SINTER_HOST explicit ExpParts(V x) : ExpParts(x, [](V r) { return r; }) {}
  // The same of x + low, where low is what did not fit in x.
  SINTER_HOST ExpParts(V x, V low) : ExpParts(x, [=](V r) { return V(r + low); }) {}

  // 2^-n, where it neither overflows nor underflows.
  SINTER_HOST V inverse() const {
    return bits<V>((U(I{} + (Ieee<T>::bias + Ieee<T>::magic_bits)) - U(bits<I>(t))) << Ieee<T>::mantissa);
  }
  // y 2^(n + more), in two steps as the power may lie outside of T where the product does not.
  SINTER_HOST V scale(V y, int more = 0) const {
    if constexpr (scales<V>) {
      return scale_by(y, n + T(more));
    } else {
      using F = Ieee<T>;
      // Unsigned: the bits of a NaN may overflow, and not every machine shifts 64 signed bits.
      const U k = U(bits<I>(t)) - U(I{} + (F::magic_bits - 2 * F::bias - more));
      const U half = k >> 1;
      return y * bits<V>(half << F::mantissa) * bits<V>((k - half) << F::mantissa);
    }
  }

 private:
  template <class Add>
  SINTER_HOST ExpParts(V x, Add add) {
    t = x * T(1.4426950408889634074) + Ieee<T>::magic;
    n = t - Ieee<T>::magic;
    if constexpr (sizeof(T) == 4) {
      const V r = add((x - n * 0.693359375f) + n * 2.12194440e-4f);
      const V q = (((1.381313083e-3f * r + 8.369418127e-3f) * r + 4.166845696e-2f) * r + 0.166665148f) * r + 0.4999999305f;
      p = r * r * q + r;
    } else {
      const V r = add((x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10);
      const V q = ((((2.499899446555497953e-8 * r + 2.7631686508282247977e-7) * r + 2.7557597179110720036e-6) * r +
                    2.4801489354812957241e-5) * r + 1.9841269486173246859e-4) * r + 1.3888888946917267727e-3;
      p = r * r * ((((q * r + 8.3333333335076533067e-3) * r + 4.166666666651916458e-2) * r + 0.16666666666666386319) * r +
                   0.50000000000000116996) + r;
    }
  }
};

// Beyond these, e^x is 0 or infinite. A NaN stays.
template <class T, class V>
SINTER_HOST V exp_range(V x) {
  constexpr T lo = sizeof(T) == 4 ? T(-104) : T(-746), hi = sizeof(T) == 4 ? T(89) : T(710);
  return at_most(at_least(x, V{} + lo), V{} + hi);
}

template <class T, int N>
SINTER_HOST Lanes<T, N> exp(Lanes<T, N> x) {
  using E = ExpParts<T, N>;
  const E e(exp_range<T>(x.v));
  return e.scale(e.p + T(1));
}
template <class T, int N>
SINTER_HOST Lanes<T, N> expm1(Lanes<T, N> x) {
  using E = ExpParts<T, N>;
  using V = typename E::V;
  constexpr T lowest = sizeof(T) == 4 ? T(-18) : T(-38), big = sizeof(T) == 4 ? T(40) : T(80);  // -1 and e^x to the last bit
  const V a = at_least(exp_range<T>(x.v), V{} + lowest);
  const E e(a);
  const V s = a > big ? V{} : e.inverse();
  return copysign(Lanes<T, N>(e.scale(e.p + (T(1) - s))), x);
}
template <class T, int N>
SINTER_HOST Lanes<T, N> tanh(Lanes<T, N> x) {  // (e^2x - 1) / (e^2x + 1), both divided by 2^k
  using E = ExpParts<T, N>;
  using V = typename E::V;
  constexpr T highest = sizeof(T) == 4 ? T(20) : T(40);
  const E e(at_most(V(abs(x).v * T(2)), V{} + highest));
  const V s = e.inverse();
  return copysign(Lanes<T, N>((e.p + (T(1) - s)) / (e.p + (T(1) + s))), x);
}
template <class T, int N>
SINTER_HOST Lanes<T, N> sinh(Lanes<T, N> x) {
  using E = ExpParts<T, N>;
  using V = typename E::V;
  const V a = abs(x).v, z = a * a;
  V q;
  if constexpr (sizeof(T) == 4) {
    q = (2.037739695e-4f * z + 8.330211549e-3f) * z + 0.1666671824f;
  } else {
    q = (((((7.7593122653227795064e-13 * z + 1.6057240338075549291e-10) * z + 2.5052123398618284617e-8) * z +
           2.7557319155336247426e-6) * z + 1.9841269841437684373e-4) * z + 8.3333333333331388023e-3) * z +
        0.16666666666666667429;
  }
  constexpr T highest = sizeof(T) == 4 ? T(90) : T(711);
  const E e(at_most(a, V{} + highest));
  const V half = e.scale(e.p + T(1), -1);  // e^|x| / 2, which overflows later than e^|x|
  return copysign(Lanes<T, N>(a < T(1) ? a * z * q + a : half - T(0.25) / half), x);
}
template <class T, int N>
SINTER_HOST Lanes<T, N> cosh(Lanes<T, N> x) {
  using E = ExpParts<T, N>;
  using V = typename E::V;
  constexpr T highest = sizeof(T) == 4 ? T(90) : T(711);
  const V a = abs(x).v;
  const E e(at_most(a, V{} + highest));
  const V half = e.scale(e.p + T(1), -1);
  return half + T(0.25) / half;
}

// ---- x = (1 + f) 2^k with 1 + f between the roots of 1/2 and 2

template <class T, int N>
struct LogParts : Vectors<T, N> {
  using typename Vectors<T, N>::V;
  using typename Vectors<T, N>::I;
  using typename Vectors<T, N>::U;
  V f, k;

  SINTER_HOST explicit LogParts(V x) {
    using F = Ieee<T>;
    constexpr T least = std::numeric_limits<T>::min(), up = sizeof(T) == 4 ? T(0x1p25) : T(0x1p54);
    constexpr auto root = sizeof(T) == 4 ? 0x3f3504f3 : 0x3fe6a09e667f3bcd;
    const I tiny = x < least;
    const V y = tiny ? x * up : x;
    const U u = bits<U>(y) - U(I{} + element(root)) + U(I{} + (element(F::bias) << F::mantissa));
    const I low = I(u) & ((element(1) << F::mantissa) - 1);
    f = bits<V>(low + element(root)) - T(1);
    k = bits<V>(I(u >> F::mantissa) + (F::magic_bits - F::bias)) - F::magic;
    k = tiny ? k - T(sizeof(T) == 4 ? 25 : 54) : k;
  }
  // log(1 + f) + k log(2)
  SINTER_HOST V log() const {
    constexpr bool single = sizeof(T) == 4;
    constexpr T hi = single ? T(0.693359375) : T(6.93147180369123816490e-01);
    constexpr T lo = single ? T(-2.12194440e-4) : T(1.90821492927058770002e-10);
    const V h = T(0.5) * f * f;
    return k * hi - ((h - (tail(h) + k * lo)) - f);
  }
  // The same to base 2.
  SINTER_HOST V log2() const {
    const V h = T(0.5) * f * f;
    return (f - (h - tail(h))) * T(1.4426950408889634074) + k;
  }

 private:
  using element_int = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  SINTER_HOST static constexpr element_int element(std::int64_t x) { return element_int(x); }
  // log(1 + f) - f + f^2/2, by the series of the inverse hyperbolic tangent of s
  SINTER_HOST V tail(V h) const {
    const V s = f / (f + T(2)), z = s * s;
    if constexpr (sizeof(T) == 4) {
      return s * (h + z * ((0.2987300862f * z + 0.399774983f) * z + 0.6666677669f));
    } else {
      const V q = ((0.14797462630240090693 * z + 0.15313907934046213796) * z + 0.18183569547083993842) * z +
                  0.22222198479949050965;
      return s * (h + z * (((q * z + 0.28571428743220470158) * z + 0.39999999999411306508) * z + 0.66666666666667348576));
    }
  }
};

// What a logarithm gives where x is not a positive finite number.
template <class T, class V>
SINTER_HOST V log_special(V x, V y) {
  constexpr T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  y = x < inf ? y : x;
  y = x < T(0) ? V{} + nan : y;
  return x == T(0) ? V{} - inf : y;
}

template <class T, int N>
SINTER_HOST Lanes<T, N> log(Lanes<T, N> x) { return log_special<T>(x.v, LogParts<T, N>(x.v).log()); }
template <class T, int N>
SINTER_HOST Lanes<T, N> log2(Lanes<T, N> x) { return log_special<T>(x.v, LogParts<T, N>(x.v).log2()); }
template <class T, int N>
SINTER_HOST Lanes<T, N> log1p(Lanes<T, N> x) {
  const auto u = x.v + T(1);
  LogParts<T, N> e(u);
  e.f = e.k == T(0) ? x.v : e.f;  // keeps the digits that the sum lost
  return copysign(Lanes<T, N>(log_special<T>(u, e.log())), x);
}

// ---- Powers

// The float's through double's exponential and logarithm, in halves where a block of doubles needs two registers; the
// double's lane by lane, since the logarithm it needs has more digits than a double.
template <class T, int N>
SINTER_HOST Lanes<T, N> pow(Lanes<T, N> x, Lanes<T, N> y) {
  if constexpr (sizeof(T) == 8) {
    return each_lane(x, y, [](T a, T b) { return std::pow(a, b); });
  } else if constexpr (N * 8 > simd_bytes) {
    using Half = Lanes<T, N / 2>;
    T a[N], b[N];
    x.store(a);
    y.store(b);
    pow(Half::load(a), Half::load(b)).store(a);
    pow(Half::load(a + N / 2), Half::load(b + N / 2)).store(a + N / 2);
    return Lanes<T, N>::load(a);
  } else {
    using L = Lanes<T, N>;
    const L a = abs(x), zero(0), one(1);
    L r = convert<T>(exp(convert<double>(y) * log(convert<double>(a))));
    r = where((a == one) & (y == y), one, r);
    const auto whole = rint(y) == y, odd = whole & (rint(y * L(T(0.5))) != y * L(T(0.5)));
    const auto negative = copysign(one, x) < zero;
    r = where(negative & odd, -r, r);
    r = where((x < zero) & isfinite(x) & !whole, L(std::numeric_limits<T>::quiet_NaN()), r);
    return where((y == zero) | (x == one), one, r);
  }
}

}  // namespace lane
}  // namespace SINTER_ABI
}  // namespace sinter
