// SPDX-License-Identifier: MIT
// Entry points of attention on a device. Operands are read and written as they lie, by strides of batch, head, row and
// column in elements, so that parts of a packed projection need no copy.
#pragma once

#include <cstdint>

#include "sinter/device/random.hpp"

namespace sinter {

// (batch, heads, length, width); no data: not given.
struct DeviceHeads {
  void* data = nullptr;
  std::int64_t step[4] = {};
};

// out = dropout(softmax(q @ k^T * scale + bias)) @ v, row by row of q.
struct AttentionArgs {
  DType dtype = DType::float32;  // of all operands but `allowed`; float32, float64, bfloat16 or float16
  std::int64_t batch = 0, heads = 0, kv_heads = 0, targets = 0, sources = 0, width = 0, value_width = 0;
  double scale = 1;
  bool causal = false;         // query i sees keys 0 to i
  DeviceHeads q, k, v;         // heads / kv_heads heads of q share one of k and v
  DeviceHeads allowed, bias;   // (batch, heads, targets, sources), steps of 0 where broadcast: bool, true may attend; added
  DeviceHeads out;
  void* log_sum = nullptr;     // (batch, heads, targets), dense: log(sum(exp(scores))), +inf of a query that sees no key;
                               // float, or double where dtype is. Null: not wanted
  double dropout = 0;          // as on the CPU: four neighbouring keys of a query share a counter of `random`
  RandomStream random = {};
};

// What arrives, and where gradients go; one that is not wanted has no data. `forward` has out and log_sum.
struct AttentionGradientArgs {
  AttentionArgs forward;
  DeviceHeads up, dq, dk, dv;
};

inline constexpr std::int64_t device_attention_width = 256;  // the widest head

inline DeviceKernel<void(const AttentionArgs&)> attention_on_device{"scaled_dot_product_attention"};
inline DeviceKernel<void(const AttentionGradientArgs&)> attention_backward_on_device{"scaled_dot_product_attention, backward"};

// The same by tensor cores, for those problems that they can take: 16-bit dtypes, heads up to 128 wide, rows of whole 16-byte
// words. The entry points above choose; false: nothing was done.
inline DeviceKernel<bool(const AttentionArgs&)> flash_attention_on_device{"flash_attention"};
inline DeviceKernel<bool(const AttentionGradientArgs&)> flash_attention_backward_on_device{"flash_attention, backward"};

}  // namespace sinter
