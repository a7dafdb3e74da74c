// SPDX-License-Identifier: MIT
// Matrix products on raw pointers, over threads. Any strides on any side, operands that are packed from anything, and an
// epilogue on what was just computed (gemm_operand.hpp). The products of one element are added in an order that depends on
// the shapes and layouts alone: neither on how the result is cut nor on the threads.
#pragma once

#include "sinter/core/parallel.hpp"
#include "sinter/cpu/gemm_dot.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// The work of a product that pays for a second thread. With a vector it reads an element for each multiplication.
inline constexpr std::int64_t product_threshold = 1 << 19, vector_threshold = 3 << 16;

// How a product is computed: by tiles, by dots or as a sum of rows, maybe as c^T = b^T @ a^T, maybe as a sum of products over
// parts of the sum.
struct Method {
  bool flipped = false, dots = false, rows = false;
  bool turned = false;  // tiles go to the result by way of a transposed block
  std::int64_t part = 0, deep = 0;  // the extents of a part of the sum, and of what a block takes of it at a time
};

// The vector instructions of a block for each step of the sum, roughly.
template <class T>
double tile_cost(const Operand<T>& left, const Operand<T>& right, std::int64_t inner, std::int64_t rows, std::int64_t columns, bool contiguous) {
  using M = Tile<T>;
  const double vectors = double((columns + M::width - 1) / M::width), steps = double(inner + 1);
  double cost = double(rows) * vectors * (1 + 16 / steps);
  if (!contiguous) cost += double(rows * columns) * 1.5 / steps;
  if (!reads_left(left, rows, columns, inner)) cost += double(rows) * 0.5;
  if (!reads_right(right, rows, inner)) cost += right.lane_step == 1 ? vectors * 2 : double(columns) * (right.depth_step == 1 ? 0.4 : 1.5);
  return cost;
}
template <class T>
Method method_of(const Operand<T>& left, const Operand<T>& right, std::int64_t inner, const Matrix<T>& c) {
  using M = Tile<T>;
  Method method;
  const bool vector = c.rows == 1 || c.columns == 1, memory = left.in_memory() && right.in_memory();
  const bool sums = std::is_floating_point_v<T> && memory && inner >= M::width;
  if (vector) method.flipped = c.rows != 1;
  const Operand<T>& matrix = method.flipped ? left : right;
  if (vector && sums && left.depth_step == 1 && right.depth_step == 1) {
    method.dots = true;
  } else if (vector && memory && matrix.lane_step == 1 && (method.flipped ? c.row_step : c.column_step) == 1) {
    method.rows = true;
  } else {
    const double plain = tile_cost(left, right, inner, c.rows, c.columns, c.column_step == 1 || c.columns == 1);
    const double flipped = tile_cost(right, left, inner, c.columns, c.rows, c.row_step == 1 || c.rows == 1);
    method.flipped = flipped < plain;
    if (sums) {
      const double area = double(c.rows * c.columns);
      const double copies = (left.depth_step == 1 ? 0 : double(c.rows)) + (right.depth_step == 1 ? 0 : double(c.columns));
      method.dots = area / M::width * 1.3 + area * 4 / double(inner) + copies < std::min(plain, flipped);
      if (method.dots) method.flipped = c.columns < 4 && c.rows > c.columns;
    }
  }
  method.turned = inner > 1 && (method.flipped ? c.columns : c.rows) > 1;  // of c as a whole: a block of it may have a single row
  constexpr std::int64_t part = 4096, most = 16;
  method.part = inner;
  if (c.rows * c.columns <= 16384 && inner >= 2 * part) method.part = even_part(inner, std::max(part, (inner + most - 1) / most), 64);
  method.deep = method.flipped ? depth_of(left, method.part, c.columns, c.rows) : depth_of(right, method.part, c.rows, c.columns);
  return method;
}

// A result whose rows are contiguous: by blocks of its transpose, which are then transposed.
template <class T>
void transposed_product(const Operand<T>& left, const Operand<T>& right, std::int64_t inner, const Matrix<T>& c, bool add, const Finish& finish,
                        const Spot& at, std::int64_t deep) {
  using M = Tile<T>;
  constexpr std::int64_t area = 32768, few = 16;
  const std::int64_t tall = even_part(c.rows, std::max<std::int64_t>(area / c.columns, M::tall), M::rows);
  Scratch<T> block(std::min(tall, c.rows) * c.columns), turned(add ? std::min(tall, c.rows) * few : 0);
  for (std::int64_t i = 0; i < c.rows; i += tall) {
    const std::int64_t rows = std::min(tall, c.rows - i);
    block_product(left.from(i, 0), right, inner, Matrix<T>{block.data, rows, c.columns, c.columns, 1}, false, {}, {}, deep);
    for (std::int64_t j = 0; j < c.columns; j += few) {
      const std::int64_t columns = std::min(few, c.columns - j);
      T* to = c.data + i + j * c.column_step;
      if (!add) {
        transpose<T>(to, c.column_step, block.data + j, c.columns, rows, columns);
      } else {
        transpose<T>(turned.data, rows, block.data + j, c.columns, rows, columns);
        for (std::int64_t l = 0; l < columns; ++l)
          for (std::int64_t r = 0; r < rows; ++r) to[l * c.column_step + r] += turned.data[l * rows + r];
      }
      at.finish(finish, i, i + rows, j, j + columns);
    }
  }
}

// c = left @ right, or c += left @ right, by the calling thread.
template <class T>
void method_product(const Method& method, const Operand<T>& left, const Operand<T>& right, std::int64_t inner, const Matrix<T>& c, bool add,
                    const Finish& finish, const Spot& at) {
  if (method.dots) {
    dot_product(left, right, inner, c, add);
    return at.finish(finish, 0, c.rows, 0, c.columns);
  }
  if (method.rows && inner > 0) {
    sum_rows<T, 4>(inner, left.at(0, 0), left.depth_step, right.at(0, 0), right.depth_step, c.data, c.columns, add);
    return at.finish(finish, 0, c.rows, 0, c.columns);
  }
  if (method.turned && c.row_step == 1 && c.column_step != 1)
    return transposed_product(left, right, inner, c, add, finish, at, method.deep);
  block_product(left, right, inner, c, add, finish, at, method.deep);
}

// A small result of a long sum: parts of the sum on several threads, added in order.
template <class T>
void parted_product(const Method& method, const Operand<T>& left, const Operand<T>& right, std::int64_t inner, const Matrix<T>& c, bool add,
                    bool wide) {
  const std::int64_t parts = (inner + method.part - 1) / method.part, area = c.rows * c.columns;
  Scratch<T> sums((parts - 1) * area);
  T* const rest = sums.data;
  parallel_for(parts, wide, [&](std::int64_t p) {
    const std::int64_t k = p * method.part, depth = std::min(method.part, inner - k);
    const Matrix<T> to = p == 0 ? c : Matrix<T>{rest + (p - 1) * area, c.rows, c.columns, c.columns, 1};
    method_product(method, left.from(0, k), right.from(0, k), depth, to, add && p == 0, {}, {});
  });
  for (std::int64_t p = 1; p < parts; ++p)
    for (std::int64_t i = 0; i < c.rows; ++i)
      for (std::int64_t j = 0; j < c.columns; ++j) c.data[i * c.row_step + j * c.column_step] += rest[(p - 1) * area + i * c.columns + j];
}

// Moves the operands and the result to product i.
template <class T>
struct Placement {
  void (*run)(const void* self, std::int64_t i, Operand<T>& left, Operand<T>& right, Matrix<T>& c) = nullptr;
  const void* self = nullptr;
};

// `count` products of one size and layout: c = left @ right, or c += left @ right.
template <class T>
void operand_products(std::int64_t count, const Operand<T>& left, const Operand<T>& right, std::int64_t inner, const Matrix<T>& c, bool add,
                      const Placement<T>& place, const Finish& finish, bool threaded = true) {
  using M = Tile<T>;
  if (count == 0 || c.rows == 0 || c.columns == 0) return;
  const Method method = method_of(left, right, inner, c);
  const std::int64_t threshold = c.rows == 1 || c.columns == 1 ? vector_threshold : product_threshold;
  const bool wide = threaded && count * c.rows * c.columns * std::max<std::int64_t>(inner, 8) >= threshold;
  if (count == 1 && !wide && !place.run && method.part == inner) {
    if (method.flipped) return method_product(method, right, left, inner, c.t(), add, finish, Spot{0, 0, 0, true});
    return method_product(method, left, right, inner, c, add, finish, Spot{});
  }
  struct Job {
    Operand<T> left, right;
    Matrix<T> c;
    Spot at;
  };
  const auto job = [&](std::int64_t i) {
    Job j{left, right, c, {i, 0, 0, method.flipped}};
    if (place.run) place.run(place.self, i, j.left, j.right, j.c);
    if (method.flipped) std::swap(j.left, j.right), j.c = j.c.t();
    return j;
  };
  if (method.part < inner) {
    for (std::int64_t i = 0; i < count; ++i) {
      const Job j = job(i);
      parted_product(method, j.left, j.right, inner, j.c, add, wide);
      j.at.finish(finish, 0, j.c.rows, 0, j.c.columns);
    }
    return;
  }
  const std::int64_t rows = method.flipped ? c.columns : c.rows, columns = method.flipped ? c.rows : c.columns;
  std::int64_t tall = rows, broad = columns;
  const std::int64_t threads = wide ? get_num_threads() : 1;
  if (threads > 1 && count % threads != 0 && count < 8 * threads) {  // the cut that packs least
    const Operand<T>&a = method.flipped ? right : left, &b = method.flipped ? left : right;
    double best = 1e300;
    for (std::int64_t down = 1; down <= threads; ++down) {
      if (threads % down != 0) continue;
      const std::int64_t n = even_part(rows, (rows + down - 1) / down, 2 * M::rows);
      const std::int64_t m = even_part(columns, (columns * down + threads - 1) / threads, M::columns);
      const double cost = tile_cost(a, b, inner, std::min(n, rows), std::min(m, columns), (method.flipped ? c.row_step : c.column_step) == 1);
      if (cost < best) best = cost, tall = n, broad = m;
    }
  }
  const std::int64_t down = (rows + tall - 1) / tall, across = (columns + broad - 1) / broad;
  parallel_for(count * down * across, wide, [&](std::int64_t task) {
    const std::int64_t i = task / across % down * tall, k = task % across * broad;
    const Job j = job(task / (down * across));
    const Matrix<T> part = j.c.part(i, k, std::min(tall, rows - i), std::min(broad, columns - k));
    method_product(method, j.left.from(i, 0), j.right.from(k, 0), inner, part, add, finish, j.at.from(i, k));
  });
}

// `count` products of one size: c = a @ b, or c += a @ b. place(i, a, b, c) sets the pointers of product i. a and b may be of
// narrower types than c, in which the sums are.
template <class T, class A, class B, class Place>
void products(std::int64_t count, Matrix<A> a, Matrix<B> b, Matrix<T> c, bool add, const Place& place, Finish finish = {}) {
  const auto run = [](const void* self, std::int64_t i, Operand<T>& left, Operand<T>& right, Matrix<T>& to) {
    auto x = static_cast<A*>(left.base);
    auto y = static_cast<B*>(right.base);
    (*static_cast<const Place*>(self))(i, x, y, to.data);
    left.base = x, right.base = y;
  };
  operand_products<T>(count, Operand<T>::left(a), Operand<T>::right(b), a.columns, c, add, {run, &place}, finish);
}
// c = a @ b, or c += a @ b.
template <class T, class A = const T, class B = const T>
void product(Matrix<A> a, Matrix<B> b, Matrix<T> c, bool add = false, Finish finish = {}) {
  operand_products<T>(1, Operand<T>::left(a), Operand<T>::right(b), a.columns, c, add, {}, finish);
}
// The same by the calling thread.
template <class T, class A = const T, class B = const T>
void serial_product(Matrix<A> a, Matrix<B> b, Matrix<T> c, bool add, Finish finish = {}) {
  operand_products<T>(1, Operand<T>::left(a), Operand<T>::right(b), a.columns, c, add, {}, finish, false);
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
