// SPDX-License-Identifier: MIT
// Ops of one operand, second part.
#include "conformance/elementwise.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  unary("asin", [](const auto& x) { return asin(x); });
  unary("acos", [](const auto& x) { return acos(x); });
  unary("atan", [](const auto& x) { return atan(x); });
  unary("sinh", [](const auto& x) { return sinh(x); });
  unary("cosh", [](const auto& x) { return cosh(x); });
  unary("tanh", [](const auto& x) { return tanh(x); });
  unary("sigmoid", [](const auto& x) { return sigmoid(x); });
  unary("logsigmoid", [](const auto& x) { return logsigmoid(x); });
  unary("relu", [](const auto& x) { return relu(x); });
  unary("selu", [](const auto& x) { return selu(x); });
  unary("silu", [](const auto& x) { return silu(x); });
  unary("mish", [](const auto& x) { return mish(x); });
  return true;
}();

}  // namespace
}  // namespace conformance
