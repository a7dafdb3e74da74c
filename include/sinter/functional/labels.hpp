// SPDX-License-Identifier: MIT
// Class labels of cross_entropy and nll_loss: their options, and the checks before anything is computed.
#pragma once

#include <vector>

#include "sinter/autograd/function.hpp"
#include "sinter/functional/loss_reduction.hpp"
#include "sinter/functional/rows.hpp"

namespace sinter {

// Labels equal to ignore_index count for nothing. An absent weight is Nothing or an undefined tensor.
template <class Weight = Nothing>
struct CrossEntropyOptions {
  Weight weight_{};
  std::int64_t ignore_index_ = -100;
  double label_smoothing_ = 0;

  // A factor for each class, (C).
  template <class T>
  CrossEntropyOptions<Tensor<T, 1>> weight(const Tensor<T, 1>& w) const { return {w, ignore_index_, label_smoothing_}; }
  CrossEntropyOptions& ignore_index(std::int64_t i) { return ignore_index_ = i, *this; }
  CrossEntropyOptions& label_smoothing(double s) { return label_smoothing_ = s, *this; }
};
template <class Weight = Nothing>
struct NLLOptions {
  Weight weight_{};
  std::int64_t ignore_index_ = -100;

  template <class T>
  NLLOptions<Tensor<T, 1>> weight(const Tensor<T, 1>& w) const { return {w, ignore_index_}; }
  NLLOptions& ignore_index(std::int64_t i) { return ignore_index_ = i, *this; }
};

inline namespace SINTER_ABI {

// The classes of (C), (N, C) or (N, C, d...) lie along dimension 0 or 1.
template <int R>
inline constexpr int class_dim = R == 1 ? 0 : 1;

template <class T, class Weight>
Tensor<T, 1> class_weights(const char* op, const Weight& w, std::int64_t classes) {
  if constexpr (std::is_same_v<Weight, Nothing>) {
    return {};
  } else {
    static_assert(std::is_same_v<Weight, Tensor<T, 1>>, "sinter: the classes' weight is a tensor of rank 1 with the logits' dtype, or float where that has 16 bits");
    if (w.defined() && w.size(0) != classes)
      fail<ShapeError>(op, ": ", w.size(0), " weights for ", classes, " classes (axis 0 of the weight, axis ", 1, " of the logits)");
    return w.defined() ? no_grad([&] { return w.detach().contiguous(); }) : w;
  }
}

// Targets as int64, checked against logits of shape `sizes`: their shape and, on the CPU, that each is a class or `ignore`.
template <int R, class E>
Tensor<std::int64_t, R - 1> checked_labels(const char* op, const Shape<R>& sizes, const E& target, std::int64_t ignore) {
  static_assert(E::rank == R - 1, "sinter: class labels have the shape of the logits without the class dimension: (N, C, d...) "
                                  "takes (N, d...)");
  const Shape<R - 1> wanted = without(sizes, class_dim<R>);
  const Shape<R - 1> shape = target.shape();
  for (int i = 0; i < R - 1; ++i)
    if (shape[i] != wanted[i])
      fail<ShapeError>(op, ": logits ", sizes, " x labels ", shape, ": ", sizes[i + (i >= class_dim<R>)], " against ", shape[i], " (axis ",
                       i + (i >= class_dim<R>), " of the logits, axis ", i, " of the labels)");
  Tensor<std::int64_t, R - 1> labels = [&] {
    if constexpr (std::is_same_v<typename E::value_type, std::int64_t>) return materialize(target);
    else return materialize(to<std::int64_t>(target));
  }();
  labels = labels.contiguous();
  if (labels.device().is_cuda()) return labels;  // the kernels check them: device/loss.hpp
  const std::int64_t classes = sizes[class_dim<R>], n = labels.numel();
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t y = labels.data()[i];
    if (y != ignore && (y < 0 || y >= classes)) {
      Shape<R - 1> at;
      std::int64_t rest = i;
      for (int d = R - 2; d >= 0; --d) at[d] = rest % shape[d], rest /= shape[d];
      fail<IndexError>(op, ": label ", y, " at ", at, " is not a class, there are ", classes);
    }
  }
  return labels;
}

// The weights of all labels that count, by which reduction::mean divides.
template <class T, int R>
double weight_of_labels(const Tensor<std::int64_t, R>& labels, const Tensor<T, 1>& weight, std::int64_t ignore) {
  double total = 0;
  const T* w = weight.defined() ? weight.data() : nullptr;
  for (std::int64_t i = 0, n = labels.numel(); i < n; ++i)
    if (const std::int64_t y = labels.data()[i]; y != ignore) total += w ? double(w[y]) : 1.0;
  return total;
}

template <class T, int R>
Device label_device(const char* op, const Tensor<T, R>& logits, const Tensor<std::int64_t, R - 1>& labels, const Tensor<compute_t<T>, 1>& weight) {
  return weight.defined() ? shared_device(op, logits, labels, weight) : shared_device(op, logits, labels);
}

// Losses of single labels, reduced as the tag says; `scale` is what reduction::mean multiplies by.
template <reduction::Kind K, class T, int R>
auto reduce_losses(reduction::Tag<K>, const Tensor<T, R>& losses, double scale) {
  static_assert(K != reduction::Kind::batchmean, "sinter: reduction::batchmean is for kl_div() only");
  if constexpr (K == reduction::Kind::none) {
    return losses;
  } else {
    double total = 0;
    for (std::int64_t i = 0, n = losses.numel(); i < n; ++i) total += double(losses.data()[i]);
    Tensor<T, 0> out(TensorImpl::empty(dtype_of<T>(), Shape<0>{}));
    *out.data() = T(K == reduction::Kind::mean ? total * scale : total);
    return out;
  }
}
// The gradient of label r's loss.
template <reduction::Kind K, class T, int R>
T loss_gradient(const Tensor<T, R>& grad, std::int64_t r, double scale) {
  if constexpr (K == reduction::Kind::none) return grad.data()[r];
  else return T(double(*grad.data()) * (K == reduction::Kind::mean ? scale : 1.0));
}

}  // namespace SINTER_ABI
}  // namespace sinter
