// SPDX-License-Identifier: MIT
// Kernels that normalise rows of dense memory: each row is read from memory once, and again while it is in the cache.
#pragma once

#include <algorithm>
#include <cmath>

#include "sinter/core/parallel.hpp"
#include "sinter/core/tensor_impl.hpp"
#include "sinter/op/lane.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// A row block by block: f(words, j) for the elements from j on, where `words` loads, stores and blanks a whole block or
// what is left of one.
template <class T>
struct RowBlocks {
  using V = lane::Lanes<T, simd_bytes / int(sizeof(T))>;
  static constexpr int N = V::size;
  struct Whole {
    V load(const T* p) const { return V::load(p); }
    void store(T* p, V v) const { v.store(p); }
    V blank(V v) const { return v; }
  };
  struct Rest {
    int n;
    V load(const T* p) const {
      T a[N] = {};
      std::copy_n(p, n, a);
      return V::load(a);
    }
    void store(T* p, V v) const {
      T a[N];
      v.store(a);
      std::copy_n(a, n, p);
    }
    // The same with zeros behind the row's end.
    V blank(V v) const {
      T a[N];
      v.store(a);
      return load(a);
    }
  };

  template <class F>
  static void each(std::int64_t n, F f) {
    std::int64_t j = 0;
    for (; j + N <= n; j += N) f(Whole(), j);
    if (j < n) f(Rest{int(n - j)}, j);
  }
  // The sum of f(words, j) along the row, in four parts that do not wait for each other.
  template <class F>
  static T sum(std::int64_t n, F f) {
    V a(T(0)), b = a, c = a, d = a;
    std::int64_t j = 0;
    for (; j + 4 * N <= n; j += 4 * N) {
      a = a + f(Whole(), j);
      b = b + f(Whole(), j + N);
      c = c + f(Whole(), j + 2 * N);
      d = d + f(Whole(), j + 3 * N);
    }
    for (; j + N <= n; j += N) a = a + f(Whole(), j);
    if (const Rest rest{int(n - j)}; j < n) b = b + rest.blank(f(rest, j));
    return lane::sum((a + b) + (c + d));
  }
};

// Rows of n elements. How they are cut into groups depends on the shape alone.
struct NormRows {
  std::int64_t rows, n;
  bool wide() const { return rows * n >= parallel_threshold; }
  std::int64_t groups() const { return std::max<std::int64_t>(1, std::min<std::int64_t>({rows, 64, rows * n / 8192})); }
  template <class F>
  void each_group(F f) const {
    const std::int64_t count = groups();
    parallel_for(count, wide(), [&](std::int64_t g) { f(g, rows * g / count, rows * (g + 1) / count); });
  }
};

// y = (x - mean) * rstd * weight + bias for each row; rstd = 1 / sqrt(var + eps). Not Centered: mean is 0, and not stored
// (root mean square). weight and bias, n of each, may be null.
template <bool Centered, class T>
void normalize_rows(const NormRows& s, const T* x, const T* weight, const T* bias, double eps, T* y, T* mean, T* rstd) {
  using B = RowBlocks<T>;
  using V = typename B::V;
  s.each_group([=](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T* in = x + r * s.n;
      T* out = y + r * s.n;
      T m = 0;
      if (Centered) mean[r] = m = B::sum(s.n, [=](auto w, std::int64_t j) { return w.load(in + j); }) / T(s.n);
      const V shift(m);
      const T square = B::sum(s.n, [=](auto w, std::int64_t j) {
        const V v = w.load(in + j) - shift;
        return v * v;
      });
      rstd[r] = T(1) / std::sqrt(square / T(s.n) + T(eps));
      const V scale(rstd[r]);
      B::each(s.n, [=](auto w, std::int64_t j) {
        V v = (w.load(in + j) - shift) * scale;
        if (weight) v = v * w.load(weight + j);
        if (bias) v = v + w.load(bias + j);
        w.store(out + j, v);
      });
    }
  });
}

// The gradients of the above where g is that of y; those that are not wanted are null.
template <bool Centered, class T>
void normalize_rows_backward(const NormRows& s, const T* x, const T* weight, const T* mean, const T* rstd, const T* g, T* dx, T* dweight,
                             T* dbias) {
  using B = RowBlocks<T>;
  using V = typename B::V;
  // What all rows add to, apart for each group; then group by group in order.
  const std::int64_t groups = s.groups(), own = (dweight ? s.n : 0) + (dbias ? s.n : 0);
  const Ref<Storage> memory = own > 0 ? Storage::allocate(std::size_t(groups * own) * sizeof(T)) : Ref<Storage>();
  T* const sums = memory ? static_cast<T*>(memory->data) : nullptr;
  s.each_group([=](std::int64_t group, std::int64_t begin, std::int64_t end) {
    T* const dw = dweight ? sums + group * own : nullptr;
    T* const db = dbias ? sums + group * own + (dweight ? s.n : 0) : nullptr;
    std::fill_n(sums + group * own, own, T(0));
    for (std::int64_t r = begin; r < end; ++r) {
      const T *in = x + r * s.n, *up = g + r * s.n;
      const V shift(Centered ? mean[r] : T(0)), scale(rstd[r]);
      V by_one(T(0)), by_value(T(0));
      B::each(s.n, [&](auto w, std::int64_t j) {
        const V d = w.load(up + j), v = (w.load(in + j) - shift) * scale;
        const V dv = weight ? d * w.load(weight + j) : d;
        by_one = by_one + dv;  // behind the row's end d is 0
        by_value = by_value + dv * v;
        if (dw) w.store(dw + j, w.load(dw + j) + d * v);
        if (db) w.store(db + j, w.load(db + j) + d);
      });
      if (!dx) continue;
      T* const out = dx + r * s.n;
      const V one(Centered ? lane::sum(by_one) / T(s.n) : T(0)), value(lane::sum(by_value) / T(s.n));
      B::each(s.n, [=](auto w, std::int64_t j) {
        const V d = w.load(up + j), v = (w.load(in + j) - shift) * scale;
        const V dv = weight ? d * w.load(weight + j) : d;
        w.store(out + j, (dv - one - v * value) * scale);
      });
    }
  });
  const auto fold = [&](T* to, const T* from) {
    std::copy_n(from, s.n, to);
    for (std::int64_t k = 1; k < groups; ++k)
      B::each(s.n, [=](auto w, std::int64_t j) { w.store(to + j, w.load(to + j) + w.load(from + k * own + j)); });
  };
  if (dweight) fold(dweight, sums);
  if (dbias) fold(dbias, sums + (dweight ? s.n : 0));
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
