// SPDX-License-Identifier: MIT
// Learning rate schedules of an SGD optimizer.
#include "sinter/optim/lr_scheduler.hpp"
#include "sinter/optim/one_cycle.hpp"
#include "sinter/optim/plateau.hpp"
#include "sinter/optim/sgd.hpp"

#include "conformance/case.hpp"

namespace conformance {
namespace {

using optim::SGD;

Value series(const std::vector<double>& v) {
  Value t = TensorImpl::empty(DType::float64, Shape{std::int64_t(v.size())});
  std::copy(v.begin(), v.end(), static_cast<double*>(t->data));
  return t;
}
SGD optimizer(const Case& c, double momentum = 0) {
  const Value p = TensorImpl::empty(DType::float32, Shape{std::int64_t(1)});
  p->requires_grad = true;
  return SGD({p}, optim::SGDOptions().lr(c.number("base_lr", 0.1)).momentum(momentum));
}
// make(opt) gives the scheduler; the rates after its construction and after every step.
template <class Make>
void schedule(const char* op, Make make) {
  add(op, [make](Case& c) {
    SGD opt = optimizer(c);
    auto s = make(c, opt);
    std::vector<double> rates{opt.lr()};
    for (std::int64_t i = 0; i < c.integer("steps"); ++i) s.step(), rates.push_back(opt.lr());
    return Values{series(rates)};
  });
}

const bool registered = [] {
  schedule("StepLR", [](Case& c, SGD& o) { return optim::StepLR<SGD>(o, c.integer("step_size"), c.number("gamma", 0.1)); });
  schedule("MultiStepLR", [](Case& c, SGD& o) { return optim::MultiStepLR<SGD>(o, c.ints("milestones"), c.number("gamma", 0.1)); });
  schedule("ExponentialLR", [](Case& c, SGD& o) { return optim::ExponentialLR<SGD>(o, c.number("gamma")); });
  schedule("CosineAnnealingLR", [](Case& c, SGD& o) { return optim::CosineAnnealingLR<SGD>(o, c.integer("T_max"), c.number("eta_min", 0)); });
  schedule("LinearLR", [](Case& c, SGD& o) {
    return optim::LinearLR<SGD>(o, c.number("start_factor", 1.0 / 3), c.number("end_factor", 1), c.integer("total_iters", 5));
  });
  schedule("WarmupCosine", [](Case& c, SGD& o) {
    return optim::LambdaLR(o, optim::warmup_cosine(c.integer("warmup_steps"), c.integer("total_steps"), c.number("min_ratio")));
  });
  add("OneCycleLR", [](Case& c) {
    const bool cycles = c.flag("cycle_momentum", true);
    SGD opt = optimizer(c, cycles ? 0.9 : 0);
    optim::OneCycleLR<SGD> s(opt, c.number("max_lr"), c.integer("total_steps"),
                             optim::OneCycleLROptions().pct_start(c.number("pct_start", 0.3)).anneal_strategy(c.text("anneal_strategy", "cos"))
                                 .cycle_momentum(cycles).div_factor(c.number("div_factor", 25)).final_div_factor(c.number("final_div_factor", 1e4))
                                 .three_phase(c.flag("three_phase", false)));
    std::vector<double> rates{opt.lr()}, momenta{opt.groups()[0].options.momentum()};
    for (std::int64_t i = 0; i < c.integer("steps"); ++i) {
      s.step();
      rates.push_back(opt.lr());
      momenta.push_back(opt.groups()[0].options.momentum());
    }
    return cycles ? Values{series(rates), series(momenta)} : Values{series(rates)};
  });
  add("ReduceLROnPlateau", [](Case& c) {
    SGD opt = optimizer(c);
    optim::ReduceLROnPlateau<SGD> s(opt, optim::ReduceLROnPlateauOptions().mode(c.text("mode", "min")).factor(c.number("factor", 0.1))
                                             .patience(c.integer("patience", 10)).threshold(c.number("threshold", 1e-4))
                                             .threshold_mode(c.text("threshold_mode", "rel")).cooldown(c.integer("cooldown", 0))
                                             .min_lr(c.number("min_lr", 0)));
    std::vector<double> rates{opt.lr()};
    const TensorImpl& metrics = *c.inputs.at(0);
    for (std::int64_t i = 0; i < c.integer("steps"); ++i) {
      s.step(metrics.dtype == DType::float64 ? static_cast<const double*>(metrics.data)[i] : double(static_cast<const float*>(metrics.data)[i]));
      rates.push_back(opt.lr());
    }
    return Values{series(rates)};
  });
  return true;
}();

}  // namespace
}  // namespace conformance
