// SPDX-License-Identifier: MIT
// Matrix products whose left operand is not packed but read where it lies, through one offset for its row and one for its
// depth: the patches of an image are such a matrix, for convolution and for both of its gradients. After Dukhan, "The Indirect
// Convolution Algorithm" (2019). The order of additions depends on the depth alone.
#pragma once

#include <utility>

#include "sinter/cpu/gemm.hpp"
#include "sinter/op/lane_base.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// A row of the left begins at element `from`; its products go to row `to` of the result.
struct IndirectRow {
  std::int64_t from, to;
};

// Columns in whole vectors: the length of a row of the result.
template <class T>
std::int64_t whole_vectors(std::int64_t columns) { return (columns + Tile<T>::width - 1) / Tile<T>::width * Tile<T>::width; }

// out[rows[r].to] (+)= sum over d of base[rows[r].from + at[d]] * right[d], for up to six rows and V vectors of columns.
template <int V, class T>
void indirect_tile(const T* base, const IndirectRow* rows, int count, const std::int64_t* at, std::int64_t depth, const T* right, T* out,
                   std::int64_t out_step, bool add) {
  using M = Tile<T>;
  using Vector = typename M::Vector;
  constexpr int R = M::rows, width = M::width, chains = V == 1 ? 2 : 1;  // of additions, so that none waits for the one before
  const T* left[R];
  for (int r = 0; r < R; ++r) left[r] = base + rows[r < count ? r : count - 1].from;
  Vector sum[chains][R][V] = {};
  const std::int64_t even = depth / chains * chains;
  for (std::int64_t d = 0; d < even; d += chains)
#pragma GCC unroll 8
    for (int c = 0; c < chains; ++c, right += V * width) {
      const std::int64_t offset = at[d + c];
      Vector b[V];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) b[v] = M::load(right + v * width);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[c][r][v] += left[r][offset] * b[v];
    }
  if (even < depth)
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < V; ++v) sum[0][r][v] += left[r][at[even]] * M::load(right + v * width);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    if (r >= count) break;
    T* to = out + rows[r].to * out_step;
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      Vector s = sum[0][r][v];
      if constexpr (chains == 2) s += sum[1][r][v];
      M::store(to + v * width, add ? M::load(to + v * width) + s : s);
    }
  }
}

template <int V, class T>
void indirect_panel(const T* base, const IndirectRow* rows, std::int64_t count, const std::int64_t* at, std::int64_t depth, const T* right,
                    std::int64_t columns, T* out, std::int64_t out_step, bool add) {
  if constexpr (V > 1)
    if (columns <= (V - 1) * Tile<T>::width)
      return indirect_panel<V - 1>(base, rows, count, at, depth, right, columns, out, out_step, add);
  for (std::int64_t r = 0; r < count; r += Tile<T>::rows)
    indirect_tile<V>(base, rows + r, int(std::min<std::int64_t>(Tile<T>::rows, count - r)), at, depth, right, out, out_step, add);
}

// out (+)= left @ panel, where panel (depth x columns) is packed by pack_panel, and out's rows are whole_vectors(columns) long.
template <class T>
void indirect_product(const T* base, const IndirectRow* rows, std::int64_t count, const std::int64_t* at, std::int64_t depth, const T* panel,
                      std::int64_t columns, T* out, bool add) {
  constexpr std::int64_t block = Tile<T>::depth;
  const std::int64_t step = whole_vectors<T>(columns);
  if (depth == 0 && !add)
    for (std::int64_t r = 0; r < count; ++r) std::fill_n(out + rows[r].to * step, step, T(0));
  for (std::int64_t d = 0; d < depth; d += block)
    indirect_panel<Tile<T>::vectors>(base, rows, count, at + d, std::min(block, depth - d), panel + d * step, columns, out, step, add || d > 0);
}

#if defined(__clang__) || __GNUC__ >= 12
// Transposes four vectors at a time. Rows of images often lie a power of two apart, where one line drives the other from the
// cache: there whole vectors are moved, whichever side they are on.
template <class T, int N = Tile<T>::width>
struct FourVectors {
  typedef T Vector __attribute__((vector_size(N * sizeof(T))));
  using All = std::make_integer_sequence<int, N>;

  // to[j * to_step + i] = from[i * from_step + j] for i < N, j < 4.
  static SINTER_HOST void four_columns(T* to, std::int64_t to_step, const T* from, std::int64_t from_step) {
    Vector v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) v[i] = rows(from + i * from_step, 4 * from_step);
    transpose(v);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) std::memcpy(to + j * to_step, &v[j], sizeof(Vector));
  }
  // The same for i < 4, j < N.
  static SINTER_HOST void four_rows(T* to, std::int64_t to_step, const T* from, std::int64_t from_step) {
    Vector v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) std::memcpy(&v[i], from + i * from_step, sizeof(Vector));
    transpose(v);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) scatter(v[j], to + j * to_step, 4 * to_step, std::make_integer_sequence<int, N / 4>{});
  }
  // Four elements of each of N / 4 rows.
  static SINTER_HOST Vector rows(const T* from, std::int64_t step) {
    if constexpr (N == 4) return Four<T>::load(from);
    else return join(FourVectors<T, N / 2>::rows(from, step), FourVectors<T, N / 2>::rows(from + N / 8 * step, step), All{});
  }

 private:
  template <class Half, int... L>
  static SINTER_HOST Vector join(Half a, Half b, std::integer_sequence<int, L...>) {
    Vector v;
    lane::shuffle<L...>(v, a, b);
    return v;
  }
  template <int... Q>
  static SINTER_HOST void scatter(Vector v, T* to, std::int64_t step, std::integer_sequence<int, Q...>) {
    typename Four<T>::Vector part;
    ((lane::shuffle<4 * Q, 4 * Q + 1, 4 * Q + 2, 4 * Q + 3>(part, v, v), std::memcpy(to + Q * step, &part, sizeof part)), ...);
  }
  // Every four elements of the four vectors, as in Four<T>.
  static SINTER_HOST void transpose(Vector* v) {
    const Vector ab = pick<0, 4, 1, 5>(v[0], v[1]), cd = pick<0, 4, 1, 5>(v[2], v[3]);
    const Vector ab2 = pick<2, 6, 3, 7>(v[0], v[1]), cd2 = pick<2, 6, 3, 7>(v[2], v[3]);
    v[0] = pick<0, 1, 4, 5>(ab, cd), v[1] = pick<2, 3, 6, 7>(ab, cd), v[2] = pick<0, 1, 4, 5>(ab2, cd2), v[3] = pick<2, 3, 6, 7>(ab2, cd2);
  }
  template <int... Which>
  static SINTER_HOST Vector pick(Vector a, Vector b) { return pick<Which...>(a, b, All{}); }
  template <int I, int J, int K, int M, int... L>
  static SINTER_HOST Vector pick(Vector a, Vector b, std::integer_sequence<int, L...>) {
    constexpr int which[4] = {I, J, K, M};
    Vector v;
    lane::shuffle<(L / 4 * 4 + which[L % 4] % 4 + which[L % 4] / 4 * N)...>(v, a, b);
    return v;
  }
};
template <class T>
inline constexpr bool four_vectors = Tile<T>::width > 4;
#else
template <class T>
struct FourVectors;
template <class T>
inline constexpr bool four_vectors = false;
#endif

// to[j * to_step + i] = from[i * from_step + j]
template <class T>
void transpose_rows(T* to, std::int64_t to_step, const T* from, std::int64_t from_step, std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t block = 64;  // rows that stay in the first cache while several lines of the result are filled
  for (std::int64_t i0 = 0; i0 < rows; i0 += block) {
    const std::int64_t end = std::min(rows, i0 + block);
    std::int64_t j = 0;
    for (; j + 4 <= columns; j += 4) {
      std::int64_t i = i0;
      if constexpr (four_vectors<T>)
        for (; i + Tile<T>::width <= end; i += Tile<T>::width)
          FourVectors<T>::four_columns(to + j * to_step + i, to_step, from + i * from_step + j, from_step);
      for (; i + 4 <= end; i += 4) Four<T>::transpose(to + j * to_step + i, to_step, from + i * from_step + j, from_step);
      for (; i < end; ++i)
        for (std::int64_t l = j; l < j + 4; ++l) to[l * to_step + i] = from[i * from_step + l];
    }
    for (; j < columns; ++j)
      for (std::int64_t i = i0; i < end; ++i) to[j * to_step + i] = from[i * from_step + j];
  }
}

// panel[d * whole_vectors(lanes) + l] = from[d * depth_step + l * lane_step], and zeros in the lanes behind.
template <class T>
void pack_panel(T* panel, const T* from, std::int64_t depth, std::int64_t depth_step, std::int64_t lanes, std::int64_t lane_step) {
  const std::int64_t step = whole_vectors<T>(lanes);
  std::int64_t l = 0;
  if (depth_step == 1)
    for (; l + 4 <= lanes; l += 4) {
      const T* rows = from + l * lane_step;
      T* to = panel + l;
      std::int64_t d = 0;
      if constexpr (four_vectors<T>)
        for (; d + Tile<T>::width <= depth; d += Tile<T>::width) FourVectors<T>::four_rows(to + d * step, step, rows + d, lane_step);
      for (; d + 4 <= depth; d += 4) Four<T>::transpose(to + d * step, step, rows + d, lane_step);
      for (; d < depth; ++d)
        for (std::int64_t i = 0; i < 4; ++i) to[d * step + i] = rows[i * lane_step + d];
    }
  for (; l < step; ++l)
    for (std::int64_t d = 0; d < depth; ++d) panel[d * step + l] = l < lanes ? from[d * depth_step + l * lane_step] : T(0);
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
