// SPDX-License-Identifier: MIT
// The way back of attention for every dtype and stride (algorithm 4 of the FlashAttention paper, in two kernels): one owns rows
// of q and sums dq over the keys, the other owns rows of k and v and sums dk and dv over the queries. No atomics: every sum has
// one order.
#pragma once

#include "sinter/cuda/attention_tile.cuh"

namespace sinter {
namespace cuda {

// Rows of a block's own tiles and of those that it meets, in sixteens.
template <class C, int D>
struct BackwardTiles {
  static constexpr int wide = D * int(sizeof(C)) / 256;  // 1 of 64 floats, 8 of 256 doubles
  static constexpr int own = wide == 1 ? 4 : wide == 2 && sizeof(C) == 4 ? 4 : 2, met = wide == 1 ? 4 : wide == 8 ? 1 : 2;
  static constexpr int owned = 16 * own, others = 16 * met;
  static constexpr std::size_t bytes = (2 * (owned + others) * tile_step<D> + owned * tile_step<others>) * sizeof(C);
};

// inner[row] = sum over columns of up * out. A warp for each row of q.
template <class C>
__global__ void __launch_bounds__(256) attention_inner(AttentionGradientArgs b, C* inner, std::int64_t count) {
  const AttentionArgs& a = b.forward;
  const std::int64_t row = std::int64_t(blockIdx.x) * 8 + int(threadIdx.x) / 32;
  if (row >= count) return;
  const std::int64_t head = row / a.targets, q = row % a.targets;
  const std::int64_t x = head_offset(b.up, head / a.heads, head % a.heads) + q * b.up.step[2];
  const std::int64_t y = head_offset(a.out, head / a.heads, head % a.heads) + q * a.out.step[2];
  C sum = 0;
  for (int j = int(threadIdx.x) % 32; j < int(a.value_width); j += 32)
    sum += load_as<C>(b.up.data, a.dtype, x + j * b.up.step[3]) * load_as<C>(a.out.data, a.dtype, y + j * a.out.step[3]);
  for (int i = 16; i > 0; i /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, i);
  if (threadIdx.x % 32 == 0) inner[row] = sum;
}

// Scores become dropped weights, and the slopes of those the slopes of the scores: both 0 where a query does not see a key.
// pair(i, j) tells query and key. `room` is that of the weights in shared memory.
template <int A, int B, class C, class Pair>
__device__ __forceinline__ void differentiate(const AttentionArgs& a, const AttentionPlace& at, const C* inner, C (&s)[A][B], C (&d)[A][B], C* room, Pair pair) {
  const std::int64_t rows = (at.batch * a.heads + at.head) * a.targets;
  const bool masked = a.allowed.data || a.bias.data, drops = a.dropout > 0;
  const AttentionDropout<C> drop(a, at);
  if (masked) make_weights<A, B>(room, [&](int i, int j) { return mask_term<C>(a, at, pair(i, j).q, pair(i, j).k); });
#pragma unroll
  for (int i = 0; i < A; ++i)
#pragma unroll
    for (int j = 0; j < B; ++j) {
      const auto [q, k] = pair(i, j);
      const C term = masked ? weight_at<B>(room, i, j) : C(0);
      const bool seen = q < int(a.targets) && k < int(a.sources) && !(a.causal && k > q) && term != C(-INFINITY);
      s[i][j] = seen ? attention_exp(s[i][j] * C(a.scale) + term - static_cast<const C*>(a.log_sum)[rows + q]) : C(0);
    }
  if (drops) make_weights<A, B>(room, [&](int i, int j) { return drop(pair(i, j).q, pair(i, j).k); });
#pragma unroll
  for (int i = 0; i < A; ++i)
#pragma unroll
    for (int j = 0; j < B; ++j) {
      const int q = pair(i, j).q;
      const C factor = drops ? weight_at<B>(room, i, j) : C(1);
      d[i][j] = q < int(a.targets) ? s[i][j] * (d[i][j] * factor - inner[rows + q]) * C(a.scale) : C(0);
      s[i][j] *= factor;
    }
}
struct QueryAndKey {
  int q, k;
};

template <class C, int D>
__global__ void __launch_bounds__(attention_threads) attention_backward_queries(AttentionGradientArgs b, const C* inner) {
  using P = BackwardTiles<C, D>;
  constexpr int A = P::own, B = P::met;
  const AttentionArgs& a = b.forward;
  SINTER_DYNAMIC_SHARED(C, shared);
  C *const ups = shared + P::owned * tile_step<D>, *const keys = ups + P::owned * tile_step<D>, *const values = keys + P::others * tile_step<D>;
  C* const slopes = values + P::others * tile_step<D>;
  const int targets = int(a.targets), sources = int(a.sources), tiles = (targets + P::owned - 1) / P::owned;
  const AttentionPlace at(a.heads, tiles);
  const std::int64_t kv_head = at.head / (a.heads / a.kv_heads);
  const int q0 = (a.causal ? tiles - 1 - at.tile : at.tile) * P::owned;
  const HeadRows k(a.k, a.dtype, at.batch, kv_head, sources, a.width), v(a.v, a.dtype, at.batch, kv_head, sources, a.value_width);
  load_tile<D, P::owned>(shared, HeadRows(a.q, a.dtype, at.batch, at.head, targets, a.width), q0);
  load_tile<D, P::owned>(ups, HeadRows(b.up, a.dtype, at.batch, at.head, targets, a.value_width), q0);
  C dq[A][D / 64][4] = {}, one[A];
  for (int i = 0; i < A; ++i) one[i] = 1;
  const int seen = a.causal && q0 + P::owned < sources ? q0 + P::owned : sources;
  for (int k0 = 0; k0 < seen; k0 += P::others) {
    __syncthreads();
    load_tile<D, P::others>(keys, k, k0);
    load_tile<D, P::others>(values, v, k0);
    __syncthreads();
    C s[A][B], d[A][B];
    tile_products<D>(s, shared, keys, k.width);
    tile_products<D>(d, ups, values, v.width);
    differentiate(a, at, inner, s, d, slopes, [&](int i, int j) { return QueryAndKey{q0 + tile_y() + 16 * i, k0 + tile_x() + 16 * j}; });
    store_weights(slopes, d);
    __syncthreads();
    tile_weighted<D, A, B>(dq, slopes, keys);
  }
  store_tile<D>(HeadRows(b.dq, a.dtype, at.batch, at.head, targets, a.width), q0, dq, one);
}

// Scores stand transposed: a row for each key.
template <class C, int D>
__global__ void __launch_bounds__(attention_threads) attention_backward_keys(AttentionGradientArgs b, const C* inner) {
  using P = BackwardTiles<C, D>;
  constexpr int A = P::own, B = P::met;
  const AttentionArgs& a = b.forward;
  SINTER_DYNAMIC_SHARED(C, shared);
  C *const values = shared + P::owned * tile_step<D>, *const queries = values + P::owned * tile_step<D>, *const ups = queries + P::others * tile_step<D>;
  C* const weights = ups + P::others * tile_step<D>;
  const int targets = int(a.targets), sources = int(a.sources), tiles = (sources + P::owned - 1) / P::owned, group = int(a.heads / a.kv_heads);
  const AttentionPlace own(a.kv_heads, tiles);
  const int k0 = own.tile * P::owned;
  load_tile<D, P::owned>(shared, HeadRows(a.k, a.dtype, own.batch, own.head, sources, a.width), k0);
  load_tile<D, P::owned>(values, HeadRows(a.v, a.dtype, own.batch, own.head, sources, a.value_width), k0);
  C dk[A][D / 64][4] = {}, dv[A][D / 64][4] = {}, one[A];
  for (int i = 0; i < A; ++i) one[i] = 1;
  AttentionPlace at = own;
  for (int member = 0; member < group; ++member) {
    at.head = own.head * group + member;
    const HeadRows q(a.q, a.dtype, at.batch, at.head, targets, a.width), up(b.up, a.dtype, at.batch, at.head, targets, a.value_width);
    for (int q0 = a.causal ? k0 / P::others * P::others : 0; q0 < targets; q0 += P::others) {
      __syncthreads();
      load_tile<D, P::others>(queries, q, q0);
      load_tile<D, P::others>(ups, up, q0);
      __syncthreads();
      C s[A][B], d[A][B];
      tile_products<D>(s, shared, queries, q.width);
      tile_products<D>(d, values, ups, up.width);
      differentiate(a, at, inner, s, d, weights, [&](int i, int j) { return QueryAndKey{q0 + tile_x() + 16 * j, k0 + tile_y() + 16 * i}; });
      store_weights(weights, s);
      __syncthreads();
      tile_weighted<D, A, B>(dv, weights, ups);
      __syncthreads();
      store_weights(weights, d);
      __syncthreads();
      tile_weighted<D, A, B>(dk, weights, queries);
    }
  }
  if (b.dk.data) store_tile<D>(HeadRows(b.dk, a.dtype, own.batch, own.head, sources, a.width), k0, dk, one);
  if (b.dv.data) store_tile<D>(HeadRows(b.dv, a.dtype, own.batch, own.head, sources, a.value_width), k0, dv, one);
}

inline void launch_attention_backward(const AttentionGradientArgs& b) {
  const char* const name = "scaled_dot_product_attention, backward";
  const AttentionArgs& a = b.forward;
  if (flash_attention_backward_on_device && flash_attention_backward_on_device(b)) return;
  const std::int64_t count = a.batch * a.heads * a.targets;
  for_attention_kernel(name, a, [&](auto c, auto width) {
    using C = decltype(c);
    using P = BackwardTiles<C, width()>;
    const std::int64_t query_blocks = a.batch * a.heads * attention_tiles(a.targets, P::owned);
    const std::int64_t key_blocks = a.batch * a.kv_heads * attention_tiles(a.sources, P::owned);
    check_attention_grid(name, query_blocks > key_blocks ? query_blocks : key_blocks);
    Workspace scratch(std::size_t(count) * sizeof(C) + 16);
    C* const inner = static_cast<C*>(scratch.data());
    if (count > 0) SINTER_LAUNCH(name, attention_inner<C>, dim3(unsigned((count + 7) / 8)), dim3(256), 0, b, inner, count);
    if (b.dq.data && query_blocks > 0)
      SINTER_LAUNCH(name, (attention_backward_queries<C, width()>), dim3(unsigned(query_blocks)), dim3(attention_threads), P::bytes, b, inner);
    if ((b.dk.data || b.dv.data) && key_blocks > 0)
      SINTER_LAUNCH(name, (attention_backward_keys<C, width()>), dim3(unsigned(key_blocks)), dim3(attention_threads), P::bytes, b, inner);
  });
}

inline const bool attention_backward_registered = attention_backward_on_device.set(launch_attention_backward);

}  // namespace cuda
}  // namespace sinter
