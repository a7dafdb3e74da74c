// SPDX-License-Identifier: MIT
// The learning rate falls where a metric has stopped getting better.
// https://pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
#pragma once

#include <limits>

#include "sinter/optim/lr_scheduler.hpp"

namespace sinter {
namespace optim {

class ReduceLROnPlateauOptions {
 public:
  const std::string& mode() const { return mode_; }
  double factor() const { return factor_; }
  std::int64_t patience() const { return patience_; }
  double threshold() const { return threshold_; }
  const std::string& threshold_mode() const { return threshold_mode_; }
  std::int64_t cooldown() const { return cooldown_; }
  double min_lr() const { return min_lr_; }
  double eps() const { return eps_; }
  ReduceLROnPlateauOptions& mode(std::string v) { return mode_ = std::move(v), *this; }  // "min" or "max"
  ReduceLROnPlateauOptions& factor(double v) { return factor_ = v, *this; }
  ReduceLROnPlateauOptions& patience(std::int64_t v) { return patience_ = v, *this; }
  ReduceLROnPlateauOptions& threshold(double v) { return threshold_ = v, *this; }
  ReduceLROnPlateauOptions& threshold_mode(std::string v) { return threshold_mode_ = std::move(v), *this; }  // "rel" or "abs"
  ReduceLROnPlateauOptions& cooldown(std::int64_t v) { return cooldown_ = v, *this; }
  ReduceLROnPlateauOptions& min_lr(double v) { return min_lr_ = v, *this; }
  ReduceLROnPlateauOptions& eps(double v) { return eps_ = v, *this; }

 private:
  std::string mode_ = "min", threshold_mode_ = "rel";
  double factor_ = 0.1, threshold_ = 1e-4, min_lr_ = 0, eps_ = 1e-8;
  std::int64_t patience_ = 10, cooldown_ = 0;
};

template <class Opt>
class ReduceLROnPlateau : public LRScheduler<ReduceLROnPlateau<Opt>, Opt> {
 public:
  explicit ReduceLROnPlateau(Opt& opt, const ReduceLROnPlateauOptions& o = {})
      : LRScheduler<ReduceLROnPlateau, Opt>(opt), options_(o) {
    if (!(o.factor() < 1)) fail<ValueError>("ReduceLROnPlateau: factor must be below 1, but is ", o.factor());
    if (o.mode() != "min" && o.mode() != "max")
      fail<ValueError>("ReduceLROnPlateau: mode must be \"min\" or \"max\", but is \"", o.mode(), '"');
    if (o.threshold_mode() != "rel" && o.threshold_mode() != "abs")
      fail<ValueError>("ReduceLROnPlateau: threshold_mode must be \"rel\" or \"abs\", but is \"", o.threshold_mode(), '"');
    best_ = o.mode() == "min" ? std::numeric_limits<double>::infinity() : -std::numeric_limits<double>::infinity();
  }

  void step(double metric) {
    ++this->epoch_;
    if (better(metric)) {
      best_ = metric;
      bad_ = 0;
    } else {
      ++bad_;
    }
    if (wait_ > 0) {
      --wait_;
      bad_ = 0;
    }
    if (bad_ <= options_.patience()) return;
    this->apply();
    wait_ = options_.cooldown();
    bad_ = 0;
  }
  double next(double lr, std::size_t) const {
    const double lower = std::max(lr * options_.factor(), options_.min_lr());
    return lr - lower > options_.eps() ? lower : lr;
  }
  template <class V>
  void visit(V&& v) {
    v("best", best_), v("num_bad_epochs", bad_), v("cooldown_counter", wait_);
  }

 private:
  bool better(double metric) const {
    const bool relative = options_.threshold_mode() == "rel";
    const double t = options_.threshold();
    if (options_.mode() == "min") return metric < (relative ? best_ * (1 - t) : best_ - t);
    return metric > (relative ? best_ * (1 + t) : best_ + t);
  }
  ReduceLROnPlateauOptions options_;
  double best_ = 0;
  std::int64_t bad_ = 0, wait_ = 0;
};

}  // namespace optim
}  // namespace sinter
