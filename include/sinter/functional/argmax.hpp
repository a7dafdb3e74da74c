// SPDX-License-Identifier: MIT
// Where the extremes lie: argmax and argmin; and max, min with the indices of what they return. The first of equals wins,
// a NaN is greater and less than any number, as in PyTorch.
#pragma once

#include "sinter/autograd/function.hpp"
#include "sinter/functional/rows.hpp"

namespace sinter {

// What max, min, sort, topk ... over a dimension give: auto [values, indices] = max(x, 1).
template <class T, int R>
struct ValuesIndices {
  Tensor<T, R> values;
  Tensor<std::int64_t, R> indices;
};

inline namespace SINTER_ABI {

// Whether a comes before b in the search for the greatest (least).
template <bool Greatest, class T>
bool beats(T a, T b) {
  if constexpr (is_floating<T>)
    if (b != b) return false;
  if constexpr (is_floating<T>)
    if (a != a) return true;
  return Greatest ? a > b : a < b;
}

template <bool Greatest, class T>
void arg_extremes(const Rows& rows, const T* x, std::int64_t* out) {
  for_each_row(rows, [&](std::int64_t r) {
    const T* row = x + rows.begin(r);
    using C = compute_t<T>;
    std::int64_t at = 0;
    C best = C(row[0]);
    for (std::int64_t k = 1; k < rows.n; ++k)
      if (const C v = C(row[k * rows.inner]); beats<Greatest>(v, best)) best = v, at = k;
    out[r] = at;
  });
}

template <bool Greatest, class T, int R>
Tensor<std::int64_t, R> arg_extremes_keepdim(const char* op, const Tensor<T, R>& in, std::int64_t dim) {
  const int d = wrap_dim(op, dim, R);
  const Tensor<T, R> x = no_grad([&] { return in.detach().contiguous(); });
  const Rows rows(x.shape(), d);
  if (rows.n == 0) fail<ShapeError>(op, ": dimension ", d, " of ", x.shape(), " has no elements to reduce");
  Tensor<std::int64_t, R> out(TensorImpl::empty(DType::int64, with_extent(x.shape(), d, 1)));
  arg_extremes<Greatest>(rows, x.data(), out.data());
  return out;
}
template <class T, int R>
Tensor<T, (R > 0 ? R - 1 : 0)> drop_dim(const Tensor<T, R>& x, std::int64_t dim) {
  if constexpr (R == 0) return x;
  else return squeeze(x, dim);
}

template <bool Greatest, class E>
auto arg_extreme_of_all(const char* op, const E& e) {
  using T = typename E::value_type;
  const auto x = no_grad([&] { return materialize(e).detach().contiguous(); });
  if (x.numel() == 0) fail<ShapeError>(op, ": a tensor of shape ", x.shape(), " has no elements to reduce");
  Tensor<std::int64_t, 0> out(TensorImpl::empty(DType::int64, Shape<0>{}));
  arg_extremes<Greatest, T>(Rows(Shape{x.numel()}, 0), x.data(), out.data());
  return out;
}

// The index of the greatest element: into the flattened tensor, or along dim. int64.
template <class E>
auto argmax(const Expr<E>& x) { return arg_extreme_of_all<true>("argmax", x.self()); }
template <class E>
auto argmax(const Expr<E>& x, std::int64_t dim, KeepDim) { return arg_extremes_keepdim<true>("argmax", materialize(x.self()), dim); }
template <class E>
auto argmax(const Expr<E>& x, std::int64_t dim) { return drop_dim(argmax(x, dim, keepdim), dim); }
template <class E>
auto argmin(const Expr<E>& x) { return arg_extreme_of_all<false>("argmin", x.self()); }
template <class E>
auto argmin(const Expr<E>& x, std::int64_t dim, KeepDim) { return arg_extremes_keepdim<false>("argmin", materialize(x.self()), dim); }
template <class E>
auto argmin(const Expr<E>& x, std::int64_t dim) { return drop_dim(argmin(x, dim, keepdim), dim); }

}  // namespace SINTER_ABI
}  // namespace sinter
