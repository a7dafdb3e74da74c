// SPDX-License-Identifier: MIT
// Comparisons and logic.
#include "conformance/elementwise.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  binary<true>("eq", [](const auto& x, const auto& y) { return eq(x, y); });
  binary<true>("ne", [](const auto& x, const auto& y) { return ne(x, y); });
  binary<true>("lt", [](const auto& x, const auto& y) { return lt(x, y); });
  binary<true>("le", [](const auto& x, const auto& y) { return le(x, y); });
  binary<true>("gt", [](const auto& x, const auto& y) { return gt(x, y); });
  binary<true>("ge", [](const auto& x, const auto& y) { return ge(x, y); });
  add("logical_and", [](Case& c) { return Values{narrowed(logical_and(c.padded<bool>(0), c.padded<bool>(1)), widest(c))}; });
  add("logical_or", [](Case& c) { return Values{narrowed(logical_or(c.padded<bool>(0), c.padded<bool>(1)), widest(c))}; });
  add("logical_xor", [](Case& c) { return Values{narrowed(logical_xor(c.padded<bool>(0), c.padded<bool>(1)), widest(c))}; });
  return true;
}();

}  // namespace
}  // namespace conformance
