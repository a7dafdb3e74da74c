// SPDX-License-Identifier: MIT
// softmax(q @ k^T * scale + mask) @ v a block at a time with running maxima and sums, after Dao et al., "FlashAttention: Fast
// and Memory-Efficient Exact Attention" (2022): the scores of all pairs never exist at once.
#pragma once

#include <cmath>

#include "sinter/cpu/attention_block.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// The softmax of a block of queries under way: greatest score, sum of the weights, for each query.
template <class T>
struct RunningSoftmax {
  using V = LaneBlock<T>;
  T greatest[query_block], sum[query_block];
  T keep[query_block];  // what the sums so far, and what they weighed, are to be multiplied by

  RunningSoftmax() {
    std::fill_n(greatest, query_block, Scores<T>::hidden);
    std::fill_n(sum, query_block, T(0));
  }
  // Turns nk scores of every query into weights.
  void add(const Scores<T>& s, std::int64_t k0, std::int64_t nk, T* block) {
    for (std::int64_t v = 0; v * V::size < s.nq; ++v) {
      const std::int64_t q = v * V::size, end = s.seen(v, k0, nk);
      const V before = V::load(greatest + q);
      V top = before, total = V(T(0));
      for (std::int64_t k = 0; k < end; ++k) top = lane::at_least(V::load(block + k * query_block + q).v, top.v);
      const V shift = lane::where(top == V(Scores<T>::hidden), V(T(0)), top);  // of a query that sees no key, inf - inf
      for (std::int64_t k = 0; k < end; ++k) {
        T* at = block + k * query_block + q;
        const V weight = lane::exp(V::load(at) - shift);
        weight.store(at);
        total = total + weight;
      }
      for (std::int64_t k = end; k < nk; ++k) V(T(0)).store(block + k * query_block + q);
      const V factor = lane::exp(before - shift);
      top.store(greatest + q);
      factor.store(keep + q);
      (V::load(sum + q) * factor + total).store(sum + q);
    }
  }
};

// to[j * step] = from[j] * factor; zeros without from.
template <class T>
void write_row(const T* from, T factor, T* to, std::int64_t n, std::int64_t step) {
  using V = LaneBlock<T>;
  std::int64_t j = 0;
  if (step == 1)
    for (; j + V::size <= n; j += V::size) (from ? V::load(from + j) * V(factor) : V(T(0))).store(to + j);
  for (; j < n; ++j) to[j * step] = from ? from[j] * factor : T(0);
}

// A block of queries of one head: out, and log(sum(exp(scores))) for the way back, if asked for.
template <class T>
void attend_block(Scores<T>& s, Matrix<T> out, T* log_sum) {
  const Attention<T>& p = s.p;
  const std::int64_t broad = padded<T>(p.value_width);
  Scratch<T> block(key_block * query_block), sums(query_block * broad), values(key_block * broad);
  RunningSoftmax<T> softmax;
  bool started = false;
  for (std::int64_t k0 = 0, keys = p.keys_of(s.q0, s.nq); k0 < keys; k0 += key_block) {
    const std::int64_t nk = std::min(key_block, keys - k0);
    if (!s(k0, nk, block.data)) continue;
    softmax.add(s, k0, nk, block.data);
    if (p.dropout > 0) {
      const T* stays = s.draw_dropout(k0, nk);
      multiply_block(s, nk, stays, block.data);
    }
    const Panel<T> v(p.v.part(s.b, p.kv_head(s.h), k0, nk, p.value_width), values.data);
    for_each_strip<T>(s.nq, [&](std::int64_t i, std::int64_t n) {
      const std::int64_t depth = std::min(nk, p.keys_of(s.q0 + i, n) - k0);
      if (depth <= 0 && started) return;  // keep is 1
      strip<T>({block.data + i, n, std::max<std::int64_t>(0, depth), 1, query_block}, v.data, v.step,
               {sums.data + i * broad, n, p.value_width, broad, 1}, started ? softmax.keep + i : nullptr);
    });
    started = true;
  }
  for (std::int64_t q = 0; q < s.nq; ++q) {
    const T total = softmax.sum[q], factor = total == 0 ? T(0) : T(1) / total;
    // A query that sees no key gets zeros, and has weights of zero on the way back.
    if (log_sum) log_sum[q] = total == 0 ? -Scores<T>::hidden : softmax.greatest[q] + std::log(total);
    write_row(started ? sums.data + q * broad : nullptr, factor, out.data + q * out.row_step, p.value_width, out.column_step);
  }
}

// out (batch, heads, targets, value_width); log_sum (batch, heads, targets), or null.
template <class T>
void attend(const Attention<T>& p, const Heads<T>& out, T* log_sum) {
  const std::int64_t blocks = (p.targets + query_block - 1) / query_block;
  const bool wide = p.batch * p.heads * p.targets * p.sources * (p.width + p.value_width) >= product_threshold;
  parallel_for(p.batch * p.heads * blocks, wide, [&](std::int64_t task) {
    const std::int64_t head = task / blocks, n = task % blocks;
    const std::int64_t block = n % 2 ? blocks - 1 - n / 2 : n / 2;  // where a mask is causal, cheap and dear ones in turn
    Scores<T> scores(p, head / p.heads);
    scores.load(head % p.heads, block * query_block);
    attend_block(scores, out.part(scores.b, scores.h, scores.q0, scores.nq, p.value_width),
                 log_sum ? log_sum + head * p.targets + scores.q0 : nullptr);
  });
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
