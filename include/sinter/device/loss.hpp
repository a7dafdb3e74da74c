// SPDX-License-Identifier: MIT
// The device's losses of class labels. Labels are in device memory and are checked by the kernels: one that is neither a class
// nor ignore_index makes its loss and its gradient NaN, and is reported as an IndexError where values next come to the host
// (device/index.hpp), not by the statement itself, which does not wait for the device.
#pragma once

#include "sinter/device/rows.hpp"

namespace sinter {

// How the losses of labels become a result: a number for each, their sum, or the sum by that of their weights.
enum class LossReduction : unsigned char { none, sum, mean };

// What cross entropy and nll read besides the logits. `weight`, float or double for double, may be null.
struct DeviceLabels {
  const std::int64_t* label;  // outer * inner
  const void* weight;         // n
  std::int64_t ignore;
  double smoothing;  // label_smoothing, of cross entropy
};

// -log_softmax(x)[label] and its like for label smoothing, reduced. In float, or double for double: top and log_sum, each row's
// greatest and the logarithm of the sum of exp(x - top); losses, scratch for a number for each label. totals: the sum of
// the labels' weights and that of the classes', as doubles. out: one element, or one for each label, of the logits' dtype.
struct CrossEntropyArgs {
  DType dtype;
  DeviceRows rows;
  const void* x;
  DeviceLabels labels;
  LossReduction reduction;
  void *top, *log_sum, *losses;
  double* totals;
  void* out;
};
inline DeviceKernel<void(const CrossEntropyArgs&)> cross_entropy_on_device{"cross_entropy"};
// dx from the logits and what forward left; dy is the gradient of `out`.
struct CrossEntropyBackwardArgs {
  DType dtype;
  DeviceRows rows;
  const void* x;
  DeviceLabels labels;
  LossReduction reduction;
  const void *top, *log_sum;
  const double* totals;
  const void* dy;
  void* dx;
};
inline DeviceKernel<void(const CrossEntropyBackwardArgs&)> cross_entropy_backward_on_device{"cross_entropy backward"};

// -weight[label] * x[label], reduced; x are log-probabilities, and top and log_sum are not used. Its backward writes all of dx.
inline DeviceKernel<void(const CrossEntropyArgs&)> nll_loss_on_device{"nll_loss"};
inline DeviceKernel<void(const CrossEntropyBackwardArgs&)> nll_loss_backward_on_device{"nll_loss backward"};

}  // namespace sinter
