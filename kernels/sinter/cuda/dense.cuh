// SPDX-License-Identifier: MIT
// Copies between layouts and dtypes, fills, sums of two, sequences. All are bound by memory.
#pragma once

#include "sinter/core/copy.hpp"
#include "sinter/cuda/stride.cuh"
#include "sinter/device/dense.hpp"

namespace sinter {
namespace cuda {

// ---- Copies

// A copy with its dimensions sorted by the target's strides, and those that lie behind one another joined.
struct CopyPlan {
  int rank = 0;
  std::int64_t size[max_rank], to[max_rank], from[max_rank];

  CopyPlan(const TensorImpl& t, const TensorImpl& f) {
    const auto step = [](std::int64_t s) { return s < 0 ? -s : s; };
    for (int d = 0; d < t.rank; ++d) {
      if (t.sizes[d] == 1) continue;
      int k = rank++;
      for (; k > 0 && step(to[k - 1]) < step(t.strides[d]); --k) size[k] = size[k - 1], to[k] = to[k - 1], from[k] = from[k - 1];
      size[k] = t.sizes[d], to[k] = t.strides[d], from[k] = f.strides[d];
    }
    int last = 0;
    for (int d = 1; d < rank; ++d) {
      if (to[last] == to[d] * size[d] && from[last] == from[d] * size[d]) size[last] *= size[d], to[last] = to[d], from[last] = from[d];
      else ++last, size[last] = size[d], to[last] = to[d], from[last] = from[d];
    }
    if (rank == 0) size[0] = to[0] = from[0] = 1;
    rank = last + 1;
  }
  bool linear() const { return rank == 1 && to[0] == 1 && from[0] == 1; }
  // Doubles the width of a word, up to 16 bytes, while rows, strides and addresses are made of such words. Returns the width.
  int widen(int bytes, const void* p, const void* q) {
    const auto address = reinterpret_cast<std::uintptr_t>(p) | reinterpret_cast<std::uintptr_t>(q);
    for (; bytes < 16; bytes *= 2) {
      if (to[rank - 1] != 1 || from[rank - 1] != 1 || size[rank - 1] % 2 != 0 || address % std::uintptr_t(2 * bytes) != 0) break;
      bool even = true;
      for (int d = 0; d + 1 < rank; ++d) even = even && to[d] % 2 == 0 && from[d] % 2 == 0;
      if (!even) break;
      size[rank - 1] /= 2;
      for (int d = 0; d + 1 < rank; ++d) to[d] /= 2, from[d] /= 2;
    }
    return bytes;
  }
  // The dimension along which the source is dense where the target is so along another: a transposition; -1 if there is none.
  int crossing() const {
    if (to[rank - 1] != 1 || from[rank - 1] == 1 || from[rank - 1] == 0 || size[rank - 1] < 8) return -1;
    for (int d = 0; d + 1 < rank; ++d)
      if (from[d] == 1 && size[d] >= 8) return d;
    return -1;
  }
  std::int64_t count() const {
    std::int64_t n = 1;
    for (int d = 0; d < rank; ++d) n *= size[d];
    return n;
  }
  template <class I>
  TwoStrides<I> strides() const {
    TwoStrides<I> s;
    s.rank = rank;
    for (int d = 0; d < rank; ++d) s.size[d] = Divisor<I>(size[d]), s.a[d] = to[d], s.b[d] = from[d];
    return s;
  }
};

// How an element changes on its way: not at all, between two floats, or between any two dtypes.
template <class W>
struct SameWord {
  using To = W;
  using From = W;
  SINTER_HOST_DEVICE static W of(W x) { return x; }
};
template <class A, class B>
struct FloatToFloat {
  using To = A;
  using From = B;
  SINTER_HOST_DEVICE static A of(B x) { return A(float(x)); }
};
struct AnyToAny {
  DType to, from;
  // By way of double, but for the integers that it cannot hold.
  SINTER_HOST_DEVICE void move(void* p, const void* q) const {
    if (from == DType::int64 && to == DType::int32) {
      *static_cast<std::int32_t*>(p) = std::int32_t(*static_cast<const std::int64_t*>(q));
      return;
    }
    double x;
    switch (from) {
      case DType::boolean: x = *static_cast<const std::uint8_t*>(q) != 0; break;
      case DType::uint8: x = *static_cast<const std::uint8_t*>(q); break;
      case DType::int32: x = *static_cast<const std::int32_t*>(q); break;
      case DType::int64: x = double(*static_cast<const std::int64_t*>(q)); break;
      case DType::float16: x = float(*static_cast<const half*>(q)); break;
      case DType::bfloat16: x = float(*static_cast<const bfloat16*>(q)); break;
      case DType::float32: x = *static_cast<const float*>(q); break;
      default: x = *static_cast<const double*>(q); break;
    }
    switch (to) {
      case DType::boolean: *static_cast<bool*>(p) = x != 0; break;
      case DType::uint8: *static_cast<std::uint8_t*>(p) = std::uint8_t(std::int64_t(x)); break;
      case DType::int32: *static_cast<std::int32_t*>(p) = std::int32_t(x); break;
      case DType::int64: *static_cast<std::int64_t*>(p) = std::int64_t(x); break;
      case DType::float16: *static_cast<half*>(p) = half(float(x)); break;
      case DType::bfloat16: *static_cast<bfloat16*>(p) = bfloat16(float(x)); break;
      case DType::float32: *static_cast<float*>(p) = float(x); break;
      default: *static_cast<double*>(p) = x; break;
    }
  }
};

// Four elements to a thread, a block's width apart, all loaded before the first is stored.
template <class Change, class I>
__global__ void __launch_bounds__(block_threads) copy_kernel(typename Change::To* to, const typename Change::From* from, I n, TwoStrides<I> strides) {
  const I block = I(block_threads) * 4;
  for (I base = I(blockIdx.x) * block + I(threadIdx.x); base < n; base += I(gridDim.x) * block) {
    typename Change::From x[4];
    std::int64_t p[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const I i = base + I(k * block_threads);
      std::int64_t q = 0;
      p[k] = 0;
      if (i >= n) continue;
      strides.at(i, p[k], q);
      x[k] = from[q];
    }
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (base + I(k * block_threads) < n) to[p[k]] = Change::of(x[k]);
  }
}
template <class I>
__global__ void __launch_bounds__(block_threads) copy_any_kernel(char* to, const char* from, int to_bytes, int from_bytes, I n, TwoStrides<I> strides, AnyToAny change) {
  for (I i = I(blockIdx.x) * I(block_threads) + I(threadIdx.x); i < n; i += I(gridDim.x) * I(block_threads)) {
    std::int64_t p = 0, q = 0;
    strides.at(i, p, q);
    change.move(to + p * to_bytes, from + q * from_bytes);
  }
}
// Dense floats of one kind to another: 8 elements at a time.
template <class Change>
__global__ void __launch_bounds__(block_threads) convert_kernel(typename Change::To* to, const typename Change::From* from, std::int64_t n, std::int64_t packed) {
  using To = PackOf<typename Change::To>;
  using From = PackOf<typename Change::From>;
  const std::int64_t first = std::int64_t(blockIdx.x) * block_threads + threadIdx.x, threads = std::int64_t(gridDim.x) * block_threads;
  for (std::int64_t i = first; i < packed; i += threads) {
    From x[8 / From::size];
    To y[8 / To::size];
#pragma unroll
    for (int k = 0; k < 8 / From::size; ++k) x[k] = reinterpret_cast<const From*>(from + 8 * i)[k];
#pragma unroll
    for (int k = 0; k < 8; ++k) y[k / To::size].at[k % To::size] = Change::of(x[k / From::size].at[k % From::size]);
#pragma unroll
    for (int k = 0; k < 8 / To::size; ++k) reinterpret_cast<To*>(to + 8 * i)[k] = y[k];
  }
  for (std::int64_t i = 8 * packed + first; i < n; i += threads) to[i] = Change::of(from[i]);
}

// Tiles of 32 by 32 through shared memory: read along the source's dense dimension, written along the target's.
struct Tiles {
  std::int64_t rows, columns;        // extents along the source's and the target's dense dimension
  std::int64_t to_row, from_column;  // the strides there
  std::int64_t row_tiles, column_tiles, count;
  TwoStrides<std::uint64_t> batch;
};
template <class Change>
__global__ void __launch_bounds__(block_threads) transpose_kernel(typename Change::To* to, const typename Change::From* from, Tiles t) {
  using To = typename Change::To;
  constexpr int side = 32, pad = sizeof(To) >= 4 ? 1 : int(4 / sizeof(To));
  __shared__ To tile[side][side + pad];
  const int lane = int(threadIdx.x) % side, line = int(threadIdx.x) / side;
  for (std::int64_t b = blockIdx.x; b < t.count; b += gridDim.x) {
    const std::int64_t row = b % t.row_tiles * side, rest = b / t.row_tiles;
    const std::int64_t column = rest % t.column_tiles * side;
    std::int64_t p = 0, q = 0;
    t.batch.at(std::uint64_t(rest / t.column_tiles), p, q);
#pragma unroll
    for (int k = 0; k < side; k += block_threads / side)
      if (row + lane < t.rows && column + line + k < t.columns)
        tile[line + k][lane] = Change::of(from[q + row + lane + (column + line + k) * t.from_column]);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < side; k += block_threads / side)
      if (column + lane < t.columns && row + line + k < t.rows)
        to[p + (row + line + k) * t.to_row + column + lane] = tile[lane][line + k];
    __syncthreads();
  }
}
inline Tiles tiles_of(const CopyPlan& plan, int dense) {
  Tiles t;
  const int last = plan.rank - 1;
  t.rows = plan.size[dense], t.columns = plan.size[last];
  t.to_row = plan.to[dense], t.from_column = plan.from[last];
  t.row_tiles = (t.rows + 31) / 32, t.column_tiles = (t.columns + 31) / 32;
  t.count = t.row_tiles * t.column_tiles;
  for (int d = 0; d < last; ++d) {
    if (d == dense) continue;
    const int k = t.batch.rank++;
    t.batch.size[k] = Divisor<std::uint64_t>(plan.size[d]), t.batch.a[k] = plan.to[d], t.batch.b[k] = plan.from[d];
    t.count *= plan.size[d];
  }
  if (t.batch.rank == 0) t.batch.rank = 1, t.batch.a[0] = t.batch.b[0] = 0;
  return t;
}

template <class Change>
void launch_copy_as(void* to, const void* from, const CopyPlan& plan) {
  auto* p = static_cast<typename Change::To*>(to);
  const auto* q = static_cast<const typename Change::From*>(from);
  const std::int64_t n = plan.count();
  if constexpr (sizeof(typename Change::To) <= 8)
    if (const int dense = plan.crossing(); dense >= 0) {
      const Tiles t = tiles_of(plan, dense);
      const std::int64_t most = std::int64_t(1) << 30;
      return SINTER_LAUNCH("copy", transpose_kernel<Change>, int(t.count < most ? t.count : most), block_threads, 0, p, q, t);
    }
  for_count(n, [&](auto i) {
    using I = decltype(i);
    const auto kernel = copy_kernel<Change, I>;
    SINTER_LAUNCH("copy", kernel, blocks_for(n, 4), block_threads, 0, p, q, I(n), plan.strides<I>());
  });
}
template <class A, class B>
void launch_convert(void* to, const void* from, const CopyPlan& plan) {
  using Change = FloatToFloat<A, B>;
  if (!plan.linear()) return launch_copy_as<Change>(to, from, plan);
  const std::int64_t n = plan.size[0], packed = aligned_16(to) && aligned_16(from) ? n / 8 : 0;
  SINTER_LAUNCH("copy", convert_kernel<Change>, blocks_for(packed ? packed : n), block_threads, 0, static_cast<A*>(to), static_cast<const B*>(from), n, packed);
}
inline void launch_copy(const TensorImpl& to, const TensorImpl& from) {
  if (to.numel() == 0) return;
  CopyPlan plan(to, from);
  if (to.dtype == from.dtype)
    return for_word(plan.widen(size_of(to.dtype), to.data, from.data),
                    [&](auto word) { launch_copy_as<SameWord<decltype(word)>>(to.data, from.data, plan); });
  const auto from_to = [](DType f, DType t) { return int(f) * 16 + int(t); };
  switch (from_to(from.dtype, to.dtype)) {
    case from_to(DType::float32, DType::bfloat16): return launch_convert<bfloat16, float>(to.data, from.data, plan);
    case from_to(DType::float32, DType::float16): return launch_convert<half, float>(to.data, from.data, plan);
    case from_to(DType::bfloat16, DType::float32): return launch_convert<float, bfloat16>(to.data, from.data, plan);
    case from_to(DType::float16, DType::float32): return launch_convert<float, half>(to.data, from.data, plan);
    default: break;
  }
  const std::int64_t n = plan.count();
  for_count(n, [&](auto i) {
    using I = decltype(i);
    SINTER_LAUNCH("copy", copy_any_kernel<I>, blocks_for(n), block_threads, 0, static_cast<char*>(to.data), static_cast<const char*>(from.data),
                  size_of(to.dtype), size_of(from.dtype), I(n), plan.strides<I>(), (AnyToAny{to.dtype, from.dtype}));
  });
}
inline const bool copy_registered = copy_on_device.set(launch_copy);

// ---- Fills

template <class W>
__global__ void __launch_bounds__(block_threads) fill_kernel(W* p, std::int64_t head, std::int64_t packs, std::int64_t n, std::uint64_t pattern) {
  const std::int64_t first = std::int64_t(blockIdx.x) * block_threads + threadIdx.x, threads = std::int64_t(gridDim.x) * block_threads;
  constexpr int per_pack = int(16 / sizeof(W));
  Pack* body = reinterpret_cast<Pack*>(p + head);
  for (std::int64_t i = first; i < packs; i += threads) body[i] = Pack{pattern, pattern};
  for (std::int64_t i = first; i < head; i += threads) p[i] = W(pattern);
  for (std::int64_t i = head + packs * per_pack + first; i < n; i += threads) p[i] = W(pattern);
}
inline void launch_fill(void* p, DType dtype, std::int64_t n, std::uint64_t pattern) {
  if (n == 0) return;
  const int bytes = size_of(dtype);
  if (bytes < 8) pattern &= (std::uint64_t(1) << 8 * bytes) - 1;
  for (int b = bytes; b < 8; b *= 2) pattern |= pattern << 8 * b;
  std::int64_t head = std::int64_t((16 - reinterpret_cast<std::uintptr_t>(p) % 16) % 16) / bytes;
  head = head < n ? head : n;
  const std::int64_t packs = (n - head) * bytes / 16;
  for_word(bytes, [&](auto word) {
    using W = decltype(word);
    if constexpr (sizeof(W) <= 8) SINTER_LAUNCH("fill", fill_kernel<W>, blocks_for(packs + 1, 4), block_threads, 0, static_cast<W*>(p), head, packs, n, pattern);
  });
}
inline const bool fill_registered = fill_on_device.set(launch_fill);

// ---- Sums of two

template <class T>
SINTER_HOST_DEVICE T sum_of_two(T a, T b) {
  using C = total_t<T>;
  if constexpr (std::is_same_v<T, bool>) return a || b;
  else return T(C(a) + C(b));
}
template <class T>
__global__ void __launch_bounds__(block_threads) add_kernel(T* to, const T* a, const T* b, std::int64_t n, std::int64_t packs) {
  using P = PackOf<T>;
  const std::int64_t first = std::int64_t(blockIdx.x) * block_threads + threadIdx.x, threads = std::int64_t(gridDim.x) * block_threads;
  const P* x = reinterpret_cast<const P*>(a);
  const P* y = reinterpret_cast<const P*>(b);
  for (std::int64_t i = first; i < packs; i += 2 * threads) {
    const bool two = i + threads < packs;
    P u[2], v[2];
    u[0] = x[i], v[0] = y[i];
    if (two) u[1] = x[i + threads], v[1] = y[i + threads];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      if (j == 1 && !two) break;
#pragma unroll
      for (int k = 0; k < P::size; ++k) u[j].at[k] = sum_of_two(u[j].at[k], v[j].at[k]);
      reinterpret_cast<P*>(to)[i + j * threads] = u[j];
    }
  }
  for (std::int64_t i = packs * P::size + first; i < n; i += threads) to[i] = sum_of_two(a[i], b[i]);
}
inline void launch_add(void* to, const void* a, const void* b, DType dtype, std::int64_t n) {
  if (n == 0) return;
  for_dtype(dtype, [&](auto t) {
    using T = decltype(t);
    const std::int64_t packs = aligned_16(to) && aligned_16(a) && aligned_16(b) ? n / PackOf<T>::size : 0;
    SINTER_LAUNCH("add", add_kernel<T>, packs ? blocks_for(packs, 2) : blocks_for(n), block_threads, 0, static_cast<T*>(to), static_cast<const T*>(a),
                  static_cast<const T*>(b), n, packs);
  });
}
inline const bool add_registered = add_on_device.set(launch_add);

// ---- Sequences

template <class T>
__global__ void __launch_bounds__(block_threads) sequence_kernel(T* to, SequenceArgs s) {
  for (std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; i < s.n; i += std::int64_t(gridDim.x) * block_threads) {
    if (s.integers) to[i] = T(s.first + i * s.by);
    else if (!s.from_both_ends || i < s.n / 2 || s.n == 1) to[i] = T(s.start + s.step * double(i));
    else to[i] = T(s.last - s.step * double(s.n - 1 - i));
  }
}
inline void launch_sequence(const SequenceArgs& s) {
  if (s.n == 0) return;
  for_dtype(s.dtype, [&](auto t) {
    using T = decltype(t);
    SINTER_LAUNCH("arange", sequence_kernel<T>, blocks_for(s.n), block_threads, 0, static_cast<T*>(s.to), s);
  });
}
inline const bool sequence_registered = sequence_on_device.set(launch_sequence);

}  // namespace cuda
}  // namespace sinter
