// SPDX-License-Identifier: MIT
// Matrix products whose operands both lie along the sum, and are few: every element is a sum over vectors of both, without a
// copy. Matrix times vector is the case of one row.
#pragma once

#include "sinter/cpu/gemm_tile.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// The lanes of a vector, added in halves until four are left.
template <class T, int N>
SINTER_HD void add_halves(const T* lanes, typename Four<T>::Vector& four) {
  if constexpr (N <= 4) {
    four = typename Four<T>::Vector{};
    std::memcpy(&four, lanes, N * sizeof(T));
  } else {
    typedef T Half __attribute__((vector_size(N / 2 * sizeof(T))));
    Half low, high;
    std::memcpy(&low, lanes, sizeof low);
    std::memcpy(&high, lanes + N / 2, sizeof high);
    low += high;
    T halves[N / 2];
    std::memcpy(halves, &low, sizeof low);
    add_halves<T, N / 2>(halves, four);
  }
}

// R rows by C columns. Vectors of one element at most `chains` at a time, so that additions do not wait for each other.
template <class T, int R, int C>
[[gnu::noinline]] void dot_tile(std::int64_t inner, const T* a, std::int64_t a_step, const T* b, std::int64_t b_step, Matrix<T> c, bool add) {
  using M = Tile<T>;
  using Vector = typename M::Vector;
  using F = Four<T>;
  constexpr int width = M::width, chains = R * C <= 4 ? 2 : 1;
  Vector sum[chains][R][C] = {};
  const auto step = [&](int chain, std::int64_t k, int from) {
    Vector right[C], left[R];
#pragma GCC unroll 4
    for (int j = 0; j < C; ++j) right[j] = M::load(b + j * b_step + k);
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i) left[i] = M::load(a + i * a_step + k);
    if (from > 0) {  // the last vector again, without the lanes that were added before
      typedef typename F::Index Indices __attribute__((vector_size(simd_bytes)));
      Indices lane;
      for (int l = 0; l < width; ++l) lane[l] = l;
      for (int j = 0; j < C; ++j) right[j] = lane >= from ? right[j] : Vector{};
      for (int i = 0; i < R; ++i) left[i] = lane >= from ? left[i] : Vector{};
    }
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < C; ++j) sum[chain][i][j] += left[i] * right[j];
  };
  std::int64_t k = 0;
  for (; k + chains * width <= inner; k += chains * width)
#pragma GCC unroll 2
    for (int chain = 0; chain < chains; ++chain) step(chain, k + chain * width, 0);
  if (chains > 1 && k + width <= inner) step(0, k, 0), k += width;
  if (k < inner) step(chains - 1, inner - width, int(k - (inner - width)));
  for (int i = 0; i < R; ++i) {
    typename F::Vector four[4] = {};
    for (int j = 0; j < C; ++j) {
      Vector total = sum[0][i][j];
      if constexpr (chains > 1) total += sum[1][i][j];
      T lanes[width];
      M::store(lanes, total);
      add_halves<T, width>(lanes, four[j]);
    }
    F::transpose(four);
    const typename F::Vector totals = (four[0] + four[1]) + (four[2] + four[3]);
    T* to = c.data + i * c.row_step;
    for (int j = 0; j < C; ++j, to += c.column_step) *to = add ? *to + totals[j] : totals[j];
  }
}

// c = left @ right for operands whose depth_step is 1 and an `inner` of at least a vector; cut it only at multiples of 4.
template <class T>
void dot_product(const Operand<T>& left, const Operand<T>& right, std::int64_t inner, Matrix<T> c, bool add) {
  constexpr int R = simd_bytes == 64 ? 4 : 2;
  const T* a = left.at(0, 0);
  const T* b = right.at(0, 0);
  const std::int64_t x = left.lane_step, y = right.lane_step;
  for (std::int64_t j = 0; j < c.columns;) {
    const bool four = c.columns - j >= 4;
    std::int64_t i = 0;
    for (; i + R <= c.rows; i += R) (four ? dot_tile<T, R, 4> : dot_tile<T, R, 1>)(inner, a + i * x, x, b + j * y, y, c.part(i, j, R, 4), add);
    for (; i < c.rows; ++i) (four ? dot_tile<T, 1, 4> : dot_tile<T, 1, 1>)(inner, a + i * x, x, b + j * y, y, c.part(i, j, 1, 4), add);
    j += four ? 4 : 1;
  }
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
