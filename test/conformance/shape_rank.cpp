// SPDX-License-Identifier: MIT
// Shape ops whose attributes decide the result's rank.
#include "conformance/case.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  add("flatten", [](Case& c) {
    return by_float(c, [&](auto t) {
      return by_rank<0, 5>(c.rank(0), [&](auto r) {
        constexpr int R = r.value;
        const auto x = c.in<decltype(t), R>(0);
        if constexpr (R == 0) {
          return Values{materialize(flatten(x)).impl};
        } else {
          const int first = wrap_dim("flatten", c.integer("start_dim", 0), R), last = wrap_dim("flatten", c.integer("end_dim", -1), R);
          return by_rank<0, R - 1>(first, [&](auto a) {
            return by_rank<a.value, R - 1>(last, [&](auto b) { return Values{materialize(flatten<a.value, b.value>(x)).impl}; });
          });
        }
      });
    });
  });
  add("expand", [](Case& c) {
    return by_float(c, [&](auto t) {
      const Ints size = c.ints("size");
      return by_rank<0, 5>(c.rank(0), [&](auto r) {
        return by_rank<r.value, 5>(int(size.size()), [&](auto n) {
          return Values{materialize(expand(c.in<decltype(t), r.value>(0), shape_from<n.value>(size))).impl};
        });
      });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
