// SPDX-License-Identifier: MIT
// The patches of an image as the columns of a matrix, so that convolution is a matrix product; and the way back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "sinter/cpu/gemm.hpp"

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

// Windows one apart, as many to a row as the image is wide: each row of the matrix is a plane shifted by (dy, dx). Calls
// plane(out, from, n, first, top, bottom, left, right): n elements from `from` on match those from out + first on;
// rows outside of [top, bottom) and columns outside of [left, right) lie in the padding.
template <class F>
void for_each_shifted_plane(const Patches& p, F&& plane) {
  std::int64_t out = 0;
  for (std::int64_t c = 0; c < p.channels; ++c)
    for (std::int64_t i = 0; i < p.kernel_h; ++i)
      for (std::int64_t j = 0; j < p.kernel_w; ++j, out += p.columns()) {
        const std::int64_t dy = i * p.dilation_h - p.pad_h, dx = j * p.dilation_w - p.pad_w, w = p.width;
        const std::int64_t top = std::min(p.out_h, std::max<std::int64_t>(0, -dy)), bottom = std::max(top, std::min(p.out_h, p.height - dy));
        const std::int64_t left = std::min(w, std::max<std::int64_t>(0, -dx)), right = std::max(left, std::min(w, w - dx));
        const bool none = top == bottom || left == right;
        const std::int64_t first = top * w + left, n = none ? 0 : (bottom - 1) * w + right - first;
        plane(out, c * p.height * w + (none ? 0 : first + dy * w + dx), n, first, top, bottom, left, right);
      }
}
inline bool shifts(const Patches& p) { return p.stride_h == 1 && p.stride_w == 1 && p.out_w == p.width; }

// Zeroes what lies in the padding to the left and right of a plane.
template <class T>
void clear_sides(T* plane, std::int64_t width, std::int64_t top, std::int64_t bottom, std::int64_t left, std::int64_t right) {
  if (left == 0 && right == width) return;
  for (std::int64_t y = top; y < bottom; ++y) {
    for (std::int64_t x = 0; x < left; ++x) plane[y * width + x] = T(0);
    for (std::int64_t x = right; x < width; ++x) plane[y * width + x] = T(0);
  }
}

// columns (rows() x columns()) from an image.
template <class T>
void im2col(const Patches& p, const T* image, T* columns) {
  if (shifts(p)) {
    for_each_shifted_plane(p, [&](std::int64_t out, std::int64_t from, std::int64_t n, std::int64_t first, std::int64_t top,
                                  std::int64_t bottom, std::int64_t left, std::int64_t right) {
      T* to = columns + out;
      std::fill(to, to + top * p.width, T(0));
      std::copy_n(image + from, n, to + first);
      std::fill(to + bottom * p.width, to + p.columns(), T(0));
      clear_sides(to, p.width, top, bottom, left, right);
    });
    return;
  }
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

// image += every column at its patch. What belongs to the padding is overwritten.
template <class T>
void col2im(const Patches& p, T* columns, T* image) {
  if (shifts(p)) {
    for_each_shifted_plane(p, [&](std::int64_t out, std::int64_t from, std::int64_t n, std::int64_t first, std::int64_t top,
                                  std::int64_t bottom, std::int64_t left, std::int64_t right) {
      clear_sides(columns + out, p.width, top, bottom, left, right);
      T* to = image + from;
      const T* source = columns + out + first;
      std::int64_t i = 0;
      for (; i + Tile<T>::width <= n; i += Tile<T>::width) Tile<T>::store(to + i, Tile<T>::load(to + i) + Tile<T>::load(source + i));
      for (; i < n; ++i) to[i] += source[i];
    });
    return;
  }
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
