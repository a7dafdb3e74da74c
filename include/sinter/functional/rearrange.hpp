// SPDX-License-Identifier: MIT
// flip, roll, repeat, tile, repeat_interleave and pad: results whose element (i, j, ...) is the operand's at (f(i), g(j), ...).
// Each function is a rule for every dimension; one kernel copies by them, another adds the gradient back.
#pragma once

#include <vector>

#include "sinter/autograd/function.hpp"
#include "sinter/device/index.hpp"
#include "sinter/functional/rows.hpp"
#include "sinter/tensor/create.hpp"

namespace sinter {
inline namespace SINTER_ABI {

template <int R>
struct IndexRules {
  IndexRule rule[R > 0 ? R : 1];

  // Every index in its place.
  explicit IndexRules(const Shape<R>& sizes) {
    for (int d = 0; d < R; ++d) rule[d].size = rule[d].n = sizes[d];
  }
  void set(int d, IndexRule::Kind kind, std::int64_t size, std::int64_t by = 0) {
    rule[d].kind = kind;
    rule[d].size = size;
    rule[d].by = by;
  }
  Shape<R> shape() const {
    Shape<R> s;
    for (int d = 0; d < R; ++d) s[d] = rule[d].size;
    return s;
  }
  template <class T>
  RearrangeArgs args(const char* op, T fill) const {
    RearrangeArgs a{op, dtype_of<T>(), R, {}, pattern_of(fill)};
    for (int d = 0; d < R; ++d) a.rule[d] = rule[d];
    return a;
  }
};

// from[d][i]: where index i along d of the result comes from, or -1 for the filling value.
template <int R>
struct IndexTables {
  std::vector<std::int64_t> from[R > 0 ? R : 1];

  explicit IndexTables(const IndexRules<R>& rules) {
    for (int d = 0; d < R; ++d) {
      from[d].resize(std::size_t(rules.rule[d].size));
      for (std::int64_t i = 0; i < rules.rule[d].size; ++i) from[d][std::size_t(i)] = rules.rule[d].source(i);
    }
  }
  Shape<R> shape() const {
    Shape<R> s;
    for (int d = 0; d < R; ++d) s[d] = std::int64_t(from[d].size());
    return s;
  }
  // Whether distinct indices along d come from distinct places.
  bool one_to_one(int d) const {
    std::vector<std::int64_t> seen;
    for (const std::int64_t i : from[d])
      if (i >= 0) seen.push_back(i);
    std::sort(seen.begin(), seen.end());
    return std::adjacent_find(seen.begin(), seen.end()) == seen.end();
  }
  // f(row of the result, start of its operand row, or -1) for rows along the last dimension, those below `rows` of dimension 0
  // on several threads if `wide`.
  template <class F>
  void each_row(const Shape<R>& operand, bool wide, F&& f) const {
    const Shape<R> sizes = shape(), strides = contiguous_strides(operand);
    const Rows rows(sizes, R - 1);
    const std::int64_t blocks = R > 1 ? sizes[0] : 1, per_block = blocks ? rows.outer / blocks : 0;
    parallel_for(blocks, wide, [&](std::int64_t b) {
      for (std::int64_t r = b * per_block; r < (b + 1) * per_block; ++r) {
        std::int64_t rest = r, at = 0;
        for (int d = R - 2; d >= 0 && at >= 0; --d) {
          const std::int64_t i = from[d][std::size_t(rest % sizes[d])];
          rest /= sizes[d];
          at = i < 0 ? -1 : at + i * strides[d];
        }
        f(r, at);
      }
    });
  }
};

template <class T, int R>
void rearrange_values(const Tensor<T, R>& x, const Tensor<T, R>& out, const IndexTables<R>& tables, T value) {
  const std::vector<std::int64_t>& last = tables.from[R - 1];
  const std::int64_t n = std::int64_t(last.size());
  if (out.numel() > 0)
    tables.each_row(x.shape(), out.numel() >= parallel_threshold, [&](std::int64_t r, std::int64_t at) {
      T* to = out.data() + r * n;
      for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t j = last[std::size_t(i)];
        to[i] = at < 0 || j < 0 ? value : x.data()[at + j];
      }
    });
}
template <class T, int R>
Tensor<T, R> rearrange(const char* op, const Tensor<T, R>& in, const IndexRules<R>& rules, T value = T(0)) {
  const Tensor<T, R> x = no_grad([&] { return in.detach().contiguous(); });
  Tensor<T, R> out(TensorImpl::empty(dtype_of<T>(), rules.shape(), x.device()));
  if (x.device().is_cuda()) rearrange_on_device(rules.args(op, value), out.data(), x.data());
  else rearrange_values(x, out, IndexTables<R>(rules), value);
  if constexpr (is_floating<T>) {
    if (!any_requires_grad(in)) return out;
    auto back = [op, rules, sizes = in.shape()](const Tensor<T, R>& grad, const auto&) {
      Tensor<T, R> dx(TensorImpl::empty(dtype_of<T>(), sizes, grad.device()));
      if (grad.device().is_cuda()) {
        rearrange_back_on_device(rules.args(op, T(0)), dx.data(), grad.data());
        return std::tuple(dx);
      }
      std::fill_n(dx.data(), dx.numel(), T(0));
      const IndexTables<R> tables(rules);
      const std::vector<std::int64_t>& last = tables.from[R - 1];
      const std::int64_t n = std::int64_t(last.size());
      // Blocks of dimension 0 write to different places if its table is one to one.
      if (grad.numel() > 0)
        tables.each_row(sizes, grad.numel() >= parallel_threshold && tables.one_to_one(0), [&](std::int64_t r, std::int64_t at) {
          const T* g = grad.data() + r * n;
          if (at < 0) return;
          for (std::int64_t i = 0; i < n; ++i)
            if (const std::int64_t j = last[std::size_t(i)]; j >= 0) dx.data()[at + j] = T(dx.data()[at + j] + g[i]);
        });
      return std::tuple(dx);
    };
    return record(op, out, std::move(back), in);
  } else {
    return out;
  }
}

// Reverses the order along some dimensions.
template <class E, std::size_t K>
auto flip(const Expr<E>& e, const int (&dims)[K]) {
  const unsigned mask = dim_mask<E::rank>("flip", dims);
  const auto x = materialize(e.self());
  IndexRules<E::rank> rules(x.shape());
  for (int d = 0; d < E::rank; ++d)
    if ((mask >> d) & 1u) rules.set(d, IndexRule::reversed, x.shape()[d]);
  return rearrange("flip", x, rules);
}
template <class E>
auto flip(const Expr<E>& e, int dim) {
  const int dims[] = {dim};
  return flip(e, dims);
}

// Shifts along some dimensions; what leaves at one end enters at the other.
template <class E, std::size_t K>
auto roll(const Expr<E>& e, const std::int64_t (&shifts)[K], const int (&dims)[K]) {
  const auto x = materialize(e.self());
  std::int64_t total[E::rank > 0 ? E::rank : 1] = {};
  for (std::size_t k = 0; k < K; ++k) total[wrap_dim("roll", dims[k], E::rank)] += shifts[k];
  IndexRules<E::rank> rules(x.shape());
  for (int d = 0; d < E::rank; ++d)
    if (const std::int64_t n = x.shape()[d]; n > 0) rules.set(d, IndexRule::shifted, n, (total[d] % n + n) % n);
  return rearrange("roll", x, rules);
}
template <class E>
auto roll(const Expr<E>& e, std::int64_t shift, int dim) {
  const std::int64_t shifts[] = {shift};
  const int dims[] = {dim};
  return roll(e, shifts, dims);
}

// x as often as `repeats` says along each dimension; more repeats than dimensions add leading ones.
template <class E, int N>
auto repeat(const Expr<E>& e, const Shape<N>& repeats) {
  static_assert(N >= E::rank, "sinter: repeat() takes at least one number for each dimension; tile() takes fewer");
  static_assert(N > 0, "sinter: repeat() takes at least one number");
  const auto x = materialize(e.self());
  Shape<N> sizes;
  for (int d = 0; d < N; ++d) {
    sizes[d] = d < N - E::rank ? 1 : x.shape()[d - (N - E::rank)];
    if (repeats[d] < 0) fail<ValueError>("repeat: a negative number of repeats, ", repeats[d], " (dimension ", d, ")");
  }
  const Tensor<typename E::value_type, N> wide = materialize(reshape(x, sizes));
  IndexRules<N> rules(sizes);
  for (int d = 0; d < N; ++d)
    if (repeats[d] != 1) rules.set(d, IndexRule::repeated, sizes[d] * repeats[d]);
  return rearrange("repeat", wide, rules);
}
template <class E, std::size_t N>
auto repeat(const Expr<E>& e, const std::int64_t (&repeats)[N]) {
  Shape<int(N)> s;
  std::copy_n(repeats, N, s.d);
  return repeat(e, s);
}
// As repeat; fewer numbers than dimensions leave the leading ones as they are.
template <class E, std::size_t N>
auto tile(const Expr<E>& e, const std::int64_t (&repeats)[N]) {
  constexpr int R = int(N) > E::rank ? int(N) : E::rank;
  Shape<R> s;
  for (int d = 0; d < R; ++d) s[d] = d < R - int(N) ? 1 : repeats[d - (R - int(N))];
  return repeat(e, s);
}

// Every element along dim `repeats` times in a row; without dim, those of the flattened tensor.
template <class E>
auto repeat_interleave(const Expr<E>& e, std::int64_t repeats, std::int64_t dim) {
  const int d = wrap_dim("repeat_interleave", dim, E::rank);
  if (repeats < 0) fail<ValueError>("repeat_interleave: a negative number of repeats, ", repeats);
  const auto x = materialize(e.self());
  IndexRules<E::rank> rules(x.shape());
  rules.set(d, IndexRule::held, x.shape()[d] * repeats, repeats);
  return rearrange("repeat_interleave", x, rules);
}
template <class E>
auto repeat_interleave(const Expr<E>& e, std::int64_t repeats) {
  return repeat_interleave(materialize(reshape(materialize(e.self()), Shape{-1})), repeats, 0);
}

enum class PadMode { constant, reflect, replicate };

// Low and high padding, from the last dimension on: pad(x, {left, right, top, bottom}). Negative padding crops.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.pad.html
template <class E, std::size_t K>
auto pad(const Expr<E>& e, const std::int64_t (&padding)[K], PadMode mode = PadMode::constant, double value = 0) {
  constexpr int R = E::rank;
  static_assert(K % 2 == 0 && K / 2 <= std::size_t(R), "sinter: pad() takes two numbers for each dimension, from the last one on");
  const auto x = materialize(e.self());
  const IndexRule::Kind kind = mode == PadMode::reflect ? IndexRule::reflected : mode == PadMode::replicate ? IndexRule::replicated : IndexRule::padded;
  IndexRules<R> rules(x.shape());
  for (int k = 0; k < int(K / 2); ++k) {
    const int d = R - 1 - k;
    const std::int64_t n = x.shape()[d], low = padding[2 * k], high = padding[2 * k + 1], size = n + low + high;
    if (size < 0 || low < -n || high < -n)
      fail<ShapeError>("pad: padding ", low, " and ", high, " leave nothing of extent ", n, " (axis ", d, " of ", x.shape(), ")");
    if (mode == PadMode::reflect && (low >= n || high >= n))
      fail<ShapeError>("pad: padding ", low, " and ", high, " must be less than extent ", n, " to reflect (axis ", d, " of ", x.shape(), ")");
    if (mode == PadMode::replicate && n == 0) fail<ShapeError>("pad: nothing to replicate along axis ", d, " of ", x.shape());
    rules.set(d, kind, size, low);
  }
  return rearrange("pad", x, rules, typename E::value_type(value));
}

}  // namespace SINTER_ABI
}  // namespace sinter
