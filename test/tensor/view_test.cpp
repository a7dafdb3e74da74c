// SPDX-License-Identifier: MIT
// Views: PyTorch's semantics, shared memory, and what is refused.
#include "sinter/tensor/view.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/create.hpp"
#include "values.hpp"

using namespace sinter;
using Catch::Matchers::Contains;

namespace {
Tensor<double, 3> numbered() { return reshape(arange<double>(24.), Shape<3>{{2, 3, 4}}); }
}  // namespace

TEST_CASE("views share memory; reshape copies only where it must") {
  auto x = numbered();
  REQUIRE(x.view(6, 4).data() == x.data());
  REQUIRE(x.reshape(-1).data() == x.data());
  const Tensor<double, 3> t = x.transpose(0, 2);
  REQUIRE(t.data() == x.data());
  REQUIRE_FALSE(t.is_contiguous());
  REQUIRE(t.contiguous().data() != x.data());
  REQUIRE(x.contiguous().data() == x.data());
  REQUIRE(values(t) == V{0, 12, 4, 16, 8, 20, 1, 13, 5, 17, 9, 21, 2, 14, 6, 18, 10, 22, 3, 15, 7, 19, 11, 23});
  const auto copy = t.reshape(24);
  REQUIRE(copy.data() != x.data());
  REQUIRE(values(copy) == values(t));
  Tensor<double, 2>(x.select(0, 1)).fill_(-1);
  REQUIRE(values(x)[12] == -1);
  REQUIRE(values(x)[11] == 11);
}

TEST_CASE("view() over strides that allow it") {
  const auto x = numbered();
  const Tensor<double, 3> part = x.narrow(2, 1, 2);  // rows of two with gaps
  REQUIRE(values(part.view(6, 2)) == values(part));
  REQUIRE(part.view(6, 2).data() == part.data());
  REQUIRE(values(part.view(2, 3, 1, 2, 1)) == values(part));
  REQUIRE_THROWS_AS(part.view(12), ShapeError);
  REQUIRE_THROWS_WITH(part.view(12), Contains("view") && Contains("strides") && Contains("reshape"));
  const Tensor<double, 3> wide = expand(reshape(arange<double>(3.), Shape<3>{{3, 1, 1}}), Shape<3>{{3, 2, 2}});
  REQUIRE(values(wide.view(3, 4)) == V{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2});
  REQUIRE_THROWS_AS(wide.view(12), ShapeError);
}

TEST_CASE("extents in braces, as libtorch takes them") {
  const auto x = arange<float>(6);
  REQUIRE(x.reshape({2, 3}).shape() == Shape<2>{{2, 3}});
  REQUIRE(x.view({3, -1}).shape() == Shape<2>{{3, 2}});
  REQUIRE(x.expand({2, 6}).shape() == Shape<2>{{2, 6}});
  REQUIRE(x.view(2, 3).permute({1, 0})[2][1].item() == 5);
}

TEST_CASE("one extent may be inferred") {
  const auto x = numbered();
  REQUIRE(x.reshape(4, -1).shape() == Shape<2>{{4, 6}});
  REQUIRE_THROWS_WITH(x.reshape(5, -1), Contains("reshape") && Contains("24") && Contains("5"));
  REQUIRE_THROWS_WITH(x.reshape(5, 5), Contains("[2, 3, 4]") && Contains("[5, 5]"));
  REQUIRE_THROWS_AS(x.reshape(-1, -1), ShapeError);
  REQUIRE_THROWS_AS(x.reshape(-2, 12), ShapeError);
  REQUIRE(zeros({0, 3}).reshape(3, 0).shape() == Shape<2>{{3, 0}});
  REQUIRE(zeros({0, 3}).reshape(-1, 3).shape() == Shape<2>{{0, 3}});
  REQUIRE_THROWS_AS(zeros({0, 3}).reshape(-1, 0), ShapeError);  // ambiguous
  REQUIRE(tensor(2.5).reshape(1, 1).shape() == Shape<2>{{1, 1}});
}

TEST_CASE("permute, transpose, squeeze, unsqueeze, flatten, expand") {
  const auto x = numbered();
  REQUIRE(x.permute(2, 0, -2).shape() == Shape<3>{{4, 2, 3}});
  REQUIRE(values(x.permute(2, 0, 1))[1] == 4);
  REQUIRE_THROWS_WITH(x.permute(0, 1, 1), Contains("permute") && Contains("1") && Contains("twice"));
  REQUIRE_THROWS_AS(x.permute(0, 1, 3), IndexError);
  REQUIRE_THROWS_WITH(x.transpose(0, 3), Contains("transpose") && Contains("dimension 3") && Contains("rank 3"));
  REQUIRE(x.unsqueeze(-1).shape() == Shape<4>{{2, 3, 4, 1}});
  REQUIRE(x.unsqueeze(1).shape() == Shape<4>{{2, 1, 3, 4}});
  REQUIRE_THROWS_AS(x.unsqueeze(4), IndexError);
  REQUIRE(x.unsqueeze(0).squeeze(0).shape() == x.shape());
  REQUIRE_THROWS_WITH(x.squeeze(1), Contains("squeeze") && Contains("3") && Contains("axis 1"));
  REQUIRE(x.flatten().shape() == Shape<1>{{24}});
  REQUIRE(x.flatten<1>().shape() == Shape<2>{{2, 12}});
  REQUIRE(x.flatten<0, 1>().shape() == Shape<2>{{6, 4}});
  REQUIRE(tensor(1.5).flatten().shape() == Shape<1>{{1}});
  REQUIRE(values(tensor({{1.f}, {2.f}}).expand(-1, 3)) == V{1, 1, 1, 2, 2, 2});
  REQUIRE(tensor({1.f}).expand(2, 0, 3).shape() == Shape<3>{{2, 0, 3}});
  REQUIRE_THROWS_WITH(tensor({1.f, 2.f}).expand(3, 4), Contains("expand") && Contains("2 against 4"));
  REQUIRE_THROWS_AS(tensor({1.f}).expand(-1, 1), ShapeError);
  REQUIRE(values(t(tensor({{1.f, 2.f}, {3.f, 4.f}}))) == V{1, 3, 2, 4});
}

TEST_CASE("slice clips, narrow and select do not") {
  const auto x = arange<double>(10.);
  REQUIRE(values(x.slice(0, 2, 8, 3)) == V{2, 5});
  REQUIRE(values(x.slice(0, -3, 100)) == V{7, 8, 9});
  REQUIRE(values(x.slice(0, -100, 2)) == V{0, 1});
  REQUIRE(values(x.slice(0, 5, 2)).empty());
  REQUIRE_THROWS_WITH(x.slice(0, 0, 5, 0), Contains("step") && Contains("0"));
  REQUIRE_THROWS_AS(x.slice(0, 0, 5, -1), IndexError);
  REQUIRE(values(x.narrow(0, 7, 3)) == V{7, 8, 9});
  REQUIRE(values(x.narrow(0, -2, 2)) == V{8, 9});
  REQUIRE(values(x.narrow(0, 10, 0)).empty());
  REQUIRE_THROWS_WITH(x.narrow(0, 8, 3), Contains("narrow") && Contains("8") && Contains("3") && Contains("10"));
  REQUIRE_THROWS_AS(x.narrow(0, 0, -1), IndexError);
  REQUIRE_THROWS_AS(x.narrow(0, 1, std::numeric_limits<std::int64_t>::max()), IndexError);
  REQUIRE(x.select(0, -1).item() == 9);
  REQUIRE_THROWS_WITH(x.select(0, 10), Contains("select") && Contains("index 10") && Contains("extent 10"));
  REQUIRE_THROWS_AS(x[-11], IndexError);
}

TEST_CASE("gradients of views are those of the elements") {
  manual_seed(6);
  const auto x = randn<double>({2, 3, 4});
  REQUIRE(gradcheck([](auto a) { return square(a.permute(2, 0, 1)); }, x));
  REQUIRE(gradcheck([](auto a) { return square(a.narrow(1, 1, 2)) * 3; }, x));
  REQUIRE(gradcheck([](auto a) { return square(a.select(2, -1)); }, x));
  REQUIRE(gradcheck([](auto a) { return exp(a.transpose(0, 2).reshape(6, 4)); }, x));
  REQUIRE(gradcheck([](auto a) { return square(a.unsqueeze(1).expand(2, 3, 3, 4)); }, x));
  REQUIRE(gradcheck([](auto a) { return square(a.slice(2, 0, 4, 2)) * a.slice(2, 1, 4, 2); }, x));  // two views meet in one gradient
  REQUIRE(gradcheck([](auto a) { return transpose(exp(a) * 2, 0, 1); }, x));                         // a view of an expression
}

TEST_CASE("an undefined tensor is refused") {
  const Tensor<float, 2> nothing;
  REQUIRE_FALSE(nothing.defined());
  REQUIRE_THROWS_WITH(make_view<2>("transpose", nothing, [](const auto& l) { return l; }), Contains("undefined"));
}
