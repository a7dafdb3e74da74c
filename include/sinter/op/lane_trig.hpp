// SPDX-License-Identifier: MIT
// Lane blocks: sines and their inverses.
#pragma once

#include <limits>

#include "sinter/op/lane_round.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace lane {  // never op: see lane.hpp

// ---- x = q pi/2 + r with |r| < pi/4 (and a bit), exact enough for |x| < limit

template <class T, int N>
struct Quadrant : Vectors<T, N> {
  using typename Vectors<T, N>::V;
  using typename Vectors<T, N>::I;
  static constexpr T limit = sizeof(T) == 4 ? T(5000) : T(1e6);
  I q;
  V sin, cos;  // of r

  SINTER_HOST explicit Quadrant(V x) {
    const V t = x * T(0.63661977236758134308) + Ieee<T>::magic, n = t - Ieee<T>::magic;
    q = bits<I>(t) & 3;
    if constexpr (sizeof(T) == 4) {  // pi/2 in pieces short enough for exact products
      const V r = (((x - n * 0x1.92p+0f) - n * 0x1.fb4p-12f) - n * 0x1.444p-24f) - n * 0x1.68c234p-39f, z = r * r;
      sin = ((-1.951665909e-4f * z + 8.332173572e-3f) * z - 0.1666665487f) * z * r + r;
      cos = ((2.443241716e-5f * z - 1.38873099e-3f) * z + 4.166664556e-2f) * (z * z) + (1.0f - 0.5f * z);
    } else {
      const V r = ((x - n * 0x1.921fb544p+0) - n * 0x1.0b4611a6p-34) - n * 0x1.3198a2e037073p-69, z = r * r;
      sin = (((((1.5896504675256654899e-10 * z - 2.505075325788401006e-8) * z + 2.7557313661997997435e-6) * z -
               1.9841269829724959981e-4) * z + 8.3333333333223146946e-3) * z - 0.16666666666666631648) * z * r + r;
      cos = (((((-1.1358312609454070137e-11 * z + 2.0875696616323563889e-9) * z - 2.7557314148970472422e-7) * z +
               2.4801587288749499726e-5) * z - 1.3888888888872897468e-3) * z + 4.1666666666666592033e-2) * (z * z) +
            (1.0 - 0.5 * z);
    }
  }
  SINTER_HOST V value(I k) const {  // the sine k quarter turns on
    const V y = (k & 1) ? cos : sin;
    return (k & 2) ? -y : y;
  }
};

// Beyond the limit the reduction needs hundreds of digits of pi: the C library does those lanes, one by one.
template <class T>
__attribute__((noinline, cold)) void patch_beyond(const T* x, T* y, int n, T limit, T (*f)(T)) {
  for (int i = 0; i < n; ++i)
    if (!(std::fabs(x[i]) < limit)) y[i] = f(x[i]);
}
template <class T, int N>
SINTER_HOST Lanes<T, N> within(Lanes<T, N> x, Lanes<T, N> y, T (*f)(T)) {
  constexpr T limit = Quadrant<T, N>::limit;
  if (__builtin_expect(any(abs(x) >= Lanes<T, N>(limit)), 0)) {
    T a[N], b[N];
    x.store(a);
    y.store(b);
    patch_beyond(a, b, N, limit, f);
    y = Lanes<T, N>::load(b);
  }
  return y;
}

template <class T, int N>
SINTER_HOST Lanes<T, N> sin(Lanes<T, N> x) {
  const Quadrant<T, N> r(x.v);
  return where(x == Lanes<T, N>(T(0)), x, within(x, Lanes<T, N>(r.value(r.q)), +[](T a) { return T(std::sin(a)); }));
}
template <class T, int N>
SINTER_HOST Lanes<T, N> cos(Lanes<T, N> x) {
  const Quadrant<T, N> r(x.v);
  return within(x, Lanes<T, N>(r.value(r.q + 1)), +[](T a) { return T(std::cos(a)); });
}
template <class T, int N>
SINTER_HOST Lanes<T, N> tan(Lanes<T, N> x) {
  const Quadrant<T, N> r(x.v);
  const auto odd = (r.q & 1) != 0;
  const Lanes<T, N> y = (odd ? -r.cos : r.sin) / (odd ? r.sin : r.cos);
  return where(x == Lanes<T, N>(T(0)), x, within(x, y, +[](T a) { return T(std::tan(a)); }));
}

// ---- The angle of the point (x, y), both positive or zero

template <class T, int N>
SINTER_HOST typename Lanes<T, N>::V angle(typename Lanes<T, N>::V y, typename Lanes<T, N>::V x) {
  using V = typename Lanes<T, N>::V;
  constexpr T quarter = T(0.78539816339744830962), half = T(1.57079632679489661923);
  constexpr T quarter_rest = sizeof(T) == 4 ? T(-2.1855694e-8) : T(3.0616169978683829431e-17), half_rest = 2 * quarter_rest;
  const auto steep = y > x;
  const V longer = steep ? y : x, shorter = steep ? x : y;
  const auto middle = shorter > longer * T(0.41421356237309504880);  // turned by pi/4, so that |t| <= tan(pi/8)
  const V t = (middle ? shorter - longer : shorter) / (middle ? shorter + longer : longer), z = t * t;
  V q;
  if constexpr (sizeof(T) == 4) {
    q = (((-6.078918507e-2f * z + 0.1059430136f) * z - 0.1424363197f) * z + 0.1999847873f) * z - 0.3333331534f;
  } else {
    q = ((((-0.017892513018726856911 * z + 0.03805167407798555278) * z - 0.050388191389864280087) * z +
          0.058477864673166367133) * z - 0.066630906039089565866) * z + 0.076920590930566301522;
    q = ((((q * z - 0.090908976981068336903) * z + 0.11111110781507603996) * z - 0.14285714280159972139) * z +
         0.19999999999953249503) * z - 0.33333333333333196422;
  }
  const V p = q * z * t + t, zero{};
  const V turn = middle ? V{} + quarter : steep ? V{} + half : zero;
  const V rest = middle ? V{} + quarter_rest : steep ? V{} + half_rest : zero;
  return turn + ((steep ? -p : p) + rest);
}

template <class T, int N>
SINTER_HOST Lanes<T, N> atan2(Lanes<T, N> y, Lanes<T, N> x) {
  using L = Lanes<T, N>;
  using V = typename L::V;
  constexpr T pi = T(3.14159265358979323846), pi_rest = sizeof(T) == 4 ? T(-8.7422777e-8) : T(1.2246467991473531772e-16);
  constexpr T inf = std::numeric_limits<T>::infinity(), huge = std::numeric_limits<T>::max() / 4;
  const L zero(T(0)), one(T(1));
  L a = abs(y), b = abs(x);
  const auto far = (a == L(inf)) | (b == L(inf)), big = (a > L(huge)) | (b > L(huge));
  a = where(big, a * L(T(0.25)), a);  // their sum must not overflow
  b = where(big, b * L(T(0.25)), b);
  a = where(far, where(a == L(inf), one, zero), a);  // an infinite one is all that counts, two of them are equal
  b = where(far, where(b == L(inf), one, zero), b);
  b = where((a == zero) & (b == zero), one, b);
  L r = angle<T, N>(a.v, b.v);
  r = where(copysign(one, x) < zero, L(V(pi - (r.v - pi_rest))), r);
  return where((x != x) | (y != y), x + y, copysign(r, y));
}

template <class T, int N>
SINTER_HOST Lanes<T, N> atan(Lanes<T, N> x) {
  return copysign(Lanes<T, N>(angle<T, N>(abs(x).v, Lanes<T, N>(T(1)).v)), x);
}
template <class T, int N>
SINTER_HOST Lanes<T, N> asin(Lanes<T, N> x) {
  const Lanes<T, N> one(T(1)), side = sqrt((one - x) * (one + x));
  return copysign(Lanes<T, N>(angle<T, N>(abs(x).v, side.v)), x);
}
template <class T, int N>
SINTER_HOST Lanes<T, N> acos(Lanes<T, N> x) {
  const Lanes<T, N> one(T(1)), side = sqrt((one - x) * (one + x));
  return atan2(side, x);
}

}  // namespace lane
}  // namespace SINTER_ABI
}  // namespace sinter
