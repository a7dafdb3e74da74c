// SPDX-License-Identifier: MIT
// Sorts, selections of the greatest, distinct elements and running sums on a device against the CPU's.

#include <catch2/catch.hpp>

#include "schedules.hpp"
#include "sinter/functional/scan.hpp"
#include "sinter/functional/sort.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

namespace {

constexpr Device card = Device::cuda();

template <class T, int R>
void check_order(const Tensor<T, R>& x) {
  for (int d = 0; d < R; ++d)
    for (const bool descending : {false, true}) {
      REQUIRE(equal(argsort(x.cuda(), d, descending), argsort(x, d, descending)));
      const std::int64_t k = (x.size(d) + 1) / 2;
      REQUIRE(equal(topk(x.cuda(), k, d, descending).indices, topk(x, k, d, descending).indices));
    }
}
template <class T>
Tensor<T, 2> few_values(std::int64_t n, std::int64_t m) {
  return materialize(to<T>(randint(0, 7, {n, m})));
}

}  // namespace

TEST_CASE("sorts on a device are the CPU's, ties and NaNs included") {
  manual_seed(1);
  check_order(randn({5, 7, 3}));
  check_order(randn({300}));
  check_order(few_values<float>(9, 40));
  check_order(few_values<double>(9, 40));
  check_order(few_values<sinter::half>(9, 40));
  check_order(few_values<bfloat16>(3, 70));
  check_order(few_values<std::uint8_t>(9, 40));
  check_order(randint(-1000, 1000, {6, 30}));
  check_order(randint<std::int32_t>(-1000, 1000, {6, 30}));
  check_order(materialize(randn({4, 20}) > 0));
  check_order(randn<double>({1, 50}));
  check_order(randn({1, 1}));
  auto x = randn({4, 33});
  const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, 0.f, -0.f, 0.f, -1e-40f, 1e-40f};
  for (int i = 0; i < 100; ++i) x.data()[(i * 7) % 132] = odd[i % 9];
  check_order(x);
  check_order(materialize(to<double>(x)));
  check_order(materialize(to<sinter::half>(x)));
  REQUIRE(argsort(zeros({0, 3}, card), 0).numel() == 0);
  REQUIRE(topk(randn({3, 5}, card), 0).values.numel() == 0);
  auto a = randn({6, 5}).requires_grad_();
  auto b = a.detach().cuda().requires_grad_();
  sort(a, 0).values.backward(ones({6, 5}) * 3);
  sort(b, 0).values.backward(full({6, 5}, 3.f, card));
  REQUIRE(equal(a.grad(), b.grad()));
}

TEST_CASE("distinct elements on a device") {
  manual_seed(2);
  const auto check = [](const auto& x) {
    const auto host = unique(x), device = unique(x.cuda());
    REQUIRE(equal(device.values, host.values));
    REQUIRE(equal(device.inverse, host.inverse));
    REQUIRE(equal(device.counts, host.counts));
  };
  check(few_values<float>(9, 40));
  check(randint(0, 1000, {3, 4, 200}));
  check(full({5}, 2));
  check(randn({1}));
  check(zeros({0}));
}

TEST_CASE("running sums and products on a device") {
  manual_seed(3);
  for (const std::int64_t n : {1, 2, 63, 65, 2047, 2048, 2049, 20000, 40001}) {
    const auto ones_and_more = randint(0, 9, {n});
    const auto sums = same_under_all_schedules([&] {
      const auto y = cumsum(ones_and_more.cuda(), 0).cpu();
      return std::vector<std::int64_t>(y.data(), y.data() + n);
    });
    const auto expected = cumsum(ones_and_more, 0);
    REQUIRE(std::equal(sums.begin(), sums.end(), expected.data()));
  }
  const auto check = [](const auto& x, int d) {
    auto a = x.detach().clone().requires_grad_(), b = x.detach().cuda().requires_grad_();
    const double tolerance = sizeof(*x.data()) == 2 ? 2e-2 : 1e-5;
    const auto up = materialize(randn(x.shape()));
    using T = std::decay_t<decltype(*x.data())>;
    const auto given = materialize(to<T>(up));
    cumsum(a, d).backward(given);
    cumsum(b, d).backward(given.cuda());
    REQUIRE(allclose(cumsum(b.detach(), d), cumsum(a.detach(), d), tolerance, tolerance));
    REQUIRE(allclose(b.grad(), a.grad(), tolerance, tolerance));
    auto p = x.detach().clone().requires_grad_(), q = x.detach().cuda().requires_grad_();
    cumprod(p, d).backward(given);
    cumprod(q, d).backward(given.cuda());
    REQUIRE(allclose(cumprod(q.detach(), d), cumprod(p.detach(), d), tolerance, tolerance));
    REQUIRE(allclose(q.grad(), p.grad(), tolerance, tolerance));
  };
  for (int d = 0; d < 3; ++d) check(randn({6, 150, 7}), d);
  check(randn<double>({3, 300}), 1);
  check(randn<double>({300, 40}), 0);
  check(randn<bfloat16>({5, 9}), 0);
  auto with_zero = randn({2, 8});
  with_zero.data()[3] = 0;
  check(with_zero, 1);
  REQUIRE(cumsum(zeros({0, 3}, card), 0).numel() == 0);
}
