// SPDX-License-Identifier: MIT
// Loops for kernels that go along one dimension of a dense tensor: whether its elements lie behind one another or
// `inner` apart, one body serves both, on lane blocks.
#pragma once

#include <algorithm>
#include <limits>

#include "sinter/core/parallel.hpp"
#include "sinter/tensor/view.hpp"

namespace sinter {

// A dense shape seen along one dimension: element k of row r is at begin(r) + k * inner.
struct Rows {
  std::int64_t outer = 1, n = 1, inner = 1;

  template <int R>
  Rows(const Shape<R>& s, int dim) {
    for (int i = 0; i < R; ++i) (i < dim ? outer : i == dim ? n : inner) *= s[i];
  }
  std::int64_t count() const { return outer * inner; }
  std::int64_t begin(std::int64_t r) const { return r / inner * n * inner + r % inner; }
};

// Where tensors that meet in one op are. Throws DeviceError where that is not one device.
template <class... X>
Device shared_device(const char* op, const X&... x) {
  const Operand in[] = {&x.impl...};
  return common_device(op, in, int(sizeof...(X)));
}

// f(r) for every row. Chunks do not depend on the number of threads.
template <class F>
void for_each_row(const Rows& rows, F&& f) {
  const std::int64_t count = rows.count(), grain = std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, rows.n));
  parallel_for((count + grain - 1) / grain, count * rows.n >= parallel_threshold, [&](std::int64_t c) {
    for (std::int64_t r = c * grain; r < std::min(count, (c + 1) * grain); ++r) f(r);
  });
}

// sizes without dimension d.
template <int R>
Shape<(R > 0 ? R - 1 : 0)> without(const Shape<R>& sizes, int d) {
  Shape<(R > 0 ? R - 1 : 0)> s;
  for (int i = 0, o = 0; i < R; ++i)
    if (i != d) s[o++] = sizes[i];
  return s;
}
template <int R>
Shape<R> with_extent(Shape<R> sizes, int d, std::int64_t n) {
  if (R > 0) sizes[d] = n;
  return sizes;
}

inline namespace SINTER_ABI {

template <class T>
using RowBlock = lane::Lanes<T, simd_bytes / int(sizeof(T))>;

// The first n elements from p (all, if n is a block or more); the lanes behind them hold `pad`.
template <class T>
RowBlock<T> load_part(const T* p, std::int64_t n, T pad) {
  constexpr int N = RowBlock<T>::size;
  if (n >= N) return RowBlock<T>::load(p);
  T a[N];
  for (int i = 0; i < N; ++i) a[i] = i < n ? p[i] : pad;
  return RowBlock<T>::load(a);
}
template <class T>
void store_part(T* p, std::int64_t n, RowBlock<T> v) {
  constexpr int N = RowBlock<T>::size;
  if (n >= N) return v.store(p);
  T a[N];
  v.store(a);
  for (int i = 0; i < n; ++i) p[i] = a[i];
}

// One row whose elements lie behind one another: a block holds N of its elements.
template <class T>
struct AlongRow {
  using V = RowBlock<T>;
  std::int64_t n;
  static constexpr int rows = 1;
  // f(offset of a block, number of its elements).
  template <class F>
  void each(F&& f) const {
    for (std::int64_t j = 0; j < n; j += V::size) f(j, n - j);
  }
  V sum(V v) const { return V(lane::sum(v)); }
  V max(V v) const { return V(lane::max(v)); }
  V spread(const T* per_row) const { return V(per_row[0]); }
  // What belongs to the elements of the block at `offset`.
  V per_element(const T* w, std::int64_t offset, std::int64_t count) const { return w ? load_part(w + offset, count, T(0)) : V(T(1)); }
};

// Up to N neighbouring rows, whose elements are `inner` apart: a block holds one element of each.
template <class T>
struct AcrossRows {
  using V = RowBlock<T>;
  std::int64_t n, inner;
  int rows;
  template <class F>
  void each(F&& f) const {
    for (std::int64_t k = 0; k < n; ++k) f(k * inner, std::int64_t(rows));
  }
  V sum(V v) const { return v; }
  V max(V v) const { return v; }
  V spread(const T* per_row) const { return load_part(per_row, rows, T(0)); }
  V per_element(const T* w, std::int64_t offset, std::int64_t) const { return V(w ? w[offset / inner] : T(1)); }
};

// f(walk, r): walk is one of the above, for the rows from r on, the first element of which is at rows.begin(r).
template <class T, class F>
void for_each_walk(const Rows& rows, F&& f) {
  if (rows.count() == 0) return;
  if (rows.inner == 1) return for_each_row(rows, [&](std::int64_t r) { f(AlongRow<T>{rows.n}, r); });
  constexpr int N = RowBlock<T>::size;
  const std::int64_t blocks = (rows.inner + N - 1) / N;
  parallel_for(rows.outer * blocks, rows.count() * rows.n >= parallel_threshold, [&](std::int64_t b) {
    const std::int64_t i = b % blocks * N;
    f(AcrossRows<T>{rows.n, rows.inner, int(std::min<std::int64_t>(N, rows.inner - i))}, b / blocks * rows.inner + i);
  });
}

// The greatest element and the sum of exp(x - greatest), for all rows of a walk at once.
template <class Walk, class T>
void max_sum_exp(const Walk& walk, const T* x, typename Walk::V& m, typename Walk::V& s) {
  using V = typename Walk::V;
  constexpr T low = -std::numeric_limits<T>::infinity();
  V top = V(low);
  walk.each([&](std::int64_t o, std::int64_t c) { top = lane::max(top, load_part(x + o, c, low)); });
  m = walk.max(top);
  V total = V(T(0));
  const V shift = m;
  walk.each([&](std::int64_t o, std::int64_t c) { total = total + lane::exp(load_part(x + o, c, low) - shift); });
  s = walk.sum(total);
}

}  // namespace SINTER_ABI
}  // namespace sinter
