// SPDX-License-Identifier: MIT
#pragma once

#include "sinter/functional/linear.hpp"
#include "sinter/nn/init.hpp"
#include "sinter/nn/module.hpp"

namespace sinter {
namespace nn {

// x (..., in) -> x @ weight^T + bias (..., out). https://pytorch.org/docs/stable/generated/torch.nn.Linear.html
template <class T>
struct LinearOf : Module<LinearOf<T>> {
  Parameter<T, 2> weight;  // (out, in)
  Parameter<T, 1> bias;    // (out), or undefined

  LinearOf(std::int64_t in_features, std::int64_t out_features, bool with_bias = true) {
    weight = empty<T>(Shape{out_features, in_features});
    if (with_bias) bias = empty<T>(Shape{out_features});
    init::linear_defaults_(weight, bias);
  }
  template <class V>
  void visit(V&& v) {
    v("weight", weight);
    v("bias", bias);
  }
  template <class X>
  auto forward(const X& x) const { return linear(x, weight, bias); }
};
using Linear = LinearOf<float>;

}  // namespace nn
}  // namespace sinter
