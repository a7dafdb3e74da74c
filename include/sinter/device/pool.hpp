// SPDX-License-Identifier: MIT
// The device's pooling of planes (planes, height, width) to (planes, out_h, out_w). Backward gathers by the windows that cover
// an element, in a fixed order: nothing is added by atomics.
#pragma once

#include "sinter/core/backend.hpp"
#include "sinter/core/dtype.hpp"

namespace sinter {

// Windows along one dimension: they slide, or (kernel 0) divide the extent as evenly as possible. As functional/pool.hpp's Spans.
struct DeviceWindows {
  std::int64_t count, extent, kernel, stride, padding, dilation;
};
struct DevicePooling {
  std::int64_t planes;
  DeviceWindows rows, columns;
};

// y: the greatest of each window, NaN above all; place: where it is in its plane, int32.
struct MaxPoolArgs {
  DType dtype;
  DevicePooling shape;
  const void* x;
  void* y;
  std::int32_t* place;
};
inline DeviceKernel<void(const MaxPoolArgs&)> max_pool_on_device{"max_pool2d"};
// dx[i] is the sum of dy over the windows whose greatest is i. Its adjoint reads x at the windows' places.
struct MaxPoolBackwardArgs {
  DType dtype;
  DevicePooling shape;
  const void* dy;
  const std::int32_t* place;
  void* dx;
};
inline DeviceKernel<void(const MaxPoolBackwardArgs&)> max_pool_backward_on_device{"max_pool2d backward"};
struct PickPlacesArgs {
  DType dtype;
  DevicePooling shape;
  const void* x;
  const std::int32_t* place;
  void* y;
};
inline DeviceKernel<void(const PickPlacesArgs&)> pick_places_on_device{"max_pool2d"};

// Means of windows, of their elements or (with_padding) of their places with the padding; and the gradient: x is dy, y is dx.
struct AvgPoolArgs {
  DType dtype;
  DevicePooling shape;
  bool with_padding;
  const void* x;
  void* y;
};
inline DeviceKernel<void(const AvgPoolArgs&)> avg_pool_on_device{"avg_pool2d"};
inline DeviceKernel<void(const AvgPoolArgs&)> avg_pool_backward_on_device{"avg_pool2d backward"};

}  // namespace sinter
