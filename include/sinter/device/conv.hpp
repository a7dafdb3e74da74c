// SPDX-License-Identifier: MIT
// Convolution on a device, in dense memory: images (count, groups * in, height, width), weights (groups * out, in, kernel_h,
// kernel_w), results (count, groups * out, out_h, out_w).
#pragma once

#include <cstdint>
#include <cstdlib>

#include "sinter/core/backend.hpp"
#include "sinter/core/dtype.hpp"

namespace sinter {

// Which of y = x * w and its two gradients is computed, from which two.
enum class ConvPass : std::uint8_t { result, image, weight };  // y of (x, w); dx of (dy, w); dw of (x, dy)

struct ConvArgs {
  ConvPass pass;
  DType dtype;  // a floating one; float16 and bfloat16 are summed in float
  std::int64_t count, groups, in, out;  // `in` and `out`: channels of one group
  std::int64_t height, width, kernel_h, kernel_w, stride_h, stride_w;
  std::int64_t pad_h, pad_w;  // above and on the left; out_h and out_w tell what there is on the other sides
  std::int64_t dilation_h, dilation_w, out_h, out_w;
  const void *a, *b;   // the two operands, in the order above
  const void* bias;    // (groups * out) added to y, or null
  void* to;

  std::int64_t x_numel() const { return count * groups * in * height * width; }
  std::int64_t y_numel() const { return count * groups * out * out_h * out_w; }
  std::int64_t w_numel() const { return groups * out * in * kernel_h * kernel_w; }
};

// This project's kernels take every problem; sums are in an order that depends on the shapes alone.
inline DeviceKernel<void(const ConvArgs&)> conv_on_device{"conv2d"};
// cuDNN, in programs that have it: false where it has no deterministic algorithm for the problem.
inline DeviceKernel<bool(const ConvArgs&)> cudnn_conv_on_device{"conv2d"};

namespace cuda {
// Whether convolutions go to cuDNN where the program has it. The environment's SINTER_CUDNN=0 says no.
inline bool allow_cudnn = [] {
  const char* set = std::getenv("SINTER_CUDNN");
  return !set || set[0] != '0';
}();
}  // namespace cuda

inline void convolve_on_device(const ConvArgs& a) {
  if (cuda::allow_cudnn && cudnn_conv_on_device && cudnn_conv_on_device(a)) return;
  conv_on_device(a);
}

}  // namespace sinter
