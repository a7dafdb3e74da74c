// SPDX-License-Identifier: MIT
// The functions of analysis, on numbers and on lane blocks.
#pragma once

#include "sinter/op/lane.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace lane {

template <class T, int N, class F>
SINTER_HD Lanes<T, N> each_lane(Lanes<T, N> x, F f) {
  T a[N];
  x.store(a);
  for (int i = 0; i < N; ++i) a[i] = f(a[i]);
  return Lanes<T, N>::load(a);
}
template <class T, int N, class F>
SINTER_HD Lanes<T, N> each_lane(Lanes<T, N> x, Lanes<T, N> y, F f) {
  T a[N], b[N];
  x.store(a);
  y.store(b);
  for (int i = 0; i < N; ++i) a[i] = f(a[i], b[i]);
  return Lanes<T, N>::load(a);
}

#define SINTER_TMP1(name, expr)                                                        \
  template <class T>                                                                   \
  SINTER_HD T name(T x) {                                                              \
    if constexpr (is_lanes<T>) return each_lane(x, [](auto v) { return op::name(v); }); \
    else return expr;                                                                  \
  }
#define SINTER_TMP2(name, expr)                                                                       \
  template <class T>                                                                                  \
  SINTER_HD T name(T x, T y) {                                                                        \
    if constexpr (is_lanes<T>) return each_lane(x, y, [](auto v, auto w) { return op::name(v, w); }); \
    else return expr;                                                                                 \
  }
SINTER_TMP1(exp, std::exp(x))
SINTER_TMP1(expm1, std::expm1(x))
SINTER_TMP1(log, std::log(x))
SINTER_TMP1(log1p, std::log1p(x))
SINTER_TMP1(log2, std::log2(x))
SINTER_TMP1(sqrt, std::sqrt(x))
SINTER_TMP1(rsqrt, T(1) / std::sqrt(x))
SINTER_TMP1(sin, std::sin(x))
SINTER_TMP1(cos, std::cos(x))
SINTER_TMP1(tan, std::tan(x))
SINTER_TMP1(asin, std::asin(x))
SINTER_TMP1(acos, std::acos(x))
SINTER_TMP1(atan, std::atan(x))
SINTER_TMP1(sinh, std::sinh(x))
SINTER_TMP1(cosh, std::cosh(x))
SINTER_TMP1(tanh, std::tanh(x))
SINTER_TMP1(erf, std::erf(x))
SINTER_TMP1(erfc, std::erfc(x))
SINTER_TMP1(floor, std::floor(x))
SINTER_TMP1(ceil, std::ceil(x))
SINTER_TMP1(rint, std::rint(x))
SINTER_TMP1(trunc, std::trunc(x))
SINTER_TMP2(pow, std::pow(x, y))
SINTER_TMP2(atan2, std::atan2(x, y))
SINTER_TMP2(fmod, std::fmod(x, y))
#undef SINTER_TMP1
#undef SINTER_TMP2

}  // namespace lane
}  // namespace SINTER_ABI
}  // namespace sinter
