// SPDX-License-Identifier: MIT
// What kernels over rows share: 16-byte packs of any dtype in registers, teams of threads that reduce together in an order that
// depends on the shape only, and how many of them a row gets.
#pragma once

#include <cmath>
#include <limits>

#include "sinter/core/error.hpp"
#include "sinter/cuda/stride.cuh"

namespace sinter {
namespace cuda {

// Storage to arithmetic and back. NVIDIA's conversions are one instruction; core's are the same to the bit, but for NaN.
template <class T>
__device__ inline compute_t<T> up_cast(T x) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, half>) {
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(x.bits));
    return f;
  }
#endif
  return compute_t<T>(x);
}
template <class T>
__device__ inline T down_cast(compute_t<T> x) {
#if defined(__CUDA_ARCH__)
  if constexpr (is_reduced_float<T>) {
    T t;
    if constexpr (std::is_same_v<T, half>) asm("cvt.rn.f16.f32 %0, %1;" : "=h"(t.bits) : "f"(x));
    else asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(t.bits) : "f"(x));
    return t;
  }
#endif
  return T(x);
}

__device__ inline float row_exp(float x) { return expf(x); }
__device__ inline double row_exp(double x) { return ::exp(x); }
__device__ inline float row_log(float x) { return logf(x); }
__device__ inline double row_log(double x) { return ::log(x); }
__device__ inline float row_sqrt(float x) { return sqrtf(x); }
__device__ inline double row_sqrt(double x) { return ::sqrt(x); }
// The greater; a NaN loses, and shows in the sums that follow.
__device__ inline float greater_of(float a, float b) { return fmaxf(a, b); }
__device__ inline double greater_of(double a, double b) { return fmax(a, b); }
template <class A>
__device__ inline A lowest() { return -A(HUGE_VAL); }

struct Plus {
  template <class A>
  __device__ A operator()(A a, A b) const { return a + b; }
};
struct Greater {
  template <class A>
  __device__ A operator()(A a, A b) const { return greater_of(a, b); }
};

// V elements that are loaded and stored at once, as words.
template <class T>
inline constexpr int pack_elements = 16 / int(sizeof(T));
template <class T, int V>
struct alignas(V == 1 ? alignof(T) : 16) RowPack {
  using A = compute_t<T>;
  static constexpr bool whole = V > 1;
  std::uint32_t word[4];
  __device__ void get(A (&a)[V]) const {
    if constexpr (sizeof(T) == 2) {
#pragma unroll
      for (int i = 0; i < V; ++i) {
        T t;
        t.bits = std::uint16_t(i % 2 ? word[i / 2] >> 16 : word[i / 2] & 0xffffu);
        a[i] = up_cast(t);
      }
    } else {
      memcpy(a, word, 16);
    }
  }
  __device__ static RowPack of(const A (&a)[V]) {
    RowPack p;
    if constexpr (sizeof(T) == 2) {
#pragma unroll
      for (int i = 0; i < V; i += 2) {
#if defined(__CUDA_ARCH__)
        if constexpr (std::is_same_v<T, half>) asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(p.word[i / 2]) : "f"(a[i + 1]), "f"(a[i]));
        else asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(p.word[i / 2]) : "f"(a[i + 1]), "f"(a[i]));
#else
        p.word[i / 2] = std::uint32_t(T(a[i]).bits) | std::uint32_t(T(a[i + 1]).bits) << 16;
#endif
      }
    } else {
      memcpy(p.word, a, 16);
    }
    return p;
  }
};
template <class T>
struct RowPack<T, 1> {
  using A = compute_t<T>;
  T value;
  __device__ void get(A (&a)[1]) const { a[0] = up_cast(value); }
  __device__ static RowPack of(const A (&a)[1]) { return {down_cast<T>(a[0])}; }
};

// A row of n elements as packs at aligned addresses: pack j holds the elements from j * V - skip on, some of which may lie
// before or behind the row.
template <class T, int V>
struct PackedRow {
  using A = compute_t<T>;
  int n, skip, packs;
  __device__ PackedRow(const T* row, int count) : n(count), skip(V == 1 ? 0 : int(reinterpret_cast<std::uintptr_t>(row) % 16 / sizeof(T))) {
    packs = (n + skip + V - 1) / V;
  }
  __device__ int first(int j) const { return j * V - skip; }
  __device__ bool holds(int i) const { return i >= 0 && i < n; }
  __device__ RowPack<T, V> load(const T* row, int j, A pad) const {
    const int f = first(j);
    if (f >= 0 && f + V <= n) return *reinterpret_cast<const RowPack<T, V>*>(row + f);
    A a[V];
#pragma unroll
    for (int i = 0; i < V; ++i) a[i] = holds(f + i) ? up_cast(row[f + i]) : pad;
    return RowPack<T, V>::of(a);
  }
  __device__ void store(T* row, int j, const A (&a)[V]) const {
    const int f = first(j);
    if (f >= 0 && f + V <= n) {
      *reinterpret_cast<RowPack<T, V>*>(row + f) = RowPack<T, V>::of(a);
      return;
    }
#pragma unroll
    for (int i = 0; i < V; ++i)
      if (holds(f + i)) row[f + i] = down_cast<T>(a[i]);
  }
  // What belongs to the elements of pack j, from memory of any alignment; of none, `absent`.
  __device__ void parameter(const T* p, int j, A absent, A (&a)[V]) const {
    const int f = first(j);
    if (p && V > 1 && f >= 0 && f + V <= n && reinterpret_cast<std::uintptr_t>(p + f) % 16 == 0)
      return reinterpret_cast<const RowPack<T, V>*>(p + f)->get(a);
#pragma unroll
    for (int i = 0; i < V; ++i) a[i] = p && holds(f + i) ? up_cast(p[f + i]) : absent;
  }
};

template <class A, class Op>
__device__ inline A lanes_reduce(A v, int lanes, Op op) {
  for (int o = lanes / 2; o > 0; o /= 2) v = op(v, __shfl_xor_sync(0xffffffffu, v, o));
  return v;
}

// The threads that share a row: neighbouring lanes, a power of two of them, or the whole block (Block). All of a block's
// threads reduce together, and all of a team's get the result.
template <bool Block>
struct Team {
  int width, rank;
  __device__ explicit Team(int lanes) : width(Block ? int(blockDim.x) : lanes), rank(Block ? int(threadIdx.x) : int(threadIdx.x) % lanes) {}
  __device__ std::int64_t row() const {
    return Block ? std::int64_t(blockIdx.x) : std::int64_t(blockIdx.x) * (int(blockDim.x) / width) + int(threadIdx.x) / width;
  }
  template <int N, class A, class Op>
  __device__ void reduce(A (&v)[N], Op op, A none) const {
#pragma unroll
    for (int i = 0; i < N; ++i) v[i] = lanes_reduce(v[i], Block ? 32 : width, op);
    if constexpr (Block) {
      __shared__ A part[N][32];
      const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32, warps = int(blockDim.x) / 32;
      __syncthreads();  // the last reduction's readers are done
      if (lane == 0)
        for (int i = 0; i < N; ++i) part[i][warp] = v[i];
      __syncthreads();
#pragma unroll
      for (int i = 0; i < N; ++i) v[i] = lanes_reduce(lane < warps ? part[i][lane] : none, 32, op);
    }
  }
  template <class A, class Op>
  __device__ A reduce(A v, Op op, A none) const {
    A one[1] = {v};
    reduce(one, op, none);
    return one[0];
  }
  template <class A>
  __device__ A sum(A v) const { return reduce(v, Plus{}, A(0)); }
  template <class A>
  __device__ A max(A v) const { return reduce(v, Greater{}, lowest<A>()); }
};

// A tile of `columns` (a power of two) by blockDim.x / columns threads: a thread sees every so-many-th element of a column,
// and reduce() joins those of a column. `shared` has blockDim.x elements.
struct ColumnTile {
  int columns, rows, x, y;
  __device__ explicit ColumnTile(int c) : columns(c), rows(int(blockDim.x) / c), x(int(threadIdx.x) % c), y(int(threadIdx.x) / c) {}
  template <class A, class Op>
  __device__ A reduce(A v, A* shared, Op op) const {
    __syncthreads();
    shared[threadIdx.x] = v;
    for (int h = rows / 2; h > 0; h /= 2) {
      __syncthreads();
      if (y < h) shared[threadIdx.x] = op(shared[threadIdx.x], shared[int(threadIdx.x) + h * columns]);
    }
    __syncthreads();
    return shared[x];
  }
};

inline bool is_pack_aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }
// Whether rows of two tensors have their aligned addresses at the same elements.
inline bool same_phase(const void* a, const void* b) { return reinterpret_cast<std::uintptr_t>(a) % 16 == reinterpret_cast<std::uintptr_t>(b) % 16; }
inline int power_of_two(std::int64_t n, int most) {
  int p = 1;
  while (p < most && p < n) p *= 2;
  return p;
}
// As the packs of 16 bytes of a row of n elements, wherever it begins.
template <class T>
std::int64_t packs_of(std::int64_t n) {
  constexpr int V = pack_elements<T>;
  return n % V == 0 ? n / V + 1 : (n + 2 * V - 2) / V;
}
inline unsigned grid_of(const char* op, std::int64_t blocks) {
  if (blocks > 0x7fffffff) fail<DeviceError>(op, ": ", blocks, " blocks are more than a launch takes");
  return unsigned(blocks);
}
inline int row_length(const char* op, std::int64_t n) {
  if (n > 0x3fffffff) fail<DeviceError>(op, ": rows of ", n, " elements are longer than its CUDA kernel takes");
  return int(n);
}

// How rows are given to threads: `lanes` neighbours of a warp, or a block of `threads`, each with up to `packs` packs of 16
// bytes of a row in registers; packs 0: the row is too long for those.
struct RowTeams {
  bool block;
  int packs, threads, lanes;
  unsigned grid;
};
template <class T>
inline constexpr int most_packs = sizeof(T) == 4 ? 8 : 4;
template <class T>
inline constexpr int most_threads = 512;
inline RowTeams row_teams(const char* op, std::int64_t rows, std::int64_t packs, int most, int most_threads) {
  const auto warps = [&](int each, int lanes) {
    const int threads = 128, teams = threads / lanes;
    return RowTeams{false, each, threads, lanes, grid_of(op, (rows + teams - 1) / teams)};
  };
  if (packs <= 32) return warps(1, power_of_two(packs, 32));
  if (packs <= 32 * most) return warps(most, 32);
  for (int threads = 128; threads <= most_threads; threads *= 2)
    if (packs <= std::int64_t(threads) * most) return {true, most, threads, 0, grid_of(op, rows)};
  return {true, 0, most_threads, 0, grid_of(op, rows)};
}

}  // namespace cuda
}  // namespace sinter
