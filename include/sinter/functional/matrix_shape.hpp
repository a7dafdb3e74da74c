// SPDX-License-Identifier: MIT
// Triangles and diagonals of matrices, grids of vectors, and the gated half of glu.
#pragma once

#include <array>

#include "sinter/autograd/function.hpp"
#include "sinter/device/dense.hpp"
#include "sinter/device/matmul.hpp"
#include "sinter/functional/rows.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// Which elements of the last two dimensions stay: those with column - row <= diagonal, or >= in the upper triangle. The others
// become 0.
template <class E>
auto keep_triangle(const E& e, std::int64_t diagonal, bool upper) {
  static_assert(E::rank >= 2, "sinter: tril() and triu() take tensors of at least two dimensions");
  const auto shape = e.shape();
  const std::int64_t rows = shape[E::rank - 2], columns = shape[E::rank - 1];
  const Device device = device_of(upper ? "triu" : "tril", e);
  Tensor<bool, 2> mask(TensorImpl::empty(DType::boolean, Shape{rows, columns}, device));
  if (device.is_cuda()) triangle_on_device({mask.data(), rows, columns, diagonal, upper});
  else
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < columns; ++j) mask.data()[i * columns + j] = upper ? j - i >= diagonal : j - i <= diagonal;
  return where(mask, e, typename E::value_type(0));
}
// The lower (upper) triangle of the last two dimensions, up to (from) the given diagonal; a fused expression.
template <class E>
auto tril(const Expr<E>& x, std::int64_t diagonal = 0) { return keep_triangle(x.self(), diagonal, false); }
template <class E>
auto triu(const Expr<E>& x, std::int64_t diagonal = 0) { return keep_triangle(x.self(), diagonal, true); }

// A view of a matrix's diagonal: element i is at row i + max(0, -offset), column i + max(0, offset).
template <class E>
auto diagonal(const Expr<E>& x, std::int64_t offset = 0) {
  static_assert(E::rank == 2, "sinter: diagonal() takes a matrix");
  return make_view<1>("diagonal", materialize(x.self()), [offset](const auto& l) {
    const std::int64_t row = std::max<std::int64_t>(0, -offset), column = std::max<std::int64_t>(0, offset);
    Layout<1> v;
    v.sizes[0] = std::max<std::int64_t>(0, std::min(l.sizes[0] - row, l.sizes[1] - column));
    v.strides[0] = l.strides[0] + l.strides[1];
    v.offset = v.sizes[0] == 0 ? l.offset : l.offset + row * l.strides[0] + column * l.strides[1];
    return v;
  });
}
// A matrix's diagonal, or the matrix with a vector on its diagonal and zeros elsewhere.
template <class E>
auto diag(const Expr<E>& e, std::int64_t offset = 0) {
  using T = typename E::value_type;
  static_assert(E::rank == 1 || E::rank == 2, "sinter: diag() takes a vector or a matrix");
  if constexpr (E::rank == 2) {
    return diagonal(e, offset);
  } else {
    const auto in = materialize(e.self());
    const std::int64_t n = in.numel() + std::abs(offset);
    Tensor<T, 2> out(TensorImpl::empty(dtype_of<T>(), Shape{n, n}, in.device()));
    if (in.device().is_cuda()) fill_on_device(out.data(), dtype_of<T>(), out.numel(), 0);
    else std::fill_n(out.data(), out.numel(), T(0));
    no_grad([&] { Tensor<T, 1>(diagonal(out, offset)).copy_(in); });
    if constexpr (is_floating<T>)
      if (any_requires_grad(in))
        return record("diag", out, [offset](const Tensor<T, 2>& grad, const auto&) { return std::tuple(Tensor<T, 1>(diagonal(grad, offset))); }, in);
    return out;
  }
}

// Of two or three vectors: views that together give every combination of their elements. indexing "ij", or "xy" in which
// the first two dimensions are exchanged.
enum class Indexing { ij, xy };
template <class T, std::size_t K>
std::array<Tensor<T, int(K)>, K> meshgrid_of(const std::array<Tensor<T, 1>, K>& v, Indexing indexing) {
  Shape<int(K)> sizes;
  std::array<int, K> axis;
  for (int i = 0; i < int(K); ++i) {
    axis[std::size_t(i)] = indexing == Indexing::xy && i < 2 ? 1 - i : i;
    sizes[axis[std::size_t(i)]] = v[std::size_t(i)].numel();
  }
  std::array<Tensor<T, int(K)>, K> out;
  for (std::size_t i = 0; i < K; ++i) {
    Shape<int(K)> along;
    for (int d = 0; d < int(K); ++d) along[d] = d == axis[i] ? v[i].numel() : 1;
    out[i] = materialize(expand(materialize(reshape(v[i], along)), sizes));
  }
  return out;
}
template <class T>
auto meshgrid(const Tensor<T, 1>& a, const Tensor<T, 1>& b, Indexing indexing = Indexing::ij) {
  return meshgrid_of(std::array<Tensor<T, 1>, 2>{a, b}, indexing);
}
template <class T>
auto meshgrid(const Tensor<T, 1>& a, const Tensor<T, 1>& b, const Tensor<T, 1>& c, Indexing indexing = Indexing::ij) {
  return meshgrid_of(std::array<Tensor<T, 1>, 3>{a, b, c}, indexing);
}

// The first half along dim times the sigmoid of the second. https://arxiv.org/abs/1612.08083
template <class E>
auto glu(const Expr<E>& e, std::int64_t dim = -1) {
  static_assert(E::rank > 0, "sinter: glu() takes a tensor of at least one dimension");
  const auto x = materialize(e.self());
  const int d = wrap_dim("glu", dim, E::rank);
  const std::int64_t n = x.shape()[d];
  if (n % 2) fail<ShapeError>("glu: extent ", n, " is odd (axis ", d, " of ", x.shape(), ")");
  return narrow(x, d, 0, n / 2) * sigmoid(narrow(x, d, n / 2, n / 2));
}

}  // namespace SINTER_ABI
}  // namespace sinter
