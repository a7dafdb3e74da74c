// SPDX-License-Identifier: MIT
// Matrix products without a library: tiles that are double-buffered in shared memory, and products with a vector. Long sums of
// small results are cut into parts, decided by shapes and steps alone; these are folded in order. Epilogues are part of that fold.
#pragma once

#include <cstdint>
#include <type_traits>

#include "sinter/core/dtype.hpp"
#include "sinter/cuda/runtime.cuh"
#include "sinter/device/matmul.hpp"

namespace sinter::cuda {

// One side of a product: `lane` runs along the result (rows of the left, columns of the right), `depth` is summed over.
template <class T>
struct GemmSide {
  const T* data;  // null: ones
  std::int64_t lane_step, depth_step, batch_step;
  // Whether neighbouring threads should read along the depth.
  SINTER_HOST_DEVICE bool depth_first() const { return depth_step == 1 && lane_step != 1; }
};

// Where results go, and what happens to them on the way.
template <class T>
struct GemmResult {
  using C = compute_t<T>;
  T* c;
  std::int64_t row, column, batch;
  bool add;
  MatmulEpilogue epilogue;
  const T* bias;
  T* aux;

  bool plain() const { return !add && !bias && epilogue == MatmulEpilogue::none; }
  __device__ void store(C x, std::int64_t b, std::int64_t i, std::int64_t j) const {
    const std::int64_t at = b * batch + i * row + j * column;
    if (add) x += C(c[at]);
    if (bias) x += C(bias[j]);
    if (epilogue == MatmulEpilogue::relu) {
      x = x <= C(0) ? C(0) : x;
    } else if constexpr (is_floating<T>) {
      if (epilogue == MatmulEpilogue::gelu_tanh) {
        if (aux) aux[at] = T(x);
        x *= gate(x);
      } else if (epilogue == MatmulEpilogue::gelu_tanh_backward) {
        const C z = C(aux[at]), s = gate(z);
        x *= s + z * (s * (C(1) - s)) * (C(k1) + C(3 * k3) * squared(z));
      }
    }
    c[at] = T(x);
  }

 private:
  // x (1 + tanh(u / 2)) / 2 is x times the logistic function of u = k1 x + k3 x^3, as op::GeluTanh has it.
  static constexpr double k1 = 1.5957691216057307117, k3 = 0.044715 * k1;
  __device__ static C squared(C x) { return x * x > C(100) ? C(100) : x * x; }
  __device__ static C gate(C x) {
    const C u = x * (C(k1) + C(k3) * squared(x));
    if constexpr (sizeof(C) == 8) return C(1) / (C(1) + ::exp(-u));
    else return C(1) / (C(1) + expf(-u));
  }
};

template <class T>
struct Gemm {
  std::int64_t m, n, k, batch, first;  // the product that the grid begins with
  GemmSide<T> left, right;
  GemmResult<T> result;
  std::int64_t splits, split_depth;  // parts of the sum, and the extent of one
  compute_t<T>* partial;             // (splits, batch, m, n); null where results are stored at once
};

// ---- Tiles

template <class C>
struct alignas(16) GemmQuad {
  C v[4];
};

// Rows x Columns are summed in steps of Depth; in the registers of each thread are R x N of them: quads of rows times quads of
// columns, so that a warp's 4 x 8 threads read neighbouring quads of shared memory.
template <int Rows, int Columns, int Depth, int R, int N>
struct GemmTile {
  static constexpr int rows = Rows, columns = Columns, depth = Depth, r = R, n = N, threads = Rows / R * (Columns / N);
  static constexpr int blocks = threads > 64 ? 2 : 6;  // at a time on a multiprocessor: no more registers than they leave
};

// What one thread moves of a side's tiles, by way of its registers.
template <class T, int Lanes, int Depth, int Threads>
struct GemmMover {
  static constexpr int count = Lanes * Depth / Threads, pitch = Lanes + 4;
  static_assert(Threads % Lanes == 0 && Threads % Depth == 0, "");
  const T* from;
  std::int64_t step, depth_step;
  int lanes, lane, d, lane_by, d_by;  // the lanes that the result has from here on, as far as they matter
  T held[count];

  __device__ GemmMover(const GemmSide<T>& s, std::int64_t b, std::int64_t lane0, std::int64_t all, std::int64_t begin, int thread) {
    const bool deep = s.depth_first();
    lane = deep ? thread / Depth : thread % Lanes;
    d = deep ? thread % Depth : thread / Lanes;
    lane_by = deep ? Threads / Depth : 0;
    d_by = deep ? 0 : Threads / Lanes;
    lanes = all - lane0 < Lanes ? int(all - lane0) : Lanes;
    step = lane_by * s.lane_step + d_by * s.depth_step;
    depth_step = s.depth_step;
    from = s.data + (b * s.batch_step + (lane0 + lane) * s.lane_step + (begin + d) * s.depth_step);
  }
  // The next tile, of which `depth` is left.
  __device__ void load(std::int64_t depth) {
    const T* p = from;
#pragma unroll
    for (int i = 0; i < count; ++i, p += step) held[i] = lane + i * lane_by < lanes && d + i * d_by < depth ? *p : T(0);
    from += Depth * depth_step;
  }
  template <class C>
  __device__ void store(C (*to)[pitch]) const {
#pragma unroll
    for (int i = 0; i < count; ++i) to[d + i * d_by][lane + i * lane_by] = C(held[i]);
  }
};

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks) gemm_kernel(const Gemm<T> g) {
  using C = compute_t<T>;
  constexpr int depth = Tile::depth, R = Tile::r, N = Tile::n;
  using Left = GemmMover<T, Tile::rows, depth, Tile::threads>;
  using Right = GemmMover<T, Tile::columns, depth, Tile::threads>;
  alignas(16) __shared__ C left[2][depth][Left::pitch];
  alignas(16) __shared__ C right[2][depth][Right::pitch];

  const int thread = int(threadIdx.x), warp = thread / 32, in_warp = thread % 32;
  constexpr int across = Tile::columns / N, down = Tile::rows / R, warps_across = across / 8;
  const int ty = warp / warps_across * 4 + in_warp / 8, tx = warp % warps_across * 8 + in_warp % 8;
  const std::int64_t row_tiles = (g.m + Tile::rows - 1) / Tile::rows;
  const std::int64_t row0 = blockIdx.x % row_tiles * Tile::rows, column0 = blockIdx.x / row_tiles * Tile::columns;
  const std::int64_t split = blockIdx.y, begin = split * g.split_depth;
  const std::int64_t extent = g.k - begin < g.split_depth ? g.k - begin : g.split_depth;
  const int steps = int((extent + depth - 1) / depth);

  const std::int64_t b = g.first + blockIdx.z;
  Left from_left(g.left, b, row0, g.m, begin, thread);
  Right from_right(g.right, b, column0, g.n, begin, thread);
  C sum[R][N] = {};
  if (steps > 0) {
    from_left.load(extent), from_right.load(extent);
    from_left.store(left[0]), from_right.store(right[0]);
  }
  __syncthreads();
  for (int s = 0; s < steps; ++s) {
    const bool more = s + 1 < steps;
    const std::int64_t rest = extent - std::int64_t(s + 1) * depth;
    if (more) from_left.load(rest), from_right.load(rest);
    const int now = s & 1;
#pragma unroll 8
    for (int d = 0; d < depth; ++d) {
      GemmQuad<C> x[R / 4], y[N / 4];
#pragma unroll
      for (int i = 0; i < R / 4; ++i) x[i] = *reinterpret_cast<const GemmQuad<C>*>(&left[now][d][(i * down + ty) * 4]);
#pragma unroll
      for (int j = 0; j < N / 4; ++j) y[j] = *reinterpret_cast<const GemmQuad<C>*>(&right[now][d][(j * across + tx) * 4]);
#pragma unroll
      for (int i = 0; i < R; ++i)
#pragma unroll
        for (int j = 0; j < N; ++j) sum[i][j] += x[i / 4].v[i % 4] * y[j / 4].v[j % 4];
    }
    if (more) from_left.store(left[now ^ 1]), from_right.store(right[now ^ 1]);
    __syncthreads();
  }
  const auto write = [&](auto* to, std::int64_t row_step, std::int64_t column_step) {
    using To = std::remove_pointer_t<decltype(to)>;
    const int rows = int(g.m - row0 < Tile::rows ? g.m - row0 : Tile::rows);
    const int columns = int(g.n - column0 < Tile::columns ? g.n - column0 : Tile::columns);
    to += (row0 + ty * 4) * row_step + (column0 + tx * 4) * column_step;
#pragma unroll
    for (int i = 0; i < R; ++i) {
      const int row = i / 4 * down * 4 + i % 4;
      To* const line = to + row * row_step;
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const int column = j / 4 * across * 4 + j % 4;
        if (row + ty * 4 < rows && column + tx * 4 < columns) line[column * column_step] = To(sum[i][j]);
      }
    }
  };
  if (g.partial) write(g.partial + (split * g.batch + b) * g.m * g.n, g.n, 1);
  else write(g.result.c + b * g.result.batch, g.result.row, g.result.column);
}

// ---- Products with a vector: `matrix` has a lane for each element of the result, `vector` only a depth.

template <class T>
struct Gemv {
  Gemm<T> g;
  GemmSide<T> matrix, vector;
  std::int64_t lanes;
  bool row, packs;  // the result is a row; 16 bytes can be read at once

  __device__ void store(compute_t<T> sum, std::int64_t split, std::int64_t b, std::int64_t lane) const {
    if (g.partial) g.partial[(split * g.batch + b) * lanes + lane] = sum;
    else g.result.c[b * g.result.batch + lane * (row ? g.result.column : g.result.row)] = T(sum);
  }
};
template <class T>
struct alignas(16) GemvPack {
  static constexpr int size = int(16 / sizeof(T));
  T v[size];
};
constexpr int gemv_threads = 256;

// A warp for each dot product.
template <class T>
__global__ void __launch_bounds__(gemv_threads) gemv_dot_kernel(const Gemv<T> a) {
  using C = compute_t<T>;
  using P = GemvPack<T>;
  const int in_warp = int(threadIdx.x) % 32;
  const std::int64_t lane = std::int64_t(blockIdx.x) * (gemv_threads / 32) + threadIdx.x / 32;
  const std::int64_t b = a.g.first + blockIdx.z, begin = blockIdx.y * a.g.split_depth, rest = a.g.k - begin;
  const std::int64_t end = begin + (rest < a.g.split_depth ? rest : a.g.split_depth);
  C sum = 0;
  if (lane < a.lanes) {
    const T* x = a.matrix.data + (b * a.matrix.batch_step + lane * a.matrix.lane_step);
    const T* y = a.vector.data ? a.vector.data + b * a.vector.batch_step : nullptr;
#pragma unroll 4
    for (std::int64_t k = begin + in_warp * P::size; k < end; k += 32 * P::size) {
      P u = {}, v = {};
      if (a.packs && k + P::size <= end) {
        u = *reinterpret_cast<const P*>(x + k);
        if (y) v = *reinterpret_cast<const P*>(y + k);
      } else {
#pragma unroll
        for (int i = 0; i < P::size; ++i)
          if (k + i < end) {
            u.v[i] = x[k + i];
            if (y) v.v[i] = y[(k + i) * a.vector.depth_step];
          }
      }
#pragma unroll
      for (int i = 0; i < P::size; ++i) sum += y ? C(u.v[i]) * C(v.v[i]) : C(u.v[i]);
    }
  }
#pragma unroll
  for (int w = 16; w > 0; w /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, w);
  if (in_warp == 0 && lane < a.lanes) a.store(sum, blockIdx.y, b, lane);
}
// 32 neighbouring elements to a block, whose eight warps take every eighth step of the sum.
template <class T>
__global__ void __launch_bounds__(gemv_threads) gemv_sum_kernel(const Gemv<T> a) {
  using C = compute_t<T>;
  constexpr int warps = gemv_threads / 32;
  __shared__ C part[warps][32];
  const int in_warp = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
  const std::int64_t lane = std::int64_t(blockIdx.x) * 32 + in_warp;
  const std::int64_t b = a.g.first + blockIdx.z, begin = blockIdx.y * a.g.split_depth, rest = a.g.k - begin;
  const std::int64_t end = begin + (rest < a.g.split_depth ? rest : a.g.split_depth);
  C sum = 0;
  if (lane < a.lanes) {
    const T* x = a.matrix.data + (b * a.matrix.batch_step + lane * a.matrix.lane_step);
    const T* y = a.vector.data ? a.vector.data + b * a.vector.batch_step : nullptr;
#pragma unroll 8
    for (std::int64_t k = begin + warp; k < end; k += warps) {
      const C u = C(x[k * a.matrix.depth_step]);
      sum += y ? u * C(y[k * a.vector.depth_step]) : u;
    }
  }
  part[warp][in_warp] = sum;
  __syncthreads();
  if (warp == 0 && lane < a.lanes) {
#pragma unroll
    for (int w = 1; w < warps; ++w) sum += part[w][in_warp];
    a.store(sum, blockIdx.y, b, lane);
  }
}

// ---- Results of the sum of their parts, in order. Without parts: the epilogue alone.

template <class T>
__global__ void __launch_bounds__(256) gemm_fold_kernel(const Gemm<T> g) {
  using C = compute_t<T>;
  const std::int64_t area = g.m * g.n, total = area * g.batch;
  for (std::int64_t e = std::int64_t(blockIdx.x) * 256 + threadIdx.x; e < total; e += std::int64_t(gridDim.x) * 256) {
    C sum = 0;
#pragma unroll 4
    for (std::int64_t s = 0; s < g.splits; ++s) sum += g.partial[s * total + e];
    std::int64_t b = 0, i, j;
    if (total < std::int64_t(1) << 31) {  // divisions of 64 bits are long
      const unsigned r = unsigned(e) % unsigned(area);
      b = unsigned(e) / unsigned(area), i = r / unsigned(g.n), j = r % unsigned(g.n);
    } else {
      b = e / area, i = e % area / g.n, j = e % g.n;
    }
    g.result.store(sum, b, i, j);
  }
}

}  // namespace sinter::cuda
