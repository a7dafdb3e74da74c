// SPDX-License-Identifier: MIT
// Matrix products on raw pointers: packed panels and a register tile, after Goto and van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication" (ACM TOMS 34, 2008). Any strides on any side. The products of one element are
// added in an order that depends on the inner extent alone: neither on how the result is cut nor on the threads.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "sinter/core/cache.hpp"
#include "sinter/core/config.hpp"
#include "sinter/core/parallel.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// Memory for the duration of a kernel.
template <class T>
struct Scratch {
  std::size_t count;
  T* data;
  explicit Scratch(std::int64_t n) : count(std::size_t(n)), data(static_cast<T*>(Cache::allocate(count * sizeof(T)))) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { Cache::free(data, count * sizeof(T)); }
};

// Element (i, j) is data[i * row_step + j * column_step].
template <class T>
struct Matrix {
  T* data;
  std::int64_t rows, columns, row_step, column_step;
  Matrix t() const { return {data, columns, rows, column_step, row_step}; }
  Matrix part(std::int64_t row, std::int64_t column, std::int64_t n, std::int64_t m) const {
    return {data + row * row_step + column * column_step, n, m, row_step, column_step};
  }
};

// What stays in registers: `rows` broadcast elements of the left against `vectors` vectors of the right.
template <class T>
struct Tile {
  typedef T Vector __attribute__((vector_size(simd_bytes)));
  static constexpr int width = simd_bytes / int(sizeof(T));
  static constexpr int rows = 6, vectors = simd_bytes == 64 ? 4 : 2, columns = vectors * width;
  static constexpr std::int64_t depth = 256;  // inner extent of a packed panel

  static SINTER_HD Vector load(const T* p) {
    Vector v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  static SINTER_HD void store(T* p, Vector v) { std::memcpy(p, &v, sizeof v); }
};

// Four vectors of four, columns for rows.
template <class T>
struct Four {
  typedef T Vector __attribute__((vector_size(4 * sizeof(T))));
  using Index = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  typedef Index Indices __attribute__((vector_size(4 * sizeof(T))));

  static SINTER_HD Vector load(const T* p) {
    Vector v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  static SINTER_HD Vector pick(Vector a, Vector b, Index i, Index j, Index k, Index l) {  // of a's four, then b's
#if defined(__clang__)
    const T all[8] = {a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]};
    return Vector{all[i], all[j], all[k], all[l]};
#else
    return __builtin_shuffle(a, b, Indices{i, j, k, l});
#endif
  }
  // to[d * to_step + l] = from[l * from_step + d]
  static SINTER_HD void transpose(T* to, std::int64_t to_step, const T* from, std::int64_t from_step) {
    const Vector a = load(from), b = load(from + from_step), c = load(from + 2 * from_step), d = load(from + 3 * from_step);
    const Vector ab = pick(a, b, 0, 4, 1, 5), cd = pick(c, d, 0, 4, 1, 5), ab2 = pick(a, b, 2, 6, 3, 7), cd2 = pick(c, d, 2, 6, 3, 7);
    const Vector rows[4] = {pick(ab, cd, 0, 1, 4, 5), pick(ab, cd, 2, 3, 6, 7), pick(ab2, cd2, 0, 1, 4, 5), pick(ab2, cd2, 2, 3, 6, 7)};
    for (int i = 0; i < 4; ++i) std::memcpy(to + i * to_step, &rows[i], sizeof(Vector));
  }
};

// to[d * Width + l] = from[l * lane_step + d * depth_step], lanes behind `lanes` are zero.
template <int Width, class T>
void pack(T* to, const T* from, int lanes, std::int64_t lane_step, std::int64_t depth, std::int64_t depth_step) {
  if (lanes < Width) std::memset(to, 0, std::size_t(depth * Width) * sizeof(T));
  if (lane_step == 1 && lanes == Width) {
    for (std::int64_t d = 0; d < depth; ++d) std::memcpy(to + d * Width, from + d * depth_step, Width * sizeof(T));
    return;
  }
  constexpr std::int64_t block = 16;  // a cache line of every lane at a time
  for (std::int64_t d0 = 0; d0 < depth; d0 += block) {
    const std::int64_t d1 = std::min(depth, d0 + block);
    int l = 0;
    if (depth_step == 1 && d1 - d0 == block)
      for (; l + 4 <= lanes; l += 4)
        for (std::int64_t d = d0; d < d1; d += 4) Four<T>::transpose(to + d * Width + l, Width, from + l * lane_step + d, lane_step);
    for (; l < lanes; ++l) {
      const T* source = from + l * lane_step;
      for (std::int64_t d = d0; d < d1; ++d) to[d * Width + l] = source[d * depth_step];
    }
  }
}

// One register tile: rows x (V vectors) of the result over the whole depth of two panels.
template <class T, int V>
void tile_product(const T* a, const T* b, std::int64_t depth, Matrix<T> c, bool add) {
  using M = Tile<T>;
  using Vector = typename M::Vector;
  constexpr int rows = M::rows, width = M::width;
  Vector sum[rows][V] = {};
  for (std::int64_t d = 0; d < depth; ++d, a += rows, b += V * width) {
    Vector right[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) right[v] = M::load(b + v * width);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] += a[r] * right[v];
  }
  if (c.rows == rows && c.columns == V * width && c.column_step == 1) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        T* to = c.data + r * c.row_step + v * width;
        M::store(to, add ? M::load(to) + sum[r][v] : sum[r][v]);
      }
  } else {
    T edge[rows * V * width];
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) M::store(edge + (r * V + v) * width, sum[r][v]);
    for (std::int64_t r = 0; r < c.rows; ++r)
      for (std::int64_t j = 0; j < c.columns; ++j) {
        T& to = c.data[r * c.row_step + j * c.column_step];
        to = add ? to + edge[r * V * width + j] : edge[r * V * width + j];
      }
  }
}

// One side of a product as packing sees it: `lanes` lie along the result (the left's rows, the right's columns), the other
// direction is summed over. Either a strided matrix (`data`), or anything that fills panels, such as the patches of an image:
// source(s) calls s.pack(T* to, int width, k0, depth, lane0, int lanes), which writes element (lane0 + l, k0 + d) to
// to[d * width + l] and zeros for l in [lanes, width). s outlives the product and is read by several threads.
template <class T>
struct Operand {
  const T* data = nullptr;
  std::int64_t lane_step = 0, depth_step = 0;
  void (*fill)(const void* self, T* to, int width, std::int64_t k0, std::int64_t depth, std::int64_t lane0, int lanes) = nullptr;
  const void* self = nullptr;

  static Operand left(Matrix<const T> a) { return {a.data, a.row_step, a.column_step}; }
  static Operand right(Matrix<const T> b) { return {b.data, b.column_step, b.row_step}; }
  template <class Source>
  static Operand source(const Source& s) {
    return {nullptr, 0, 0,
            [](const void* self, T* to, int width, std::int64_t k0, std::int64_t depth, std::int64_t lane0, int lanes) {
              static_cast<const Source*>(self)->pack(to, width, k0, depth, lane0, lanes);
            },
            &s};
  }
  template <int Width>
  void panel(T* to, std::int64_t k0, std::int64_t depth, std::int64_t lane0, int lanes) const {
    if (data) pack<Width>(to, data + lane0 * lane_step + k0 * depth_step, lanes, lane_step, depth, depth_step);
    else fill(self, to, Width, k0, depth, lane0, lanes);
  }
};

// An epilogue: run(self, product, row0, row1, column0, column1) is called exactly once for every rectangle of every result c,
// in c's own coordinates, after its final values are stored and while they are in the cache, by the thread that stored them.
// Together the rectangles cover c. With an inner extent of 0 as well.
struct Finish {
  void (*run)(const void* self, std::int64_t product, std::int64_t row0, std::int64_t row1, std::int64_t column0, std::int64_t column1) = nullptr;
  const void* self = nullptr;
};

// Where in a result a block of it lies; `flipped` when the block is of the transposed result.
struct Spot {
  std::int64_t product = 0, row = 0, column = 0;
  bool flipped = false;
  Spot t() const { return {product, row, column, !flipped}; }
  void finish(const Finish& f, std::int64_t row0, std::int64_t row1, std::int64_t column0, std::int64_t column1) const {
    if (!f.run) return;
    if (flipped) f.run(f.self, product, row + column0, row + column1, column + row0, column + row1);
    else f.run(f.self, product, row + row0, row + row1, column + column0, column + column1);
  }
};

// A packed panel of the right times all of the left.
template <int V, class T>
void panel_product(const Operand<T>& right, std::int64_t k0, std::int64_t j0, const T* packed_a, T* packed_b, std::int64_t depth, Matrix<T> c,
                   bool add) {
  constexpr int rows = Tile<T>::rows, width = Tile<T>::width;
  if constexpr (V > 1)
    if (c.columns <= (V - 1) * width) return panel_product<V - 1>(right, k0, j0, packed_a, packed_b, depth, c, add);
  right.template panel<V * width>(packed_b, k0, depth, j0, int(c.columns));
  for (std::int64_t i = 0; i < c.rows; i += rows)
    tile_product<T, V>(packed_a + i * depth, packed_b, depth, c.part(i, 0, std::min<std::int64_t>(rows, c.rows - i), c.columns), add);
}

// c = left @ right, or c += left @ right, by the calling thread; `inner` is the extent summed over. Fast where c's columns are
// contiguous. Blocks of one result may be computed apart: their operands and c begin at the block, and `at` says where that is.
template <class T>
void block_product(const Operand<T>& left, const Operand<T>& right, std::int64_t inner, Matrix<T> c, bool add, Finish finish = {}, Spot at = {}) {
  using M = Tile<T>;
  if (c.rows == 0 || c.columns == 0) return;
  if (inner == 0) {
    for (std::int64_t i = 0; i < c.rows && !add; ++i)
      for (std::int64_t j = 0; j < c.columns; ++j) c.data[i * c.row_step + j * c.column_step] = T(0);
    return at.finish(finish, 0, c.rows, 0, c.columns);
  }
  constexpr std::int64_t tall = 192;  // rows of the left that are packed at a time
  const std::int64_t most = std::min(inner, M::depth);
  Scratch<T> packed_a(std::min(tall, (c.rows + M::rows - 1) / M::rows * M::rows) * most), packed_b(M::columns * most);
  for (std::int64_t i0 = 0; i0 < c.rows; i0 += tall) {
    const std::int64_t rows = std::min(tall, c.rows - i0);
    for (std::int64_t k = 0; k < inner; k += M::depth) {
      const std::int64_t depth = std::min(M::depth, inner - k);
      for (std::int64_t i = 0; i < rows; i += M::rows)
        left.template panel<M::rows>(packed_a.data + i * depth, k, depth, i0 + i, int(std::min<std::int64_t>(M::rows, rows - i)));
      for (std::int64_t j = 0; j < c.columns; j += M::columns) {
        const std::int64_t columns = std::min<std::int64_t>(M::columns, c.columns - j);
        panel_product<M::vectors>(right, k, j, packed_a.data, packed_b.data, depth, c.part(i0, j, rows, columns), add || k > 0);
        if (k + depth == inner) at.finish(finish, i0, i0 + rows, j, j + columns);
      }
    }
  }
}

// c = a @ b for one row: every column is a sum along a's only row.
template <class T>
void row_product(Matrix<const T> a, Matrix<const T> b, Matrix<T> c, bool add) {
  using M = Tile<T>;
  constexpr int width = M::width, chunk = 8 * width;
  Scratch<T> row(a.columns);
  for (std::int64_t k = 0; k < a.columns; ++k) row.data[k] = a.data[k * a.column_step];
  for (std::int64_t j0 = 0; j0 < c.columns; j0 += chunk) {
    const int n = int(std::min<std::int64_t>(chunk, c.columns - j0));
    T sum[chunk] = {};
    if (b.row_step == 1) {
      for (int j = 0; j < n; ++j) {
        const T* column = b.data + (j0 + j) * b.column_step;
        typename M::Vector lanes = {}, more = {};
        std::int64_t k = 0;
        for (; k + 2 * width <= a.columns; k += 2 * width) {
          lanes += M::load(row.data + k) * M::load(column + k);
          more += M::load(row.data + k + width) * M::load(column + k + width);
        }
        lanes += more;
        T total = 0;
        for (int l = 0; l < width; ++l) total += lanes[l];
        for (; k < a.columns; ++k) total += row.data[k] * column[k];
        sum[j] = total;
      }
    } else if (b.column_step == 1 && n == chunk) {
      typename M::Vector lanes[8] = {};
      for (std::int64_t k = 0; k < a.columns; ++k)
#pragma GCC unroll 8
        for (int v = 0; v < 8; ++v) lanes[v] += row.data[k] * M::load(b.data + k * b.row_step + j0 + v * width);
      std::memcpy(sum, lanes, sizeof sum);
    } else {
      for (std::int64_t k = 0; k < a.columns; ++k)
        for (int j = 0; j < n; ++j) sum[j] += row.data[k] * b.data[k * b.row_step + (j0 + j) * b.column_step];
    }
    for (int j = 0; j < n; ++j) {
      T& to = c.data[(j0 + j) * c.column_step];
      to = add ? to + sum[j] : sum[j];
    }
  }
}

// Whether c^T = b^T @ a^T fills the register tile better than c = a @ b.
template <class T>
bool flips(std::int64_t rows, std::int64_t columns) {
  using M = Tile<T>;
  const auto padded = [](std::int64_t n, std::int64_t m) {
    return (n + M::rows - 1) / M::rows * M::rows * ((m + M::width - 1) / M::width * M::width);
  };
  return columns == 1 || (rows != 1 && padded(columns, rows) < padded(rows, columns));
}

// c = a @ b, or c += a @ b, by the calling thread.
template <class T>
void serial_product(Matrix<const T> a, Matrix<const T> b, Matrix<T> c, bool add, Finish finish = {}, Spot at = {}) {
  if (c.rows == 0 || c.columns == 0) return;
  if (flips<T>(c.rows, c.columns)) {
    const Matrix<const T> left = b.t();
    b = a.t(), a = left, c = c.t(), at = at.t();
  }
  if (c.rows == 1 && a.columns > 0) {
    row_product(a, b, c, add);
    at.finish(finish, 0, 1, 0, c.columns);
  } else {
    block_product(Operand<T>::left(a), Operand<T>::right(b), a.columns, c, add, finish, at);
  }
}

// The work of a product that pays for a second thread.
inline constexpr std::int64_t product_threshold = 1 << 19;

// `count` products of one size: c = a @ b, or c += a @ b. place(i, a, b, c) sets the pointers of product i.
template <class T, class Place>
void products(std::int64_t count, Matrix<const T> a, Matrix<const T> b, Matrix<T> c, bool add, Place place, Finish finish = {}) {
  using M = Tile<T>;
  if (count == 0 || c.rows == 0 || c.columns == 0) return;
  const bool flipped = flips<T>(c.rows, c.columns);
  const std::int64_t rows = flipped ? c.columns : c.rows, columns = flipped ? c.rows : c.columns;
  std::int64_t tall = 192, broad = 512;  // a block of c; small enough for several threads to have something to do
  while (count * ((rows + tall - 1) / tall) * ((columns + broad - 1) / broad) < 8 && tall * broad * a.columns > product_threshold)
    (broad > 2 * tall ? broad : tall) /= 2;
  tall = (tall + M::rows - 1) / M::rows * M::rows;
  broad = (broad + M::columns - 1) / M::columns * M::columns;
  const std::int64_t down = (rows + tall - 1) / tall, across = (columns + broad - 1) / broad;
  const bool wide = count * rows * columns * a.columns >= product_threshold;
  parallel_for(count * down * across, wide, [=](std::int64_t task) {
    Matrix<const T> x = a, y = b;
    Matrix<T> z = c;
    place(task / (down * across), x.data, y.data, z.data);
    const std::int64_t i = task / across % down * tall, j = task % across * broad;
    const std::int64_t n = std::min(tall, rows - i), m = std::min(broad, columns - j), k = x.columns;
    x = flipped ? x.part(j, 0, m, k) : x.part(i, 0, n, k);
    y = flipped ? y.part(0, i, k, n) : y.part(0, j, k, m);
    const Spot at{task / (down * across), flipped ? j : i, flipped ? i : j};
    serial_product(x, y, flipped ? z.part(j, i, m, n) : z.part(i, j, n, m), add, finish, at);
  });
}

// c = a @ b, or c += a @ b.
template <class T>
void product(Matrix<const T> a, Matrix<const T> b, Matrix<T> c, bool add = false, Finish finish = {}) {
  products(1, a, b, c, add, [](std::int64_t, const T*&, const T*&, T*&) {}, finish);
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
