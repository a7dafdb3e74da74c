// SPDX-License-Identifier: MIT
// The device's softmax along a dimension of a dense tensor: element k of row (o, i) is at (o * n + k) * inner + i.
#pragma once

#include "sinter/core/backend.hpp"
#include "sinter/core/dtype.hpp"

namespace sinter {

struct DeviceRows {
  std::int64_t outer = 1, n = 1, inner = 1;
};

// y = softmax(x), or its logarithm. float, double, bfloat16, half; sums and exponentials in float, or double for double.
struct SoftmaxArgs {
  DType dtype;
  bool log;
  DeviceRows rows;
  const void* x;
  void* y;
};
inline DeviceKernel<void(const SoftmaxArgs&)> softmax_on_device{"softmax"};

// dx = y * (dy - sum(dy * y)), or dy - exp(y) * sum(dy) for the logarithm.
struct SoftmaxBackwardArgs {
  DType dtype;
  bool log;
  DeviceRows rows;
  const void *y, *dy;
  void* dx;
};
inline DeviceKernel<void(const SoftmaxBackwardArgs&)> softmax_backward_on_device{"softmax backward"};

}  // namespace sinter
