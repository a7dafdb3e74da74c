// SPDX-License-Identifier: MIT
// The functions of analysis. On lane blocks they are the headers below; on numbers, the C library.
#pragma once

#include "sinter/op/lane.hpp"
#if !defined(__CUDA_ARCH__)
#include "sinter/op/lane_erf.hpp"
#include "sinter/op/lane_exp.hpp"
#include "sinter/op/lane_round.hpp"
#include "sinter/op/lane_trig.hpp"
#endif

namespace sinter {
inline namespace SINTER_ABI {
namespace lane {  // never op: see lane.hpp

template <class T>
SINTER_HD T exp(T x) { return std::exp(x); }
template <class T>
SINTER_HD T expm1(T x) { return std::expm1(x); }
template <class T>
SINTER_HD T log(T x) { return std::log(x); }
template <class T>
SINTER_HD T log1p(T x) { return std::log1p(x); }
template <class T>
SINTER_HD T log2(T x) { return std::log2(x); }
template <class T>
SINTER_HD T pow(T x, T y) { return std::pow(x, y); }
template <class T>
SINTER_HD T sqrt(T x) { return std::sqrt(x); }
template <class T>
SINTER_HD T rsqrt(T x) { return T(1) / std::sqrt(x); }

template <class T>
SINTER_HD T sin(T x) { return std::sin(x); }
template <class T>
SINTER_HD T cos(T x) { return std::cos(x); }
template <class T>
SINTER_HD T tan(T x) { return std::tan(x); }
template <class T>
SINTER_HD T asin(T x) { return std::asin(x); }
template <class T>
SINTER_HD T acos(T x) { return std::acos(x); }
template <class T>
SINTER_HD T atan(T x) { return std::atan(x); }
template <class T>
SINTER_HD T atan2(T y, T x) { return std::atan2(y, x); }

template <class T>
SINTER_HD T sinh(T x) { return std::sinh(x); }
template <class T>
SINTER_HD T cosh(T x) { return std::cosh(x); }
template <class T>
SINTER_HD T tanh(T x) { return std::tanh(x); }
template <class T>
SINTER_HD T erf(T x) { return std::erf(x); }
template <class T>
SINTER_HD T erfc(T x) { return std::erfc(x); }

// 1 / x; for floats of a device to within 2 units in the last place, where an exact quotient takes ten times as long.
template <class T>
SINTER_HD T inverse(T x) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, float>) return __fdividef(1.f, x);
#endif
  return T(1) / x;
}

template <class T>
SINTER_HD T floor(T x) { return std::floor(x); }
template <class T>
SINTER_HD T ceil(T x) { return std::ceil(x); }
template <class T>
SINTER_HD T rint(T x) { return std::rint(x); }
template <class T>
SINTER_HD T trunc(T x) { return std::trunc(x); }
template <class T>
SINTER_HD T fmod(T x, T y) { return std::fmod(x, y); }

}  // namespace lane
}  // namespace SINTER_ABI
}  // namespace sinter
