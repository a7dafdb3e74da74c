// SPDX-License-Identifier: MIT
// Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019).
// https://pytorch.org/docs/stable/generated/torch.optim.AdamW.html
#pragma once

#include "sinter/optim/adam.hpp"

namespace sinter {
namespace optim {

// Weight decay shrinks the parameter by lr * weight_decay before the step.
struct AdamWKind {
  static constexpr const char* name = "AdamW";
  static constexpr double weight_decay = 0.01;
  static constexpr bool decoupled = true;
};
using AdamWOptions = AdamFamilyOptions<AdamWKind>;
using AdamW = AdamFamily<AdamWKind>;

}  // namespace optim
}  // namespace sinter
