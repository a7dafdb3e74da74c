// SPDX-License-Identifier: MIT
// cross_entropy and nll_loss of class labels where the logits are on a device.
#pragma once

#include "sinter/device/loss.hpp"
#include "sinter/functional/labels.hpp"
#include "sinter/functional/softmax.hpp"
#include "sinter/tensor/create.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// What a loss of labels on a device leaves for its backward: the rows' greatest and logarithms of sums, float or double, and the
// sums of the labels' and the classes' weights.
template <class T, int R>
struct LabelsOnDevice {
  using A = compute_t<T>;
  Rows rows;
  std::int64_t ignore;
  double smoothing;
  LossReduction reduction;
  Tensor<A, 1> top, log_sum;
  Tensor<double, 1> totals;

  LabelsOnDevice(const Rows& r, std::int64_t ignored, double s, LossReduction how, Device device, bool of_rows)
      : rows(r), ignore(ignored), smoothing(s), reduction(how), totals(TensorImpl::empty(DType::float64, Shape<1>{{2}}, device)) {
    if (!of_rows) return;
    top = Tensor<A, 1>(TensorImpl::empty(dtype_of<A>(), Shape<1>{{r.count()}}, device));
    log_sum = Tensor<A, 1>(TensorImpl::empty(dtype_of<A>(), Shape<1>{{r.count()}}, device));
  }
  static const void* pointer(const Tensor<A, 1>& t) { return t.defined() ? t.data() : nullptr; }
  void* kept(const Tensor<A, 1>& t) const { return t.defined() ? t.data() : nullptr; }
  DeviceLabels read(const Tensor<std::int64_t, R - 1>& labels, const Tensor<A, 1>& weight) const { return {labels.data(), pointer(weight), ignore, smoothing}; }
  template <class Kernel>
  void forward(const Kernel& kernel, const Tensor<T, R>& x, const Tensor<std::int64_t, R - 1>& labels, const Tensor<compute_t<T>, 1>& weight, void* out) const {
    const Tensor<A, 1> losses(TensorImpl::empty(dtype_of<A>(), Shape<1>{{rows.count()}}, x.device()));
    kernel({dtype_of<T>(), on_device(rows), x.data(), read(labels, weight), reduction, kept(top), kept(log_sum), losses.data(), totals.data(), out});
  }
  template <class Kernel>
  void backward(const Kernel& kernel, const T* x, const Tensor<std::int64_t, R - 1>& labels, const Tensor<compute_t<T>, 1>& weight, const T* dy, T* dx) const {
    kernel({dtype_of<T>(), on_device(rows), x, read(labels, weight), reduction, kept(top), kept(log_sum), totals.data(), dy, dx});
  }
};
template <reduction::Kind K>
constexpr LossReduction loss_reduction() {
  static_assert(K != reduction::Kind::batchmean, "sinter: reduction::batchmean is for kl_div() only");
  return K == reduction::Kind::none ? LossReduction::none : K == reduction::Kind::sum ? LossReduction::sum : LossReduction::mean;
}
template <reduction::Kind K, class T, int R>
auto empty_loss(const Tensor<std::int64_t, R>& labels) {
  if constexpr (K == reduction::Kind::none) return Tensor<T, R>(TensorImpl::empty(dtype_of<T>(), labels.shape(), labels.device()));
  else return Tensor<T, 0>(TensorImpl::empty(dtype_of<T>(), Shape<0>{}, labels.device()));
}

// The same in steps that are recorded, out of the device's expressions: the loss is linear in log_softmax(x).
template <reduction::Kind K, class T, int R>
Tensor<T, R> cross_entropy_again_on_device(const LabelsOnDevice<T, R>& s, const Tensor<T, R>& x, const Tensor<std::int64_t, R - 1>& labels, const Tensor<compute_t<T>, 1>& weight,
                                           const Tensor<T, K == reduction::Kind::none ? R - 1 : 0>& grad) {
  constexpr int dim = class_dim<R>;
  // What each class of each row weighs, by a backward of nll_loss: -dL / d log_softmax(x).
  const Tensor<T, R> zero = zeros<T>(x.shape(), x.device());
  const LabelsOnDevice<T, R> plain(s.rows, s.ignore, 0, LossReduction::none, x.device(), false);
  const Tensor<T, R> own(TensorImpl::empty(dtype_of<T>(), x.shape(), x.device()));
  const Tensor<T, R - 1> ones = full<T>(labels.shape(), T(-1), x.device());
  plain.backward(nll_loss_backward_on_device, zero.data(), labels, weight, ones.data(), own.data());
  Tensor<T, R> share = own;
  if (s.smoothing != 0) {
    Shape<R> along;
    for (int i = 0; i < R; ++i) along[i] = i == dim ? s.rows.n : 1;
    const auto counts = unsqueeze(to<T>(labels != s.ignore), dim);
    const T each = T(s.smoothing / double(s.rows.n));
    share = no_grad([&]() -> Tensor<T, R> {
      if (weight.defined()) return materialize(own * T(1 - s.smoothing) + counts * to<T>(reshape(weight, along)) * each);
      return materialize(own * T(1 - s.smoothing) + (zero + counts) * each);
    });
  }
  const Tensor<T, R> p = softmax(x, dim), total = no_grad([&] { return materialize(zero + sum(share, dim, keepdim)); });
  if constexpr (K == reduction::Kind::none) return (p * total - share) * unsqueeze(grad, dim);
  else if constexpr (K == reduction::Kind::sum) return (p * total - share) * grad;
  else return (p * total - share) * (grad / to<T>(select(s.totals, 0, 0)));
}

template <class T, int R, class W, reduction::Kind K>
auto cross_entropy_on_cuda(const Tensor<T, R>& input, const Tensor<std::int64_t, R - 1>& labels, const Tensor<compute_t<T>, 1>& weight, const CrossEntropyOptions<W>& o,
                           reduction::Tag<K>) {
  constexpr const char* op = "cross_entropy";
  const Tensor<T, R> x = no_grad([&] { return input.detach().contiguous(); });
  const LabelsOnDevice<T, R> s(Rows(x.shape(), class_dim<R>), o.ignore_index_, o.label_smoothing_, loss_reduction<K>(), x.device(), true);
  auto out = empty_loss<K, T>(labels);
  s.forward(cross_entropy_on_device, x, labels, weight, out.data());
  if (!any_requires_grad(input)) return out;
  auto back = [s, x = Saved(x), labels = Saved(labels), weight = Saved(weight)](const auto& grad, [[maybe_unused]] const auto& needs) {
    const Tensor<T, R> logits = x.get(op);
    const auto y = labels.get(op);
    const auto w = weight.get(op);
    if constexpr (double_backward)
      if (is_grad_enabled()) return std::tuple(cross_entropy_again_on_device<K>(s, needs.input(0, logits), y, w, grad));
    Tensor<T, R> dx(TensorImpl::empty(dtype_of<T>(), logits.shape(), logits.device()));
    s.backward(cross_entropy_backward_on_device, logits.data(), y, w, grad.data(), dx.data());
    return std::tuple(dx);
  };
  return record(op, out, Differentiable(std::move(back)), input);
}
template <class T, int R, class W, reduction::Kind K>
auto nll_loss_on_cuda(const Tensor<T, R>& input, const Tensor<std::int64_t, R - 1>& labels, const Tensor<compute_t<T>, 1>& weight, const NLLOptions<W>& o, reduction::Tag<K>) {
  constexpr const char* op = "nll_loss";
  const Tensor<T, R> x = no_grad([&] { return input.detach().contiguous(); });
  const LabelsOnDevice<T, R> s(Rows(x.shape(), class_dim<R>), o.ignore_index_, 0, loss_reduction<K>(), x.device(), false);
  auto out = empty_loss<K, T>(labels);
  s.forward(nll_loss_on_device, x, labels, weight, out.data());
  if (!any_requires_grad(input)) return out;
  auto back = [s, sizes = x.shape(), labels = Saved(labels), weight = Saved(weight)](const auto& grad, const auto&) {
    Tensor<T, R> dx(TensorImpl::empty(dtype_of<T>(), sizes, grad.device()));
    s.backward(nll_loss_backward_on_device, nullptr, labels.get(op), weight.get(op), grad.data(), dx.data());
    return std::tuple(dx);
  };
  return record(op, out, std::move(back), input);
}

}  // namespace SINTER_ABI
}  // namespace sinter
