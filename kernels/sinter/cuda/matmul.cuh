// SPDX-License-Identifier: MIT
// Which kernel computes a matrix product, and in how many parts of its sums.
#pragma once

#include <algorithm>

#include "sinter/cuda/gemm.cuh"
#if !defined(SINTER_CUDA_SHIM) && !defined(SINTER_NO_CUBLAS)
#if __has_include(<cublasLt.h>)
#include "sinter/cuda/cublaslt.cuh"
#endif
#endif

namespace sinter::cuda {

template <class T>
struct Multiplier {
  using C = compute_t<T>;
  Gemm<T> g;
  static constexpr std::int64_t enough_blocks = 264;  // that a large device is busy; a constant, for it decides the order of sums

  explicit Multiplier(const MatmulArgs& a) {
    g.m = a.m, g.n = a.n, g.k = a.k, g.batch = a.batch, g.first = 0;
    g.left = {static_cast<const T*>(a.a), a.a_row, a.a_column, a.a_batch};
    g.right = {static_cast<const T*>(a.b), a.b_column, a.b_row, a.b_batch};
    g.result = {static_cast<T*>(a.c), a.c_row, a.c_column, a.c_batch, a.add, a.epilogue, static_cast<const T*>(a.bias), static_cast<T*>(a.aux)};
    g.splits = 1, g.split_depth = g.k, g.partial = nullptr;
  }
  void run() {
    if (g.k == 0) {
      g.splits = 0;
      return fold();
    }
    if constexpr (!is_floating<T>) {
      return tiled<GemmTile<32, 32, 16, 4, 4>>();
    } else {
      if (g.m == 1 || g.n == 1) return with_vector();
      with_matrices();
    }
  }

 private:
  void with_matrices() {
    // Matrices behind one another that meet the same right side are one.
    if (g.batch > 1 && g.right.batch_step == 0 && g.left.batch_step == g.m * g.left.lane_step &&
        g.result.batch == g.m * g.result.row)
      g.m *= g.batch, g.batch = 1;
    const auto tiles = [&](std::int64_t side) { return (g.m + side - 1) / side * ((g.n + side - 1) / side) * g.batch; };
    if (std::min(g.m, g.n) <= 32 || tiles(64) < 32) return tiled<GemmTile<32, 32, 16, 4, 4>>();
    if constexpr (sizeof(C) == 4)
      if (tiles(128) >= 120) return tiled<GemmTile<128, 128, 8, 8, 8>>();
    tiled<GemmTile<64, 64, 16, 4, 4>>();
  }
  // Cuts the sum where the result alone does not keep a device busy; parts are multiples of `unit`, not below `least`.
  void split(std::int64_t blocks, std::int64_t unit, std::int64_t least) {
    const std::int64_t parts = std::min(enough_blocks / blocks, g.k / least);
    if (parts < 2) return;
    g.split_depth = ((g.k + parts - 1) / parts + unit - 1) / unit * unit;
    g.splits = (g.k + g.split_depth - 1) / g.split_depth;
  }
  // launch() writes the parts to memory of the pool where there are several, or where results are not
  // simply stored.
  template <class F>
  void in_parts(F&& launch, std::int64_t blocks) {
    if (blocks >= std::int64_t(1) << 31) fail<ShapeError>("matmul: a result of [", g.m, ", ", g.n, "] is too large for its CUDA kernel");
    const bool apart = g.splits > 1 || !g.result.plain();
    const Workspace space(apart ? std::size_t(g.splits * g.batch * g.m * g.n) * sizeof(C) : 0);
    g.partial = static_cast<C*>(space.data());
    constexpr std::int64_t most = 65535;  // in the last direction of a grid
    for (; g.first < g.batch; g.first += most)
      launch(dim3(unsigned(blocks), unsigned(g.splits), unsigned(std::min(g.batch - g.first, most))));
    if (apart) fold();
  }
  void fold() {
    const std::int64_t blocks = (g.m * g.n * g.batch + 255) / 256, most = std::int64_t(multiprocessors()) * 16;
    SINTER_LAUNCH("matmul", gemm_fold_kernel<T>, unsigned(std::min(blocks, most)), 256, 0, g);
  }
  template <class Tile>
  void tiled() {
    const std::int64_t tiles = (g.m + Tile::rows - 1) / Tile::rows * ((g.n + Tile::columns - 1) / Tile::columns);
    split(tiles * g.batch, Tile::depth, 256);
    const auto kernel = gemm_kernel<T, Tile>;
    in_parts([&](dim3 grid) { SINTER_LAUNCH("matmul", kernel, grid, Tile::threads, 0, g); }, tiles);
  }
  void with_vector() {
    const bool row = g.n != 1;
    Gemv<T> a{g, row ? g.right : g.left, row ? g.left : g.right, row ? g.n : g.m, row, false};
    constexpr std::int64_t pack = GemvPack<T>::size;
    const auto even = [](const GemmSide<T>& s, std::int64_t step) {
      return reinterpret_cast<std::uintptr_t>(s.data) % 16 == 0 && step % pack == 0 && s.batch_step % pack == 0;
    };
    // Of one element dots, too: neighbouring threads then have neighbouring elements of the sum.
    const bool dots = a.matrix.depth_step == 1 && (a.matrix.lane_step != 1 || a.lanes == 1);
    a.packs = even(a.matrix, a.lanes == 1 ? 0 : a.matrix.lane_step) && (!a.vector.data || (even(a.vector, 0) && a.vector.depth_step == 1));
    const std::int64_t each = dots ? gemv_threads / 32 : 32, blocks = (a.lanes + each - 1) / each;
    if (dots) split(blocks * g.batch, 32 * pack, 128 * pack);
    else split(blocks * g.batch, 8, 128);
    const auto kernel = dots ? gemv_dot_kernel<T> : gemv_sum_kernel<T>;
    const auto launch = [&](dim3 grid) {
      a.g = g;
      SINTER_LAUNCH("matmul", kernel, grid, gemv_threads, 0, a);
    };
    in_parts(launch, blocks);
  }
};

inline void launch_matmul(const MatmulArgs& a) {
  if (a.empty()) return;
  const auto run = [&](auto t) {
    using T = decltype(t);
    Multiplier<T>(a).run();
    if (!a.sums) return;
    Multiplier<T>(a.row_sums()).run();
  };
  switch (a.dtype) {
    case DType::float32: return run(float());
    case DType::float64: return run(double());
    case DType::bfloat16: return run(bfloat16());
    case DType::float16: return run(half());
    case DType::int32: return run(std::int32_t());
    case DType::int64: return run(std::int64_t());
    default: fail<DeviceError>("matmul: its CUDA kernel takes floating point numbers, int32 and int64, not ", a.dtype);
  }
}
inline const bool matmul_registered = matmul_on_device.set(launch_matmul);

template <class B>
__global__ void triangle_kernel(const TriangleArgs a, B* mask) {
  const std::int64_t total = a.rows * a.columns;
  for (std::int64_t e = std::int64_t(blockIdx.x) * 256 + threadIdx.x; e < total; e += std::int64_t(gridDim.x) * 256) {
    const std::int64_t k = e % a.columns - e / a.columns;
    mask[e] = a.upper ? k >= a.diagonal : k <= a.diagonal;
  }
}
inline void launch_triangle(const TriangleArgs& a) {
  const std::int64_t blocks = (a.rows * a.columns + 255) / 256, most = std::int64_t(multiprocessors()) * 16;
  if (blocks > 0) SINTER_LAUNCH("tril", triangle_kernel<bool>, unsigned(std::min(blocks, most)), 256, 0, a, a.mask);
}
inline const bool triangle_registered = triangle_on_device.set(launch_triangle);

}  // namespace sinter::cuda
