// SPDX-License-Identifier: MIT
// The device's normalisations: of rows (layer_norm, rms_norm, and group_norm by its groups) and of channels (batch_norm).
// Statistics are float, or double for double; parameters have the dtype of x.
#pragma once

#include "sinter/core/backend.hpp"
#include "sinter/core/dtype.hpp"

namespace sinter {

// y = (x - mean) * rstd * weight + bias over the n elements of each row, rstd = 1 / sqrt(var + eps); without `centered`
// y = x / sqrt(mean(x^2) + eps) * weight. weight and bias (n) may be null, mean and rstd (rows) are written; mean is null
// where not centered.
struct RowNormArgs {
  const char* op;
  DType dtype;
  bool centered;
  std::int64_t rows, n;
  double eps;
  const void *x, *weight, *bias;
  void *y, *mean, *rstd;
};
inline DeviceKernel<void(const RowNormArgs&)> row_norm_on_device{"layer_norm"};

// dx, dweight and dbias, each of which may be null where no one wants it. The same to the bit every time: the rows' shares of
// dweight and dbias are summed in an order that depends on the shape only.
struct RowNormBackwardArgs {
  const char* op;
  DType dtype;
  bool centered;
  std::int64_t rows, n;
  const void *x, *weight, *mean, *rstd, *dy;
  void *dx, *dweight, *dbias;
};
inline DeviceKernel<void(const RowNormBackwardArgs&)> row_norm_backward_on_device{"layer_norm backward"};

// x is (batch, channels, inner).
struct DeviceChannels {
  std::int64_t batch, channels, inner;
};

// Of each channel, in training: mean and scale = 1 / sqrt(var + eps) of x, and the running mean and unbiased variance (which
// may be null) moved towards the batch's by `momentum`. Outside of it mean and scale are the running ones'.
struct ChannelMomentsArgs {
  DType dtype;
  DeviceChannels shape;
  bool training;
  double eps, momentum;
  const void* x;
  void *running_mean, *running_var;
  void *mean, *scale;
};
inline DeviceKernel<void(const ChannelMomentsArgs&)> channel_moments_on_device{"batch_norm"};

// y = (x - mean) * scale * weight + bias; weight and bias may be null.
struct ChannelNormArgs {
  DType dtype;
  DeviceChannels shape;
  const void *x, *mean, *scale, *weight, *bias;
  void* y;
};
inline DeviceKernel<void(const ChannelNormArgs&)> channel_norm_on_device{"batch_norm"};

// Its gradients. `moments`: mean and scale came from x itself. dx may be null; dweight and dbias are written.
struct ChannelNormBackwardArgs {
  DType dtype;
  DeviceChannels shape;
  bool moments;
  const void *x, *mean, *scale, *weight, *dy;
  void *dx, *dweight, *dbias;
};
inline DeviceKernel<void(const ChannelNormBackwardArgs&)> channel_norm_backward_on_device{"batch_norm backward"};

}  // namespace sinter
