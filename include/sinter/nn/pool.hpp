// SPDX-License-Identifier: MIT
// Pooling layers. https://pytorch.org/docs/stable/nn.html#pooling-layers
#pragma once

#include "sinter/functional/pool.hpp"
#include "sinter/nn/module.hpp"

namespace sinter {
namespace nn {

using sinter::AvgPool2dOptions;
using sinter::MaxPool2dOptions;

inline namespace SINTER_ABI {

struct MaxPool2d : Module<MaxPool2d> {
  Pair kernel_size;
  MaxPool2dOptions options;
  explicit MaxPool2d(Pair kernel, MaxPool2dOptions o = {}) : kernel_size(kernel), options(o) {}
  template <class X>
  auto forward(const X& x) const { return max_pool2d(x, kernel_size, options); }
};

struct AvgPool2d : Module<AvgPool2d> {
  Pair kernel_size;
  AvgPool2dOptions options;
  explicit AvgPool2d(Pair kernel, AvgPool2dOptions o = {}) : kernel_size(kernel), options(o) {}
  template <class X>
  auto forward(const X& x) const { return avg_pool2d(x, kernel_size, options); }
};

struct AdaptiveAvgPool2d : Module<AdaptiveAvgPool2d> {
  Pair output_size;
  explicit AdaptiveAvgPool2d(Pair size) : output_size(size) {}
  template <class X>
  auto forward(const X& x) const { return adaptive_avg_pool2d(x, output_size); }
};

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
