// SPDX-License-Identifier: MIT
// sort, argsort, topk along a dimension, and unique. Stable; a NaN is greater than any number, as in PyTorch.
#pragma once

#include <vector>

#include "sinter/device/order.hpp"
#include "sinter/device/scan.hpp"
#include "sinter/functional/argmax.hpp"
#include "sinter/functional/gather.hpp"

namespace sinter {
inline namespace SINTER_ABI {

template <class T>
bool less_nan_last(T a, T b) {
  if constexpr (is_floating<T>) return a < b || (b != b && a == a);
  else return a < b;
}

// A dense tensor seen as (outer, inner, n): the rows along one dimension behind one another.
inline Ref<TensorImpl> rows_view(const TensorImpl& t, std::int64_t outer, std::int64_t n, std::int64_t inner) {
  const Layout<3> layout{Shape{outer, inner, n}, Shape{n * inner, std::int64_t(1), inner}, 0};
  return TensorImpl::make(t.dtype, layout, t.storage, t.data);
}
[[gnu::noinline]] inline void order_on(const TensorImpl& x, TensorImpl& out, const Rows& rows, std::int64_t k, bool descending) {
  const auto order = [&](const TensorImpl& from, const TensorImpl& to) {
    order_on_device({from.dtype, from.data, rows.count(), rows.n, k, descending, static_cast<std::int64_t*>(to.data)});
  };
  if (rows.inner == 1) return order(x, out);
  const Ref<TensorImpl> to = rows_view(out, rows.outer, k, rows.inner), dense = empty_dense(DType::int64, to->shape(), out.device());
  order(*dense_clone(*rows_view(x, rows.outer, rows.n, rows.inner), x.dtype), *dense);
  copy_elements(*to, *dense);
}

// For each row along d the places of its first k elements in order.
template <class T, int R>
Tensor<std::int64_t, R> order_of(const Tensor<T, R>& x, int d, std::int64_t k, bool descending) {
  using C = compute_t<T>;
  struct Item {
    C value;
    std::int64_t at;
  };
  const Rows rows(x.shape(), d);
  Tensor<std::int64_t, R> out(TensorImpl::empty(DType::int64, with_extent<R>(x.shape(), d, k), x.device()));
  if (x.device().is_cuda()) {
    order_on(*x.impl, *out.impl, rows, k, descending);
    return out;
  }
  const Rows to(out.shape(), d);
  const auto before = [descending](const Item& a, const Item& b) {
    if (less_nan_last(a.value, b.value)) return !descending;
    if (less_nan_last(b.value, a.value)) return descending;
    return a.at < b.at;
  };
  for_each_row(rows, [&](std::int64_t r) {
    std::vector<Item> items(std::size_t(rows.n));
    for (std::int64_t i = 0; i < rows.n; ++i) items[std::size_t(i)] = {C(x.data()[rows.begin(r) + i * rows.inner]), i};
    if (k == rows.n) std::sort(items.begin(), items.end(), before);
    else std::partial_sort(items.begin(), items.begin() + k, items.end(), before);
    for (std::int64_t i = 0; i < k; ++i) out.data()[to.begin(r) + i * to.inner] = items[std::size_t(i)].at;
  });
  return out;
}

// The elements in order, and where they were; gradients go back there.
template <class E>
auto sort(const Expr<E>& e, std::int64_t dim = -1, bool descending = false) {
  using T = typename E::value_type;
  constexpr int R = E::rank;
  const int d = wrap_dim("sort", dim, R);
  const auto in = materialize(e.self());
  const auto indices = order_of(no_grad([&] { return in.detach().contiguous(); }), d, R == 0 ? 1 : in.shape()[d], descending);
  return ValuesIndices<T, R>{gather_checked("sort", in, d, indices), indices};
}
template <class E>
auto argsort(const Expr<E>& e, std::int64_t dim = -1, bool descending = false) {
  NoGradGuard guard;
  const auto in = materialize(e.self()).contiguous();
  const int d = wrap_dim("argsort", dim, E::rank);
  return order_of(in, d, E::rank == 0 ? 1 : in.shape()[d], descending);
}
// The k greatest (or least) along dim, in order.
template <class E>
auto topk(const Expr<E>& e, std::int64_t k, std::int64_t dim = -1, bool largest = true) {
  using T = typename E::value_type;
  constexpr int R = E::rank;
  const int d = wrap_dim("topk", dim, R);
  const auto in = materialize(e.self());
  const std::int64_t n = R == 0 ? 1 : in.shape()[d];
  if (k < 0 || k > n) fail<IndexError>("topk: k is ", k, " for extent ", n, " (axis ", d, " of ", in.shape(), ")");
  const auto indices = order_of(no_grad([&] { return in.detach().contiguous(); }), d, k, largest);
  return ValuesIndices<T, R>{gather_checked("topk", in, d, indices), indices};
}

// A copy of the first elements.
template <class T>
Tensor<T, 1> first_of(const Tensor<T, 1>& t, std::int64_t count) { return Tensor<T, 1>(dense_clone(*narrow(t, 0, 0, count).impl, dtype_of<T>())); }

// values: the distinct elements in rising order; inverse: where each element of x is among them; counts: how often.
template <class T, int R>
struct Unique {
  Tensor<T, 1> values;
  Tensor<std::int64_t, R> inverse;
  Tensor<std::int64_t, 1> counts;
};
template <class E>
auto unique(const Expr<E>& e) {
  using T = typename E::value_type;
  constexpr int R = E::rank;
  NoGradGuard guard;
  const auto x = materialize(e.self()).contiguous();
  const std::int64_t n = x.numel();
  const auto order = order_of(Tensor<T, 1>(reshape(x, Shape{n})), 0, n, false);
  Unique<T, R> out;
  out.inverse = Tensor<std::int64_t, R>(TensorImpl::empty(DType::int64, x.shape(), x.device()));
  if (x.device().is_cuda() && n > 0) {
    const auto fresh = [&] { return Tensor<std::int64_t, 1>(TensorImpl::empty(DType::int64, Shape{n}, x.device())); };
    const Tensor<std::int64_t, 1> first = fresh(), sizes = fresh();
    const Tensor<std::int64_t, 0> count(TensorImpl::empty(DType::int64, Shape<0>{}, x.device()));
    groups_on_device({dtype_of<T>(), x.data(), order.data(), n, out.inverse.data(), first.data(), sizes.data(), count.data()});
    const std::int64_t groups = count.item();
    out.values = Tensor<T, 1>(TensorImpl::empty(dtype_of<T>(), Shape{groups}, x.device()));
    gather_rows_on_device({"unique", dtype_of<T>(), out.values.data(), x.data(), first.data(), 1, n, 1, groups});
    out.counts = first_of(sizes, groups);
    return out;
  }
  std::vector<T> values;
  std::vector<std::int64_t> counts;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t at = order.data()[i];
    const T v = x.data()[at];
    if (values.empty() || !(compute_t<T>(values.back()) == compute_t<T>(v))) values.push_back(v), counts.push_back(0);
    ++counts.back();
    out.inverse.data()[at] = std::int64_t(values.size()) - 1;
  }
  out.values = Tensor<T, 1>(TensorImpl::empty(dtype_of<T>(), Shape{std::int64_t(values.size())}, x.device()));
  out.counts = Tensor<std::int64_t, 1>(TensorImpl::empty(DType::int64, Shape{std::int64_t(values.size())}, x.device()));
  std::copy(values.begin(), values.end(), out.values.data());
  std::copy(counts.begin(), counts.end(), out.counts.data());
  return out;
}

}  // namespace SINTER_ABI
}  // namespace sinter
