// SPDX-License-Identifier: MIT
#pragma once

#include "sinter/nn/module.hpp"
#include "sinter/tensor/view.hpp"

namespace sinter {
namespace nn {

// All dimensions but the first become one; FlattenDims<Start, End> names others. (Template arguments, for they decide the
// result's rank.) https://pytorch.org/docs/stable/generated/torch.nn.Flatten.html
template <int Start, int End>
struct FlattenDims : Module<FlattenDims<Start, End>> {
  template <class X>
  auto forward(const X& x) const { return flatten<Start, End>(x); }
};
using Flatten = FlattenDims<1, -1>;

}  // namespace nn
}  // namespace sinter
