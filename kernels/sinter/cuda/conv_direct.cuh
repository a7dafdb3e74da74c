// SPDX-License-Identifier: MIT
// Convolutions of few channels in a group (depthwise), where tiles of a matrix product would be empty: each thread sums for itself.
#pragma once

#include "sinter/cuda/conv_plan.cuh"

namespace sinter::cuda {

// Few rows in a group (depthwise): a thread sums R rows of four pixels, one below the other, with neighbours beside it.
template <class T, int R>
__global__ void __launch_bounds__(128) direct_conv(const ConvProduct<T> a) {
  using C = compute_t<T>;
  const ConvPlan& p = a.plan;
  int block = int(blockIdx.x);
  const int phases = p.h.phases * p.w.phases, wide = (p.w.extent + p.w.phases - 1) / p.w.phases;
  int at = block % a.column_tiles * 128 + int(threadIdx.x);
  block /= a.column_tiles;
  const int row0 = block % a.row_tiles * R, group = block / a.row_tiles % a.groups, image = block / a.row_tiles / a.groups;
  const int u = at % wide;
  at /= wide;
  const ConvPhase f(p, at % phases);
  const int v0 = at / phases * 4;
  if (v0 >= f.pixels_h || u >= f.pixels_w) return;
  const T* source = a.source + (group * a.source_group + std::int64_t(image) * p.source_image);
  const T* weights = a.left + (group * a.left_group + std::int64_t(row0) * p.weight_row);
  C sum[4][R];
#pragma unroll
  for (int r = 0; r < R; ++r) {
    const C bias = a.bias && row0 + r < p.rows ? C(a.bias[group * p.rows + row0 + r]) : C(0);
    for (int q = 0; q < 4; ++q) sum[q][r] = bias;
  }
  for (int c = 0; c < p.channels; ++c, source += p.source_plane, weights += p.weight_channel)
    for (int i = f.first_h; i < p.h.kernel; i += p.h.tap_step) {
      const int y = v0 * p.h.advance + p.h.shift(f.h, i);
      for (int j = f.first_w; j < p.w.kernel; j += p.w.tap_step) {
        const int x = u * p.w.advance + p.w.shift(f.w, j);
        C value[4];
#pragma unroll
        for (int q = 0; q < 4; ++q) {
          const int yq = y + q * p.h.advance;
          const bool inside = unsigned(yq) < unsigned(p.h.source) && unsigned(x) < unsigned(p.w.source);
          value[q] = inside ? C(source[std::int64_t(yq) * p.w.source + x]) : C(0);
        }
#pragma unroll
        for (int r = 0; r < R; ++r) {
          const C w = R == 1 || row0 + r < p.rows ? C(weights[r * p.weight_row + i * p.w.kernel + j]) : C(0);
#pragma unroll
          for (int q = 0; q < 4; ++q) sum[q][r] += value[q] * w;
        }
      }
    }
  T* out = a.out + (group * a.out_group + std::int64_t(image) * p.result_image + f.w + u * p.w.phases);
#pragma unroll
  for (int r = 0; r < R; ++r)
#pragma unroll
    for (int q = 0; q < 4; ++q)
      if (row0 + r < p.rows && v0 + q < f.pixels_h)
        out[std::int64_t(row0 + r) * a.out_step + std::int64_t(f.h + (v0 + q) * p.h.phases) * p.w.extent] = T(sum[q][r]);
}

// The weights of one pair of channels of a group, up to nine at a time.
template <class T>
__global__ void __launch_bounds__(128) direct_weight(const ConvProduct<T> a) {
  using C = compute_t<T>;
  constexpr int taps = 9, warps = 4;
  __shared__ C sums[warps][taps];
  const ConvPlan& p = a.plan;
  const int thread = int(threadIdx.x), part = int(blockIdx.y), area = p.h.kernel * p.w.kernel;
  int block = int(blockIdx.x);
  const int tap0 = block % a.column_tiles * taps;
  block /= a.column_tiles;
  const int c = block % p.channels, row = block / p.channels % p.rows, group = block / p.channels / p.rows;
  int down[taps], right[taps];
#pragma unroll
  for (int t = 0; t < taps; ++t) {
    const int i = (tap0 + t) / p.w.kernel, j = (tap0 + t) % p.w.kernel;
    down[t] = tap0 + t < area ? i * p.h.dilation - p.h.pad : no_place;
    right[t] = j * p.w.dilation - p.w.pad;
  }
  const T* source = a.source + (group * a.source_group + std::int64_t(c) * p.source_plane);
  const T* dy = a.left + (group * a.left_group + std::int64_t(row) * a.left_step);
  const int all = p.images * p.result_plane, begin = part * a.split_depth, end = all - begin < a.split_depth ? all : begin + a.split_depth;
  C sum[taps] = {};
  // The pixel, and what 128 pixels are.
  int u = (begin + thread) % p.w.extent, line = (begin + thread) / p.w.extent, v = line % p.h.extent, image = line / p.h.extent;
  const int step_u = 128 % p.w.extent, step_line = 128 / p.w.extent, step_v = step_line % p.h.extent, step_image = step_line / p.h.extent;
  for (int k = begin + thread; k < end; k += 128) {
    const C g = C(dy[std::int64_t(image) * p.result_image + std::int64_t(v) * p.w.extent + u]);
    const T* from = source + std::int64_t(image) * p.source_image;
#pragma unroll
    for (int t = 0; t < taps; ++t) {
      const int y = v * p.h.stride + down[t], x = u * p.w.stride + right[t];
      if (unsigned(y) < unsigned(p.h.source) && unsigned(x) < unsigned(p.w.source)) sum[t] += g * C(from[std::int64_t(y) * p.w.source + x]);
    }
    u += step_u;
    v += step_v;
    image += step_image;
    if (u >= p.w.extent) u -= p.w.extent, ++v;
    if (v >= p.h.extent) v -= p.h.extent, ++image;
  }
#pragma unroll
  for (int t = 0; t < taps; ++t) {
    for (int m = 16; m > 0; m /= 2) sum[t] += __shfl_xor_sync(0xffffffffu, sum[t], m);
    if (thread % 32 == 0) sums[thread / 32][t] = sum[t];
  }
  __syncthreads();
  if (thread < taps && tap0 + thread < area) {
    const C total = (sums[0][thread] + sums[1][thread]) + (sums[2][thread] + sums[3][thread]);
    const std::int64_t to = (std::int64_t(group) * p.rows + row) * p.channels * area + std::int64_t(c) * area + tap0 + thread;
    if (a.partial) a.partial[part * a.part_size + to] = total;
    else a.out[to] = T(total);
  }
}

}  // namespace sinter::cuda
