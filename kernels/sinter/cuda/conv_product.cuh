// SPDX-License-Identifier: MIT
// The implicit matrix product of convolutions, in tiles that are double-buffered in shared memory.
#pragma once

#include <type_traits>

#include "sinter/cuda/conv_plan.cuh"

namespace sinter::cuda {

// A tile of Rows x Columns is summed in steps of Depth, and in the registers of each thread are R x N of its elements: quads of
// rows times quads of columns, so that a warp's 4 x 8 threads read neighbouring quads of shared memory.
template <int Rows, int Columns, int Depth, int R, int N>
struct ConvTile {
  static constexpr int rows = Rows, columns = Columns, depth = Depth, r = R, n = N, threads = Rows / R * (Columns / N);
  static constexpr int blocks = Rows == 128 ? 2 : Depth == 8 ? 3 : 4;  // at least on a multiprocessor: bounds the registers
};
// What a block of threads computes: the same for all of them, and so kept in shared memory.
struct ProductTask {
  ConvPhase phase;
  int row0, column0, columns, begin, end, group, split;  // columns in all; [begin, end) of the depth

  ProductTask() = default;
  template <class T>
  __device__ ProductTask(const ConvProduct<T>& a, int tile_rows, int tile_columns, bool weight) {
    unsigned block = blockIdx.x;
    const auto next = [&block](int n) {
      const unsigned i = block % unsigned(n);
      block /= unsigned(n);
      return int(i);
    };
    row0 = next(a.row_tiles) * tile_rows, column0 = next(a.column_tiles) * tile_columns, split = next(a.splits), group = next(a.groups);
    phase = ConvPhase(a.plan, int(block));
    const int pixels = phase.pixels(a.plan), taps = phase.taps(a.plan), depth = weight ? pixels : taps;
    columns = weight ? taps : pixels;
    begin = split * a.split_depth < depth ? split * a.split_depth : depth;
    end = depth - begin < a.split_depth ? depth : begin + a.split_depth;
  }
  __device__ Place place(const ConvPlan& p, int i, bool tap) const { return tap ? phase.tap(p, i) : phase.pixel(p, i); }
};
// How a warp reads the source: along columns, one at a time or four (of 1 x 1 kernels), or along the depth.
enum class ConvRead { column, quad, depth };

template <class T, class Tile, ConvRead read>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks) implicit_product(const ConvProduct<T> a) {
  using C = compute_t<T>;
  constexpr int rows = Tile::rows, columns = Tile::columns, depth = Tile::depth, threads = Tile::threads;
  constexpr int chunk = 128;  // of the depth, whose places are tabulated together
  constexpr int lefts = rows * depth / threads, sources = columns * depth / threads;
  static_assert(columns <= threads && chunk <= threads && chunk % depth == 0 && threads % depth == 0);
  __shared__ ProductTask task;
  __shared__ Place column_at[columns];
  __shared__ Place depth_at[2][chunk];
  __shared__ Quad<C> left[2][depth][rows / 4 + 1];
  __shared__ Quad<C> right[2][depth][columns / 4 + 1];

  const int thread = int(threadIdx.x);
  constexpr bool weight = read == ConvRead::depth;
  if (thread == 0) task = ProductTask(a, rows, columns, weight);
  __syncthreads();
  const int steps = (task.end - task.begin + depth - 1) / depth;
  if (task.column0 >= task.columns) return;
  const T* const source = a.source + task.group * a.source_group;
  const T* const from_left = a.left + task.group * a.left_group;
  const int height = a.plan.h.source, width = a.plan.w.source;

  const auto tabulate = [&](int c) {
    const int k = task.begin + c * chunk + thread;
    if (thread < chunk) depth_at[c & 1][thread] = k >= task.end ? Place{0, no_place, 0, -1} : task.place(a.plan, k, !weight);
  };
  if (thread < columns) {
    const int n = task.column0 + thread;
    column_at[thread] = n >= task.columns ? Place{0, no_place, 0, -1} : task.place(a.plan, n, weight);
  }
  tabulate(0);
  __syncthreads();

  const Place mine = column_at[read == ConvRead::column ? thread % columns : read == ConvRead::quad ? thread % (columns / 4) * 4 : 0];
  const auto value = [&](const Place& c, const Place& d) {
    const int y = c.y + d.y, x = c.x + d.x;
    return unsigned(y) < unsigned(height) && unsigned(x) < unsigned(width) ? source[c.source + d.source] : T(0.f);
  };
  T held_left[lefts], held[sources];
  const auto load = [&](int step) {
    const Place* at = &depth_at[step / (chunk / depth) & 1][step % (chunk / depth) * depth];
    const Place own = at[thread % depth];
    const int row = task.row0 + thread / depth;
    const T* from = from_left + (std::int64_t(row) * a.left_step + own.other);
#pragma unroll
    for (int i = 0; i < lefts; ++i, from += std::int64_t(threads / depth) * a.left_step)
      held_left[i] = own.other >= 0 && row + i * (threads / depth) < a.plan.rows ? *from : T(0.f);
    if constexpr (read == ConvRead::column) {
#pragma unroll
      for (int i = 0; i < sources; ++i) held[i] = value(mine, at[thread / columns + i * (threads / columns)]);
    } else if constexpr (read == ConvRead::quad) {
#pragma unroll
      for (int i = 0; i < sources / 4; ++i) {
        const Place d = at[thread / (columns / 4) + i * (threads / (columns / 4))];
        Quad<T> q = {};
        if (mine.y + d.y >= 0) q = *reinterpret_cast<const Quad<T>*>(source + (mine.source + d.source));
        for (int l = 0; l < 4; ++l) held[i * 4 + l] = q.v[l];
      }
    } else {
#pragma unroll
      for (int i = 0; i < sources; ++i) held[i] = value(column_at[thread / depth + i * (threads / depth)], own);
    }
  };
  const auto store = [&](int b) {
#pragma unroll
    for (int i = 0; i < lefts; ++i) {
      const int m = thread / depth + i * (threads / depth);
      left[b][thread % depth][m / 4].v[m % 4] = C(held_left[i]);
    }
    if constexpr (read == ConvRead::quad) {
#pragma unroll
      for (int i = 0; i < sources / 4; ++i) {
        Quad<C> q;
        for (int l = 0; l < 4; ++l) q.v[l] = C(held[i * 4 + l]);
        right[b][thread / (columns / 4) + i * (threads / (columns / 4))][thread % (columns / 4)] = q;
      }
    } else {
#pragma unroll
      for (int i = 0; i < sources; ++i) {
        const int n = weight ? thread / depth + i * (threads / depth) : thread % columns;
        const int d = weight ? thread % depth : thread / columns + i * (threads / columns);
        right[b][d][n / 4].v[n % 4] = C(held[i]);
      }
    }
  };

  constexpr int across = columns / Tile::n, down = rows / Tile::r, warps_across = across / 8;
  const int warp = thread / 32, lane = thread % 32;
  const int ty = warp / warps_across * 4 + lane / 8, tx = warp % warps_across * 8 + lane % 8;
  C sum[Tile::r][Tile::n] = {};
  if (steps > 0) {
    load(0);
    store(0);
  }
  __syncthreads();
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps) load(step + 1);
    if (step % (chunk / depth) == 0) tabulate(step / (chunk / depth) + 1);
    const int b = step & 1;
#pragma unroll 8
    for (int d = 0; d < depth; ++d) {
      Quad<C> l[Tile::r / 4], r[Tile::n / 4];
#pragma unroll
      for (int i = 0; i < Tile::r / 4; ++i) l[i] = left[b][d][i * down + ty];
#pragma unroll
      for (int i = 0; i < Tile::n / 4; ++i) r[i] = right[b][d][i * across + tx];
#pragma unroll
      for (int i = 0; i < Tile::r; ++i)
#pragma unroll
        for (int j = 0; j < Tile::n; ++j) sum[i][j] += l[i / 4].v[i % 4] * r[j / 4].v[j % 4];
    }
    if (step + 1 < steps) store(b ^ 1);
    __syncthreads();
  }

  const auto write = [&](auto* to) {
    using To = std::remove_pointer_t<decltype(to)>;
#pragma unroll
    for (int i = 0; i < Tile::r; ++i) {
      const int row = task.row0 + (i / 4 * down + ty) * 4 + i % 4;
      if (row >= a.plan.rows) continue;
      const C bias = a.bias && !a.partial ? C(a.bias[task.group * a.plan.rows + row]) : C(0);
      To* const line = to + (task.group * a.out_group + std::int64_t(row) * a.out_step);
#pragma unroll
      for (int j = 0; j < Tile::n; j += 4) {
        const Place* at = &column_at[(j / 4 * across + tx) * 4];
        if (a.aligned) {
          Quad<To> q;
          for (int l = 0; l < 4; ++l) q.v[l] = To(sum[i][j + l] + bias);
          if (at[0].other >= 0) *reinterpret_cast<Quad<To>*>(line + at[0].other) = q;
        } else {
          for (int l = 0; l < 4; ++l)
            if (at[l].other >= 0) line[at[l].other] = To(sum[i][j + l] + bias);
        }
      }
    }
  };
  if (a.partial) write(a.partial + task.split * a.part_size);
  else write(a.out);
}

// out[i] = the sum of the parts' elements i, in their order, plus bias[i / plane % channels].
template <class T>
__global__ void __launch_bounds__(256) fold_parts(const compute_t<T>* parts, int n, std::int64_t size, const T* bias, int plane, int channels, T* out) {
  for (std::int64_t i = std::int64_t(blockIdx.x) * 256 + threadIdx.x; i < size; i += std::int64_t(gridDim.x) * 256) {
    compute_t<T> sum = bias ? compute_t<T>(bias[i / plane % channels]) : compute_t<T>(0);
#pragma unroll 4
    for (int k = 0; k < n; ++k) sum += parts[k * size + i];
    out[i] = T(sum);
  }
}

}  // namespace sinter::cuda
