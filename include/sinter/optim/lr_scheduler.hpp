// SPDX-License-Identifier: MIT
// Learning rates that follow a schedule. Construct one over an optimizer, then call step() after each epoch (or batch, for
// OneCycleLR and warmup). Schedulers may be combined: each changes what it finds, as PyTorch's do.
// https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "sinter/core/state_dict.hpp"
#include "sinter/optim/optimizer.hpp"

namespace sinter {
namespace optim {

inline constexpr double pi = 3.14159265358979323846;

// The optimizer must outlive its schedulers. Derived::next(lr, group) is the rate of a group at epoch last_epoch(), lr the
// one before. visit() lists what else Derived keeps from step to step.
template <class Derived, class Opt>
class LRScheduler {
 public:
  std::int64_t last_epoch() const { return epoch_; }
  std::vector<double> get_last_lr() const {
    std::vector<double> lrs;
    for (const auto& g : opt_->groups()) lrs.push_back(g.options.lr());
    return lrs;
  }
  void step() {
    ++epoch_;
    try {
      apply();
    } catch (...) {
      --epoch_;
      throw;
    }
  }

  // The position in the schedule; the rates themselves are with the optimizer.
  StateDict state_dict() const {
    StateDict out;
    out.insert("last_epoch", state_scalar(double(epoch_)));
    Derived copy = static_cast<const Derived&>(*this);
    copy.visit([&](const char* name, auto& value) { out.insert(name, state_scalar(double(value))); });
    return out;
  }
  // Throws where an entry is missing or not a number; nothing is changed then.
  void load_state_dict(const StateDict& state) {
    const auto number = [&](const char* name) {
      const Ref<TensorImpl>& t = state.at(name);
      if (t->dtype != DType::float64 || t->rank != 0)
        fail<ValueError>("lr_scheduler: load_state_dict: \"", name, "\" is not a float64 scalar");
      return *static_cast<const double*>(t->data);
    };
    const double epoch = number("last_epoch");
    Derived copy = self();
    for (Derived* to : {&copy, &self()})  // the first try on the copy may throw
      to->visit([&](const char* name, auto& value) { value = std::decay_t<decltype(value)>(number(name)); });
    epoch_ = std::int64_t(epoch);
  }
  template <class V>
  void visit(V&&) {}

 protected:
  explicit LRScheduler(Opt& opt) : opt_(&opt) {
    for (auto& g : opt.groups()) {
      if (g.initial_lr < 0) g.initial_lr = g.options.lr();
      base_.push_back(g.initial_lr);
    }
  }
  // For the last line of Derived's constructor: the rate of epoch 0.
  void apply() {
    auto& groups = opt_->groups();
    for (std::size_t g = 0; g < base_.size(); ++g) groups[g].options.lr(self().next(groups[g].options.lr(), g));
    opt_->options_changed();
  }
  double base(std::size_t group) const { return base_[group]; }
  Opt& optimizer() const { return *opt_; }

  std::int64_t epoch_ = 0;
  std::vector<double> base_;

 private:
  Derived& self() { return static_cast<Derived&>(*this); }
  Opt* opt_;
};

// Times gamma every step_size epochs.
template <class Opt>
class StepLR : public LRScheduler<StepLR<Opt>, Opt> {
 public:
  StepLR(Opt& opt, std::int64_t step_size, double gamma = 0.1)
      : LRScheduler<StepLR, Opt>(opt), step_size_(step_size), gamma_(gamma) {
    if (step_size < 1) fail<ValueError>("StepLR: step_size must be at least 1, but is ", step_size);
    this->apply();
  }
  double next(double lr, std::size_t) const { return this->epoch_ > 0 && this->epoch_ % step_size_ == 0 ? lr * gamma_ : lr; }

 private:
  std::int64_t step_size_;
  double gamma_;
};

// Times gamma at each milestone, as often as that occurs.
template <class Opt>
class MultiStepLR : public LRScheduler<MultiStepLR<Opt>, Opt> {
 public:
  MultiStepLR(Opt& opt, std::vector<std::int64_t> milestones, double gamma = 0.1)
      : LRScheduler<MultiStepLR, Opt>(opt), milestones_(std::move(milestones)), gamma_(gamma) {
    this->apply();
  }
  double next(double lr, std::size_t) const {
    return lr * std::pow(gamma_, double(std::count(milestones_.begin(), milestones_.end(), this->epoch_)));
  }

 private:
  std::vector<std::int64_t> milestones_;
  double gamma_;
};

// Times gamma every epoch.
template <class Opt>
class ExponentialLR : public LRScheduler<ExponentialLR<Opt>, Opt> {
 public:
  ExponentialLR(Opt& opt, double gamma) : LRScheduler<ExponentialLR, Opt>(opt), gamma_(gamma) { this->apply(); }
  double next(double lr, std::size_t) const { return this->epoch_ > 0 ? lr * gamma_ : lr; }

 private:
  double gamma_;
};

// Down half a cosine to eta_min in T_max epochs, and up again behind it (Loshchilov and Hutter 2017).
template <class Opt>
class CosineAnnealingLR : public LRScheduler<CosineAnnealingLR<Opt>, Opt> {
 public:
  CosineAnnealingLR(Opt& opt, std::int64_t T_max, double eta_min = 0)
      : LRScheduler<CosineAnnealingLR, Opt>(opt), T_max_(T_max), eta_min_(eta_min) {
    if (T_max < 1) fail<ValueError>("CosineAnnealingLR: T_max must be at least 1, but is ", T_max);
    this->apply();
  }
  double next(double lr, std::size_t group) const {
    const std::int64_t e = this->epoch_;
    if (e == 0) return lr;
    if ((e - 1 - T_max_) % (2 * T_max_) == 0)  // from the lowest point, where the ratio below is 0 / 0
      return lr + (this->base(group) - eta_min_) * (1 - std::cos(pi / double(T_max_))) / 2;
    return (1 + std::cos(pi * double(e) / double(T_max_))) / (1 + std::cos(pi * double(e - 1) / double(T_max_))) * (lr - eta_min_) + eta_min_;
  }

 private:
  std::int64_t T_max_;
  double eta_min_;
};

// From start_factor to end_factor times the rate in total_iters steps.
template <class Opt>
class LinearLR : public LRScheduler<LinearLR<Opt>, Opt> {
 public:
  LinearLR(Opt& opt, double start_factor = 1.0 / 3, double end_factor = 1, std::int64_t total_iters = 5)
      : LRScheduler<LinearLR, Opt>(opt), start_(start_factor), end_(end_factor), total_(total_iters) {
    if (!(start_factor > 0 && start_factor <= 1)) fail<ValueError>("LinearLR: start_factor must be above 0 and at most 1, but is ", start_factor);
    if (!(end_factor >= 0 && end_factor <= 1)) fail<ValueError>("LinearLR: end_factor must be from 0 to 1, but is ", end_factor);
    this->apply();
  }
  double next(double lr, std::size_t) const {
    const std::int64_t e = this->epoch_;
    if (e == 0) return lr * start_;
    if (e > total_) return lr;
    return lr * (1 + (end_ - start_) / (double(total_) * start_ + double(e - 1) * (end_ - start_)));
  }

 private:
  double start_, end_;
  std::int64_t total_;
};

// The initial rate times factor(epoch).
template <class Opt, class F>
class LambdaLR : public LRScheduler<LambdaLR<Opt, F>, Opt> {
 public:
  LambdaLR(Opt& opt, F factor) : LRScheduler<LambdaLR, Opt>(opt), factor_(std::move(factor)) { this->apply(); }
  double next(double, std::size_t group) const { return this->base(group) * factor_(this->epoch_); }

 private:
  F factor_;
};

// A factor for LambdaLR: up in a line for warmup_steps, then down half a cosine to min_ratio at total_steps.
inline auto warmup_cosine(std::int64_t warmup_steps, std::int64_t total_steps, double min_ratio = 0) {
  return [=](std::int64_t t) {
    if (t < warmup_steps) return double(t + 1) / double(warmup_steps);
    const double p = std::min(1.0, double(t - warmup_steps) / double(std::max<std::int64_t>(1, total_steps - warmup_steps)));
    return min_ratio + (1 - min_ratio) * (1 + std::cos(pi * p)) / 2;
  };
}

}  // namespace optim
}  // namespace sinter
