// SPDX-License-Identifier: MIT
// Running sums and products on a device, and what is counted by them: selection by a mask, distinct elements.
#pragma once

#include <cstdint>

#include "sinter/core/backend.hpp"
#include "sinter/core/dtype.hpp"

namespace sinter {

// y (outer, n, inner) from x along n, in double for floating point numbers and in int64 for others, in stretches that depend on
// the shape alone. `backwards`: from the end.
struct ScanArgs {
  const char* op;
  DType dtype;
  std::int64_t outer, n, inner;
  bool product, backwards;
};
inline DeviceKernel<void(const ScanArgs&, void* y, const void* x)> scan_on_device{"cumsum"};
// dx of a running product of x.
inline DeviceKernel<void(const ScanArgs&, void* dx, const void* x, const void* grad)> cumprod_back_on_device{"cumprod"};

// The places where the mask holds, in rising order; room for n. n > 0; all that is written is on the device.
inline DeviceKernel<void(const bool* mask, std::int64_t n, std::int64_t* places, std::int64_t* count)> select_on_device{"masked_select"};

// The groups of equals among x in the given order: which one each element is in, the place of each one's first element, and
// how many it has; room for n groups. n > 0.
struct GroupsArgs {
  DType dtype;
  const void* x;
  const std::int64_t* order;
  std::int64_t n;
  std::int64_t *inverse, *first, *size, *count;
};
inline DeviceKernel<void(const GroupsArgs&)> groups_on_device{"unique"};

}  // namespace sinter
