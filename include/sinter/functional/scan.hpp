// SPDX-License-Identifier: MIT
// Running sums and products along a dimension. Integers and bools are added up as int64.
#pragma once

#include "sinter/autograd/function.hpp"
#include "sinter/device/scan.hpp"
#include "sinter/functional/rows.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// step(x's row, y's row, rows) for every row of two dense tensors.
template <class T, int R, class F>
void scan_rows(const Tensor<T, R>& x, Tensor<T, R>& y, int d, F step) {
  const Rows rows(x.shape(), d);
  for_each_row(rows, [&](std::int64_t r) { step(x.data() + rows.begin(r), y.data() + rows.begin(r), rows.n, rows.inner); });
}
// What running values are kept in: a float's in double, as in PyTorch.
template <class T>
using running_t = std::conditional_t<is_floating<T>, double, std::int64_t>;

template <class T, int R>
ScanArgs scan_args(const char* op, const Tensor<T, R>& x, int d, bool product, bool backwards) {
  const Rows rows(x.shape(), d);
  return {op, dtype_of<T>(), rows.outer, rows.n, rows.inner, product, backwards};
}

template <class T, int R>
Tensor<T, R> cumsum_values(const Tensor<T, R>& x, int d, bool backwards) {
  Tensor<T, R> y(TensorImpl::empty(dtype_of<T>(), x.shape(), x.device()));
  if (x.device().is_cuda()) {
    scan_on_device(scan_args("cumsum", x, d, false, backwards), y.data(), x.data());
    return y;
  }
  scan_rows(x, y, d, [backwards](const T* from, T* to, std::int64_t n, std::int64_t step) {
    running_t<T> sum = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t k = (backwards ? n - 1 - i : i) * step;
      to[k] = T(sum += running_t<T>(from[k]));
    }
  });
  return y;
}

template <class E>
auto cumsum(const Expr<E>& e, std::int64_t dim) {
  using From = typename E::value_type;
  using T = std::conditional_t<is_floating<From>, From, std::int64_t>;
  constexpr int R = E::rank;
  const int d = wrap_dim("cumsum", dim, R);
  const Tensor<T, R> in = materialize(cast<T>(e.self()));
  Tensor<T, R> out = cumsum_values(no_grad([&] { return in.detach().contiguous(); }), d, false);
  if constexpr (is_floating<T>)
    if (any_requires_grad(in))
      return record_linear("cumsum", out, [d](const Tensor<T, R>& x) { return cumsum_values(x, d, false); },
                           [d](const Tensor<T, R>& grad) { return cumsum_values(grad, d, true); }, in);
  return out;
}

template <class E>
auto cumprod(const Expr<E>& e, std::int64_t dim) {
  using From = typename E::value_type;
  using T = std::conditional_t<is_floating<From>, From, std::int64_t>;
  constexpr int R = E::rank;
  const int d = wrap_dim("cumprod", dim, R);
  const Tensor<T, R> in = materialize(cast<T>(e.self()));
  const Tensor<T, R> x = no_grad([&] { return in.detach().contiguous(); });
  Tensor<T, R> out(TensorImpl::empty(dtype_of<T>(), x.shape(), x.device()));
  if (x.device().is_cuda()) scan_on_device(scan_args("cumprod", x, d, true, false), out.data(), x.data());
  else scan_rows(x, out, d, [](const T* from, T* to, std::int64_t n, std::int64_t step) {
    running_t<T> product = 1;
    for (std::int64_t i = 0; i < n; ++i) to[i * step] = T(product *= running_t<T>(from[i * step]));
  });
  if constexpr (is_floating<T>)
    if (any_requires_grad(in)) {
      // dx_i = (x_0 ... x_i-1) * s_i with s_i = g_i + x_i+1 * s_i+1: no division, so zeros do no harm.
      auto back = [d, x = Saved(x)](const Tensor<T, R>& grad, const auto&) {
        const Tensor<T, R> from = x.get("cumprod");
        Tensor<T, R> dx(TensorImpl::empty(dtype_of<T>(), from.shape(), from.device()));
        if (from.device().is_cuda()) {
          cumprod_back_on_device(scan_args("cumprod", from, d, true, false), dx.data(), from.data(), grad.data());
          return std::tuple(dx);
        }
        const Rows rows(from.shape(), d);
        for_each_row(rows, [&](std::int64_t r) {
          const std::int64_t b = rows.begin(r), step = rows.inner;
          running_t<T> rest = 0;
          for (std::int64_t i = rows.n - 1; i >= 0; --i) {
            rest = double(grad.data()[b + i * step]) + (i + 1 < rows.n ? double(from.data()[b + (i + 1) * step]) * rest : 0.0);
            dx.data()[b + i * step] = T(rest);
          }
          running_t<T> before = 1;
          for (std::int64_t i = 0; i < rows.n; ++i) {
            dx.data()[b + i * step] = T(before * double(dx.data()[b + i * step]));
            before *= double(from.data()[b + i * step]);
          }
        });
        return std::tuple(dx);
      };
      return record("cumprod", out, std::move(back), in);
    }
  return out;
}

}  // namespace SINTER_ABI
}  // namespace sinter
