// SPDX-License-Identifier: MIT
// Losses of class labels.
#include "conformance/losses.hpp"

#include "sinter/functional/loss_classification.hpp"

namespace conformance {
namespace {

template <class F>
Values labelled(Case& c, F f) {
  return by_float(c, [&](auto t) {
    using T = decltype(t);
    return by_reduction(c, [&](auto r) {
      return by_rank<1, 5>(c.rank(0), [&](auto n) { return Values{eval(f(c.in<T, n.value>(0), c.in<T, 1>(2), r)).impl}; });
    });
  });
}

const bool registered = [] {
  add("cross_entropy", [](Case& c) {
    return labelled(c, [&](const auto& x, const auto& weight, auto r) {
      using X = std::decay_t<decltype(x)>;
      const auto o = CrossEntropyOptions<>().ignore_index(c.integer("ignore_index", -100)).label_smoothing(c.number("label_smoothing", 0)).weight(weight);
      if (c.dtype(1) != DType::int64) return eval(cross_entropy(x, c.in<typename X::value_type, X::rank>(1), o, r));
      return eval(cross_entropy(x, c.in<std::int64_t, X::rank - 1>(1), o, r));
    });
  });
  add("nll_loss", [](Case& c) {
    return labelled(c, [&](const auto& x, const auto& weight, auto r) {
      using X = std::decay_t<decltype(x)>;
      return eval(nll_loss(x, c.in<std::int64_t, X::rank - 1>(1), NLLOptions<>().ignore_index(c.integer("ignore_index", -100)).weight(weight), r));
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
