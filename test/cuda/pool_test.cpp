// SPDX-License-Identifier: MIT
// Pooling on a device, windows of all kinds; gradients are gathered and do not depend on the order of threads.
#include "sinter/cuda/dense.cuh"
#include "sinter/cuda/pool.cuh"

#include "reference.hpp"
#include "sinter/functional/pool.hpp"

using namespace sinter;
using reference::check;

namespace {

template <class F>
void check_pool(F f, std::int64_t h, std::int64_t w) {
  CAPTURE(h, w);
  check<float>([f](const auto& t, Device) { return f(t); }, 16, 1, randn<double>({2, 3, h, w}));
  check<double>([f](const auto& t, Device) { return f(t); }, 16, 1, randn<double>({3, h, w}));
}

}  // namespace

TEST_CASE("max_pool2d on a device") {
  manual_seed(1);
  for (const auto& [h, w] : {std::pair(8, 8), std::pair(9, 7), std::pair(2, 12), std::pair(7, 16)}) check_pool([](const auto& t) { return max_pool2d(t, 2); }, h, w);
  check_pool([](const auto& t) { return max_pool2d(t, 3, MaxPool2dOptions().stride(2).padding(1)); }, 11, 8);
  check_pool([](const auto& t) { return max_pool2d(t, {3, 2}, MaxPool2dOptions().stride({1, 3}).padding({1, 0}).dilation({2, 1}).ceil_mode(true)); }, 9, 10);
  check_pool([](const auto& t) { return max_pool2d(t, 2, MaxPool2dOptions().ceil_mode(true)); }, 5, 7);
  auto x = full<double>(Shape{1, 4, 8}, -INFINITY);
  x.data()[5] = NAN, x.data()[20] = 1;
  check<float>([](const auto& t, Device) { return max_pool2d(t, 2); }, 16, 1, x);
  check<float>([](const auto& t, Device) { return max_pool2d(t, 3, MaxPool2dOptions().stride(1).padding(1)); }, 16, 1, x);
  check<float>([](const auto& t, Device) { return max_pool2d(t, 2); }, 16, 1, randn<double>({0, 3, 4, 4}));
}
TEST_CASE("avg_pool2d and adaptive_avg_pool2d on a device") {
  manual_seed(2);
  check_pool([](const auto& t) { return avg_pool2d(t, 2); }, 8, 9);
  check_pool([](const auto& t) { return avg_pool2d(t, 3, AvgPool2dOptions().stride(2).padding(1).ceil_mode(true)); }, 10, 8);
  check_pool([](const auto& t) { return avg_pool2d(t, {3, 2}, AvgPool2dOptions().stride({1, 2}).padding({1, 0}).count_include_pad(false)); }, 7, 8);
  check_pool([](const auto& t) { return avg_pool2d(t, 7); }, 14, 15);
  for (const int n : {1, 2, 3, 5, 7}) check_pool([n](const auto& t) { return adaptive_avg_pool2d(t, n); }, 7, 5);
  check_pool([](const auto& t) { return adaptive_avg_pool2d(t, {1, 1}); }, 14, 33);
  check_pool([](const auto& t) { return adaptive_avg_pool2d(t, {3, 1}); }, 17, 13);
}
