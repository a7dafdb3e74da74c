// SPDX-License-Identifier: MIT
// Batch normalisation: each channel by its mean and variance, of the batch in training, running ones otherwise.
#pragma once

#include <array>
#include <cmath>

#include "sinter/autograd/function.hpp"
#include "sinter/cpu/channels.hpp"
#include "sinter/device/norm.hpp"
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

// (x - mean) * scale * weight + bias by channels, with an epilogue as a product has one (expr/product.hpp). `moments`: mean and
// scale are those of x itself, which its gradient takes into account.
template <class T, int R>
struct BatchNormalization {
  using value_type = T;
  static constexpr int rank = R, column_dims = R < 4 ? 1 : 2;
  static constexpr const char* name = "batch_norm";
  Tensor<T, R> x;
  Tensor<T, 1> weight, bias, mean, scale;
  cpu::Channels channels;
  bool moments;
  Shape<R> shape;

  static Tensor<T, R> dense(const Tensor<T, R>& t) { return t.detach().contiguous(); }
  static Tensor<T, 1> dense(const Tensor<T, 1>& t) { return t.defined() ? t.detach().contiguous() : t; }
  static T* pointer(const Tensor<T, 1>& t) { return t.defined() ? t.data() : nullptr; }
  static DeviceChannels there(const cpu::Channels& c) { return {c.batch, c.channels, c.inner}; }

  std::int64_t product_rows() const { return 0; }
  std::array<Operand, 3> operands() const {
    return {&x.impl, weight.defined() ? &weight.impl : &x.impl, bias.defined() ? &bias.impl : &x.impl};
  }
  bool requires_grad() const { return any_requires_grad(x, weight, bias); }
  void compute(T* out, cpu::Finish finish) const {
    const Tensor<T, R> in = dense(x);
    const Tensor<T, 1> gain = dense(weight), shift = dense(bias);
    if (in.device().is_cuda())  // the epilogue is a pass of its own there
      return channel_norm_on_device({dtype_of<T>(), there(channels), in.data(), mean.data(), scale.data(), pointer(gain), pointer(shift), out});
    cpu::Finish rows = finish;
    const Rows split{finish, channels.channels};
    if (R == 2 && finish.run) rows = {Rows::run, &split};
    cpu::channel_normalize(channels, in.data(), mean.data(), scale.data(), pointer(gain), pointer(shift), out, rows);
  }

  struct Back {
    Edge edge_x, edge_weight, edge_bias;
    Saved<T, R> x;
    Saved<T, 1> weight;
    Tensor<T, 1> mean, scale;
    cpu::Channels channels;
    bool moments;
    void run(const char* op, const Ref<TensorImpl>& dz) const {
      const Tensor<T, R> from = dense(x.get(op)), up(dz);
      const Tensor<T, 1> gain = dense(weight.get(op));
      const Device device = from.device();
      const auto fresh = [device](const auto& sizes) { return TensorImpl::empty(dtype_of<T>(), sizes, device); };
      const Tensor<T, R> dx(edge_x ? fresh(from.shape()) : Ref<TensorImpl>());
      const Tensor<T, 1> dweight(fresh(mean.shape())), dbias(fresh(mean.shape()));
      if (device.is_cuda()) {
        channel_norm_backward_on_device({dtype_of<T>(), there(channels), moments, from.data(), mean.data(), scale.data(), pointer(gain), up.data(),
                                         edge_x ? dx.data() : nullptr, dweight.data(), dbias.data()});
      } else if (channels.count() == 0) {  // no elements: the moments are NaN, the sums over them 0
        std::fill_n(dweight.data(), channels.channels, T(0));
        std::fill_n(dbias.data(), channels.channels, T(0));
      } else {
        cpu::channel_normalize_backward(channels, from.data(), up.data(), mean.data(), scale.data(), pointer(gain), moments,
                                        edge_x ? dx.data() : nullptr, dweight.data(), dbias.data());
      }
      if (edge_x) give(edge_x, dx.impl);
      give(edge_weight, dweight.impl);
      give(edge_bias, dbias.impl);
    }
  };
  Back back() const { return {Edge(x.impl), Edge(weight.impl), Edge(bias.impl), Saved<T, R>(x), Saved<T, 1>(weight), mean, scale, channels, moments}; }

 private:
  // (N, C) has its channels in columns.
  struct Rows {
    cpu::Finish finish;
    std::int64_t channels;
    static void run(const void* self, std::int64_t product, std::int64_t first, std::int64_t last, std::int64_t, std::int64_t) {
      const Rows& r = *static_cast<const Rows*>(self);
      r.finish.run(r.finish.self, product, first / r.channels, last / r.channels, 0, r.channels);
    }
  };
};

template <class T, int R, class... P>
Device batch_norm_device(const Tensor<T, R>& x, const P&... parameters) {
  const Operand all[] = {&x.impl, (parameters.defined() ? &parameters.impl : &x.impl)...};
  return common_device("batch_norm", all, 1 + int(sizeof...(P)));
}
// Mean, scale and the running ones in one pass over x.
template <class T, int R>
void batch_norm_moments_on_device(const cpu::Channels& s, const Tensor<T, R>& x, const Tensor<T, 1>& running_mean, const Tensor<T, 1>& running_var,
                                  const BatchNormOptions& o, const Tensor<T, 1>& mean, const Tensor<T, 1>& scale) {
  const Tensor<T, R> in = x.detach().contiguous();
  const auto dense = [](const Tensor<T, 1>& t) { return t.defined() ? t.detach().contiguous() : t; };
  const Tensor<T, 1> running[] = {dense(running_mean), dense(running_var)};
  const auto pointer = [](const Tensor<T, 1>& t) { return t.defined() ? t.data() : nullptr; };
  channel_moments_on_device({dtype_of<T>(), {s.batch, s.channels, s.inner}, o.training_, o.eps_, o.momentum_, in.data(), pointer(running[0]), pointer(running[1]),
                             mean.data(), scale.data()});
  if (!o.training_ || s.count() == 0) return;
  for (int i = 0; i < 2; ++i)
    if (const Tensor<T, 1>& whose = i == 0 ? running_mean : running_var; whose.defined()) {
      if (running[i].data() != whose.data()) Tensor<T, 1>(whose).copy_(running[i]);
      else whose.impl->storage->version.fetch_add(1, std::memory_order_relaxed);
    }
}

// The statistics, at once: they change with the statement, not with what reads the result.
template <class T, int R>
Product<BatchNormalization<T, R>> batch_norm_of(const Tensor<T, R>& x, const Tensor<T, 1>& running_mean, const Tensor<T, 1>& running_var,
                                                const Tensor<T, 1>& weight, const Tensor<T, 1>& bias, const BatchNormOptions& o) {
  cpu::Channels s{x.size(0), x.size(1), 1};
  for (int i = 2; i < R; ++i) s.inner *= x.impl->sizes[i];
  check_batch_norm(x.shape(), running_mean, running_var, weight, bias, o.training_);
  if (o.training_ && s.count() == 1)
    fail<ValueError>("batch_norm: training needs more than 1 value for each channel, but the input is ", x.shape());
  const Shape<1> each{{s.channels}};
  using P = BatchNormalization<T, R>;
  const Device device = batch_norm_device(x, running_mean, running_var, weight, bias);
  Tensor<T, 1> mean(TensorImpl::empty(dtype_of<T>(), each, device)), scale(TensorImpl::empty(dtype_of<T>(), each, device));
  if (device.is_cuda()) {
    no_grad([&] { batch_norm_moments_on_device(s, x, running_mean, running_var, o, mean, scale); });
    return Product<P>(P{x, weight, bias, mean, scale, s, o.training_, x.shape()});
  }
  no_grad([&] {
    if (o.training_) {
      const Tensor<T, R> in = x.detach().contiguous();
      cpu::channel_moments(s, in.data(), mean.data(), scale.data());
      const double m = o.momentum_, n = double(s.count());
      if (running_mean.defined() && n > 0) Tensor<T, 1>(running_mean).copy_(running_mean * (1 - m) + mean * m);
      if (running_var.defined() && n > 0) Tensor<T, 1>(running_var).copy_(running_var * (1 - m) + scale * (m * n / (n - 1)));
    } else {
      mean.copy_(running_mean), scale.copy_(running_var);
    }
  });
  for (std::int64_t c = 0; c < s.channels; ++c) scale.data()[c] = T(1) / std::sqrt(scale.data()[c] + T(o.eps_));
  return Product<P>(P{x, weight, bias, mean, scale, s, o.training_, x.shape()});
}

// x (N, C), (N, C, L) or (N, C, H, W); the others (C), or undefined tensors. In training, running_mean and running_var are
// moved in place towards the batch's mean and unbiased variance. An expression: what is done to it (an activation, the sum with
// a shortcut) runs in the same pass. Throws ShapeError, ValueError.
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
           channels(bias.defined() ? bias : zeros<T>(Shape{in[1]}, running_mean.device()));
  }
}

}  // namespace SINTER_ABI
}  // namespace sinter
