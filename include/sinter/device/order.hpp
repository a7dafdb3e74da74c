// SPDX-License-Identifier: MIT
// Order on a device: sorts. Stable; a NaN is greater than any number, -0 equals 0. Of fewer than 2^32 elements.
#pragma once

#include <cstdint>

#include "sinter/core/backend.hpp"
#include "sinter/core/dtype.hpp"

namespace sinter {

// For each row of x (rows, n) the places of its first k elements in order: out (rows, k).
struct OrderArgs {
  DType dtype;
  const void* x;
  std::int64_t rows, n, k;
  bool descending;
  std::int64_t* out;
};
inline DeviceKernel<void(const OrderArgs&)> order_on_device{"sort"};

// The positions of an index in the order of what it says; what is not in [0, bound) comes last.
inline DeviceKernel<void(const std::int64_t* index, std::int64_t n, std::int64_t bound, std::uint32_t* position)> sort_index_on_device{"sort"};

}  // namespace sinter
