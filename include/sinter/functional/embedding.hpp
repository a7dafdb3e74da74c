// SPDX-License-Identifier: MIT
// Rows of a table by index. The gradient of a row that occurs more than once is summed in the order of the indices.
#pragma once

#include <optional>

#include "sinter/autograd/function.hpp"
#include "sinter/device/index.hpp"
#include "sinter/functional/rows.hpp"
#include "sinter/tensor/create.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// f(first column, last column), in parallel, for stripes of a table that is `columns` wide.
template <class F>
void for_each_stripe(std::int64_t columns, std::int64_t rows, F&& f) {
  constexpr std::int64_t stripe = 64;
  parallel_for((columns + stripe - 1) / stripe, rows * columns >= parallel_threshold,
               [&](std::int64_t s) { f(s * stripe, std::min(columns, (s + 1) * stripe)); });
}

// index (...) of an integer dtype, weight (rows, width) -> (..., width). Row padding_idx (negative: from the end) gets no
// gradient. Throws IndexError (of indices on CUDA: see device/index.hpp). https://pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html
template <class A, class B>
auto embedding(const Expr<A>& index, const Expr<B>& table, std::optional<std::int64_t> padding_idx = {}) {
  using T = typename B::value_type;
  constexpr int R = A::rank + 1;
  static_assert(std::is_integral_v<typename A::value_type> && !std::is_same_v<typename A::value_type, bool>, "sinter: embedding() takes indices of an integer dtype");
  static_assert(std::is_floating_point_v<T> && B::rank == 2, "sinter: embedding() takes a weight (rows, width) of dtype float or double");
  const auto weight = materialize(table.self());
  const std::int64_t rows = weight.size(0), width = weight.size(1);
  if (padding_idx && (*padding_idx < -rows || *padding_idx >= rows))
    fail<IndexError>("embedding: padding_idx ", *padding_idx, " is out of range for a weight of ", rows, " rows");
  const std::int64_t padding = !padding_idx ? -1 : *padding_idx < 0 ? *padding_idx + rows : *padding_idx;
  const std::int64_t skip = padding_idx ? padding : no_index;
  const auto indices = materialize(materialize(to<std::int64_t>(index)).contiguous());
  const std::int64_t n = indices.numel();
  const Device device = shared_device("embedding", indices, weight);
  for (std::int64_t i = 0; i < n && device.is_cpu(); ++i)
    if (indices.data()[i] < 0 || indices.data()[i] >= rows)
      fail<IndexError>("embedding: index ", indices.data()[i], " is out of range for a weight of ", rows, " rows");

  Shape<R> sizes;
  for (int i = 0; i < R - 1; ++i) sizes[i] = indices.impl->sizes[i];
  sizes[R - 1] = width;
  Tensor<T, R> y(TensorImpl::empty(dtype_of<T>(), sizes, device));
  const auto dense = weight.detach().contiguous();
  constexpr std::int64_t grain = 256;
  if (device.is_cuda()) gather_rows_on_device({"embedding", dtype_of<T>(), y.data(), dense.data(), indices.data(), 1, rows, width, n});
  else parallel_for((n + grain - 1) / grain, n * width >= parallel_threshold, [&](std::int64_t c) {
    for (std::int64_t i = c * grain; i < std::min(n, (c + 1) * grain); ++i)
      std::copy_n(dense.data() + indices.data()[i] * width, width, y.data() + i * width);
  });
  if (!any_requires_grad(weight)) return y;
  const Saved kept(indices);
  const auto taken = [=](const Tensor<T, 2>& table) {  // what `back` is the transpose of: without row `padding`
    const auto at = kept.get("embedding");
    Tensor<T, R> to(TensorImpl::empty(dtype_of<T>(), sizes, device));
    if (device.is_cuda()) gather_rows_on_device({"embedding", dtype_of<T>(), to.data(), table.data(), at.data(), 1, rows, width, n, skip});
    else for (std::int64_t i = 0; i < n; ++i) {
      if (at.data()[i] == padding) std::fill_n(to.data() + i * width, width, T(0));
      else std::copy_n(table.data() + at.data()[i] * width, width, to.data() + i * width);
    }
    return to;
  };
  const auto back = [=](const Tensor<T, R>& grad) {
    const auto at = kept.get("embedding");
    Tensor<T, 2> g(TensorImpl::empty(dtype_of<T>(), Shape{rows, width}, device));
    fill_dense(g, T(0));
    if (device.is_cuda()) add_rows_on_device({"embedding", dtype_of<T>(), g.data(), grad.data(), at.data(), 1, rows, width, n, false, skip});
    else for_each_stripe(width, n, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t row = at.data()[i];
        if (row == padding) continue;
        for (std::int64_t j = first; j < last; ++j) g.data()[row * width + j] += grad.data()[i * width + j];
      }
    });
    return g;
  };
  return record_linear("embedding", y, taken, back, weight);
}

}  // namespace SINTER_ABI
}  // namespace sinter
