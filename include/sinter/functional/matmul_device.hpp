// SPDX-License-Identifier: MIT
// Where a matrix product of tensors is computed: on the CPU, in floats where its elements are narrower, or on their device.
#pragma once

#include <algorithm>

#include "sinter/cpu/gemm.hpp"
#include "sinter/device/matmul.hpp"
#include "sinter/tensor/tensor.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// The last two dimensions at `data`.
template <class T, int R, class P>
cpu::Matrix<T> matrix_of(const Tensor<P, R>& x) {
  return {x.data(), x.impl->sizes[R - 2], x.impl->sizes[R - 1], x.impl->strides[R - 2], x.impl->strides[R - 1]};
}

// run(sums, finish) computes dense products (count, n, m) in the type that sums of T have; out is T.
template <class T, class F>
void summed_into(T* out, std::int64_t count, std::int64_t n, std::int64_t m, cpu::Finish finish, F&& run) {
  if constexpr (!is_reduced_float<T>) {
    run(out, finish);
  } else {
    const std::int64_t total = count * n * m;
    cpu::Scratch<compute_t<T>> sums(total);
    run(sums.data, cpu::Finish{});
    for (std::int64_t i = 0; i < total; ++i) out[i] = T(sums.data[i]);
    if (finish.run)
      for (std::int64_t i = 0; i < count; ++i) finish.run(finish.self, i, 0, n, 0, m);
  }
}

// A dimension of a batch, or several that lie behind one another in all three operands.
struct BatchDim {
  std::int64_t size, a, b, c;
};
template <class T>
void set_operands(MatmulArgs& x, const cpu::Matrix<const T>& a, const cpu::Matrix<const T>& b, T* c) {
  x.dtype = dtype_of<T>();
  x.m = a.rows, x.n = b.columns, x.k = a.columns;
  x.a = a.data, x.a_row = a.row_step, x.a_column = a.column_step;
  x.b = b.data, x.b_row = b.row_step, x.b_column = b.column_step;
  x.c = c, x.c_row = x.n;
}
// One launch for the longest dimension, others are counted through.
template <class T>
void multiply_batch_on_device(MatmulArgs x, BatchDim* dims, int n) {
  if (n > 0) {
    std::swap(*std::max_element(dims, dims + n, [](const BatchDim& d, const BatchDim& e) { return d.size < e.size; }), dims[n - 1]);
    const BatchDim& d = dims[--n];
    x.batch = d.size, x.a_batch = d.a, x.b_batch = d.b, x.c_batch = d.c;
  }
  std::int64_t count = 1;
  for (int d = 0; d < n; ++d) count *= dims[d].size;
  const auto *a = static_cast<const T*>(x.a), *b = static_cast<const T*>(x.b);
  const auto c = static_cast<T*>(x.c);
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t rest = i, at_a = 0, at_b = 0, at_c = 0;
    for (int d = 0; d < n; ++d) {
      const std::int64_t k = rest % dims[d].size;
      at_a += k * dims[d].a, at_b += k * dims[d].b, at_c += k * dims[d].c;
      rest /= dims[d].size;
    }
    x.a = a + at_a, x.b = b + at_b, x.c = c + at_c;
    multiply_on_device(x);
  }
}
// x, or a dense copy where it is on a device whose library does not take matrices as x's lie.
template <class T, int R>
Tensor<T, R> readable_on_device(const Tensor<T, R>& x) {
  if (x.device().is_cpu()) return x;
  const cpu::Matrix<const T> m = matrix_of<const T>(x);
  if (!cublaslt_matmul_on_device || MatmulArgs::is_transposition(m.rows, m.columns, m.row_step, m.column_step)) return x;
  return x.detach().clone();
}

// c = a @ b, dense.
template <class T>
void matrix_product(Device device, const cpu::Matrix<const T>& a, const cpu::Matrix<const T>& b, T* c, cpu::Finish finish = {},
                    const MatmulArgs& epilogue = {}) {
  if (device.is_cuda()) {
    MatmulArgs x = epilogue;
    set_operands(x, a, b, c);
    return multiply_on_device(x);
  }
  summed_into(c, 1, a.rows, b.columns, finish, [&](auto* to, cpu::Finish done) {
    cpu::product<compute_t<T>>(a, b, {to, a.rows, b.columns, b.columns, 1}, false, done);
  });
}

}  // namespace SINTER_ABI
}  // namespace sinter
