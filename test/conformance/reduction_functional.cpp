// SPDX-License-Identifier: MIT
// max and min with indices, norms, running sums, and what is made of norms.
#include "sinter/functional/reduce.hpp"
#include "sinter/functional/scan.hpp"

#include "conformance/elementwise.hpp"
#include "conformance/reduction.hpp"

namespace conformance {
namespace {

template <bool Greatest>
void extreme(const char* op) {
  add(op, [](Case& c) {
    return by_number(c, 0, [&](auto t) {
      const auto x = c.padded<decltype(t)>(0);
      if (!c.has("dim")) {
        if constexpr (Greatest) return Values{eval(max(x)).impl};
        else return Values{eval(min(x)).impl};
      } else {
        const auto r = [&] {
          if constexpr (Greatest) return max(x, dim_of(c), keepdim);
          else return min(x, dim_of(c), keepdim);
        }();
        const unsigned mask = dims_of(c);
        return Values{without(r.values.impl, c, mask), without(r.indices.impl, c, mask)};
      }
    });
  });
}

const bool registered = [] {
  extreme<true>("max");
  extreme<false>("min");
  add("norm", [](Case& c) {
    return by_float(c, [&](auto t) {
      const unsigned mask = dims_of(c);
      const auto x = c.padded<decltype(t)>(0);
      return Values{without(eval(Norm::apply(x, Axes<1, true>{mask}, c.number("p", 2))).impl, c, mask)};
    });
  });
  add("cumsum", [](Case& c) {
    return by_number(c, 0, [&](auto t) { return Values{narrowed(cumsum(c.padded<decltype(t)>(0), dim_of(c)), c.rank(0))}; });
  });
  add("cumprod", [](Case& c) {
    return by_float(c, [&](auto t) { return Values{narrowed(cumprod(c.padded<decltype(t)>(0), dim_of(c)), c.rank(0))}; });
  });
  add("cosine_similarity", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return by_rank<1, 4>(widest(c), [&](auto r) {
        return Values{eval(cosine_similarity(c.padded<T, r.value>(0), c.padded<T, r.value>(1), c.integer("dim", 1), c.number("eps", 1e-8))).impl};
      });
    });
  });
  add("normalize", [](Case& c) {
    return by_float(c, [&](auto t) {
      return by_rank<1, 4>(c.rank(0), [&](auto r) {
        return Values{eval(normalize(c.in<decltype(t), r.value>(0), c.number("p", 2), c.integer("dim", 1), c.number("eps", 1e-12))).impl};
      });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
