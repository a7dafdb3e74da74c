// SPDX-License-Identifier: MIT
// The gradient of a convolution for its weights as indirect products: a weight is a row of the left, which runs over the pixels
// it met; the channels of the result lie in the lanes. Groups of images are summed in a fixed order.
#pragma once

#include "sinter/cpu/conv_weight_direct.hpp"
#include "sinter/cpu/indirect.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

template <class T>
struct WeightGradient {
  ConvolutionShape s;
  const Patches& p = s.patches;
  static constexpr std::int64_t lanes = Tile<T>::columns;

  // dw (groups * out, patches.rows()) and, unless null, dbias (groups * out).
  void run(const T* x, const T* dz, T* dw, T* dbias) const {
    const std::int64_t step = whole_vectors<T>(s.out), size = s.groups * (p.rows() + 1) * step;  // the last row: the bias
    const std::int64_t row = p.channels * p.stride_h * p.out_w * p.stride_w + p.out_w * std::min(lanes, step);
    const ImageBlocks blocks(s.count, p.out_h, p.out_w, row * std::int64_t(sizeof(T)));
    // Many weights are shared out by channel, many pixels by image.
    const std::int64_t slices = std::clamp<std::int64_t>(p.rows() / 128, 1, std::min<std::int64_t>(8, p.channels));
    const std::int64_t parts = std::min(blocks.size(), 8 / slices);
    const bool wide = s.count * s.groups * s.out * p.rows() * p.columns() >= product_threshold;
    Scratch<T> sums(std::max<std::int64_t>(parts, 1) * size);
    T* to = sums.data;
    if (parts == 0) std::fill_n(to, size, T(0));
    parallel_for(parts * slices * s.groups, wide, [=](std::int64_t i) {
      const std::int64_t g = i % s.groups, slice = i / s.groups % slices, part = i / s.groups / slices;
      const std::int64_t c0 = slice * p.channels / slices, c1 = (slice + 1) * p.channels / slices;
      T* sum = to + part * size + g * (p.rows() + 1) * step;
      for (std::int64_t b = part * blocks.size() / parts; b < (part + 1) * blocks.size() / parts; ++b)
        task(ImageBlock(blocks, b), g, c0, c1, x, dz, sum, b > part * blocks.size() / parts, slice == 0);
    });
    parallel_for(s.groups * s.out, size >= parallel_threshold, [=](std::int64_t i) {
      const std::int64_t g = i / s.out, o = i % s.out, panel = o / lanes * lanes, across = std::min(lanes, step - panel);
      const T* from = to + g * (p.rows() + 1) * step + panel * (p.rows() + 1) + o % lanes;
      for (std::int64_t k = 0; k <= p.rows(); ++k) {
        T total = from[k * across];
        for (std::int64_t part = 1; part < parts; ++part) total += from[part * size + k * across];
        if (k < p.rows()) dw[i * p.rows() + k] = total;
        else if (dbias) dbias[i] = total;
      }
    });
  }

 private:
  // sums (panels of (patches.rows() + 1) x lanes) (+)= what block b adds to channels [c0, c1).
  void task(const ImageBlock& b, std::int64_t g, std::int64_t c0, std::int64_t c1, const T* x, const T* dz, T* sums, bool add, bool bias) const {
    const std::int64_t image = p.height * p.width, area = p.columns(), first = b.y0 * p.out_w, pixels = (b.y1 - b.y0) * p.out_w, n = c1 - c0;
    const Region part{p.height, p.width, b.y0 * p.stride_h - p.pad_h, (b.y1 - 1 - b.y0) * p.stride_h + (p.kernel_h - 1) * p.dilation_h + 1,
                      -p.pad_w, (p.out_w - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1};
    Scratch<T> space(part.inside() ? 0 : b.images() * n * part.plane() + Region::slack);
    const std::int64_t all = s.groups * p.channels * image;
    const RegionView<T> view(part, x + b.n0 * all + (g * p.channels + c0) * image, all, b.images(), n, space.data);
    Scratch<IndirectRow> rows(n * p.taps());
    Scratch<std::int64_t> at(b.images() * pixels);
    std::int64_t r = 0, d = 0;
    for (std::int64_t c = 0; c < n; ++c)
      for (std::int64_t i = 0; i < p.kernel_h; ++i)
        for (std::int64_t j = 0; j < p.kernel_w; ++j, ++r)
          rows.data[r] = {c * view.plane + (i * p.dilation_h - p.pad_h) * view.pitch + j * p.dilation_w - p.pad_w, c0 * p.taps() + r};
    for (std::int64_t i = 0; i < b.images(); ++i)
      for (std::int64_t y = b.y0; y < b.y1; ++y)
        for (std::int64_t u = 0; u < p.out_w; ++u) at.data[d++] = i * view.image + y * p.stride_h * view.pitch + u * p.stride_w;
    Scratch<T> panel(d * std::min(lanes, whole_vectors<T>(s.out)));
    for (std::int64_t o = 0; o < s.out; o += lanes) {
      const std::int64_t across = std::min(lanes, s.out - o), step = whole_vectors<T>(across);
      for (std::int64_t i = 0; i < b.images(); ++i)
        pack_panel(panel.data + i * pixels * step, dz + (((b.n0 + i) * s.groups + g) * s.out + o) * area + first, pixels, 1, across, area);
      T* to = sums + o * (p.rows() + 1);
      indirect_product(view.base, rows.data, r, at.data, d, panel.data, across, to, add);
      if (bias) add_rows(to + p.rows() * step, panel.data, d, step, add);
    }
  }
  static void add_rows(T* to, const T* rows, std::int64_t n, std::int64_t step, bool add) {
    using M = Tile<T>;
    for (std::int64_t v = 0; v < step; v += M::width) {
      typename M::Vector sum = {};
      for (std::int64_t i = 0; i < n; ++i) sum += M::load(rows + i * step + v);
      M::store(to + v, add ? M::load(to + v) + sum : sum);
    }
  }
};

// The gradient for the weights and, unless dbias is null, the bias.
template <class T>
void convolution_weight_gradient(const ConvolutionShape& s, const T* x, const T* dz, T* dw, T* dbias) {
  if (direct_pays<T>(s.out, s.patches.out_w)) DirectWeightGradient<T>{s}.run(x, dz, dw, dbias);
  else WeightGradient<T>{s}.run(x, dz, dw, dbias);
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
