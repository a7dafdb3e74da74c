// SPDX-License-Identifier: MIT
// Batch normalisation: each channel by its mean and variance, of the batch in training, running ones otherwise.
#pragma once

#include <cmath>

#include "sinter/autograd/function.hpp"
#include "sinter/cpu/channels.hpp"
#include "sinter/tensor/create.hpp"

namespace sinter {

// PyTorch's keyword arguments and defaults. The last two are for nn::BatchNorm2d, which decides about `training` itself.
struct BatchNormOptions {
  bool training_ = false, affine_ = true, track_running_stats_ = true;
  double momentum_ = 0.1, eps_ = 1e-5;
  BatchNormOptions& training(bool t) { return training_ = t, *this; }
  BatchNormOptions& momentum(double m) { return momentum_ = m, *this; }
  BatchNormOptions& eps(double e) { return eps_ = e, *this; }
  BatchNormOptions& affine(bool a) { return affine_ = a, *this; }
  BatchNormOptions& track_running_stats(bool t) { return track_running_stats_ = t, *this; }
};

inline namespace SINTER_ABI {

template <class T, int R>
void check_batch_norm(const Shape<R>& x, const Tensor<T, 1>& running_mean, const Tensor<T, 1>& running_var, const Tensor<T, 1>& weight,
                      const Tensor<T, 1>& bias, bool training) {
  const auto check = [&](const char* name, const Tensor<T, 1>& t) {
    if (t.defined() && t.size(0) != x[1])
      fail<ShapeError>("batch_norm: ", name, " of shape ", t.shape(), " for input ", x, ": ", t.size(0), " against ", x[1], " channels (axis 1)");
  };
  check("running_mean", running_mean), check("running_var", running_var), check("weight", weight), check("bias", bias);
  if (!training && !(running_mean.defined() && running_var.defined()))
    fail<ValueError>("batch_norm: outside of training running_mean and running_var are needed");
}
template <class A>
constexpr bool check_batch_norm_input() {
  constexpr bool fits = std::is_floating_point_v<typename A::value_type>, ranked = A::rank >= 2 && A::rank <= 4;
  static_assert(fits, "sinter: batch_norm() takes float or double; convert with to<float>(x)");
  static_assert(ranked, "sinter: batch_norm() takes an input (N, C), (N, C, L) or (N, C, H, W)");
  return fits && ranked;
}

template <class T, int R>
Tensor<T, R> batch_norm_of(const Tensor<T, R>& x, const Tensor<T, 1>& running_mean, const Tensor<T, 1>& running_var,
                           const Tensor<T, 1>& weight, const Tensor<T, 1>& bias, const BatchNormOptions& o) {
  cpu::Channels s{x.size(0), x.size(1), 1};
  for (int i = 2; i < R; ++i) s.inner *= x.impl->sizes[i];
  check_batch_norm(x.shape(), running_mean, running_var, weight, bias, o.training_);
  if (o.training_ && s.count() == 1)
    fail<ValueError>("batch_norm: training needs more than 1 value for each channel, but the input is ", x.shape());

  const auto dense = [](const auto& t) { return t.defined() ? t.detach().contiguous() : t; };
  const auto pointer = [](const Tensor<T, 1>& t) { return t.defined() ? t.data() : nullptr; };
  const Tensor<T, R> in = dense(x);
  const Tensor<T, 1> gain = dense(weight), shift = dense(bias);
  const Shape<1> each{{s.channels}};
  Tensor<T, 1> mean(TensorImpl::empty(dtype_of<T>(), each)), var(TensorImpl::empty(dtype_of<T>(), each));
  if (o.training_) {
    cpu::channel_moments(s, in.data(), mean.data(), var.data());
    no_grad([&] {
      const double m = o.momentum_, n = double(s.count());
      if (running_mean.defined() && n > 0) Tensor<T, 1>(running_mean).copy_(running_mean * (1 - m) + mean * m);
      if (running_var.defined() && n > 0) Tensor<T, 1>(running_var).copy_(running_var * (1 - m) + var * (m * n / (n - 1)));
    });
  } else {
    no_grad([&] { mean.copy_(running_mean), var.copy_(running_var); });
  }
  for (std::int64_t c = 0; c < s.channels; ++c) var.data()[c] = T(1) / std::sqrt(var.data()[c] + T(o.eps_));  // from here on the scale
  Tensor<T, R> y(TensorImpl::empty(dtype_of<T>(), x.shape()));
  cpu::channel_normalize(s, in.data(), mean.data(), var.data(), pointer(gain), pointer(shift), y.data());
  if (!any_requires_grad(x, weight, bias)) return y;
  auto back = [=, in = Saved(in), gain = Saved(gain), training = o.training_](const Tensor<T, R>& grad, const auto& needs) {
    const Tensor<T, R> from = in.get("batch_norm");
    const Tensor<T, 1> factor = gain.get("batch_norm");
    Tensor<T, R> dx;
    if (needs[0]) dx = Tensor<T, R>(TensorImpl::empty(dtype_of<T>(), from.shape()));
    Tensor<T, 1> dweight(TensorImpl::empty(dtype_of<T>(), each)), dbias(TensorImpl::empty(dtype_of<T>(), each));
    if (s.count() == 0) {  // no elements: the moments are NaN, the sums over them 0
      std::fill_n(dweight.data(), s.channels, T(0));
      std::fill_n(dbias.data(), s.channels, T(0));
      return std::tuple(dx, dweight, dbias);
    }
    cpu::channel_normalize_backward(s, from.data(), grad.data(), mean.data(), var.data(), pointer(factor), training,
                                    needs[0] ? dx.data() : nullptr, dweight.data(), dbias.data());
    return std::tuple(dx, dweight, dbias);
  };
  return record("batch_norm", y, std::move(back), x, weight, bias);
}

// x (N, C), (N, C, L) or (N, C, H, W); the others (C), or undefined tensors. In training, running_mean and running_var are
// moved in place towards the batch's mean and unbiased variance. Throws ShapeError, ValueError.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html
template <class A>
auto batch_norm(const Expr<A>& x, const Tensor<typename A::value_type, 1>& running_mean, const Tensor<typename A::value_type, 1>& running_var,
                const Tensor<typename A::value_type, 1>& weight, const Tensor<typename A::value_type, 1>& bias, const BatchNormOptions& options) {
  if constexpr (check_batch_norm_input<A>()) return batch_norm_of(materialize(x.self()), running_mean, running_var, weight, bias, options);
}
// Outside of training and with eps 1e-5, as PyTorch's defaults are: an expression, which fuses with what it is part of, and
// ends a convolution in the same pass.
template <class A>
auto batch_norm(const Expr<A>& x, const Tensor<typename A::value_type, 1>& running_mean, const Tensor<typename A::value_type, 1>& running_var,
                const Tensor<typename A::value_type, 1>& weight = {}, const Tensor<typename A::value_type, 1>& bias = {}) {
  if constexpr (check_batch_norm_input<A>()) {
    using T = typename A::value_type;
    const Shape<A::rank> in = x.self().shape();
    check_batch_norm(in, running_mean, running_var, weight, bias, false);
    Shape<A::rank - 1> each;
    for (int i = 0; i < A::rank - 1; ++i) each[i] = i == 0 ? in[1] : 1;
    const auto channels = [&](const Tensor<T, 1>& t) { return view(t, each); };
    const Tensor<T, 1> scale = 1 / sqrt(running_var + T(BatchNormOptions().eps_));
    return (x.self() - channels(running_mean)) * channels(weight.defined() ? Tensor<T, 1>(scale * weight) : scale) +
           channels(bias.defined() ? bias : zeros<T>(Shape{in[1]}));
  }
}

}  // namespace SINTER_ABI
}  // namespace sinter
