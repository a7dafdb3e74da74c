// SPDX-License-Identifier: MIT
// Convolution and its gradient for the image as one indirect product: the channels of the result lie in the lanes, a pixel's
// window is a row of the left. Only a few rows of the source are copied at a time, with zeros around them.
#pragma once

#include "sinter/cpu/indirect.hpp"
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
// weights[(g * out_and_in + ...)]: group_step, out_step and in_step apart, the taps of one kernel in a row.
template <class T>
struct IndirectConvolution {
  Axis h, w;
  std::int64_t count, groups, in, out, group_step, out_step, in_step;

  void run(const T* source, const T* weights, T* result, Finish finish = {}) const {
    const std::int64_t depth = in * h.kernel * w.kernel, padded = whole_vectors<T>(out);
    const bool wide = count * groups * out * h.extent * w.extent / phases() * depth >= product_threshold;
    Scratch<T> packed(groups * depth * padded);
    T* panels = packed.data;
    parallel_for(groups * ((out + lanes - 1) / lanes), wide, [=](std::int64_t i) {
      const std::int64_t g = i % groups, o = i / groups * lanes;
      pack(weights + g * group_step + o * out_step, std::min(lanes, out - o), panels + (g * padded + o) * depth);
    });
    const std::int64_t row = in * region(0, h.extent).plane() / std::max<std::int64_t>(h.extent, 1) + w.extent * std::min(lanes, padded);
    const ImageBlocks blocks(count, h.extent, w.extent, row * std::int64_t(sizeof(T)));
    parallel_for(blocks.size() * groups, wide, [=](std::int64_t i) {
      task(ImageBlock(blocks, i / groups), i % groups, source, panels + i % groups * padded * depth, depth, result, finish);
    });
  }

 private:
  static constexpr std::int64_t lanes = Tile<T>::columns;

  std::int64_t phases() const { return h.phases() * w.phases(); }
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
  // The panels of all phases, one after the other.
  void pack(const T* weights, std::int64_t n, T* to) const {
    const std::int64_t all = h.kernel * w.kernel;
    if (phases() == 1 && in_step == all) return pack_panel(to, weights, in * all, 1, n, out_step);
    for (std::int64_t p = 0; p < phases(); ++p)
      for (std::int64_t c = 0; c < in; ++c) {
        if (phases() == 1) pack_panel(to + c * all * whole_vectors<T>(n), weights + c * in_step, all, 1, n, out_step);
        else
          each_tap(p, [&](std::int64_t tap, std::int64_t, std::int64_t) {
            pack_panel(to, weights + c * in_step + tap, 1, 0, n, out_step);
            to += whole_vectors<T>(n);
          });
      }
  }
  void task(const ImageBlock& b, std::int64_t g, const T* source, const T* panels, std::int64_t all, T* result, Finish finish) const {
    const std::int64_t image = h.source * w.source, area = h.extent * w.extent, first = b.y0 * w.extent, pixels = (b.y1 - b.y0) * w.extent;
    const Region part = region(b.y0, b.y1);
    Scratch<T> space(part.inside() ? 1 : b.images() * in * part.plane());
    const RegionView<T> view(part, source + (b.n0 * groups + g) * in * image, groups * in * image, b.images(), in, space.data);
    Scratch<IndirectRow> rows(b.images() * pixels);
    Scratch<std::int64_t> at(all);
    Scratch<T> product(b.images() * pixels * std::min(lanes, whole_vectors<T>(out)));
    for (std::int64_t o = 0; o < out; o += lanes) {
      const std::int64_t n = std::min(lanes, out - o), step = whole_vectors<T>(n);
      const T* panel = panels + o * all;
      for (std::int64_t p = 0; p < phases(); ++p) {
        const std::int64_t count = list_rows(b, view, p, rows.data), depth = list_taps(view, p, at.data);
        indirect_product(view.base, rows.data, count, at.data, depth, panel, n, product.data, false);
        panel += depth * step;
      }
      for (std::int64_t i = 0; i < b.images(); ++i) {
        const std::int64_t plane = (b.n0 + i) * groups + g;
        transpose_rows(result + (plane * out + o) * area + first, area, product.data + i * pixels * step, step, pixels, n);
        if (finish.run) finish.run(finish.self, plane, o, o + n, first, first + pixels);
      }
    }
  }
  std::int64_t list_rows(const ImageBlock& b, const RegionView<T>& view, std::int64_t p, IndirectRow* rows) const {
    const std::int64_t ph = p / w.phases(), pw = p % w.phases(), sh = h.phases(), sw = w.phases();
    std::int64_t n = 0;
    for (std::int64_t i = 0; i < b.images(); ++i)
      for (std::int64_t t = b.y0 <= ph ? 0 : (b.y0 - ph + sh - 1) / sh; ph + t * sh < b.y1; ++t) {
        const std::int64_t from = i * view.image + t * h.advance() * view.pitch, to = (i * (b.y1 - b.y0) + ph + t * sh - b.y0) * w.extent + pw;
        for (std::int64_t u = 0; pw + u * sw < w.extent; ++u) rows[n++] = {from + u * w.advance(), to + u * sw};
      }
    return n;
  }
  std::int64_t list_taps(const RegionView<T>& view, std::int64_t p, std::int64_t* at) const {
    std::int64_t n = 0;
    each_tap(p, [&](std::int64_t, std::int64_t down, std::int64_t right) { at[n++] = down * view.pitch + right; });
    if (in == 0) return 0;
    for (std::int64_t i = n; i < n * in; ++i) at[i] = at[i - n] + view.plane;
    return n * in;
  }
};

// Convolution in dense memory: images (count, groups * patches.channels, height, width), weights (groups * out, patches.rows()),
// results (count, groups * out, out_h, out_w). `out`: channels of the result in one group.
struct ConvolutionShape {
  Patches patches;
  std::int64_t count, groups, out;
  Axis down(bool back) const { return {back ? patches.height : patches.out_h, back ? patches.out_h : patches.height, patches.kernel_h, patches.stride_h, patches.pad_h, patches.dilation_h, back}; }
  Axis across(bool back) const { return {back ? patches.width : patches.out_w, back ? patches.out_w : patches.width, patches.kernel_w, patches.stride_w, patches.pad_w, patches.dilation_w, back}; }
};

// z = x * w; `finish` sees product n * groups + g, rows the channels of the group, columns the pixels.
template <class T>
void convolution(const ConvolutionShape& s, const T* x, const T* w, T* z, Finish finish = {}) {
  const std::int64_t rows = s.patches.rows();
  IndirectConvolution<T>{s.down(false), s.across(false), s.count, s.groups, s.patches.channels, s.out, s.out * rows, rows, s.patches.taps()}.run(x, w, z, finish);
}
// The gradient for x.
template <class T>
void convolution_image_gradient(const ConvolutionShape& s, const T* dz, const T* w, T* dx) {
  const std::int64_t rows = s.patches.rows();
  IndirectConvolution<T>{s.down(true), s.across(true), s.count, s.groups, s.out, s.patches.channels, s.out * rows, s.patches.taps(), rows}.run(dz, w, dx);
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
