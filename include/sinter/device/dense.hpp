// SPDX-License-Identifier: MIT
// Dense memory of a device written: filled, added, counted up. (Copies: core/copy.hpp.)
#pragma once

#include <cstdint>
#include <cstring>

#include "sinter/core/backend.hpp"
#include "sinter/core/dtype.hpp"

namespace sinter {

// n elements of dtype at p, aligned to their size; the bits of one are the lowest of `pattern`.
inline DeviceKernel<void(void* p, DType dtype, std::int64_t n, std::uint64_t pattern)> fill_on_device{"fill"};

template <class T>
std::uint64_t pattern_of(T value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}

// to[i] = a[i] + b[i], rounded once; `to` may be a or b.
inline DeviceKernel<void(void* to, const void* a, const void* b, DType dtype, std::int64_t n)> add_on_device{"add"};

// to[i] = start + i * step; with `last`, the upper half is counted down from there instead, so that the end is exact.
// Integers are counted in int64, all else in double.
struct SequenceArgs {
  void* to;
  DType dtype;
  std::int64_t n;
  bool integers, from_both_ends;
  std::int64_t first, by;      // integers
  double start, step, last;    // others
};
inline DeviceKernel<void(const SequenceArgs&)> sequence_on_device{"arange"};

}  // namespace sinter
