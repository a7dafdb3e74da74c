// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <limits>

#include "sinter/functional/argmax.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;
using Catch::Contains;

TEST_CASE("argmax, argmin: of all, along a dimension") {
  const auto x = tensor({{1., 9., 3.}, {9., -2., -2.}});
  CHECK(argmax(x).item() == 1);
  CHECK(argmin(x).item() == 4);
  CHECK(equal(argmax(x, 1), tensor({1, 0})));
  CHECK(equal(argmax(x, 0), tensor({1, 0, 0})));
  CHECK(equal(argmin(x, -1), tensor({0, 1})));
  CHECK(equal(argmin(x, 0, keepdim), tensor({{0, 1, 1}})));
  CHECK(equal(argmax(x.t(), 0), tensor({1, 0})));
  CHECK(equal(argmax(-x, 1), argmin(x, 1)));
  CHECK(argmax(tensor(3.)).item() == 0);
  CHECK(argmax(tensor(3.), 0).item() == 0);
  CHECK(argmax(tensor({false, true, true})).item() == 1);
  CHECK(argmax(tensor<half>({half(1), half(2)})).item() == 1);
  CHECK(argmax(zeros({2, 0, 3}), 0).shape() == Shape{0, 3});
}

TEST_CASE("argmax: the first NaN wins") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto x = tensor<double>({1., nan, 5., nan});
  CHECK(argmax(x).item() == 1);
  CHECK(argmin(x).item() == 1);
}

TEST_CASE("argmax: of nothing") {
  CHECK_THROWS_WITH(argmax(zeros({0, 3}), 0), Contains("argmax"));
  CHECK_THROWS_WITH(argmin(zeros({0})), Contains("argmin"));
  CHECK_THROWS_AS(argmax(zeros({2, 3}), 2), IndexError);
}
