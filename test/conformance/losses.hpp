// SPDX-License-Identifier: MIT
// The attribute `reduction` as the library's tag, which is a type.
#pragma once

#include "sinter/expr/reductions.hpp"
#include "sinter/functional/loss_reduction.hpp"

#include "conformance/elementwise.hpp"

namespace conformance {

// f(tag). A name that is no reduction can't be written in a program, and is refused here in the library's place.
template <class F>
auto by_reduction(const Case& c, F f) {
  const std::string name = c.text("reduction", "mean");
  if (name == "mean") return f(reduction::mean);
  if (name == "sum") return f(reduction::sum);
  if (name != "none") fail<ValueError>(c.op, ": there is no reduction ", name);
  return f(reduction::none);
}

// f(T(), tag) gives an expression at rank 5; the result has the rank of the inputs, or none.
template <class F>
Values loss_at(Case& c, F f) {
  return by_float(c, [&](auto t) {
    return by_reduction(c, [&](auto r) {
      const auto e = eval(f(t, r));
      return Values{e.rank == 0 ? e.impl : with_rank(e.impl, widest(c))};
    });
  });
}
// f(input, target, tag, case).
template <class F>
void loss(const char* op, F f) {
  add(op, [f](Case& c) {
    return loss_at(c, [&](auto t, auto r) {
      using T = decltype(t);
      return f(c.padded<T>(0), c.padded<T>(1), r, c);
    });
  });
}

}  // namespace conformance
