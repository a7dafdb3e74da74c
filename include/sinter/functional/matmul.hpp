// SPDX-License-Identifier: MIT
// Matrix products of any ranks as torch.matmul has them. Strided operands are read as they lie; results are dense.
#pragma once

#include "sinter/autograd/function.hpp"
#include "sinter/cpu/gemm.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// The last two dimensions at `data`.
template <class T, int R, class P>
cpu::Matrix<T> matrix_of(const Tensor<P, R>& x) {
  return {x.data(), x.impl->sizes[R - 2], x.impl->sizes[R - 1], x.impl->strides[R - 2], x.impl->strides[R - 1]};
}

// x summed to a shape that broadcasts to its own.
template <int R, class T, int RX>
Tensor<T, R> summed_to(const Tensor<T, RX>& x, const Shape<R>& sizes) {
  unsigned mask = 0;
  for (int i = 0; i < RX; ++i)
    if (i < RX - R || (sizes[i - (RX - R)] == 1 && x.impl->sizes[i] != 1)) mask |= 1u << i;
  const Tensor<T, RX> kept = mask ? materialize(reduce<op::Sum>("sum", x, Axes<1, true>{mask})) : x;
  return Tensor<T, R>(reshape(kept, sizes));
}

// The strides of the leading dimensions along a batch of `sizes`; 0 where they are broadcast.
template <int B, class T, int R>
Shape<B> batch_strides(const Tensor<T, R>& x, const Shape<B>& sizes) {
  Shape<B> s;
  for (int i = 0; i < B; ++i) {
    const int d = i - (B - (R - 2));
    s[i] = d < 0 || (x.impl->sizes[d] == 1 && sizes[i] != 1) ? 0 : x.impl->strides[d];
  }
  return s;
}

// a (..., n, k) @ b (..., k, m) outside of the graph; the shapes fit.
template <class T, int RA, int RB>
Tensor<T, (RA > RB ? RA : RB)> matrix_products(const Tensor<T, RA>& a, const Tensor<T, RB>& b) {
  constexpr int R = RA > RB ? RA : RB, B = R - 2;
  Shape<RA - 2> batch_a;
  Shape<RB - 2> batch_b;
  std::copy_n(a.impl->sizes, RA - 2, batch_a.d);
  std::copy_n(b.impl->sizes, RB - 2, batch_b.d);
  const Shape<B> batch = broadcast_shapes("matmul", batch_a, batch_b);
  Shape<R> sizes;
  std::copy_n(batch.d, B, sizes.d);
  sizes[R - 2] = a.size(-2);
  sizes[R - 1] = b.size(-1);
  Tensor<T, R> out(TensorImpl::empty(dtype_of<T>(), sizes));
  const cpu::Matrix<const T> right = matrix_of<const T>(b);
  if constexpr (RB == 2 && RA > 2) {  // one tall matrix on the left
    Layout<2> tall;
    if (reshaped(Layout<RA>{a.shape(), a.strides(), 0}, Shape{batch.numel() * a.size(-2), a.size(-1)}, tall)) {
      cpu::product<T>({a.data(), tall.sizes[0], tall.sizes[1], tall.strides[0], tall.strides[1]}, right,
                      {out.data(), tall.sizes[0], b.size(1), b.size(1), 1});
      return out;
    }
  }
  const Shape<B> step_a = batch_strides(a, batch), step_b = batch_strides(b, batch);
  const std::int64_t area = sizes[R - 2] * sizes[R - 1];
  cpu::products<T>(batch.numel(), matrix_of<const T>(a), right, matrix_of<T>(out), false,
                   [=](std::int64_t i, const T*& x, const T*& y, T*& z) {
                     z += i * area;
                     for (int d = B - 1; d >= 0; --d) {
                       x += i % batch[d] * step_a[d];
                       y += i % batch[d] * step_b[d];
                       i /= batch[d];
                     }
                   });
  return out;
}

template <class T, int RA, int RB>
auto recorded_product(const char* op, const Tensor<T, RA>& a, const Tensor<T, RB>& b) {
  if (a.size(-1) != b.size(-2))
    fail<ShapeError>(op, ": inner extents differ, ", a.shape(), " x ", b.shape(), ": ", a.size(-1), " against ", b.size(-2), " (axis ",
                     RA - 1, " of the left, axis ", RB - 2, " of the right)");
  auto out = matrix_products(a, b);
  if constexpr (is_floating<T>) {
    if (any_requires_grad(a, b)) {
      auto back = [op, shape_a = a.shape(), shape_b = b.shape(), a = saved_for(b, a), b = saved_for(a, b)](const auto& grad, const auto& needs) {
        std::tuple<Tensor<T, RA>, Tensor<T, RB>> g;
        if (needs[0]) std::get<0>(g) = summed_to(matrix_products(grad, materialize(transpose(b.get(op), -2, -1))), shape_a);
        if (needs[1]) {
          const auto x = a.get(op);
          if constexpr (RB == 2 && RA > 2) {  // the sum over the batch is part of the product
            const std::int64_t k = shape_b[0], m = shape_b[1], rows = k == 0 ? 0 : x.numel() / k;
            const auto tall = materialize(reshape(x, Shape{rows, k}));
            std::get<1>(g) = matrix_products(materialize(tall.t()), materialize(reshape(grad, Shape{rows, m})));
          } else {
            std::get<1>(g) = summed_to(matrix_products(materialize(transpose(x, -2, -1)), grad), shape_b);
          }
        }
        return g;
      };
      return record(op, out, std::move(back), a, b);
    }
  }
  return out;
}

// Names the op in errors, and tells which ranks it takes.
template <class A, class B>
auto matmul_as(const char* op, const Expr<A>& left, const Expr<B>& right) {
  using T = typename A::value_type;
  constexpr bool same = std::is_same_v<T, typename B::value_type>, ranked = A::rank > 0 && B::rank > 0;
  constexpr bool numbers = std::is_floating_point_v<T> || std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::int32_t>;
  static_assert(same, "sinter: matmul() takes two operands of one dtype; convert one with to<T>(x)");
  static_assert(numbers, "sinter: matmul() takes float, double, int64_t or int32_t; convert with to<float>(x)");
  static_assert(ranked, "sinter: matmul() takes operands of rank 1 or more; multiply by a scalar with *");
  if constexpr (same && numbers && ranked) {
    const auto a = materialize(left.self());
    const auto b = materialize(right.self());
    if constexpr (A::rank == 1 || B::rank == 1) {
      constexpr int inner = B::rank == 1 ? 0 : B::rank - 2;
      if (a.size(-1) != b.size(inner))
        fail<ShapeError>(op, ": inner extents differ, ", a.shape(), " x ", b.shape(), ": ", a.size(-1), " against ", b.size(inner),
                         " (axis ", A::rank - 1, " of the left, axis ", inner, " of the right)");
      if constexpr (A::rank == 1 && B::rank == 1)
        return materialize(squeeze(recorded_product(op, materialize(unsqueeze(a, 0)), materialize(unsqueeze(b, 1))), 0))
            .squeeze(0)
            .eval();
      else if constexpr (A::rank == 1) return materialize(squeeze(recorded_product(op, materialize(unsqueeze(a, 0)), b), -2));
      else return materialize(squeeze(recorded_product(op, a, materialize(unsqueeze(b, 1))), -1));
    } else {
      return recorded_product(op, a, b);
    }
  }
}

// The matrix product of the last two dimensions; the others broadcast. A vector on the left is a row, on the right a
// column, and that dimension goes from the result. Throws ShapeError.
// https://pytorch.org/docs/stable/generated/torch.matmul.html
template <class A, class B>
auto matmul(const Expr<A>& a, const Expr<B>& b) { return matmul_as("matmul", a, b); }
// (n, k) x (k, m)
template <class A, class B>
auto mm(const Expr<A>& a, const Expr<B>& b) {
  static_assert(A::rank == 2 && B::rank == 2, "sinter: mm() takes two matrices; use matmul()");
  return matmul_as("mm", a, b);
}
// (b, n, k) x (b, k, m), without broadcasting
template <class A, class B>
auto bmm(const Expr<A>& a, const Expr<B>& b) {
  static_assert(A::rank == 3 && B::rank == 3, "sinter: bmm() takes two tensors of rank 3; use matmul()");
  const auto left = a.self().shape(), right = b.self().shape();
  if (left[0] != right[0])
    fail<ShapeError>("bmm: batches differ, ", left, " x ", right, ": ", left[0], " against ", right[0], " (axis 0)");
  return matmul_as("bmm", a, b);
}
// (n, k) x (k)
template <class A, class B>
auto mv(const Expr<A>& a, const Expr<B>& b) {
  static_assert(A::rank == 2 && B::rank == 1, "sinter: mv() takes a matrix and a vector; use matmul()");
  return matmul_as("mv", a, b);
}
// (k) x (k), a scalar
template <class A, class B>
auto dot(const Expr<A>& a, const Expr<B>& b) {
  static_assert(A::rank == 1 && B::rank == 1, "sinter: dot() takes two vectors; use matmul()");
  return matmul_as("dot", a, b);
}
// (n) x (m): every product, (n, m); an expression
template <class A, class B>
auto outer(const Expr<A>& a, const Expr<B>& b) {
  static_assert(A::rank == 1 && B::rank == 1, "sinter: outer() takes two vectors");
  return unsqueeze(a, 1) * unsqueeze(b, 0);
}
// beta * x + alpha * (a @ b); x broadcasts. The sum is an expression, fused with what is done to it.
template <class X, class A, class B>
auto addmm(const Expr<X>& x, const Expr<A>& a, const Expr<B>& b, double beta = 1, double alpha = 1) {
  static_assert(A::rank == 2 && B::rank == 2 && X::rank <= 2, "sinter: addmm() takes matrices; use baddbmm() or matmul()");
  const auto product = matmul_as("addmm", a, b);
  if (broadcast_shapes("addmm", x.self().shape(), product.shape()) != product.shape())
    fail<ShapeError>("addmm: shape ", x.self().shape(), " does not broadcast to ", product.shape());
  return x.self() * beta + product * alpha;
}
template <class X, class A, class B>
auto baddbmm(const Expr<X>& x, const Expr<A>& a, const Expr<B>& b, double beta = 1, double alpha = 1) {
  static_assert(A::rank == 3 && B::rank == 3 && X::rank <= 3, "sinter: baddbmm() takes tensors of rank 3");
  const auto product = bmm(a, b);
  if (broadcast_shapes("baddbmm", x.self().shape(), product.shape()) != product.shape())
    fail<ShapeError>("baddbmm: shape ", x.self().shape(), " does not broadcast to ", product.shape());
  return x.self() * beta + product * alpha;
}

}  // namespace SINTER_ABI
}  // namespace sinter
