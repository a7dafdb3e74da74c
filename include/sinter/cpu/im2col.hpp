// SPDX-License-Identifier: MIT
// The patches of an image as the columns of a matrix, so that convolution is a matrix product; and the way back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "sinter/core/config.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// An image (channels, height, width) and the windows that slide over it.
struct Patches {
  std::int64_t channels, height, width, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, out_h, out_w;
  std::int64_t rows() const { return channels * kernel_h * kernel_w; }
  std::int64_t columns() const { return out_h * out_w; }
  // Whether the matrix is the image itself.
  bool trivial() const {
    return kernel_h == 1 && kernel_w == 1 && stride_h == 1 && stride_w == 1 && pad_h == 0 && pad_w == 0 && out_h == height && out_w == width;
  }
};

// Calls row(out, from, first, last) for every row of windows: the matrix's elements out + [first, last) are the image's from
// `from` on, a stride apart; the others up to out + out_w lie in the padding.
template <class F>
void for_each_patch_row(const Patches& p, F&& row) {
  std::int64_t out = 0;
  for (std::int64_t c = 0; c < p.channels; ++c)
    for (std::int64_t i = 0; i < p.kernel_h; ++i)
      for (std::int64_t j = 0; j < p.kernel_w; ++j) {
        const std::int64_t shift = j * p.dilation_w - p.pad_w;  // x of column o: o * stride + shift
        const std::int64_t first = std::min(p.out_w, shift >= 0 ? 0 : (-shift + p.stride_w - 1) / p.stride_w);
        const std::int64_t last = std::max(first, std::min(p.out_w, p.width > shift ? (p.width - shift - 1) / p.stride_w + 1 : 0));
        for (std::int64_t o = 0; o < p.out_h; ++o, out += p.out_w) {
          const std::int64_t y = o * p.stride_h - p.pad_h + i * p.dilation_h;
          if (y < 0 || y >= p.height) row(out, std::int64_t(0), 0, 0);
          else row(out, (c * p.height + y) * p.width + first * p.stride_w + shift, first, last);
        }
      }
}

// columns (rows() x columns()) from an image.
template <class T>
void im2col(const Patches& p, const T* image, T* columns) {
  for_each_patch_row(p, [&](std::int64_t out, std::int64_t from, std::int64_t first, std::int64_t last) {
    T* to = columns + out;
    std::fill(to, to + first, T(0));
    const T* source = image + from;
    if (p.stride_w == 1) std::copy_n(source, last - first, to + first);
    else
      for (std::int64_t o = first; o < last; ++o) to[o] = source[(o - first) * p.stride_w];
    std::fill(to + last, to + p.out_w, T(0));
  });
}

// image += every column at its patch.
template <class T>
void col2im(const Patches& p, const T* columns, T* image) {
  for_each_patch_row(p, [&](std::int64_t out, std::int64_t from, std::int64_t first, std::int64_t last) {
    const T* source = columns + out;
    T* to = image + from;
    if (p.stride_w == 1)
      for (std::int64_t o = first; o < last; ++o) to[o - first] += source[o];
    else
      for (std::int64_t o = first; o < last; ++o) to[(o - first) * p.stride_w] += source[o];
  });
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
