// SPDX-License-Identifier: MIT
// The handle: sharing, copies, dtypes, item, undefined tensors.
#include "sinter/tensor/tensor.hpp"

#include <catch2/catch.hpp>

#include "sinter/tensor/create.hpp"
#include "values.hpp"

using namespace sinter;
using Catch::Matchers::Contains;

TEST_CASE("copies of a handle share memory, clone() does not") {
  auto x = tensor({1.f, 2.f});
  auto y = x;
  auto z = x.clone();
  y += 1;
  REQUIRE(values(x) == V{2, 3});
  REQUIRE(values(z) == V{1, 2});
  y = tensor({9.f});  // rebinds the name
  REQUIRE(values(x) == V{2, 3});
  REQUIRE(x.clone().data() != x.data());
}

TEST_CASE("clone is part of the graph, of any layout") {
  auto x = tensor<double>({{1., 2.}, {3., 4.}}).requires_grad_();
  const Tensor<double, 2> c = transpose(x, 0, 1).clone();
  REQUIRE(c.is_contiguous());
  REQUIRE(values(c) == V{1, 3, 2, 4});
  sum(c * tensor<double>({{1., 2.}, {3., 4.}})).backward();
  REQUIRE(values(x.grad()) == V{1, 3, 2, 4});
}

TEST_CASE("to() converts, and its gradient goes back in the dtype that was") {
  auto x = tensor({1.5f, -2.5f}).requires_grad_();
  REQUIRE(values(x.to<std::int64_t>()) == V{1, -2});
  REQUIRE(values(tensor({0.f, 0.5f, NAN}).to<bool>()) == V{0, 1, 1});
  REQUIRE(x.to<float>().data() == x.data());
  const Tensor<double, 1> d = x.to<double>();
  sum(d * 3).backward();
  REQUIRE(x.grad().dtype() == DType::float32);
  REQUIRE(values(x.grad()) == V{3, 3});
  REQUIRE(values(tensor({65504.f, 1e6f}).to<half>()) == V{65504, INFINITY});
}

TEST_CASE("item() takes one element") {
  REQUIRE(tensor({{3.f}}).item() == 3.f);
  REQUIRE(sum(ones({4})).item() == 4.f);
  REQUIRE_THROWS_WITH(ones({2, 3}).item(), Contains("item") && Contains("[2, 3]") && Contains("6"));
  REQUIRE_THROWS_AS(zeros({0}).item(), ShapeError);
}

TEST_CASE("size, dim, dtype, devices") {
  const auto x = zeros<std::int32_t>({2, 3});
  REQUIRE(x.size(-1) == 3);
  REQUIRE(x.dim() == 2);
  REQUIRE(x.dtype() == DType::int32);
  REQUIRE_THROWS_WITH(x.size(2), Contains("size") && Contains("dimension 2"));
  REQUIRE(x.to(Device::cpu()).data() == x.data());
}

TEST_CASE("undefined tensors") {
  Tensor<float, 1> x;
  REQUIRE_FALSE(x.defined());
  REQUIRE_THROWS_AS(x.copy_(ones({2})), Error);
  REQUIRE_THROWS_WITH(x.shape(), Contains("undefined"));
  REQUIRE_THROWS_AS(x + 1, Error);
  REQUIRE_THROWS_AS(x += 1, Error);
  REQUIRE_THROWS_AS(ones({2}) * x, Error);
  REQUIRE_THROWS_AS(sum(x), Error);
  REQUIRE_THROWS_AS(x.clone(), Error);
  REQUIRE_THROWS_AS(x.contiguous(), Error);
  REQUIRE_THROWS_AS(x.to<double>(), Error);
  REQUIRE_THROWS_AS(x.detach(), Error);
  REQUIRE_THROWS_AS(x.size(0), Error);
  REQUIRE_THROWS_AS(x.numel(), Error);
  REQUIRE_THROWS_AS(x.grad(), Error);
  REQUIRE_THROWS_AS(x.requires_grad_(), Error);
  REQUIRE_THROWS_AS(x.version(), Error);
  x = ones({2});
  REQUIRE(x.defined());
}

TEST_CASE("an expanded tensor is not written to") {
  auto x = arange<float>(4);
  REQUIRE_THROWS_WITH(x.expand(3, 4) += 1, Contains("add_") && Contains("expanded"));
  REQUIRE(x[3].item() == 3);
  x.expand(1, 4) += 1;
  REQUIRE(x[3].item() == 4);
}

TEST_CASE("set_grad checks the shape; tensors of no elements work throughout") {
  auto x = ones({2});
  REQUIRE_THROWS_WITH(x.set_grad(ones({3})), Contains("[3]") && Contains("[2]"));
  auto none = zeros({0, 4}).requires_grad_();
  sum(exp(none) * 2).backward();
  REQUIRE(none.grad().shape() == Shape<2>{{0, 4}});
  REQUIRE(none.clone().contiguous().numel() == 0);
  none.detach().fill_(3);
}
