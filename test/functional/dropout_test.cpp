// SPDX-License-Identifier: MIT
#include "sinter/functional/dropout.hpp"

#include <catch2/catch.hpp>

#include "sinter/tensor/create.hpp"

using namespace sinter;

TEST_CASE("dropout zeroes a share p and scales the rest; its gradient does the same to the same elements") {
  manual_seed(3);
  auto x = ones({300, 333}).requires_grad_();
  const auto y = dropout(x, 0.3);
  std::int64_t dropped = 0;
  bool scaled = true;
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    if (y.data()[i] == 0) ++dropped;
    else scaled = scaled && std::abs(y.data()[i] - 1 / 0.7f) < 1e-6f;
  }
  CHECK(scaled);
  CHECK(std::abs(double(dropped) / double(y.numel()) - 0.3) < 0.01);
  eval(sum(y)).backward();
  CHECK(std::memcmp(x.grad().data(), y.data(), std::size_t(y.numel()) * sizeof(float)) == 0);
  CHECK(std::memcmp(dropout(x, 0.3).data(), y.data(), std::size_t(y.numel()) * sizeof(float)) != 0);
}

TEST_CASE("a seed gives one mask, at any number of threads") {
  const auto x = ones<double>({70001});
  const int before = get_num_threads();
  Generator a(5), b(5);
  set_num_threads(1);
  const auto one = dropout(x, 0.5, true, a);
  set_num_threads(2);
  const auto two = dropout(x, 0.5, true, b);
  set_num_threads(before);
  CHECK(std::memcmp(one.data(), two.data(), 70001 * sizeof(double)) == 0);
}

TEST_CASE("dropout's ends, and what is no probability") {
  const auto x = randn({5});
  CHECK(dropout(x, 0.5, false).data() == x.data());
  CHECK(dropout(x, 0).data()[3] == x.data()[3]);
  CHECK(dropout(x, 1).data()[3] == 0);
  CHECK(dropout(zeros({0, 3})).shape() == Shape{0, 3});
  CHECK_THROWS_WITH(dropout(x, 1.5), Catch::Contains("1.5"));
  CHECK_THROWS_WITH(dropout(x, -0.25, true), Catch::Contains("-0.25"));
}
