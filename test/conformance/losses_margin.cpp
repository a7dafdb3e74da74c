// SPDX-License-Identifier: MIT
// Losses with a margin.
#include "sinter/functional/loss_margin.hpp"

#include "conformance/losses.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  loss("hinge_embedding_loss", [](const auto& x, const auto& y, auto r, Case& c) { return hinge_embedding_loss(x, y, c.number("margin", 1), r); });
  loss("soft_margin_loss", [](const auto& x, const auto& y, auto r, Case&) { return soft_margin_loss(x, y, r); });
  loss("margin_ranking_loss", [](const auto& x, const auto& y, auto r, Case& c) {
    return margin_ranking_loss(x, y, c.padded<typename std::decay_t<decltype(x)>::value_type>(2), c.number("margin", 0), r);
  });
  add("cosine_embedding_loss", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return by_reduction(c, [&](auto r) {
        return by_rank<1, 2>(c.rank(0), [&](auto n) {
          return Values{eval(cosine_embedding_loss(c.in<T, n.value>(0), c.in<T, n.value>(1), c.in<T, n.value - 1>(2), c.number("margin", 0), r)).impl};
        });
      });
    });
  });
  add("triplet_margin_loss", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return by_reduction(c, [&](auto r) {
        const auto o = TripletMarginOptions().margin(c.number("margin", 1)).p(c.number("p", 2)).swap(c.flag("swap", false));
        const auto e = eval(triplet_margin_loss(c.padded<T>(0), c.padded<T>(1), c.padded<T>(2), o, r));
        return Values{e.rank == 0 ? e.impl : with_rank(e.impl, c.rank(0) - 1)};
      });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
