// SPDX-License-Identifier: MIT
// The way back of attention by tensor cores: weights are computed anew from the saved log(sum(exp(scores))). One kernel owns
// rows of q and sums dq over the keys, another owns rows of k and v and sums dk and dv over the queries: two products more than
// with one kernel that adds to dq atomically, but every sum has one order.
#pragma once

#include "sinter/cuda/attention_fit.cuh"
#include "sinter/cuda/attention_mma.cuh"

namespace sinter {
namespace cuda {

// What the way back needs of a row of q: log_sum in base 2, and the sum over columns of up * out.
struct alignas(8) FlashRow {
  float log_sum, inner;
};

// A warp for each row.
template <class T>
__global__ void __launch_bounds__(256) flash_rows(AttentionGradientArgs b, FlashRow* rows, std::int64_t count) {
  const AttentionArgs& a = b.forward;
  const std::int64_t row = std::int64_t(blockIdx.x) * 8 + int(threadIdx.x) / 32;
  if (row >= count) return;
  const std::int64_t head = row / a.targets, q = row % a.targets;
  const T* const x = static_cast<const T*>(b.up.data) + head_offset(b.up, head / a.heads, head % a.heads) + q * b.up.step[2];
  const T* const y = static_cast<const T*>(a.out.data) + head_offset(a.out, head / a.heads, head % a.heads) + q * a.out.step[2];
  float sum = 0;
  for (int j = lane_index(); j < int(a.value_width); j += 32) sum += float(x[j]) * float(y[j]);
  for (int i = 16; i > 0; i /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, i);
  if (lane_index() == 0) rows[row] = {static_cast<const float*>(a.log_sum)[row] * log2_e, sum};
}

template <int D>
struct FlashBackward {
  static constexpr int threads = 128;
  static constexpr int queries = 128, keys = 32;                   // of dq: rows that a block owns, rows of a step
  static constexpr int own_keys = 64, step_queries = 64;           // of dk and dv
  static constexpr int stage = 2 * keys * D, key_stage = 2 * step_queries * D;
  static constexpr int terms = 32 * threads;  // of masks: a thread has 32 scores at a time
  template <class T>
  static constexpr std::size_t bytes(bool masked) { return (2 * queries * D + 2 * stage) * sizeof(T) + (masked ? terms * sizeof(float) : 0); }
  template <class T>
  static constexpr std::size_t key_bytes(bool masked) {
    return (2 * own_keys * D + 2 * key_stage) * sizeof(T) + 2 * step_queries * sizeof(FlashRow) + (masked ? terms * sizeof(float) : 0);
  }
};

template <class T, int D, bool Masked>
__global__ void __launch_bounds__(128, 2) flash_backward_queries(AttentionGradientArgs b, const FlashRow* rows) {
  using P = FlashBackward<D>;
  constexpr int M = 2, N = P::keys / 8;
  const AttentionArgs& a = b.forward;
  SINTER_DYNAMIC_SHARED(T, shared);
  T *const ups = shared + P::queries * D, *const stages = ups + P::queries * D;
  [[maybe_unused]] float* const terms = reinterpret_cast<float*>(stages + 2 * P::stage) + threadIdx.x;
  const int targets = int(a.targets), sources = int(a.sources), tiles = (targets + P::queries - 1) / P::queries;
  const AttentionPlace at(a.heads, tiles);
  const std::int64_t kv_head = at.head / (a.heads / a.kv_heads);
  const int q0 = (a.causal ? tiles - 1 - at.tile : at.tile) * P::queries, first = q0 + int(threadIdx.x) / 32 * 32;
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
  copy_tile_async<D, P::queries, P::threads>(ups, static_cast<const T*>(b.up.data) + head_offset(b.up, at.batch, at.head) + q0 * b.up.step[2],
                                             b.up.step[2], targets - q0, int(a.value_width));
  if (steps > 0) fetch(0);

  const float scale = float(a.scale), to_log2 = scale * log2_e;
  FlashRow row[M][2];
  for (int m = 0; m < M; ++m)
    for (int i = 0; i < 2; ++i) {
      const int q = first + 16 * m + g + 8 * i;
      row[m][i] = q < targets ? rows[(at.batch * a.heads + at.head) * targets + q] : FlashRow{INFINITY, 0};
    }
  float dq[M][D / 8][4] = {};
  for (int step = 0; step < steps; ++step) {
    copies_done();
    __syncthreads();
    if (step + 1 < steps) fetch(step + 1);
    const int k0 = step * P::keys;
    if (a.causal && k0 > first + 31) continue;
    const T* const tile = stages + step % 2 * P::stage;
    float s[M][N][4] = {}, d[M][N][4] = {};
    multiply_tiles<T, D>(s, shared, first - q0, tile);
    multiply_tiles<T, D>(d, ups, first - q0, tile + P::keys * D);
    [[maybe_unused]] const bool edge = k0 + P::keys > sources || (a.causal && k0 + P::keys - 1 > first);
    if constexpr (Masked) {
#pragma unroll 2
      for (int e = 0; e < M * N * 4; ++e)
        terms[e * P::threads] = mask_term<float>(a, at, first + e / (4 * N) * 16 + g + e / 2 % 2 * 8, k0 + e / 4 % N * 8 + 2 * t + e % 2) * log2_e;
    } else if (edge) {
#pragma unroll
      for (int m = 0; m < M; ++m) hide_keys(s[m], a.causal, first + 16 * m, k0, sources);
    }
#pragma unroll
    for (int m = 0; m < M; ++m) {
      unsigned stays = 0;
      float kept = 1;
      if constexpr (Masked) {
        if (a.dropout > 0) {
          const AttentionDropout<float> drop(a, at);
          kept = drop.kept;
#pragma unroll 1
          for (int i = 0; i < 2 * N; ++i) stays |= drop.pair(first + 16 * m + g + i % 2 * 8, k0 + i / 2 * 8 + 2 * t) << 2 * i;
        } else {
          stays = ~0u;
        }
      }
#pragma unroll
      for (int n = 0; n < N; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          float score = s[m][n][i] * to_log2, slope = d[m][n][i];
          if constexpr (Masked) {
            const float term = terms[((m * N + n) * 4 + i) * P::threads];
            score = term == -INFINITY ? term : score + term;
            slope *= stays >> (4 * n + i) & 1 ? kept : 0.f;
          }
          s[m][n][i] = exp2_fast(score - row[m][i / 2].log_sum) * (slope - row[m][i / 2].inner);
        }
    }
    multiply_weights<T, D>(dq, s, tile);
  }
  copies_done();
#pragma unroll
  for (int m = 0; m < M; ++m)
    store_rows(static_cast<T*>(b.dq.data) + head_offset(b.dq, at.batch, at.head), b.dq.step[2], first + 16 * m, targets, int(a.width), dq[m], scale, scale);
}

// Scores stand transposed, a row for each key, so that weights are left operands of both products without leaving registers.
template <class T, int D, bool Masked>
__global__ void __launch_bounds__(128, 2) flash_backward_keys(AttentionGradientArgs b, const FlashRow* rows) {
  using P = FlashBackward<D>;
  constexpr int N = P::step_queries / 8;
  const AttentionArgs& a = b.forward;
  SINTER_DYNAMIC_SHARED(T, shared);
  T *const values = shared + P::own_keys * D, *const stages = values + P::own_keys * D;
  FlashRow* const row_stages = reinterpret_cast<FlashRow*>(stages + 2 * P::key_stage);
  [[maybe_unused]] float* const terms = reinterpret_cast<float*>(row_stages + 2 * P::step_queries) + threadIdx.x;
  const int targets = int(a.targets), sources = int(a.sources), tiles = (sources + P::own_keys - 1) / P::own_keys, group = int(a.heads / a.kv_heads);
  const AttentionPlace at(a.kv_heads, tiles);
  const int k0 = at.tile * P::own_keys, first = k0 + int(threadIdx.x) / 32 * 16;  // the dear ones first, where causal
  const int lane = lane_index(), g = lane / 4, t = lane % 4;
  const int begin = a.causal ? k0 / P::step_queries : 0, blocks = (targets + P::step_queries - 1) / P::step_queries;
  const int per_head = blocks > begin ? blocks - begin : 0, steps = per_head * group;
  const auto fetch = [&](int step) {
    T* const to = stages + step % 2 * P::key_stage;
    const std::int64_t head = at.head * group + step / per_head;
    const int q0 = (begin + step % per_head) * P::step_queries;
    copy_tile_async<D, P::step_queries, P::threads>(to, static_cast<const T*>(a.q.data) + head_offset(a.q, at.batch, head) + q0 * a.q.step[2],
                                                    a.q.step[2], targets - q0, int(a.width));
    copy_tile_async<D, P::step_queries, P::threads>(to + P::step_queries * D,
                                                    static_cast<const T*>(b.up.data) + head_offset(b.up, at.batch, head) + q0 * b.up.step[2],
                                                    b.up.step[2], targets - q0, int(a.value_width));
    if (const int i = int(threadIdx.x); i < P::step_queries) {  // rows of zeros behind the last add nothing
      const bool there = q0 + i < targets;
      copy_async_8(row_stages + step % 2 * P::step_queries + i, there ? rows + (at.batch * a.heads + head) * targets + q0 + i : rows, there);
    }
  };
  copy_tile_async<D, P::own_keys, P::threads>(shared, static_cast<const T*>(a.k.data) + head_offset(a.k, at.batch, at.head) + k0 * a.k.step[2],
                                              a.k.step[2], sources - k0, int(a.width));
  copy_tile_async<D, P::own_keys, P::threads>(values, static_cast<const T*>(a.v.data) + head_offset(a.v, at.batch, at.head) + k0 * a.v.step[2],
                                              a.v.step[2], sources - k0, int(a.value_width));
  if (steps > 0) fetch(0);

  const float scale = float(a.scale), to_log2 = scale * log2_e;
  float dk[1][D / 8][4] = {}, dv[1][D / 8][4] = {};
  for (int step = 0; step < steps; ++step) {
    copies_done();
    __syncthreads();
    if (step + 1 < steps) fetch(step + 1);
    const int q0 = (begin + step % per_head) * P::step_queries;
    if (a.causal && q0 + P::step_queries - 1 < first) continue;
    const T* const tile = stages + step % 2 * P::key_stage;
    const FlashRow* const row = row_stages + step % 2 * P::step_queries;
    float s[1][N][4] = {}, d[1][N][4] = {};
    multiply_tiles<T, D>(s, shared, first - k0, tile);
    multiply_tiles<T, D>(d, values, first - k0, tile + P::step_queries * D);
    unsigned stays = ~0u;
    float kept = 1;
    [[maybe_unused]] AttentionPlace here = at;
    if constexpr (Masked) {
      here.head = at.head * group + step / per_head;
#pragma unroll 2
      for (int e = 0; e < 4 * N; ++e)
        terms[e * P::threads] = mask_term<float>(a, here, q0 + e / 4 * 8 + 2 * t + e % 2, first + g + e / 2 % 2 * 8) * log2_e;
      if (a.dropout > 0) {
        const AttentionDropout<float> drop(a, here);
        kept = drop.kept;
        stays = 0;
#pragma unroll 1
        for (int i = 0; i < 4 * N; ++i) {
          const int key = first + g + i % 4 / 2 * 8;
          stays |= (drop.pair(q0 + i / 4 * 8 + 2 * t + i % 2, key & ~1) >> (key & 1) & 1) << i;
        }
      }
    }
    if (!Masked && a.causal && q0 < first + 15) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int begin = first + g + 8 * i - q0 - 2 * t;  // the first query that sees the key
#pragma unroll
        for (int n = 0; n < N; ++n) {
          if (8 * n < begin) s[0][n][2 * i] = -INFINITY;
          if (8 * n + 1 < begin) s[0][n][2 * i + 1] = -INFINITY;
        }
      }
    }
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int column = 8 * n + 2 * t + i % 2;
        float score = s[0][n][i] * to_log2, slope = d[0][n][i], stay = 1;
        if constexpr (Masked) {
          const float term = terms[(4 * n + i) * P::threads];
          score = term == -INFINITY ? term : score + term;
          stay = stays >> (4 * n + i) & 1 ? kept : 0.f;
        }
        const float weight = exp2_fast(score - row[column].log_sum);
        d[0][n][i] = weight * (slope * stay - row[column].inner);
        s[0][n][i] = weight * stay;
      }
    multiply_weights<T, D>(dv, s, tile + P::step_queries * D);
    multiply_weights<T, D>(dk, d, tile);
  }
  copies_done();
  if (b.dk.data)
    store_rows(static_cast<T*>(b.dk.data) + head_offset(b.dk, at.batch, at.head), b.dk.step[2], first, sources, int(a.width), dk[0], scale, scale);
  if (b.dv.data)
    store_rows(static_cast<T*>(b.dv.data) + head_offset(b.dv, at.batch, at.head), b.dv.step[2], first, sources, int(a.value_width), dv[0], 1.f, 1.f);
}

template <class T, int D, bool Masked>
void launch_flash_gradients(const AttentionGradientArgs& b, const FlashRow* rows) {
  using P = FlashBackward<D>;
  const char* const name = "scaled_dot_product_attention, backward";
  const AttentionArgs& a = b.forward;
  const std::int64_t query_blocks = a.batch * a.heads * attention_tiles(a.targets, P::queries);
  const std::int64_t key_blocks = a.batch * a.kv_heads * attention_tiles(a.sources, P::own_keys);
  check_attention_grid(name, std::max(query_blocks, key_blocks));
  if (b.dq.data && query_blocks > 0)
    SINTER_LAUNCH(name, (flash_backward_queries<T, D, Masked>), dim3(unsigned(query_blocks)), dim3(P::threads), P::template bytes<T>(Masked), b, rows);
  if ((b.dk.data || b.dv.data) && key_blocks > 0)
    SINTER_LAUNCH(name, (flash_backward_keys<T, D, Masked>), dim3(unsigned(key_blocks)), dim3(P::threads), P::template key_bytes<T>(Masked), b, rows);
}

inline bool launch_flash_attention_backward(const AttentionGradientArgs& b) {
  const AttentionArgs& a = b.forward;
  if (!fits_tensor_cores(a) || !fits_tensor_cores(b.up, a.value_width) || !fits_tensor_cores(b.dq, a.width) || !fits_tensor_cores(b.dk, a.width) ||
      !fits_tensor_cores(b.dv, a.value_width))
    return false;
  const std::int64_t count = a.batch * a.heads * a.targets;
  Workspace scratch(std::size_t(count) * sizeof(FlashRow) + 16);
  FlashRow* const rows = static_cast<FlashRow*>(scratch.data());
  for_flash_kernel(a, [&](auto t, auto width) {
    using T = decltype(t);
    if (count > 0)
      SINTER_LAUNCH("scaled_dot_product_attention, backward", flash_rows<T>, dim3(unsigned((count + 7) / 8)), dim3(256), 0, b, rows, count);
    if (is_masked(a)) launch_flash_gradients<T, width(), true>(b, rows);
    else launch_flash_gradients<T, width(), false>(b, rows);
  });
  return true;
}

inline const bool flash_attention_backward_registered = flash_attention_backward_on_device.set(launch_flash_attention_backward);

}  // namespace cuda
}  // namespace sinter
