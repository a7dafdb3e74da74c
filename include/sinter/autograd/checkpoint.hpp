// SPDX-License-Identifier: MIT
// Activation checkpointing: a piece of the graph that keeps its inputs alone and runs again when backward reaches it.
// https://pytorch.org/docs/stable/checkpoint.html
#pragma once

#include "sinter/autograd/function.hpp"
#include "sinter/autograd/grad.hpp"
#include "sinter/core/random.hpp"

namespace sinter {

// checkpoint(f, x...) = f(x...), one tensor. f must compute the same again; random numbers are replayed. Parameters that f
// captures get their gradients, too, added to their .grad() where backward() would.
template <class F, class... In>
auto checkpoint(F f, const In&... in) {
  const std::uint64_t position = default_generator().position();
  auto out = [&] {
    NoGradGuard guard;
    return materialize(f(in.detach()...)).detach();
  }();
  if (!is_grad_enabled()) return out;
  auto back = [f, position, saved = std::tuple(Saved(in)...)](const auto& grad, const auto& needs) {
    return std::apply(
        [&](const auto&... s) {
          std::tuple<In...> again(s.get("checkpoint")...);
          int k = 0;
          std::apply([&](auto&... x) { ((needs[k++] && (x.requires_grad_(), true)), ...); }, again);
          EnableGradGuard guard;
          Generator& random = default_generator();
          const std::uint64_t now = random.position();
          random.set_position(position);
          const auto y = std::apply([&](const auto&... x) { return materialize(f(x...)); }, again);
          random.set_position(now);
          if (y.requires_grad()) y.backward(grad);
          return std::apply([](const auto&... x) { return std::tuple<In...>(x.grad()...); }, again);
        },
        saved);
  };
  // Recorded even where no input requires a gradient: what f captures may.
  return record("checkpoint", out, std::move(back), in...);
}

}  // namespace sinter
