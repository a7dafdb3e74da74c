// SPDX-License-Identifier: MIT
// The words that CUDA C++ adds to kernels.
#pragma once

#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernel.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static
#if defined(__clang__)
#define __shared__ static __attribute__((section("sinter_shim_shared")))
#else
#define __shared__ static
#endif
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __grid_constant__

inline constexpr int warpSize = 32;

// ---- barriers, votes, shuffles ----
inline void __syncthreads() { shim::runner.block_barrier(); }
inline int __syncthreads_count(int p) { return shim::runner.block_barrier_count(p != 0); }
inline int __syncthreads_or(int p) { return shim::runner.block_barrier_count(p != 0) > 0; }
inline int __syncthreads_and(int p) { return shim::runner.block_barrier_count(p == 0) == 0; }
inline void __syncwarp(unsigned mask = ~0u) { shim::runner.warp_barrier(mask); }
inline unsigned __ballot_sync(unsigned mask, int p) { return shim::runner.ballot(mask, p != 0); }
inline int __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }
inline int __all_sync(unsigned mask, int p) { return __ballot_sync(mask, !p) == 0; }
inline unsigned __activemask() { return ~0u; }
namespace shim {
inline int lane() {
  const Unseen unseen;
  return int(runner.current->linear % 32);
}
template <class T>
T shuffle(unsigned mask, T value, int from) {
  static_assert(sizeof(T) <= 8, "shuffles carry at most 8 bytes");
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = runner.exchange(mask, bits, from);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
}  // namespace shim
template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
  const int lane = shim::lane();
  return shim::shuffle(mask, value, lane / width * width + from % width);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int with, int width = 32) {
  const int lane = shim::lane(), from = lane ^ with;
  return shim::shuffle(mask, value, from / width <= lane / width ? from : lane);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const int lane = shim::lane(), from = lane - int(by);
  return shim::shuffle(mask, value, from >= lane / width * width ? from : lane);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const int lane = shim::lane(), from = lane + int(by);
  return shim::shuffle(mask, value, from < (lane / width + 1) * width ? from : lane);
}
template <class T>
T __reduce_add_sync(unsigned mask, T value) {
  T sum = 0;
  for (int i = 0; i < 32; ++i)
    if (mask >> i & 1) sum += shim::shuffle(mask, value, i);
  return sum;
}

// ---- memory ----
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
template <class T> T __ldg(const T* p) { return *p; }
template <class T> T __ldcg(const T* p) { return *p; }
template <class T> T __ldcs(const T* p) { return *p; }
template <class T> void __stcg(T* p, T value) { *p = value; }
template <class T> void __stcs(T* p, T value) { *p = value; }

namespace shim {
template <class T, class F>
T atomic_update(T* p, F&& f) {
  using Bits = std::conditional_t<sizeof(T) == 8, unsigned long long, unsigned>;
  auto* at = reinterpret_cast<Bits*>(p);
  Bits before = __atomic_load_n(at, __ATOMIC_RELAXED), after;
  T value;
  do {
    std::memcpy(&value, &before, sizeof(T));
    const T next = f(value);
    std::memcpy(&after, &next, sizeof(T));
  } while (!__atomic_compare_exchange_n(at, &before, after, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return value;
}
}  // namespace shim
#define SHIM_ATOMIC(T, name, expression) \
  inline T name(T* p, T b) { return shim::atomic_update(p, [&]([[maybe_unused]] T a) -> T { return expression; }); }
#define SHIM_ATOMICS(T)                        \
  SHIM_ATOMIC(T, atomicAdd, static_cast<T>(a + b))          \
  SHIM_ATOMIC(T, atomicMin, a < b ? a : b)     \
  SHIM_ATOMIC(T, atomicMax, a > b ? a : b)     \
  SHIM_ATOMIC(T, atomicAnd, static_cast<T>(a & b))          \
  SHIM_ATOMIC(T, atomicOr, static_cast<T>(a | b))           \
  SHIM_ATOMIC(T, atomicXor, static_cast<T>(a ^ b))          \
  SHIM_ATOMIC(T, atomicExch, b)                \
  inline T atomicCAS(T* p, T compare, T b) { return shim::atomic_update(p, [&](T a) { return a == compare ? b : a; }); }
SHIM_ATOMICS(int)
SHIM_ATOMICS(unsigned)
SHIM_ATOMICS(unsigned long long)
SHIM_ATOMIC(int, atomicSub, a - b)
SHIM_ATOMIC(unsigned, atomicSub, a - b)
SHIM_ATOMIC(float, atomicAdd, a + b)
SHIM_ATOMIC(double, atomicAdd, a + b)
SHIM_ATOMIC(float, atomicExch, b)
inline long long atomicMin(long long* p, long long b) { return shim::atomic_update(p, [&](long long a) { return a < b ? a : b; }); }
inline long long atomicMax(long long* p, long long b) { return shim::atomic_update(p, [&](long long a) { return a > b ? a : b; }); }
#undef SHIM_ATOMICS
#undef SHIM_ATOMIC

// ---- arithmetic ----
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1.f / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float rsqrtf(float x) { return 1.f / std::sqrt(x); }
inline double rsqrt(double x) { return 1. / std::sqrt(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __brev(unsigned x) {
  unsigned r = 0;
  for (int i = 0; i < 32; ++i) r |= (x >> i & 1) << (31 - i);
  return r;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((static_cast<unsigned long long>(a) * b) >> 32); }
inline int __mulhi(int a, int b) { return int((static_cast<long long>(a) * b) >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<unsigned long long>((Wide(a) * b) >> 64);
}
template <class To, class From>
To shim_bits(From x) {
  To to;
  std::memcpy(&to, &x, sizeof to);
  return to;
}
inline unsigned __float_as_uint(float x) { return shim_bits<unsigned>(x); }
inline int __float_as_int(float x) { return shim_bits<int>(x); }
inline float __uint_as_float(unsigned x) { return shim_bits<float>(x); }
inline float __int_as_float(int x) { return shim_bits<float>(x); }
inline long long __double_as_longlong(double x) { return shim_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return shim_bits<double>(x); }
