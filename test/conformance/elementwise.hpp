// SPDX-License-Identifier: MIT
// How elementwise ops of one to four operands are called: at rank 5, with numbers in place of operands.
#pragma once

#include <algorithm>

#include "conformance/case.hpp"

namespace conformance {

inline int widest(const Case& c) {
  int r = 0;
  for (const Value& v : c.inputs) r = std::max(r, v ? v->rank : 0);
  return r;
}

// f(x) or f(x, case) at the floating point dtype of the case.
template <class F>
void unary(const char* op, F f) {
  add(op, [f](Case& c) {
    return by_float(c, [&](auto t) {
      const auto x = c.padded<decltype(t)>(0);
      if constexpr (std::is_invocable_v<F, decltype(x), Case&>) return Values{narrowed(f(x, c), c.rank(0))};
      else return Values{narrowed(f(x), c.rank(0))};
    });
  });
}
// Also for integers.
template <class F>
void unary_number(const char* op, F f) {
  add(op, [f](Case& c) {
    return by_number(c, 0, [&](auto t) { return Values{narrowed(f(c.padded<decltype(t)>(0)), c.rank(0))}; });
  });
}
// f(x, y), where y may be the number `other`.
template <bool Integers, class F>
void binary(const char* op, F f, const char* other = "other") {
  add(op, [f, other](Case& c) {
    const auto call = [&](auto t) {
      using T = decltype(t);
      const auto x = c.padded<T>(0);
      if (!c.given(1)) return Values{narrowed(f(x, c.number(other)), c.rank(0))};
      return Values{narrowed(f(x, c.padded<T>(1)), widest(c))};
    };
    if constexpr (Integers) return by_number(c, 0, call);
    else return by_float(c, call);
  });
}

// A chain over x, y, a, b, c as they come.
template <int N, class F>
void chain(const char* op, F f) {
  add(op, [f](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      const auto in = [&](int i) { return c.padded<T>(i); };
      if constexpr (N == 1) return Values{narrowed(f(in(0)), widest(c))};
      else if constexpr (N == 2) return Values{narrowed(f(in(0), in(1)), widest(c))};
      else if constexpr (N == 3) return Values{narrowed(f(in(0), in(1), in(2)), widest(c))};
      else return Values{narrowed(f(in(0), in(1), in(2), in(3)), widest(c))};
    });
  });
}

}  // namespace conformance
