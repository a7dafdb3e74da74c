// SPDX-License-Identifier: MIT
// Tensor cores by the warp: D = A B + C of 16 x 8 x 16 elements of 16 bits with sums in float, tiles in shared memory, and
// asynchronous copies into them. Beside each instruction stands the same in C++, which tests run. Which lane holds what:
// PTX ISA, "Matrix fragments for mma.m16n8k16". Here g = lane / 4 and t = lane % 4:
//   A: {(g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8)}, two columns each; B: {(2t, g), (2t + 8, g)}, two rows each;
//   C: (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
#pragma once

#include <math.h>
#include <string.h>

#include "sinter/core/dtype.hpp"
#include "sinter/cuda/runtime.cuh"

namespace sinter {
namespace cuda {

__device__ __forceinline__ int lane_index() { return int(threadIdx.x) & 31; }

#if defined(__CUDA_ARCH__)

__device__ __forceinline__ unsigned shared_address(const void* p) { return unsigned(__cvta_generic_to_shared(p)); }

// c += a b.
template <class T>
__device__ __forceinline__ void mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  if constexpr (std::is_same_v<T, bfloat16>)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// Four 8 x 8 matrices of 16-bit elements; lane i says where row i % 8 of matrix i / 8 lies, and gets (g, 2t), (g, 2t + 1) of
// each, or of its transpose.
__device__ __forceinline__ void load_matrices(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
// 16, or 8, bytes from global to shared memory, zeros unless `there`; done when copies_done() has returned.
__device__ __forceinline__ void copy_async_16(void* to, const void* from, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(there ? 16 : 0) : "memory");
}
__device__ __forceinline__ void copy_async_8(void* to, const void* from, bool there) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared_address(to)), "l"(from), "r"(there ? 8 : 0) : "memory");
}
__device__ __forceinline__ void copies_done() { asm volatile("cp.async.wait_all;" ::: "memory"); }
// Two floats as 16-bit elements; the first lies in the lower half.
template <class T>
__device__ __forceinline__ unsigned pack_two(float low, float high) {
  unsigned r;
  if constexpr (std::is_same_v<T, bfloat16>) asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  else asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
__device__ __forceinline__ float exp2_fast(float x) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}

#else

// What lanes of a warp show each other.
struct WarpBoard {
  unsigned word[32][6];
  const void* row[32];
};
__device__ inline WarpBoard& warp_board() {
  __shared__ WarpBoard boards[32];
  return boards[threadIdx.x / 32];
}
template <class T>
__device__ inline float half_of(unsigned word, int i) {
  T x;
  x.bits = std::uint16_t(word >> (16 * i));
  return float(x);
}
template <class T>
__device__ inline void mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  WarpBoard& board = warp_board();
  const int lane = lane_index(), g = lane / 4, t = lane % 4;
  for (int i = 0; i < 4; ++i) board.word[lane][i] = a[i];
  board.word[lane][4] = b0;
  board.word[lane][5] = b1;
  __syncwarp();
  for (int i = 0; i < 4; ++i)
    for (int k = 0; k < 16; ++k) {
      const unsigned left = board.word[g * 4 + k % 8 / 2][i / 2 + k / 8 * 2], right = board.word[(2 * t + i % 2) * 4 + k % 8 / 2][4 + k / 8];
      c[i] += half_of<T>(left, k % 2) * half_of<T>(right, k % 2);
    }
  __syncwarp();
}
template <bool Transposed>
__device__ inline void load_matrices_of(unsigned (&r)[4], const void* row) {
  WarpBoard& board = warp_board();
  const int lane = lane_index(), g = lane / 4, t = lane % 4;
  board.row[lane] = row;
  __syncwarp();
  for (int i = 0; i < 4; ++i) {
    std::uint16_t x[2];
    for (int j = 0; j < 2; ++j) {
      const int from = Transposed ? 2 * t + j : g, column = Transposed ? g : 2 * t + j;
      memcpy(x + j, static_cast<const char*>(board.row[8 * i + from]) + 2 * column, 2);
    }
    r[i] = unsigned(x[0]) | unsigned(x[1]) << 16;
  }
  __syncwarp();
}
__device__ inline void load_matrices(unsigned (&r)[4], const void* row) { load_matrices_of<false>(r, row); }
__device__ inline void load_matrices_transposed(unsigned (&r)[4], const void* row) { load_matrices_of<true>(r, row); }
__device__ inline void copy_async_16(void* to, const void* from, bool there) {
  if (there) memcpy(to, from, 16);
  else memset(to, 0, 16);
}
__device__ inline void copy_async_8(void* to, const void* from, bool there) {
  if (there) memcpy(to, from, 8);
  else memset(to, 0, 8);
}
__device__ inline void copies_done() {}
template <class T>
__device__ inline unsigned pack_two(float low, float high) { return unsigned(T(low).bits) | unsigned(T(high).bits) << 16; }
__device__ inline float exp2_fast(float x) { return exp2f(x); }

#endif

// A tile in shared memory has rows of D elements, D a multiple of 64; 16-byte chunk c of row r lies at chunk c ^ r % 8, so that
// eight rows of a matrix lie in different banks.
template <int D, int Rows, int Threads, class T>
__device__ __forceinline__ void copy_tile_async(T* to, const T* from, std::int64_t step, int rows, int width) {
  constexpr int chunks = D / 8;
  static_assert(Rows * chunks % Threads == 0 && Threads % chunks == 0);
  const int c = int(threadIdx.x) % chunks, r0 = int(threadIdx.x) / chunks;
  const T* row = from + r0 * step + c * 8;  // walks: addresses of all rows would be held in registers
  if (c * 8 >= width) rows = 0;
#pragma unroll
  for (int i = 0; i < Rows * chunks / Threads; ++i, row += Threads / chunks * step) {
    const int r = r0 + i * (Threads / chunks);
    copy_async_16(to + r * D + ((c ^ (r & 7)) << 3), r < rows ? row : from, r < rows);
  }
}

// Where this lane's row of a 16 x 16 part of a tile lies, for load_matrices(). Rows: a left operand, in the order of A's
// registers, or, transposed, two right operands side by side that are summed over the rows. Columns: two right operands, one
// below the other, that are summed over the columns.
template <int D>
struct TileLane {
  int offset, chunk;
  static __device__ TileLane rows() { return now({(lane_index() & 15) * D, (lane_index() >> 4) ^ (lane_index() & 7)}); }
  static __device__ TileLane columns() {
    const int lane = lane_index();
    return now({((lane & 7) + 8 * (lane >> 4)) * D, ((lane >> 3) & 1) ^ (lane & 7)});
  }
  // Addresses of all parts, made once before the loop over tiles, would take more registers than there are.
  static __device__ __forceinline__ TileLane now(TileLane x) {
#if defined(__CUDA_ARCH__)
    asm volatile("" : "+r"(x.chunk));
#endif
    return x;
  }
  // The part whose first row is row0, a multiple of 8, and whose first column is 16 * part.
  template <class T>
  __device__ const T* operator()(const T* tile, int row0, int part) const { return tile + row0 * D + offset + ((chunk ^ (2 * part)) << 3); }
};

// s[m][n] += a b^T: 16 M rows of tile a from row_a on, and 8 N rows of tile b.
template <class T, int D, int M, int N>
__device__ __forceinline__ void multiply_tiles(float (&s)[M][N][4], const T* a, int row_a, const T* b) {
  const auto left = TileLane<D>::rows(), right = TileLane<D>::columns();
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    unsigned x[M][4];
#pragma unroll
    for (int m = 0; m < M; ++m) load_matrices(x[m], left(a, row_a + 16 * m, k));
#pragma unroll
    for (int n = 0; n < N; n += 2) {
      unsigned y[4];
      load_matrices(y, right(b, 8 * n, k));
#pragma unroll
      for (int m = 0; m < M; ++m) {
        mma<T>(s[m][n], x[m], y[0], y[1]);
        mma<T>(s[m][n + 1], x[m], y[2], y[3]);
      }
    }
  }
}
// o[m] += w b, the weights w as multiply_tiles() left them in registers, b with 8 N rows of D columns.
template <class T, int D, int M, int N>
__device__ __forceinline__ void multiply_weights(float (&o)[M][D / 8][4], const float (&w)[M][N][4], const T* b) {
  const auto right = TileLane<D>::rows();
#pragma unroll
  for (int k = 0; k < N / 2; ++k) {
    unsigned x[M][4];
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < 4; ++i) x[m][i] = pack_two<T>(w[m][2 * k + i / 2][i % 2 * 2], w[m][2 * k + i / 2][i % 2 * 2 + 1]);
#pragma unroll
    for (int n = 0; n < D / 16; ++n) {
      unsigned y[4];
      load_matrices_transposed(y, right(b, 16 * k, n));
#pragma unroll
      for (int m = 0; m < M; ++m) {
        mma<T>(o[m][2 * n], x[m], y[0], y[1]);
        mma<T>(o[m][2 * n + 1], x[m], y[2], y[3]);
      }
    }
  }
}
// Scores of 16 rows from row0 on against keys from k0 on: -inf of keys that do not exist, or come after the row where causal.
template <int N>
__device__ __forceinline__ void hide_keys(float (&s)[N][4], bool causal, int row0, int k0, int keys) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int later = row0 + lane_index() / 4 + 8 * i + 1;
    const int end = (causal && later < keys ? later : keys) - k0 - 2 * (lane_index() % 4);
#pragma unroll
    for (int n = 0; n < N; ++n) {
      if (8 * n >= end) s[n][2 * i] = -INFINITY;
      if (8 * n + 1 >= end) s[n][2 * i + 1] = -INFINITY;
    }
  }
}
// Rows of results, times a factor of each row half: c[n] has columns 8 n + 2 t and one more of rows g and g + 8.
template <class T, int N>
__device__ __forceinline__ void store_rows(T* to, std::int64_t step, int row0, int rows, int width, const float (&c)[N][4], float first, float second) {
  const int g = lane_index() / 4, t = lane_index() % 4;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int row = row0 + g + 8 * i;
    if (row >= rows) continue;
    const float factor = i ? second : first;
#pragma unroll
    for (int n = 0; n < N; ++n)
      if (8 * n < width) {
        const unsigned two = pack_two<T>(c[n][2 * i] * factor, c[n][2 * i + 1] * factor);
        memcpy(static_cast<void*>(to + row * step + 8 * n + 2 * t), &two, 4);
      }
  }
}

}  // namespace cuda
}  // namespace sinter
