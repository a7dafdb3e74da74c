// SPDX-License-Identifier: MIT
// Chains of elementwise ops, each one fused kernel: first part.
#include "conformance/elementwise.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  chain<4>("chain.1", [](const auto& x, const auto& a, const auto& b, const auto& c) { return gelu(x * a + b) * c - tanh(x); });
  chain<2>("chain.2", [](const auto& x, const auto& y) { return sigmoid(x) * tanh(y) + x * y; });
  chain<2>("chain.3", [](const auto& x, const auto& a) { return (x + a) * (x - a) / (1 + x * x); });
  chain<3>("chain.4", [](const auto& x, const auto& a, const auto& c) { return exp(-square(x - a) / (2 * square(c) + 0.5)); });
  chain<2>("chain.5", [](const auto& x, const auto& y) { return softplus(x) * y - log1p(exp(-abs(y))); });
  chain<4>("chain.6", [](const auto& x, const auto& y, const auto& a, const auto& b) { return where(x > a, x * y, b * x - y); });
  chain<4>("chain.7", [](const auto& x, const auto& y, const auto& a, const auto& b) { return relu(x * a + b) + leaky_relu(y, 0.2) * x; });
  return true;
}();

}  // namespace
}  // namespace conformance
