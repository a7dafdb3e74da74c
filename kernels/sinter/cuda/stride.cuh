// SPDX-License-Identifier: MIT
// What kernels that move elements share: dispatch over dtypes, packs of 16 bytes, division by numbers known at the launch.
#pragma once

#include "sinter/core/dtype.hpp"
#include "sinter/cuda/runtime.cuh"

namespace sinter {
namespace cuda {

// f(T()) for the dtype's T.
template <class F>
void for_dtype(DType t, F&& f) {
  switch (t) {
    case DType::boolean: return f(bool());
    case DType::uint8: return f(std::uint8_t());
    case DType::int32: return f(std::int32_t());
    case DType::int64: return f(std::int64_t());
    case DType::float16: return f(half());
    case DType::bfloat16: return f(bfloat16());
    case DType::float32: return f(float());
    default: return f(double());
  }
}
template <class F>
void for_floating(const char* op, DType t, F&& f) {
  switch (t) {
    case DType::float16: return f(half());
    case DType::bfloat16: return f(bfloat16());
    case DType::float32: return f(float());
    case DType::float64: return f(double());
    default: fail<DeviceError>(op, ": the kernel takes floating point numbers, not ", t);
  }
}
// What sums of T are kept in.
template <class T>
using total_t = std::conditional_t<std::is_same_v<T, bool>, std::int32_t, compute_t<T>>;

// 16 bytes, moved by one instruction.
struct alignas(16) Pack {
  std::uint64_t lo, hi;
};
template <class T>
struct alignas(16) PackOf {
  static constexpr int size = int(16 / sizeof(T));
  T at[size];
};
inline bool aligned_16(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }

// Calls f(Word()) with the unsigned type of so many bytes.
template <class F>
void for_word(int bytes, F&& f) {
  switch (bytes) {
    case 1: return f(std::uint8_t());
    case 2: return f(std::uint16_t());
    case 4: return f(std::uint32_t());
    case 8: return f(std::uint64_t());
    default: return f(Pack());
  }
}

// Division by a number that the host knows: a multiplication and a shift for numbers below 2^31 (Granlund and Montgomery 1994,
// "Division by Invariant Integers using Multiplication"), a plain division for larger ones.
template <class I>
struct Divisor;
template <>
struct Divisor<std::uint32_t> {
  std::uint32_t d = 1, magic = 1, shift = 0;
  Divisor() = default;
  explicit Divisor(std::int64_t n) : d(std::uint32_t(n)) {
    while ((std::uint64_t(1) << shift) < d) ++shift;
    magic = std::uint32_t((((std::uint64_t(1) << shift) - d) << 32) / d + 1);
  }
  SINTER_HOST_DEVICE std::uint32_t quotient(std::uint32_t n) const { return (std::uint32_t((std::uint64_t(n) * magic) >> 32) + n) >> shift; }
};
template <>
struct Divisor<std::uint64_t> {
  std::uint64_t d = 1;
  Divisor() = default;
  explicit Divisor(std::int64_t n) : d(std::uint64_t(n)) {}
  SINTER_HOST_DEVICE std::uint64_t quotient(std::uint64_t n) const { return n / d; }
};
// Calls f(I()) with the type that counts to n: 32 bits where they do.
template <class F>
void for_count(std::int64_t n, F&& f) {
  if (n < std::int64_t(1) << 31) return f(std::uint32_t());
  return f(std::uint64_t());
}

// Where element i of a row-major shape lies in two layouts of that shape.
template <class I>
struct TwoStrides {
  int rank = 0;
  Divisor<I> size[max_rank];
  std::int64_t a[max_rank], b[max_rank];
  SINTER_HOST_DEVICE void at(I i, std::int64_t& x, std::int64_t& y) const {
    for (int d = rank - 1; d > 0; --d) {
      const I q = size[d].quotient(i);
      const std::int64_t r = std::int64_t(i - q * size[d].d);
      x += r * a[d];
      y += r * b[d];
      i = q;
    }
    x += std::int64_t(i) * a[0];
    y += std::int64_t(i) * b[0];
  }
};

inline constexpr int block_threads = 256;
// Blocks for n items, `each` to a thread; kernels loop over what is left.
inline int blocks_for(std::int64_t n, int each = 1) {
  const std::int64_t wanted = (n + std::int64_t(block_threads) * each - 1) / (std::int64_t(block_threads) * each);
  const std::int64_t most = std::int64_t(multiprocessors()) * 32;
  return int(wanted < 1 ? 1 : wanted < most ? wanted : most);
}

}  // namespace cuda
}  // namespace sinter
