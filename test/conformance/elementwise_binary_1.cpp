// SPDX-License-Identifier: MIT
// Arithmetic of two operands, of integers and of integers with floating point.
#include "conformance/elementwise.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  for (const bool plus : {true, false})
    add(plus ? "add" : "sub", [plus](Case& c) {
      if (c.given(1) && c.dtype(0) != c.dtype(1))  // promotes
        return Values{narrowed(plus ? eval(add(c.padded<std::int64_t>(0), c.padded<float>(1))) : eval(sub(c.padded<std::int64_t>(0), c.padded<float>(1))), widest(c))};
      return by_number(c, 0, [&](auto t) {
        using T = decltype(t);
        const auto x = c.padded<T>(0);
        if (!c.given(1)) {
          const double other = c.number("other"), alpha = c.number("alpha", 1);
          if constexpr (std::is_integral_v<T>) fail<Error>("the runner has no instance for integers and a number");
          else return Values{narrowed(plus ? eval(add(x, other, alpha)) : eval(sub(x, other, alpha)), widest(c))};
        }
        const auto y = c.padded<T>(1);
        if constexpr (!std::is_integral_v<T>)
          if (c.has("alpha")) {
            const double alpha = c.number("alpha");
            return Values{narrowed(plus ? eval(add(x, y, alpha)) : eval(sub(x, y, alpha)), widest(c))};
          }
        return Values{narrowed(plus ? eval(add(x, y)) : eval(sub(x, y)), widest(c))};
      });
    });
  binary<false>("rsub", [](const auto& x, const auto& y) { return y - x; });
  add("mul", [](Case& c) {
    if (c.given(1) && c.dtype(0) != c.dtype(1))
      return Values{narrowed(mul(c.padded<std::int64_t>(0), c.padded<float>(1)), widest(c))};
    return by_number(c, 0, [&](auto t) {
      using T = decltype(t);
      if (!c.given(1)) return Values{narrowed(mul(c.padded<T>(0), c.number("other")), widest(c))};
      return Values{narrowed(mul(c.padded<T>(0), c.padded<T>(1)), widest(c))};
    });
  });
  add("div", [](Case& c) {
    const std::string mode = c.text("rounding_mode", "");
    return by_number(c, 0, [&](auto t) {
      using T = decltype(t);
      const auto x = c.padded<T>(0);
      const auto by = [&](const auto& y) {
        if (mode == "trunc") return narrowed(div_trunc(x, y), widest(c));
        if (mode == "floor") return narrowed(div_floor(x, y), widest(c));
        return narrowed(div(x, y), widest(c));
      };
      return Values{c.given(1) ? by(c.padded<T>(1)) : by(c.number("other"))};
    });
  });
  binary<true>("fmod", [](const auto& x, const auto& y) { return fmod(x, y); });
  binary<true>("remainder", [](const auto& x, const auto& y) { return remainder(x, y); });
  return true;
}();

}  // namespace
}  // namespace conformance
