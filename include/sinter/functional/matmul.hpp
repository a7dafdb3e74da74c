// SPDX-License-Identifier: MIT
// Matrix products of any ranks as torch.matmul has them. Strided operands are read as they lie; results are dense.
#pragma once

#include <array>

#include "sinter/autograd/function.hpp"
#include "sinter/functional/matmul_device.hpp"

namespace sinter {
inline namespace SINTER_ABI {

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

// a (..., n, k) @ b (..., k, m) into dense `out`, outside of the graph; the shapes fit. A device takes its epilogue from `epilogue`.
template <class T, int RA, int RB, int R>
void multiply(const Tensor<T, RA>& left, const Tensor<T, RB>& right, const Shape<R>& sizes, T* out, cpu::Finish finish = {},
              const MatmulArgs& epilogue = {}) {
  constexpr int B = R - 2;
  const Device device = left.device();
  const auto a = readable_on_device(left);
  const auto b = readable_on_device(right);
  const cpu::Matrix<const T> x = matrix_of<const T>(a), y = matrix_of<const T>(b);
  const std::int64_t n = sizes[R - 2], m = sizes[R - 1];
  if constexpr (RB == 2 && RA > 2) {  // one tall matrix on the left
    Layout<2> tall;
    std::int64_t rows = n;
    for (int i = 0; i < B; ++i) rows *= sizes[i];
    if (reshaped(Layout<RA>{a.shape(), a.strides(), 0}, Shape{rows, a.size(-1)}, tall))
      return matrix_product<T>(device, {a.data(), tall.sizes[0], tall.sizes[1], tall.strides[0], tall.strides[1]}, y, out, finish, epilogue);
  }
  Shape<B> batch;
  std::copy_n(sizes.d, B, batch.d);
  const Shape<B> step_a = batch_strides(a, batch), step_b = batch_strides(b, batch);
  if (device.is_cuda()) {
    const Shape<B> step_c = contiguous_strides(batch);
    BatchDim dims[B + 1];
    int rank = 0;
    for (int d = 0; d < B; ++d) {
      const BatchDim next{batch[d], step_a[d], step_b[d], step_c[d] * n * m};
      if (next.size == 1) continue;
      if (BatchDim& last = dims[rank > 0 ? rank - 1 : 0];
          rank > 0 && last.a == next.size * next.a && last.b == next.size * next.b && last.c == next.size * next.c)
        last = {last.size * next.size, next.a, next.b, next.c};
      else dims[rank++] = next;
    }
    MatmulArgs args = epilogue;
    set_operands(args, x, y, out);
    return multiply_batch_on_device<T>(args, dims, rank);
  }
  summed_into(out, batch.numel(), n, m, finish, [&](auto* sums, cpu::Finish done) {
    using C = std::remove_pointer_t<decltype(sums)>;
    const auto place = [=](std::int64_t i, const T*& p, const T*& q, C*& z) {
      z += i * (n * m);
      for (int d = B - 1; d >= 0; --d) {
        p += i % batch[d] * step_a[d];
        q += i % batch[d] * step_b[d];
        i /= batch[d];
      }
    };
    cpu::products<C>(batch.numel(), x, y, {sums, n, m, m, 1}, false, place, done);
  });
}

// The shape of a (..., n, k) @ b (..., k, m). Throws ShapeError.
template <int RA, int RB>
auto product_shape(const char* op, const Shape<RA>& a, const Shape<RB>& b) {
  constexpr int R = RA > RB ? RA : RB;
  if (a[RA - 1] != b[RB - 2])
    fail<ShapeError>(op, ": inner extents differ, ", a, " x ", b, ": ", a[RA - 1], " against ", b[RB - 2], " (axis ", RA - 1,
                     " of the left, axis ", RB - 2, " of the right)");
  Shape<RA - 2> batch_a;
  Shape<RB - 2> batch_b;
  std::copy_n(a.d, RA - 2, batch_a.d);
  std::copy_n(b.d, RB - 2, batch_b.d);
  const Shape<R - 2> batch = broadcast_shapes(op, batch_a, batch_b);
  Shape<R> sizes;
  std::copy_n(batch.d, R - 2, sizes.d);
  sizes[R - 2] = a[RA - 2];
  sizes[R - 1] = b[RB - 1];
  return sizes;
}

template <class T, int RA, int RB>
auto multiplied(const Tensor<T, RA>& a, const Tensor<T, RB>& b) {
  const auto sizes = product_shape("matmul", a.shape(), b.shape());
  Tensor<T, (RA > RB ? RA : RB)> out(TensorImpl::empty(dtype_of<T>(), sizes, a.device()));
  multiply(a, b, sizes, out.data());
  return out;
}

// A contraction, as expr/product.hpp asks for it: operands, the result's shape, compute(), and what backward keeps.
template <class T, int RA, int RB>
struct MatMul {
  using value_type = T;
  static constexpr int rank = RA > RB ? RA : RB;
  static constexpr int column_dims = 1;  // of the result's dimensions, how many are the columns of one matrix
  const char* name;
  Tensor<T, RA> a;
  Tensor<T, RB> b;
  Shape<rank> shape;

  MatMul(const char* op, Tensor<T, RA> left, Tensor<T, RB> right)
      : name(op), a(std::move(left)), b(std::move(right)), shape(product_shape(op, a.shape(), b.shape())) {}
  std::int64_t product_rows() const { return shape[rank - 2]; }  // of one matrix of a batch
  std::array<Operand, 2> operands() const { return {&a.impl, &b.impl}; }
  bool requires_grad() const { return is_floating<T> && any_requires_grad(a, b); }
  void compute(T* out, cpu::Finish finish, const MatmulArgs& epilogue = {}) const { multiply(a, b, shape, out, finish, epilogue); }

  struct Back {
    static constexpr bool differentiable = true;
    Edge edge_a, edge_b;
    Shape<RA> shape_a;
    Shape<RB> shape_b;
    Saved<T, RA> a;
    Saved<T, RB> b;

    void run(const char* op, const Ref<TensorImpl>& dz) const {
      const Tensor<T, rank> up(dz);
      if constexpr (double_backward)
        if (is_grad_enabled()) return run_again(op, up);
      if (edge_a) give(edge_a, summed_to(multiplied(up, materialize(transpose(b.get(op), -2, -1))), shape_a).impl);
      if (!edge_b) return;
      const auto x = a.get(op);
      if constexpr (RB == 2 && RA > 2) {  // the sum over the batch is part of the product
        const std::int64_t k = shape_b[0], m = shape_b[1], rows = k == 0 ? 0 : x.numel() / k;
        const auto tall = materialize(reshape(x, Shape{rows, k}));
        give(edge_b, multiplied(materialize(tall.t()), materialize(reshape(up, Shape{rows, m}))).impl);
      } else {
        give(edge_b, summed_to(multiplied(materialize(transpose(x, -2, -1)), up), shape_b).impl);
      }
    }

   private:
    // The same in products that are recorded.
    void run_again(const char* op, const Tensor<T, rank>& up) const {
      const auto product = [op](const auto& x, const auto& y) { return materialize(matmul_as(op, x, y)); };
      const auto x = a.get(op, edge_a);
      const auto y = b.get(op, edge_b);
      if (edge_a) give(edge_a, summed_to(product(up, transpose(y, -2, -1)), shape_a).contiguous().impl);
      if (!edge_b) return;
      if constexpr (RB == 2 && RA > 2) {
        const std::int64_t k = shape_b[0], m = shape_b[1], rows = k == 0 ? 0 : x.numel() / k;
        give(edge_b, product(transpose(reshape(x, Shape{rows, k}), 0, 1), reshape(up, Shape{rows, m})).impl);
      } else {
        give(edge_b, summed_to(product(transpose(x, -2, -1), up), shape_b).contiguous().impl);
      }
    }
  };
  Back back() const { return {Edge(a.impl), Edge(b.impl), a.shape(), b.shape(), saved_for(b, a), saved_for(a, b)}; }
};

// Names the op in errors, and tells which ranks it takes.
template <class A, class B>
auto matmul_as(const char* op, const Expr<A>& left, const Expr<B>& right) {
  using T = typename A::value_type;
  constexpr bool same = std::is_same_v<T, typename B::value_type>, ranked = A::rank > 0 && B::rank > 0;
  constexpr bool numbers = is_floating<T> || std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::int32_t>;
  static_assert(same, "sinter: matmul() takes two operands of one dtype; convert one with to<T>(x)");
  static_assert(numbers, "sinter: matmul() takes floating point numbers, int64_t or int32_t; convert with to<float>(x)");
  static_assert(ranked, "sinter: matmul() takes operands of rank 1 or more; multiply by a scalar with *");
  if constexpr (same && numbers && ranked) {
    const auto a = materialize(left.self());
    const auto b = materialize(right.self());
    if constexpr (A::rank == 1 || B::rank == 1) {
      constexpr int inner = B::rank == 1 ? 0 : B::rank - 2;
      if (a.size(-1) != b.size(inner))
        fail<ShapeError>(op, ": inner extents differ, ", a.shape(), " x ", b.shape(), ": ", a.size(-1), " against ", b.size(inner),
                         " (axis ", A::rank - 1, " of the left, axis ", inner, " of the right)");
      const auto product = [op](const auto& x, const auto& y) {
        using P = MatMul<T, std::decay_t<decltype(x)>::dim(), std::decay_t<decltype(y)>::dim()>;
        return materialize(Product<P>(P(op, x, y)));
      };
      if constexpr (A::rank == 1 && B::rank == 1)
        return materialize(squeeze(squeeze(product(materialize(unsqueeze(a, 0)), materialize(unsqueeze(b, 1))), 0), 0));
      else if constexpr (A::rank == 1) return materialize(squeeze(product(materialize(unsqueeze(a, 0)), b), -2));
      else return materialize(squeeze(product(a, materialize(unsqueeze(b, 1))), -1));
    } else {
      using P = MatMul<T, A::rank, B::rank>;
      return Product<P>(P(op, a, b));
    }
  }
}

// The matrix product of the last two dimensions; the others broadcast. A vector on the left is a row, on the right a
// column, and that dimension goes from the result. An expression: what a statement does to it element by element runs as
// its epilogue. Throws ShapeError.
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
