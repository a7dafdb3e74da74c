// SPDX-License-Identifier: MIT
// Convolution and both of its gradients as one implicit matrix product: result(row, column) = sum over depth of
// left(row, depth) * source(column, depth). Every column and every depth is a Place: where it reads the source, and at which
// coordinates, and the two are simply added. For y and dx a column is a pixel of the result and a depth a tap (channel and
// position in the kernel), and left is the weight; for dw it is the other way round, and left is dy. dx of a strided
// convolution falls into stride_h * stride_w phases, pixels that meet the same taps; each is a convolution by itself.
#pragma once

#include <cstdint>

#include "sinter/core/dtype.hpp"
#include "sinter/cuda/runtime.cuh"

namespace sinter::cuda {

// One dimension on the way from pixels of the result to the source.
struct ConvAxis {
  int extent, source, kernel, stride, pad, dilation;
  int phases, advance, tap_step;  // pixel phase + t * phases reads the source at t * advance + shift(tap)
  bool back;

  // The taps of a phase are first, first + tap_step, ...
  __device__ int first_tap(int phase) const {
    for (int i = 0; i < tap_step && i < kernel; ++i)
      if (!back || (phase + pad - i * dilation) % stride == 0) return i;
    return kernel;
  }
  __device__ int shift(int phase, int tap) const {
    const int at = phase + pad - tap * dilation;
    return !back ? tap * dilation - pad : stride == 1 ? at : at / stride;
  }
};

struct Place {
  int source, y, x;  // parts of an index into the source and of the coordinates there
  int other;         // into the left operand or the result
};
// Added to any place it is above the image.
constexpr int no_place = -(1 << 30);

struct ConvPlan {
  ConvAxis h, w;
  int images, channels, rows;  // channels of the source and of the result, in one group
  int source_plane, source_image, result_plane, result_image;
  int weight_row, weight_channel;  // steps of the weights, whose taps lie side by side
};

// What the pixels of one phase have in common.
struct ConvPhase {
  int h, w, first_h, first_w, taps_h, taps_w, pixels_h, pixels_w;

  ConvPhase() = default;
  __device__ ConvPhase(const ConvPlan& p, int phase) : h(phase / p.w.phases), w(phase % p.w.phases) {
    first_h = p.h.first_tap(h), first_w = p.w.first_tap(w);
    taps_h = (p.h.kernel - first_h + p.h.tap_step - 1) / p.h.tap_step;
    taps_w = (p.w.kernel - first_w + p.w.tap_step - 1) / p.w.tap_step;
    pixels_h = (p.h.extent - h + p.h.phases - 1) / p.h.phases;
    pixels_w = (p.w.extent - w + p.w.phases - 1) / p.w.phases;
  }
  __device__ int pixels(const ConvPlan& p) const { return p.images * pixels_h * pixels_w; }
  __device__ int taps(const ConvPlan& p) const { return p.channels * taps_h * taps_w; }
  __device__ Place pixel(const ConvPlan& p, int n) const {
    const int row = n / pixels_w, u = n - row * pixels_w, image = row / pixels_h, v = row - image * pixels_h;
    const int y = v * p.h.advance, x = u * p.w.advance;
    return {image * p.source_image + y * p.w.source + x, y, x,
            image * p.result_image + (h + v * p.h.phases) * p.w.extent + w + u * p.w.phases};
  }
  __device__ Place tap(const ConvPlan& p, int k) const {
    const int line = k / taps_w, channel = line / taps_h;
    const int i = first_h + (line - channel * taps_h) * p.h.tap_step, j = first_w + (k - line * taps_w) * p.w.tap_step;
    const int y = p.h.shift(h, i), x = p.w.shift(w, j);
    return {channel * p.source_plane + y * p.w.source + x, y, x, channel * p.weight_channel + i * p.w.kernel + j};
  }
};

template <class T>
struct ConvProduct {
  using C = compute_t<T>;
  ConvPlan plan;
  const T *source, *left, *bias;
  T* out;
  C* partial;  // where the depth is split: the sums of each part, one after the other
  std::int64_t source_group, left_group, out_group, part_size;
  int left_step, out_step;  // from row to row
  int groups, splits, split_depth, row_tiles, column_tiles;
  bool aligned;             // four columns are one store
};

template <class T>
struct alignas(sizeof(T) * 4 < 16 ? sizeof(T) * 4 : 16) Quad {
  T v[4];
};

}  // namespace sinter::cuda
