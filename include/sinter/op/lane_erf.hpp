// SPDX-License-Identifier: MIT
// Lane blocks: the error function and its complement. Minimax fits of the project's own.
#pragma once

#include "sinter/op/lane_exp.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace lane {  // never op: see lane.hpp

// erfc(x) for x >= 0: exp(-x^2) P(t) / (1 + 2x) with t = (x - c) / (x + c).
template <class T, int N>
SINTER_HOST typename Lanes<T, N>::V erfc_positive(typename Lanes<T, N>::V x) {
  using E = ExpParts<T, N>;
  using V = typename E::V;
  using I = typename E::I;
  constexpr T highest = sizeof(T) == 4 ? T(10.5) : T(27.5), c = sizeof(T) == 4 ? T(2) : T(4);  // 0 beyond
  x = at_most(x, V{} + highest);
  // The square's rounding error would be multiplied by x^2: it is split into an exact part and a small one.
  const V high = bits<V>(bits<I>(x) & I(I{} - (typename Lanes<T, N>::Cmp::Int(1) << (sizeof(T) == 4 ? 12 : 27))));
  const E e(-high * high, -(x - high) * (x + high));
  const V t = (x - c) / (x + c);
  V p;
  if constexpr (sizeof(T) == 4) {
    p = ((((-3.906806606e-4f * t - 1.213302908e-3f) * t + 1.311037158e-3f) * t + 8.617535872e-3f) * t - 8.061939335e-3f) * t -
        5.420047287e-2f;
    p = (((p * t + 0.1640560103f) * t - 0.1660317659f) * t - 9.276401736e-2f) * t + 1.276978398f;
  } else {
    p = ((((-1.7176303310866319113e-9 * t - 1.3386294614665366731e-8) * t - 7.778919215148352517e-9) * t +
          1.1456139156903602256e-7) * t + 6.2389194146849340821e-8) * t - 8.342404894103277546e-7;
    p = (((((p * t + 3.0195630728248235746e-7) * t + 5.7172952943166728804e-6) * t - 1.1225283000437918767e-5) * t -
          2.4402941521970010869e-5) * t + 1.5062247156594206417e-4) * t - 1.9925556126075806068e-4;
    p = (((((p * t - 7.5777340486230375313e-4) * t + 5.0319697635688161622e-3) * t - 1.6197734048424251279e-2) * t +
          3.7167515561852560555e-2) * t - 6.6330365812563893306e-2) * t + 9.3732834996823823164e-2;
    p = ((((p * t - 0.10103906603630115519) * t + 6.8097054254736600082e-2) * t + 1.5379652102619764175e-2) * t -
         0.13962111684056288649) * t + 1.2329951186255525098;
  }
  const V y = e.scale((e.p + T(1)) * p / (T(1) + T(2) * x));
  return x == x ? y : x;
}

// erf(x) / x on [-1, 1], in z = x^2.
template <class T, class V>
SINTER_HOST V erf_small(V z) {
  if constexpr (sizeof(T) == 4) {
    return (((((7.853855036e-5f * z - 8.010192193e-4f) * z + 5.188327597e-3f) * z - 2.685381194e-2f) * z + 0.1128358515f) * z -
            0.3761262582f) * z + 1.128379166f;
  } else {
    const V p = (((((5.9452749510778028274e-11 * z - 1.1365673953048701309e-9) * z + 1.4657881955001143176e-8) * z -
                   1.6350025542710659694e-7) * z + 1.6460972847646989579e-6) * z - 1.4925593508812924845e-5) * z +
                1.2055331036979311229e-4;
    return (((((p * z - 8.5483269787443409626e-4) * z + 5.2239776247809019108e-3) * z - 2.686617064507289811e-2) * z +
             0.11283791670954857505) * z - 0.37612638903183747604) * z + 1.1283791670955125737;
  }
}

template <class T, int N>
SINTER_HOST Lanes<T, N> erfc(Lanes<T, N> x) {
  const auto a = abs(x).v;
  const auto tail = erfc_positive<T, N>(a);
  const auto y = x.v < T(0) ? T(2) - tail : tail;
  return a < T(0.4) ? T(1) - x.v * erf_small<T>(x.v * x.v) : y;
}
// The float's tail is 1 - 1 / P(x)^8: no exponential, and the closer to 1 the more exact.
template <class T, int N>
SINTER_HOST Lanes<T, N> erf(Lanes<T, N> x) {
  using V = typename Lanes<T, N>::V;
  const V a = abs(x).v;
  if constexpr (sizeof(T) == 4) {
    const V b = at_most(a, V{} + 3.95f);
    const V p = (((((((1.129606176e-4f * b - 9.893657933e-4f) * b + 4.924681707e-3f) * b - 1.139225586e-2f) * b +
                   2.533961793e-2f) * b + 2.471325181e-4f) * b + 0.106248419f) * b + 0.1345127694f) * b + 1.001108144f;
    const V p2 = p * p, p4 = p2 * p2;
    return copysign(Lanes<T, N>(a < 0.95f ? a * erf_small<T>(V(a * a)) : 1.0f - 1.0f / (p4 * p4)), x);
  } else {
    const V tail = T(1) - erfc_positive<T, N>(a);
    return copysign(Lanes<T, N>(a < T(1) ? a * erf_small<T>(a * a) : tail), x);
  }
}

}  // namespace lane
}  // namespace SINTER_ABI
}  // namespace sinter
