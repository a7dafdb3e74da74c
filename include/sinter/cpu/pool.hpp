// SPDX-License-Identifier: MIT
// The greatest element of every window, pixels in the lanes.
#pragma once

#include <limits>

#include "sinter/cpu/conv_direct.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// greater ? v : best, lane by lane; spelt out, since nvcc's front end fails on the operator where types depend on a parameter.
template <class Indices, class V>
SINTER_HOST V select(Indices greater, V v, V best) {
  const auto bits = [](const V& x) {  // not lane::bits(), which is device code to nvcc, where vectors are not allowed
    Indices i;
    std::memcpy(&i, &x, sizeof i);
    return i;
  };
  const Indices chosen = (bits(v) & greater) | (bits(best) & ~greater);
  std::memcpy(&best, &chosen, sizeof best);
  return best;
}

// The greatest of each window of one plane and its place there. NaN is greater than everything, the first of equals wins; a
// window of nothing but -infinity has the place of its first element, so `first` gives that of each column of windows.
template <class T>
void max_plane(const Patches& p, const T* x, const std::int32_t* first, T* y, std::int32_t* place) {
  using M = Tile<T>;
  using Vector = typename M::Vector;
  using Index = typename Four<T>::Index;
  typedef Index Indices __attribute__((vector_size(sizeof(Vector))));
  constexpr std::int64_t width = M::width;
  const PhasedRegion part({p.height, p.width, -p.pad_h, (p.out_h - 1) * p.stride_h + (p.kernel_h - 1) * p.dilation_h + 1, -p.pad_w,
                           (p.out_w - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1},
                          p.stride_w);
  constexpr T least = -std::numeric_limits<T>::infinity();
  Scratch<T> space(part.plane() + Region::slack);
  part.copy(x, 1, space.data, least);
  Indices lane{};
  for (int l = 0; l < width; ++l) lane[l] = Index(l * p.stride_w);
  const std::int64_t last = std::max<std::int64_t>(0, p.out_w - width), n = std::min(width, p.out_w);
  Scratch<Index> begin(p.out_w + width);
  for (std::int64_t i = 0; i < p.out_w + width; ++i) begin.data[i] = i < p.out_w ? first[i] : 0;
  for (std::int64_t r = 0; r < p.out_h; ++r, y += p.out_w, place += p.out_w) {
    const std::int64_t top = r * p.stride_h - p.pad_h, above = top < 0 ? (-top + p.dilation_h - 1) / p.dilation_h * p.dilation_h : 0;
    for (std::int64_t i = 0; i < p.out_w; i += width) {
      const std::int64_t o = std::min(i, last);  // the last may overlap those before
      Vector best = least - Vector{};
      Indices at;
      std::memcpy(&at, begin.data + o, sizeof at);
      at += Index((top + above) * p.width);
      for (std::int64_t a = 0; a < p.kernel_h; ++a)
        for (std::int64_t b = 0; b < p.kernel_w; ++b) {
          const std::int64_t row = top + a * p.dilation_h, column = b * p.dilation_w - p.pad_w;
          const Vector v = M::load(space.data + part.at(row, column) + o);
          const Indices greater = (v > best) | (v != v);
          best = select(greater, v, best);
          at = select(greater, Indices(lane + Index(row * p.width + column + o * p.stride_w)), at);
        }
      if (n == width) M::store(y + o, best);
      for (std::int64_t l = 0; l < n; ++l) {
        if (n != width) y[o + l] = best[l];
        place[o + l] = std::int32_t(at[l]);
      }
    }
  }
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
