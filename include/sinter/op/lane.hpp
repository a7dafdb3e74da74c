// SPDX-License-Identifier: MIT
// Lane blocks: N elements in one SIMD register, and the words that ops may use on them and on plain numbers alike. What
// is missing for either kind does not compile; nothing falls back to a scalar loop unless its comment says so.
//
// A block is a vector of the compiler's own (GCC, clang): every operator below is one instruction for one register, at any
// width, and costs the compiler nothing to parse. The functions of analysis are in lane_math.hpp.
#pragma once

#if defined(__CUDA_ARCH__)
#include "sinter/op/lane_opaque.hpp"
#else
#include "sinter/op/lane_vector.hpp"
#endif

namespace sinter {
inline namespace SINTER_ABI {
namespace lane {

// ---- Plain numbers, in the words of blocks

template <class T>
SINTER_HD T plain(T x) { return x; }
template <class To, class T>
SINTER_HD std::enable_if_t<!is_lanes<T>, To> convert(T x) {
  if constexpr (std::is_same_v<To, bool>) return x != T(0);
  else return To(x);
}

// ---- Words without analysis

template <class T>
SINTER_HD auto isnan(T x) { return x != x; }
template <class T>
SINTER_HD auto isfinite(T x) { return (x - x) == T(0); }

// The signed integer of T's width, alone or in lanes.
template <class T>
struct SameInt {
  using type = typename IntOf<int(sizeof(T))>::type;
};
template <class T, int N>
struct SameInt<Lanes<T, N>> {
  using type = Lanes<typename IntOf<int(sizeof(T))>::type, N>;
};
template <class T>
using same_int = typename SameInt<T>::type;

template <class T>
SINTER_HD T abs(T x) {
  using E = element_t<T>;
  if constexpr (std::is_unsigned_v<E>) {
    return x;
  } else if constexpr (!std::is_floating_point_v<E>) {
    return where(x < T(0), -x, x);
  } else if constexpr (is_lanes<T>) {
    using I = same_int<T>;
    using W = element_t<I>;
    return bits<typename T::V>(bits<typename I::V>(x.v) & I(W(~(W(1) << (sizeof(W) * 8 - 1)))).v);
  } else {
    return std::fabs(x);
  }
}
template <class T>
SINTER_HD auto isinf(T x) { return abs(x) > T(std::numeric_limits<element_t<T>>::max()); }
// The magnitude of x with the sign of y.
template <class T>
SINTER_HD T copysign(T x, T y) {
  if constexpr (is_lanes<T>) {
    using I = same_int<T>;
    using W = element_t<I>;
    const auto sign = I(W(W(1) << (sizeof(W) * 8 - 1))).v;
    return bits<typename T::V>((bits<typename I::V>(x.v) & ~sign) | (bits<typename I::V>(y.v) & sign));
  } else {
    return std::copysign(x, y);
  }
}

}  // namespace lane
}  // namespace SINTER_ABI
}  // namespace sinter
