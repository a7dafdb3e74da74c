// SPDX-License-Identifier: MIT
// Adagrad (Duchi, Hazan and Singer 2011). https://pytorch.org/docs/stable/generated/torch.optim.Adagrad.html
#pragma once

#include "sinter/optim/optimizer.hpp"

namespace sinter {
namespace optim {

class AdagradOptions : public MasterWeights<AdagradOptions> {
 public:
  AdagradOptions(double lr = 1e-2) : lr_(lr) {}
  double lr() const { return lr_; }
  double lr_decay() const { return lr_decay_; }
  double weight_decay() const { return weight_decay_; }
  double initial_accumulator_value() const { return initial_accumulator_value_; }
  double eps() const { return eps_; }
  AdagradOptions& lr(double v) { return lr_ = v, *this; }
  AdagradOptions& lr_decay(double v) { return lr_decay_ = v, *this; }
  AdagradOptions& weight_decay(double v) { return weight_decay_ = v, *this; }
  AdagradOptions& initial_accumulator_value(double v) { return initial_accumulator_value_ = v, *this; }
  AdagradOptions& eps(double v) { return eps_ = v, *this; }

  template <class V>
  void visit(V&& v) {
    v("lr", lr_), v("lr_decay", lr_decay_), v("weight_decay", weight_decay_), v("eps", eps_);
    v("initial_accumulator_value", initial_accumulator_value_);
  }
  void check() const {
    check_option(lr_ >= 0, "Adagrad", "lr", lr_);
    check_option(lr_decay_ >= 0, "Adagrad", "lr_decay", lr_decay_);
    check_option(weight_decay_ >= 0, "Adagrad", "weight_decay", weight_decay_);
    check_option(initial_accumulator_value_ >= 0, "Adagrad", "initial_accumulator_value", initial_accumulator_value_);
    check_option(eps_ >= 0, "Adagrad", "eps", eps_);
  }

 private:
  double lr_, lr_decay_ = 0, weight_decay_ = 0, initial_accumulator_value_ = 0, eps_ = 1e-10;
};

inline namespace SINTER_ABI {

template <class Options>  // a template, so that it is compiled where it is used, not wherever this file is included
class AdagradOf : public Optimizer<AdagradOf<Options>, Options> {
 public:
  static constexpr const char* name = "Adagrad";
  AdagradOf(ParameterList params, const Options& options = {}) : Optimizer<AdagradOf, Options>(std::move(params), options) {}

  static Slots slots(const AdagradOptions&) { return {"sum"}; }
  static double initial(const AdagradOptions& o) { return o.initial_accumulator_value(); }
  static Numbers numbers(const AdagradOptions& o) {
    Numbers n;
    n.lr = o.lr(), n.lr_decay = o.lr_decay(), n.weight_decay = o.weight_decay(), n.eps = o.eps();
    return n;
  }
  template <class F>
  static void with_rule(const AdagradOptions&, F f) { f(RuleConstant<RuleKind::adagrad>()); }
};
using Adagrad = AdagradOf<AdagradOptions>;

}  // namespace SINTER_ABI
}  // namespace optim
}  // namespace sinter
