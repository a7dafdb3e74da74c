// SPDX-License-Identifier: MIT
// softmax, log_softmax and logsumexp over any dimension: kernels of their own that read a row while it is in cache.
#pragma once

#include "sinter/autograd/function.hpp"
#include "sinter/device/rows.hpp"
#include "sinter/functional/rows.hpp"

namespace sinter {
inline namespace SINTER_ABI {

inline DeviceRows on_device(const Rows& r) { return {r.outer, r.n, r.inner}; }

template <bool Log, class T>
void softmax_forward(const Rows& rows, const T* x, T* y) {
  for_each_walk<T>(rows, [&](const auto& walk, std::int64_t r) {
    using V = RowBlock<T>;
    constexpr T low = -std::numeric_limits<T>::infinity();
    const T* from = x + rows.begin(r);
    T* to = y + rows.begin(r);
    V m = V(low), s = V(T(0));
    walk.each([&](std::int64_t o, std::int64_t c) { m = lane::max(m, load_part(from + o, c, low)); });
    m = walk.max(m);
    walk.each([&](std::int64_t o, std::int64_t c) {
      const V e = lane::exp(load_part(from + o, c, low) - m);
      if (!Log) store_part(to + o, c, e);
      s = s + e;
    });
    s = walk.sum(s);
    if constexpr (Log) {
      const V log_s = lane::log(s);
      walk.each([&](std::int64_t o, std::int64_t c) { store_part(to + o, c, load_part(from + o, c, low) - m - log_s); });
    } else {
      const V factor = V(T(1)) / s;
      walk.each([&](std::int64_t o, std::int64_t c) { store_part(to + o, c, load_part(to + o, c, T(0)) * factor); });
    }
  });
}

template <bool Log, class T>
void softmax_backward(const Rows& rows, const T* y, const T* g, T* dx) {
  for_each_walk<T>(rows, [&](const auto& walk, std::int64_t r) {
    using V = RowBlock<T>;
    const std::int64_t b = rows.begin(r);
    V s = V(T(0));
    walk.each([&](std::int64_t o, std::int64_t c) {
      const V up = load_part(g + b + o, c, T(0));
      s = s + (Log ? up : up * load_part(y + b + o, c, T(0)));
    });
    s = walk.sum(s);
    walk.each([&](std::int64_t o, std::int64_t c) {
      const V up = load_part(g + b + o, c, T(0)), out = load_part(y + b + o, c, T(0));
      store_part(dx + b + o, c, Log ? up - lane::exp(out) * s : out * (up - s));
    });
  });
}

template <bool Log, class T, int R>
Tensor<T, R> softmax_of(const char* op, const Tensor<T, R>& in, int d) {
  const Tensor<T, R> x = no_grad([&] { return in.detach().contiguous(); });
  const Rows rows(x.shape(), d);
  const Device device = x.device();
  Tensor<T, R> y(TensorImpl::empty(dtype_of<T>(), x.shape(), device));
  if (device.is_cuda()) softmax_on_device({dtype_of<T>(), Log, on_device(rows), x.data(), y.data()});
  else if constexpr (!is_reduced_float<T>) softmax_forward<Log>(rows, x.data(), y.data());
  if (!any_requires_grad(in)) return y;
  auto back = [op, rows, d, y = Saved(y)](const auto& grad, [[maybe_unused]] const auto& needs) {
    const Tensor<T, R> out = y.get(op);
    if constexpr (double_backward)
      if (is_grad_enabled()) {
        const Tensor<T, R> z = needs.output(out);
        if constexpr (Log) return std::tuple(materialize(grad - exp(z) * sum(grad, d, keepdim)));
        else return std::tuple(materialize(z * (grad - sum(grad * z, d, keepdim))));
      }
    Tensor<T, R> dx(TensorImpl::empty(dtype_of<T>(), out.shape(), out.device()));
    if (out.device().is_cuda()) softmax_backward_on_device({dtype_of<T>(), Log, on_device(rows), out.data(), grad.data(), dx.data()});
    else if constexpr (!is_reduced_float<T>) softmax_backward<Log>(rows, out.data(), grad.data(), dx.data());
    return std::tuple(dx);
  };
  return record(op, y, Differentiable(std::move(back)), in);
}

// Of 16-bit dtypes the device has kernels of its own; the CPU computes in float.
template <bool Log, class E>
auto softmax_over(const char* op, const E& e, std::int64_t dim) {
  using T = typename E::value_type;
  static_assert(is_floating<T>, "sinter: softmax() and log_softmax() take a floating point dtype; convert with to<float>(x)");
  const int d = wrap_dim(op, dim, E::rank);
  if constexpr (is_reduced_float<T>)
    if (device_of(op, e).is_cpu()) return Tensor<T, E::rank>(materialize(to<T>(softmax_over<Log>(op, to<float>(e), dim))));
  return softmax_of<Log>(op, Tensor<T, E::rank>(materialize(e)), d);
}

// exp(x) / sum(exp(x)) along dim.
template <class E>
auto softmax(const Expr<E>& x, std::int64_t dim) { return softmax_over<false>("softmax", x.self(), dim); }
template <class E>
auto log_softmax(const Expr<E>& x, std::int64_t dim) { return softmax_over<true>("log_softmax", x.self(), dim); }

// The greatest where it is finite, else 0, by which logsumexp shifts its operand: inf - inf never happens. Of no elements
// at all the greatest is -inf, so that the sum of none gives log(0).
namespace op {
struct AmaxOfAny : Amax {
  static constexpr bool needs_elements = false;
};
struct FiniteOrZero {
  static constexpr const char* name = "finite_or_zero";
  template <class T>
  SINTER_HD static T f(T x) { return where(isfinite(x), x, T(0)); }
};
}  // namespace op

// log(sum(exp(x))) over some dimensions, as a fused expression: logsumexp(x, 1), logsumexp(x, {0, 2}, keepdim).
struct LogSumExp {
  static constexpr const char* name = "logsumexp";
  template <class E, int K, bool Keep>
  static auto apply(const E& x, Axes<K, Keep> axes) {
    using T = typename E::value_type;
    static_assert(is_floating<T>, "sinter: logsumexp() takes a floating point dtype; convert with to<float>(x)");
    // Constant for the gradient, since the shift cancels: FiniteOrZero has no slope.
    const auto shift = [&](auto a) { return map(op::FiniteOrZero{}, reduce<op::AmaxOfAny>(name, x, a)); };
    return log(reduce<op::Sum>(name, exp(x - shift(keeping(axes))), axes)) + shift(axes);
  }
};
inline constexpr Reduction<LogSumExp> logsumexp{};

}  // namespace SINTER_ABI
}  // namespace sinter
