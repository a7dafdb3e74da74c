// SPDX-License-Identifier: MIT
// Windows that slide over images, and what convolution reads of an image: a region of it, with zeros around where the windows
// hang over the edge.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sinter/cpu/gemm.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// An image (channels, height, width) and the windows that slide over it.
struct Patches {
  std::int64_t channels, height, width, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, out_h, out_w;
  std::int64_t taps() const { return kernel_h * kernel_w; }
  std::int64_t rows() const { return channels * taps(); }
  std::int64_t columns() const { return out_h * out_w; }
  std::int64_t image() const { return channels * height * width; }
  // Whether the matrix of all patches is the image itself.
  bool trivial() const {
    return kernel_h == 1 && kernel_w == 1 && stride_h == 1 && stride_w == 1 && pad_h == 0 && pad_w == 0 && out_h == height && out_w == width;
  }
};

// Rows [top, top + rows) and columns [left, left + pitch) of planes height x width; they may reach beyond.
struct Region {
  std::int64_t height, width, top, rows, left, pitch;
  bool inside() const { return top >= 0 && left >= 0 && top + rows <= height && left + pitch <= width; }
  std::int64_t plane() const { return rows * pitch; }

  // Fills plane() elements for each of the planes, and up to `slack` behind the last; `around` is what lies outside.
  static constexpr std::int64_t slack = 64;
  template <class T>
  void copy(const T* from, std::int64_t planes, T* to, T around = T(0)) const {
    const std::int64_t y0 = std::clamp<std::int64_t>(-top, 0, rows), y1 = std::clamp(height - top, y0, rows);
    const std::int64_t x0 = std::clamp<std::int64_t>(-left, 0, pitch), x1 = std::clamp(width - left, x0, pitch);
    from += (top + y0) * width + left + x0;
    for (std::int64_t p = 0; p < planes; ++p, from += height * width, to += plane()) {
      if (x1 - x0 >= Tile<T>::width) copy_plane<Tile<T>>(from, to, y0, y1, x0, x1, around);
      else if (x1 - x0 >= 4) copy_plane<Four<T>>(from, to, y0, y1, x0, x1, around);
      else copy_plane<void>(from, to, y0, y1, x0, x1, around);
    }
  }

 private:
  // Rows as vectors of `Words`, the last of which may overlap the one before.
  template <class Words, class T>
  void copy_plane(const T* from, T* to, std::int64_t y0, std::int64_t y1, std::int64_t x0, std::int64_t x1, T around) const {
    fill(to, y0 < y1 ? y0 * pitch + x0 : plane(), around);
    for (std::int64_t y = y0; y < y1; ++y, from += width) {
      T* row = to + y * pitch + x0;
      const std::int64_t n = x1 - x0;
      if constexpr (std::is_void_v<Words>) {
        for (std::int64_t i = 0; i < n; ++i) row[i] = from[i];
      } else {
        constexpr std::int64_t vector = sizeof(typename Words::Vector) / sizeof(T);
        for (std::int64_t i = 0; i + vector <= n; i += vector) std::memcpy(row + i, from + i, sizeof(typename Words::Vector));
        if (n % vector) std::memcpy(row + n - vector, from + n - vector, sizeof(typename Words::Vector));
      }
      fill(row + n, y + 1 < y1 ? pitch - n : (rows - y) * pitch - x1, around);
    }
  }
  // In whole vectors: what lies behind is written later.
  template <class T>
  static void fill(T* p, std::int64_t n, T value) {
    static_assert(Tile<T>::width <= slack);
    for (std::int64_t i = 0; i < n; i += Tile<T>::width) Tile<T>::store(p + i, value - typename Tile<T>::Vector{});
  }
};

// What a task reads: the region where it lies, else a copy.
template <class T>
struct RegionView {
  const T* base;  // source element (0, 0) of the first channel of the first image
  std::int64_t image, plane, pitch;

  // n images `image_step` apart, the first at `from`.
  RegionView(const Region& r, const T* from, std::int64_t image_step, std::int64_t n, std::int64_t channels, T* space) {
    if (r.inside()) {
      base = from, image = image_step, plane = r.height * r.width, pitch = r.width;
    } else {
      for (std::int64_t i = 0; i < n; ++i) r.copy(from + i * image_step, channels, space + i * channels * r.plane());
      base = space - r.top * r.pitch - r.left, image = channels * r.plane(), plane = r.plane(), pitch = r.pitch;
    }
  }
};

// How images of height x width are cut into tasks, whatever the number of threads: several small images, or some rows of one.
struct ImageBlocks {
  std::int64_t count, height, images = 1, rows = 1;

  // `row`: the bytes that a task touches for each row of an image.
  ImageBlocks(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t row) : count(n), height(h) {
    constexpr std::int64_t cache = 512 << 10, pixels = 96, tasks = 8;  // what a core keeps near; a task worth its preparation
    if (n == 0 || h == 0 || w == 0) {
      count = 0;
    } else if (const std::int64_t worth = (pixels + w - 1) / w; worth >= h) {
      rows = h, images = std::min(n, worth / h);
    } else {
      const std::int64_t parts = std::max(h * row / cache + 1, (tasks + n - 1) / n);
      rows = std::max(worth, (h + parts - 1) / parts);
    }
  }
  std::int64_t down() const { return (height + rows - 1) / rows; }
  std::int64_t size() const { return (count + images - 1) / images * down(); }
};
struct ImageBlock {
  std::int64_t n0, n1, y0, y1;
  ImageBlock(const ImageBlocks& b, std::int64_t i)
      : n0(i / b.down() * b.images), n1(std::min(b.count, n0 + b.images)), y0(i % b.down() * b.rows), y1(std::min(b.height, y0 + b.rows)) {}
  std::int64_t images() const { return n1 - n0; }
};

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
