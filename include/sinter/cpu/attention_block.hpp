// SPDX-License-Identifier: MIT
// What the ways forward and back of attention share: the operands, strips of products on blocks that lie in cache, and the
// scores of a block of keys against a block of queries. Scores lie transposed, a row for each key: softmax then runs down the
// lanes without a horizontal sum, and the products behind it read the block as it lies.
#pragma once

#include <limits>

#include "sinter/core/random.hpp"
#include "sinter/cpu/gemm.hpp"
#include "sinter/op/lane_math.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// Extents of a block of scores.
inline constexpr std::int64_t query_block = 64, key_block = 64;

// (batch, heads, length, width) by strides; no data: not given.
template <class T>
struct Heads {
  T* data = nullptr;
  std::int64_t step[4] = {};
  // `rows` of one head from row0 on.
  Matrix<T> part(std::int64_t batch, std::int64_t head, std::int64_t row0, std::int64_t rows, std::int64_t columns) const {
    return {data + batch * step[0] + head * step[1] + row0 * step[2], rows, columns, step[2], step[3]};
  }
};

template <class T>
struct Attention {
  std::int64_t batch, heads, kv_heads, targets, sources, width, value_width;
  compute_t<T> scale;
  bool causal = false;        // query i sees keys 0 to i
  Heads<const T> q, k, v;
  Heads<const bool> allowed;  // (batch, heads, targets, sources): whether a query may see a key
  Heads<const T> bias;        // the same, added to the scores
  double dropout = 0;
  std::uint64_t seed = 0, first = 0;  // its random numbers

  std::int64_t kv_head(std::int64_t head) const { return head / (heads / kv_heads); }
  // Queries from q0 on see no keys from here on.
  std::int64_t keys_of(std::int64_t q0, std::int64_t nq) const { return causal ? std::min(sources, q0 + nq) : sources; }
};

// One register tile: c[r][j] = keep[r] * c[r][j] + sum over d of a[r][d * a_step] * b[d * b_step + j]; without keep, the sum.
template <int V, class T>
void strip_tile(const T* const* a, std::int64_t a_step, const T* b, std::int64_t b_step, std::int64_t depth, Matrix<T> c, const T* keep) {
  using M = Tile<T>;
  constexpr int rows = M::rows, width = M::width;
  if constexpr (V > 1)
    if (c.columns <= (V - 1) * width) return strip_tile<V - 1>(a, a_step, b, b_step, depth, c, keep);
  typename M::Vector sum[rows][V] = {};
  for (std::int64_t d = 0; d < depth; ++d, b += b_step) {
    typename M::Vector right[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) right[v] = M::load(b + v * width);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] += a[r][d * a_step] * right[v];
  }
  if (c.rows == rows && c.columns == V * width && c.column_step == 1) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        T* to = c.data + r * c.row_step + v * width;
        M::store(to, keep ? M::load(to) * keep[r] + sum[r][v] : sum[r][v]);
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
        to = keep ? to * keep[r] + edge[r * V * width + j] : edge[r * V * width + j];
      }
  }
}

// The same for at most Tile<T>::rows rows of any breadth. a is read as it lies; b has its rows b_step apart, its columns
// contiguous and whole vectors of them readable.
template <class T>
void strip(Matrix<const T> a, const T* b, std::int64_t b_step, Matrix<T> c, const T* keep) {
  using M = Tile<T>;
  const T* row[M::rows];
  for (int r = 0; r < M::rows; ++r) row[r] = a.data + std::min<std::int64_t>(r, a.rows - 1) * a.row_step;
  for (std::int64_t j = 0; j < c.columns; j += M::columns)
    strip_tile<M::vectors>(row, a.column_step, b + j, b_step, a.columns, c.part(0, j, c.rows, std::min<std::int64_t>(M::columns, c.columns - j)), keep);
}
// f(first, count) for every strip of n rows.
template <class T, class F>
void for_each_strip(std::int64_t n, F&& f) {
  for (std::int64_t i = 0; i < n; i += Tile<T>::rows) f(i, std::min<std::int64_t>(Tile<T>::rows, n - i));
}
template <class T>
inline constexpr T added[Tile<T>::rows] = {1, 1, 1, 1, 1, 1};  // `keep` of a sum that goes on

template <class T>
std::int64_t padded(std::int64_t columns) { return (columns + Tile<T>::width - 1) / Tile<T>::width * Tile<T>::width; }

// A right side for strip(): the rows of m where they can be read by whole vectors, else a copy.
template <class T>
struct Panel {
  const T* data;
  std::int64_t step;
  Panel(Matrix<const T> m, T* copy) : data(m.data), step(m.row_step) {
    const std::int64_t broad = padded<T>(m.columns);
    if (m.column_step == 1 && m.columns == broad) return;
    for (std::int64_t i = 0; i < m.rows; ++i) {
      T* to = copy + i * broad;
      const T* from = m.data + i * m.row_step;
      if (m.column_step == 1) std::memcpy(to, from, std::size_t(m.columns) * sizeof(T));
      else
        for (std::int64_t j = 0; j < m.columns; ++j) to[j] = from[j * m.column_step];
      for (std::int64_t j = m.columns; j < broad; ++j) to[j] = T(0);
    }
    data = copy;
    step = broad;
  }
};

// Queries to lanes: to[d * query_block + i] = m(i, d), zeros behind the last up to a whole vector.
template <class T>
void to_lanes(Matrix<const T> m, T* to) {
  const std::int64_t rows = m.column_step == 1 ? m.rows / 4 * 4 : 0, columns = rows ? m.columns / 4 * 4 : 0;
  for (std::int64_t d = 0; d < columns; d += 4)
    for (std::int64_t i = 0; i < rows; i += 4) Four<T>::transpose(to + d * query_block + i, query_block, m.data + i * m.row_step + d, m.row_step);
  for (std::int64_t d = 0; d < m.columns; ++d) {
    for (std::int64_t i = d < columns ? rows : 0; i < m.rows; ++i) to[d * query_block + i] = m.data[i * m.row_step + d * m.column_step];
    for (std::int64_t i = m.rows; i < padded<T>(m.rows); ++i) to[d * query_block + i] = T(0);
  }
}

template <class T>
using LaneBlock = lane::Lanes<T, Tile<T>::width>;

// A block of queries against blocks of keys.
template <class T>
struct Scores {
  using V = LaneBlock<T>;
  static constexpr int width = Tile<T>::width;
  static constexpr T hidden = -std::numeric_limits<T>::infinity();
  const Attention<T>& p;
  std::int64_t b, h, q0, nq;
  Scratch<T> queries, mask;  // (width, query_block), scaled; (key_block, query_block)

  Scores(const Attention<T>& a, std::int64_t batch)
      : p(a), b(batch), h(0), q0(0), nq(0), queries(query_block * a.width),
        mask(a.allowed.data || a.bias.data || a.dropout > 0 ? key_block * query_block : 0) {}

  void load(std::int64_t head, std::int64_t query) {
    h = head, q0 = query, nq = std::min(query_block, p.targets - query);
    const Matrix<const T> q = p.q.part(b, h, q0, nq, p.width);
    to_lanes(q, queries.data);
    for (std::int64_t d = 0; d < p.width; ++d)
      for (T *at = queries.data + d * query_block, *end = at + padded<T>(nq); at < end; at += width) (V::load(at) * V(p.scale)).store(at);
  }
  // Of nk keys from k0 on, those that some query of vector v sees.
  std::int64_t seen(std::int64_t v, std::int64_t k0, std::int64_t nk) const {
    return p.causal ? std::max<std::int64_t>(0, std::min(nk, q0 + (v + 1) * width - k0)) : nk;
  }
  // The first vector of queries that sees key k.
  std::int64_t first_vector(std::int64_t k) const { return p.causal ? std::max<std::int64_t>(0, (k - q0) / width) : 0; }

  // to(key, query) = sum over d of a(key, d) * lanes(d, query), where some query of the vector sees the key.
  void product(Matrix<const T> a, std::int64_t k0, const T* lanes, T* to) const {
    const std::int64_t columns = padded<T>(nq);
    for_each_strip<T>(a.rows, [&](std::int64_t i, std::int64_t n) {
      const std::int64_t j = first_vector(k0 + i) * width;
      strip<T>(a.part(i, 0, n, a.columns), lanes + j, query_block, {to + i * query_block + j, n, columns - j, query_block, 1}, nullptr);
    });
  }
  // The scores of nk keys from k0 on, -inf where a query does not see a key. False: no query sees any.
  bool operator()(std::int64_t k0, std::int64_t nk, T* to) {
    const bool masked = p.allowed.data || p.bias.data;
    if (p.allowed.data && !load_mask(p.allowed, k0, nk, [](bool may) { return may ? T(0) : hidden; })) return false;
    if (p.bias.data && !load_mask(p.bias, k0, nk, [](T x) { return x; })) return false;
    product(p.k.part(b, p.kv_head(h), k0, nk, p.width), k0, queries.data, to);
    if (masked) add_mask(k0, nk, to);
    if (p.causal && k0 + nk - 1 > q0) hide_later(k0, nk, to);
    return true;
  }
  // mask.data = 0 where a weight is dropped, 1 / (1 - p) where it stays. Four keys share a counter.
  const T* draw_dropout(std::int64_t k0, std::int64_t nk) {
    const auto limit = std::uint64_t(p.dropout * 0x1p32);
    const T kept = p.dropout < 1 ? T(1 / (1 - p.dropout)) : T(0);
    const std::int64_t quads = (p.sources + 3) / 4;
    for (std::int64_t q = 0; q < nq; ++q)
      for (std::int64_t k = 0; k < nk; k += 4) {
        const Philox random(p.seed, p.first + std::uint64_t((((b * p.heads + h) * p.targets + q0 + q) * quads) + (k0 + k) / 4));
        for (int i = 0; i < 4; ++i) mask.data[(k + i) * query_block + q] = random.word[i] < limit ? T(0) : kept;
      }
    for (std::int64_t q = nq; q < padded<T>(nq); ++q)
      for (std::int64_t k = 0; k < nk; ++k) mask.data[k * query_block + q] = T(0);
    return mask.data;
  }

 private:
  // False where everything is -inf.
  template <class M, class F>
  bool load_mask(const Heads<const M>& given, std::int64_t k0, std::int64_t nk, F value) {
    const Matrix<const M> m = given.part(b, h, q0, nq, p.sources);
    bool any = false;
    for (std::int64_t q = 0; q < padded<T>(nq); ++q) {
      const M* from = m.data + std::min(q, nq - 1) * m.row_step + k0 * m.column_step;
      for (std::int64_t k = 0; k < nk; ++k) {
        const T x = value(from[k * m.column_step]);
        mask.data[k * query_block + q] = x;
        any |= x != hidden;
      }
    }
    return any;
  }
  void add_mask(std::int64_t k0, std::int64_t nk, T* to) const {
    for (std::int64_t k = 0; k < nk; ++k)
      for (std::int64_t j = first_vector(k0 + k) * width; j < padded<T>(nq); j += width) {
        const std::int64_t i = k * query_block + j;
        (V::load(to + i) + V::load(mask.data + i)).store(to + i);
      }
  }
  void hide_later(std::int64_t k0, std::int64_t nk, T* to) const {
    for (std::int64_t v = 0; v * width < nq; ++v)
      for (std::int64_t k = std::max<std::int64_t>(0, q0 + v * width + 1 - k0); k < seen(v, k0, nk); ++k)
        for (std::int64_t j = v * width; j < k0 + k - q0; ++j) to[k * query_block + j] = hidden;
  }
};

// block *= factor, for nk keys.
template <class T>
void multiply_block(const Scores<T>& s, std::int64_t nk, const T* factor, T* block) {
  using V = LaneBlock<T>;
  for (std::int64_t k = 0; k < nk; ++k)
    for (std::int64_t i = k * query_block; i < k * query_block + padded<T>(s.nq); i += V::size)
      (V::load(block + i) * V::load(factor + i)).store(block + i);
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
