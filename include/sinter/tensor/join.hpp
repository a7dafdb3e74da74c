// SPDX-License-Identifier: MIT
// Tensors joined and cut: cat, stack, split, chunk, unbind. What is cut off is a view; a join's gradient is cut likewise.
#pragma once

#include <initializer_list>
#include <vector>

#include "sinter/tensor/view.hpp"

namespace sinter {
inline namespace SINTER_ABI {

template <class T, int R>
struct CatBackward {
  static constexpr bool differentiable = true;
  std::vector<Edge> edges;
  std::vector<std::int64_t> lengths;
  int dim;

  void run(Node& node) {
    const Tensor<T, R> grad(node.outputs[0].grad);
    std::int64_t start = 0;
    for (std::size_t i = 0; i < edges.size(); start += lengths[i++])
      if (edges[i]) give(edges[i], Tensor<T, R>(narrow(grad, dim, start, lengths[i])).clone().impl);
  }
};

// Along an existing dimension. All tensors have the same dtype and, but for dimension dim, the same extents.
template <class T, int R>
Tensor<T, R> cat(const std::vector<Tensor<T, R>>& tensors, std::int64_t dim = 0) {
  static_assert(R > 0, "sinter: cat() takes tensors of at least one dimension; use stack()");
  if (tensors.empty()) fail<ValueError>("cat: no tensors");
  const int d = wrap_dim("cat", dim, R);
  Shape<R> sizes = tensors[0].shape();
  CatBackward<T, R> back{{}, {}, d};
  sizes[d] = 0;
  bool recorded = false;
  std::vector<Operand> operands;
  for (const Tensor<T, R>& t : tensors) operands.push_back(&t.impl);
  const Device device = common_device("cat", operands.data(), int(operands.size()));
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    const Shape<R> s = tensors[k].shape();
    for (int i = 0; i < R; ++i)
      if (i != d && s[i] != sizes[i])
        fail<ShapeError>("cat: shapes ", tensors[0].shape(), " x ", s, " differ outside of dimension ", d, ": ", sizes[i], " against ", s[i],
                         " (axis ", i, " of tensors 0 and ", k, ")");
    sizes[d] += s[d];
    back.lengths.push_back(s[d]);
    back.edges.emplace_back(tensors[k].impl);
    recorded = (is_grad_enabled() && records_grad(tensors[k].impl)) || recorded;
  }
  Tensor<T, R> out(TensorImpl::empty(dtype_of<T>(), sizes, device));
  {
    NoGradGuard guard;
    std::int64_t start = 0;
    for (const Tensor<T, R>& t : tensors) {
      const Tensor<T, R> part = narrow(out, d, start, t.shape()[d]);
      if (device.is_cuda()) copy_elements(*part.impl, *t.impl);
      else assign(static_cast<const Leaf<T, R>&>(part), Map<op::Cast<compute_t<T>>, T, Leaf<T, R>>({}, t, {}, {}));
      start += t.shape()[d];
    }
  }
  if (recorded) set_history(out.impl, make_node("cat", std::move(back)), 0);
  return out;
}
template <class T, int R>
Tensor<T, R> cat(std::initializer_list<Tensor<T, R>> tensors, std::int64_t dim = 0) { return cat(std::vector<Tensor<T, R>>(tensors), dim); }
// Of two or three expressions.
template <class A, class B>
auto cat(const Expr<A>& a, const Expr<B>& b, std::int64_t dim = 0) {
  return cat(std::vector{materialize(a.self()), materialize(b.self())}, dim);
}
template <class A, class B, class C>
auto cat(const Expr<A>& a, const Expr<B>& b, const Expr<C>& c, std::int64_t dim = 0) {
  return cat(std::vector{materialize(a.self()), materialize(b.self()), materialize(c.self())}, dim);
}

// Along a new dimension; all tensors have the same shape.
template <class T, int R>
Tensor<T, R + 1> stack(const std::vector<Tensor<T, R>>& tensors, std::int64_t dim = 0) {
  if (tensors.empty()) fail<ValueError>("stack: no tensors");
  const int d = wrap_dim("stack", dim, R + 1);
  std::vector<Tensor<T, R + 1>> parts;
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    const Shape<R> first = tensors[0].shape(), s = tensors[k].shape();
    for (int i = 0; i < R; ++i)
      if (s[i] != first[i])
        fail<ShapeError>("stack: shapes ", first, " x ", s, " differ: ", first[i], " against ", s[i], " (axis ", i, " of tensors 0 and ", k, ")");
    parts.push_back(Tensor<T, R + 1>(unsqueeze(tensors[k], d)));
  }
  return cat(parts, d);
}
template <class T, int R>
Tensor<T, R + 1> stack(std::initializer_list<Tensor<T, R>> tensors, std::int64_t dim = 0) { return stack(std::vector<Tensor<T, R>>(tensors), dim); }
template <class A, class B>
auto stack(const Expr<A>& a, const Expr<B>& b, std::int64_t dim = 0) {
  return stack(std::vector{materialize(a.self()), materialize(b.self())}, dim);
}
template <class A, class B, class C>
auto stack(const Expr<A>& a, const Expr<B>& b, const Expr<C>& c, std::int64_t dim = 0) {
  return stack(std::vector{materialize(a.self()), materialize(b.self()), materialize(c.self())}, dim);
}

// Views of the given lengths, which must sum to the extent.
template <class E>
auto split(const Expr<E>& e, const std::vector<std::int64_t>& lengths, std::int64_t dim = 0) {
  const auto x = materialize(e.self());
  const int d = wrap_dim("split", dim, E::rank);
  std::int64_t total = 0;
  for (const std::int64_t n : lengths) {
    if (n < 0) fail<ShapeError>("split: a negative length, ", n);
    total += n;
  }
  if (total != x.size(d)) fail<ShapeError>("split: lengths of ", total, " in all for extent ", x.size(d), " (axis ", d, " of ", x.shape(), ")");
  std::vector<std::decay_t<decltype(x)>> parts;
  std::int64_t start = 0;
  for (const std::int64_t n : lengths) {
    parts.push_back(narrow(x, d, start, n));
    start += n;
  }
  return parts;
}
template <class E>
auto split(const Expr<E>& e, std::initializer_list<std::int64_t> lengths, std::int64_t dim = 0) {
  return split(e, std::vector<std::int64_t>(lengths), dim);
}
// Views of `size` elements along dim; the last may be shorter.
template <class E>
auto split(const Expr<E>& e, std::int64_t size, std::int64_t dim = 0) {
  const int d = wrap_dim("split", dim, E::rank);
  if (size < 0 || (size == 0 && e.self().shape()[d] > 0)) fail<ValueError>("split: the parts' length must be positive, not ", size);
  std::vector<std::int64_t> lengths;
  std::int64_t rest = e.self().shape()[d];
  do {
    lengths.push_back(std::min(size, rest));
    rest -= lengths.back();
  } while (rest > 0);
  return split(e, lengths, dim);
}
// Parts of ceil(n / chunks), of which there may be fewer than asked for.
template <class E>
auto chunk(const Expr<E>& e, std::int64_t chunks, std::int64_t dim = 0) {
  const int d = wrap_dim("chunk", dim, E::rank);
  if (chunks <= 0) fail<ValueError>("chunk: the number of chunks must be positive, not ", chunks);
  const std::int64_t n = e.self().shape()[d];
  if (n == 0) return split(e, std::vector<std::int64_t>(std::size_t(chunks), 0), d);
  return split(e, (n + chunks - 1) / chunks, d);
}
// The slices along dim, each a view of one rank less.
template <class E>
auto unbind(const Expr<E>& e, std::int64_t dim = 0) {
  const auto x = materialize(e.self());
  const int d = wrap_dim("unbind", dim, E::rank);
  std::vector<Tensor<typename E::value_type, E::rank - 1>> parts;
  for (std::int64_t i = 0; i < x.size(d); ++i) parts.push_back(select(x, d, i));
  return parts;
}

}  // namespace SINTER_ABI
}  // namespace sinter
