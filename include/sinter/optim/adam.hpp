// SPDX-License-Identifier: MIT
// Adam (Kingma and Ba 2015) with AMSGrad (Reddi et al. 2018) on request.
// https://pytorch.org/docs/stable/generated/torch.optim.Adam.html
#pragma once

#include <cmath>

#include "sinter/optim/optimizer.hpp"

namespace sinter {
namespace optim {

// Kind: what tells Adam and AdamW apart.
template <class Kind>
class AdamFamilyOptions {
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

template <class C, bool Decoupled, bool AMSGrad>
struct AdamRule {
  C shrink, weight_decay, beta1, beta2, rest1, rest2, step_size, root, eps;
  template <class V>
  void operator()(V& p, V g, V* s) const {
    if constexpr (Decoupled) p = p * V(shrink);
    else g = g + V(weight_decay) * p;
    s[0] = V(beta1) * s[0] + V(rest1) * g;
    s[1] = V(beta2) * s[1] + V(rest2) * g * g;
    V v = s[1];
    if constexpr (AMSGrad) v = s[2] = lane::max(s[2], v);
    p = p - V(step_size) * s[0] / (lane::sqrt(v) * V(root) + V(eps));
  }
};

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
  static void update(const Options& o, Updates& updates) {
    if (o.amsgrad()) run<true>(o, updates);
    else run<false>(o, updates);
  }

 private:
  template <bool AMSGrad>
  static void run(const Options& o, Updates& updates) {
    const auto [beta1, beta2] = o.betas();
    const Update* before = nullptr;
    for (Update& u : updates) {  // step size and root are corrected for means that start at 0
      if (before && before->step == u.step) {
        std::copy_n(before->rate, 2, u.rate);
      } else {
        u.rate[0] = o.lr() / (1 - std::pow(beta1, double(u.step)));
        u.rate[1] = 1 / std::sqrt(1 - std::pow(beta2, double(u.step)));
      }
      before = &u;
    }
    update_all<AMSGrad ? 3 : 2>(updates, [&, b1 = beta1, b2 = beta2](const Update& u, auto c) {
      using C = decltype(c);
      return AdamRule<C, Kind::decoupled, AMSGrad>{C(1 - o.lr() * o.weight_decay()), C(o.weight_decay()), C(b1), C(b2), C(1 - b1),
                                                   C(1 - b2), C(u.rate[0]), C(u.rate[1]), C(o.eps())};
    });
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
