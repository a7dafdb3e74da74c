// SPDX-License-Identifier: MIT
// Where a convolution, or its gradient for the image, finds what its result is made of.
#pragma once

#include "sinter/cpu/patches.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// One dimension on the way from a result to what it is made of. Forward the result is the image of windows. Backward it is the
// image itself: its pixels fall into `stride` phases, each of which meets every stride-th tap and is a convolution by itself.
struct Axis {
  std::int64_t extent, source, kernel, stride, pad, dilation;
  bool back;

  std::int64_t phases() const { return back ? stride : 1; }
  std::int64_t advance() const { return back ? 1 : stride; }
  // Where pixel phase + t * phases() finds tap i: source element t * advance() + shift. False where it does not meet it.
  bool tap(std::int64_t phase, std::int64_t i, std::int64_t& shift) const {
    if (!back) return shift = i * dilation - pad, true;
    shift = (phase + pad - i * dilation) / stride;
    return shift * stride == phase + pad - i * dilation;
  }
  // The first and last source elements of all taps of pixel y.
  std::int64_t first(std::int64_t y) const { return back ? floor(y + pad - (kernel - 1) * dilation) : y * stride - pad; }
  std::int64_t last(std::int64_t y) const { return back ? floor(y + pad) : y * stride - pad + (kernel - 1) * dilation; }

 private:
  std::int64_t floor(std::int64_t at) const { return at >= 0 ? at / stride : -((stride - 1 - at) / stride); }
};

// result (count, groups * out, h, w) from source (count, groups * in, h', w'), both dense. Weight (o, c, tap) of group g is
// weights[g * group_step + o * out_step + c * in_step + tap].
struct ConvolutionPlan {
  Axis h, w;
  std::int64_t count, groups, in, out, group_step, out_step, in_step;

  std::int64_t taps() const { return h.kernel * w.kernel; }
  std::int64_t depth() const { return in * taps(); }  // of all phases together
  std::int64_t phases() const { return h.phases() * w.phases(); }
  bool wide() const { return count * groups * out * h.extent * w.extent / phases() * depth() >= product_threshold; }
  // What rows [y0, y1) of the result are made of.
  Region region(std::int64_t y0, std::int64_t y1) const {
    const std::int64_t top = h.first(y0), left = w.first(0);
    return {h.source, w.source, top, h.last(y1 - 1) - top + 1, left, w.last(w.extent - 1) - left + 1};
  }
  // f(tap, down, right) for the taps that phase p meets.
  template <class F>
  void each_tap(std::int64_t p, F f) const {
    std::int64_t down = 0, right = 0;
    for (std::int64_t i = 0; i < h.kernel; ++i)
      if (h.tap(p / w.phases(), i, down))
        for (std::int64_t j = 0; j < w.kernel; ++j)
          if (w.tap(p % w.phases(), j, right)) f(i * w.kernel + j, down, right);
  }
};

// Convolution in dense memory: images (count, groups * patches.channels, height, width), weights (groups * out, patches.rows()),
// results (count, groups * out, out_h, out_w). `out`: channels of the result in one group.
struct ConvolutionShape {
  Patches patches;
  std::int64_t count, groups, out;

  // The way to the result, or back to the image.
  ConvolutionPlan plan(bool back) const {
    const Patches& p = patches;
    const Axis h{back ? p.height : p.out_h, back ? p.out_h : p.height, p.kernel_h, p.stride_h, p.pad_h, p.dilation_h, back};
    const Axis w{back ? p.width : p.out_w, back ? p.out_w : p.width, p.kernel_w, p.stride_w, p.pad_w, p.dilation_w, back};
    if (back) return {h, w, count, groups, out, p.channels, out * p.rows(), p.taps(), p.rows()};
    return {h, w, count, groups, p.channels, out, out * p.rows(), p.rows(), p.taps()};
  }
};

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
