// SPDX-License-Identifier: MIT
// One cycle of the learning rate, and of the momentum against it (Smith and Topin 2018).
// https://pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html
#pragma once

#include "sinter/optim/lr_scheduler.hpp"

namespace sinter {
namespace optim {

class OneCycleLROptions {
 public:
  double pct_start() const { return pct_start_; }
  const std::string& anneal_strategy() const { return anneal_strategy_; }
  bool cycle_momentum() const { return cycle_momentum_; }
  double base_momentum() const { return base_momentum_; }
  double max_momentum() const { return max_momentum_; }
  double div_factor() const { return div_factor_; }
  double final_div_factor() const { return final_div_factor_; }
  bool three_phase() const { return three_phase_; }
  OneCycleLROptions& pct_start(double v) { return pct_start_ = v, *this; }
  OneCycleLROptions& anneal_strategy(std::string v) { return anneal_strategy_ = std::move(v), *this; }  // "cos" or "linear"
  OneCycleLROptions& cycle_momentum(bool v) { return cycle_momentum_ = v, *this; }
  OneCycleLROptions& base_momentum(double v) { return base_momentum_ = v, *this; }
  OneCycleLROptions& max_momentum(double v) { return max_momentum_ = v, *this; }
  OneCycleLROptions& div_factor(double v) { return div_factor_ = v, *this; }
  OneCycleLROptions& final_div_factor(double v) { return final_div_factor_ = v, *this; }
  OneCycleLROptions& three_phase(bool v) { return three_phase_ = v, *this; }

 private:
  double pct_start_ = 0.3, base_momentum_ = 0.85, max_momentum_ = 0.95, div_factor_ = 25, final_div_factor_ = 1e4;
  std::string anneal_strategy_ = "cos";
  bool cycle_momentum_ = true, three_phase_ = false;
};

// Momentum by its name, or the first beta.
template <class Options>
auto set_momentum(Options& o, double m, int) -> decltype(o.momentum(m), void()) { o.momentum(m); }
template <class Options>
auto set_momentum(Options& o, double m, int) -> decltype(o.betas(), void()) { o.betas({m, o.betas().second}); }
template <class Options>
void set_momentum(Options&, double, long) {
  fail<ValueError>("OneCycleLR: this optimizer has no momentum to cycle; set cycle_momentum(false)");
}

// Up from max_lr / div_factor to max_lr, down to that divided by div_factor * final_div_factor, in total_steps steps.
template <class Opt>
class OneCycleLR : public LRScheduler<OneCycleLR<Opt>, Opt> {
 public:
  OneCycleLR(Opt& opt, double max_lr, std::int64_t total_steps, const OneCycleLROptions& o = {})
      : LRScheduler<OneCycleLR, Opt>(opt), max_lr_(max_lr), total_(total_steps), options_(o) {
    if (total_steps < 1) fail<ValueError>("OneCycleLR: total_steps must be at least 1, but is ", total_steps);
    if (!(o.pct_start() >= 0 && o.pct_start() <= 1)) fail<ValueError>("OneCycleLR: pct_start must be from 0 to 1, but is ", o.pct_start());
    if (o.anneal_strategy() != "cos" && o.anneal_strategy() != "linear")
      fail<ValueError>("OneCycleLR: anneal_strategy must be \"cos\" or \"linear\", but is \"", o.anneal_strategy(), '"');
    const double first = max_lr / o.div_factor(), last = first / o.final_div_factor();
    const double turn = o.pct_start() * double(total_steps), high = o.max_momentum(), low = o.base_momentum();
    if (o.three_phase())
      phases_ = {{turn - 1, first, max_lr, high, low}, {2 * turn - 2, max_lr, first, low, high}, {double(total_steps - 1), first, last, high, high}};
    else
      phases_ = {{turn - 1, first, max_lr, high, low}, {double(total_steps - 1), max_lr, last, low, high}};
    for (std::size_t g = 0; g < opt.groups().size(); ++g) this->base_[g] = opt.groups()[g].initial_lr = first;
    this->apply();
  }

  // Throws ValueError behind the last step.
  double next(double, std::size_t group) {
    if (this->epoch_ > total_) fail<ValueError>("OneCycleLR: step ", this->epoch_, " of a schedule of ", total_);
    double begin = 0;
    for (std::size_t i = 0;; ++i) {
      const Phase& p = phases_[i];
      if (double(this->epoch_) > p.end && i + 1 < phases_.size()) {
        begin = p.end;
        continue;
      }
      const double part = (double(this->epoch_) - begin) / (p.end - begin);
      if (options_.cycle_momentum()) set_momentum(this->optimizer().groups()[group].options, anneal(p.m0, p.m1, part), 0);
      return anneal(p.lr0, p.lr1, part);
    }
  }

 private:
  struct Phase {
    double end, lr0, lr1, m0, m1;
  };
  double anneal(double from, double to, double part) const {
    if (options_.anneal_strategy() == "linear") return (to - from) * part + from;
    return to + (from - to) / 2 * (std::cos(pi * part) + 1);
  }
  double max_lr_;
  std::int64_t total_;
  OneCycleLROptions options_;
  std::vector<Phase> phases_;
};

}  // namespace optim
}  // namespace sinter
