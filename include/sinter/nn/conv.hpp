// SPDX-License-Identifier: MIT
// Convolution over images. https://pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
#pragma once

#include "sinter/functional/conv.hpp"
#include "sinter/nn/init.hpp"
#include "sinter/nn/module.hpp"

namespace sinter {
namespace nn {

using sinter::Conv2dOptions;  // with .bias(false) for a layer without one

inline namespace SINTER_ABI {

// x (N, in, H, W) -> (N, out, H2, W2): Conv2d(1, 32, 3, Conv2dOptions().padding(1)). Throws ValueError where the groups do
// not divide the channels.
template <class T>
struct Conv2dOf : Module<Conv2dOf<T>> {
  Parameter<T, 4> weight;  // (out, in / groups, kh, kw)
  Parameter<T, 1> bias;    // (out)
  Conv2dOptions options;

  Conv2dOf(std::int64_t in_channels, std::int64_t out_channels, Pair kernel_size, Conv2dOptions o = {}) : options(o) {
    o.check("Conv2d");
    check_at_least("Conv2d", "kernel_size", kernel_size, 1);
    if (in_channels % o.groups_ != 0) fail<ValueError>("Conv2d: in_channels ", in_channels, " is not divisible by ", o.groups_, " groups");
    if (out_channels % o.groups_ != 0) fail<ValueError>("Conv2d: out_channels ", out_channels, " is not divisible by ", o.groups_, " groups");
    weight = empty<T>(Shape{out_channels, in_channels / o.groups_, kernel_size.h, kernel_size.w});
    if (o.bias_) bias = empty<T>(Shape{out_channels});
    init::linear_defaults_(weight, bias);
  }
  template <class V>
  void visit(V&& v) {
    v("weight", weight);
    v("bias", bias);
  }
  template <class X>
  auto forward(const X& x) const { return sinter::conv2d(x, weight, bias, options); }
};
using Conv2d = Conv2dOf<float>;

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
