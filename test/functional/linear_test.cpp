// SPDX-License-Identifier: MIT
#include "sinter/functional/linear.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

TEST_CASE("linear is x @ weight^T + bias for inputs of any rank") {
  const auto x = tensor({{1., 2.}, {3., 4.}}), w = tensor({{1., 0.}, {0., 1.}, {1., 1.}});
  const auto b = tensor({10., 20., 30.});
  const auto y = eval(linear(x, w, b));
  const float expected[] = {11, 22, 33, 13, 24, 37};
  CHECK(y.shape() == Shape{2, 3});
  for (int i = 0; i < 6; ++i) CHECK(y.data()[i] == expected[i]);
  CHECK(eval(linear(x, w)).data()[5] == 7);
  CHECK(linear(x[0], w).shape() == Shape{3});
  CHECK(linear(zeros({2, 5, 4, 2}), w).shape() == Shape{2, 5, 4, 3});
  CHECK(linear(zeros({0, 2}), w, b).shape() == Shape{0, 3});
}

TEST_CASE("gradients of linear") {
  const auto f = [](const auto&... in) { return linear(in...); };
  CHECK(gradcheck(f, randn<double>({4, 3}), randn<double>({2, 3}), randn<double>({2})));
  CHECK(gradcheck(f, randn<double>({2, 2, 3}), randn<double>({2, 3}), randn<double>({2})));
  CHECK(gradcheck(f, randn<double>({3}), randn<double>({2, 3})));
  CHECK(gradcheck([](const auto& x, const auto& w) { return linear(transpose(x, 0, 1), w); }, randn<double>({3, 2, 3}), randn<double>({2, 3})));
}

TEST_CASE("linear says what does not fit") {
  CHECK_THROWS_WITH(linear(zeros({1, 12}), zeros({3, 16})), Catch::Contains("[1, 12] x [3, 16]: 12 against 16"));
  CHECK_THROWS_AS(linear(zeros({1, 16}), zeros({3, 16}), zeros({4})), ShapeError);
}

TEST_CASE("what no gradient of linear needs may change") {
  auto w = randn({3, 2}).requires_grad_();
  const auto y = eval(sum(linear(ones({4, 2}), w)));
  no_grad([&] { w += 1; return 0; });
  y.backward();
  CHECK(w.grad().data()[5] == 4);
}
