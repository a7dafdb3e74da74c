// SPDX-License-Identifier: MIT
// Convolution as an indirect product: the channels of the result lie in the lanes, a pixel's window is a row of the left. Only
// a few rows of the source are copied at a time, with zeros around them.
#pragma once

#include "sinter/cpu/conv_plan.hpp"
#include "sinter/cpu/indirect.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

template <class T>
struct IndirectConvolution : ConvolutionPlan {
  explicit IndirectConvolution(const ConvolutionPlan& p) : ConvolutionPlan(p) {}

  void run(const T* source, const T* weights, T* result, Finish finish = {}) const {
    const std::int64_t depth = this->depth(), padded = whole_vectors<T>(out);
    Scratch<T> packed(groups * depth * padded);
    T* panels = packed.data;
    parallel_for(groups * ((out + lanes - 1) / lanes), wide(), [=](std::int64_t i) {
      const std::int64_t g = i % groups, o = i / groups * lanes;
      pack(weights + g * group_step + o * out_step, std::min(lanes, out - o), panels + (g * padded + o) * depth);
    });
    const std::int64_t row = in * region(0, h.extent).plane() / std::max<std::int64_t>(h.extent, 1) + w.extent * std::min(lanes, padded);
    const ImageBlocks blocks(count, h.extent, w.extent, row * std::int64_t(sizeof(T)));
    parallel_for(blocks.size() * groups, wide(), [=](std::int64_t i) {
      task(ImageBlock(blocks, i / groups), i % groups, source, panels + i % groups * padded * depth, depth, result, finish);
    });
  }

 private:
  static constexpr std::int64_t lanes = Tile<T>::columns;
  static constexpr std::int64_t chunk = 96;  // pixels whose results leave for memory while the next are computed

  // The panels of all phases, one after the other.
  void pack(const T* weights, std::int64_t n, T* to) const {
    const std::int64_t all = taps();
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
    Scratch<T> space(part.inside() ? 0 : b.images() * in * part.plane() + Region::slack);
    const RegionView<T> view(part, source + (b.n0 * groups + g) * in * image, groups * in * image, b.images(), in, space.data);
    Scratch<IndirectRow> rows(b.images() * pixels);
    Scratch<std::int64_t> at(all);
    Scratch<T> product((phases() == 1 ? chunk : b.images() * pixels) * std::min(lanes, whole_vectors<T>(out)));
    for (std::int64_t o = 0; o < out; o += lanes) {
      const std::int64_t n = std::min(lanes, out - o), step = whole_vectors<T>(n);
      const T* panel = panels + o * all;
      const auto finish_rows = [&](std::int64_t r0, std::int64_t r1, const T* done) {
        for (std::int64_t next; r0 < r1; done += (next - r0) * step, r0 = next) {
          const std::int64_t i = r0 / pixels, plane = (b.n0 + i) * groups + g, column = first + r0 - i * pixels;
          next = std::min(r1, (i + 1) * pixels);
          transpose_rows(result + (plane * out + o) * area + column, area, done, step, next - r0, n);
          if (finish.run) finish.run(finish.self, plane, o, o + n, column, column + next - r0);
        }
      };
      if (phases() == 1) {
        const std::int64_t count = list_rows(b, view, 0, rows.data), depth = list_taps(view, 0, at.data);
        for (std::int64_t r = 0; r < count; r += chunk) {
          const std::int64_t m = std::min(chunk, count - r);
          indirect_product(view.base, rows.data + r, m, at.data, depth, panel, n, product.data, false);
          finish_rows(r, r + m, product.data);
        }
      } else {
        for (std::int64_t p = 0; p < phases(); ++p) {
          const std::int64_t count = list_rows(b, view, p, rows.data), depth = list_taps(view, p, at.data);
          indirect_product(view.base, rows.data, count, at.data, depth, panel, n, product.data, false);
          panel += depth * step;
        }
        finish_rows(0, b.images() * pixels, product.data);
      }
    }
  }
  std::int64_t list_rows(const ImageBlock& b, const RegionView<T>& view, std::int64_t p, IndirectRow* rows) const {
    const std::int64_t ph = p / w.phases(), pw = p % w.phases(), sh = h.phases(), sw = w.phases();
    std::int64_t n = 0;
    for (std::int64_t i = 0; i < b.images(); ++i)
      for (std::int64_t t = b.y0 <= ph ? 0 : (b.y0 - ph + sh - 1) / sh; ph + t * sh < b.y1; ++t) {
        const std::int64_t from = i * view.image + t * h.advance() * view.pitch, to = (i * (b.y1 - b.y0) + ph + t * sh - b.y0) * w.extent + pw;
        for (std::int64_t u = 0; pw + u * sw < w.extent; ++u) rows[n] = {from + u * w.advance(), phases() == 1 ? n % chunk : to + u * sw}, ++n;
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

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
