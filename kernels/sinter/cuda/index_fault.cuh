// SPDX-License-Identifier: MIT
// How a kernel reports an index that is out of range: see device/index.hpp.
#pragma once

#include "sinter/cuda/runtime.cuh"
#include "sinter/device/index.hpp"

namespace sinter {
namespace cuda {

// Passed to a kernel by value.
struct FaultReport {
  IndexFault* fault;
  const char* op;

  // Made by the host, before a recording of graphs begins: the first call asks the driver for pinned memory.
  static FaultReport of(const char* op) {
    static IndexFault* const made = [] {
      auto* f = static_cast<IndexFault*>(cuda_backend->allocate_pinned(sizeof(IndexFault)));
      f->op = nullptr;
      return index_fault = f;
    }();
    return {made, op};
  }
  // Whether 0 <= index < extent.
  SINTER_HOST_DEVICE bool accepts(std::int64_t index, std::int64_t extent) const {
    if (0 <= index && index < extent) return true;
    fault->index = index;
    fault->extent = extent;
    fault->op = op;
    return false;
  }
};

}  // namespace cuda
}  // namespace sinter
