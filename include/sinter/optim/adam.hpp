// SPDX-License-Identifier: MIT
// Adam (Kingma and Ba 2015) with AMSGrad (Reddi et al. 2018) on request.
// https://pytorch.org/docs/stable/generated/torch.optim.Adam.html
#pragma once

#include "sinter/optim/optimizer.hpp"

namespace sinter {
namespace optim {

// Kind: what tells Adam and AdamW apart.
template <class Kind>
class AdamFamilyOptions : public MasterWeights<AdamFamilyOptions<Kind>> {
 public:
  AdamFamilyOptions(double lr = 1e-3) : lr_(lr) {}
  double lr() const { return lr_; }
  std::pair<double, double> betas() const { return {beta1_, beta2_}; }
  double eps() const { return eps_; }
  double weight_decay() const { return weight_decay_; }
  bool amsgrad() const { return amsgrad_; }
  AdamFamilyOptions& lr(double v) { return lr_ = v, *this; }
  AdamFamilyOptions& betas(std::pair<double, double> v) { return beta1_ = v.first, beta2_ = v.second, *this; }
  AdamFamilyOptions& eps(double v) { return eps_ = v, *this; }
  AdamFamilyOptions& weight_decay(double v) { return weight_decay_ = v, *this; }
  AdamFamilyOptions& amsgrad(bool v) { return amsgrad_ = v, *this; }

  template <class V>
  void visit(V&& v) {
    v("lr", lr_), v("beta1", beta1_), v("beta2", beta2_), v("eps", eps_), v("weight_decay", weight_decay_);
    v("amsgrad", amsgrad_);
  }
  void check() const {
    check_option(lr_ >= 0, Kind::name, "lr", lr_);
    check_option(beta1_ >= 0 && beta1_ < 1, Kind::name, "first beta", beta1_);
    check_option(beta2_ >= 0 && beta2_ < 1, Kind::name, "second beta", beta2_);
    check_option(eps_ >= 0, Kind::name, "eps", eps_);
    check_option(weight_decay_ >= 0, Kind::name, "weight_decay", weight_decay_);
  }

 private:
  double lr_, beta1_ = 0.9, beta2_ = 0.999, eps_ = 1e-8, weight_decay_ = Kind::weight_decay;
  bool amsgrad_ = false;
};

inline namespace SINTER_ABI {

template <class Kind>
class AdamFamily : public Optimizer<AdamFamily<Kind>, AdamFamilyOptions<Kind>> {
 public:
  using Options = AdamFamilyOptions<Kind>;
  static constexpr const char* name = Kind::name;
  AdamFamily(ParameterList params, const Options& options = {})
      : Optimizer<AdamFamily, Options>(std::move(params), options) {}

  static Slots slots(const Options& o) {
    if (o.amsgrad()) return {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
    return {"exp_avg", "exp_avg_sq"};
  }
  static double initial(const Options&) { return 0; }
  static Numbers numbers(const Options& o) {
    Numbers n;
    n.lr = o.lr(), n.beta1 = o.betas().first, n.beta2 = o.betas().second, n.eps = o.eps(), n.weight_decay = o.weight_decay();
    return n;
  }
  template <class F>
  static void with_rule(const Options& o, F f) {
    if (o.amsgrad()) f(RuleConstant<Kind::decoupled ? RuleKind::adamw_amsgrad : RuleKind::adam_amsgrad>());
    else f(RuleConstant<Kind::decoupled ? RuleKind::adamw : RuleKind::adam>());
  }
};

}  // namespace SINTER_ABI

// Weight decay is added to the gradient.
struct AdamKind {
  static constexpr const char* name = "Adam";
  static constexpr double weight_decay = 0;
  static constexpr bool decoupled = false;
};
using AdamOptions = AdamFamilyOptions<AdamKind>;
using Adam = AdamFamily<AdamKind>;

}  // namespace optim
}  // namespace sinter
