// SPDX-License-Identifier: MIT
// Stochastic gradient descent with momentum. https://pytorch.org/docs/stable/generated/torch.optim.SGD.html
#pragma once

#include "sinter/optim/optimizer.hpp"

namespace sinter {
namespace optim {

class SGDOptions : public MasterWeights<SGDOptions> {
 public:
  SGDOptions(double lr = 1e-3) : lr_(lr) {}
  double lr() const { return lr_; }
  double momentum() const { return momentum_; }
  double dampening() const { return dampening_; }
  double weight_decay() const { return weight_decay_; }
  bool nesterov() const { return nesterov_; }
  SGDOptions& lr(double v) { return lr_ = v, *this; }
  SGDOptions& momentum(double v) { return momentum_ = v, *this; }
  SGDOptions& dampening(double v) { return dampening_ = v, *this; }
  SGDOptions& weight_decay(double v) { return weight_decay_ = v, *this; }
  SGDOptions& nesterov(bool v) { return nesterov_ = v, *this; }

  template <class V>
  void visit(V&& v) {
    v("lr", lr_), v("momentum", momentum_), v("dampening", dampening_), v("weight_decay", weight_decay_);
    v("nesterov", nesterov_);
  }
  void check() const {
    check_option(lr_ >= 0, "SGD", "lr", lr_);
    check_option(momentum_ >= 0, "SGD", "momentum", momentum_);
    check_option(weight_decay_ >= 0, "SGD", "weight_decay", weight_decay_);
    if (nesterov_ && (momentum_ <= 0 || dampening_ != 0))
      fail<ValueError>("SGD: nesterov takes a momentum above 0 and no dampening, not momentum ", momentum_, " and dampening ", dampening_);
  }

 private:
  double lr_, momentum_ = 0, dampening_ = 0, weight_decay_ = 0;
  bool nesterov_ = false;
};

inline namespace SINTER_ABI {

template <class Options>  // a template, so that it is compiled where it is used, not wherever this file is included
class SGDOf : public Optimizer<SGDOf<Options>, Options> {
 public:
  static constexpr const char* name = "SGD";
  SGDOf(ParameterList params, const Options& options = {}) : Optimizer<SGDOf, Options>(std::move(params), options) {}

  static Slots slots(const SGDOptions& o) { return o.momentum() != 0 ? Slots{"momentum_buffer"} : Slots{}; }
  static double initial(const SGDOptions&) { return 0; }
  static Numbers numbers(const SGDOptions& o) {
    Numbers n;
    n.lr = o.lr(), n.momentum = o.momentum(), n.dampening = o.dampening(), n.weight_decay = o.weight_decay();
    return n;
  }
  template <class F>
  static void with_rule(const SGDOptions& o, F f) {
    if (o.momentum() == 0) return f(RuleConstant<RuleKind::sgd>());
    if (o.nesterov()) return f(RuleConstant<RuleKind::nesterov>());
    f(RuleConstant<RuleKind::momentum>());
  }
};
using SGD = SGDOf<SGDOptions>;

}  // namespace SINTER_ABI
}  // namespace optim
}  // namespace sinter
