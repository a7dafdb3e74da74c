// SPDX-License-Identifier: MIT
// matmul of every pair of ranks.
#include "sinter/functional/matmul.hpp"

#include "conformance/case.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  add("matmul", [](Case& c) {
    if (c.dtype(0) == DType::int64) return Values{materialize(matmul(c.in<std::int64_t, 2>(0), c.in<std::int64_t, 2>(1))).impl};
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return by_rank<1, 5>(c.rank(0), [&](auto a) {
        return by_rank<1, 5>(c.rank(1), [&](auto b) { return Values{materialize(matmul(c.in<T, a.value>(0), c.in<T, b.value>(1))).impl}; });
      });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
