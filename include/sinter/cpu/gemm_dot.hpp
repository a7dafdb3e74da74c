// SPDX-License-Identifier: MIT
// Matrix products whose operands both lie along the sum, and are few: every element is a sum over vectors of both, without a
// copy. Matrix times vector is the case of one row.
#pragma once

#include "sinter/cpu/gemm_tile.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// Adds the lanes of M vectors, M a power of two and at most the number of lanes: v[0] holds the sums of v[0], v[1] ... In every
// step half of the lanes of one vector change places with those of another, and the two are added.
template <class T, int M, int S = 1, class V>
SINTER_HD void add_lanes(V* v) {
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

// R rows by four columns, which may be the same. The vectors of an element are added in two chains where there are few of
// them, so that additions do not wait for each other.
template <class T, int R>
[[gnu::noinline]] void dot_tile(std::int64_t inner, const T* a, std::int64_t a_step, const T* const (&b)[4], T* to) {
  using M = Tile<T>;
  using Vector = typename M::Vector;
  constexpr int width = M::width, chains = R == 1 ? 2 : 1;
  Vector sum[chains][R * 4] = {};
  const T *b0 = b[0], *b1 = b[1], *b2 = b[2], *b3 = b[3];
  const auto step = [&](int chain, std::int64_t k, int from) {
    Vector right[4] = {M::load(b0 + k), M::load(b1 + k), M::load(b2 + k), M::load(b3 + k)}, left[R];
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i) left[i] = M::load(a + i * a_step + k);
    if (from > 0) {  // the last vector again, without the lanes that were added before
      typename Square<T, width>::Indices lane;
      for (int l = 0; l < width; ++l) lane[l] = l;
      for (Vector& v : right) v = lane >= from ? v : Vector{};
      for (Vector& v : left) v = lane >= from ? v : Vector{};
    }
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) sum[chain][4 * i + j] += left[i] * right[j];
  };
  std::int64_t k = 0;
  for (; k + chains * width <= inner; k += chains * width)
#pragma GCC unroll 2
    for (int chain = 0; chain < chains; ++chain) step(chain, k + chain * width, 0);
  if (chains > 1 && k + width <= inner) step(0, k, 0), k += width;
  if (k < inner) step(chains - 1, inner - width, int(k - (inner - width)));
  constexpr int group = R * 4 < width ? R * 4 : width;
#pragma GCC unroll 8
  for (int i = 0; i < R * 4; i += group) {
#pragma GCC unroll 16
    for (int j = i; chains > 1 && j < i + group; ++j) sum[0][j] += sum[chains - 1][j];
    add_lanes<T, group>(sum[0] + i);
    std::memcpy(to + i, &sum[0][i], group * sizeof(T));
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
// Rows that are computed apart are cut at multiples of 4, columns anywhere.
template <class T>
void dot_product(const Operand<T>& left, const Operand<T>& right, std::int64_t inner, const Matrix<T>& c, bool add) {
  constexpr std::int64_t most = simd_bytes == 64 ? 4 : 2;
  const Along<T> x(left, c.rows, inner), y(right, c.columns, inner);
  for (std::int64_t j = 0; j < c.columns; j += 4) {
    const std::int64_t n = std::min<std::int64_t>(4, c.columns - j);
    const T* b[4];
    for (std::int64_t l = 0; l < 4; ++l) b[l] = y.side.at(j + std::min(l, n - 1), 0);
    for (std::int64_t i = 0; i < c.rows;) {
      const std::int64_t rows = c.rows - i >= most ? most : c.rows - i >= 2 ? 2 : 1;
      T sums[4 * most];
      const auto tile = rows == 1 ? dot_tile<T, 1> : rows == 2 ? dot_tile<T, 2> : dot_tile<T, most>;
      tile(inner, x.side.at(i, 0), x.side.lane_step, b, sums);
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t l = 0; l < n; ++l) {
          T& to = c.data[(i + r) * c.row_step + (j + l) * c.column_step];
          to = add ? to + sums[4 * r + l] : sums[4 * r + l];
        }
      i += rows;
    }
  }
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
