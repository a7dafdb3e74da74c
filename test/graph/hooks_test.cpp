// SPDX-License-Identifier: MIT
// Hooks on tensors, in-place changes and the versions that detect them.
#include "sinter/graph/record.hpp"

#include <catch2/catch.hpp>

#include "sinter/tensor/create.hpp"
#include "sinter/tensor/index.hpp"
#include "values.hpp"

using namespace sinter;
using Catch::Matchers::Contains;

TEST_CASE("a hook sees the whole gradient of its tensor, once") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  const Tensor<double, 1> y = x * 2;
  std::vector<V> seen;
  y.register_hook([&](const Tensor<double, 1>& g) { seen.push_back(values(g)); });
  sum(y * y + y * 3).backward();
  REQUIRE(seen == std::vector<V>{{7, 11}});
}

TEST_CASE("a hook may replace the gradient; hooks run in the order of their registration") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  const Tensor<double, 1> y = x * 2;
  y.register_hook([](const Tensor<double, 1>& g) { return eval(g + 1); });
  y.register_hook([](const Tensor<double, 1>& g) { return eval(g * 10); });
  sum(y).backward();
  REQUIRE(values(x.grad()) == V{40, 40});
  y.register_hook([](const Tensor<double, 1>&) { return zeros<double>({3}); });
  const Tensor<double, 1> z = x * 2;
  z.register_hook([](const Tensor<double, 1>&) { return zeros<double>({3}); });
  REQUIRE_THROWS_AS(sum(z).backward(), ShapeError);
}

TEST_CASE("hooks on leaves, and their removal") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  int calls = 0;
  auto first = x.register_hook([&](const Tensor<double, 1>& g) { return ++calls, eval(g * 2); });
  x.register_hook([&](const Tensor<double, 1>& g) { return eval(g + 100); });
  (sum(x) + sum(x * 2)).backward();
  REQUIRE(calls == 1);
  REQUIRE(values(x.grad()) == V{106, 106});
  first.remove();
  first.remove();  // does no harm
  x.set_grad({});
  sum(x).backward();
  REQUIRE(calls == 1);
  REQUIRE(values(x.grad()) == V{101, 101});
}

TEST_CASE("a hook may remove itself while it runs") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  std::unique_ptr<HookHandle> handle;
  int calls = 0, others = 0;
  handle = std::make_unique<HookHandle>(x.register_hook([&](const Tensor<double, 1>&) {
    ++calls;
    handle->remove();
  }));
  x.register_hook([&](const Tensor<double, 1>&) { ++others; });
  sum(x).backward();
  sum(x).backward();
  REQUIRE(calls == 1);
  REQUIRE(others == 2);
}

TEST_CASE("what a hook holds goes with the graph") {
  const auto token = std::make_shared<int>(1);
  {
    auto x = tensor<double>({1., 2.}).requires_grad_();
    const Tensor<double, 1> y = x * 2;
    y.register_hook([token](const Tensor<double, 1>&) {});
    x.register_hook([token](const Tensor<double, 1>&) {});
    REQUIRE(token.use_count() == 3);
  }
  REQUIRE(token.use_count() == 1);
}

TEST_CASE("in-place changes count versions, views share them") {
  auto x = tensor<double>({{1., 2.}, {3., 4.}});
  REQUIRE(x.version() == 0);
  x += 1;
  x.mul_(2);
  REQUIRE(x.version() == 2);
  x[0] = 7;
  REQUIRE(x.version() == 3);
  REQUIRE(values(x) == V{7, 7, 8, 10});
  REQUIRE(x[1].version() == 3);
  REQUIRE(x.detach().version() == 3);
  REQUIRE(x.clone().version() == 0);
}

TEST_CASE("backward refuses saved tensors that were changed, by name and shape") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  Tensor<double, 1> h = x * 2;
  const Tensor<double, 0> y = sum(h * h);
  h += 1;
  REQUIRE_THROWS_AS(y.backward(), GradError);
  REQUIRE_THROWS_WITH(y.backward(), Contains("changed in place") && Contains("[2]"));
  REQUIRE_FALSE(x.grad().defined());
}

TEST_CASE("changing what no slope reads is allowed") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  Tensor<double, 1> h = x * 2;
  const Tensor<double, 0> y = sum(h + 5);  // the slope of a sum reads nothing
  h += 1;
  y.backward();
  REQUIRE(values(x.grad()) == V{2, 2});
}

TEST_CASE("a change through detach() is noticed too") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  Tensor<double, 1> h = x * 2;
  const Tensor<double, 0> y = sum(h * h);
  h.detach().zero_();
  REQUIRE_THROWS_AS(y.backward(), GradError);
}

TEST_CASE("in-place operations are recorded") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  Tensor<double, 1> y = x * 1;
  y *= 3;
  y += x;
  y -= 1;
  y /= 2;
  REQUIRE(values(y) == V{1.5, 3.5});
  sum(y).backward();
  REQUIRE(values(x.grad()) == V{2, 2});

  Tensor<double, 1> z = zeros<double>({2});  // becomes part of the graph
  z.copy_(x * x);
  REQUIRE(z.requires_grad());
  x.set_grad({});
  sum(z).backward();
  REQUIRE(values(x.grad()) == V{2, 4});

  Tensor<double, 2> wide = zeros<double>({3, 2});  // the right side broadcasts
  wide += x;
  x.set_grad({});
  sum(wide).backward();
  REQUIRE(values(x.grad()) == V{3, 3});

  Tensor<double, 1> cut = x * 2;  // overwritten by what needs no gradient
  cut.copy_(tensor<double>({5., 6.}));
  REQUIRE(cut.requires_grad());  // as in PyTorch, though nothing of it reaches x
  x.set_grad({});
  sum(cut).backward();
  REQUIRE((!x.grad().defined() || values(x.grad()) == V{0, 0}));
}

TEST_CASE("leaves and views cannot be changed in place while gradients are recorded") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  REQUIRE_THROWS_AS(x += 1, GradError);
  REQUIRE_THROWS_WITH(x += 1, Contains("leaf") && Contains("no_grad"));
  REQUIRE(values(x) == V{1, 2});
  REQUIRE(x.version() == 0);
  no_grad([&] { x += 1; });
  REQUIRE(values(x) == V{2, 3});
  REQUIRE(x.requires_grad());
  const Tensor<double, 1> y = x * 2;
  REQUIRE_THROWS_WITH(y(Slice(0, 1)).copy_(tensor<double>({1.})), Contains("view"));
  REQUIRE(values(y) == V{4, 6});
}

TEST_CASE("in-place operations that do not fit change nothing") {
  auto x = tensor<double>({1., 2.});
  REQUIRE_THROWS_AS(x += zeros<double>({3}), ShapeError);
  REQUIRE_THROWS_WITH(x.copy_(zeros<double>({3})), Contains("copy_") && Contains("[3]") && Contains("[2]"));
  auto one = tensor<double>({1.});
  REQUIRE_THROWS_AS(one += x, ShapeError);  // the left side does not broadcast
  REQUIRE(x.version() == 0);
}

TEST_CASE("a hook may remove the one behind it") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  std::unique_ptr<HookHandle> second;
  int calls = 0;
  x.register_hook([&](const Tensor<double, 1>&) { second->remove(); });
  second = std::make_unique<HookHandle>(x.register_hook([&](const Tensor<double, 1>&) { ++calls; }));
  x.register_hook([](const Tensor<double, 1>& g) { return eval(g * 3); });
  sum(x).backward();
  REQUIRE(calls == 0);
  REQUIRE(values(x.grad()) == V{3, 3});
}
