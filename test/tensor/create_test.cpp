// SPDX-License-Identifier: MIT
// Creation: deduced ranks and dtypes, values, random streams, and what is refused.
#include "sinter/tensor/create.hpp"

#include <catch2/catch.hpp>
#include <cstring>

#include "values.hpp"

using namespace sinter;
using Catch::Matchers::Contains;

TEST_CASE("ranks and dtypes are deduced") {
  static_assert(std::is_same_v<decltype(zeros({2, 3})), Tensor<float, 2>>);
  static_assert(std::is_same_v<decltype(zeros<double>({4})), Tensor<double, 1>>);
  static_assert(std::is_same_v<decltype(full({2}, 1)), Tensor<std::int64_t, 1>>);
  static_assert(std::is_same_v<decltype(full({2}, 1.5)), Tensor<float, 1>>);
  static_assert(std::is_same_v<decltype(full({2}, true)), Tensor<bool, 1>>);
  static_assert(std::is_same_v<decltype(tensor({{1., 2.}, {3., 4.}})), Tensor<float, 2>>);
  static_assert(std::is_same_v<decltype(tensor<double>(1.5)), Tensor<double, 0>>);
  static_assert(std::is_same_v<decltype(tensor(std::vector<double>{1.})), Tensor<double, 1>>);
  static_assert(std::is_same_v<decltype(arange(3)), Tensor<std::int64_t, 1>>);
  REQUIRE(values(tensor({{{1, 2}}, {{3, 4}}})) == V{1, 2, 3, 4});
  REQUIRE(values(ones<half>({3})) == V{1, 1, 1});
  REQUIRE(values(full_like(ones<double>({2}), 7)) == V{7, 7});
  REQUIRE(zeros_like(ones({2, 0, 3})).shape() == Shape<3>{{2, 0, 3}});
  REQUIRE(tensor(2.5).item() == 2.5f);
  REQUIRE(values(eye(2, 3)) == V{1, 0, 0, 0, 1, 0});
}

TEST_CASE("sequences") {
  REQUIRE(values(arange(2, 11, 4)) == V{2, 6, 10});
  REQUIRE(values(arange(5, 0, -2)) == V{5, 3, 1});
  REQUIRE(values(arange(3, 3, 1)).empty());
  REQUIRE(arange(0.0, 1.0, 0.1).numel() == 10);
  REQUIRE(values(arange(10)).size() == 10);
  REQUIRE_THROWS_AS(arange(0, 5, 0), ValueError);
  REQUIRE_THROWS_WITH(arange(0, 5, -1), Contains("arange") && Contains("-1") && Contains("5"));
  REQUIRE(values(linspace<double>(-1, 1, 5)) == V{-1, -0.5, 0, 0.5, 1});
  REQUIRE(values(linspace(3, 9, 1)) == V{3});
  REQUIRE(values(linspace(3, 9, 0)).empty());
  REQUIRE(linspace<double>(0, 0.1, 7).data()[6] == 0.1);
  REQUIRE_THROWS_AS(linspace(0, 1, -1), ValueError);
}

TEST_CASE("negative extents are refused by name") {
  REQUIRE_THROWS_AS(zeros({2, -1}), ShapeError);
  REQUIRE_THROWS_WITH(zeros({2, -1}), Contains("zeros") && Contains("-1") && Contains("axis 1"));
  REQUIRE_THROWS_WITH(rand({-5}), Contains("rand") && Contains("-5"));
  REQUIRE_THROWS_AS(randperm(-1), ValueError);
  REQUIRE_THROWS_AS(randint(3, 3, Shape<1>{{2}}), ValueError);
}

TEST_CASE("extents whose product overflows, and memory that is not there") {
  const std::int64_t big = std::int64_t(1) << 40;
  REQUIRE_THROWS_AS(zeros({big, big}), ShapeError);
  REQUIRE_THROWS_AS(empty({std::int64_t(1) << 62}), ShapeError);
  REQUIRE_THROWS_AS((ones({1}).expand(big, big) + 1).eval(), ShapeError);
  const auto before = Cache::stats().allocated;
  REQUIRE_THROWS_WITH(empty({big * 64}), Contains("no memory"));
  REQUIRE(Cache::stats().allocated == before);
}

TEST_CASE("from_blob sees the caller's memory") {
  double memory[6] = {1, 2, 3, 4, 5, 6};
  {
    auto x = from_blob(memory, {2, 3});
    REQUIRE(x.data() == memory);
    x += 1;
  }
  REQUIRE(memory[5] == 7);
}

TEST_CASE("random streams depend on the seed alone, not on the threads") {
  const int before = get_num_threads();
  const auto draw = [] {
    manual_seed(42);
    const auto a = rand({300, 401});
    const auto b = randn<double>({100001});
    const auto c = randint(-5, 5, Shape<1>{{1000}});
    return std::tuple(values(a), values(b), values(c), values(randperm(50)));
  };
  set_num_threads(1);
  const auto one = draw();
  set_num_threads(2);
  REQUIRE(draw() == one);
  set_num_threads(before);
  manual_seed(43);
  REQUIRE(values(rand({300, 401})) != std::get<0>(one));
  REQUIRE(values(rand({300, 401})) != values(rand({300, 401})));  // the stream goes on
}

TEST_CASE("random numbers are distributed as they should be") {
  manual_seed(7);
  const std::int64_t n = 1 << 20;
  const V u = values(rand<double>({n})), z = values(randn<double>({n}));
  double mean = 0, square = 0, third = 0, inside = 0;
  for (const double x : z) mean += x, square += x * x, third += x * x * x, inside += std::abs(x) < 1;
  CHECK(mean / double(n) == Approx(0).margin(0.005));
  CHECK(square / double(n) == Approx(1).margin(0.01));
  CHECK(third / double(n) == Approx(0).margin(0.02));
  CHECK(inside / double(n) == Approx(0.6827).margin(0.003));
  std::vector<int> bins(16);
  for (const double x : u) {
    REQUIRE((x >= 0 && x < 1));
    ++bins[std::size_t(x * 16)];
  }
  for (const int b : bins) CHECK(b == Approx(double(n) / 16).epsilon(0.02));
  const V p = values(randperm(1000));
  std::vector<bool> seen(1000);
  for (const double x : p) seen[std::size_t(x)] = true;
  CHECK(std::count(seen.begin(), seen.end(), true) == 1000);
  CHECK(p != values(arange(1000)));
}
