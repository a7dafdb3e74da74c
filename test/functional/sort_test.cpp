// SPDX-License-Identifier: MIT
// Expected values as PyTorch 1.13 gives them (with stable=True).
#include <catch2/catch.hpp>
#include <limits>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/functional/sort.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;
using Catch::Contains;

static const auto x = tensor<double>({{3., 1., 2.}, {0., 5., 5.}});

TEST_CASE("sort, argsort: stable, along any dimension") {
  const auto [values, indices] = sort(x, 1);
  CHECK(equal(values, tensor<double>({{1., 2., 3.}, {0., 5., 5.}})));
  CHECK(equal(indices, tensor({{1, 2, 0}, {0, 1, 2}})));
  CHECK(equal(sort(x, 0, true).indices, tensor({{0, 1, 1}, {1, 0, 0}})));
  CHECK(equal(argsort(x, 1, true), tensor({{0, 2, 1}, {1, 2, 0}})));
  CHECK(equal(sort(tensor({3, 1, 2})).values, tensor({1, 2, 3})));
  CHECK(equal(argsort(zeros({100})), arange(100)));
  CHECK(equal(argsort(zeros({100}), 0, true), arange(100)));
  CHECK(sort(zeros({0, 3}), 0).values.shape() == Shape{0, 3});
  CHECK(sort(tensor(3.)).values.item() == 3);
  const auto w = randn<double>({2, 3});
  CHECK(gradcheck([=](auto a) { return sort(a, 1, true).values * w; }, tensor<double>({{3., 1., 2.}, {0., 5., 4.}})));
  CHECK_THROWS_WITH(sort(zeros({2, 1}), 5), Contains("5"));
}

TEST_CASE("sort: a NaN is the greatest") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto v = tensor<double>({2., nan, 1., nan, 3.});
  CHECK(equal(sort(v).indices, tensor({2, 0, 4, 1, 3})));
  CHECK(equal(sort(v, 0, true).indices, tensor({1, 3, 4, 0, 2})));
  CHECK(equal(topk(v, 3).indices, tensor({1, 3, 4})));
}

TEST_CASE("topk") {
  CHECK(equal(topk(x, 2).values, tensor<double>({{3., 2.}, {5., 5.}})));
  CHECK(equal(topk(x, 2).indices, tensor({{0, 2}, {1, 2}})));
  CHECK(equal(topk(x, 1, 0, false).indices, tensor({{1, 0, 0}})));
  CHECK(topk(x, 0).values.shape() == Shape{2, 0});
  CHECK(gradcheck([](auto a) { return topk(a * a, 2, 1).values; }, tensor<double>({{3., 1., 2.}, {0., 5., 4.}})));
  CHECK_THROWS_WITH(topk(zeros({3, 4}), 19, 1), Contains("19") && Contains("4"));
  CHECK_THROWS_AS(topk(zeros({3, 4}), -1), IndexError);
}

TEST_CASE("unique: sorted, with inverse and counts") {
  const auto u = unique(tensor({{3, 1}, {3, 2}}));
  CHECK(equal(u.values, tensor({1, 2, 3})));
  CHECK(equal(u.inverse, tensor({{2, 0}, {2, 1}})));
  CHECK(equal(u.counts, tensor({1, 1, 2})));
  CHECK(unique(zeros({0})).values.numel() == 0);
}
