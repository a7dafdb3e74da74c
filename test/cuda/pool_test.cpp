// SPDX-License-Identifier: MIT
// Pooling on a device, windows of all kinds; gradients are gathered and do not depend on the order of threads.
#include "reference.hpp"
#include "sinter/functional/pool.hpp"

using namespace sinter;
using reference::check;

namespace {

// In float, and in double without a batch.
template <class F>
void check_pool(const F& f, std::int64_t h, std::int64_t w) {
  CAPTURE(h, w);
  check<float>(f, 16, 1, randn<double>({2, 3, h, w}));
  check<double>(f, 16, 1, randn<double>({3, h, w}));
}
void check_max(Pair kernel, const MaxPool2dOptions& o, std::int64_t h, std::int64_t w) {
  check_pool([&](const auto& t, Device) { return max_pool2d(t, kernel, o); }, h, w);
}
void check_avg(Pair kernel, const AvgPool2dOptions& o, std::int64_t h, std::int64_t w) {
  check_pool([&](const auto& t, Device) { return avg_pool2d(t, kernel, o); }, h, w);
}
void check_adaptive(Pair size, std::int64_t h, std::int64_t w) {
  check_pool([&](const auto& t, Device) { return adaptive_avg_pool2d(t, size); }, h, w);
}

}  // namespace

TEST_CASE("max_pool2d on a device") {
  manual_seed(1);
  for (const auto& [h, w] : {std::pair(8, 8), std::pair(9, 7), std::pair(2, 12), std::pair(7, 16)}) check_max(2, {}, h, w);
  check_max(3, MaxPool2dOptions().stride(2).padding(1), 11, 8);
  check_max({3, 2}, MaxPool2dOptions().stride({1, 3}).padding({1, 0}).dilation({2, 1}).ceil_mode(true), 9, 10);
  check_max(2, MaxPool2dOptions().ceil_mode(true), 5, 7);
  auto x = full<double>(Shape{1, 4, 8}, -INFINITY);
  x.data()[5] = NAN, x.data()[20] = 1;
  check<float>([](const auto& t, Device) { return max_pool2d(t, 2); }, 16, 1, x);
  check<float>([](const auto& t, Device) { return max_pool2d(t, 3, MaxPool2dOptions().stride(1).padding(1)); }, 16, 1, x);
  check<float>([](const auto& t, Device) { return max_pool2d(t, 2); }, 16, 1, randn<double>({0, 3, 4, 4}));
}
TEST_CASE("avg_pool2d and adaptive_avg_pool2d on a device") {
  manual_seed(2);
  check_avg(2, {}, 8, 9);
  check_avg(3, AvgPool2dOptions().stride(2).padding(1).ceil_mode(true), 10, 8);
  check_avg({3, 2}, AvgPool2dOptions().stride({1, 2}).padding({1, 0}).count_include_pad(false), 7, 8);
  check_avg(7, {}, 14, 15);
  for (const int n : {1, 2, 3, 5, 7}) check_adaptive(n, 7, 5);
  check_adaptive({1, 1}, 14, 33);
  check_adaptive({3, 1}, 17, 13);
}
