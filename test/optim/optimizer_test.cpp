// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <type_traits>

#include "sinter/optim/adagrad.hpp"
#include "sinter/optim/adamw.hpp"
#include "sinter/optim/clip.hpp"
#include "sinter/optim/rmsprop.hpp"
#include "sinter/optim/sgd.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

namespace {

// 37 elements: full lane blocks and a remainder, at any width.
template <class T>
Tensor<T, 1> start() {
  Tensor<T, 1> p = empty<T>({37});
  for (int i = 0; i < 37; ++i) p.data()[i] = T(std::cos(double(i)));
  return p.requires_grad_();
}
template <class T>
void set_gradient(Tensor<T, 1>& p, int step) {
  Tensor<T, 1> g = empty<T>({37});
  for (int i = 0; i < 37; ++i) g.data()[i] = T(std::sin(0.7 * i + step));
  p.set_grad(g);
}

// Elements 0, 17 and 36 after five steps, from PyTorch 2.4.1 in double.
template <class T, class Opt>
void follows_in(const typename Opt::Options& options, const double (&expected)[3], double tolerance) {
  auto p = start<T>();
  Opt opt({p}, options);
  const auto before = p.version();
  for (int s = 0; s < 5; ++s) {
    set_gradient(p, s);
    opt.step();
  }
  CHECK(p.version() == before + 5);
  const int at[] = {0, 17, 36};
  for (int k = 0; k < 3; ++k) CHECK(double(p.data()[at[k]]) == Approx(expected[k]).epsilon(tolerance));
}
template <class Opt>
void follows(const typename Opt::Options& options, const double (&expected)[3]) {
  follows_in<double, Opt>(options, expected, 1e-13);
  follows_in<float, Opt>(options, expected, 2e-5);
  follows_in<bfloat16, Opt>(options, expected, 0.06);
  follows_in<half, Opt>(options, expected, 0.02);
}

}  // namespace

TEST_CASE("optimizers follow PyTorch's") {
  follows<optim::SGD>(optim::SGDOptions(0.1), {0.886491407561448, -0.396500097694939, -0.237724307718588});
  follows<optim::SGD>(optim::SGDOptions(0.1).momentum(0.9).dampening(0.3), {0.659146181557956, -0.368035872756552, -0.487080820301877});
  follows<optim::SGD>(optim::SGDOptions(0.03).momentum(0.5).nesterov(true).weight_decay(0.01), {0.923993604492186, -0.340964959739808, -0.199780483389173});
  follows<optim::Adam>(optim::AdamOptions(), {0.997361365777817, -0.275333470449147, -0.131645268174573});
  follows<optim::Adam>(optim::AdamOptions(0.03).betas({0.8, 0.95}).eps(1e-4).amsgrad(true), {0.922389310295651, -0.28725189961155, -0.235910292830416});
  follows<optim::Adam>(optim::AdamOptions().weight_decay(0.01), {0.996329099155201, -0.275318447197632, -0.131641310663608});
  follows<optim::AdamW>(optim::AdamWOptions(0.03), {0.919384316745268, -0.27988472966098, -0.238139062249905});
  follows<optim::AdamW>(optim::AdamWOptions(0.03).weight_decay(0.1).amsgrad(true), {0.906354389796486, -0.276462188785575, -0.235703786544732});
  follows<optim::RMSprop>(optim::RMSpropOptions(), {0.867386034069988, -0.341892790757875, -0.350116469930431});
  follows<optim::RMSprop>(optim::RMSpropOptions(0.1).momentum(0.7).alpha(0.9), {-0.207483860763942, -0.615005098777677, -2.15448091179575});
  follows<optim::RMSprop>(optim::RMSpropOptions(0.03).centered(true).eps(1e-3).weight_decay(0.01), {0.451114283730369, -0.47241595116292, -0.751221299407853});
  follows<optim::RMSprop>(optim::RMSpropOptions(0.03).centered(true).momentum(0.7).eps(1e-3), {-0.140871225283393, -0.559830184338306, -1.94396896038973});
  follows<optim::Adagrad>(optim::AdagradOptions(), {0.986717247307032, -0.281777252199875, -0.150204366950599});
  follows<optim::Adagrad>(optim::AdagradOptions(0.1).lr_decay(0.1).initial_accumulator_value(0.2).eps(1e-5).weight_decay(0.01), {0.885988508569622, -0.321260948458165, -0.245826127190898});
}

TEST_CASE("parameters that are not dense, a gradient that is not, and parameters without one") {
  auto base = zeros<double>({3, 4});
  Tensor<double, 2> p = base.t().detach();
  p.requires_grad_();
  auto idle = ones<double>({2}).requires_grad_();
  auto grads = empty<double>({3, 4});
  for (int i = 0; i < 12; ++i) grads.data()[i] = i;
  p.set_grad(grads.t());
  optim::SGD opt({p, idle}, optim::SGDOptions(1));
  opt.step();
  for (int i = 0; i < 12; ++i) CHECK(base.data()[i] == -i);  // both lie transposed alike
  CHECK(idle.data()[0] == 1);
  p.set_grad(grads.t().contiguous());
  opt.step();
  for (int i = 0; i < 12; ++i) CHECK(base.data()[i] == -2 * i);
  opt.zero_grad();
  CHECK_FALSE(p.grad().defined());
}

TEST_CASE("one large parameter gives the same bits at one and two threads, and as many small ones do") {
  const auto run = [](int threads) {
    const int before = get_num_threads();
    set_num_threads(threads);
    Generator g(7);
    auto p = randn<float>({70001}, g).requires_grad_();
    auto q = randn<float>({13}, g).requires_grad_();
    optim::AdamW opt({p, q}, optim::AdamWOptions(0.1));
    for (int s = 0; s < 3; ++s) {
      p.set_grad(randn<float>({70001}, g));
      q.set_grad(randn<float>({13}, g));
      opt.step();
    }
    set_num_threads(before);
    return p.detach();
  };
  const auto one = run(1), two = run(2);
  CHECK(std::memcmp(one.data(), two.data(), 70001 * sizeof(float)) == 0);
}

TEST_CASE("a step with ClipGradNorm is clip_grad_norm_ and a step, but for .grad()") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  for (const double max_norm : {0.0, 0.5, 3.0, 1e6})
    for (const double type : {2.0, 1.0, 3.0, inf}) {
      auto a = start<float>(), b = start<float>();
      auto c = start<double>(), d = start<double>();
      optim::AdamW fused({a}, optim::AdamWOptions(0.1)), plain({b}, optim::AdamWOptions(0.1));
      fused.add_param_group({c}), plain.add_param_group({d});
      for (int s = 0; s < 3; ++s) {
        set_gradient(a, s), set_gradient(b, s), set_gradient(c, s + 1), set_gradient(d, s + 1);
        const double norm = fused.step(optim::ClipGradNorm(max_norm).norm_type(type));
        CHECK(norm == clip_grad_norm_({b, d}, max_norm, type));
        CHECK(a.grad().data()[1] == float(std::sin(0.7 + s)));
        plain.step();
      }
      for (int i = 0; i < 37; ++i) {
        CHECK(a.data()[i] == Approx(b.data()[i]).epsilon(1e-6).margin(1e-7));
        CHECK(c.data()[i] == Approx(d.data()[i]).epsilon(1e-13).margin(1e-14));
      }
    }
  auto p = start<float>();
  set_gradient(p, 0);
  p.grad().data()[3] = NAN;
  optim::SGD opt({p}, optim::SGDOptions(1));
  const float before = p.data()[0];
  CHECK_THROWS_AS(opt.step(optim::ClipGradNorm(1).error_if_nonfinite(true)), ValueError);
  CHECK_THROWS_WITH(opt.step(optim::ClipGradNorm(-2)), Catch::Contains("-2"));
  CHECK(p.data()[0] == before);
  CHECK(std::isnan(opt.step(optim::ClipGradNorm(1))));
  CHECK(std::isnan(p.data()[0]));
}

TEST_CASE("an element's bits do not depend on its place, nor on the parameters around it") {
  Generator g(11);
  const Tensor<float, 1> values = randn<float>({20011}, g), slopes = randn<float>({20011}, g);
  auto whole = values.clone().requires_grad_();
  whole.set_grad(slopes.clone());
  optim::Adam one({whole}, optim::AdamOptions(0.1).weight_decay(0.1));
  std::vector<Tensor<float, 1>> parts;
  for (std::int64_t at = 0, n = 0; at < 20011; at += n) {
    n = std::min<std::int64_t>((at * 7 + 1) % 8200, 20011 - at);  // some of no elements, some of more than a chunk
    if (n == 0) parts.push_back(empty<float>({0}).requires_grad_()), parts.back().set_grad(empty<float>({0})), n = 5;
    parts.push_back(values.narrow(0, at, n).eval().clone().requires_grad_());
    parts.back().set_grad(slopes.narrow(0, at, n).eval().clone());
  }
  optim::Adam many(optim::ParameterList(parts), optim::AdamOptions(0.1).weight_decay(0.1));
  for (int s = 0; s < 2; ++s) one.step(optim::ClipGradNorm(2)), many.step(optim::ClipGradNorm(2));
  std::int64_t at = 0;
  bool same = true;
  for (const auto& part : parts) {
    same = same && std::memcmp(part.data(), whole.data() + at, std::size_t(part.numel()) * sizeof(float)) == 0;
    at += part.numel();
  }
  CHECK(at == 20011);
  CHECK(same);
}

TEST_CASE("groups have their own options, and a parameter is in one") {
  auto a = ones<double>({2}).requires_grad_();
  auto b = ones<float>({2, 2}).requires_grad_();
  optim::SGD opt({a}, optim::SGDOptions(0.5));
  opt.add_param_group({b}, optim::SGDOptions(0.25));
  a.set_grad(ones<double>({2}));
  b.set_grad(ones({2, 2}));
  opt.step();
  CHECK(a.data()[0] == 0.5);
  CHECK(b.data()[3] == 0.75f);
  CHECK_THROWS_WITH(opt.add_param_group({a}), Catch::Contains("is in two groups"));
  CHECK_THROWS_AS(opt.add_param_group({}), ValueError);
  CHECK(opt.groups().size() == 2);
  opt.set_lr(0.125);
  CHECK(opt.lr() == 0.125);
  CHECK(opt.groups()[1].options.lr() == 0.125);
  optim::SGD tied({a, a}, optim::SGDOptions(0.5));  // weights that are tied move once
  tied.step();
  CHECK(a.data()[0] == 0.0);
}

TEST_CASE("wrong options are refused by name and value") {
  auto p = ones({2}).requires_grad_();
  CHECK_THROWS_WITH(optim::SGD({p}, optim::SGDOptions(-0.1)), "SGD: invalid lr value: -0.1");
  CHECK_THROWS_WITH(optim::Adam({p}, optim::AdamOptions(-0.1)), "Adam: invalid lr value: -0.1");
  CHECK_THROWS_WITH(optim::AdamW({p}, optim::AdamWOptions().eps(-1)), "AdamW: invalid eps value: -1");
  CHECK_THROWS_WITH(optim::Adam({p}, optim::AdamOptions().betas({1.5, 0.9})), "Adam: invalid first beta value: 1.5");
  CHECK_THROWS_WITH(optim::Adam({p}, optim::AdamOptions().betas({0.5, 1.0})), "Adam: invalid second beta value: 1");
  CHECK_THROWS_WITH(optim::SGD({p}, optim::SGDOptions(0.1).momentum(-0.5)), "SGD: invalid momentum value: -0.5");
  CHECK_THROWS_WITH(optim::SGD({p}, optim::SGDOptions(0.1).nesterov(true)), Catch::Contains("nesterov"));
  CHECK_THROWS_WITH(optim::SGD({p}, optim::SGDOptions(0.1).nesterov(true).momentum(0.9).dampening(0.5)), Catch::Contains("0.5"));
  CHECK_THROWS_WITH(optim::RMSprop({p}, optim::RMSpropOptions().alpha(-1)), "RMSprop: invalid alpha value: -1");
  CHECK_THROWS_WITH(optim::Adagrad({p}, optim::AdagradOptions(-0.1)), "Adagrad: invalid lr value: -0.1");
  CHECK_THROWS_AS(optim::SGD({p}, optim::SGDOptions(NAN)), ValueError);
  CHECK_THROWS_WITH(optim::SGD({zeros<std::int64_t>({2})}), Catch::Contains("int64"));
  CHECK_THROWS_WITH(optim::SGD({Tensor<float, 1>(p * 2)}), Catch::Contains("not a leaf"));
  CHECK_THROWS_AS(optim::SGD({Tensor<float, 1>()}), ValueError);
}

TEST_CASE("a gradient of another shape changes nothing") {
  auto p = ones({2}).requires_grad_(), q = ones({3}).requires_grad_();
  p.set_grad(ones({2}));
  q.impl->grad = ones({4}).impl;
  optim::Adam opt({p, q});
  CHECK_THROWS_WITH(opt.step(), Catch::Contains("[3]") && Catch::Contains("[4]"));
  CHECK(p.data()[0] == 1);
}

TEST_CASE("an optimizer goes on from its state dict as if it had not stopped") {
  const optim::AdamOptions options = optim::AdamOptions(0.03).amsgrad(true);
  auto p = start<float>(), q = start<float>();
  optim::Adam whole({p}, options), first({q}, options);
  for (int s = 0; s < 4; ++s) {
    set_gradient(p, s);
    whole.step();
  }
  for (int s = 0; s < 2; ++s) {
    set_gradient(q, s);
    first.step();
  }
  const StateDict saved = first.state_dict();
  CHECK(saved.contains("state.0.max_exp_avg_sq"));
  CHECK(saved.contains("param_groups.0.beta1"));
  set_gradient(q, 9);  // what comes after the snapshot is not in it
  auto kept = q.detach().clone();
  first.step();
  q.detach().copy_(kept);
  optim::Adam second({q}, optim::AdamOptions(1));
  second.load_state_dict(saved);
  CHECK(second.lr() == 0.03);
  for (int s = 2; s < 4; ++s) {
    set_gradient(q, s);
    second.step();
  }
  CHECK(std::memcmp(p.data(), q.data(), 37 * sizeof(float)) == 0);

  auto other = ones({5}).requires_grad_();
  optim::Adam wrong({other});
  CHECK_THROWS_WITH(wrong.load_state_dict(saved), Catch::Contains("state.0.exp_avg") && Catch::Contains("[37]") && Catch::Contains("[5]"));
  CHECK(wrong.lr() == 1e-3);
  CHECK_THROWS_WITH(wrong.load_state_dict(StateDict()), Catch::Contains("param_groups.0.lr"));
  StateDict more = optim::Adam({other}).state_dict();
  more.insert("state.7.step", optim::state_scalar(1));
  CHECK_THROWS_WITH(wrong.load_state_dict(more), Catch::Contains("1 of 7"));
}

TEST_CASE("modules and lists of tensors are taken alike; zero-size parameters are fine") {
  struct Module {
    Tensor<float, 1> w = ones({0}).requires_grad_();
    std::vector<Ref<TensorImpl>> parameters() { return {w.impl}; }
  } module;
  module.w.set_grad(ones({0}));
  optim::Adam opt(module, optim::AdamOptions(0.5));
  opt.step();
  std::vector<Tensor<float, 1>> list{ones({2}), ones({3})};
  CHECK(optim::SGD(list, 0.1).groups()[0].params.size() == 2);
}
