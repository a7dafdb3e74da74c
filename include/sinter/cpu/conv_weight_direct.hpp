// SPDX-License-Identifier: MIT
// The gradient of a convolution for its weights with pixels in the lanes, for depthwise convolutions and others with few
// channels: a weight is the sum of a plane of gradients times the plane of the source that it met.
#pragma once

#include "sinter/cpu/conv_direct.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// The first n elements at p, zeros behind.
template <class T>
SINTER_HOST typename Tile<T>::Vector load_lanes_until(const T* p, std::int64_t n) {
  if (n >= Tile<T>::width) return Tile<T>::load(p);
  T lanes[Tile<T>::width] = {};
  for (std::int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return Tile<T>::load(lanes);
}

// sums[(r * taps + k) * width ...] += lane by lane, over the rows of a plane, dz row r times x at tap k; for R planes of dz and K taps.
template <int R, int K, class T>
void direct_weight_tile(const T* x, std::int64_t x_step, const std::int64_t* at, const T* dz, std::int64_t dz_plane, std::int64_t height, std::int64_t width,
                        T* sums, std::int64_t taps) {
  using M = Tile<T>;
  typename M::Vector sum[R][K];
  for (int r = 0; r < R; ++r)
    for (int k = 0; k < K; ++k) sum[r][k] = M::load(sums + (r * taps + k) * M::width);
  for (std::int64_t y = 0; y < height; ++y, x += x_step, dz += width)
    for (std::int64_t u = 0; u < width; u += M::width) {
      typename M::Vector g[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) g[r] = load_lanes_until(dz + r * dz_plane + u, width - u);
#pragma GCC unroll 8
      for (int k = 0; k < K; ++k) {
        const typename M::Vector v = M::load(x + at[k] + u);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) sum[r][k] += g[r] * v;
      }
    }
  for (int r = 0; r < R; ++r)
    for (int k = 0; k < K; ++k) M::store(sums + (r * taps + k) * M::width, sum[r][k]);
}

template <class T>
struct DirectWeightGradient {
  ConvolutionShape s;

  // dw (groups * out, patches.rows()) and, unless null, dbias (groups * out).
  void run(const T* x, const T* dz, T* dw, T* dbias) const {
    const Patches& p = s.patches;
    const ConvolutionPlan plan = s.plan(false);
    constexpr std::int64_t width = Tile<T>::width;
    const std::int64_t taps = p.rows() + 1, size = s.groups * s.out * taps * width;  // the last: the bias
    const std::int64_t row = p.channels * plan.region(0, p.out_h).plane() / std::max<std::int64_t>(p.out_h, 1) + s.out * p.out_w;
    const ImageBlocks blocks(s.count, p.out_h, p.out_w, row * std::int64_t(sizeof(T)));
    const std::int64_t parts = std::min(blocks.size(), std::max<std::int64_t>(1, 8 / s.groups));
    Scratch<T> sums(std::max<std::int64_t>(parts, 1) * size);
    T* to = sums.data;
    std::fill_n(to, std::max<std::int64_t>(parts, 1) * size, T(0));
    parallel_for(parts * s.groups, plan.wide(), [=](std::int64_t i) {
      const std::int64_t part = i / s.groups, g = i % s.groups;
      for (std::int64_t b = part * blocks.size() / parts; b < (part + 1) * blocks.size() / parts; ++b)
        task(plan, ImageBlock(blocks, b), g, x, dz, to + part * size + g * s.out * taps * width);
    });
    for (std::int64_t i = 0; i < s.groups * s.out * taps; ++i) {
      T total = 0;
      for (std::int64_t part = 0; part < std::max<std::int64_t>(parts, 1); ++part)
        for (std::int64_t l = 0; l < width; ++l) total += to[part * size + i * width + l];
      if (i % taps < p.rows()) dw[i / taps * p.rows() + i % taps] = total;
      else if (dbias) dbias[i / taps] = total;
    }
  }

 private:
  void task(const ConvolutionPlan& plan, const ImageBlock& b, std::int64_t g, const T* x, const T* dz, T* sums) const {
    const Patches& p = s.patches;
    constexpr std::int64_t width = Tile<T>::width;
    const PhasedRegion part(plan.region(b.y0, b.y1), p.stride_w);
    const std::int64_t taps = p.rows() + 1, ones = p.channels * part.plane() + Region::slack, height = b.y1 - b.y0;
    Scratch<T> space(ones + p.out_w + width);
    Scratch<std::int64_t> at(taps);
    std::fill_n(space.data + ones, p.out_w + width, T(1));
    std::int64_t n = 0;
    for (std::int64_t c = 0; c < p.channels; ++c)
      plan.each_tap(0, [&](std::int64_t, std::int64_t down, std::int64_t right) {
        at.data[n++] = c * part.plane() + part.at(b.y0 * p.stride_h + down, right);
      });
    for (std::int64_t i = b.n0; i < b.n1; ++i) {
      part.copy(x + (i * s.groups + g) * p.image(), p.channels, space.data);
      const T* gradient = dz + (i * s.groups + g) * s.out * p.columns() + b.y0 * p.out_w;
      const std::int64_t x_step = p.stride_h * part.pitch;
      for (std::int64_t o = 0; o < s.out; ++o) {
        const T* plane = gradient + o * p.columns();
        T* to = sums + o * taps * width;
        std::int64_t k = 0;
        if (o + 4 <= s.out) {
          for (; k + 3 <= n; k += 3) direct_weight_tile<4, 3>(space.data, x_step, at.data + k, plane, p.columns(), height, p.out_w, to + k * width, taps);
          for (; k < n; ++k) direct_weight_tile<4, 1>(space.data, x_step, at.data + k, plane, p.columns(), height, p.out_w, to + k * width, taps);
          direct_weight_tile<4, 1>(space.data + ones, 0, &zero, plane, p.columns(), height, p.out_w, to + n * width, taps);
          o += 3;
        } else {
          for (; k + 5 <= n; k += 5) direct_weight_tile<1, 5>(space.data, x_step, at.data + k, plane, p.columns(), height, p.out_w, to + k * width, taps);
          for (; k < n; ++k) direct_weight_tile<1, 1>(space.data, x_step, at.data + k, plane, p.columns(), height, p.out_w, to + k * width, taps);
          direct_weight_tile<1, 1>(space.data + ones, 0, &zero, plane, p.columns(), height, p.out_w, to + n * width, taps);
        }
      }
    }
  }
  static constexpr std::int64_t zero = 0;
};

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
