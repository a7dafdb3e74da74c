// SPDX-License-Identifier: MIT
// Sorts by CUB's radix sort. Elements become unsigned keys in whose order they are to stand, with the number of their row
// in front, so that one sort does all rows.
#pragma once

#include "sinter/cuda/stride.cuh"
#include "sinter/device/order.hpp"
#if defined(SINTER_CUDA_SHIM)
#include <algorithm>
#include <vector>
#else
#include <cub/device/device_radix_sort.cuh>
#endif

namespace sinter {
namespace cuda {

#if defined(SINTER_CUDA_SHIM)
// What CUB does, for tests without a GPU.
template <class K>
__global__ void sort_pairs_kernel(K* key, std::uint32_t* value, std::uint32_t* sorted, std::uint32_t n, int bits) {
  const K mask = bits >= int(8 * sizeof(K)) ? ~K(0) : (K(1) << bits) - 1;
  std::vector<std::uint32_t> at(n);
  for (std::uint32_t i = 0; i < n; ++i) at[i] = i;
  std::stable_sort(at.begin(), at.end(), [=](std::uint32_t a, std::uint32_t b) { return (key[a] & mask) < (key[b] & mask); });
  for (std::uint32_t i = 0; i < n; ++i) sorted[i] = value[at[i]];
}
template <class K>
void sort_pairs(K* key, std::uint32_t* value, std::uint32_t* sorted, std::uint32_t n, int bits) {
  SINTER_LAUNCH("sort", sort_pairs_kernel<K>, 1, 1, 0, key, value, sorted, n, bits);
}
#else
// sorted: the values in the order of the lowest `bits` of their keys.
template <class K>
void sort_pairs(K* key, std::uint32_t* value, std::uint32_t* sorted, std::uint32_t n, int bits) {
  const Workspace keys(std::size_t(n) * sizeof(K));
  auto* out = static_cast<K*>(keys.data());
  std::size_t bytes = 0;
  const auto run = [&](void* scratch) {
    const cudaError_t error = cub::DeviceRadixSort::SortPairs(scratch, bytes, static_cast<const K*>(key), out, static_cast<const std::uint32_t*>(value), sorted, n, 0, bits, current_stream());
    if (error != cudaSuccess) fail<DeviceError>("sort: ", cudaGetErrorString(error));
  };
  run(nullptr);
  const Workspace scratch(bytes > 0 ? bytes : 1);
  run(scratch.data());
}
#endif

// An unsigned number of T's width in whose order T's stand.
template <class T>
SINTER_HOST_DEVICE std::uint64_t sort_key(T x) {
  constexpr std::uint64_t top = std::uint64_t(1) << (8 * sizeof(T) - 1);
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::uint8_t>) {
    return std::uint64_t(x);
  } else if constexpr (is_floating<T>) {
    std::conditional_t<sizeof(T) == 2, std::uint16_t, std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>> bits;
    std::memcpy(&bits, &x, sizeof(T));
    const compute_t<T> v = x;
    if (v != v) return top - 1 + top;
    if (v == 0) bits = 0;
    return bits & top ? ~std::uint64_t(bits) & (top - 1) : bits | top;
  } else {
    return (std::uint64_t(x) ^ top) & (top - 1 + top);
  }
}

template <class T, class K>
__global__ void __launch_bounds__(block_threads) sort_keys_kernel(K* key, std::uint32_t* value, const T* x, std::uint32_t total, std::uint32_t n, bool descending, bool with_row) {
  constexpr int bits = int(8 * sizeof(T));
  const std::uint64_t flip = descending ? ~std::uint64_t(0) >> (64 - bits) : 0;
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < std::int64_t(total); i += std::int64_t(gridDim.x) * block_threads) {
    std::uint64_t k = sort_key(x[i]) ^ flip;
    if constexpr (sizeof(T) < 8)
      if (with_row) k |= std::uint64_t(std::uint32_t(i) / n) << bits;
    key[i] = K(k);
    value[i] = std::uint32_t(i);
  }
}
template <class = void>
__global__ void __launch_bounds__(block_threads) row_keys_kernel(std::uint32_t* key, const std::uint32_t* value, std::uint32_t total, std::uint32_t n) {
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < std::int64_t(total); i += std::int64_t(gridDim.x) * block_threads) key[i] = value[i] / n;
}
// The first k of each row's n, as places in the row.
template <class = void>
__global__ void __launch_bounds__(block_threads) take_order_kernel(std::int64_t* out, const std::uint32_t* sorted, std::int64_t total, std::int64_t n, std::int64_t k) {
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < total; i += std::int64_t(gridDim.x) * block_threads) {
    const std::int64_t row = i / k;
    out[i] = std::int64_t(sorted[row * n + i % k]) - row * n;
  }
}

inline int bits_for(std::uint64_t greatest) {
  int bits = 1;
  while (bits < 64 && greatest >> bits) ++bits;
  return bits;
}
template <class T, class K>
void sort_rows(const OrderArgs& a, std::uint32_t* value, std::uint32_t* sorted, bool with_row) {
  const auto total = std::uint32_t(a.rows * a.n);
  const Workspace keys(std::size_t(total) * sizeof(K));
  auto* key = static_cast<K*>(keys.data());
  const auto make = sort_keys_kernel<T, K>;
  SINTER_LAUNCH("sort", make, blocks_for(total), block_threads, 0, key, value, static_cast<const T*>(a.x), total, std::uint32_t(a.n), a.descending, with_row);
  sort_pairs(key, value, sorted, total, int(8 * sizeof(T)) + (with_row ? bits_for(std::uint64_t(a.rows - 1)) : 0));
}
inline void launch_order(const OrderArgs& a) {
  const std::int64_t total = a.rows * a.n;
  if (total == 0 || a.k == 0) return;
  if (total >= std::int64_t(1) << 32) fail<DeviceError>("sort: ", total, " elements; on CUDA at most 2^32 - 1 are sorted at once");
  const Workspace values(std::size_t(total) * 4), results(std::size_t(total) * 4);
  auto* value = static_cast<std::uint32_t*>(values.data());
  auto* sorted = static_cast<std::uint32_t*>(results.data());
  const int row_bits = a.rows > 1 ? bits_for(std::uint64_t(a.rows - 1)) : 0;
  for_dtype(a.dtype, [&](auto t) {
    using T = decltype(t);
    const int bits = int(8 * sizeof(T)) + row_bits;
    if constexpr (sizeof(T) <= 4)
      if (bits <= 32) return sort_rows<T, std::uint32_t>(a, value, sorted, a.rows > 1);
    sort_rows<T, std::uint64_t>(a, value, sorted, bits <= 64 && a.rows > 1);
    if (bits <= 64) return;
    // Too wide for one key: all elements in order, and then, stably, the rows.
    const Workspace keys(std::size_t(total) * 4);
    auto* key = static_cast<std::uint32_t*>(keys.data());
    SINTER_LAUNCH("sort", row_keys_kernel<>, blocks_for(total), block_threads, 0, key, sorted, std::uint32_t(total), std::uint32_t(a.n));
    sort_pairs(key, sorted, value, std::uint32_t(total), row_bits);
    std::swap(value, sorted);
  });
  const std::int64_t taken = a.rows * a.k;
  SINTER_LAUNCH("sort", take_order_kernel<>, blocks_for(taken), block_threads, 0, a.out, sorted, taken, a.n, a.k);
}
inline const bool order_registered = order_on_device.set(launch_order);

template <class K>
__global__ void __launch_bounds__(block_threads) index_keys_kernel(K* key, std::uint32_t* value, const std::int64_t* index, std::int64_t n, std::int64_t bound) {
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < n; i += std::int64_t(gridDim.x) * block_threads) {
    const std::int64_t k = index[i];
    key[i] = K(0 <= k && k < bound ? k : bound);
    value[i] = std::uint32_t(i);
  }
}
template <class K>
void sort_index_as(const std::int64_t* index, std::int64_t n, std::int64_t bound, std::uint32_t* position) {
  const Workspace keys(std::size_t(n) * sizeof(K)), values(std::size_t(n) * 4);
  auto* key = static_cast<K*>(keys.data());
  auto* value = static_cast<std::uint32_t*>(values.data());
  SINTER_LAUNCH("sort", index_keys_kernel<K>, blocks_for(n), block_threads, 0, key, value, index, n, bound);
  sort_pairs(key, value, position, std::uint32_t(n), bits_for(std::uint64_t(bound)));
}
inline void launch_sort_index(const std::int64_t* index, std::int64_t n, std::int64_t bound, std::uint32_t* position) {
  if (n == 0) return;
  if (bits_for(std::uint64_t(bound)) <= 32) sort_index_as<std::uint32_t>(index, n, bound, position);
  else sort_index_as<std::uint64_t>(index, n, bound, position);
}
inline const bool sort_index_registered = sort_index_on_device.set(launch_sort_index);

}  // namespace cuda
}  // namespace sinter
