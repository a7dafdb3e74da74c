// SPDX-License-Identifier: MIT
// The weights of attention as a tensor of their own, for those who want to see them or a gradient of the mask.
#pragma once

#include <optional>

#include "sinter/functional/matmul.hpp"
#include "sinter/functional/softmax.hpp"

namespace sinter {

// PyTorch's keyword arguments and defaults; scale is 1 / sqrt(head width) unless given.
struct SDPAOptions {
  double dropout_p_ = 0;
  bool is_causal_ = false, enable_gqa_ = false;
  std::optional<double> scale_;
  SDPAOptions& dropout_p(double p) { return dropout_p_ = p, *this; }
  SDPAOptions& is_causal(bool c) { return is_causal_ = c, *this; }
  SDPAOptions& enable_gqa(bool g) { return enable_gqa_ = g, *this; }
  SDPAOptions& scale(double s) { return scale_ = s, *this; }
};

inline namespace SINTER_ABI {

// softmax(q @ k^T * scale + mask): q (..., T, E), k (..., S, E), mask broadcast to (..., T, S) or undefined -> (..., T, S). A
// query whose scores are all -inf has weights of 0.
template <class T, int R, int RM>
Tensor<T, R> attention_weights(const Tensor<T, R>& q, const Tensor<T, R>& k, const Tensor<T, RM>& mask, const SDPAOptions& o = {}) {
  static_assert(RM <= R, "sinter: attention_weights() takes a mask of at most the query's rank");
  const std::int64_t targets = q.size(-2), sources = k.size(-2), width = q.size(-1);
  const T scale = T(o.scale_ ? *o.scale_ : width == 0 ? 1 : 1 / std::sqrt(double(width)));
  Tensor<T, 2> later;  // what is added for is_causal
  if (o.is_causal_) {
    later = Tensor<T, 2>(TensorImpl::empty(dtype_of<T>(), Shape{targets, sources}));
    for (std::int64_t i = 0; i < targets; ++i)
      for (std::int64_t j = 0; j < sources; ++j) later.data()[i * sources + j] = j > i ? T(-std::numeric_limits<compute_t<T>>::infinity()) : T(0);
    later = later.to(q.device());
  }
  const Tensor<T, R> scores(matmul(q, transpose(k, -2, -1)) * scale);
  if (!mask.defined() && !later.defined()) return softmax(scores, -1);
  Tensor<T, R> masked = scores;
  if (mask.defined()) masked = Tensor<T, R>(masked + mask);
  if (later.defined()) masked = Tensor<T, R>(masked + later);
  if (masked.shape() != scores.shape())
    fail<ShapeError>("attention_weights: a mask of shape ", mask.shape(), " does not broadcast to the scores ", scores.shape());
  if (masked.numel() == 0) return softmax(masked, -1);
  const Tensor<bool, R> seen = no_grad([&] { return Tensor<bool, R>(amax(masked, -1, keepdim) != -std::numeric_limits<T>::infinity()); });
  return Tensor<T, R>(where(seen, softmax(Tensor<T, R>(where(seen, masked, T(0))), -1), T(0)));
}

}  // namespace SINTER_ABI
}  // namespace sinter
