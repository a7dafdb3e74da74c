// SPDX-License-Identifier: MIT
// The reverse-mode graph: modes, accumulation, second passes, deep graphs, memory, exceptions.
#include "sinter/graph/backward.hpp"

#include <catch2/catch.hpp>
#include <thread>

#include "sinter/autograd/grad.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"
#include "sinter/tensor/index.hpp"
#include "values.hpp"

using namespace sinter;
using Catch::Matchers::Contains;

TEST_CASE("gradients accumulate over passes and over uses") {
  auto x = tensor<double>({1., 2., 3.}).requires_grad_();
  sum(x * x).backward();
  REQUIRE(values(x.grad()) == V{2, 4, 6});
  (sum(x * 3) + sum(x)).backward();
  REQUIRE(values(x.grad()) == V{6, 8, 10});
  x.set_grad({});
  REQUIRE_FALSE(x.grad().defined());
  const Tensor<double, 1> y = x + x;  // the same tensor through two nodes that meet
  const Tensor<double, 1> a = exp(y), b = y * 2;
  sum(a * 0 + b * y).backward();
  REQUIRE(values(x.grad()) == V{16, 32, 48});  // d/dx 2 (2x)^2
}

TEST_CASE("a gradient that somebody holds is not changed by a later pass") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  sum(x).backward();
  const auto held = x.grad();
  sum(x).backward();
  REQUIRE(values(held) == V{1, 1});
  REQUIRE(values(x.grad()) == V{2, 2});
}

TEST_CASE("no_grad, detach and integers are outside of the graph") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  const Tensor<double, 1> inside = no_grad([&] { return eval(x * 2); });
  REQUIRE_FALSE(inside.requires_grad());
  REQUIRE(is_grad_enabled());
  {
    NoGradGuard guard;
    REQUIRE_FALSE(is_grad_enabled());
    {
      EnableGradGuard again;
      REQUIRE(eval(x * 2).requires_grad());
    }
    REQUIRE_FALSE(eval(x * 2).requires_grad());
  }
  REQUIRE(eval(x * 2).requires_grad());
  sum(x.detach() * x).backward();
  REQUIRE(values(x.grad()) == V{1, 2});
  REQUIRE(x.detach().data() == x.data());
  REQUIRE_FALSE(eval(x > 1.5).requires_grad());
  REQUIRE_FALSE(eval(to<std::int64_t>(x)).requires_grad());
  REQUIRE_THROWS_WITH(sum(x.detach()).backward(), Contains("backward") && Contains("does not require a gradient"));
  // the mode is a thread's own
  bool other = false;
  NoGradGuard guard;
  std::thread([&] { other = is_grad_enabled(); }).join();
  REQUIRE(other);
}

TEST_CASE("no_grad restores the mode when it is left by an exception") {
  REQUIRE_THROWS(no_grad([] { throw std::runtime_error("out"); }));
  REQUIRE(is_grad_enabled());
}

TEST_CASE("a second backward needs retain_graph") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  const Tensor<double, 0> y = sum(x * x);
  y.backward(true);
  y.backward();
  REQUIRE(values(x.grad()) == V{4, 8});
  REQUIRE_THROWS_AS(y.backward(), GradError);
  REQUIRE_THROWS_WITH(y.backward(), Contains("second time") && Contains("retain_graph"));
  REQUIRE(values(x.grad()) == V{4, 8});  // and has changed nothing
  REQUIRE_THROWS_WITH((y * 2).backward(), Contains("second time"));
  sum(x).backward();
  REQUIRE(values(x.grad()) == V{5, 9});
}

TEST_CASE("backward takes a gradient of the tensor's shape") {
  auto x = tensor<double>({{1., 2.}, {3., 4.}}).requires_grad_();
  const Tensor<double, 2> y = x * x;
  y.backward(tensor<double>({{1., 10.}, {100., 1000.}}), true);
  REQUIRE(values(x.grad()) == V{2, 40, 600, 8000});
  REQUIRE_THROWS_AS(y.backward(tensor<double>({{1., 2.}})), ShapeError);
  y.backward(transpose(tensor<double>({{1., 10.}, {100., 1000.}}), 0, 1));  // strided
  REQUIRE(values(x.grad()) == V{2 + 2, 40 + 400, 600 + 60, 8000 + 8000});
}

TEST_CASE("requires_grad_ is for leaves") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  REQUIRE(x.is_leaf());
  Tensor<double, 1> y = x * 2;
  REQUIRE_FALSE(y.is_leaf());
  REQUIRE(y.requires_grad());
  REQUIRE_THROWS_AS(y.requires_grad_(false), GradError);
  y.requires_grad_();  // says nothing new
  x.requires_grad_(false);
  REQUIRE_FALSE(eval(x * 2).requires_grad());
}

TEST_CASE("retain_grad gives the gradient of a tensor in the middle") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  Tensor<double, 1> y = x * 2;
  Tensor<double, 1> z = x * 5;
  y.retain_grad();
  sum(y * y + z).backward();
  REQUIRE(values(y.grad()) == V{4, 8});
  REQUIRE_FALSE(z.grad().defined());
  REQUIRE(values(x.grad()) == V{13, 21});
}

TEST_CASE("grad() gives gradients and leaves .grad() alone") {
  auto x = tensor<double>({1., 2.}).requires_grad_(), w = tensor<double>({3., 4.}).requires_grad_();
  const Tensor<double, 1> h = x * w;
  const Tensor<double, 0> y = sum(h * h);
  const auto [gx, gh] = grad(y, std::tie(x, h), GradOptions().retain_graph());
  REQUIRE(values(gx) == V{18, 64});
  REQUIRE(values(gh) == V{6, 16});
  REQUIRE_FALSE(x.grad().defined());
  REQUIRE_FALSE(w.grad().defined());
  y.backward();
  REQUIRE(values(w.grad()) == V{6, 32});
  auto unused = tensor<double>({1.}).requires_grad_();
  REQUIRE_THROWS_AS(grad(eval(sum(x)), unused), GradError);
  REQUIRE_FALSE(grad(eval(sum(x)), unused, GradOptions().allow_unused()).defined());
}

TEST_CASE("views are part of the graph") {
  auto x = tensor<double>({{1., 2., 3.}, {4., 5., 6.}}).requires_grad_();
  const Tensor<double, 1> row = x[1];
  const auto part = x(all, Slice(0, 3, 2));
  (sum(row * row) + sum(transpose(part, 0, 1) * 10) + sum(expand(x(0, 1), Shape{std::int64_t(4)}))).backward();
  REQUIRE(values(x.grad()) == V{10, 4, 10, 8 + 10, 10, 12 + 10});
}

TEST_CASE("a .grad() is nobody else's memory") {
  auto x = ones({4}).requires_grad_();
  const auto change = [&] { auto g = x.grad(); g *= 5; x.set_grad({}); };
  const auto seed = ones({2, 2});
  x.reshape(2, 2).backward(seed);
  change();
  REQUIRE(values(seed) == V{1, 1, 1, 1});
  auto y = x.reshape(2, 2);
  y.retain_grad();
  y.backward(seed);
  change();
  REQUIRE(values(y.grad()) == V{1, 1, 1, 1});
  x.backward(seed.view(4));
  change();
  REQUIRE(values(seed) == V{1, 1, 1, 1});
  Tensor<float, 1> seen;
  x.register_hook([&](const Tensor<float, 1>& g) { seen = g; });
  sum(x * 2).backward();
  change();
  REQUIRE(values(seen) == V{2, 2, 2, 2});
}

TEST_CASE("in-place products with operands that require gradients") {
  auto x = tensor<double>({3., 4.}).requires_grad_();
  auto b = tensor<double>({2., 5.}).requires_grad_();
  auto y = eval(x * 2);
  y *= b;
  y /= x;  // 2 b
  y *= y;  // 4 b^2
  sum(y).backward();
  REQUIRE(values(y.detach()) == V{16, 100});
  REQUIRE(values(b.grad()) == V{16, 40});
  REQUIRE(values(x.grad()) == V{0, 0});
  REQUIRE_THROWS_AS((Tensor<double, 0>().backward()), Error);
}

TEST_CASE("a view does not outlive a recorded change of its base") {
  auto x = ones({4}).requires_grad_();
  auto y = eval(x * 2);
  const auto v = y(Slice(0, 2)), outside = y.detach()(Slice(0, 2));
  y *= 3;
  REQUIRE_THROWS_WITH(sum(v).eval(), Contains("view of shape [2]"));  // its history says 2, its elements say 6
  REQUIRE_THROWS_AS(v[0].item(), GradError);
  REQUIRE(sum(outside).item() == 12);
  REQUIRE(no_grad([&] { return sum(v).item(); }) == 12);
  sum(y(Slice(0, 2))).backward();
  REQUIRE(values(x.grad()) == V{6, 6, 0, 0});

  auto buffer = zeros({4});
  const auto part = buffer(Slice(0, 2));
  buffer.copy_(x * 5);
  REQUIRE_THROWS_AS(sum(part * part).eval(), GradError);

  const auto w = x(Slice(0, 2));  // an optimizer's step leaves the history as it is
  no_grad([&] { x += 1; return 0; });
  x.set_grad({});
  sum(w * 4).backward();
  REQUIRE(values(x.grad()) == V{4, 4, 0, 0});
}

TEST_CASE("deep graphs need no stack") {
  constexpr int depth = 100000;
  auto x = tensor<double>({1., 2.}).requires_grad_();
  Tensor<double, 1> y = x;
  for (int i = 0; i < depth; ++i) y = y + 1;
  SECTION("backward") {
    sum(y).backward();
    REQUIRE(values(x.grad()) == V{1, 1});
  }
  SECTION("dropped without backward") { y = Tensor<double, 1>(); }
  SECTION("two chains that hold each other's ends") {
    Tensor<double, 1> z = y * 2 + x;
    y = Tensor<double, 1>();
    sum(z).backward();
    REQUIRE(values(x.grad()) == V{3, 3});
  }
}

TEST_CASE("what a node keeps is freed as backward passes it") {
  auto x = ones<double>({1000}).requires_grad_();
  Tensor<double, 1> h = exp(x);  // saved by the product
  const Ref<Storage> storage = h.impl->storage;
  const Tensor<double, 0> y = sum(h * h);
  h = Tensor<double, 1>();
  REQUIRE_FALSE(storage.unique());
  y.backward();
  REQUIRE(storage.unique());  // though y and its node are still there
}

TEST_CASE("with retain_graph it is kept, and goes with the last tensor") {
  auto x = ones<double>({10}).requires_grad_();
  Tensor<double, 1> h = exp(x);
  const Ref<Storage> storage = h.impl->storage;
  Tensor<double, 0> y = sum(h * h);
  h = Tensor<double, 1>();
  y.backward(true);
  REQUIRE_FALSE(storage.unique());
  y = Tensor<double, 0>();
  REQUIRE(storage.unique());
}

TEST_CASE("an exception inside backward leaves the graph usable") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  Tensor<double, 1> y = x * x;
  bool fails = true;
  y.register_hook([&](const Tensor<double, 1>&) {
    if (fails) throw std::runtime_error("from a hook");
  });
  const Tensor<double, 1> z = exp(x);
  const Tensor<double, 0> total = sum(y * 3) + sum(z * 0);
  REQUIRE_THROWS_WITH(total.backward(true), Contains("from a hook"));
  REQUIRE_FALSE(x.grad().defined());
  REQUIRE(is_grad_enabled());
  fails = false;
  total.backward();  // and nothing is counted twice
  REQUIRE(values(x.grad()) == V{6, 12});
}

TEST_CASE("backward inside a hook is a pass of its own") {
  auto x = tensor<double>({1., 2.}).requires_grad_(), w = tensor<double>({5., 6.}).requires_grad_();
  const Tensor<double, 1> y = x * 2;
  y.register_hook([&](const Tensor<double, 1>&) {
    EnableGradGuard enable;
    sum(w * w).backward();
  });
  sum(y).backward();
  REQUIRE(values(x.grad()) == V{2, 2});
  REQUIRE(values(w.grad()) == V{10, 12});
}

TEST_CASE("threads differentiate their own graphs at the same time") {
  std::vector<std::thread> threads;
  std::vector<double> got(4);
  for (int k = 0; k < 4; ++k)
    threads.emplace_back([k, &got] {
      for (int i = 0; i < 50; ++i) {
        auto x = full<double>({100}, double(k)).requires_grad_();
        sum(x * x * x).backward();
        got[std::size_t(k)] = x.grad().data()[99];
      }
    });
  for (auto& t : threads) t.join();
  REQUIRE(got == V{0, 3, 12, 27});
}

TEST_CASE("a gradient that was set with other strides is added to element by element") {
  const Tensor<double, 2> x = ones<double>({2, 3});
  Tensor<double, 2> leaf = x.clone();
  leaf.requires_grad_();
  const Tensor<double, 2> set = tensor<double>({{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}});
  leaf.set_grad(set.t());
  sum(leaf * 10).eval().backward();
  CHECK(equal(leaf.grad(), set.t() + 10));
  CHECK(set.data()[1] == 2);  // and what was set is as it was
}

TEST_CASE("what is written over with constants still requires a gradient, and gives zeros") {
  auto x = ones({3}).requires_grad_();
  Tensor y = x * 2;
  y.zero_();
  CHECK(y.requires_grad());
  CHECK_FALSE(y.is_leaf());
  y += x * x;
  sum(y).backward();
  for (int i = 0; i < 3; ++i) CHECK(x.grad().data()[i] == 2);
  x.set_grad({});
  Tensor z = x * 2;
  z.copy_(ones({3}));
  sum(z * 5).backward();
  REQUIRE(x.grad().defined());
  for (int i = 0; i < 3; ++i) CHECK(x.grad().data()[i] == 0);
  Tensor w = x * 2;
  no_grad([&] { w.zero_(); });
  CHECK(w.requires_grad());
}
