// SPDX-License-Identifier: MIT
// Expected rates are PyTorch 2.4.1's, for an initial rate of 0.5.
#include <catch2/catch.hpp>

#include "sinter/optim/adam.hpp"
#include "sinter/optim/one_cycle.hpp"
#include "sinter/optim/plateau.hpp"
#include "sinter/optim/rmsprop.hpp"
#include "sinter/optim/sgd.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;
using namespace sinter::optim;

namespace {

SGD half_rate() { return SGD({ones({1}).requires_grad_()}, SGDOptions(0.5).momentum(0.9)); }

template <class Make>
void check_rates(Make make, const std::vector<double>& expected) {
  SGD opt = half_rate();
  auto scheduler = make(opt);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (i > 0) scheduler.step();
    CHECK(opt.lr() == Approx(expected[i]).epsilon(1e-10));
    CHECK(scheduler.last_epoch() == std::int64_t(i));
    CHECK(scheduler.get_last_lr()[0] == opt.lr());
  }
}

}  // namespace

TEST_CASE("rates follow PyTorch's") {
  check_rates([](SGD& o) { return StepLR(o, 3, 0.5); }, {0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125, 0.125});
  check_rates([](SGD& o) { return MultiStepLR(o, {2, 4, 4}); }, {0.5, 0.5, 0.05, 0.05, 0.0005, 0.0005, 0.0005});
  check_rates([](SGD& o) { return ExponentialLR(o, 0.9); }, {0.5, 0.45, 0.405, 0.3645, 0.32805});
  check_rates([](SGD& o) { return CosineAnnealingLR(o, 4, 0.01); },
              {0.5, 0.428241161391, 0.255, 0.0817588386093, 0.01, 0.0817588386093, 0.255, 0.428241161391, 0.5, 0.428241161391, 0.255});
  check_rates([](SGD& o) { return LinearLR(o); }, {0.166666666667, 0.233333333333, 0.3, 0.366666666667, 0.433333333333, 0.5, 0.5, 0.5});
  check_rates([](SGD& o) { return LinearLR(o, 0.5, 0.1, 3); }, {0.25, 0.183333333333, 0.116666666667, 0.05, 0.05, 0.05});
  check_rates([](SGD& o) { return LambdaLR(o, [](std::int64_t e) { return 1.0 / double(1 + e); }); }, {0.5, 0.25, 0.5 / 3});
  check_rates([](SGD& o) { return LambdaLR(o, warmup_cosine(2, 4, 0.1)); }, {0.25, 0.5, 0.5, 0.275, 0.05, 0.05});
}

TEST_CASE("one cycle of rate and momentum") {
  const double rates[] = {0.04, 0.819275104892, 0.971941777388, 0.81174565395, 0.555984014123, 0.283060998209, 0.0766415938343, 4e-06};
  const double momenta[] = {0.95, 0.868825509907, 0.852805833485, 0.868825509907, 0.894401776195, 0.921694186956, 0.942336209961, 0.95};
  SGD opt = half_rate();
  OneCycleLR cycle(opt, 1.0, 8);
  Adam adam({ones({1}).requires_grad_()});
  OneCycleLR other(adam, 1.0, 8);
  for (int i = 0; i < 8; ++i) {
    if (i > 0) cycle.step(), other.step();
    CHECK(opt.lr() == Approx(rates[i]).epsilon(1e-10));
    CHECK(opt.groups()[0].options.momentum() == Approx(momenta[i]).epsilon(1e-10));
    CHECK(adam.groups()[0].options.betas().first == Approx(momenta[i]).epsilon(1e-10));
  }
  cycle.step();
  CHECK_THROWS_WITH(cycle.step(), Catch::Contains("step 9 of a schedule of 8"));
  CHECK(cycle.last_epoch() == 8);

  SGD three = half_rate();
  OneCycleLR phases(three, 1.0, 10, OneCycleLROptions().three_phase(true).anneal_strategy("linear").pct_start(0.4));
  const double expected[] = {0.04, 0.36, 0.68, 1, 0.68, 0.36, 0.04, 0.026668, 0.013336, 4e-06};
  const double momentum[] = {0.95, 0.916666666667, 0.883333333333, 0.85, 0.883333333333, 0.916666666667, 0.95, 0.95, 0.95, 0.95};
  for (int i = 0; i < 10; ++i) {
    if (i > 0) phases.step();
    CHECK(three.lr() == Approx(expected[i]).epsilon(1e-10));
    CHECK(three.groups()[0].options.momentum() == Approx(momentum[i]).epsilon(1e-10));
  }
}

TEST_CASE("rates fall on a plateau") {
  const double metrics[] = {1, 0.9, 0.9, 0.95, 0.93, 0.92, 0.91, 0.9, 0.5, 0.6, 0.6, 0.6, 0.6};
  const double expected[] = {0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125, 0.125, 0.125, 0.1, 0.1, 0.1};
  SGD opt = half_rate();
  ReduceLROnPlateau plateau(opt, ReduceLROnPlateauOptions().factor(0.5).patience(1).cooldown(1).min_lr(0.1));
  for (int i = 0; i < 13; ++i) {
    plateau.step(metrics[i]);
    CHECK(opt.lr() == Approx(expected[i]));
    if (i == 5) {  // stop and go on
      const StateDict saved = plateau.state_dict();
      plateau.step(5), plateau.step(5), plateau.step(5);
      opt.set_lr(expected[i]);
      plateau.load_state_dict(saved);
    }
  }
  SGD up = half_rate();
  ReduceLROnPlateau highest(up, ReduceLROnPlateauOptions().mode("max").factor(0.5).patience(0).threshold(0.1).threshold_mode("abs"));
  for (int i = 0; i < 13; ++i) {
    highest.step(metrics[i]);
    CHECK(up.lr() == Approx(0.5 * std::pow(0.5, i)));
  }
}

TEST_CASE("schedules are combined, saved and checked") {
  SGD opt = half_rate();
  LinearLR warm(opt, 0.5, 1.0, 2);
  ExponentialLR fall(opt, 0.5);
  warm.step(), fall.step();
  CHECK(opt.lr() == Approx(0.5 * 0.75 * 0.5));

  StepLR steps(opt, 2);
  steps.step();
  const StateDict saved = steps.state_dict();
  SGD again = half_rate();
  StepLR resumed(again, 2);
  resumed.load_state_dict(saved);
  resumed.step();
  CHECK(again.lr() == Approx(0.05));
  CHECK_THROWS_AS(resumed.load_state_dict(StateDict()), Error);

  CHECK_THROWS_WITH(StepLR(opt, 0), Catch::Contains("0"));
  CHECK_THROWS_AS(CosineAnnealingLR(opt, 0), ValueError);
  CHECK_THROWS_AS(LinearLR(opt, 1.5), ValueError);
  CHECK_THROWS_AS(OneCycleLR(opt, 1.0, 0), ValueError);
  CHECK_THROWS_AS(OneCycleLR(opt, 1.0, 5, OneCycleLROptions().anneal_strategy("cubic")), ValueError);
  CHECK_THROWS_AS(ReduceLROnPlateau(opt, ReduceLROnPlateauOptions().factor(1)), ValueError);
  RMSprop plain({ones({1}).requires_grad_()});
  CHECK_NOTHROW(OneCycleLR(plain, 1.0, 5));
}
