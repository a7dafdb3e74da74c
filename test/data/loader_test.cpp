// SPDX-License-Identifier: MIT
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <stdexcept>

#include "sinter/data/loader.hpp"

using namespace sinter;

namespace {

auto numbers(std::int64_t n) { return TensorDataset(arange<float>(2 * n).reshape(n, 2), arange(n)); }

template <class Loader>
std::vector<std::int64_t> labels_of(Loader& loader) {
  std::vector<std::int64_t> seen;
  for (auto [x, y] : loader)
    for (std::int64_t i = 0; i < y.numel(); ++i) {
      CHECK(x.data()[2 * i] == float(2 * y.data()[i]));
      seen.push_back(y.data()[i]);
    }
  return seen;
}

struct Slow {  // later samples are done sooner
  std::int64_t n = 12;
  std::atomic<int>* calls = nullptr;
  std::int64_t throws_at = -1;
  std::int64_t size() const { return n; }
  std::tuple<std::int64_t> get(std::int64_t i) const {
    if (calls) ++*calls;
    std::this_thread::sleep_for(std::chrono::milliseconds((n - i) % 4));
    if (i == throws_at) throw std::runtime_error("sample is broken");
    return {i};
  }
};

}  // namespace

TEST_CASE("batches in order; the last one is short, or dropped") {
  for (int workers : {0, 1, 3}) {
    DataLoader loader(numbers(10), DataLoaderOptions().batch_size(4).workers(workers));
    CHECK(loader.size() == 3);
    std::vector<std::int64_t> sizes;
    for (auto [x, y] : loader) {
      static_assert(std::is_same_v<decltype(x), Tensor<float, 2>>);
      CHECK(x.size(1) == 2);
      sizes.push_back(x.size(0));
    }
    CHECK(sizes == std::vector<std::int64_t>{4, 4, 2});
    DataLoader whole(numbers(10), DataLoaderOptions().batch_size(4).workers(workers).drop_last(true));
    CHECK(whole.size() == 2);
    CHECK(labels_of(whole) == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7});
  }
}

TEST_CASE("shuffling depends on seed and epoch, not on workers") {
  std::vector<std::vector<std::int64_t>> first, second;
  for (int workers : {0, 1, 2, 4}) {
    DataLoader loader(numbers(100), DataLoaderOptions().batch_size(7).shuffle(true).seed(5).workers(workers));
    first.push_back(labels_of(loader));
    second.push_back(labels_of(loader));
    CHECK(loader.epoch() == 2);
    loader.set_epoch(0);
    CHECK(labels_of(loader) == first[0]);
  }
  for (std::size_t i = 1; i < first.size(); ++i) {
    CHECK(first[i] == first[0]);
    CHECK(second[i] == second[0]);
  }
  CHECK(first[0] != second[0]);
  DataLoader other(numbers(100), DataLoaderOptions().batch_size(7).shuffle(true).seed(6));
  CHECK(labels_of(other) != first[0]);
  auto sorted = first[0];
  std::sort(sorted.begin(), sorted.end());
  for (std::int64_t i = 0; i < 100; ++i) CHECK(sorted[std::size_t(i)] == i);
}

TEST_CASE("without a seed manual_seed decides") {
  std::vector<std::int64_t> orders[2];
  for (auto& order : orders) {
    manual_seed(3);
    DataLoader loader(numbers(50), DataLoaderOptions().batch_size(50).shuffle(true));
    order = labels_of(loader);
  }
  CHECK(orders[0] == orders[1]);
}

TEST_CASE("random transforms do not depend on workers either") {
  std::vector<float> seen[2];
  for (int workers : {0, 3}) {
    auto noisy = map(numbers(20), [](Generator& g, auto x, auto) { return std::tuple(eval(x + rand({2}, g))); });
    DataLoader loader(noisy, DataLoaderOptions().batch_size(3).shuffle(true).seed(1).workers(workers));
    for (int epoch = 0; epoch < 2; ++epoch)
      for (auto [x] : loader) seen[workers > 0].insert(seen[workers > 0].end(), x.data(), x.data() + x.numel());
  }
  CHECK(seen[0].size() == 80);
  CHECK(seen[0] == seen[1]);
  CHECK(!std::equal(seen[0].begin(), seen[0].begin() + 40, seen[0].begin() + 40));
}

TEST_CASE("workers that finish out of order deliver in order, and run at most so far ahead") {
  std::atomic<int> calls{0};
  DataLoader loader(Slow{24, &calls}, DataLoaderOptions().batch_size(2).workers(3).prefetch_factor(1));
  std::int64_t expected = 0;
  for (auto [i] : loader) {
    CHECK(i.data()[0] == expected);
    expected += 2;
    CHECK(calls <= expected + 3 * 2);
  }
  CHECK(expected == 24);
}

TEST_CASE("an exception comes out at its batch, and the loader can go on") {
  for (int workers : {0, 1, 3}) {
    DataLoader loader(Slow{12, nullptr, 7}, DataLoaderOptions().batch_size(2).workers(workers));
    for (int time = 0; time < 2; ++time) {
      int good = 0;
      CHECK_THROWS_WITH([&] { for (auto [i] : loader) good += i.numel() == 2; }(), "sample is broken");
      CHECK(good == 3);
    }
  }
}

TEST_CASE("a loop may be left early, nested and repeated") {
  std::atomic<int> calls{0};
  DataLoader loader(Slow{1000, &calls}, DataLoaderOptions().workers(2).prefetch_factor(2));
  for (int time = 0; time < 3; ++time)
    for (auto [i] : loader)
      if (i.data()[0] == 2) break;
  CHECK(calls < 60);  // no worker has gone on alone
  DataLoader small(Slow{3, nullptr}, DataLoaderOptions().workers(2));
  int count = 0;
  for (auto [i] : small)
    for (auto [j] : small) count += int(i.data()[0] * 0 + j.data()[0] * 0 + 1);
  CHECK(count == 9);
  auto it = small.begin();  // never advanced
}

TEST_CASE("more workers than batches, and no samples at all") {
  DataLoader few(numbers(2), DataLoaderOptions().batch_size(2).workers(8));
  CHECK(labels_of(few).size() == 2);
  for (int workers : {0, 2}) {
    DataLoader none(TensorDataset(zeros({0, 2}), arange(0)), DataLoaderOptions().workers(workers));
    CHECK(none.size() == 0);
    CHECK(labels_of(none).empty());
  }
}

TEST_CASE("nonsense is refused") {
  CHECK_THROWS_WITH(DataLoader(numbers(2), DataLoaderOptions().batch_size(0)), Catch::Contains("batch_size") && Catch::Contains("0"));
  CHECK_THROWS_AS(DataLoader(numbers(2), DataLoaderOptions().batch_size(-3)), ValueError);
  CHECK_THROWS_WITH(DataLoader(numbers(2), DataLoaderOptions().workers(-1)), Catch::Contains("-1"));
  CHECK_THROWS_AS(DataLoader(numbers(2), DataLoaderOptions().prefetch_factor(0)), ValueError);
}
