// SPDX-License-Identifier: MIT
// linear(x, weight, bias): x @ weight^T + bias over the last dimension.
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

// x (..., in) @ weight (out, in)^T, a contraction as expr/product.hpp asks for it.
template <class T, int R>
struct LinearMap {
  using value_type = T;
  static constexpr int rank = R, column_dims = 1;
  static constexpr const char* name = "linear";
  Tensor<T, R> x;
  Tensor<T, 2> weight;
  Shape<R> shape;

  LinearMap(Tensor<T, R> input, Tensor<T, 2> w) : x(std::move(input)), weight(std::move(w)), shape(x.shape()) {
    if (shape[R - 1] != weight.size(1))
      fail<ShapeError>("linear: inner extents differ, ", shape, " x ", weight.shape(), ": ", shape[R - 1], " against ", weight.size(1),
                       " (axis ", R - 1, " of the input, axis 1 of the weight)");
    shape[R - 1] = weight.size(0);
  }
  std::int64_t product_rows() const { return 0; }  // one product of all rows
  std::array<Operand, 2> operands() const { return {&x.impl, &weight.impl}; }
  bool requires_grad() const { return any_requires_grad(x, weight); }
  void compute(T* out, cpu::Finish finish, const MatmulArgs& epilogue = {}) const {
    const Tensor<T, 2> rows = readable_on_device(rows_of(x)), w = readable_on_device(weight);
    matrix_product<T>(x.device(), matrix_of<const T>(rows), matrix_of<const T>(w).t(), out, finish, epilogue);
  }

  struct Back {
    static constexpr bool differentiable = true;
    Edge edge_x, edge_weight;
    Shape<2> sizes;
    Saved<T, R> x;
    Saved<T, 2> weight;
    void run(const char* op, const Ref<TensorImpl>& dz) const {
      const Tensor<T, R> up(dz);
      if constexpr (double_backward)
        if (is_grad_enabled()) return run_again(op, up);
      if (edge_x) give(edge_x, multiplied(up, weight.get(op)).impl);
      if (edge_weight) {
        const Tensor<T, 2> rows = readable_on_device(rows_of(x.get(op))), up_rows = rows_of(up);
        const Tensor<T, 2> d(TensorImpl::empty(dtype_of<T>(), sizes, rows.device()));
        matrix_product<T>(rows.device(), matrix_of<const T>(up_rows).t(), matrix_of<const T>(rows), d.data());
        give(edge_weight, d.impl);
      }
    }

   private:
    // The same in contractions that are recorded; x @ w is that of x and w's transpose.
    void run_again(const char* op, const Tensor<T, R>& up) const {
      const auto in = x.get(op, edge_x);
      const auto w = weight.get(op, edge_weight);
      if (edge_x) give(edge_x, materialize(Product<LinearMap<T, R>>({up, w.t()})).impl);
      if (!edge_weight) return;
      const auto rows = [](const Tensor<T, R>& t) { return Tensor<T, 2>(reshape(t, Shape{t.size(-1) == 0 ? 0 : t.numel() / t.size(-1), t.size(-1)})); };
      give(edge_weight, materialize(Product<LinearMap<T, 2>>({rows(up).t(), rows(in).t()})).impl);
    }
  };
  Back back() const { return {Edge(x.impl), Edge(weight.impl), weight.shape(), saved_for(weight, x), saved_for(x, weight)}; }
};

// x (..., in), weight (out, in), bias (out) or undefined -> (..., out), an expression as matmul() is one: an activation around it
// runs in its epilogue. Throws ShapeError.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.linear.html
template <class A, class B>
auto linear(const Expr<A>& x, const Expr<B>& weight, const Tensor<typename A::value_type, 1>& bias = {}) {
  using T = typename A::value_type;
  constexpr bool fits = is_floating<T> && std::is_same_v<T, typename B::value_type>;
  constexpr bool ranked = A::rank >= 1 && B::rank == 2;
  static_assert(fits, "sinter: linear() takes an input and a weight of one floating dtype; convert with to<T>(x)");
  static_assert(ranked, "sinter: linear() takes an input of rank 1 or more and a weight (out, in)");
  if constexpr (fits && A::rank == 1 && B::rank == 2) {
    return materialize(squeeze(linear(unsqueeze(x, 0), weight, bias), 0));
  } else if constexpr (fits && ranked) {
    using P = LinearMap<T, A::rank>;
    P product(materialize(x.self()), materialize(weight.self()));
    if (bias.defined() && bias.size(0) != product.weight.size(0))
      fail<ShapeError>("linear: bias of shape ", bias.shape(), " for a weight of shape ", product.weight.shape(), ": ", bias.size(0),
                       " against ", product.weight.size(0), " (axis 0)");
    const Leaf<T, 1> added = bias.defined() ? static_cast<const Leaf<T, 1>&>(bias) : absent_bias<T, 1>(product.x.device());
    return Product<P>(std::move(product)) + added;
  }
}

}  // namespace SINTER_ABI
}  // namespace sinter
