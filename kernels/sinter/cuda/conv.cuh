// SPDX-License-Identifier: MIT
// Convolution without a library: which kernel suits a problem, and in how many parts its sums run.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "sinter/cuda/conv_direct.cuh"
#include "sinter/cuda/conv_product.cuh"
#include "sinter/device/conv.hpp"

namespace sinter::cuda {

inline int conv_int(std::int64_t n) {
  if (n < 0 || n > 1 << 30)
    fail<ShapeError>("conv2d: ", n, " elements, or steps between them, in one image or group of weights are too many for its CUDA kernels");
  return int(n);
}
inline ConvAxis conv_axis(bool back, std::int64_t out, std::int64_t in, std::int64_t kernel, std::int64_t stride, std::int64_t pad,
                          std::int64_t dilation) {
  const int step = back ? int(stride / std::gcd(stride, dilation)) : 1;
  conv_int(dilation * kernel + pad + stride);
  return {int(back ? in : out), int(back ? out : in), int(kernel), int(stride), int(pad), int(dilation), back ? int(stride) : 1,
          back ? 1 : int(stride), step, back};
}

// One problem: images of it that 32 bits count are computed at a time.
template <class T>
struct Convolver {
  using C = compute_t<T>;
  const ConvArgs& args;
  bool weight = args.pass == ConvPass::weight, back = args.pass == ConvPass::image;
  std::int64_t taps = args.kernel_h * args.kernel_w, x_plane = args.height * args.width, y_plane = args.out_h * args.out_w;
  std::int64_t size = weight ? args.w_numel() : back ? args.x_numel() : args.y_numel();
  static constexpr std::int64_t enough_blocks = 264;  // that a large device is busy; a constant, for it decides the order of sums

  explicit Convolver(const ConvArgs& a) : args(a) {}

  void run() const {
    if (size == 0) return;
    const std::int64_t image = args.groups * std::max(args.in * x_plane, args.out * y_plane);
    const std::int64_t most = std::max<std::int64_t>(1, (1 << 30) / std::max(1, conv_int(image)));
    ConvProduct<T> p = product();
    if (!weight) {
      for (std::int64_t n = 0; n < args.count; n += most) {
        p.plan.images = int(std::min(most, args.count - n));
        result(p);
        p.source += p.plan.images * std::int64_t(p.plan.source_image);
        p.out += p.plan.images * std::int64_t(p.plan.result_image);
      }
      return;
    }
    // Parts of the sum over all pixels.
    const bool direct = args.in <= 4 && args.out <= 4;
    std::int64_t parts = 0;
    for (int pass = 0; pass < 2; ++pass) {
      const std::int64_t all = parts;
      Workspace space(pass == 1 && all > 1 ? std::size_t(all * size) * sizeof(C) : 0);
      p = product();
      parts = 0;
      for (std::int64_t n = 0; n == 0 || n < args.count; n += most) {
        p.plan.images = int(std::min(most, args.count - n));
        const std::int64_t pixels = p.plan.images * y_plane;
        if (direct) {
          p.column_tiles = int((taps + 8) / 9);
          split(p, pixels, args.groups * args.in * args.out * p.column_tiles / 4, 1024);
        } else {
          tiled([&](auto tile) { split_tiles<decltype(tile)>(p, args.in * taps, pixels); });
        }
        if (pass == 1) {
          p.partial = all > 1 ? static_cast<C*>(space.data()) + parts * size : nullptr;
          if (direct) {
            const dim3 grid(unsigned(p.column_tiles * args.groups * args.in * args.out), unsigned(p.splits));
            SINTER_LAUNCH("conv2d", direct_weight<T>, grid, 128, 0, p);
          } else {
            tiled([&](auto tile) { launch<decltype(tile), ConvRead::depth>(p, 1); });
          }
        }
        parts += p.splits;
        p.source += p.plan.images * std::int64_t(p.plan.source_image);
        p.left += p.plan.images * std::int64_t(p.plan.result_image);
      }
      if (pass == 1 && all > 1) fold(static_cast<const C*>(space.data()), all, size, nullptr, p.out);
    }
  }

 private:
  ConvProduct<T> product() const {
    const ConvArgs& a = args;
    ConvProduct<T> p = {};
    p.plan.h = conv_axis(back, a.out_h, a.height, a.kernel_h, a.stride_h, a.pad_h, a.dilation_h);
    p.plan.w = conv_axis(back, a.out_w, a.width, a.kernel_w, a.stride_w, a.pad_w, a.dilation_w);
    const int x = conv_int(x_plane), y = conv_int(y_plane), all_x = int(a.groups * a.in) * x, all_y = int(a.groups * a.out) * y;
    const int row = conv_int(a.in * taps), column = int(taps);
    conv_int(a.out * a.in * taps);
    p.plan.channels = int(back ? a.out : a.in), p.plan.rows = int(back ? a.in : a.out);
    p.plan.source_plane = back ? y : x, p.plan.source_image = back ? all_y : all_x;
    p.plan.result_plane = back ? x : y, p.plan.result_image = back ? all_x : all_y;
    p.plan.weight_row = back ? column : row, p.plan.weight_channel = back ? row : column;
    p.source = static_cast<const T*>(a.a), p.left = static_cast<const T*>(a.b);
    p.bias = static_cast<const T*>(a.bias), p.out = static_cast<T*>(a.to);
    p.source_group = std::int64_t(p.plan.channels) * p.plan.source_plane;
    p.left_group = weight ? a.out * y_plane : a.out * row, p.left_step = weight ? y : p.plan.weight_row;
    p.out_group = weight ? a.out * row : std::int64_t(p.plan.rows) * p.plan.result_plane, p.out_step = weight ? row : p.plan.result_plane;
    p.groups = conv_int(a.groups), p.splits = 1, p.part_size = size;
    const bool quads = weight ? row % 4 == 0 : phases(p) == 1 && p.plan.result_plane % 4 == 0;
    p.aligned = quads && reinterpret_cast<std::uintptr_t>(p.out) % alignof(Quad<T>) == 0;
    return p;
  }
  static std::int64_t phases(const ConvProduct<T>& p) { return std::int64_t(p.plan.h.phases) * p.plan.w.phases; }
  // Whether the columns' places are the source's own elements, four of which are one load.
  static bool reads_quads(const ConvProduct<T>& p) {
    if constexpr (!std::is_same_v<T, float>) return false;
    const auto same = [](const ConvAxis& a) { return a.kernel == 1 && a.stride == 1 && a.pad == 0 && a.extent == a.source; };
    return same(p.plan.h) && same(p.plan.w) && p.plan.source_plane % 4 == 0 &&
           reinterpret_cast<std::uintptr_t>(p.source) % alignof(Quad<T>) == 0;
  }

  // Calls f with the tile that suits the number of rows.
  template <class F>
  void tiled(F f) const {
    const std::int64_t rows = back ? args.in : args.out;
    if constexpr (std::is_same_v<T, double>) {
      f(ConvTile<32, 128, 8, 8, 4>{});
    } else if constexpr (!std::is_same_v<T, float>) {
      f(ConvTile<64, 128, 8, 8, 8>{});
    } else {
      if (rows > 256 || (rows - 1) % 128 >= 64) f(ConvTile<128, 128, 8, 8, 8>{});
      else if (rows > 32 && (rows - 1) % 64 >= 32) f(ConvTile<64, 128, 8, 8, 8>{});
      else f(ConvTile<32, 128, 16, 8, 4>{});
    }
  }
  template <class Tile>
  void split_tiles(ConvProduct<T>& p, std::int64_t columns, std::int64_t depth) const {
    p.row_tiles = (p.plan.rows + Tile::rows - 1) / Tile::rows;
    p.column_tiles = int((columns + Tile::columns - 1) / Tile::columns);
    split(p, depth, p.row_tiles * std::int64_t(p.column_tiles) * args.groups * (weight ? 1 : phases(p)), 8 * Tile::depth);
  }
  // Parts of the depth, multiples of `least`, so that there are enough blocks.
  static void split(ConvProduct<T>& p, std::int64_t depth, std::int64_t blocks, std::int64_t least) {
    const std::int64_t units = std::max<std::int64_t>(1, (depth + least - 1) / least);
    const std::int64_t wanted = std::clamp<std::int64_t>(enough_blocks / std::max<std::int64_t>(blocks, 1), 1, units);
    const std::int64_t each = (units + wanted - 1) / wanted;
    p.split_depth = int(each * least), p.splits = int((units + each - 1) / each);
  }
  template <class Tile, ConvRead read>
  static void launch(ConvProduct<T>& p, std::int64_t phases) {
    const std::int64_t blocks = phases * p.groups * p.splits * p.column_tiles * p.row_tiles;
    SINTER_LAUNCH("conv2d", (implicit_product<T, Tile, read>), unsigned(conv_int(blocks)), Tile::threads, 0, p);
  }
  static void fold(const C* parts, std::int64_t n, std::int64_t size, const ConvProduct<T>* p, T* out) {
    const std::int64_t blocks = std::min<std::int64_t>((size + 255) / 256, 4096);
    SINTER_LAUNCH("conv2d", fold_parts<T>, unsigned(blocks), 256, 0, parts, int(n), size, p ? p->bias : nullptr, p ? p->plan.result_plane : 1,
                  p ? p->groups * p->plan.rows : 1, out);
  }
  // y or dx of p.plan.images images.
  void result(ConvProduct<T>& p) const {
    const std::int64_t ph = (p.plan.h.extent + p.plan.h.phases - 1) / p.plan.h.phases, pw = (p.plan.w.extent + p.plan.w.phases - 1) / p.plan.w.phases;
    const std::int64_t depth = p.plan.channels * taps;
    if ((p.plan.rows <= 4 || (p.plan.rows <= 8 && args.groups > 1)) && depth / phases(p) <= 1024) {
      const bool one = p.plan.rows == 1;
      p.row_tiles = one ? 1 : (p.plan.rows + 3) / 4;
      p.column_tiles = conv_int((pw * phases(p) * ((ph + 3) / 4) + 127) / 128);
      const auto kernel = one ? direct_conv<T, 1> : direct_conv<T, 4>;
      const unsigned blocks = unsigned(conv_int(std::int64_t(p.column_tiles) * p.row_tiles * p.groups * p.plan.images));
      SINTER_LAUNCH("conv2d", kernel, blocks, 128, 0, p);
      return;
    }
    tiled([&](auto tile) {
      using Tile = decltype(tile);
      const std::int64_t part = p.plan.images * std::int64_t(p.plan.result_image);
      split_tiles<Tile>(p, p.plan.images * ph * pw, depth);
      Workspace space(p.splits > 1 ? std::size_t(p.splits * part) * sizeof(C) : 0);
      p.partial = p.splits > 1 ? static_cast<C*>(space.data()) : nullptr, p.part_size = part;
      constexpr ConvRead quad = std::is_same_v<T, float> ? ConvRead::quad : ConvRead::column;
      if (reads_quads(p)) launch<Tile, quad>(p, phases(p));
      else launch<Tile, ConvRead::column>(p, phases(p));
      if (p.splits > 1) fold(p.partial, p.splits, part, &p, p.out);
    });
  }
};

inline void conv(const ConvArgs& a) {
  switch (a.dtype) {
    case DType::float32: return Convolver<float>(a).run();
    case DType::float64: return Convolver<double>(a).run();
    case DType::bfloat16: return Convolver<bfloat16>(a).run();
    case DType::float16: return Convolver<half>(a).run();
    default: fail<ValueError>("conv2d: tensors of ", a.dtype, " cannot be convolved");
  }
}
inline const bool conv_registered = conv_on_device.set(conv);

}  // namespace sinter::cuda
