// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <limits>

#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

TEST_CASE("equal: shapes and values") {
  const auto a = tensor({1., 2.});
  CHECK(equal(a, tensor({1., 2.})));
  CHECK(equal(a, tensor({0.5, 1.}) * 2));
  CHECK_FALSE(equal(a, tensor({1., 3.})));
  CHECK_FALSE(equal(a, tensor({1., 2., 3.})));
  CHECK_FALSE(equal(ones({1}), ones({2})));
  CHECK_FALSE(equal(ones({2}), ones({1, 2})));
  CHECK(equal(zeros({0, 3}), zeros({0, 3})));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_FALSE(equal(tensor({nan}), tensor({nan})));
}

TEST_CASE("allclose: tolerances, infinities, NaNs") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  CHECK(allclose(tensor<double>({1000.}), tensor<double>({1000.009})));
  CHECK_FALSE(allclose(tensor<double>({1000.}), tensor<double>({1000.02})));
  CHECK(allclose(tensor<double>({1.}), tensor<double>({1.05}), 0.1, 0));
  CHECK(allclose(tensor<double>({0.}), tensor<double>({0.05}), 0, 0.1));
  CHECK(allclose(tensor({inf, -inf}), tensor({inf, -inf})));
  CHECK_FALSE(allclose(tensor({inf}), tensor({-inf})));
  CHECK_FALSE(allclose(tensor({1.f}), tensor({inf})));
  CHECK_FALSE(allclose(tensor({inf}), tensor({1.f})));
  CHECK_FALSE(allclose(tensor({nan}), tensor({nan})));
  CHECK(allclose(tensor({nan}), tensor({nan}), 1e-5, 1e-8, true));
  CHECK_FALSE(allclose(tensor({nan, 1.f}), tensor({nan, 2.f}), 1e-5, 1e-8, true));
  CHECK(allclose(ones({2, 3}), ones({3})));
  CHECK_THROWS_AS(allclose(ones({2}), ones({3})), ShapeError);
}
