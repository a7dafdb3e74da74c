// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"
#include "sinter/tensor/join.hpp"

using namespace sinter;
using Catch::Contains;

TEST_CASE("cat: along any dimension, of views and of nothing") {
  const auto a = tensor({{1, 2}, {3, 4}}), b = tensor({{5, 6}});
  CHECK(equal(cat({a, b}), tensor({{1, 2}, {3, 4}, {5, 6}})));
  CHECK(equal(cat({a, a.t()}, -1), tensor({{1, 2, 1, 3}, {3, 4, 2, 4}})));
  CHECK(equal(cat(std::vector{a, zeros<std::int64_t>({0, 2}), b}, 0), tensor({{1, 2}, {3, 4}, {5, 6}})));
  CHECK(equal(cat(a * 2, b + 1), tensor({{2, 4}, {6, 8}, {6, 7}})));
  CHECK(equal(cat(b, b, b, 1), tensor({{5, 6, 5, 6, 5, 6}})));
  CHECK(equal(cat({tensor({true}), tensor({false})}), tensor({true, false})));
}

TEST_CASE("cat: gradients are cut likewise") {
  const auto x = randn<double>({2, 3, 2}), y = randn<double>({2, 1, 2}), w = randn<double>({2, 5, 2});
  CHECK(gradcheck([=](auto a, auto b) { return cat(std::vector{a, b, b}, 1) * w; }, x, y));
  auto p = ones<double>({2}), q = ones<double>({2});
  p.requires_grad_();
  const auto joined = cat({p, q});
  joined.backward(tensor<double>({1., 2., 3., 4.}));
  CHECK(equal(p.grad(), tensor<double>({1., 2.})));
  CHECK_FALSE(q.grad().defined());
  CHECK_FALSE(no_grad([&] { return cat({p, q}); }).requires_grad());
}

TEST_CASE("stack: a new dimension") {
  const auto a = tensor({1, 2, 3}), b = tensor({4, 5, 6});
  CHECK(equal(stack({a, b}), tensor({{1, 2, 3}, {4, 5, 6}})));
  CHECK(equal(stack({a, b}, -1), tensor({{1, 4}, {2, 5}, {3, 6}})));
  CHECK(equal(stack(std::vector{tensor(1), tensor(2)}), tensor({1, 2})));
  const auto x = randn<double>({2, 3});
  const auto w = randn<double>({2, 2, 3});
  CHECK(gradcheck([=](auto p, auto q) { return stack(p, q * p, 1) * w; }, x, randn<double>({2, 3})));
}

TEST_CASE("split, chunk, unbind: views") {
  const auto x = arange(10).reshape(5, 2);
  const auto parts = split(x, 2);
  REQUIRE(parts.size() == 3);
  CHECK(equal(parts[0], tensor({{0, 1}, {2, 3}})));
  CHECK(equal(parts[2], tensor({{8, 9}})));
  CHECK(parts[1].data() == x.data() + 4);
  const auto sections = split(x, {1, 4}, 0);
  REQUIRE(sections.size() == 2);
  CHECK(sections[1].shape() == Shape{4, 2});
  CHECK(chunk(x, 4).size() == 3);
  CHECK(chunk(x, 4)[2].shape() == Shape{1, 2});
  CHECK(chunk(x, 2, -1)[1].shape() == Shape{5, 1});
  const auto columns = unbind(x, 1);
  REQUIRE(columns.size() == 2);
  CHECK(equal(columns[1], tensor({1, 3, 5, 7, 9})));
  CHECK(split(zeros({0}), 3).size() == 1);
  CHECK(chunk(zeros({0}), 3).size() == 3);
  const auto w = randn<double>({4, 3});
  CHECK(gradcheck([=](auto a) { auto s = split(a, {1, 3}); return cat({s[1], s[0]}) * w; }, randn<double>({4, 3})));
}

TEST_CASE("join: errors name the axis") {
  CHECK_THROWS_WITH(cat({zeros({2, 16}), zeros({2, 27})}, 0), Contains("16 against 27") && Contains("axis 1"));
  CHECK_THROWS_WITH(stack({zeros({16, 3}), zeros({27, 3})}), Contains("16 against 27"));
  CHECK_THROWS_WITH(cat({zeros({2, 3}), zeros({2, 3})}, 6), Contains("6"));
  CHECK_THROWS_AS(cat(std::vector<Tensor<float, 1>>()), ValueError);
  CHECK_THROWS_WITH(split(zeros({16}), {13, 5}), Contains("18") && Contains("16"));
  CHECK_THROWS_WITH(chunk(zeros({16}), 0), Contains("0"));
  CHECK_THROWS_AS(split(zeros({16}), 0), ValueError);
}
