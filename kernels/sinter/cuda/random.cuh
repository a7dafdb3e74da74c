// SPDX-License-Identifier: MIT
// Random fills and dropout. One Philox call makes four numbers; a thread keeps the memory of several such groups in flight.
#pragma once

#include "sinter/cuda/stride.cuh"
#include "sinter/device/random.hpp"

namespace sinter {
namespace cuda {

template <class = void>
__global__ void set_random_kernel(RandomState* state, std::uint64_t seed, std::uint64_t position) { *state = RandomState{seed, position}; }
template <class = void>
__global__ void advance_random_kernel(RandomState* state, std::uint64_t counters) { state->position += counters; }
inline void launch_set_random(RandomState* state, std::uint64_t seed, std::uint64_t position) {
  SINTER_LAUNCH("random", set_random_kernel<>, 1, 1, 0, state, seed, position);
}
inline void launch_advance_random(RandomState* state, std::uint64_t counters) { SINTER_LAUNCH("random", advance_random_kernel<>, 1, 1, 0, state, counters); }
inline const bool set_random_registered = set_random_on_device.set(launch_set_random);
inline const bool advance_random_registered = advance_random_on_device.set(launch_advance_random);

// The elements that one Philox call serves.
template <class T>
struct alignas(4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16) Four {
  T at[4];
};
template <class T>
bool holds_fours(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p) % alignof(Four<T>) == 0;
}

template <class T>
struct UniformDraw {
  compute_t<T> low, span;
  SINTER_HOST_DEVICE Four<T> operator()(const Philox& p) const {
    Four<T> out;
    for (int k = 0; k < 4; ++k) out.at[k] = T(compute_t<T>(uniform_of(p.word[k])) * span + low);
    return out;
  }
};
template <class T>
struct NormalDraw {
  compute_t<T> mean, deviation;
  SINTER_HOST_DEVICE Four<T> operator()(const Philox& p) const {
    compute_t<T> x[4];
    normal_pair(p.word[0], p.word[1], x[0], x[1]);
    normal_pair(p.word[2], p.word[3], x[2], x[3]);
    Four<T> out;
    for (int k = 0; k < 4; ++k) out.at[k] = T(x[k] * deviation + mean);
    return out;
  }
};
template <class T>
struct IntegerDraw {
  std::int64_t low;
  std::uint64_t range;
  SINTER_HOST_DEVICE Four<T> operator()(const Philox& p) const {
    Four<T> out;
    for (int k = 0; k < 4; ++k) {
      const std::uint64_t x = std::uint64_t(p.word[k]) << 32 | p.word[(k + 1) % 4];
      out.at[k] = T(low + std::int64_t(x % range));
    }
    return out;
  }
};
template <class T, class Draw>
__global__ void __launch_bounds__(block_threads) random_kernel(T* out, std::int64_t n, bool fours, RandomStream stream, Draw draw) {
  const std::int64_t groups = (n + 3) / 4;
  for (std::int64_t g = std::int64_t(blockIdx.x) * block_threads + threadIdx.x; g < groups; g += std::int64_t(gridDim.x) * block_threads) {
    const Four<T> x = draw(stream.words(std::uint64_t(g)));
    if (fours && 4 * g + 4 <= n) {
      reinterpret_cast<Four<T>*>(out)[g] = x;
    } else {
      for (int k = 0; k < 4; ++k)
        if (4 * g + k < n) out[4 * g + k] = x.at[k];
    }
  }
}
template <class T, class Draw>
void launch_draw(const RandomFillArgs& a, Draw draw) {
  const auto kernel = random_kernel<T, Draw>;
  SINTER_LAUNCH("rand", kernel, blocks_for((a.n + 3) / 4), block_threads, 0, static_cast<T*>(a.p), a.n, holds_fours<T>(a.p), a.stream, draw);
}
inline void launch_random_fill(const RandomFillArgs& a) {
  if (a.n == 0) return;
  if (a.kind == RandomFillArgs::integers)
    return for_dtype(a.dtype, [&](auto t) {
      using T = decltype(t);
      launch_draw<T>(a, IntegerDraw<T>{a.low, a.range});
    });
  for_floating("rand", a.dtype, [&](auto t) {
    using T = decltype(t);
    using C = compute_t<T>;
    if (a.kind == RandomFillArgs::uniform) launch_draw<T>(a, UniformDraw<T>{C(a.a), C(a.b - a.a)});
    else launch_draw<T>(a, NormalDraw<T>{C(a.a), C(a.b)});
  });
}
inline const bool random_fill_registered = random_fill_on_device.set(launch_random_fill);

template <class T>
__global__ void __launch_bounds__(block_threads) dropout_kernel(T* out, const T* in, std::int64_t n, std::int64_t fours, std::uint64_t limit, compute_t<T> scale,
                                                                RandomStream stream) {
  constexpr int flight = 4;
  const std::int64_t block = std::int64_t(block_threads) * flight;
  for (std::int64_t base = blockIdx.x * block + threadIdx.x; base < fours; base += gridDim.x * block) {
    Four<T> x[flight];
#pragma unroll
    for (int j = 0; j < flight; ++j)
      if (base + j * block_threads < fours) x[j] = reinterpret_cast<const Four<T>*>(in)[base + j * block_threads];
#pragma unroll
    for (int j = 0; j < flight; ++j) {
      const std::int64_t g = base + j * block_threads;
      if (g >= fours) break;
      const Philox random = stream.words(std::uint64_t(g));
#pragma unroll
      for (int k = 0; k < 4; ++k) x[j].at[k] = random.word[k] < limit ? T(0) : T(compute_t<T>(x[j].at[k]) * scale);
      reinterpret_cast<Four<T>*>(out)[g] = x[j];
    }
  }
  const std::int64_t groups = (n + 3) / 4;
  for (std::int64_t g = fours + std::int64_t(blockIdx.x) * block_threads + threadIdx.x; g < groups; g += std::int64_t(gridDim.x) * block_threads) {
    const Philox random = stream.words(std::uint64_t(g));
    for (int k = 0; k < 4; ++k)
      if (4 * g + k < n) out[4 * g + k] = random.word[k] < limit ? T(0) : T(compute_t<T>(in[4 * g + k]) * scale);
  }
}
inline void launch_dropout(const DropoutArgs& a) {
  if (a.n == 0) return;
  for_floating("dropout", a.dtype, [&](auto t) {
    using T = decltype(t);
    const std::int64_t fours = holds_fours<T>(a.out) && holds_fours<T>(a.in) ? a.n / 4 : 0;
    const double scale = a.p < 1 ? 1 / (1 - a.p) : 0;
    SINTER_LAUNCH("dropout", dropout_kernel<T>, fours ? blocks_for(fours, 4) : blocks_for((a.n + 3) / 4), block_threads, 0, static_cast<T*>(a.out),
                  static_cast<const T*>(a.in), a.n, fours, std::uint64_t(a.p * 0x1p32), compute_t<T>(scale), a.stream);
  });
}
inline const bool dropout_registered = dropout_on_device.set(launch_dropout);

}  // namespace cuda
}  // namespace sinter
