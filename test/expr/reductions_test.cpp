// SPDX-License-Identifier: MIT
// How reductions are called, what they give, and what they refuse. (Values over many shapes: the conformance cases.)
#include "sinter/expr/reductions.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/create.hpp"
#include "values.hpp"

using namespace sinter;
using Catch::Matchers::Contains;

TEST_CASE("dimensions: all, one, several, counted from the end, kept") {
  const auto x = reshape(arange<double>(24.), Shape<3>{{2, 3, 4}});
  REQUIRE(values(sum(x)) == V{276});
  REQUIRE(values(sum(x, 1)) == V{12, 15, 18, 21, 48, 51, 54, 57});
  REQUIRE(values(sum(x, -3)) == V{12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34});
  REQUIRE(values(sum(x, {0, 2})) == V{60, 92, 124});
  REQUIRE(values(sum(x, {-1, 0})) == V{60, 92, 124});
  REQUIRE(Tensor(sum(x, 1, keepdim)).shape() == Shape<3>{{2, 1, 4}});
  REQUIRE(Tensor(sum(x, {0, 2}, keepdim)).shape() == Shape<3>{{1, 3, 1}});
  REQUIRE(Tensor(sum(x, keepdim)).shape() == Shape<3>{{1, 1, 1}});
  REQUIRE(values(mean(x, {0, 1, 2})) == V{11.5});
  REQUIRE(values(sum(sum(x, 2), 0)) == V{60, 92, 124});
}

TEST_CASE("operands are fused expressions; results go on in expressions") {
  const auto x = tensor<double>({{1., 2.}, {3., 4.}});
  REQUIRE(values(x / sum(x * x, 1, keepdim) + mean(x)) == V{1 / 5. + 2.5, 2 / 5. + 2.5, 3 / 25. + 2.5, 4 / 25. + 2.5});
  REQUIRE(values(var(x, 0)) == V{2, 2});
  REQUIRE(values(var(x, 0, biased)) == V{1, 1});
  REQUIRE(values(stddev(x, 1, biased, keepdim)) == V{0.5, 0.5});
  REQUIRE(values(prod(x, 1)) == V{2, 12});
  REQUIRE(values(amax(x, 0)) == V{3, 4});
  REQUIRE(values(amin(-x)) == V{-4});
  REQUIRE(values(all_of(x > 0)) == V{1});
  REQUIRE(values(any_of(x > 3, 1)) == V{0, 1});
  REQUIRE(values(sum(x > 1)) == V{3});
}

TEST_CASE("the mean of large numbers, the variance of close ones, long sums") {
  const auto big = full<float>({1000}, 1e38f);
  REQUIRE(values(mean(big * 1e-3f))[0] == Approx(1e35));
  const auto close = tensor<float>({1e6f, 1e6f + 1, 1e6f + 2});
  REQUIRE(values(var(close)) == V{1});
  const auto ones_ = ones({1 << 24});
  REQUIRE(values(sum(ones_ + ones_)) == V{double(1 << 25)});  // one float accumulator would end at 2^24
  REQUIRE(values(sum(full<half>({5000}, half(1.f)))) == V{5000});
}

TEST_CASE("NaN and infinity come through") {
  const float nan = NAN, inf = INFINITY;
  REQUIRE(std::isnan(values(amax(tensor({1.f, nan, 3.f})))[0]));
  REQUIRE(std::isnan(values(amin(tensor({nan, 1.f})))[0]));
  REQUIRE(values(amax(tensor({-inf, -inf}))) == V{-inf});
  REQUIRE(std::isnan(values(sum(tensor({inf, -inf})))[0]));
}

TEST_CASE("nothing to reduce") {
  const auto none = zeros<double>({0, 3});
  REQUIRE(values(sum(none)) == V{0});
  REQUIRE(values(sum(none, 0)) == V{0, 0, 0});
  REQUIRE(values(sum(none, 1)).empty());
  REQUIRE(values(prod(none, 0)) == V{1, 1, 1});
  REQUIRE(std::isnan(values(mean(none))[0]));
  REQUIRE(values(all_of(none > 0)) == V{1});
  REQUIRE_THROWS_AS(amax(none), ShapeError);
  REQUIRE_THROWS_WITH(amin(none, 0), Contains("amin") && Contains("dimension 0") && Contains("[0, 3]"));
  REQUIRE(values(amax(none, 1)).empty());
}

TEST_CASE("bad dimensions are named") {
  const auto x = ones({2, 3});
  REQUIRE_THROWS_WITH(sum(x, 2), Contains("sum") && Contains("dimension 2") && Contains("rank 2"));
  REQUIRE_THROWS_AS(mean(x, -3), IndexError);
  REQUIRE_THROWS_WITH(sum(x, {0, -2}), Contains("twice"));
  REQUIRE(values(sum(ones(Shape<0>{}), 0)) == V{1});
}

TEST_CASE("a reduction that occurs twice runs once, and its gradient is right") {
  manual_seed(5);
  REQUIRE(gradcheck([](auto x) { const auto m = mean(x, 1, keepdim); return (x - m) * (x - m) + m; }, randn<double>({3, 4})));
  REQUIRE(gradcheck([](auto x) { return x / sqrt(sum(x * x, {0, 2}, keepdim) + 1e-3); }, randn<double>({2, 3, 2})));
  REQUIRE(gradcheck([](auto x) { return var(x, 0) + stddev(x); }, randn<double>({4, 3})));
  REQUIRE(gradcheck([](auto x) { return prod(x, 1); }, randn<double>({3, 4})));
  REQUIRE(gradcheck([](auto x) { return prod(x); }, tensor<double>({{0., 2.}, {3., 4.}})));
  REQUIRE(gradcheck([](auto x, auto y) { return amax(x * y, 1) - amin(x); }, randn<double>({3, 4}), randn<double>({4})));
  REQUIRE(gradcheck([](auto x) { return sum(sum(x * x, 1, keepdim) * x, 0); }, randn<double>({3, 2})));
}
