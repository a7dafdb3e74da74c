// SPDX-License-Identifier: MIT
// linear(x, weight, bias): x @ weight^T + bias over the last dimension, as one node of the graph.
#pragma once

#include "sinter/functional/matmul.hpp"
#include "sinter/tensor/create.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// x as a matrix of rows.
template <class T, int R>
Tensor<T, 2> rows_of(const Tensor<T, R>& x) {
  if constexpr (R == 2) return x;
  else {
    std::int64_t rows = 1;
    for (int i = 0; i < R - 1; ++i) rows *= x.impl->sizes[i];
    return no_grad([&] { return materialize(reshape(x, Shape{rows, x.size(-1)})); });
  }
}

template <class T, int R>
Tensor<T, R> linear_of(const Tensor<T, R>& x, const Tensor<T, 2>& weight, const Tensor<T, 1>& bias) {
  const std::int64_t in = weight.size(1), out_features = weight.size(0);
  if (x.size(-1) != in)
    fail<ShapeError>("linear: inner extents differ, ", x.shape(), " x ", weight.shape(), ": ", x.size(-1), " against ", in, " (axis ", R - 1,
                     " of the input, axis 1 of the weight)");
  if (bias.defined() && bias.size(0) != out_features)
    fail<ShapeError>("linear: bias of shape ", bias.shape(), " for a weight of shape ", weight.shape(), ": ", bias.size(0), " against ",
                     out_features, " (axis 0)");
  const Tensor<T, 2> rows = rows_of(x);
  Shape<R> sizes = x.shape();
  sizes[R - 1] = out_features;
  Tensor<T, R> out(TensorImpl::empty(dtype_of<T>(), sizes));
  if (bias.defined()) assign(out, static_cast<const Leaf<T, 1>&>(bias));
  cpu::product<T>(matrix_of<const T>(rows), matrix_of<const T>(weight).t(), {out.data(), rows.size(0), out_features, out_features, 1},
                  bias.defined());
  if (!any_requires_grad(x, weight, bias)) return out;
  auto back = [sizes = weight.shape(), x = saved_for(weight, x), weight = saved_for(x, weight)](const Tensor<T, R>& grad, const auto& needs) {
    std::tuple<Tensor<T, R>, Tensor<T, 2>, Tensor<T, 1>> g;
    const Tensor<T, 2> up = rows_of(grad);
    if (needs[0]) std::get<0>(g) = matrix_products(grad, weight.get("linear"));
    if (needs[1]) {
      const Tensor<T, 2> in_rows = rows_of(x.get("linear")), d = empty<T>(sizes);
      cpu::product<T>(matrix_of<const T>(up).t(), matrix_of<const T>(in_rows), matrix_of<T>(d));
      std::get<1>(g) = d;
    }
    if (needs[2]) std::get<2>(g) = Tensor<T, 1>(compute(reduce<op::Sum>("linear", static_cast<const Leaf<T, 2>&>(up), Axes<1, false>{1u})));
    return g;
  };
  return record("linear", out, std::move(back), x, weight, bias);
}

// x (..., in), weight (out, in), bias (out) or undefined -> (..., out). Throws ShapeError.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.linear.html
template <class A, class B>
auto linear(const Expr<A>& x, const Expr<B>& weight, const Tensor<typename A::value_type, 1>& bias = {}) {
  using T = typename A::value_type;
  constexpr bool fits = std::is_floating_point_v<T> && std::is_same_v<T, typename B::value_type>;
  constexpr bool ranked = A::rank >= 1 && B::rank == 2;
  static_assert(fits, "sinter: linear() takes an input and a weight of one dtype, float or double; convert with to<T>(x)");
  static_assert(ranked, "sinter: linear() takes an input of rank 1 or more and a weight (out, in)");
  if constexpr (fits && A::rank == 1 && B::rank == 2) return materialize(squeeze(linear(unsqueeze(x, 0), weight, bias), 0));
  else if constexpr (fits && ranked) return linear_of(materialize(x.self()), materialize(weight.self()), bias);
}

}  // namespace SINTER_ABI
}  // namespace sinter
