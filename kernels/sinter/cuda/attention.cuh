// SPDX-License-Identifier: MIT
// Attention for every dtype and stride, tile by tile with running maxima and sums, after Dao et al., "FlashAttention: Fast and
// Memory-Efficient Exact Attention" (2022). 16-bit operands that tensor cores can take go to attention_flash.cuh.
#pragma once

#include "sinter/cuda/attention_tile.cuh"

namespace sinter {
namespace cuda {

// Rows of q that a block owns and of k that it meets at a time, in sixteens. Keys and values take turns in one buffer.
template <class C, int D>
struct AttentionTiles {
  static constexpr int own = sizeof(C) == 8 ? 2 : 4, met = own;
  static constexpr int queries = 16 * own, keys = 16 * met;
  static constexpr std::size_t bytes = ((queries + keys) * tile_step<D> + queries * tile_step<keys>) * sizeof(C);
};

template <class C, int D>
__global__ void __launch_bounds__(attention_threads) attention_forward(AttentionArgs a) {
  using P = AttentionTiles<C, D>;
  constexpr int A = P::own, B = P::met;
  SINTER_DYNAMIC_SHARED(C, shared);
  C *const met = shared + P::queries * tile_step<D>, *const weights = met + P::keys * tile_step<D>;
  const int targets = int(a.targets), sources = int(a.sources), tiles = (targets + P::queries - 1) / P::queries;
  const AttentionPlace at(a.heads, tiles);
  const std::int64_t kv_head = at.head / (a.heads / a.kv_heads);
  const int q0 = (a.causal ? tiles - 1 - at.tile : at.tile) * P::queries;  // the dear ones first
  const HeadRows k(a.k, a.dtype, at.batch, kv_head, sources, a.width), v(a.v, a.dtype, at.batch, kv_head, sources, a.value_width);
  const C scale = C(a.scale);

  load_tile<D, P::queries>(shared, HeadRows(a.q, a.dtype, at.batch, at.head, targets, a.width), q0);
  C out[A][D / 64][4] = {}, greatest[A], sum[A] = {};
  for (int i = 0; i < A; ++i) greatest[i] = C(-INFINITY);
  const int seen = a.causal && q0 + P::queries < sources ? q0 + P::queries : sources;
  for (int k0 = 0; k0 < seen; k0 += P::keys) {
    __syncthreads();
    load_tile<D, P::keys>(met, k, k0);
    __syncthreads();
    C s[A][B];
    tile_products<D>(s, shared, met, k.width);
    const bool masked = a.allowed.data || a.bias.data;
    if (masked) make_weights<A, B>(weights, [&](int i, int j) { return mask_term<C>(a, at, q0 + tile_y() + 16 * i, k0 + tile_x() + 16 * j); });
#pragma unroll
    for (int i = 0; i < A; ++i) {
      const int q = q0 + tile_y() + 16 * i;
      C top = greatest[i];
#pragma unroll
      for (int j = 0; j < B; ++j) {
        const int key = k0 + tile_x() + 16 * j;
        const C term = masked ? weight_at<B>(weights, i, j) : key >= sources || (a.causal && key > q) ? C(-INFINITY) : C(0);
        s[i][j] = term == C(-INFINITY) ? term : s[i][j] * scale + term;
        top = s[i][j] > top ? s[i][j] : top;
      }
      top = row_max(top);
      const C shift = top == C(-INFINITY) ? C(0) : top, keep = attention_exp(greatest[i] - shift);  // no key seen: inf - inf
      greatest[i] = top;
      C total = 0;
#pragma unroll
      for (int j = 0; j < B; ++j) total += s[i][j] = attention_exp(s[i][j] - shift);
      sum[i] = sum[i] * keep + total;
#pragma unroll
      for (int n = 0; n < D / 64; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) out[i][n][e] *= keep;
    }
    if (a.dropout > 0) {
      const AttentionDropout<C> drop(a, at);
      make_weights<A, B>(weights, [&](int i, int j) { return drop(q0 + tile_y() + 16 * i, k0 + tile_x() + 16 * j); });
#pragma unroll
      for (int i = 0; i < A; ++i)
#pragma unroll
        for (int j = 0; j < B; ++j) s[i][j] *= weight_at<B>(weights, i, j);
    }
    store_weights(weights, s);
    __syncthreads();
    load_tile<D, P::keys>(met, v, k0);
    __syncthreads();
    tile_weighted<D, A, B>(out, weights, met);
  }
  C inverse[A];
#pragma unroll
  for (int i = 0; i < A; ++i) {
    const C total = row_sum(sum[i]);
    const int q = q0 + tile_y() + 16 * i;
    inverse[i] = total == 0 ? C(0) : 1 / total;
    if (a.log_sum && tile_x() == 0 && q < targets)
      static_cast<C*>(a.log_sum)[(at.batch * a.heads + at.head) * targets + q] = total == 0 ? C(INFINITY) : greatest[i] + attention_log(total);
  }
  store_tile<D>(HeadRows(a.out, a.dtype, at.batch, at.head, targets, a.value_width), q0, out, inverse);
}

inline void launch_attention(const AttentionArgs& a) {
  const char* const name = "scaled_dot_product_attention";
  if (a.batch * a.heads * a.targets == 0) return;
  if (flash_attention_on_device && flash_attention_on_device(a)) return;
  for_attention_kernel(name, a, [&](auto c, auto width) {
    using P = AttentionTiles<decltype(c), width()>;
    const std::int64_t blocks = a.batch * a.heads * attention_tiles(a.targets, P::queries);
    check_attention_grid(name, blocks);
    SINTER_LAUNCH(name, (attention_forward<decltype(c), width()>), dim3(unsigned(blocks)), dim3(attention_threads), P::bytes, a);
  });
}

inline const bool attention_registered = attention_on_device.set(launch_attention);

}  // namespace cuda
}  // namespace sinter
