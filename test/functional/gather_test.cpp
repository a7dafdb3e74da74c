// SPDX-License-Identifier: MIT
// Expected values as PyTorch 1.13 gives them.
#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/functional/gather.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;
using Catch::Contains;

static const auto x = tensor<double>({{3., 1., 2.}, {0., 5., 5.}});
static const auto places = tensor({{2, 0}, {1, 1}});
static const auto source = tensor<double>({{10., 20.}, {30., 40.}});

TEST_CASE("gather, take_along_dim, index_select") {
  CHECK(equal(gather(x, 1, places), tensor<double>({{2., 3.}, {5., 5.}})));
  CHECK(equal(gather(x, 0, tensor({{1, 0, 1}})), tensor<double>({{0., 1., 5.}})));
  CHECK(equal(gather(x.t(), 0, places), tensor<double>({{2., 0.}, {1., 5.}})));
  CHECK(equal(gather(x, 1, tensor<std::int32_t>({{2, 0}, {1, 1}})), tensor<double>({{2., 3.}, {5., 5.}})));
  CHECK(equal(take_along_dim(x, tensor({{2}}), 1), tensor<double>({{2.}, {5.}})));
  CHECK(equal(take_along_dim(x, tensor({{1, 0, 1}}), 0), tensor<double>({{0., 1., 5.}})));
  CHECK(equal(take_along_dim(x, tensor({4, 0})), tensor<double>({5., 3.})));
  CHECK(equal(index_select(x, 0, tensor({1, 1, 0})), tensor<double>({{0., 5., 5.}, {0., 5., 5.}, {3., 1., 2.}})));
  CHECK(equal(index_select(x, -1, tensor({2})), tensor<double>({{2.}, {5.}})));
  CHECK(gather(zeros({3, 4}), 1, zeros<std::int64_t>({0, 2})).shape() == Shape{0, 2});
}

TEST_CASE("gather: gradients of repeated indices add up") {
  CHECK(gradcheck([](auto a) { return gather(a * a, 1, places); }, x));
  CHECK(gradcheck([](auto a) { return take_along_dim(a * a, tensor({{2, 2}}), 1); }, x));
  CHECK(gradcheck([](auto a) { return index_select(a * a, 1, tensor({2, 0, 2})); }, x));
  CHECK(gradcheck([](auto a) { return index_select(a * a, 0, tensor({1, 1})); }, x));
}

TEST_CASE("scatter, scatter_add") {
  CHECK(equal(scatter(x, 1, places, source), tensor<double>({{20., 1., 10.}, {0., 40., 5.}})));
  CHECK(equal(scatter(x, 1, places, 7), tensor<double>({{7., 1., 7.}, {0., 7., 5.}})));
  CHECK(equal(scatter_add(x, 1, places, source), tensor<double>({{23., 1., 12.}, {0., 75., 5.}})));
  CHECK(equal(scatter_add(zeros<double>({2, 2}), 0, tensor({{1, 1}}), source), tensor<double>({{0., 0.}, {10., 20.}})));
  CHECK(x[0][0].item() == 3);
  const auto distinct = tensor({{2, 0}, {1, 0}});
  CHECK(gradcheck([=](auto a, auto b) { return scatter(a * a, 1, distinct, b * b); }, x, source));
  CHECK(gradcheck([=](auto a) { return scatter(a * a, 1, places, 3); }, x));
  CHECK(gradcheck([=](auto a, auto b) { return scatter_add(a * a, 1, places, b * b); }, x, source));
  CHECK(gradcheck([=](auto a, auto b) { return scatter_add(a, 0, tensor({{1, 1}}), b * b); }, zeros<double>({2, 2}), source));
}

TEST_CASE("gather: errors name index and extent") {
  const auto z = zeros({3, 4});
  CHECK_THROWS_WITH(gather(z, 1, tensor({{21, 0}})), Contains("21") && Contains("extent 4"));
  CHECK_THROWS_WITH(gather(z, 1, tensor({{-1, 0}})), Contains("-1"));
  CHECK_THROWS_WITH(take_along_dim(z, tensor({{14}}), 1), Contains("take_along_dim") && Contains("14"));
  CHECK_THROWS_WITH(index_select(z, 1, tensor({0, 21})), Contains("21"));
  CHECK_THROWS_WITH(scatter(z, 1, tensor({{27, 0}}), zeros({1, 2})), Contains("27"));
  CHECK_THROWS_WITH(scatter_add(z, 1, tensor({{13, 0}}), zeros({1, 2})), Contains("13"));
  CHECK_THROWS_AS(gather(z, 1, zeros<std::int64_t>({4, 1})), ShapeError);
  CHECK_THROWS_AS(scatter(z, 1, zeros<std::int64_t>({2, 2}), zeros({1, 2})), ShapeError);
}
