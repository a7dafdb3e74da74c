// SPDX-License-Identifier: MIT
// The register tile of a matrix product, and its blocks: packed or read where they lie, after Goto and van de Geijn, "Anatomy
// of High-Performance Matrix Multiplication" (ACM TOMS 34, 2008).
#pragma once

#include <cstdint>

#include "sinter/cpu/gemm_operand.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// What stays in registers: `rows` broadcast elements of the left against `vectors` vectors of the right. The left's block of
// `tall` by `depth` stays in the second level of the cache, the right's of `depth` by `broad` in the third.
template <class T>
struct Tile {
  typedef T Vector __attribute__((vector_size(simd_bytes)));
  static constexpr int width = simd_bytes / int(sizeof(T));
  static constexpr int rows = 6, vectors = simd_bytes == 64 ? 4 : 2, columns = vectors * width;
  static constexpr std::int64_t depth = 384, tall = (256 << 10) / (depth * sizeof(T)) / rows * rows;
  static constexpr std::int64_t broad = (3 << 20) / (depth * sizeof(T)) / columns * columns;

  static SINTER_HOST Vector load(const T* p) {
    Vector v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  static SINTER_HOST void store(T* p, Vector v) { std::memcpy(p, &v, sizeof v); }

  // Some of the lanes; the others are neither read nor written. Builtins as in op/lane_isa.hpp.
  using Mask = std::conditional_t<sizeof(T) == 4, std::uint16_t, std::uint8_t>;
#if defined(__AVX512F__) && !defined(__CUDACC__)
  static constexpr bool masks = simd_bytes == 64 && std::is_floating_point_v<T>;
  static SINTER_HOST Vector load(const T* p, Mask lanes) {
    if constexpr (!masks) return (void)lanes, load(p);
    else if constexpr (sizeof(T) == 4) return __builtin_ia32_loadups512_mask(p, Vector{}, lanes);
    else return __builtin_ia32_loadupd512_mask(p, Vector{}, lanes);
  }
  static SINTER_HOST void store(T* p, Vector v, Mask lanes) {
    if constexpr (!masks) (void)lanes, store(p, v);
    else if constexpr (sizeof(T) == 4) __builtin_ia32_storeups512_mask(p, v, lanes);
    else __builtin_ia32_storeupd512_mask(p, v, lanes);
  }
#else  // never called
  static constexpr bool masks = false;
  static SINTER_HOST Vector load(const T* p, Mask) { return load(p); }
  static SINTER_HOST void store(T* p, Vector v, Mask) { store(p, v); }
#endif
  static SINTER_HOST Mask first(std::int64_t lanes) { return Mask((1u << lanes) - 1); }
};

// `n` cut into the fewest parts of at most `most`, all but the last of one size, a multiple of `unit`.
inline std::int64_t even_part(std::int64_t n, std::int64_t most, std::int64_t unit) {
  const std::int64_t parts = (n + most - 1) / most;
  return parts <= 1 ? n : ((n + parts - 1) / parts + unit - 1) / unit * unit;
}

// A tile that is not full, or whose columns are apart.
template <class T>
[[gnu::noinline]] void store_edge(const T* from, std::int64_t step, const Matrix<T>& c, bool add) {
  for (std::int64_t i = 0; i < c.rows; ++i) {
    T* to = c.data + i * c.row_step;
    const T* row = from + i * step;
    std::int64_t j = 0;
    if (c.column_step == 1)
      for (; j + 4 <= c.columns; j += 4)
        for (int l = 0; l < 4; ++l) to[j + l] = add ? to[j + l] + row[j + l] : row[j + l];
    for (; j < c.columns; ++j) to[j * c.column_step] = add ? to[j * c.column_step] + row[j] : row[j];
  }
}

// R rows by V vectors of the result over `depth`. Row r of the left is a[r * lane_step + d * depth_step], the right's vectors
// are b + d * b_step.
template <class T, int R, int V>
[[gnu::noinline]] void tile_product(std::int64_t depth, const T* a, std::int64_t lane_step, std::int64_t depth_step, const T* b, std::int64_t b_step,
                                    const Matrix<T>& c, bool add) {
  using M = Tile<T>;
  using Vector = typename M::Vector;
  constexpr int width = M::width, half = (R + 1) / 2;
  Vector sum[R][V] = {};
  const typename M::Mask some = M::first(c.columns - (V - 1) * width);  // the lanes of the last vector
  const T* low = a;
  const T* high = a + half * lane_step;
  if (R * V > 8 && add)  // the result comes from afar while the products are summed
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) __builtin_prefetch(c.data + r * c.row_step + v * width, 1);
  for (std::int64_t d = 0; d < depth; ++d, low += depth_step, high += depth_step, b += b_step) {
    Vector right[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) right[v] = M::masks && v == V - 1 ? M::load(b + v * width, some) : M::load(b + v * width);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const T x = r < half ? low[r * lane_step] : high[(r - half) * lane_step];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] += x * right[v];
    }
  }
  if (c.column_step == 1 && (M::masks || c.columns == V * width)) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        T* to = c.data + r * c.row_step + v * width;
        if (M::masks && v == V - 1) M::store(to, add ? M::load(to, some) + sum[r][v] : sum[r][v], some);
        else M::store(to, add ? M::load(to) + sum[r][v] : sum[r][v]);
      }
  } else {
    T edge[R * V * width];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) M::store(edge + (r * V + v) * width, sum[r][v]);
    store_edge(edge, V * width, c, add);
  }
}

// The left as a block product reads it: as it lies, or in packed strips of rows one after another (lane_step 0).
template <class T>
struct LeftBlock {
  const T* data;
  std::int64_t lane_step, depth_step;
};

template <class T, int R, int V>
SINTER_HOST std::int64_t strip_product(std::int64_t i, std::int64_t depth, const LeftBlock<T>& a, const T* b, std::int64_t b_step,
                                     const Matrix<T>& c, bool add) {
  const bool packed = a.lane_step == 0;
  for (; i + R <= c.rows; i += R)
    tile_product<T, R, V>(depth, a.data + i * (packed ? depth : a.lane_step), packed ? 1 : a.lane_step, packed ? R : a.depth_step, b, b_step,
                          c.part(i, 0, R, c.columns), add);
  return i;
}

// The vectors of the panel that begins where `columns` are left: as many as needed, but powers of two. All but the last are full.
template <class T>
constexpr int panel_vectors(std::int64_t columns) {
  constexpr int width = Tile<T>::width;
  if (columns <= width) return 1;
  return Tile<T>::vectors < 4 || columns <= 3 * width ? 2 : 4;
}

// A panel of the right times a block of the left.
template <class T, int V>
void panel_product(std::int64_t depth, const LeftBlock<T>& a, const T* b, std::int64_t b_step, const Matrix<T>& c, bool add) {
  std::int64_t i = strip_product<T, Tile<T>::rows, V>(0, depth, a, b, b_step, c, add);
  i = strip_product<T, 2, V>(i, depth, a, b, b_step, c, add);
  strip_product<T, 1, V>(i, depth, a, b, b_step, c, add);
}

// Packs the left's rows in strips as panel_product() takes them.
template <class T>
void pack_left(T* to, const Operand<T>& left, std::int64_t k, std::int64_t depth, std::int64_t i0, std::int64_t rows) {
  for (std::int64_t i = 0; i < rows;) {
    const std::int64_t rest = rows - i, width = rest >= Tile<T>::rows ? Tile<T>::rows : rest >= 2 ? 2 : 1;
    left.panel(to + i * depth, int(width), k, depth, i0 + i, int(width));
    i += width;
  }
}

// Whether the sides are read as they lie: what is used a few times only, or is small, is not worth a copy.
template <class T>
bool reads_left(const Operand<T>& left, std::int64_t rows, std::int64_t columns, std::int64_t inner) {
  if (!left.in_memory()) return false;
  const std::int64_t span = left.lane_step == 1 ? inner * left.depth_step : rows * left.lane_step;
  return columns <= Tile<T>::columns || (columns <= 4 * Tile<T>::columns && span * std::int64_t(sizeof(T)) <= 256 << 10);
}
template <class T>
bool reads_right(const Operand<T>& right, std::int64_t rows, std::int64_t inner) {
  if (!right.in_memory() || right.lane_step != 1) return false;
  return rows <= 4 * Tile<T>::rows || inner * right.depth_step * std::int64_t(sizeof(T)) <= 128 << 10;
}

// The extent of the sum that a block takes at a time. A few rows read a right that is not in the cache a few whole rows at a
// time, everything else a panel that stays in it.
template <class T>
std::int64_t depth_of(const Operand<T>& right, std::int64_t inner, std::int64_t rows, std::int64_t columns) {
  const bool streams = rows <= Tile<T>::rows && right.in_memory() && right.lane_step == 1 && inner * columns * std::int64_t(sizeof(T)) > 2 << 20;
  return streams ? 16 : even_part(inner, Tile<T>::depth, 8);
}

// c = left @ right where the sum has one term: row by row, since storing is the work.
template <class T>
void outer_product(const Operand<T>& left, const Operand<T>& right, const Matrix<T>& c, bool add) {
  using M = Tile<T>;
  constexpr int width = M::width;
  for (std::int64_t i = 0; i < c.rows; ++i) {
    T x;
    left.panel(&x, 1, 0, 1, i, 1);
    T* to = c.data + i * c.row_step;
    std::int64_t j = 0;
    if (right.in_memory() && right.lane_step == 1 && c.column_step == 1) {
      const T* from = right.at(0, 0);
      if (!add && c.columns >= width) {  // whole lines; at the ends some elements twice
        M::store(to, x * M::load(from));
        for (j = width - std::int64_t(reinterpret_cast<std::uintptr_t>(to) / sizeof(T) % width); j + width <= c.columns; j += width)
          M::store(to + j, x * M::load(from + j));
        M::store(to + c.columns - width, x * M::load(from + c.columns - width));
        continue;
      }
      for (; j + width <= c.columns; j += width) M::store(to + j, M::load(to + j) + x * M::load(from + j));
    }
    for (T y; j < c.columns; ++j) {
      right.panel(&y, 1, 0, 1, j, 1);
      T& z = to[j * c.column_step];
      z = add ? z + x * y : x * y;
    }
  }
}

// c = left @ right, or c += left @ right, by the calling thread; `inner` is the extent summed over, `deep` of it at a time. Fast
// where c's columns are contiguous. Blocks of one result may be computed apart, if with one `deep`: their operands and c begin
// at the block, and `at` says where that is.
template <class T>
void block_product(const Operand<T>& left, const Operand<T>& right, std::int64_t inner, const Matrix<T>& c, bool add, const Finish& finish = {},
                   const Spot& at = {}, std::int64_t deep = 0) {
  using M = Tile<T>;
  if (c.rows == 0 || c.columns == 0) return;
  if (inner == 0) {
    for (std::int64_t i = 0; i < c.rows && !add; ++i)
      for (std::int64_t j = 0; j < c.columns; ++j) c.data[i * c.row_step + j * c.column_step] = T(0);
    return at.finish(finish, 0, c.rows, 0, c.columns);
  }
  if (inner == 1 && right.in_memory()) {
    outer_product(left, right, c, add);
    return at.finish(finish, 0, c.rows, 0, c.columns);
  }
  if (deep == 0) deep = even_part(inner, M::depth, 8);
  // With a short sum storing is the work, and whole rows are stored best.
  const std::int64_t tall = inner <= 16 ? M::rows : even_part(c.rows, M::tall, M::rows), broad = even_part(c.columns, M::broad, M::columns);
  const bool read_left = reads_left(left, c.rows, c.columns, inner), read_right = reads_right(right, c.rows, inner);
  const std::int64_t padded = read_right ? M::columns : (broad + M::width - 1) / M::width * M::width;
  const bool packs_right = !read_right || (!M::masks && c.columns % M::width != 0);
  Scratch<T> packed_left(read_left ? 0 : std::min(tall, c.rows) * deep), packed_right(packs_right ? padded * deep : 0);
  for (std::int64_t j0 = 0; j0 < c.columns; j0 += broad) {
    const std::int64_t columns = std::min(broad, c.columns - j0);
    for (std::int64_t k = 0; k < inner; k += deep) {
      const std::int64_t depth = std::min(deep, inner - k);
      for (std::int64_t i0 = 0; i0 < c.rows; i0 += tall) {
        const std::int64_t rows = std::min(tall, c.rows - i0);
        if (!read_left) pack_left(packed_left.data, left, k, depth, i0, rows);
        const LeftBlock<T> a = read_left ? LeftBlock<T>{left.at(i0, k), left.lane_step, left.depth_step} : LeftBlock<T>{packed_left.data, 0, 0};
        std::int64_t finished = 0;
        for (std::int64_t j = 0; j < columns;) {
          const int vectors = panel_vectors<T>(columns - j), whole = vectors * M::width, m = int(std::min<std::int64_t>(whole, columns - j));
          T* panel = packed_right.data + (read_right ? 0 : j * depth);
          const bool as_it_lies = read_right && (M::masks || m == whole);
          if (!as_it_lies && i0 == 0) right.panel(panel, whole, k, depth, j0 + j, m);
          const auto product = vectors == 1 ? panel_product<T, 1> : vectors == 2 ? panel_product<T, 2> : panel_product<T, M::vectors>;
          product(depth, a, as_it_lies ? right.at(j0 + j, k) : panel, as_it_lies ? right.depth_step : whole, c.part(i0, j0 + j, rows, m),
                  add || k > 0);
          j += m;
          if (k + depth == inner && (j == columns || rows * (j - finished) >= 4096)) {
            at.finish(finish, i0, i0 + rows, j0 + finished, j0 + j);
            finished = j;
          }
        }
      }
    }
  }
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
