// SPDX-License-Identifier: MIT
// What all attention kernels share: one head of an operand, masks, dropout.
#pragma once

#include <math.h>

#include "sinter/cuda/runtime.cuh"
#include "sinter/device/attention.hpp"

namespace sinter {
namespace cuda {

// Which head, and which rows of it, a block works on. Blocks of a head are neighbours, so that its keys stay in cache.
struct AttentionPlace {
  std::int64_t batch, head;
  int tile;
  __device__ AttentionPlace(std::int64_t heads, int tiles) {
    const std::int64_t n = blockIdx.x / unsigned(tiles);
    tile = int(blockIdx.x % unsigned(tiles));
    batch = n / heads;
    head = n % heads;
  }
};

__device__ __forceinline__ std::int64_t head_offset(const DeviceHeads& x, std::int64_t batch, std::int64_t head) {
  return batch * x.step[0] + head * x.step[1];
}

// Element i of an array of dtype t; C is the type that it is computed in.
template <class C>
__device__ __forceinline__ C load_as(const void* p, DType t, std::int64_t i) {
  if constexpr (sizeof(C) == 8) return static_cast<const double*>(p)[i];
  else if (t == DType::float32) return static_cast<const float*>(p)[i];
  else if (t == DType::bfloat16) return float(static_cast<const bfloat16*>(p)[i]);
  else return float(static_cast<const half*>(p)[i]);
}
template <class C>
__device__ __forceinline__ void store_as(void* p, DType t, std::int64_t i, C x) {
  if constexpr (sizeof(C) == 8) static_cast<double*>(p)[i] = x;
  else if (t == DType::float32) static_cast<float*>(p)[i] = x;
  else if (t == DType::bfloat16) static_cast<bfloat16*>(p)[i] = bfloat16(x);
  else static_cast<half*>(p)[i] = half(x);
}

// What masks add to the score of query q and key k; -inf where q does not see k.
template <class C>
__device__ __forceinline__ C mask_term(const AttentionArgs& a, const AttentionPlace& at, int q, int k) {
  if (q >= int(a.targets) || k >= int(a.sources) || (a.causal && k > q)) return C(-INFINITY);
  if (a.allowed.data) {
    const std::int64_t i = head_offset(a.allowed, at.batch, at.head) + q * a.allowed.step[2] + k * a.allowed.step[3];
    if (!static_cast<const bool*>(a.allowed.data)[i]) return C(-INFINITY);
  }
  if (!a.bias.data) return C(0);
  return load_as<C>(a.bias.data, a.dtype, head_offset(a.bias, at.batch, at.head) + q * a.bias.step[2] + k * a.bias.step[3]);
}

// The factors of weights: 0 where dropped, else 1 / (1 - p). Four neighbouring keys share a counter, as on the CPU.
template <class C>
struct AttentionDropout {
  std::uint64_t limit, first, quads;
  RandomStream random;
  C kept;
  __device__ AttentionDropout(const AttentionArgs& a, const AttentionPlace& at)
      : limit(std::uint64_t(a.dropout * 4294967296.0)), first(std::uint64_t((at.batch * a.heads + at.head) * a.targets * ((a.sources + 3) / 4))),
        quads(std::uint64_t((a.sources + 3) / 4)), random(a.random), kept(a.dropout < 1 ? C(1 / (1 - a.dropout)) : C(0)) {}
  __device__ Philox words(int q, int k) const { return random.words(first + std::uint64_t(q) * quads + std::uint64_t(k / 4)); }
  __device__ C factor(std::uint32_t word) const { return word < limit ? C(0) : kept; }
  __device__ C operator()(int q, int k) const {
    const Philox x = words(q, k);
    const std::uint32_t low = k & 1 ? x.word[1] : x.word[0], high = k & 1 ? x.word[3] : x.word[2];
    return factor(k & 2 ? high : low);
  }
  // Whether the weights of keys k and k + 1, k even, stay: two bits.
  __device__ unsigned pair(int q, int k) const {
    const Philox x = words(q, k);
    const std::uint32_t low = k & 2 ? x.word[2] : x.word[0], high = k & 2 ? x.word[3] : x.word[1];
    return unsigned(low >= limit) | unsigned(high >= limit) << 1;
  }
};

inline int attention_tiles(std::int64_t length, int rows) { return int((length + rows - 1) / rows); }
inline void check_attention_grid(const char* op, std::int64_t blocks) {
  if (blocks > 0x7fffffff) fail<ValueError>(op, ": ", blocks, " tiles are more than one launch can have");
}

}  // namespace cuda
}  // namespace sinter
