// SPDX-License-Identifier: MIT
// RMSprop (Hinton 2012). https://pytorch.org/docs/stable/generated/torch.optim.RMSprop.html
#pragma once

#include "sinter/optim/optimizer.hpp"

namespace sinter {
namespace optim {

class RMSpropOptions {
 public:
  RMSpropOptions(double lr = 1e-2) : lr_(lr) {}
  double lr() const { return lr_; }
  double alpha() const { return alpha_; }
  double eps() const { return eps_; }
  double weight_decay() const { return weight_decay_; }
  double momentum() const { return momentum_; }
  bool centered() const { return centered_; }
  RMSpropOptions& lr(double v) { return lr_ = v, *this; }
  RMSpropOptions& alpha(double v) { return alpha_ = v, *this; }
  RMSpropOptions& eps(double v) { return eps_ = v, *this; }
  RMSpropOptions& weight_decay(double v) { return weight_decay_ = v, *this; }
  RMSpropOptions& momentum(double v) { return momentum_ = v, *this; }
  RMSpropOptions& centered(bool v) { return centered_ = v, *this; }

  template <class V>
  void visit(V&& v) {
    v("lr", lr_), v("alpha", alpha_), v("eps", eps_), v("weight_decay", weight_decay_), v("momentum", momentum_);
    v("centered", centered_);
  }
  void check() const {
    check_option(lr_ >= 0, "RMSprop", "lr", lr_);
    check_option(alpha_ >= 0, "RMSprop", "alpha", alpha_);
    check_option(eps_ >= 0, "RMSprop", "eps", eps_);
    check_option(weight_decay_ >= 0, "RMSprop", "weight_decay", weight_decay_);
    check_option(momentum_ >= 0, "RMSprop", "momentum", momentum_);
  }

 private:
  double lr_, alpha_ = 0.99, eps_ = 1e-8, weight_decay_ = 0, momentum_ = 0;
  bool centered_ = false;
};

inline namespace SINTER_ABI {

template <class C, bool Momentum, bool Centered>
struct RMSpropRule {
  C lr, alpha, rest, eps, weight_decay, momentum;
  template <class V>
  void operator()(V& p, V g, V* s) const {
    g = g + V(weight_decay) * p;
    s[0] = V(alpha) * s[0] + V(rest) * g * g;
    V square = s[0];
    if constexpr (Centered) {
      s[1] = V(alpha) * s[1] + V(rest) * g;
      square = square - s[1] * s[1];
    }
    V move = g / (lane::sqrt(square) + V(eps));
    if constexpr (Momentum) {
      constexpr int buffer = Centered ? 2 : 1;
      move = s[buffer] = V(momentum) * s[buffer] + move;
    }
    p = p - V(lr) * move;
  }
};

template <class Options>  // a template, so that it is compiled where it is used, not wherever this file is included
class RMSpropOf : public Optimizer<RMSpropOf<Options>, Options> {
 public:
  static constexpr const char* name = "RMSprop";
  RMSpropOf(ParameterList params, const Options& options = {}) : Optimizer<RMSpropOf, Options>(std::move(params), options) {}

  static Slots slots(const RMSpropOptions& o) {
    Slots names{"square_avg"};
    if (o.centered()) names.add("grad_avg");
    if (o.momentum() > 0) names.add("momentum_buffer");  // last, as a scheduler may turn it on
    return names;
  }
  static double initial(const RMSpropOptions&) { return 0; }
  static void update(const RMSpropOptions& o, Updates& updates) {
    if (o.momentum() > 0) o.centered() ? run<true, true>(o, updates) : run<true, false>(o, updates);
    else o.centered() ? run<false, true>(o, updates) : run<false, false>(o, updates);
  }

 private:
  template <bool Momentum, bool Centered>
  static void run(const RMSpropOptions& o, Updates& updates) {
    update_all<1 + int(Momentum) + int(Centered)>(updates, [&](const Update&, auto c) {
      using C = decltype(c);
      return RMSpropRule<C, Momentum, Centered>{C(o.lr()), C(o.alpha()), C(1 - o.alpha()), C(o.eps()), C(o.weight_decay()), C(o.momentum())};
    });
  }
};
using RMSprop = RMSpropOf<RMSpropOptions>;

}  // namespace SINTER_ABI
}  // namespace optim
}  // namespace sinter
