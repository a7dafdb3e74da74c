// SPDX-License-Identifier: MIT
// Expected values as PyTorch 1.13 gives them.
#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/functional/matrix_shape.hpp"
#include "sinter/functional/rearrange.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"
#include "sinter/tensor/index.hpp"

using namespace sinter;
using Catch::Contains;

static const auto x = arange(6).reshape(2, 3);
static const auto m = tensor<double>({{0.3, -1.2, 2.0}, {0.7, 0.1, -0.4}});

TEST_CASE("flip, roll") {
  CHECK(equal(flip(x, 1), tensor({{2, 1, 0}, {5, 4, 3}})));
  CHECK(equal(flip(x, {0, -1}), tensor({{5, 4, 3}, {2, 1, 0}})));
  CHECK(equal(flip(x.t(), 0), tensor({{2, 5}, {1, 4}, {0, 3}})));
  CHECK(equal(roll(x, 1, 1), tensor({{2, 0, 1}, {5, 3, 4}})));
  CHECK(equal(roll(x, {-1, 7}, {0, 1}), tensor({{5, 3, 4}, {2, 0, 1}})));
  CHECK(flip(zeros({0, 3}), 0).shape() == Shape{0, 3});
  const auto w = randn<double>({2, 3});
  CHECK(gradcheck([=](auto a) { return roll(flip(a, 1), {1, 2}, {0, 1}) * w; }, m));
  CHECK_THROWS_WITH(flip(x, 7), Contains("7"));
}

TEST_CASE("repeat, tile, repeat_interleave") {
  const auto v = tensor({1, 2});
  CHECK(equal(repeat(v, {2, 2}), tensor({{1, 2, 1, 2}, {1, 2, 1, 2}})));
  CHECK(equal(repeat(x, {1, 2}), tensor({{0, 1, 2, 0, 1, 2}, {3, 4, 5, 3, 4, 5}})));
  CHECK(equal(tile(x, {2}), tensor({{0, 1, 2, 0, 1, 2}, {3, 4, 5, 3, 4, 5}})));
  CHECK(equal(repeat_interleave(x, 2, 0), tensor({{0, 1, 2}, {0, 1, 2}, {3, 4, 5}, {3, 4, 5}})));
  CHECK(equal(repeat_interleave(tensor({{1, 2}, {3, 4}}), 2), tensor({1, 1, 2, 2, 3, 3, 4, 4})));
  CHECK(repeat(x, {0, 1}).shape() == Shape{0, 3});
  const auto w = randn<double>({2, 4, 3});
  CHECK(gradcheck([=](auto a) { return repeat(a, {2, 2, 1}) * w; }, m));
  CHECK(gradcheck([](auto a) { return repeat_interleave(a * a, 3, 1); }, m));
  CHECK_THROWS_WITH(repeat_interleave(v, -2, 0), Contains("-2"));
}

TEST_CASE("pad") {
  CHECK(equal(pad(x, {1, 2}, PadMode::constant, 9), tensor({{9, 0, 1, 2, 9, 9}, {9, 3, 4, 5, 9, 9}})));
  CHECK(equal(pad(x, {-1, 0, 0, 1}), tensor({{1, 2}, {4, 5}, {0, 0}})));
  CHECK(equal(pad(x, {2, 1}, PadMode::reflect), tensor({{2, 1, 0, 1, 2, 1}, {5, 4, 3, 4, 5, 4}})));
  CHECK(equal(pad(x, {1, 1, 1, 0}, PadMode::replicate), tensor({{0, 0, 1, 2, 2}, {0, 0, 1, 2, 2}, {3, 3, 4, 5, 5}})));
  const auto w = randn<double>({3, 6});
  for (const PadMode mode : {PadMode::constant, PadMode::reflect, PadMode::replicate})
    CHECK(gradcheck([=](auto a) { return pad(a, {2, 1, 1, 0}, mode, 3) * w; }, m));
  CHECK_THROWS_WITH(pad(zeros({1, 2, 5}), {16, 0}, PadMode::reflect), Contains("16"));
  CHECK_THROWS_WITH(pad(zeros({4}), {-16, 0}), Contains("-16"));
}

TEST_CASE("large tensors on several threads") {
  const auto a = randn({40, 50, 30});
  auto leaf = a.clone();
  leaf.requires_grad_();
  const auto y = pad(leaf, {1, 1, 1, 1}, PadMode::replicate);
  CHECK(equal(eval(y(all, Slice(1, 51), Slice(1, 31))), a));
  y.backward(ones({40, 52, 32}));
  CHECK(leaf.grad().select(0, 7)[0][0].item() == 4);
  CHECK(sum(leaf.grad()).item() == 40 * 52 * 32);
}

TEST_CASE("tril, triu, diag") {
  CHECK(equal(tril(x + 1), tensor({{1, 0, 0}, {4, 5, 0}})));
  CHECK(equal(triu(x + 1, 1), tensor({{0, 2, 3}, {0, 0, 6}})));
  CHECK(equal(eval(tril(ones({2, 3, 3}), -1))[1], tensor({{0., 0., 0.}, {1., 0., 0.}, {1., 1., 0.}})));
  CHECK(equal(diag(x), tensor({0, 4})));
  CHECK(equal(diag(x, 1), tensor({1, 5})));
  CHECK(equal(diag(x, -1), tensor({3})));
  CHECK(diag(x, 5).numel() == 0);
  CHECK(equal(diag(tensor({1, 2}), -1), tensor({{0, 0, 0}, {1, 0, 0}, {0, 2, 0}})));
  CHECK(gradcheck([](auto a) { return tril(a * a); }, m));
  CHECK(gradcheck([](auto a) { return diag(a * a, 1); }, m));
  CHECK(gradcheck([](auto a) { return diag(a * a, 1); }, tensor<double>({1., 2.})));
}

TEST_CASE("meshgrid, glu") {
  const auto grid = meshgrid(tensor({1, 2}), tensor({3, 4, 5}));
  CHECK(equal(grid[0], tensor({{1, 1, 1}, {2, 2, 2}})));
  CHECK(equal(grid[1], tensor({{3, 4, 5}, {3, 4, 5}})));
  CHECK(equal(meshgrid(tensor({1, 2}), tensor({3, 4, 5}), Indexing::xy)[0], tensor({{1, 2}, {1, 2}, {1, 2}})));
  CHECK(meshgrid(ones({2}), ones({3}), ones({4}))[2].shape() == Shape{2, 3, 4});
  CHECK(allclose(glu(tensor({{1., 2., 0., 1.}})), tensor({{0.5, 1.4621171}})));
  CHECK(gradcheck([](auto a) { return glu(a, 0); }, m));
  CHECK_THROWS_WITH(glu(zeros({2, 33}), 1), Contains("33"));
}
