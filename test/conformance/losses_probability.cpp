// SPDX-License-Identifier: MIT
// Losses of probabilities.
#include "conformance/losses.hpp"

#include "sinter/functional/loss.hpp"

namespace conformance {
namespace {

template <class Tag>
Values kl(Case& c, Tag r) {
  return by_float(c, [&](auto t) {
    using T = decltype(t);
    return by_rank<1, 4>(c.rank(0), [&](auto n) {  // the first extent matters
      const auto x = c.in<T, n.value>(0), y = c.in<T, n.value>(1);
      return Values{c.flag("log_target", false) ? eval(kl_div_log_target(x, y, r)).impl : eval(kl_div(x, y, r)).impl};
    });
  });
}

const bool registered = [] {
  add("binary_cross_entropy", [](Case& c) {
    return loss_at(c, [&](auto t, auto r) {
      using T = decltype(t);
      const auto x = c.padded<T>(0), y = c.padded<T>(1);
      return c.given(2) ? eval(binary_cross_entropy(x, y, c.padded<T>(2), r)) : eval(binary_cross_entropy(x, y, r));
    });
  });
  add("binary_cross_entropy_with_logits", [](Case& c) {
    return loss_at(c, [&](auto t, auto r) {
      using T = decltype(t);
      const auto x = c.padded<T>(0), y = c.padded<T>(1);
      const auto o = BCEWithLogitsOptions<>();
      if (c.given(2) && c.given(3)) return eval(binary_cross_entropy_with_logits(x, y, o.weight(c.padded<T>(2)).pos_weight(c.padded<T>(3)), r));
      if (c.given(2)) return eval(binary_cross_entropy_with_logits(x, y, o.weight(c.padded<T>(2)), r));
      if (c.given(3)) return eval(binary_cross_entropy_with_logits(x, y, o.pos_weight(c.padded<T>(3)), r));
      return eval(binary_cross_entropy_with_logits(x, y, r));
    });
  });
  add("kl_div", [](Case& c) {
    if (c.text("reduction", "mean") == "batchmean") return kl(c, reduction::batchmean);
    return by_reduction(c, [&](auto r) { return kl(c, r); });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
