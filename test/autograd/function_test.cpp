// SPDX-License-Identifier: MIT
// Users' ops in two lambdas, and record() as the library's own ops use it.
#include "sinter/autograd/function.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/create.hpp"
#include "values.hpp"

using namespace sinter;
using Catch::Matchers::Contains;

namespace {
auto cube() {
  return autograd::function("cube", [](auto x) { return eval(x * x * x); }, [](auto g, auto, auto x) { return std::tuple(eval(g * 3 * x * x)); });
}
}  // namespace

TEST_CASE("forward and backward in two lambdas") {
  manual_seed(1);
  REQUIRE(gradcheck(cube(), randn<double>({2, 3})));
  const auto hypot = autograd::function(
      "hypot", [](auto a, auto b) { return sqrt(a * a + b * b); },
      [](auto g, auto out, auto a, auto b) { return std::tuple(eval(g * a / out), eval(g * b / out)); });
  REQUIRE(gradcheck(hypot, randn<double>({4}), randn<double>({4})));
  REQUIRE(values(hypot(tensor({3.f}), tensor({4.f}))) == V{5});
  auto x = tensor<double>({2.}).requires_grad_();
  sum(cube()(x * 2) + x).backward();  // of an expression, inside one
  REQUIRE(values(x.grad()) == V{3 * 16 * 2 + 1});
}

TEST_CASE("an op records only where something requires a gradient") {
  auto x = tensor<double>({2.}).requires_grad_();
  REQUIRE(cube()(x).requires_grad());
  REQUIRE_FALSE(cube()(x.detach()).requires_grad());
  REQUIRE_FALSE(no_grad([&] { return cube()(x); }).requires_grad());
}

TEST_CASE("what the lambdas saved is freed, and checked for changes") {
  auto x = tensor<double>({2.}).requires_grad_();
  Tensor<double, 1> h = x * 1;
  const Ref<Storage> storage = h.impl->storage;
  Tensor<double, 1> y = cube()(h);
  h += 1;
  REQUIRE_THROWS_WITH(sum(y).backward(), Contains("cube") && Contains("changed in place"));
  h = Tensor<double, 1>();
  Tensor<double, 1> z = cube()(x * 1);
  sum(z).backward();
  REQUIRE_THROWS_WITH(sum(z).backward(), Contains("second time"));
}

TEST_CASE("a gradient of the wrong shape is refused by name") {
  const auto bad = autograd::function("bad", [](auto x) { return eval(x * 2); }, [](auto, auto, auto) { return std::tuple(zeros<double>({3})); });
  auto x = tensor<double>({1., 2.}).requires_grad_();
  REQUIRE_THROWS_WITH(sum(bad(x)).backward(), Contains("bad") && Contains("[3]") && Contains("[2]"));
}

TEST_CASE("needs says which inputs want a gradient; others may stay undefined") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  const auto w = tensor<double>({3., 4.});
  bool needed[2] = {};
  const Tensor<double, 1> out = record("product", no_grad([&] { return eval(x * w); }), [&](const Tensor<double, 1>& g, const auto& needs) {
    needed[0] = needs[0], needed[1] = needs[1];
    return std::tuple(eval(g * w), Tensor<double, 1>());
  }, x, w);
  sum(out).backward();
  REQUIRE(needed[0]);
  REQUIRE_FALSE(needed[1]);
  REQUIRE(values(x.grad()) == V{3, 4});
}

TEST_CASE("an exception in the backward lambda reaches the caller") {
  int tries = 0;
  const auto thrower = autograd::function("thrower", [](auto x) { return eval(x * 2); }, [&](auto g, auto, auto) {
    if (tries++ == 0) throw std::runtime_error("mine");
    return std::tuple(eval(g * 2));
  });
  auto x = tensor<double>({1.}).requires_grad_();
  const Tensor<double, 0> y = sum(thrower(x));
  REQUIRE_THROWS_WITH(y.backward(true), Contains("mine"));
  REQUIRE_FALSE(x.grad().defined());
  y.backward();
  REQUIRE(values(x.grad()) == V{2});
}
