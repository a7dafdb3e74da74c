// SPDX-License-Identifier: MIT
// The instructions that compilers do not find in portable code: square roots (errno), extremes that keep a NaN, scaling by
// a power of two. Overloads for the registers that have them, a template for what has not. Builtins instead of
// <immintrin.h>, which takes longer to parse than everything else here.
#pragma once

#include "sinter/op/lane.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace lane {

template <class V>
SINTER_HOST V root_of(V x) {
  for (unsigned i = 0; i < sizeof(V) / sizeof(x[0]); ++i) x[i] = std::sqrt(x[i]);
  return x;
}
// x, but at least (at most) the bound; a NaN stays.
template <class V>
SINTER_HOST V at_least(V x, V bound) { return x < bound ? bound : x; }
template <class V>
SINTER_HOST V at_most(V x, V bound) { return x > bound ? bound : x; }
// Whether y 2^n is one instruction: scale_by(y, n).
template <class V>
inline constexpr bool scales = false;

#if defined(__SSE2__) && !defined(__CUDACC__)
using F4 = typename Lanes<float, 4>::V;
using D2 = typename Lanes<double, 2>::V;
SINTER_HOST F4 root_of(F4 x) { return __builtin_ia32_sqrtps(x); }
SINTER_HOST D2 root_of(D2 x) { return __builtin_ia32_sqrtpd(x); }
SINTER_HOST F4 at_least(F4 x, F4 bound) { return __builtin_ia32_maxps(bound, x); }
SINTER_HOST D2 at_least(D2 x, D2 bound) { return __builtin_ia32_maxpd(bound, x); }
SINTER_HOST F4 at_most(F4 x, F4 bound) { return __builtin_ia32_minps(bound, x); }
SINTER_HOST D2 at_most(D2 x, D2 bound) { return __builtin_ia32_minpd(bound, x); }
#endif

#if defined(__AVX__) && !defined(__CUDACC__)
using F8 = typename Lanes<float, 8>::V;
using D4 = typename Lanes<double, 4>::V;
SINTER_HOST F8 root_of(F8 x) { return __builtin_ia32_sqrtps256(x); }
SINTER_HOST D4 root_of(D4 x) { return __builtin_ia32_sqrtpd256(x); }
SINTER_HOST F8 at_least(F8 x, F8 bound) { return __builtin_ia32_maxps256(bound, x); }
SINTER_HOST D4 at_least(D4 x, D4 bound) { return __builtin_ia32_maxpd256(bound, x); }
SINTER_HOST F8 at_most(F8 x, F8 bound) { return __builtin_ia32_minps256(bound, x); }
SINTER_HOST D4 at_most(D4 x, D4 bound) { return __builtin_ia32_minpd256(bound, x); }
#endif

#if defined(__AVX512F__) && !defined(__CUDACC__)
using F16 = typename Lanes<float, 16>::V;
using D8 = typename Lanes<double, 8>::V;
template <>
inline constexpr bool scales<F16> = true;
template <>
inline constexpr bool scales<D8> = true;
SINTER_HOST F16 scale_by(F16 y, F16 n) { return __builtin_ia32_scalefps512_mask(y, n, y, -1, 4); }
SINTER_HOST D8 scale_by(D8 y, D8 n) { return __builtin_ia32_scalefpd512_mask(y, n, y, -1, 4); }
#if defined(__clang__)
SINTER_HOST F16 root_of(F16 x) { return __builtin_ia32_sqrtps512(x, 4); }
SINTER_HOST D8 root_of(D8 x) { return __builtin_ia32_sqrtpd512(x, 4); }
#else
SINTER_HOST F16 root_of(F16 x) { return __builtin_ia32_sqrtps512_mask(x, x, -1, 4); }
SINTER_HOST D8 root_of(D8 x) { return __builtin_ia32_sqrtpd512_mask(x, x, -1, 4); }
SINTER_HOST F16 at_least(F16 x, F16 bound) { return __builtin_ia32_maxps512_mask(bound, x, x, -1, 4); }
SINTER_HOST D8 at_least(D8 x, D8 bound) { return __builtin_ia32_maxpd512_mask(bound, x, x, -1, 4); }
SINTER_HOST F16 at_most(F16 x, F16 bound) { return __builtin_ia32_minps512_mask(bound, x, x, -1, 4); }
SINTER_HOST D8 at_most(D8 x, D8 bound) { return __builtin_ia32_minpd512_mask(bound, x, x, -1, 4); }
#endif
#endif

}  // namespace lane
}  // namespace SINTER_ABI
}  // namespace sinter
