// SPDX-License-Identifier: MIT
// Convolution with pixels in the lanes, for where there are few channels to fill them: depthwise, groups of a few channels, the
// first layer of a net. Each row of the result is summed tap by tap from rows of the source, which are copied with zeros
// around them and, where windows step over columns, sorted by phases: column q lies at q % step * phase + q / step.
#pragma once

#include "sinter/cpu/conv_plan.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// V vectors of R rows of the result; vector v begins at column x[v] and has n elements. Row r is to + r * to_step and has
// the weights from weights + r * taps on.
template <int R, int V, class T>
void direct_tile(const T* from, const std::int64_t* at, std::int64_t taps, const T* weights, const std::int64_t* x, std::int64_t n, T* to,
                 std::int64_t to_step) {
  using M = Tile<T>;
  typename M::Vector sum[R][V] = {};
  for (std::int64_t k = 0; k < taps; ++k) {
    typename M::Vector source[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) source[v] = M::load(from + x[v] + at[k]);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] += weights[r * taps + k] * source[v];
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      if (n == M::width) M::store(to + r * to_step + x[v], sum[r][v]);
      else
        for (std::int64_t i = 0; i < n; ++i) to[r * to_step + i] = sum[r][v][i];
    }
}

// A region whose columns are sorted by their phases, where windows step over them.
struct PhasedRegion {
  Region part;
  std::int64_t step, phase, pitch;
  PhasedRegion(const Region& r, std::int64_t advance) : part(r), step(advance), phase((r.pitch + step - 1) / step), pitch(phase * step) {}
  std::int64_t plane() const { return part.rows * pitch; }
  // Where source element (row, column) lies.
  std::int64_t at(std::int64_t row, std::int64_t column) const {
    const std::int64_t q = column - part.left;
    return (row - part.top) * pitch + q % step * phase + q / step;
  }
  // As Region::copy().
  template <class T>
  void copy(const T* from, std::int64_t planes, T* to, T around = T(0)) const {
    if (step == 1) return part.copy(from, planes, to, around);
    for (std::int64_t c = 0; c < planes; ++c, from += part.height * part.width)
      for (std::int64_t y = part.top; y < part.top + part.rows; ++y, to += pitch) {
        std::fill_n(to, pitch, around);
        if (y < 0 || y >= part.height) continue;
        const T* row = from + y * part.width;
        for (std::int64_t f = 0; f < step; ++f) {  // columns left + t * step
          const std::int64_t left = part.left + f, first = left < 0 ? (-left + step - 1) / step : 0;
          const std::int64_t end = std::min(phase, left < part.width ? (part.width - left - 1) / step + 1 : 0);
          for (std::int64_t t = first; t < end; ++t) to[f * phase + t] = row[left + t * step];
        }
      }
  }
};

// Whether pixels fill the lanes better than `out` channels do.
template <class T>
bool direct_pays(std::int64_t out, std::int64_t across) { return 2 * out <= Tile<T>::width && 2 * across >= Tile<T>::width; }

template <class T>
struct DirectConvolution : ConvolutionPlan {
  explicit DirectConvolution(const ConvolutionPlan& p) : ConvolutionPlan(p) {}

  void run(const T* source, const T* weights, T* result, Finish finish = {}) const {
    Scratch<T> packed(groups * out * depth());
    T* to = packed.data;
    for (std::int64_t g = 0; g < groups; ++g)  // per group and phase: (out, channels and taps)
      for (std::int64_t p = 0; p < phases(); ++p)
        for (std::int64_t o = 0; o < out; ++o)
          for (std::int64_t c = 0; c < in; ++c)
            each_tap(p, [&](std::int64_t tap, std::int64_t, std::int64_t) { *to++ = weights[g * group_step + o * out_step + c * in_step + tap]; });
    const T* filters = packed.data;
    const std::int64_t row = in * region(0, h.extent).plane() / std::max<std::int64_t>(h.extent, 1) + out * w.extent;
    const ImageBlocks blocks(count, h.extent, w.extent, row * std::int64_t(sizeof(T)));
    parallel_for(blocks.size() * groups, wide(), [=](std::int64_t i) {
      const std::int64_t g = i % groups;
      const ImageBlock b(blocks, i / groups);
      for (std::int64_t n = b.n0; n < b.n1; ++n)
        task(source + (n * groups + g) * in * h.source * w.source, filters + g * out * depth(), b.y0, b.y1,
             result + (n * groups + g) * out * h.extent * w.extent, n * groups + g, finish);
    });
  }

 private:
  static constexpr int rows = 4, vectors = 2;
  static constexpr std::int64_t width = Tile<T>::width;

  void task(const T* source, const T* filters, std::int64_t y0, std::int64_t y1, T* result, std::int64_t product, Finish finish) const {
    const PhasedRegion part(region(y0, y1), w.advance());
    const std::int64_t area = h.extent * w.extent;
    Scratch<T> space(in * part.plane() + Region::slack), line(rows * w.extent);
    Scratch<std::int64_t> at(depth());
    part.copy(source, in, space.data);
    for (std::int64_t p = 0; p < phases(); ++p) {
      const std::int64_t ph = p / w.phases(), pw = p % w.phases(), n = (w.extent - pw + w.phases() - 1) / w.phases();
      const std::int64_t last = std::max<std::int64_t>(0, n - width);
      std::int64_t taps = 0;
      for (std::int64_t c = 0; c < in; ++c)
        each_tap(p, [&](std::int64_t, std::int64_t down, std::int64_t right) {
          at.data[taps++] = c * part.plane() + part.at(down, right);
        });
      for (std::int64_t y = y0 <= ph ? ph : y0 + (ph - y0 % h.phases() + h.phases()) % h.phases(); y < y1; y += h.phases()) {
        const T* from = space.data + y / h.phases() * h.advance() * part.pitch;
        for (std::int64_t o = 0; o < out;) {
          T* to = result + o * area + y * w.extent;
          const bool many = o + rows <= out, apart = w.phases() > 1;
          T* start = apart ? line.data : to;
          const std::int64_t next = apart ? w.extent : area;
          for (std::int64_t i = 0; i < n; i += vectors * width) {
            const std::int64_t x[vectors] = {std::min(i, last), std::min(i + width, last)};  // the last may overlap those before
            if (many) direct_tile<rows, vectors>(from, at.data, taps, filters + o * taps, x, std::min(n, width), start, next);
            else direct_tile<1, vectors>(from, at.data, taps, filters + o * taps, x, std::min(n, width), start, next);
          }
          for (std::int64_t r = 0; apart && r < (many ? rows : 1); ++r)
            for (std::int64_t x = 0; x < n; ++x) to[r * area + x * w.phases() + pw] = line.data[r * w.extent + x];
          o += many ? rows : 1;
        }
      }
      filters += out * taps;
    }
    if (finish.run) finish.run(finish.self, product, 0, out, y0 * w.extent, y1 * w.extent);
  }
};

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
