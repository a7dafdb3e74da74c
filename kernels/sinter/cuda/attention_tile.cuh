// SPDX-License-Identifier: MIT
// Tiles of the portable attention kernels: 256 threads as 16 x 16, where thread (y, x) has rows y + 16 i of a block's own tile
// and rows x + 16 j of the one that it meets. Arithmetic is in C, float or double, whatever the operands are.
#pragma once

#include "sinter/cuda/attention_parts.cuh"

namespace sinter {
namespace cuda {

inline constexpr int attention_threads = 256;

template <class C>
struct alignas(16) FourOf {
  C x[4];
};

// Rows of D columns in shared memory lie D + 4 apart: sixteen rows at one column are then in different banks.
template <int D>
inline constexpr int tile_step = D + 4;

// One head of an operand.
struct HeadRows {
  const void* data;
  std::int64_t offset, row, column;
  int length, width;
  DType dtype;
  bool words;  // whether rows can be read by 16-byte words of floats
  __device__ HeadRows(const DeviceHeads& x, DType t, std::int64_t batch, std::int64_t head, std::int64_t n, std::int64_t w)
      : data(x.data), offset(head_offset(x, batch, head)), row(x.step[2]), column(x.step[3]), length(int(n)), width(int(w)), dtype(t),
        words(t == DType::float32 && column == 1 && width % 4 == 0 && row % 4 == 0 && offset % 4 == 0 && reinterpret_cast<std::uintptr_t>(data) % 16 == 0) {}
};

// Rows row0 on into shared memory, zeros outside of the operand.
template <int D, int Rows, class C>
__device__ __forceinline__ void load_tile(C* to, const HeadRows& from, int row0) {
  constexpr int quads = D / 4;
  for (int i = int(threadIdx.x); i < Rows * quads; i += attention_threads) {
    const int r = i / quads, c = i % quads * 4;
    FourOf<C> four;
    for (int j = 0; j < 4; ++j) four.x[j] = 0;
    if (row0 + r < from.length && c < from.width) {
      const std::int64_t at = from.offset + (row0 + r) * from.row + c * from.column;
      if (sizeof(C) == 4 && from.words) {
        four = *reinterpret_cast<const FourOf<C>*>(static_cast<const C*>(from.data) + at);
      } else {
#pragma unroll
        for (int j = 0; j < 4; ++j)
          if (c + j < from.width) four.x[j] = load_as<C>(from.data, from.dtype, at + j * from.column);
      }
    }
    *reinterpret_cast<FourOf<C>*>(to + r * tile_step<D> + c) = four;
  }
}

__device__ __forceinline__ int tile_x() { return int(threadIdx.x) % 16; }
__device__ __forceinline__ int tile_y() { return int(threadIdx.x) / 16; }

// s[i][j] = row y + 16 i of a times row x + 16 j of b, over `width` columns.
template <int D, int A, int B, class C>
__device__ __forceinline__ void tile_products(C (&s)[A][B], const C* a, const C* b, int width) {
  a += tile_y() * tile_step<D>;
  b += tile_x() * tile_step<D>;
#pragma unroll
  for (int i = 0; i < A; ++i)
#pragma unroll
    for (int j = 0; j < B; ++j) s[i][j] = 0;
#pragma unroll 2
  for (int d = 0; d < width; d += 4) {
    FourOf<C> left[A], right[B];
#pragma unroll
    for (int i = 0; i < A; ++i) left[i] = *reinterpret_cast<const FourOf<C>*>(a + 16 * i * tile_step<D> + d);
#pragma unroll
    for (int j = 0; j < B; ++j) right[j] = *reinterpret_cast<const FourOf<C>*>(b + 16 * j * tile_step<D> + d);
#pragma unroll
    for (int i = 0; i < A; ++i)
#pragma unroll
      for (int j = 0; j < B; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) s[i][j] += left[i].x[e] * right[j].x[e];
  }
}
// Weights to shared memory, for the threads that have the same rows: those of half a warp.
template <int A, int B, class C>
__device__ __forceinline__ void store_weights(C* to, const C (&w)[A][B]) {
#pragma unroll
  for (int i = 0; i < A; ++i)
#pragma unroll
    for (int j = 0; j < B; ++j) to[(tile_y() + 16 * i) * tile_step<16 * B> + tile_x() + 16 * j] = w[i][j];
}
// In shared memory, f(i, j) for every weight of this thread. Not unrolled, which keeps masks and random numbers small.
template <int A, int B, class C, class F>
__device__ __forceinline__ void make_weights(C* to, F f) {
#pragma unroll 1
  for (int e = 0; e < A * B; ++e) to[(tile_y() + 16 * (e / B)) * tile_step<16 * B> + tile_x() + 16 * (e % B)] = f(e / B, e % B);
}
template <int B, class C>
__device__ __forceinline__ C weight_at(const C* from, int i, int j) { return from[(tile_y() + 16 * i) * tile_step<16 * B> + tile_x() + 16 * j]; }
// sum[i][n][e] += row y + 16 i of the weights times column 64 n + 4 x + e of b, which has 16 B rows.
template <int D, int A, int B, class C>
__device__ __forceinline__ void tile_weighted(C (&sum)[A][D / 64][4], const C* w, const C* b) {
  w += tile_y() * tile_step<16 * B>;
  b += tile_x() * 4;
#pragma unroll 2
  for (int k = 0; k < 16 * B; k += 4) {
    FourOf<C> left[A];
#pragma unroll
    for (int i = 0; i < A; ++i) left[i] = *reinterpret_cast<const FourOf<C>*>(w + 16 * i * tile_step<16 * B> + k);
#pragma unroll
    for (int r = 0; r < 4; ++r)
#pragma unroll
      for (int n = 0; n < D / 64; ++n) {
        const FourOf<C> right = *reinterpret_cast<const FourOf<C>*>(b + (k + r) * tile_step<D> + 64 * n);
#pragma unroll
        for (int i = 0; i < A; ++i)
#pragma unroll
          for (int e = 0; e < 4; ++e) sum[i][n][e] += left[i].x[r] * right.x[e];
      }
  }
}
// Results times a factor of each row.
template <int D, int A, class C>
__device__ __forceinline__ void store_tile(const HeadRows& to, int row0, const C (&sum)[A][D / 64][4], const C (&factor)[A]) {
#pragma unroll
  for (int i = 0; i < A; ++i) {
    const int row = row0 + tile_y() + 16 * i;
    if (row >= to.length) continue;
#pragma unroll
    for (int n = 0; n < D / 64; ++n) {
      const int c = 64 * n + 4 * tile_x();
      const std::int64_t at = to.offset + row * to.row + c * to.column;
      FourOf<C> four;
#pragma unroll
      for (int e = 0; e < 4; ++e) four.x[e] = sum[i][n][e] * factor[i];
      if (sizeof(C) == 4 && to.words && c < to.width) {
        *reinterpret_cast<FourOf<C>*>(static_cast<C*>(const_cast<void*>(to.data)) + at) = four;
      } else {
#pragma unroll
        for (int e = 0; e < 4; ++e)
          if (c + e < to.width) store_as<C>(const_cast<void*>(to.data), to.dtype, at + e * to.column, four.x[e]);
      }
    }
  }
}

__device__ __forceinline__ float attention_exp(float x) { return expf(x); }
__device__ __forceinline__ double attention_exp(double x) { return ::exp(x); }
__device__ __forceinline__ float attention_log(float x) { return logf(x); }
__device__ __forceinline__ double attention_log(double x) { return ::log(x); }

// Over the sixteen threads that share rows.
template <class C>
__device__ __forceinline__ C row_sum(C x) {
  for (int i = 8; i > 0; i /= 2) x += __shfl_xor_sync(0xffffffffu, x, i);
  return x;
}
template <class C>
__device__ __forceinline__ C row_max(C x) {
  for (int i = 8; i > 0; i /= 2) {
    const C y = __shfl_xor_sync(0xffffffffu, x, i);
    x = y > x ? y : x;
  }
  return x;
}

// f(C(), whole<D>) for the dtype and the padded width.
template <int D>
using TileWidth = std::integral_constant<int, D>;
template <class F>
void for_attention_kernel(const char* op, const AttentionArgs& a, F f) {
  const std::int64_t width = a.width > a.value_width ? a.width : a.value_width;
  if (width > device_attention_width) fail<ShapeError>(op, ": heads on CUDA are at most ", device_attention_width, " wide, but these are ", width);
  if (a.dtype == DType::float64) width <= 128 ? f(double(), TileWidth<128>()) : f(double(), TileWidth<256>());
  else width <= 64 ? f(float(), TileWidth<64>()) : width <= 128 ? f(float(), TileWidth<128>()) : f(float(), TileWidth<256>());
}

}  // namespace cuda
}  // namespace sinter
