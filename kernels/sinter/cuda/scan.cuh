// SPDX-License-Identifier: MIT
// Running sums and products, in three launches where rows are long: the totals of stretches, those scanned, and the stretches
// again from where the ones before end. How rows are cut depends on the shape alone.
#pragma once

#include "sinter/cuda/stride.cuh"
#include "sinter/device/scan.hpp"

namespace sinter {
namespace cuda {

template <class T>
using running_t = std::conditional_t<is_floating<T>, double, std::int64_t>;

struct ScanShape {
  std::int64_t outer, n, inner;
  std::int64_t stretch, stretches;  // along n
  bool backwards;
  // Element i in running order, of a row that begins at `row`.
  SINTER_HOST_DEVICE std::int64_t at(std::int64_t row, std::int64_t i) const { return row + (backwards ? n - 1 - i : i) * inner; }
};
template <bool Product, class C>
SINTER_HOST_DEVICE C joined(C a, C b) {
  if constexpr (Product) return a * b;
  else return a + b;
}
template <bool Product, class C>
SINTER_HOST_DEVICE C neutral() { return C(Product ? 1 : 0); }
template <class C, class T>
SINTER_HOST_DEVICE C running(T x) {
  return C(compute_t<T>(x));
}

// ---- A block to a stretch, of rows whose elements lie behind one another

inline constexpr int scan_per_thread = 8, scan_tile = block_threads * scan_per_thread;

// The running values of a tile: each thread's eight, the threads' totals, and both joined. Returns the tile's total.
template <bool Product, class C>
__device__ C scan_tile_in(C* tile, C* totals, C before) {
  const int t = int(threadIdx.x);
  C sum = neutral<Product, C>();
  __syncthreads();
  for (int k = 0; k < scan_per_thread; ++k) {
    C& x = tile[t * (scan_per_thread + 1) + k];
    x = sum = joined<Product>(sum, x);
  }
  totals[t] = sum;
  __syncthreads();
  for (int step = 1; step < block_threads; step *= 2) {
    const C left = t >= step ? totals[t - step] : neutral<Product, C>();
    __syncthreads();
    totals[t] = joined<Product>(left, totals[t]);
    __syncthreads();
  }
  const C offset = joined<Product>(before, t > 0 ? totals[t - 1] : neutral<Product, C>());
  for (int k = 0; k < scan_per_thread; ++k) tile[t * (scan_per_thread + 1) + k] = joined<Product>(offset, tile[t * (scan_per_thread + 1) + k]);
  const C total = totals[block_threads - 1];
  __syncthreads();
  return total;
}
SINTER_HOST_DEVICE int scan_slot(int i) { return i / scan_per_thread * (scan_per_thread + 1) + i % scan_per_thread; }

// Totals (outer, stretches), if y is null; else the running values behind `before` (outer, stretches), if that is not null.
template <bool Product, class In, class Out, class C>
__global__ void __launch_bounds__(block_threads) scan_block_kernel(Out* y, const In* x, C* totals, const C* before, ScanShape s) {
  __shared__ C tile[block_threads * (scan_per_thread + 1)];
  __shared__ C sums[block_threads];
  for (std::int64_t b = blockIdx.x; b < s.outer * s.stretches; b += gridDim.x) {
    const std::int64_t row = b / s.stretches * s.n, begin = b % s.stretches * s.stretch;
    const std::int64_t end = begin + s.stretch < s.n ? begin + s.stretch : s.n;
    C carry = before ? before[b] : neutral<Product, C>();
    for (std::int64_t first = begin; first < end; first += scan_tile) {
      for (int i = int(threadIdx.x); i < scan_tile; i += block_threads)
        tile[scan_slot(i)] = first + i < end ? running<C>(x[s.at(row, first + i)]) : neutral<Product, C>();
      const C total = scan_tile_in<Product>(tile, sums, carry);
      if (y)
        for (int i = int(threadIdx.x); i < scan_tile; i += block_threads)
          if (first + i < end) y[s.at(row, first + i)] = Out(tile[scan_slot(i)]);
      carry = joined<Product>(carry, total);
      __syncthreads();
    }
    if (totals && threadIdx.x == 0) totals[b] = carry;
  }
}

// ---- A thread to a stretch, of rows that lie beside one another or are short

template <bool Product, class In, class Out, class C>
__global__ void __launch_bounds__(block_threads) scan_thread_kernel(Out* y, const In* x, C* totals, const C* before, ScanShape s) {
  const std::int64_t items = s.outer * s.stretches * s.inner;
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < items; i += std::int64_t(gridDim.x) * block_threads) {
    const std::int64_t j = i % s.inner, c = i / s.inner % s.stretches, o = i / s.inner / s.stretches;
    const std::int64_t row = o * s.n * s.inner + j, end = (c + 1) * s.stretch < s.n ? (c + 1) * s.stretch : s.n;
    C sum = before ? before[i] : neutral<Product, C>();
    for (std::int64_t k = c * s.stretch; k < end; ++k) {
      sum = joined<Product>(sum, running<C>(x[s.at(row, k)]));
      if (y) y[s.at(row, k)] = Out(sum);
    }
    if (totals) totals[i] = sum;
  }
}
// In place: what lies before each stretch.
template <bool Product, class C>
__global__ void __launch_bounds__(block_threads) scan_totals_kernel(C* totals, std::int64_t outer, std::int64_t stretches, std::int64_t inner) {
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < outer * inner; i += std::int64_t(gridDim.x) * block_threads) {
    C* row = totals + i / inner * stretches * inner + i % inner;
    C sum = neutral<Product, C>();
    for (std::int64_t c = 0; c < stretches; ++c) {
      const C next = joined<Product>(sum, row[c * inner]);
      row[c * inner] = sum;
      sum = next;
    }
  }
}

template <bool Product, class Out, class In>
void scan(const char* op, Out* y, const In* x, ScanShape s) {
  using C = running_t<In>;
  const bool blocks = s.inner == 1 && s.n > 64;
  const std::int64_t rows = s.outer * s.inner, wide = std::int64_t(1) << 13;
  s.stretch = blocks ? (rows >= 256 ? s.n : 8 * scan_tile) : rows >= wide ? s.n : 128;
  s.stretches = (s.n + s.stretch - 1) / s.stretch;
  const std::int64_t items = rows * s.stretches;
  const auto kernel = blocks ? scan_block_kernel<Product, In, Out, C> : scan_thread_kernel<Product, In, Out, C>;
  const std::int64_t most = std::int64_t(1) << 30;
  const int grid = blocks ? int(items < most ? items : most) : blocks_for(items);
  if (s.stretches == 1) return SINTER_LAUNCH(op, kernel, grid, block_threads, 0, y, x, static_cast<C*>(nullptr), static_cast<const C*>(nullptr), s);
  const Workspace scratch(std::size_t(items) * sizeof(C));
  auto* totals = static_cast<C*>(scratch.data());
  const auto join = scan_totals_kernel<Product, C>;
  SINTER_LAUNCH(op, kernel, grid, block_threads, 0, static_cast<Out*>(nullptr), x, totals, static_cast<const C*>(nullptr), s);
  SINTER_LAUNCH(op, join, blocks_for(rows), block_threads, 0, totals, s.outer, s.stretches, s.inner);
  SINTER_LAUNCH(op, kernel, grid, block_threads, 0, y, x, static_cast<C*>(nullptr), static_cast<const C*>(totals), s);
}
inline void launch_scan(const ScanArgs& a, void* y, const void* x) {
  if (a.outer * a.n * a.inner == 0) return;
  const ScanShape s{a.outer, a.n, a.inner, a.n, 1, a.backwards};
  const auto run = [&](auto t) {
    using T = decltype(t);
    if (a.product) scan<true>(a.op, static_cast<T*>(y), static_cast<const T*>(x), s);
    else scan<false>(a.op, static_cast<T*>(y), static_cast<const T*>(x), s);
  };
  if (a.dtype == DType::int64) run(std::int64_t());
  else for_floating(a.op, a.dtype, run);
}
inline const bool scan_registered = scan_on_device.set(launch_scan);

// dx_i = (x_0 ... x_i-1) * s_i with s_i = g_i + x_i+1 * s_i+1, a thread to a row.
template <class T>
__global__ void __launch_bounds__(block_threads) cumprod_back_kernel(T* dx, const T* x, const T* grad, ScanShape s) {
  for (std::int64_t r = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; r < s.outer * s.inner; r += std::int64_t(gridDim.x) * block_threads) {
    const std::int64_t b = r / s.inner * s.n * s.inner + r % s.inner, step = s.inner;
    double rest = 0, before = 1;
    for (std::int64_t i = s.n - 1; i >= 0; --i) {
      rest = double(grad[b + i * step]) + (i + 1 < s.n ? double(x[b + (i + 1) * step]) * rest : 0.0);
      dx[b + i * step] = T(rest);
    }
    for (std::int64_t i = 0; i < s.n; ++i) {
      dx[b + i * step] = T(before * double(dx[b + i * step]));
      before *= double(x[b + i * step]);
    }
  }
}
inline void launch_cumprod_back(const ScanArgs& a, void* dx, const void* x, const void* grad) {
  if (a.outer * a.n * a.inner == 0) return;
  for_floating(a.op, a.dtype, [&](auto t) {
    using T = decltype(t);
    SINTER_LAUNCH(a.op, cumprod_back_kernel<T>, blocks_for(a.outer * a.inner), block_threads, 0, static_cast<T*>(dx), static_cast<const T*>(x),
                  static_cast<const T*>(grad), (ScanShape{a.outer, a.n, a.inner, a.n, 1, false}));
  });
}
inline const bool cumprod_back_registered = cumprod_back_on_device.set(launch_cumprod_back);

// ---- What is counted by running sums. rank: how many marks there are up to an element, itself included.

template <class = void>
__global__ void __launch_bounds__(block_threads) select_kernel(const bool* mask, const std::int64_t* rank, std::int64_t n, std::int64_t* places, std::int64_t* count) {
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < n; i += std::int64_t(gridDim.x) * block_threads) {
    if (mask[i]) places[rank[i] - 1] = i;
    if (i == n - 1) *count = rank[i];
  }
}
inline void rank_marks(const char* op, const bool* mask, std::int64_t n, std::int64_t* rank) { scan<false>(op, rank, mask, ScanShape{1, n, 1, n, 1, false}); }
inline void launch_select(const bool* mask, std::int64_t n, std::int64_t* places, std::int64_t* count) {
  const Workspace ranks(std::size_t(n) * 8);
  auto* rank = static_cast<std::int64_t*>(ranks.data());
  rank_marks("masked_select", mask, n, rank);
  SINTER_LAUNCH("masked_select", select_kernel<>, blocks_for(n), block_threads, 0, mask, rank, n, places, count);
}
inline const bool select_registered = select_on_device.set(launch_select);

template <class T>
__global__ void __launch_bounds__(block_threads) group_heads_kernel(bool* head, GroupsArgs a) {
  const T* x = static_cast<const T*>(a.x);
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < a.n; i += std::int64_t(gridDim.x) * block_threads)
    head[i] = i == 0 || !(compute_t<T>(x[a.order[i]]) == compute_t<T>(x[a.order[i - 1]]));
}
template <class = void>
__global__ void __launch_bounds__(block_threads) groups_kernel(const bool* head, const std::int64_t* rank, std::int64_t* begin, GroupsArgs a) {
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < a.n; i += std::int64_t(gridDim.x) * block_threads) {
    const std::int64_t group = rank[i] - 1;
    a.inverse[a.order[i]] = group;
    if (head[i]) a.first[group] = a.order[i], begin[group] = i;
    if (i == a.n - 1) *a.count = rank[i];
  }
}
template <class = void>
__global__ void __launch_bounds__(block_threads) group_sizes_kernel(const std::int64_t* begin, GroupsArgs a) {
  for (std::int64_t g = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; g < *a.count; g += std::int64_t(gridDim.x) * block_threads)
    a.size[g] = (g + 1 < *a.count ? begin[g + 1] : a.n) - begin[g];
}
inline void launch_groups(const GroupsArgs& a) {
  const Workspace heads(std::size_t(a.n)), ranks(std::size_t(a.n) * 8), begins(std::size_t(a.n) * 8);
  auto* head = static_cast<bool*>(heads.data());
  auto* rank = static_cast<std::int64_t*>(ranks.data());
  auto* begin = static_cast<std::int64_t*>(begins.data());
  for_dtype(a.dtype, [&](auto t) {
    using T = decltype(t);
    SINTER_LAUNCH("unique", group_heads_kernel<T>, blocks_for(a.n), block_threads, 0, head, a);
  });
  rank_marks("unique", head, a.n, rank);
  SINTER_LAUNCH("unique", groups_kernel<>, blocks_for(a.n), block_threads, 0, head, rank, begin, a);
  SINTER_LAUNCH("unique", group_sizes_kernel<>, blocks_for(a.n), block_threads, 0, begin, a);
}
inline const bool groups_registered = groups_on_device.set(launch_groups);

}  // namespace cuda
}  // namespace sinter
