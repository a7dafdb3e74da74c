// SPDX-License-Identifier: MIT
// Elements chosen by index along one dimension: gather, take_along_dim, scatter, scatter_add, index_select. The way back
// adds in a fixed order, so that gradients do not depend on the number of threads.
#pragma once

#include "sinter/autograd/function.hpp"
#include "sinter/device/index.hpp"
#include "sinter/functional/rows.hpp"
#include "sinter/tensor/create.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// f(start of a row in `a`, start of the same row in `b`) for all rows along d of a dense shape `a`, whose other extents
// are within those of dense `b`. Rows are independent of each other.
template <int R, class F>
void for_each_row_pair(const Shape<R>& a, const Shape<R>& b, int d, F&& f) {
  const Rows rows(a, d);
  const Shape<R> strides = contiguous_strides(b);
  const Shape<R> others = with_extent(a, d, 1);
  for_each_row(rows, [&](std::int64_t r) {
    std::int64_t rest = r, at = 0;
    for (int i = R - 1; i >= 0; --i) {
      at += rest % others[i] * strides[i];
      rest /= others[i];
    }
    f(rows.begin(r), at);
  });
}
template <int R>
std::int64_t row_step(const Shape<R>& s, int d) { return R == 0 ? 1 : contiguous_strides(s)[d]; }

// An index tensor as dense int64, each element within [0, extent). On a device that is left to the kernels.
template <class E>
auto checked_index(const char* op, const Expr<E>& index, std::int64_t extent, int axis) {
  static_assert(std::is_integral_v<typename E::value_type> && !std::is_same_v<typename E::value_type, bool>,
                "sinter: an index tensor has dtype int64 (or another integer)");
  const auto dense = no_grad([&] { return materialize(to<std::int64_t>(index)).contiguous(); });
  for (std::int64_t i = 0, n = dense.device().is_cpu() ? dense.numel() : 0; i < n; ++i)
    if (const std::int64_t k = dense.data()[i]; k < 0 || k >= extent)
      fail<IndexError>(op, ": index ", k, " (element ", i, " of the index) is out of range for extent ", extent, " (axis ", axis, ")");
  return dense;
}
template <int R>
void check_within(const char* op, const char* what, const Shape<R>& inner, const Shape<R>& outer, int except) {
  for (int i = 0; i < R; ++i)
    if (i != except && inner[i] > outer[i])
      fail<ShapeError>(op, ": the index of shape ", inner, " exceeds the ", what, " of shape ", outer, ": ", inner[i], " against ", outer[i], " (axis ", i, ")");
}
template <class T, int R>
Tensor<T, R> zeros_of(const Shape<R>& sizes, Device device) {
  Tensor<T, R> t(TensorImpl::empty(dtype_of<T>(), sizes, device));
  fill_dense(t, T(0));
  return t;
}
template <class T, int R>
GatherArgs gather_args(const char* op, const Shape<R>& x, int d, const Tensor<std::int64_t, R>& index) {
  GatherArgs a{op, dtype_of<T>(), R, d, {}, {}, index.data()};
  for (int i = 0; i < R; ++i) a.x_sizes[i] = x[i], a.sizes[i] = index.shape()[i];
  return a;
}

// out[.., k, ..] = x[.., index[.., k, ..], ..]
template <class T, int R>
Tensor<T, R> gather_values(const char* op, const Tensor<T, R>& x, int d, const Tensor<std::int64_t, R>& index) {
  const Device device = shared_device(op, x, index);
  Tensor<T, R> out(TensorImpl::empty(dtype_of<T>(), index.shape(), device));
  if (device.is_cuda()) {
    gather_on_device(gather_args<T>(op, x.shape(), d, index), out.data(), x.data());
    return out;
  }
  const std::int64_t n = R == 0 ? 1 : index.shape()[d], step = row_step(index.shape(), d), from = row_step(x.shape(), d);
  for_each_row_pair(index.shape(), x.shape(), d, [&](std::int64_t i, std::int64_t b) {
    for (std::int64_t k = 0; k < n; ++k) out.data()[i + k * step] = x.data()[b + index.data()[i + k * step] * from];
  });
  return out;
}
// to[.., index[.., k, ..], ..] += from[.., k, ..], or = where Add is false; zeros where `from` is undefined.
template <bool Add, class T, int R>
void scatter_values(const char* op, Tensor<T, R>& to, int d, const Tensor<std::int64_t, R>& index, const Tensor<T, R>& from) {
  const T* source = from.defined() ? from.data() : nullptr;
  if (shared_device(op, to, index, from.defined() ? from : to).is_cuda())
    return (Add ? scatter_add_on_device : scatter_on_device)(gather_args<T>(op, to.shape(), d, index), to.data(), source);
  const std::int64_t n = R == 0 ? 1 : index.shape()[d], step = row_step(index.shape(), d), by = row_step(to.shape(), d);
  for_each_row_pair(index.shape(), to.shape(), d, [&](std::int64_t i, std::int64_t b) {
    for (std::int64_t k = 0; k < n; ++k) {
      T& slot = to.data()[b + index.data()[i + k * step] * by];
      if constexpr (Add) slot = T(slot + source[i + k * step]);
      else slot = source ? source[i + k * step] : T(0);
    }
  });
}

// Gathers by an index that is known to be dense and within range.
template <class T, int R>
Tensor<T, R> gather_checked(const char* op, const Tensor<T, R>& in, int d, const Tensor<std::int64_t, R>& index) {
  Tensor<T, R> out = gather_values(op, no_grad([&] { return in.detach().contiguous(); }), d, index);
  if (!any_requires_grad(in)) return out;
  const Saved at(index);
  const auto back = [op, d, sizes = in.shape(), at](const Tensor<T, R>& grad) {
    Tensor<T, R> dx = zeros_of<T>(sizes, grad.device());
    scatter_values<true>(op, dx, d, at.get(op), grad);
    return dx;
  };
  return record_linear(op, out, [op, d, at](const Tensor<T, R>& x) { return gather_values(op, x, d, at.get(op)); }, back, in);
}

// x, index: the same rank; extents of index are within those of x but for dim. Throws IndexError, ShapeError.
// https://pytorch.org/docs/stable/generated/torch.gather.html
template <class A, class I>
auto gather(const Expr<A>& x, std::int64_t dim, const Expr<I>& index) {
  static_assert(A::rank == I::rank, "sinter: gather() takes an index of the tensor's rank");
  const int d = wrap_dim("gather", dim, A::rank);
  const auto in = materialize(x.self());
  check_within<A::rank>("gather", "tensor", index.self().shape(), in.shape(), d);
  return gather_checked("gather", in, d, checked_index("gather", index, A::rank == 0 ? 1 : in.shape()[d], d));
}
// As gather, but x and index are broadcast against each other outside of dim.
template <class A, class I>
auto take_along_dim(const Expr<A>& x, const Expr<I>& index, std::int64_t dim) {
  static_assert(A::rank == I::rank && A::rank > 0, "sinter: take_along_dim() takes an index of the tensor's rank");
  constexpr int R = A::rank;
  const int d = wrap_dim("take_along_dim", dim, R);
  const auto in = materialize(x.self());
  const auto at = checked_index("take_along_dim", index, in.shape()[d], d);
  const Shape<R> sizes = broadcast_shapes("take_along_dim", with_extent<R>(in.shape(), d, 1), with_extent<R>(at.shape(), d, 1));
  const auto wide = materialize(expand(in, with_extent(sizes, d, in.shape()[d])));
  const auto wide_index = materialize(expand(at, with_extent(sizes, d, at.shape()[d]))).contiguous();
  return gather_checked("take_along_dim", wide, d, wide_index);
}
template <class A, class I>
auto take_along_dim(const Expr<A>& x, const Expr<I>& index) {
  return take_along_dim(reshape(materialize(x.self()), Shape{-1}), reshape(materialize(index.self()), Shape{-1}), 0);
}

template <bool Add, class T, int R, class I, class B>
Tensor<T, R> scatter_from(const char* op, const Tensor<T, R>& x, std::int64_t dim, const Expr<I>& index, const Expr<B>& source) {
  static_assert(R == I::rank && R == B::rank, "sinter: scatter() takes an index and a source of the tensor's rank");
  static_assert(std::is_same_v<typename B::value_type, T>, "sinter: scatter() takes a source of the tensor's dtype");
  const int d = wrap_dim(op, dim, R);
  const auto at = checked_index(op, index, R == 0 ? 1 : x.shape()[d], d);
  const Tensor<T, R> src = materialize(source.self());
  check_within<R>(op, "tensor", at.shape(), x.shape(), d);
  check_within<R>(op, "source", at.shape(), src.shape(), -1);
  // Only the part of the source that the index covers counts.
  const Tensor<T, R> part = no_grad([&] {
    Tensor<T, R> p = src.detach();
    for (int i = 0; i < R; ++i) p = Tensor<T, R>(narrow(p, i, 0, at.shape()[i]));
    return p.contiguous();
  });
  Tensor<T, R> out = no_grad([&] { return x.detach().clone(); });
  scatter_values<Add>(op, out, d, at, part);
  if (!any_requires_grad(x, src)) return out;
  auto back = [=, sizes = src.shape(), at = Saved(at)](const Tensor<T, R>& grad, const auto& needs) {
    const auto index = at.get(op);
    Tensor<T, R> dx, ds;
    if (needs[0] && Add) dx = grad;
    if (needs[0] && !Add) {
      dx = grad.clone();
      scatter_values<false>(op, dx, d, index, Tensor<T, R>());
    }
    if (needs[1]) {
      const Tensor<T, R> taken = gather_values(op, grad, d, index);
      if (sizes == index.shape()) {
        ds = taken;
      } else {
        ds = zeros_of<T>(sizes, grad.device());
        Tensor<T, R> p = ds;
        for (int i = 0; i < R; ++i) p = Tensor<T, R>(narrow(p, i, 0, index.shape()[i]));
        p.copy_(taken);
      }
    }
    return std::tuple(dx, ds);
  };
  return record(op, out, std::move(back), x, src);
}

// x with x[.., index[.., k, ..], ..] = source[.., k, ..]; of several writes to one place the last wins.
template <class A, class I, class B>
auto scatter(const Expr<A>& x, std::int64_t dim, const Expr<I>& index, const Expr<B>& source) {
  return scatter_from<false>("scatter", materialize(x.self()), dim, index, source);
}
template <class A, class I, class S, std::enable_if_t<std::is_arithmetic_v<S>, int> = 0>
auto scatter(const Expr<A>& x, std::int64_t dim, const Expr<I>& index, S value) {
  using T = typename A::value_type;
  const auto to = materialize(x.self());
  Tensor<T, I::rank> source(TensorImpl::empty(dtype_of<T>(), Shape<I::rank>(index.self().shape()), to.device()));
  fill_dense(source, T(value));
  return scatter_from<false>("scatter", to, dim, index, source);
}
// x with x[.., index[.., k, ..], ..] += source[.., k, ..], in rising k.
template <class A, class I, class B>
auto scatter_add(const Expr<A>& x, std::int64_t dim, const Expr<I>& index, const Expr<B>& source) {
  return scatter_from<true>("scatter_add", materialize(x.self()), dim, index, source);
}

// The slices of x along dim that a vector of indices names.
template <class A, class I>
auto index_select(const Expr<A>& x, std::int64_t dim, const Expr<I>& index) {
  using T = typename A::value_type;
  constexpr int R = A::rank;
  static_assert(R > 0 && I::rank == 1, "sinter: index_select() takes an index of rank 1");
  const int d = wrap_dim("index_select", dim, R);
  const auto in = materialize(x.self());
  const auto at = checked_index("index_select", index, in.shape()[d], d);
  const Rows rows(in.shape(), d);
  const std::int64_t n = at.numel(), inner = rows.inner, outer = rows.outer;
  const Device device = shared_device("index_select", in, at);
  const auto taken = [=, sizes = with_extent<R>(in.shape(), d, n), at = Saved(at)](const Tensor<T, R>& from) {
    const auto i = at.get("index_select");
    Tensor<T, R> out(TensorImpl::empty(dtype_of<T>(), sizes, device));
    if (device.is_cuda()) gather_rows_on_device({"index_select", dtype_of<T>(), out.data(), from.data(), i.data(), outer, rows.n, inner, n});
    else parallel_for(outer * n, out.numel() >= parallel_threshold, [&](std::int64_t b) {
      std::copy_n(from.data() + (b / n * rows.n + i.data()[b % n]) * inner, inner, out.data() + b * inner);
    });
    return out;
  };
  const Tensor<T, R> out = taken(no_grad([&] { return in.detach().contiguous(); }));
  if (!any_requires_grad(in)) return out;
  const auto back = [=, sizes = in.shape(), at = Saved(at)](const Tensor<T, R>& grad) {
    const auto i = at.get("index_select");
    Tensor<T, R> dx = zeros_of<T>(sizes, device);
    if (device.is_cuda()) add_rows_on_device({"index_select", dtype_of<T>(), dx.data(), grad.data(), i.data(), outer, rows.n, inner, n, false});
    else parallel_for(outer, grad.numel() >= parallel_threshold, [&](std::int64_t o) {
      for (std::int64_t k = 0; k < n; ++k) {
        T* to = dx.data() + (o * rows.n + i.data()[k]) * inner;
        const T* g = grad.data() + (o * n + k) * inner;
        for (std::int64_t j = 0; j < inner; ++j) to[j] = T(to[j] + g[j]);
      }
    });
    return dx;
  };
  return record_linear("index_select", out, taken, back, in);
}

}  // namespace SINTER_ABI
}  // namespace sinter
