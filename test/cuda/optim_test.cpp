// SPDX-License-Identifier: MIT
// Optimizers on a device against the same optimizers on the CPU; gradient norms; masters; saved state; recorded steps.

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "schedules.hpp"
#include "sinter/optim/adagrad.hpp"
#include "sinter/optim/adamw.hpp"
#include "sinter/optim/clip.hpp"
#include "sinter/optim/lr_scheduler.hpp"
#include "sinter/optim/rmsprop.hpp"
#include "sinter/optim/sgd.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

namespace {

std::mt19937 rng(7);

template <class T>
Tensor<T, 1> random_of(std::int64_t n, double spread = 1) {
  std::normal_distribution<float> normal(0, float(spread));
  Tensor<T, 1> t = empty<T>({n});
  for (std::int64_t i = 0; i < n; ++i) t.data()[i] = T(normal(rng));
  return t;
}
template <class T>
void same(const Tensor<T, 1>& there, const Tensor<T, 1>& here, double tolerance) {
  const Tensor<T, 1> t = there.cpu();
  for (std::int64_t i = 0; i < here.numel(); ++i)
    if (std::abs(double(t.data()[i]) - double(here.data()[i])) > tolerance * (1 + std::abs(double(here.data()[i])))) {
      CAPTURE(i);
      CHECK(double(t.data()[i]) == double(here.data()[i]));
      return;
    }
  CHECK(true);
}

// The same parameters twice, of the sizes that end within a pack, a chunk, or nowhere.
template <class T>
struct Twins {
  std::vector<Tensor<T, 1>> here, there;
  Twins() {
    for (std::int64_t n : {1, 4099, 0, 37, 8192, 5}) {
      const Tensor<T, 1> p = random_of<T>(n);
      here.push_back(p.clone().requires_grad_());
      there.push_back(p.cuda().requires_grad_());
    }
  }
  void gradients(bool all = true) {
    for (std::size_t i = 0; i < here.size(); ++i) {
      if (!all && i == 1) continue;
      const Tensor<T, 1> g = random_of<T>(here[i].numel());
      here[i].set_grad(g), there[i].set_grad(g.cuda());
    }
  }
  void agree(double tolerance) const {
    for (std::size_t i = 0; i < here.size(); ++i) same(there[i].detach(), here[i].detach(), tolerance);
  }
};

template <class T, class Opt>
void follows(const typename Opt::Options& options, double tolerance) {
  Twins<T> t;
  auto plain = options;
  plain.master_weights(false);  // as on the CPU
  Opt here(t.here, plain), there(t.there, plain);
  for (int s = 0; s < 4; ++s) {
    t.gradients(s != 0);  // one parameter begins later than the others
    if (s == 2) {
      const double norm = here.step(optim::ClipGradNorm(0.5));
      const optim::GradNorm on_device = there.step(optim::ClipGradNorm(0.5));
      CHECK(double(on_device) == Approx(norm).epsilon(1e-12));
    } else {
      here.step(), there.step();
    }
  }
  t.agree(tolerance);
}
template <class Opt>
void follows(const typename Opt::Options& options) {
  follows<float, Opt>(options, 1e-6);
  follows<bfloat16, Opt>(options, 1e-2);
  if constexpr (std::is_same_v<Opt, optim::AdamW> || std::is_same_v<Opt, optim::SGD>) {  // one template for all optimizers
    follows<double, Opt>(options, 1e-14);
    follows<half, Opt>(options, 2e-3);
  }
}

}  // namespace

TEST_CASE("optimizers on a device follow those on the CPU") {
  follows<optim::SGD>(optim::SGDOptions(0.1).weight_decay(0.02));
  follows<optim::SGD>(optim::SGDOptions(0.1).momentum(0.9).dampening(0.3));
  follows<optim::SGD>(optim::SGDOptions(0.1).momentum(0.9).nesterov(true));
  follows<optim::Adam>(optim::AdamOptions(0.03).weight_decay(0.1));
  follows<optim::Adam>(optim::AdamOptions(0.03).amsgrad(true));
  follows<optim::AdamW>(optim::AdamWOptions(0.03).weight_decay(0.1));
  follows<optim::AdamW>(optim::AdamWOptions(0.03).amsgrad(true));
  follows<optim::RMSprop>(optim::RMSpropOptions(0.01));
  follows<optim::RMSprop>(optim::RMSpropOptions(0.01).momentum(0.5));
  follows<optim::RMSprop>(optim::RMSpropOptions(0.01).centered(true));
  follows<optim::RMSprop>(optim::RMSpropOptions(0.01).centered(true).momentum(0.5));
  follows<optim::Adagrad>(optim::AdagradOptions(0.1).lr_decay(0.1).initial_accumulator_value(0.3));
}

TEST_CASE("steps and norms are the same bits in every order of threads") {
  same_under_all_schedules([] {
    rng.seed(3);
    Twins<float> t;
    optim::AdamW opt(t.there, optim::AdamWOptions(0.03));
    std::vector<double> all;
    for (int s = 0; s < 2; ++s) t.gradients(), all.push_back(opt.step(optim::ClipGradNorm(0.5)));
    for (const auto& p : t.there) {
      const Tensor<float, 1> here = p.detach().cpu();
      all.insert(all.end(), here.data(), here.data() + here.numel());
    }
    return all;
  });
}

TEST_CASE("groups have numbers of their own, in one table") {
  Twins<float> t;
  const auto half_of = [](const std::vector<Tensor<float, 1>>& v, bool second) {
    return std::vector<Tensor<float, 1>>(v.begin() + (second ? 3 : 0), v.begin() + (second ? 6 : 3));
  };
  optim::AdamW here(half_of(t.here, false), optim::AdamWOptions(0.1)), there(half_of(t.there, false), optim::AdamWOptions(0.1));
  t.gradients();
  here.step(), there.step();
  const auto other = optim::AdamWOptions(0.01).weight_decay(0.5);
  here.add_param_group(half_of(t.here, true), other), there.add_param_group(half_of(t.there, true), other);
  for (int s = 0; s < 2; ++s) t.gradients(), here.step(), there.step();
  t.agree(1e-6);
}

TEST_CASE("norms of gradients on a device") {
  const double inf = std::numeric_limits<double>::infinity();
  for (double kind : {2.0, 1.0, 0.0, 3.0, inf}) {
    Twins<float> t;
    t.gradients();
    CHECK(double(clip_grad_norm_(t.there, 0.7, kind)) == Approx(double(clip_grad_norm_(t.here, 0.7, kind))).epsilon(1e-10));
    for (std::size_t i = 0; i < t.here.size(); ++i) same(t.there[i].grad(), t.here[i].grad(), 1e-6);
    clip_grad_value_(t.there, 1e-3), clip_grad_value_(t.here, 1e-3);
    for (std::size_t i = 0; i < t.here.size(); ++i) same(t.there[i].grad(), t.here[i].grad(), 0);
  }
  Twins<half> t;
  t.gradients();
  CHECK(double(clip_grad_norm_(t.there, 1)) == Approx(double(clip_grad_norm_(t.here, 1))).epsilon(1e-10));
  Tensor<float, 1> p = zeros({3}, Device::cuda());
  p.set_grad(tensor({1.f, NAN, 3.f}).cuda());
  CHECK_THROWS_AS(clip_grad_norm_({p}, 1, 2, true), ValueError);
  CHECK(std::isnan(double(clip_grad_norm_({p}, 1, inf))));
  std::vector<Tensor<float, 1>> both = {Twins<float>().here[1], Twins<float>().there[3]};
  for (auto& x : both) x.set_grad(x.detach().clone());
  double expected = 0;
  for (auto& x : both)
    for (std::int64_t i = 0; i < x.numel(); ++i) expected += std::pow(double(x.detach().cpu().data()[i]), 2);
  CHECK(double(clip_grad_norm_(both, 1e9)) == Approx(std::sqrt(expected)));
}

TEST_CASE("masters add up what bfloat16 cannot, and give way to who writes") {
  Tensor<bfloat16, 1> p = tensor(std::vector<float>(1000, 1.f)).to<bfloat16>().cuda().requires_grad_();
  Tensor<bfloat16, 1> g = tensor(std::vector<float>(1000, 1.f)).to<bfloat16>().cuda();
  optim::SGD opt({p}, optim::SGDOptions(1e-3));
  for (int s = 0; s < 100; ++s) p.set_grad(g), opt.step();
  CHECK(float(p.detach().cpu().data()[999]) == Approx(0.9f).epsilon(4e-3));
  const StateDict state = opt.state_dict();
  CHECK(state.at("state.0.master_weight")->dtype == DType::float32);
  copy_elements(*p.impl, *tensor(std::vector<float>(1000, 3.f)).impl);
  opt.step();
  CHECK(float(p.detach().cpu().data()[5]) == 3.f);
  optim::SGD rounding({p}, optim::SGDOptions(1e-3).master_weights(false));
  rounding.step();
  CHECK(!rounding.state_dict().contains("state.0.master_weight"));
}

TEST_CASE("state goes to and from devices, and counts on there") {
  Twins<float> t;
  optim::Adam here(t.here, optim::AdamOptions(0.05)), there(t.there, optim::AdamOptions(0.05));
  for (int s = 0; s < 3; ++s) t.gradients(), there.step(), here.step();
  const StateDict state = there.state_dict();
  CHECK(optim::number_of(*state.at("state.1.step")) == 3);
  CHECK(state.at("state.1.exp_avg")->device().is_cuda());
  Twins<float> u;
  for (std::size_t i = 0; i < u.here.size(); ++i) copy_elements(*u.here[i].impl, *t.here[i].impl), copy_elements(*u.there[i].impl, *t.here[i].impl);
  optim::Adam to_here(u.here), to_there(u.there);
  u.gradients();
  to_there.step();  // so that it has state, in whose memory the loaded one goes
  for (std::size_t i = 0; i < u.here.size(); ++i) copy_elements(*u.there[i].impl, *t.here[i].impl);
  to_here.load_state_dict(state), to_there.load_state_dict(here.state_dict());
  u.gradients();
  to_here.step(), to_there.step();
  u.agree(1e-6);
  CHECK(optim::number_of(*to_there.state_dict().at("state.3.step")) == 4);
}

TEST_CASE("a recorded step counts, and follows the schedule") {
  Twins<float> t;
  optim::AdamW here(t.here, optim::AdamWOptions(0.05)), there(t.there, optim::AdamWOptions(0.05));
  optim::ExponentialLR<optim::AdamW> here_lr(here, 0.5), there_lr(there, 0.5);
  t.gradients();
  cuda_backend->begin_capture(0);
  CHECK_THROWS_AS(there.step(), DeviceError);
  cuda_backend->end_capture(0, false);
  const optim::ClipGradNorm clip(1);
  here.step(clip), there.step(clip);
  here_lr.step(), there_lr.step();
  cuda_backend->begin_capture(0);
  const optim::GradNorm norm = there.step(clip);
  void* graph = cuda_backend->end_capture(0, true);
  for (int s = 0; s < 3; ++s) {
    for (std::size_t i = 0; i < t.here.size(); ++i) {
      const Tensor<float, 1> g = random_of<float>(t.here[i].numel());
      t.here[i].set_grad(g);
      copy_elements(*t.there[i].impl->grad, *g.impl);
    }
    const double expected = here.step(clip);
    cuda_backend->launch_graph(graph);
    CHECK(double(norm) == Approx(expected));
    here_lr.step(), there_lr.step();
  }
  t.agree(1e-6);
  CHECK(optim::number_of(*there.state_dict().at("state.0.step")) == 4);
  there.load_state_dict(here.state_dict());  // into the graph's memory
  cuda_backend->launch_graph(graph);
  here.step(clip);
  t.agree(1e-6);
  t.gradients();  // elsewhere, which is none of the graph's business
  here.step(), there.step();
  t.agree(1e-6);
  cuda_backend->destroy_graph(graph);
}
