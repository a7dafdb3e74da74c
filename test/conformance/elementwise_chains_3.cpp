// SPDX-License-Identifier: MIT
// Chains of elementwise ops, each one fused kernel: third part.
#include "conformance/elementwise.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  chain<3>("chain.15", [](const auto& x, const auto& y, const auto& c) { return addcmul(x, y, c, 0.5) / (2 + cos(x)); });
  chain<3>("chain.16", [](const auto& x, const auto& y, const auto& b) { return mish(x) + elu(y) * hardswish(x + b); });
  chain<2>("chain.17", [](const auto& x, const auto& y) { return -x / (abs(x) + 1) + rsqrt(square(y) + 0.1); });
  chain<4>("chain.18", [](const auto& x, const auto& a, const auto& b, const auto& c) { return (x * c + a) * (x * c + a) * b + c; });
  chain<3>("chain.19", [](const auto& a, const auto& b, const auto& c) { return a * b + c; });
  chain<4>("chain.20", [](const auto& x, const auto& y, const auto& a, const auto& b) { return x - 1 + 3 / (square(x) + 2) - 0.5 * (1 - sigmoid(y * b)) * a; });
  return true;
}();

}  // namespace
}  // namespace conformance
