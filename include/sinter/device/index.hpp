// SPDX-License-Identifier: MIT
// Elements chosen by index on a device. Indices are dense int64 there, where no exception can be thrown: what is out of range
// reads as NaN (0 for integers), is not written, and is reported when values next come to the host.
#pragma once

#include <cstdint>

#include "sinter/core/backend.hpp"
#include "sinter/core/config.hpp"
#include "sinter/core/dtype.hpp"
#include "sinter/core/error.hpp"

namespace sinter {

// Of some index that was out of range. It lies in pinned memory of the host, where kernels write to it.
struct IndexFault {
  const char* volatile op;
  volatile std::int64_t index, extent;
};
// Null before the first kernel that checks.
inline IndexFault* index_fault = nullptr;

// To be called behind a synchronization, wherever values come to the host. Throws IndexError, once, for a fault on any device.
inline void check_indices_on_device() {
  if (!index_fault || !index_fault->op) return;
  const char* op = index_fault->op;
  const std::int64_t index = index_fault->index, extent = index_fault->extent;
  index_fault->op = nullptr;
  fail<IndexError>(op, ": index ", index, " was out of range for extent ", extent, " on a CUDA device");
}

// What `skip` says where nothing is skipped.
inline constexpr std::int64_t no_index = INT64_MIN;

// Slices of x (outer, rows, inner) and of out (outer, n, inner): out[o, k, :] = x[o, index[k], :], zeros for index `skip`.
struct GatherRowsArgs {
  const char* op;
  DType dtype;
  void* out;
  const void* x;
  const std::int64_t* index;
  std::int64_t outer, rows, inner, n;
  std::int64_t skip = no_index;
};
inline DeviceKernel<void(const GatherRowsArgs&)> gather_rows_on_device{"index_select"};

// The way back: to[o, index[k], :] gains grad[o, k, :] for all k but those with index `skip`. Equal indices are summed in
// rising k, in stretches that depend on n and the indices alone. Without `accumulate`, `to` holds zeros.
struct AddRowsArgs {
  const char* op;
  DType dtype;
  void* to;
  const void* grad;
  const std::int64_t* index;
  std::int64_t outer, rows, inner, n;
  bool accumulate;
  std::int64_t skip = no_index;
};
inline DeviceKernel<void(const AddRowsArgs&)> add_rows_on_device{"index_add"};

// out[.., k, ..] = x[.., index[.., k, ..], ..] along dim; out has the index's shape, all are dense.
// scatter: x[.., index[.., k, ..], ..] = source[.., k, ..], the last k wins; zeros where source is null.
// scatter_add: += in rising k.
struct GatherArgs {
  const char* op;
  DType dtype;
  int rank, dim;
  std::int64_t x_sizes[max_rank], sizes[max_rank];  // of x and of the index
  const std::int64_t* index;
};
inline DeviceKernel<void(const GatherArgs&, void* out, const void* x)> gather_on_device{"gather"};
inline DeviceKernel<void(const GatherArgs&, void* x, const void* source)> scatter_on_device{"scatter"};
inline DeviceKernel<void(const GatherArgs&, void* x, const void* source)> scatter_add_on_device{"scatter_add"};

// out (n, classes) of int64, 1 at index[i] of row i.
inline DeviceKernel<void(std::int64_t* out, const std::int64_t* index, std::int64_t n, std::int64_t classes)> one_hot_on_device{"one_hot"};
// The coordinates of places in row-major order: out (count, rank).
inline DeviceKernel<void(std::int64_t* out, const std::int64_t* place, std::int64_t count, int rank, const std::int64_t* sizes)> unravel_on_device{"nonzero"};

// ---- flip, roll, repeat, repeat_interleave, pad: index i of the result comes from source(i) of the operand.

struct IndexRule {
  enum Kind { same, reversed, shifted, repeated, held, padded, reflected, replicated };
  Kind kind = same;
  std::int64_t size = 0, n = 0;  // extents of the result and of the operand
  std::int64_t by = 0;           // the shift in [0, n), the times that an element is held, the padding below

  // -1 for the filling value.
  SINTER_HOST_DEVICE std::int64_t source(std::int64_t i) const {
    if (kind == same) return i;
    if (kind == reversed) return n - 1 - i;
    if (kind == shifted) return i < by ? i - by + n : i - by;
    if (kind == repeated) return i % n;
    if (kind == held) return i / by;
    const std::int64_t j = i - by;
    if (0 <= j && j < n) return j;
    if (kind == reflected) return j < 0 ? -j : 2 * (n - 1) - j;
    if (kind == replicated) return j < 0 ? 0 : n - 1;
    return -1;
  }
  // The indices of the result that come from j are preimage(j, 0), ... of number preimages(j).
  SINTER_HOST_DEVICE std::int64_t preimages(std::int64_t j) const {
    if (kind == repeated) return size / n;
    if (kind == held) return by;
    if (kind == replicated) {
      const std::int64_t low = j == 0 ? 0 : first(j + by), high = j == n - 1 ? size : bound(j + by + 1);
      return high > low ? high - low : 0;
    }
    if (kind == reflected) return std::int64_t(inside(j + by)) + left(j) + right(j);
    if (kind == padded) return inside(j + by);
    return 1;
  }
  SINTER_HOST_DEVICE std::int64_t preimage(std::int64_t j, std::int64_t k) const {
    if (kind == reversed) return n - 1 - j;
    if (kind == shifted) return j + by < n ? j + by : j + by - n;
    if (kind == repeated) return j + k * n;
    if (kind == held) return j * by + k;
    if (kind == replicated) return (j == 0 ? 0 : first(j + by)) + k;
    if (kind == reflected) {  // in rising order
      if (left(j) && k-- == 0) return by - j;
      if (inside(j + by) && k-- == 0) return j + by;
      return 2 * (n - 1) - j + by;
    }
    return kind == padded ? j + by : j;
  }

 private:
  SINTER_HOST_DEVICE bool inside(std::int64_t i) const { return 0 <= i && i < size; }
  SINTER_HOST_DEVICE bool left(std::int64_t j) const { return j > 0 && inside(by - j); }
  SINTER_HOST_DEVICE bool right(std::int64_t j) const { return j < n - 1 && inside(2 * (n - 1) - j + by); }
  SINTER_HOST_DEVICE std::int64_t first(std::int64_t i) const { return i < 0 ? 0 : i; }
  SINTER_HOST_DEVICE std::int64_t bound(std::int64_t i) const { return i < size ? i : size; }
};
struct RearrangeArgs {
  const char* op;
  DType dtype;
  int rank;
  IndexRule rule[max_rank];
  std::uint64_t fill;  // the bits of the filling value
};
inline DeviceKernel<void(const RearrangeArgs&, void* out, const void* x)> rearrange_on_device{"rearrange"};
// dx[j] = the sum of grad over the preimages of j, in rising order.
inline DeviceKernel<void(const RearrangeArgs&, void* dx, const void* grad)> rearrange_back_on_device{"rearrange"};

}  // namespace sinter
