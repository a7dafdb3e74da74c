// SPDX-License-Identifier: MIT
#include "sinter/functional/attention.hpp"

#include "conformance/case.hpp"

namespace conformance {
namespace {

template <class M, class T, int R>
Values attend(Case& c, const SDPAOptions& o) {
  return by_rank<2, R>(c.rank(3), [&](auto r) {
    return Values{scaled_dot_product_attention(c.in<T, R>(0), c.in<T, R>(1), c.in<T, R>(2), c.in<M, r.value>(3), o).impl};
  });
}

const bool registered = [] {
  add("scaled_dot_product_attention", [](Case& c) {
    auto o = SDPAOptions().is_causal(c.flag("is_causal", false));
    if (c.has("scale")) o.scale(c.number("scale"));
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return by_rank<3, 4>(c.rank(0), [&](auto r) {
        if (!c.given(3)) return Values{scaled_dot_product_attention(c.in<T, r.value>(0), c.in<T, r.value>(1), c.in<T, r.value>(2), o).impl};
        return c.dtype(3) == DType::boolean ? attend<bool, T, r.value>(c, o) : attend<T, T, r.value>(c, o);
      });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
