// SPDX-License-Identifier: MIT
// layer_norm and rms_norm: rows that lie along the last dimensions, each normalised by its own statistics.
#pragma once

#include <limits>
#include <optional>

#include "sinter/autograd/function.hpp"
#include "sinter/cpu/row_norm.hpp"
#include "sinter/device/norm.hpp"
#include "sinter/tensor/create.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// The rows of `sizes` that have the shape `last`. Throws ShapeError where it is not the shape of the last dimensions.
template <int R, int K>
cpu::NormRows norm_rows(const char* op, const Shape<R>& sizes, const Shape<K>& last) {
  cpu::NormRows s{1, 1};
  for (int i = 0; i < R - K; ++i) s.rows *= sizes[i];
  for (int i = 0; i < K; ++i) {
    s.n *= last[i];
    if (sizes[R - K + i] != last[i])
      fail<ShapeError>(op, ": input ", sizes, " x normalized_shape ", last, ": ", sizes[R - K + i], " against ", last[i], " (axis ", R - K + i,
                       " of the input, axis ", i, " of the normalized shape)");
  }
  return s;
}
template <class T, int K>
void check_norm_parameter(const char* op, const char* name, const Tensor<T, K>& t, const Shape<K>& last) {
  if (t.defined() && !(t.shape() == last)) fail<ShapeError>(op, ": ", name, " of shape ", t.shape(), " for normalized_shape ", last);
}

// Where x and the parameters are that there are.
template <class X, class P>
Device norm_device(const char* op, const X& x, const P& weight, const P& bias) {
  const auto also = [&](const P& p) -> const Ref<TensorImpl>& { return p.defined() ? p.impl : x.impl; };
  const Operand all[] = {&x.impl, &also(weight), &also(bias)};
  return common_device(op, all, 3);
}

template <bool Centered, class T, int R, int K>
Tensor<T, R> norm_of(const char* op, const Tensor<T, R>& x, const Shape<K>& last, const Tensor<T, K>& weight, const Tensor<T, K>& bias,
                     double eps) {
  const cpu::NormRows s = norm_rows(op, x.shape(), last);
  check_norm_parameter(op, "weight", weight, last), check_norm_parameter(op, "bias", bias, last);
  using A = compute_t<T>;
  const auto dense = [](const auto& t) { return t.defined() ? t.detach().contiguous() : t; };
  const auto pointer = [](const auto& t) { return t.defined() ? t.data() : nullptr; };
  const Device device = norm_device(op, x, weight, bias);
  const auto fresh = [device](const auto& sizes) { return TensorImpl::empty(dtype_of<T>(), sizes, device); };
  const auto each_row = [&] { return Tensor<A, 1>(TensorImpl::empty(dtype_of<A>(), Shape<1>{{s.rows}}, device)); };
  const Tensor<T, R> in = dense(x);
  const Tensor<T, K> gain = dense(weight), shift = dense(bias);
  Tensor<T, R> y(fresh(x.shape()));
  const Tensor<A, 1> rstd = each_row(), mean = Centered ? each_row() : Tensor<A, 1>();
  if (device.is_cuda())
    row_norm_on_device({op, dtype_of<T>(), Centered, s.rows, s.n, eps, in.data(), pointer(gain), pointer(shift), y.data(), pointer(mean), rstd.data()});
  else if constexpr (!is_reduced_float<T>)
    cpu::normalize_rows<Centered>(s, in.data(), pointer(gain), pointer(shift), eps, y.data(), pointer(mean), rstd.data());
  if (!any_requires_grad(x, weight, bias)) return y;
  auto back = [=, in = Saved(in), gain = Saved(gain)](const Tensor<T, R>& grad, const auto& needs) {
    const Tensor<T, R> from = in.get(op);
    const Tensor<T, K> factor = gain.get(op);
    std::tuple<Tensor<T, R>, Tensor<T, K>, Tensor<T, K>> d;
    auto& [dx, dweight, dbias] = d;
    if (needs[0]) dx = Tensor<T, R>(fresh(from.shape()));
    if (needs[1]) dweight = Tensor<T, K>(fresh(last));
    if (needs[2]) dbias = Tensor<T, K>(fresh(last));
    if (device.is_cuda())
      row_norm_backward_on_device({op, dtype_of<T>(), Centered, s.rows, s.n, from.data(), pointer(factor), pointer(mean), rstd.data(), grad.data(), pointer(dx),
                                   pointer(dweight), pointer(dbias)});
    else if constexpr (!is_reduced_float<T>)
      cpu::normalize_rows_backward<Centered>(s, from.data(), pointer(factor), pointer(mean), rstd.data(), grad.data(), pointer(dx), pointer(dweight),
                                             pointer(dbias));
    return d;
  };
  return record(op, y, std::move(back), x, weight, bias);
}

// Of 16-bit dtypes the device has kernels of its own; the CPU computes in float.
template <bool Centered, class E, int K>
auto norm_over(const char* op, const E& x, const Shape<K>& last, const Tensor<typename E::value_type, K>& weight,
               const Tensor<typename E::value_type, K>& bias, double eps) {
  using T = typename E::value_type;
  static_assert(is_floating<T>, "sinter: layer_norm() and rms_norm() take a floating point dtype; convert with to<float>(x)");
  static_assert(K >= 1 && K <= E::rank, "sinter: layer_norm() and rms_norm() normalise at least one and at most all dimensions of the input");
  if constexpr (is_floating<T> && K >= 1 && K <= E::rank) {
    if constexpr (is_reduced_float<T>)
      if (device_of(op, x).is_cpu()) {
        const auto wide = [](const auto& t) { return t.defined() ? Tensor<float, K>(to<float>(t)) : Tensor<float, K>(); };
        return Tensor<T, E::rank>(materialize(to<T>(norm_over<Centered>(op, to<float>(x), last, wide(weight), wide(bias), eps))));
      }
    return norm_of<Centered>(op, Tensor<T, E::rank>(materialize(x)), last, weight, bias, eps);
  }
}

template <class I, std::size_t K>
Shape<int(K)> shape_of(const I (&sizes)[K]) {
  Shape<int(K)> s;
  std::copy_n(sizes, K, s.d);
  return s;
}

// (x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, which have the shape `last`, as have weight and
// bias (or undefined tensors): layer_norm(x, {768}, w, b). Throws ShapeError.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.layer_norm.html
template <class A, int K>
auto layer_norm(const Expr<A>& x, const Shape<K>& last, const Tensor<typename A::value_type, K>& weight = {},
                const Tensor<typename A::value_type, K>& bias = {}, double eps = 1e-5) {
  return norm_over<true>("layer_norm", x.self(), last, weight, bias, eps);
}
template <class A, class I, std::size_t K>
auto layer_norm(const Expr<A>& x, const I (&last)[K], const Tensor<typename A::value_type, int(K)>& weight = {},
                const Tensor<typename A::value_type, int(K)>& bias = {}, double eps = 1e-5) {
  return layer_norm(x, shape_of(last), weight, bias, eps);
}

// x / sqrt(mean(x^2) + eps) * weight; without an eps, the smallest by which the dtype tells 1 from what follows.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.rms_norm.html
template <class A, int K>
auto rms_norm(const Expr<A>& x, const Shape<K>& last, const Tensor<typename A::value_type, K>& weight = {}, std::optional<double> eps = {}) {
  using T = typename A::value_type;
  const double least = std::is_same_v<T, half> ? 0x1p-10 : std::is_same_v<T, bfloat16> ? 0x1p-7 : double(std::numeric_limits<compute_t<T>>::epsilon());
  return norm_over<false>("rms_norm", x.self(), last, weight, Tensor<T, K>(), eps.value_or(least));
}
template <class A, class I, std::size_t K>
auto rms_norm(const Expr<A>& x, const I (&last)[K], const Tensor<typename A::value_type, int(K)>& weight = {}, std::optional<double> eps = {}) {
  return rms_norm(x, shape_of(last), weight, eps);
}

}  // namespace SINTER_ABI
}  // namespace sinter
