// SPDX-License-Identifier: MIT
// Attention by tensor cores: bfloat16 and half, heads up to 128 wide. After Dao, "FlashAttention-2: Faster Attention with Better
// Parallelism and Work Partitioning" (2023): a block owns rows of q, whose sums and weights stay in registers, and walks the
// keys. A warp has 32 rows, so that each fragment of k and v from shared memory serves two products.
#pragma once

#include "sinter/cuda/attention_fit.cuh"
#include "sinter/cuda/attention_mma.cuh"

namespace sinter {
namespace cuda {

template <int D>
struct FlashForward {
  static constexpr int threads = 128, queries = 128, keys = 64;
  static constexpr int stage = 2 * keys * D;  // elements of k and v
  static constexpr int terms = 4 * keys / 8 * threads;  // of masks, as many as one thread has scores of 16 rows
  template <class T>
  static constexpr std::size_t bytes(bool masked) { return (queries * D + 2 * stage) * sizeof(T) + (masked ? terms * sizeof(float) : 0); }
};

// Masked: with masks or dropout.
template <class T, int D, bool Masked>
__global__ void __launch_bounds__(128, 2) flash_forward(AttentionArgs a) {
  using P = FlashForward<D>;
  constexpr int M = 2, N = P::keys / 8;
  SINTER_DYNAMIC_SHARED(T, shared);
  T* const stages = shared + P::queries * D;
  [[maybe_unused]] float* const mask_terms = reinterpret_cast<float*>(stages + 2 * P::stage);  // in loops that are not unrolled
  const int targets = int(a.targets), sources = int(a.sources), tiles = (targets + P::queries - 1) / P::queries;
  const AttentionPlace at(a.heads, tiles);
  const std::int64_t kv_head = at.head / (a.heads / a.kv_heads);
  const int q0 = (a.causal ? tiles - 1 - at.tile : at.tile) * P::queries;  // the dear ones first
  const int first = q0 + int(threadIdx.x) / 32 * 32;                       // of this warp
  const int lane = lane_index(), g = lane / 4, t = lane % 4;
  const T* const k = static_cast<const T*>(a.k.data) + head_offset(a.k, at.batch, kv_head);
  const T* const v = static_cast<const T*>(a.v.data) + head_offset(a.v, at.batch, kv_head);
  const int seen = a.causal && q0 + P::queries < sources ? q0 + P::queries : sources, steps = (seen + P::keys - 1) / P::keys;
  const auto fetch = [&](int step) {
    T* const to = stages + step % 2 * P::stage;
    const int k0 = step * P::keys;
    copy_tile_async<D, P::keys, P::threads>(to, k + k0 * a.k.step[2], a.k.step[2], sources - k0, int(a.width));
    copy_tile_async<D, P::keys, P::threads>(to + P::keys * D, v + k0 * a.v.step[2], a.v.step[2], sources - k0, int(a.value_width));
  };
  copy_tile_async<D, P::queries, P::threads>(shared, static_cast<const T*>(a.q.data) + head_offset(a.q, at.batch, at.head) + q0 * a.q.step[2],
                                             a.q.step[2], targets - q0, int(a.width));
  if (steps > 0) fetch(0);

  // exp(x * scale) = exp2(x * to_log2). With masks, scores are multiplied before these are added.
  const float to_log2 = float(a.scale) * log2_e, factor = Masked ? 1.f : to_log2;
  float out[M][D / 8][4] = {}, greatest[M][2], sum[M][2] = {};
  for (int m = 0; m < M; ++m) greatest[m][0] = greatest[m][1] = -INFINITY;
  for (int step = 0; step < steps; ++step) {
    copies_done();
    __syncthreads();  // this step's tiles are there, and no one reads the last one's any more
    if (step + 1 < steps) fetch(step + 1);
    const int k0 = step * P::keys;
    if (a.causal && k0 > first + 31) continue;
    const T* const tile = stages + step % 2 * P::stage;
    float s[M][N][4] = {};
    multiply_tiles<T, D>(s, shared, first - q0, tile);
    [[maybe_unused]] const bool edge = k0 + P::keys > sources || (a.causal && k0 + P::keys - 1 > first);
    if constexpr (Masked) {
#pragma unroll
      for (int m = 0; m < M; ++m) {
        float* const terms = mask_terms + threadIdx.x;
#pragma unroll 2
        for (int e = 0; e < 4 * N; ++e)
          terms[e * P::threads] = mask_term<float>(a, at, first + 16 * m + g + e / 2 % 2 * 8, k0 + e / 4 * 8 + 2 * t + e % 2);
#pragma unroll
        for (int e = 0; e < 4 * N; ++e) {
          const float term = terms[e * P::threads];
          s[m][e / 4][e % 4] = term == -INFINITY ? term : s[m][e / 4][e % 4] * to_log2 + term * log2_e;
        }
      }
    } else if (edge) {
#pragma unroll
      for (int m = 0; m < M; ++m) hide_keys(s[m], a.causal, first + 16 * m, k0, sources);
    }
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float top = greatest[m][i];
#pragma unroll
        for (int n = 0; n < N; ++n) top = fmaxf(top, fmaxf(s[m][n][2 * i], s[m][n][2 * i + 1]));
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
        const float shift = top == -INFINITY ? 0.f : top * factor, keep = exp2_fast(greatest[m][i] * factor - shift);
        greatest[m][i] = top;
        float total = 0;
#pragma unroll
        for (int n = 0; n < N; ++n)
#pragma unroll
          for (int j = 2 * i; j < 2 * i + 2; ++j) total += s[m][n][j] = exp2_fast(s[m][n][j] * factor - shift);
        sum[m][i] = sum[m][i] * keep + total;
#pragma unroll
        for (int n = 0; n < D / 8; ++n) out[m][n][2 * i] *= keep, out[m][n][2 * i + 1] *= keep;
      }
    if constexpr (Masked) {
      if (a.dropout > 0) {
        const AttentionDropout<float> drop(a, at);
#pragma unroll
        for (int m = 0; m < M; ++m) {
          unsigned stays = 0;  // loops that are not unrolled keep the code small, bits keep s in registers
#pragma unroll 1
          for (int i = 0; i < 2 * N; ++i) stays |= drop.pair(first + 16 * m + g + i % 2 * 8, k0 + i / 2 * 8 + 2 * t) << 2 * i;
#pragma unroll
          for (int n = 0; n < N; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) s[m][n][i] *= stays >> (4 * n + i) & 1 ? drop.kept : 0.f;
        }
      }
    }
    multiply_weights<T, D>(out, s, tile + P::keys * D);
  }
  copies_done();
#pragma unroll
  for (int m = 0; m < M; ++m) {
    float inverse[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float total = sum[m][i];
      total += __shfl_xor_sync(0xffffffffu, total, 1);
      total += __shfl_xor_sync(0xffffffffu, total, 2);
      inverse[i] = total == 0 ? 0.f : 1 / total;
      const int row = first + 16 * m + g + 8 * i;
      if (a.log_sum && t == 0 && row < targets)
        static_cast<float*>(a.log_sum)[(at.batch * a.heads + at.head) * targets + row] =
            total == 0 ? INFINITY : greatest[m][i] * factor * ln_2 + logf(total);
    }
    store_rows(static_cast<T*>(a.out.data) + head_offset(a.out, at.batch, at.head), a.out.step[2], first + 16 * m, targets, int(a.value_width), out[m],
               inverse[0], inverse[1]);
  }
}

template <class T, int D, bool Masked>
void launch_flash(const AttentionArgs& a) {
  using P = FlashForward<D>;
  const std::int64_t blocks = a.batch * a.heads * attention_tiles(a.targets, P::queries);
  check_attention_grid("scaled_dot_product_attention", blocks);
  SINTER_LAUNCH("scaled_dot_product_attention", (flash_forward<T, D, Masked>), dim3(unsigned(blocks)), dim3(P::threads), P::template bytes<T>(Masked), a);
}
inline bool launch_flash_attention(const AttentionArgs& a) {
  if (!fits_tensor_cores(a)) return false;
  if (a.batch * a.heads * a.targets == 0) return true;
  for_flash_kernel(a, [&](auto t, auto width) {
    if (is_masked(a)) launch_flash<decltype(t), width(), true>(a);
    else launch_flash<decltype(t), width(), false>(a);
  });
  return true;
}

inline const bool flash_attention_registered = flash_attention_on_device.set(launch_flash_attention);

}  // namespace cuda
}  // namespace sinter
