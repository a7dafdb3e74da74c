// SPDX-License-Identifier: MIT
// Ops of three operands.
#include "conformance/elementwise.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  add("where", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      const auto m = c.padded<bool>(0);
      const auto x = c.padded<T>(1);
      if (c.has("self")) return Values{narrowed(where(m, c.number("self"), x), widest(c))};
      if (c.has("other")) return Values{narrowed(where(m, x, c.number("other")), widest(c))};
      return Values{narrowed(where(m, x, c.padded<T>(2)), widest(c))};
    });
  });
  add("lerp", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      if (c.has("weight")) return Values{narrowed(lerp(c.padded<T>(0), c.padded<T>(1), c.number("weight")), widest(c))};
      return Values{narrowed(lerp(c.padded<T>(0), c.padded<T>(1), c.padded<T>(2)), widest(c))};
    });
  });
  add("addcmul", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return Values{narrowed(addcmul(c.padded<T>(0), c.padded<T>(1), c.padded<T>(2), c.number("value", 1)), widest(c))};
    });
  });
  add("addcdiv", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return Values{narrowed(addcdiv(c.padded<T>(0), c.padded<T>(1), c.padded<T>(2), c.number("value", 1)), widest(c))};
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
