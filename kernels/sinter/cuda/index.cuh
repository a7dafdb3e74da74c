// SPDX-License-Identifier: MIT
// gather, scatter, index_select, embedding, one_hot and the rearrangements, forwards and back. No sums by float atomics: what
// meets in one place is brought into order first.
#pragma once

#include "sinter/cuda/index_fault.cuh"
#include "sinter/cuda/stride.cuh"
#include "sinter/device/dense.hpp"
#include "sinter/device/index.hpp"
#include "sinter/device/order.hpp"

namespace sinter {
namespace cuda {

// What is read at an index out of range: NaN in every floating point dtype, or 0.
template <class W>
SINTER_HOST_DEVICE W nowhere(bool floating) {
  if constexpr (std::is_same_v<W, Pack>) return floating ? Pack{~std::uint64_t(0), ~std::uint64_t(0)} : Pack{0, 0};
  else return floating ? W(~std::uint64_t(0)) : W(0);
}
inline bool is_floating_dtype(DType t) { return t >= DType::float16; }

// ---- Slices by index

template <class W, class I>
__global__ void __launch_bounds__(block_threads) gather_rows_kernel(W* out, const W* x, const std::int64_t* index, I total, Divisor<I> inner, Divisor<I> n,
                                                                    std::int64_t rows, std::int64_t skip, bool floating, FaultReport report) {
  const I block = I(block_threads) * 4;
  for (I base = I(blockIdx.x) * block + I(threadIdx.x); base < total; base += I(gridDim.x) * block) {
    W value[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const I i = base + I(k * block_threads);
      if (i >= total) continue;
      const I slice = inner.quotient(i), o = n.quotient(slice);
      const std::int64_t row = index[slice - o * n.d];
      if (row == skip) value[k] = W();
      else if (!report.accepts(row, rows)) value[k] = nowhere<W>(floating);
      else value[k] = x[(std::int64_t(o) * rows + row) * std::int64_t(inner.d) + std::int64_t(i - slice * inner.d)];
    }
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (base + I(k * block_threads) < total) out[base + I(k * block_threads)] = value[k];
  }
}
inline void launch_gather_rows(const GatherRowsArgs& a) {
  const std::int64_t elements = a.outer * a.n * a.inner;
  if (elements == 0) return;
  int bytes = size_of(a.dtype);
  std::int64_t inner = a.inner;
  const auto address = reinterpret_cast<std::uintptr_t>(a.out) | reinterpret_cast<std::uintptr_t>(a.x);
  while (bytes < 16 && inner % 2 == 0 && address % std::uintptr_t(2 * bytes) == 0) bytes *= 2, inner /= 2;
  const std::int64_t total = a.outer * a.n * inner;
  for_word(bytes, [&](auto word) {
    using W = decltype(word);
    for_count(total, [&](auto i) {
      using I = decltype(i);
      const auto kernel = gather_rows_kernel<W, I>;
      SINTER_LAUNCH(a.op, kernel, blocks_for(total, 4), block_threads, 0, static_cast<W*>(a.out), static_cast<const W*>(a.x), a.index, I(total),
                    Divisor<I>(inner), Divisor<I>(a.n), a.rows, a.skip, is_floating_dtype(a.dtype), FaultReport::of(a.op));
    });
  });
}
inline const bool gather_rows_registered = gather_rows_on_device.set(launch_gather_rows);

// ---- Sums by index

// The positions of an index, sorted by what it says there, are walked in stretches of 32. A run of equal indices that lies
// within a stretch is added to its row at once; of one that does not, each stretch keeps its part, and the stretch where the run
// begins adds those up behind a second launch.
inline constexpr std::int64_t run_stretch = 32;

struct Runs {
  const std::int64_t* index;
  const std::uint32_t* position;
  std::int64_t n, stretches, outer, rows, inner, skip;
  bool accumulate;
  SINTER_HOST_DEVICE std::int64_t row(std::int64_t s) const { return index[position[s]]; }
  SINTER_HOST_DEVICE bool begins_before(std::int64_t begin) const { return begin > 0 && row(begin - 1) == row(begin); }
  SINTER_HOST_DEVICE bool goes_on(std::int64_t end) const { return end < n && row(end - 1) == row(end); }
  template <class T>
  SINTER_HOST_DEVICE void add(T* to, std::int64_t o, std::int64_t r, std::int64_t j, total_t<T> sum) const {
    if (r < 0 || r >= rows || r == skip) return;
    T& slot = to[(o * rows + r) * inner + j];
    slot = accumulate ? T(total_t<T>(slot) + sum) : T(sum);
  }
};
// parts (outer, stretches, 2, inner): of a run that began before, and of one that goes on.
template <class T>
__global__ void __launch_bounds__(block_threads) add_runs_kernel(T* to, const T* grad, total_t<T>* parts, Runs a, FaultReport report) {
  using C = total_t<T>;
  const std::int64_t items = a.outer * a.stretches * a.inner;
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < items; i += std::int64_t(gridDim.x) * block_threads) {
    const std::int64_t j = i % a.inner, c = i / a.inner % a.stretches, o = i / a.inner / a.stretches;
    const std::int64_t begin = c * run_stretch, end = begin + run_stretch < a.n ? begin + run_stretch : a.n;
    const T* g = grad + o * a.n * a.inner + j;
    C* part = parts + ((o * a.stretches + c) * 2) * a.inner + j;
    std::int64_t run = a.row(begin);
    bool before = a.begins_before(begin);
    C sum = 0;
    for (std::int64_t s = begin; s < end; s += 4) {
      std::int64_t r[4];
      T x[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const std::int64_t at = s + k < end ? s + k : end - 1;
        const std::uint32_t p = a.position[at];
        r[k] = a.index[p];
        x[k] = g[std::int64_t(p) * a.inner];
      }
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        if (s + k >= end) break;
        if (j == 0 && o == 0 && r[k] != a.skip) report.accepts(r[k], a.rows);
        if (r[k] != run) {
          if (before) part[0] = sum;
          else a.add(to, o, run, j, sum);
          run = r[k], before = false, sum = 0;
        }
        sum += C(x[k]);
      }
    }
    if (before) part[0] = sum;
    else if (a.goes_on(end)) part[a.inner] = sum;
    else a.add(to, o, run, j, sum);
  }
}
template <class T>
__global__ void __launch_bounds__(block_threads) join_runs_kernel(T* to, const total_t<T>* parts, Runs a) {
  const std::int64_t items = a.outer * a.stretches * a.inner;
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < items; i += std::int64_t(gridDim.x) * block_threads) {
    const std::int64_t j = i % a.inner, c = i / a.inner % a.stretches, o = i / a.inner / a.stretches;
    const std::int64_t begin = c * run_stretch, end = begin + run_stretch;
    if (end >= a.n || !a.goes_on(end)) continue;
    const std::int64_t run = a.row(end);
    if (a.row(begin) == run && a.begins_before(begin)) continue;
    const total_t<T>* part = parts + ((o * a.stretches + c) * 2) * a.inner + j;
    total_t<T> sum = part[a.inner];
    for (std::int64_t next = end; next < a.n && a.row(next) == run; next += run_stretch) {
      part += 2 * a.inner;
      sum += part[0];
    }
    a.add(to, o, run, j, sum);
  }
}
inline void launch_add_rows(const AddRowsArgs& a) {
  if (a.outer * a.n * a.inner == 0) return;
  if (a.n >= std::int64_t(1) << 32) fail<DeviceError>(a.op, ": an index of ", a.n, " elements; on CUDA at most 2^32 - 1 are summed");
  const std::int64_t stretches = (a.n + run_stretch - 1) / run_stretch;
  const Workspace positions(std::size_t(a.n) * sizeof(std::uint32_t));
  auto* position = static_cast<std::uint32_t*>(positions.data());
  sort_index_on_device(a.index, a.n, a.rows, position);
  const Runs runs{a.index, position, a.n, stretches, a.outer, a.rows, a.inner, a.skip, a.accumulate};
  const std::int64_t items = a.outer * stretches * a.inner;
  for_dtype(a.dtype, [&](auto t) {
    using T = decltype(t);
    const Workspace scratch(std::size_t(2 * items) * sizeof(total_t<T>));
    auto* parts = static_cast<total_t<T>*>(scratch.data());
    SINTER_LAUNCH(a.op, add_runs_kernel<T>, blocks_for(items), block_threads, 0, static_cast<T*>(a.to), static_cast<const T*>(a.grad), parts, runs,
                  FaultReport::of(a.op));
    if (stretches > 1) SINTER_LAUNCH(a.op, join_runs_kernel<T>, blocks_for(items), block_threads, 0, static_cast<T*>(a.to), parts, runs);
  });
}
inline const bool add_rows_registered = add_rows_on_device.set(launch_add_rows);

// ---- Elements by an index of the tensor's rank

// Where element i of the index points to: base(i) + index[i] * step.
template <class I>
struct Targets {
  TwoStrides<I> base;
  const std::int64_t* index;
  std::int64_t step, extent;
  I n;
  FaultReport report;
  // -1 where it is out of range.
  SINTER_HOST_DEVICE std::int64_t at(I i) const {
    const std::int64_t k = index[i];
    if (!report.accepts(k, extent)) return -1;
    std::int64_t offset = 0, unused = 0;
    base.at(i, offset, unused);
    return offset + k * step;
  }
};
template <class I>
Targets<I> targets_of(const GatherArgs& a, std::int64_t n) {
  Targets<I> t{{}, a.index, 1, 1, I(n), FaultReport::of(a.op)};
  t.base.rank = a.rank > 0 ? a.rank : 1;
  t.base.a[0] = t.base.b[0] = 0;
  std::int64_t stride = 1;
  for (int d = a.rank - 1; d >= 0; --d) {
    t.base.size[d] = Divisor<I>(a.sizes[d]);
    t.base.a[d] = d == a.dim ? 0 : stride;
    t.base.b[d] = 0;
    if (d == a.dim) t.step = stride, t.extent = a.x_sizes[d];
    stride *= a.x_sizes[d];
  }
  return t;
}
inline std::int64_t product(const std::int64_t* sizes, int rank) {
  std::int64_t n = 1;
  for (int d = 0; d < rank; ++d) n *= sizes[d];
  return n;
}

template <class W, class I>
__global__ void __launch_bounds__(block_threads) gather_kernel(W* out, const W* x, Targets<I> targets, bool floating) {
  for (I i = I(blockIdx.x) * I(block_threads) + I(threadIdx.x); i < targets.n; i += I(gridDim.x) * I(block_threads)) {
    const std::int64_t at = targets.at(i);
    out[i] = at < 0 ? nowhere<W>(floating) : x[at];
  }
}
inline void launch_gather(const GatherArgs& a, void* out, const void* x) {
  const std::int64_t n = product(a.sizes, a.rank);
  if (n == 0) return;
  for_word(size_of(a.dtype), [&](auto word) {
    using W = decltype(word);
    if constexpr (sizeof(W) <= 8) for_count(n, [&](auto i) {
      using I = decltype(i);
      const auto kernel = gather_kernel<W, I>;
      SINTER_LAUNCH(a.op, kernel, blocks_for(n), block_threads, 0, static_cast<W*>(out), static_cast<const W*>(x), targets_of<I>(a, n), is_floating_dtype(a.dtype));
    });
  });
}
inline const bool gather_registered = gather_on_device.set(launch_gather);

// Of those that write to one place, the greatest position is noted, and then writes alone.
template <class I>
__global__ void __launch_bounds__(block_threads) claim_kernel(std::uint32_t* winner, Targets<I> targets) {
  for (I i = I(blockIdx.x) * I(block_threads) + I(threadIdx.x); i < targets.n; i += I(gridDim.x) * I(block_threads))
    if (const std::int64_t at = targets.at(i); at >= 0) atomicMax(winner + at, std::uint32_t(i) + 1u);
}
template <class W, class I>
__global__ void __launch_bounds__(block_threads) put_kernel(W* x, const W* source, const std::uint32_t* winner, Targets<I> targets) {
  for (I i = I(blockIdx.x) * I(block_threads) + I(threadIdx.x); i < targets.n; i += I(gridDim.x) * I(block_threads))
    if (const std::int64_t at = targets.at(i); at >= 0 && winner[at] == std::uint32_t(i) + 1u) x[at] = source ? source[i] : W();
}
inline void launch_scatter(const GatherArgs& a, void* x, const void* source) {
  const std::int64_t n = product(a.sizes, a.rank), elements = product(a.x_sizes, a.rank);
  if (n == 0 || elements == 0) return;
  if (n >= (std::int64_t(1) << 32) - 1) fail<DeviceError>(a.op, ": an index of ", n, " elements; on CUDA at most 2^32 - 2 are scattered");
  const Workspace claims(std::size_t(elements) * sizeof(std::uint32_t));
  auto* winner = static_cast<std::uint32_t*>(claims.data());
  fill_on_device(winner, DType::int32, elements, 0);
  for_word(size_of(a.dtype), [&](auto word) {
    using W = decltype(word);
    if constexpr (sizeof(W) <= 8) for_count(n, [&](auto i) {
      using I = decltype(i);
      const Targets<I> targets = targets_of<I>(a, n);
      const auto put = put_kernel<W, I>;
      SINTER_LAUNCH(a.op, claim_kernel<I>, blocks_for(n), block_threads, 0, winner, targets);
      SINTER_LAUNCH(a.op, put, blocks_for(n), block_threads, 0, static_cast<W*>(x), static_cast<const W*>(source), winner, targets);
    });
  });
}
inline const bool scatter_registered = scatter_on_device.set(launch_scatter);

template <class I>
__global__ void __launch_bounds__(block_threads) targets_kernel(std::int64_t* to, Targets<I> targets) {
  for (I i = I(blockIdx.x) * I(block_threads) + I(threadIdx.x); i < targets.n; i += I(gridDim.x) * I(block_threads)) to[i] = targets.at(i);
}
inline void launch_scatter_add(const GatherArgs& a, void* x, const void* source) {
  const std::int64_t n = product(a.sizes, a.rank), elements = product(a.x_sizes, a.rank);
  if (n == 0 || elements == 0) return;
  const Workspace places(std::size_t(n) * sizeof(std::int64_t));
  auto* place = static_cast<std::int64_t*>(places.data());
  for_count(n, [&](auto i) {
    using I = decltype(i);
    SINTER_LAUNCH(a.op, targets_kernel<I>, blocks_for(n), block_threads, 0, place, targets_of<I>(a, n));
  });
  launch_add_rows({a.op, a.dtype, x, source, place, 1, elements, 1, n, true, -1});
}
inline const bool scatter_add_registered = scatter_add_on_device.set(launch_scatter_add);

// ---- Indices made

template <class = void>
__global__ void __launch_bounds__(block_threads) one_hot_kernel(std::int64_t* out, const std::int64_t* index, std::int64_t n, std::int64_t classes, FaultReport report) {
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < n; i += std::int64_t(gridDim.x) * block_threads)
    if (report.accepts(index[i], classes)) out[i * classes + index[i]] = 1;
}
inline void launch_one_hot(std::int64_t* out, const std::int64_t* index, std::int64_t n, std::int64_t classes) {
  if (n == 0) return;
  fill_on_device(out, DType::int64, n * classes, 0);
  SINTER_LAUNCH("one_hot", one_hot_kernel<>, blocks_for(n), block_threads, 0, out, index, n, classes, FaultReport::of("one_hot"));
}
inline const bool one_hot_registered = one_hot_on_device.set(launch_one_hot);

struct Extents {
  std::int64_t d[max_rank];
};
template <class = void>
__global__ void __launch_bounds__(block_threads) unravel_kernel(std::int64_t* out, const std::int64_t* place, std::int64_t count, int rank, Extents sizes) {
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < count; i += std::int64_t(gridDim.x) * block_threads) {
    std::int64_t rest = place[i];
    for (int d = rank - 1; d >= 0; --d) {
      out[i * rank + d] = rest % sizes.d[d];
      rest /= sizes.d[d];
    }
  }
}
inline void launch_unravel(std::int64_t* out, const std::int64_t* place, std::int64_t count, int rank, const std::int64_t* sizes) {
  if (count == 0 || rank == 0) return;
  Extents e;
  for (int d = 0; d < rank; ++d) e.d[d] = sizes[d];
  SINTER_LAUNCH("nonzero", unravel_kernel<>, blocks_for(count), block_threads, 0, out, place, count, rank, e);
}
inline const bool unravel_registered = unravel_on_device.set(launch_unravel);

}  // namespace cuda
}  // namespace sinter
