// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/functional/mask.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;
using Catch::Contains;

static const auto x = tensor<double>({{3., 1., 2.}, {0., 5., 4.}});

TEST_CASE("masked_fill, masked_select") {
  const auto row = tensor({true, false, true});
  CHECK(equal(masked_fill(x, row, -1), tensor<double>({{-1., 1., -1.}, {-1., 5., -1.}})));
  CHECK(equal(masked_select(x, row), tensor<double>({3., 2., 0., 4.})));
  CHECK(equal(masked_select(x.t(), x.t() > 2), tensor<double>({3., 5., 4.})));
  CHECK(masked_select(x, x > 9).numel() == 0);
  CHECK(gradcheck([=](auto a) { return masked_fill(a * a, row, 2.0); }, x));
  CHECK(gradcheck([=](auto a) { return masked_select(a * a, row); }, x));
  CHECK(gradcheck([=](auto a) { return masked_select(a * a, x > 1); }, tensor<double>({1., 2., 3.})));  // x broadcasts, too
  CHECK_THROWS_WITH(masked_fill(zeros({2, 16}), zeros<bool>({2, 27}), 0), Contains("16 against 27"));
  CHECK_THROWS_WITH(masked_select(zeros({16}), zeros<bool>({27})), Contains("16 against 27"));
}

TEST_CASE("nonzero, one_hot") {
  CHECK(equal(nonzero(x), tensor({{0, 0}, {0, 1}, {0, 2}, {1, 1}, {1, 2}})));
  CHECK(nonzero(zeros({3})).shape() == Shape{0, 1});
  CHECK(nonzero(tensor(2.)).shape() == Shape{1, 0});
  CHECK(equal(one_hot(tensor({1, 0, 2}), 4), tensor({{0, 1, 0, 0}, {1, 0, 0, 0}, {0, 0, 1, 0}})));
  CHECK(one_hot(tensor({{1, 0}})).shape() == Shape{1, 2, 2});
  CHECK_THROWS_WITH(one_hot(tensor({0, 27}), 4), Contains("27"));
  CHECK_THROWS_AS(one_hot(tensor({-1, 2}), 4), IndexError);
}
