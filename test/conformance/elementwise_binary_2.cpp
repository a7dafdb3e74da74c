// SPDX-License-Identifier: MIT
// Functions of two operands.
#include "conformance/elementwise.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  binary<true>("maximum", [](const auto& x, const auto& y) { return maximum(x, y); });
  binary<true>("minimum", [](const auto& x, const auto& y) { return minimum(x, y); });
  binary<false>("atan2", [](const auto& x, const auto& y) { return atan2(x, y); });
  binary<false>("pow", [](const auto& x, const auto& y) { return pow(x, y); }, "exponent");
  const Function general = *find("pow");
  add("pow", [general](Case& c) {
    if (!c.has("self")) return general(c);
    return by_float(c, [&](auto t) { return Values{narrowed(pow(c.number("self"), c.padded<decltype(t)>(0)), c.rank(0))}; });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
