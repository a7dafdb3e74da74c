// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/functional/scan.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

TEST_CASE("cumsum, cumprod") {
  const auto x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(equal(cumsum(x, 1), tensor({{1, 3, 6}, {4, 9, 15}})));
  CHECK(equal(cumsum(x, 0), tensor({{1, 2, 3}, {5, 7, 9}})));
  CHECK(equal(cumprod(x, -1), tensor({{1, 2, 6}, {4, 20, 120}})));
  CHECK(equal(cumsum(tensor({true, true, false}), 0), tensor({1, 2, 2})));
  CHECK(cumsum(tensor(2.), 0).item() == 2);
  CHECK(cumsum(zeros({0, 2}), 0).shape() == Shape{0, 2});
  const auto w = randn<double>({2, 4});
  const auto a = tensor<double>({{1., 0., 2., 3.}, {0., -1., 0., 2.}});
  CHECK(gradcheck([=](auto v) { return cumsum(v, 1) * w; }, a));
  CHECK(gradcheck([=](auto v) { return cumprod(v, 1) * w; }, a));
  CHECK(gradcheck([=](auto v) { return cumprod(v, 0) * w; }, a));
  CHECK_THROWS_AS(cumsum(x, 2), IndexError);
}
