// SPDX-License-Identifier: MIT
// RMSprop (Hinton 2012). https://pytorch.org/docs/stable/generated/torch.optim.RMSprop.html
#pragma once

#include "sinter/optim/optimizer.hpp"

namespace sinter {
namespace optim {

class RMSpropOptions : public MasterWeights<RMSpropOptions> {
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
  static Numbers numbers(const RMSpropOptions& o) {
    Numbers n;
    n.lr = o.lr(), n.alpha = o.alpha(), n.eps = o.eps(), n.weight_decay = o.weight_decay(), n.momentum = o.momentum();
    return n;
  }
  template <class F>
  static void with_rule(const RMSpropOptions& o, F f) {
    if (o.momentum() > 0) o.centered() ? f(RuleConstant<RuleKind::rmsprop_centered_momentum>()) : f(RuleConstant<RuleKind::rmsprop_momentum>());
    else o.centered() ? f(RuleConstant<RuleKind::rmsprop_centered>()) : f(RuleConstant<RuleKind::rmsprop>());
  }
};
using RMSprop = RMSpropOf<RMSpropOptions>;

}  // namespace SINTER_ABI
}  // namespace optim
}  // namespace sinter
