// SPDX-License-Identifier: MIT
// Matrix products that copy nothing. Operands that both lie along the sum, and are few: every element is a sum over vectors of
// both. A vector times a matrix that lies along the result: the sum of its rows.
#pragma once

#include "sinter/cpu/gemm_tile.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// Adds the lanes of M vectors, M a power of two and at most the number of lanes: v[0] holds the sums of v[0], v[1] ... In every
// step half of the lanes of one vector change places with those of another, and the two are added.
template <class T, int M, int S = 1, class V>
SINTER_HOST void add_lanes(V* v) {
  constexpr int lanes = Tile<T>::width;
  if constexpr (S < lanes) {
#pragma GCC unroll 16
    for (int i = 0; i < M; i += 2 * S) {
      V other = v[S < M ? i + S : i];
      Square<T, lanes>::template exchange<S>(v[i], other, std::make_integer_sequence<int, lanes>());
      v[i] += other;
    }
    add_lanes<T, M, 2 * S>(v);
  }
}

// R rows by all columns, four at a time: c = or c += the sums of a's row i times b's row j.
template <class T, int R>
[[gnu::noinline]] void dot_rows(std::int64_t inner, const T* a, std::int64_t a_step, const T* b, std::int64_t b_step, const Matrix<T>& c, bool add) {
  using M = Tile<T>;
  using Vector = typename M::Vector;
  constexpr int width = M::width, group = R * 4 < width ? R * 4 : width;
  typename Square<T, width>::Indices lane;
  for (int l = 0; l < width; ++l) lane[l] = l;
  const std::int64_t whole = inner / width * width;
  const auto late = lane >= int(whole + width - inner);  // the lanes of the last vector that the others do not hold
  for (std::int64_t j = 0; j < c.columns; j += 4, b += 4 * b_step) {
    const std::int64_t n = std::min<std::int64_t>(4, c.columns - j);
    const T *b1 = b + (n > 1 ? b_step : 0), *b2 = b1 + (n > 2 ? b_step : 0), *b3 = b2 + (n > 3 ? b_step : 0);
    Vector sum[R * 4] = {};
    const auto step = [&](std::int64_t k, bool all) {
      Vector right[4] = {M::load(b + k), M::load(b1 + k), M::load(b2 + k), M::load(b3 + k)};
      if (!all) {
#pragma GCC unroll 4
        for (int l = 0; l < 4; ++l) right[l] = late ? right[l] : Vector{};
      }
#pragma GCC unroll 4
      for (int i = 0; i < R; ++i) {
        Vector left = M::load(a + i * a_step + k);
        if (!all) left = late ? left : Vector{};
#pragma GCC unroll 4
        for (int l = 0; l < 4; ++l) sum[4 * i + l] += left * right[l];
      }
    };
    for (std::int64_t k = 0; k < whole; k += width) step(k, true);
    if (whole < inner) step(inner - width, false);
    const bool direct = group == R * 4 && R == 1 && n == 4 && c.column_step == 1 && !add;
    T sums[R * 4];
#pragma GCC unroll 8
    for (int i = 0; i < R * 4; i += group) {
      add_lanes<T, group>(sum + i);
      std::memcpy(direct ? c.data + j : sums + i, &sum[i], group * sizeof(T));
    }
    if (!direct) store_edge(sums, 4, c.part(0, j, R, n), add);
  }
}

// A side as it lies when it lies along the sum, or a copy that does.
template <class T>
struct Along {
  Operand<T> side;
  Scratch<T> copy;
  Along(const Operand<T>& from, std::int64_t lanes, std::int64_t inner) : side(from), copy(from.depth_step == 1 ? 0 : lanes * inner) {
    if (from.depth_step == 1) return;
    for (std::int64_t l = 0; l < lanes; ++l)
      for (std::int64_t k = 0; k < inner; ++k) copy.data[l * inner + k] = *from.at(l, k);
    side = Operand<T>::lanes_of(static_cast<const T*>(copy.data), inner, 1);
  }
};

// c = left @ right, or c += left @ right, for operands in memory and an `inner` of at least a vector, by the calling thread.
template <class T>
void dot_product(const Operand<T>& left, const Operand<T>& right, std::int64_t inner, const Matrix<T>& c, bool add) {
  constexpr std::int64_t most = simd_bytes == 64 ? 4 : 2;
  const Along<T> x(left, c.rows, inner), y(right, c.columns, inner);
  const std::int64_t broad = c.rows <= 2 || c.rows == most ? c.columns : 4;  // all strips of rows take the same columns in turn
  for (std::int64_t j = 0; j < c.columns; j += broad)
    for (std::int64_t i = 0; i < c.rows;) {
      const std::int64_t rows = c.rows - i >= most ? most : c.rows - i >= 2 ? 2 : 1;
      const auto dots = rows == 1 ? dot_rows<T, 1> : rows == 2 ? dot_rows<T, 2> : dot_rows<T, most>;
      dots(inner, x.side.at(i, 0), x.side.lane_step, y.side.at(j, 0), y.side.lane_step,
           c.part(i, j, rows, std::min(broad, c.columns - j)), add);
      i += rows;
    }
}

// c = or c += the sum of `inner` rows of b, each times an element of a: U rows at a time from end to end, so that as many
// streams come from memory.
template <class T, int U>
[[gnu::noinline]] void sum_rows(std::int64_t inner, const T* a, std::int64_t a_step, const T* b, std::int64_t b_step, T* c, std::int64_t columns,
                                bool add) {
  using M = Tile<T>;
  for (; inner >= U; inner -= U, a += U * a_step, b += U * b_step, add = true) {
    T x[U];
    for (int u = 0; u < U; ++u) x[u] = a[u * a_step];
    const T* const high = b + U / 2 * b_step;
    const auto sum = [&](auto* like, std::int64_t j) {
      using V = std::remove_pointer_t<decltype(like)>;
      V part[2] = {}, y;
      if (add) std::memcpy(&part[0], c + j, sizeof(V));
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u) {
        std::memcpy(&y, (u < U / 2 ? b + u * b_step : high + (u - U / 2) * b_step) + j, sizeof(V));
        part[u % 2] += x[u] * y;
      }
      part[0] += part[1];
      std::memcpy(c + j, &part[0], sizeof(V));
    };
    std::int64_t j = 0;
    for (; j + M::width <= columns; j += M::width) sum(static_cast<typename M::Vector*>(nullptr), j);
    if (M::width > 4)
      for (; j + 4 <= columns; j += 4) sum(static_cast<typename Four<T>::Vector*>(nullptr), j);
    for (; j < columns; ++j) sum(static_cast<T*>(nullptr), j);
  }
  if constexpr (U > 1)
    if (inner > 0) sum_rows<T, U / 4>(inner, a, a_step, b, b_step, c, columns, add);
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
