// SPDX-License-Identifier: MIT
// Ops of one operand, third part.
#include "conformance/elementwise.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  unary("hardsigmoid", [](const auto& x) { return hardsigmoid(x); });
  unary("hardswish", [](const auto& x) { return hardswish(x); });
  unary("relu6", [](const auto& x) { return relu6(x); });
  unary("erf", [](const auto& x) { return erf(x); });
  unary("erfc", [](const auto& x) { return erfc(x); });
  unary("floor", [](const auto& x) { return floor(x); });
  unary("ceil", [](const auto& x) { return ceil(x); });
  unary("round", [](const auto& x) { return round(x); });
  unary("trunc", [](const auto& x) { return trunc(x); });
  unary("isnan", [](const auto& x) { return isnan(x); });
  unary("isinf", [](const auto& x) { return isinf(x); });
  unary("isfinite", [](const auto& x) { return isfinite(x); });
  return true;
}();

}  // namespace
}  // namespace conformance
