// SPDX-License-Identifier: MIT
// Losses of an input and a target of one shape.
#include "conformance/losses.hpp"

#include "sinter/functional/loss.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  loss("mse_loss", [](const auto& x, const auto& y, auto r, Case&) { return mse_loss(x, y, r); });
  loss("l1_loss", [](const auto& x, const auto& y, auto r, Case&) { return l1_loss(x, y, r); });
  loss("smooth_l1_loss", [](const auto& x, const auto& y, auto r, Case& c) { return smooth_l1_loss(x, y, r, c.number("beta", 1)); });
  loss("huber_loss", [](const auto& x, const auto& y, auto r, Case& c) { return huber_loss(x, y, r, c.number("delta", 1)); });
  loss("poisson_nll_loss", [](const auto& x, const auto& y, auto r, Case& c) {
    const auto o = PoissonNLLOptions().log_input(c.flag("log_input", true)).full(c.flag("full", false)).eps(c.number("eps", 1e-8));
    return poisson_nll_loss(x, y, o, r);
  });
  loss("gaussian_nll_loss", [](const auto& x, const auto& y, auto r, Case& c) {
    using T = typename std::decay_t<decltype(x)>::value_type;
    return gaussian_nll_loss(x, y, c.padded<T>(2), c.flag("full", false), c.number("eps", 1e-6), r);
  });
  return true;
}();

}  // namespace
}  // namespace conformance
