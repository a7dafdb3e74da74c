// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "sinter/data/dataset.hpp"

using namespace sinter;

TEST_CASE("a TensorDataset has rows") {
  auto x = arange<float>(12).reshape(4, 3);
  const TensorDataset data(Tensor<float, 2>(x), arange(4));
  CHECK(data.size() == 4);
  const auto [row, label] = data.get(2);
  static_assert(std::is_same_v<decltype(row), const Tensor<float, 1>>);
  static_assert(std::is_same_v<decltype(label), const Tensor<std::int64_t, 0>>);
  CHECK(row.data()[1] == 7);
  CHECK(label.item() == 2);
  const std::int64_t at[] = {3, 0, 3};
  const auto [rows, labels] = data.gather(at, 3);
  CHECK(rows.shape() == Shape{3, 3});
  CHECK(rows.data()[0] == 9);
  CHECK(rows.data()[3] == 0);
  CHECK(labels.data()[2] == 3);
  CHECK_THROWS_WITH(data.get(4), Catch::Contains("sample 4 of 4"));
  CHECK_THROWS_AS(data.get(-1), IndexError);
  const std::int64_t wrong[] = {0, 4};
  CHECK_THROWS_AS(data.gather(wrong, 2), IndexError);
  CHECK_THROWS_WITH(TensorDataset(zeros({4, 2}), arange(5)), Catch::Contains("4") && Catch::Contains("5"));
}

TEST_CASE("a TensorDataset of strided tensors and of empty rows") {
  const TensorDataset data(arange<float>(6).reshape(2, 3).t());
  CHECK(data.size() == 3);
  const std::int64_t at[] = {1};
  CHECK(std::get<0>(data.gather(at, 1)).data()[1] == 4);
  const TensorDataset hollow(zeros({3, 0}), zeros({3, 2}));
  CHECK(std::get<0>(hollow.gather(at, 1)).shape() == Shape{1, 0});
}

TEST_CASE("map, Subset and random_split") {
  const TensorDataset data(arange<float>(6).reshape(6, 1), arange(6));
  const auto doubled = map(data, [](auto x, auto y) { return std::tuple(eval(x * 2), y.item()); });
  Generator g(1);
  CHECK(doubled.size() == 6);
  CHECK(std::get<0>(doubled.get(2, g)).item() == 4);
  CHECK(std::get<1>(doubled.get(2, g)) == 2);
  const auto noisy = map(doubled, [](Generator& gen, auto x, std::int64_t y) { return std::tuple(x, y, gen.below(1000)); });
  Generator a(1), b(1), c(2);
  CHECK(std::get<2>(noisy.get(0, a)) == std::get<2>(noisy.get(0, b)));
  CHECK(std::get<2>(noisy.get(0, a)) != std::get<2>(noisy.get(0, c)));

  const Subset some(data, {5, 1});
  CHECK(some.size() == 2);
  CHECK(std::get<1>(some.get(0, g)).item() == 5);
  CHECK_THROWS_AS(some.get(2, g), IndexError);
  CHECK_THROWS_WITH(Subset(data, {6}), Catch::Contains("sample 6 of 6"));

  const auto [first, second] = random_split(data, 4, g);
  CHECK(first.size() == 4);
  CHECK(second.size() == 2);
  int seen = 0;
  for (int i = 0; i < 4; ++i) seen |= 1 << std::get<1>(first.get(i, g)).item();
  for (int i = 0; i < 2; ++i) seen |= 1 << std::get<1>(second.get(i, g)).item();
  CHECK(seen == 63);
  CHECK_THROWS_AS(random_split(data, 7, g), ValueError);
}

TEST_CASE("samples are stacked, numbers become a tensor, unequal shapes are refused") {
  const auto batch = collate(std::vector<Tensor<float, 1>>{ones({2}), zeros({2})});
  CHECK(batch.shape() == Shape{2, 2});
  CHECK(batch.data()[1] == 1);
  CHECK(batch.data()[2] == 0);
  CHECK(collate(std::vector<std::int64_t>{4, 5}).data()[1] == 5);
  CHECK_THROWS_WITH(collate(std::vector<Tensor<float, 1>>{ones({2}), zeros({3})}), Catch::Contains("[2] x [3]"));
}
