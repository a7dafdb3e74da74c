// SPDX-License-Identifier: MIT
// Ops of one operand with parameters, and those that take integers.
#include "conformance/elementwise.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  unary_number("abs", [](const auto& x) { return abs(x); });
  unary_number("neg", [](const auto& x) { return neg(x); });
  unary_number("sign", [](const auto& x) { return sign(x); });
  unary("leaky_relu", [](const auto& x, Case& c) { return leaky_relu(x, c.number("negative_slope", 0.01)); });
  unary("elu", [](const auto& x, Case& c) { return elu(x, c.number("alpha", 1)); });
  unary("celu", [](const auto& x, Case& c) { return celu(x, c.number("alpha", 1)); });
  unary("softplus", [](const auto& x, Case& c) { return softplus(x, c.number("beta", 1), c.number("threshold", 20)); });
  unary("hardtanh", [](const auto& x, Case& c) { return hardtanh(x, c.number("min_val", -1), c.number("max_val", 1)); });
  unary("clamp", [](const auto& x, Case& c) { return clamp(x, c.number("min", -INFINITY), c.number("max", INFINITY)); });
  unary("gelu", [](const auto& x, Case& c) {
    return c.text("approximate", "none") == "tanh" ? eval(gelu_tanh(x)) : eval(gelu(x));
  });
  add("logical_not", [](Case& c) { return Values{narrowed(logical_not(c.padded<bool>(0)), c.rank(0))}; });
  return true;
}();

}  // namespace
}  // namespace conformance
