// SPDX-License-Identifier: MIT
// Dropout. https://pytorch.org/docs/stable/generated/torch.nn.Dropout.html
#pragma once

#include "sinter/functional/dropout.hpp"
#include "sinter/nn/module.hpp"

namespace sinter {
namespace nn {
inline namespace SINTER_ABI {

// In training zeroes elements with probability p; throws ValueError where p is not in [0, 1].
struct Dropout : Module<Dropout> {
  double p;
  explicit Dropout(double probability = 0.5) : p(probability) {
    if (!(p >= 0 && p <= 1)) fail<ValueError>("Dropout: the probability must be in [0, 1], but is ", p);
  }
  template <class X>
  auto forward(const X& x) const { return sinter::dropout(x, p, this->is_training()); }
};

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
