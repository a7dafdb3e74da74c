// SPDX-License-Identifier: MIT
// Views: the same elements under another layout, without a copy. Their gradient walks the same layout of the base's.
// A view of an expression is that expression over views of its tensors, so that it stays inside the fusion.
#pragma once

#include "sinter/tensor/tensor.hpp"

namespace sinter {
inline namespace SINTER_ABI {

template <class T, int R, int R2, class F>
struct ViewAgain;

// layout: Layout<R> -> Layout<R2>; it must read nothing but the extents and strides it is given.
template <class T, int R, int R2, class F>
struct ViewBackward {
  static constexpr bool differentiable = true;
  Edge edge;
  Shape<R> sizes;
  F layout;

  void run(Node& node) {
    using C = compute_t<T>;
    const Leaf<T, R2> grad(node.outputs[0].grad);
    const Layout<R> dense = Layout<R>::contiguous(sizes);
    const Layout<R2> view = layout(dense);
    if (view.offset == 0 && grad.shape().numel() == sizes.numel() && is_contiguous(view.sizes, view.strides)) {
      return pass_on(node, TensorImpl::make(dtype_of<T>(), dense, grad.impl->storage, grad.impl->data));
    }
    Ref<TensorImpl>& sum = arrived(edge);
    if constexpr (std::is_same_v<C, T>) {
      if (takes_more(sum)) return fold_into(sum->data, sizes.numel(), view, grad);
    }
    Ref<TensorImpl> fresh = zeros_dense(dtype_of<C>(), ShapeView(sizes), grad.impl->device());
    fold_into(fresh->data, sizes.numel(), view, Leaf<C, R2>(compute(to<C>(grad)).impl));
    if constexpr (!std::is_same_v<C, T>) fresh = compute(to<T>(Leaf<C, R>(std::move(fresh)))).impl;
    pass_on(node, std::move(fresh));
  }

 private:
  void pass_on(Node& node, Ref<TensorImpl> g) {
    if constexpr (double_backward)
      if (const Ref<TensorImpl>& up = node.outputs[0].grad; is_grad_enabled() && requires_grad(up))
        set_history(g, make_node(node.name, ViewAgain<T, R, R2, F>{Edge(up), layout}), 0);
    give(edge, std::move(g));
  }
};

template <int R2, class T, int R, class F>
Tensor<T, R2> make_view(const char* op, const Leaf<T, R>& x, F layout) {
  if (!x.impl) fail<Error>(op, ": the tensor is undefined");
  const Layout<R2> v = layout(Layout<R>{x.shape(), x.strides(), 0});
  Tensor<T, R2> y(TensorImpl::make(dtype_of<T>(), v, x.impl->storage, x.impl->data));
  y.impl->is_view = true;
  y.impl->detached = x.impl->detached || !is_grad_enabled();
  y.impl->rewrites = x.impl->is_view ? x.impl->rewrites : x.impl->storage->rewrites.load(std::memory_order_relaxed);
  if constexpr (is_floating<T>)
    if (records(x)) set_history(y.impl, make_node(op, ViewBackward<T, R, R2, F>{Edge(x.impl), x.shape(), layout}), 0);
  return y;
}

// The backward of a view's backward is the view.
template <class T, int R, int R2, class F>
struct ViewAgain {
  static constexpr bool differentiable = true;
  Edge edge;
  F layout;
  void run(Node& node) { give(edge, make_view<R2>(node.name, Leaf<T, R>(node.outputs[0].grad), layout).contiguous().impl); }
};

// e, of shape `whole` once broadcast, seen through a layout function.
template <int R2, class E, int R, class F>
auto push_view(const char* op, const E& e, const Shape<R>& whole, F layout) {
  if constexpr (E::kind == Kind::map) {
    auto a = push_view<R2>(op, e.a, whole, layout);
    auto b = push_view<R2>(op, e.b, whole, layout);
    auto c = push_view<R2>(op, e.c, whole, layout);
    return Map<decltype(e.op), typename E::value_type, decltype(a), decltype(b), decltype(c)>(e.op, std::move(a), std::move(b), std::move(c));
  } else if constexpr (E::kind == Kind::reduction || E::kind == Kind::product) {
    return push_view<R2>(op, evaluate(e), whole, layout);
  } else if constexpr (E::kind == Kind::leaf && E::rank > 0) {
    const auto v = make_view<R2>(op, e, Then<ExpandTo<R>, F>{{whole}, layout});
    return Leaf<typename E::value_type, R2>(v.impl);
  } else {
    return e;  // a scalar is the same from every side
  }
}
template <int R2, class E, class F>
auto view_of(const char* op, const Expr<E>& expr, F layout) {
  const E& e = expr.self();
  if constexpr (E::kind == Kind::map && !has_epilogue<E>()) return push_view<R2>(op, e, Shape<E::rank>(e.shape()), layout);
  else return make_view<R2>(op, evaluate(e), layout);
}

template <class E>
auto transpose(const Expr<E>& e, std::int64_t dim0, std::int64_t dim1) {
  constexpr int R = E::rank;
  const int d0 = wrap_dim("transpose", dim0, R), d1 = wrap_dim("transpose", dim1, R);
  return view_of<R>("transpose", e, Transpose{d0, d1});
}
template <class E>
auto t(const Expr<E>& e) {
  static_assert(E::rank <= 2, "sinter: t() takes a tensor of at most two dimensions; use transpose(x, d0, d1)");
  return transpose(e, 0, E::rank == 2 ? 1 : 0);
}
template <class E>
auto permute(const Expr<E>& e, const Shape<E::rank>& order) {
  const Shape<E::rank> dims = check_permutation(order);
  return view_of<E::rank>("permute", e, Permute<E::rank>{dims});
}
// Elements [start, stop) along dim in steps of step > 0, as Python slices: negative counts from the end, bounds are clipped.
template <class E>
auto slice(const Expr<E>& e, std::int64_t dim, std::int64_t start, std::int64_t stop, std::int64_t step = 1) {
  const int d = wrap_dim("slice", dim, E::rank);
  if (step <= 0) fail<IndexError>("slice: the step must be positive, not ", step);
  const std::int64_t n = e.self().shape()[d];
  const auto clip = [n](std::int64_t i) { return i < 0 ? (i + n < 0 ? 0 : i + n) : (i > n ? n : i); };
  return view_of<E::rank>("slice", e, Stretch{d, clip(start), clip(stop), step});
}
// Throws IndexError where the stretch is not within the extent.
template <class E>
auto narrow(const Expr<E>& e, std::int64_t dim, std::int64_t start, std::int64_t length) {
  const int d = wrap_dim("narrow", dim, E::rank);
  const std::int64_t n = e.self().shape()[d], from = start < 0 ? start + n : start;
  if (from < 0 || length < 0 || from > n - length)
    fail<IndexError>("narrow: start ", start, " and length ", length, " exceed extent ", n, " (axis ", d, " of ", e.self().shape(), ")");
  return view_of<E::rank>("narrow", e, Stretch{d, from, from + length, 1});
}
template <class E>
auto select(const Expr<E>& e, std::int64_t dim, std::int64_t index) {
  const int d = wrap_dim("select", dim, E::rank);
  const std::int64_t n = e.self().shape()[d];
  if (index < -n || index >= n)
    fail<IndexError>("select: index ", index, " is out of range for extent ", n, " (axis ", d, " of ", e.self().shape(), ")");
  return view_of<E::rank - 1>("select", e, Select{d, index < 0 ? index + n : index});
}
// Drops dimension dim; its extent must be one, since the rank is part of the type.
template <class E>
auto squeeze(const Expr<E>& e, std::int64_t dim) {
  const int d = wrap_dim("squeeze", dim, E::rank);
  if (e.self().shape()[d] != 1) fail<ShapeError>("squeeze: extent ", e.self().shape()[d], " is not one (axis ", d, " of ", e.self().shape(), ")");
  return view_of<E::rank - 1>("squeeze", e, Select{d, 0});
}
template <class E>
auto unsqueeze(const Expr<E>& e, std::int64_t dim) {
  const int d = wrap_dim("unsqueeze", dim, E::rank + 1);
  return view_of<E::rank + 1>("unsqueeze", e, Unsqueeze{d});
}
template <int N, class E>
auto expand(const Expr<E>& e, const Shape<N>& sizes) {
  return view_of<N>("expand", e, ExpandTo<N>{sizes});
}
// Throws ShapeError where the strides cannot express it.
template <int N, class E>
auto view(const Expr<E>& e, const Shape<N>& sizes) {
  const auto from = e.self().shape();
  return view_of<N>("view", e, ReshapeTo<N>{inferred_sizes("view", from.numel(), sizes, from)});
}
// A view where strides allow it, else a copy.
template <int N, class E>
auto reshape(const Expr<E>& e, const Shape<N>& sizes) {
  const auto x = materialize(e.self());
  const Shape<N> wanted = inferred_sizes("reshape", x.numel(), sizes, x.shape());
  Layout<N> ignored;
  return view(reshaped(Layout<E::rank>{x.shape(), x.strides(), 0}, wanted, ignored) ? x : x.clone(), wanted);
}
// Dimensions Start to End become one. They are template arguments, since they decide the result's rank.
template <int Start = 0, int End = -1, class E>
auto flatten(const Expr<E>& e) {
  constexpr int R = E::rank, first = Start < 0 ? Start + R : Start, last = End < 0 ? End + R : End;
  if constexpr (R == 0) {
    return reshape(e, Shape{1});
  } else {
    static_assert(0 <= first && first <= last && last < R, "sinter: flatten<Start, End>() takes dimensions within the rank, in order");
    Shape<R - (last - first)> sizes;
    const auto from = e.self().shape();
    for (int i = 0, o = 0; i < R; ++i) {
      if (i <= first || i > last) sizes[o++] = from[i];
      else sizes[o - 1] *= from[i];
    }
    return reshape(e, sizes);
  }
}

}  // namespace SINTER_ABI

template <class T, int R>
template <class... I>
auto Tensor<T, R>::view(I... sizes) const { return sinter::view(*this, Shape<int(sizeof...(I))>{{std::int64_t(sizes)...}}); }
template <class T, int R>
template <int N>
auto Tensor<T, R>::view(const Shape<N>& sizes) const { return sinter::view(*this, sizes); }
template <class T, int R>
template <class... I>
auto Tensor<T, R>::reshape(I... sizes) const { return sinter::reshape(*this, Shape<int(sizeof...(I))>{{std::int64_t(sizes)...}}); }
template <class T, int R>
template <int N>
auto Tensor<T, R>::reshape(const Shape<N>& sizes) const { return sinter::reshape(*this, sizes); }
template <class T, int R>
template <class... I>
auto Tensor<T, R>::expand(I... sizes) const { return sinter::expand(*this, Shape<int(sizeof...(I))>{{std::int64_t(sizes)...}}); }
template <class T, int R>
template <std::size_t N>
auto Tensor<T, R>::expand(const std::int64_t (&sizes)[N]) const { return sinter::expand(*this, shape_of(sizes)); }
template <class T, int R>
template <class... I>
auto Tensor<T, R>::permute(I... dims) const {
  static_assert(sizeof...(I) == R, "sinter: permute() takes every dimension once");
  return sinter::permute(*this, Shape<R>{{std::int64_t(dims)...}});
}
template <class T, int R>
auto Tensor<T, R>::permute(const std::int64_t (&dims)[R > 0 ? R : 1]) const {
  static_assert(R > 0, "sinter: permute() takes every dimension once");
  return sinter::permute(*this, shape_of(dims));
}
template <class T, int R>
auto Tensor<T, R>::transpose(std::int64_t d0, std::int64_t d1) const { return sinter::transpose(*this, d0, d1); }
template <class T, int R>
auto Tensor<T, R>::t() const { return sinter::t(*this); }
template <class T, int R>
auto Tensor<T, R>::squeeze(std::int64_t d) const { return sinter::squeeze(*this, d); }
template <class T, int R>
auto Tensor<T, R>::unsqueeze(std::int64_t d) const { return sinter::unsqueeze(*this, d); }
template <class T, int R>
template <int Start, int End>
auto Tensor<T, R>::flatten() const { return sinter::flatten<Start, End>(*this); }
template <class T, int R>
auto Tensor<T, R>::narrow(std::int64_t d, std::int64_t start, std::int64_t length) const { return sinter::narrow(*this, d, start, length); }
template <class T, int R>
auto Tensor<T, R>::slice(std::int64_t d, std::int64_t start, std::int64_t stop, std::int64_t step) const { return sinter::slice(*this, d, start, stop, step); }
template <class T, int R>
auto Tensor<T, R>::select(std::int64_t d, std::int64_t index) const { return sinter::select(*this, d, index); }
template <class T, int R>
auto Tensor<T, R>::operator[](std::int64_t index) const { return sinter::select(*this, 0, index); }

}  // namespace sinter
