// SPDX-License-Identifier: MIT
// x(i, Slice(1, 3), all, newaxis), for reading and for writing.
#include "sinter/tensor/index.hpp"

#include <catch2/catch.hpp>

#include "sinter/tensor/create.hpp"
#include "values.hpp"

using namespace sinter;
using Catch::Matchers::Contains;

TEST_CASE("indices drop dimensions, slices keep them, newaxis adds them") {
  const auto x = reshape(arange<double>(24.), Shape<3>{{2, 3, 4}});
  REQUIRE(values(x(1, 2, 3)) == V{23});
  static_assert(decltype(x(1, 2, 3))::rank == 0 && decltype(x(all, 2))::rank == 2 && decltype(x(newaxis, 0))::rank == 3);
  REQUIRE(values(x(1, all, 0)) == V{12, 16, 20});
  REQUIRE(values(x(-1, -1)) == V{20, 21, 22, 23});
  REQUIRE(values(x(0, Slice(1, 3), Slice(0, Slice::end, 2))) == V{4, 6, 8, 10});
  REQUIRE(x(newaxis, all, 0, newaxis).shape() == Shape<4>{{1, 2, 1, 4}});
  REQUIRE(x().shape() == x.shape());
  REQUIRE(values(x[1][0]) == V{12, 13, 14, 15});
  REQUIRE(x(0, Slice(2, 100)).shape() == Shape<2>{{1, 4}});
  REQUIRE(x(0, Slice(-1)).shape() == Shape<2>{{1, 4}});
}

TEST_CASE("assignment to an indexed temporary writes in place; to a name it rebinds") {
  auto x = zeros<double>({2, 3});
  x(0, all) = tensor<double>({1., 2., 3.});
  x(all, 1) = 9;
  x[1] = x[0] * 10;
  REQUIRE(values(x) == V{1, 9, 3, 10, 90, 30});
  x(all, Slice(0, 2)) += 1;
  REQUIRE(values(x) == V{2, 10, 3, 11, 91, 30});
  Tensor<double, 1> row = x[0];
  row = tensor<double>({7., 7., 7.});
  REQUIRE(values(x[0]) == V{2, 10, 3});
  REQUIRE_THROWS_AS(x[0] = tensor<double>({1., 2.}), ShapeError);
}

TEST_CASE("an index out of range is named with extent and axis") {
  const auto x = ones({2, 3});
  REQUIRE_THROWS_AS(x(2), IndexError);
  REQUIRE_THROWS_WITH(x(0, 3), Contains("3") && Contains("extent 3"));
  REQUIRE_THROWS_WITH(x(-3), Contains("-3") && Contains("extent 2") && Contains("axis 0"));
  REQUIRE_THROWS_AS(x(Slice(0, 2, 0)), IndexError);
}

TEST_CASE("gradients flow to the elements that were read") {
  auto x = ones<double>({2, 3}).requires_grad_();
  (sum(x(1, Slice(0, 2)) * 5) + x(0, 2) * 7).backward();
  REQUIRE(values(x.grad()) == V{0, 0, 7, 5, 5, 0});
}
