// SPDX-License-Identifier: MIT
// Chains of elementwise ops, each one fused kernel: second part.
#include "conformance/elementwise.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  chain<2>("chain.8", [](const auto& x, const auto& y) { return sqrt(square(x) + square(y) + 1) * silu(x - y); });
  chain<3>("chain.9", [](const auto& x, const auto& y, const auto& b) { return x * x * x - 2 * x * y + b; });
  chain<4>("chain.10", [](const auto& x, const auto& y, const auto& a, const auto& b) { return maximum(x, a) * minimum(y, b) + clamp(x * y, -1, 1); });
  chain<3>("chain.11", [](const auto& x, const auto& y, const auto& a) { return tanh(tanh(tanh(x * a) + y) + x); });
  chain<2>("chain.12", [](const auto& x, const auto& y) { return atan2(x, square(y) + 1) + pow(abs(x) + 0.5, y); });
  chain<3>("chain.13", [](const auto& x, const auto& y, const auto& c) { return lerp(x, y, sigmoid(c)) * erf(x); });
  chain<1>("chain.14", [](const auto& x) { return (x + x) * (x + x) - sin(x) * cos(x); });
  return true;
}();

}  // namespace
}  // namespace conformance
