// SPDX-License-Identifier: MIT
// The way back of attention: weights are computed anew from the scores and the saved log(sum(exp(scores))), a block at a time
// (algorithm 4 of the FlashAttention paper). One task owns the keys of a head, so that sums have one order.
#pragma once

#include "sinter/cpu/attention.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// What arrives, what was saved, and where gradients go; one that is not wanted has no data.
template <class T>
struct AttentionGradients {
  Heads<const T> out, up;  // (batch, heads, targets, value_width)
  const T* log_sum;        // (batch, heads, targets)
  Heads<T> dq, dk, dv;
};

// One block of queries against all keys that it sees: writes its dq, adds to dk and dv of its batch and head.
template <class T>
class AttentionBack {
  using V = LaneBlock<T>;

 public:
  AttentionBack(const Attention<T>& a, const AttentionGradients<T>& gradients, std::int64_t batch)
      : s_(a, batch), p_(a), g_(gradients), up_lanes_(a.value_width * query_block), weights_(key_block * query_block),
        slopes_(key_block * query_block), q_copy_(query_block * padded<T>(a.width)), up_copy_(query_block * padded<T>(a.value_width)),
        k_copy_(key_block * padded<T>(a.width)), dq_(query_block * padded<T>(a.width)) {}

  void run(std::int64_t head, std::int64_t query, Matrix<T> dk, Matrix<T> dv) {
    s_.load(head, query);
    const std::int64_t nq = s_.nq, broad = padded<T>(p_.width);
    const Matrix<const T> up = g_.up.part(s_.b, head, query, nq, p_.value_width);
    to_lanes(up, up_lanes_.data);
    const Panel<T> q(p_.q.part(s_.b, head, query, nq, p_.width), q_copy_.data), up_rows(up, up_copy_.data);
    load_rows(up);
    bool started = false;
    for (std::int64_t k0 = 0, keys = p_.keys_of(query, nq); k0 < keys; k0 += key_block) {
      const std::int64_t nk = std::min(key_block, keys - k0);
      if (!s_(k0, nk, weights_.data)) continue;
      s_.product(p_.v.part(s_.b, p_.kv_head(head), k0, nk, p_.value_width), k0, up_lanes_.data, slopes_.data);
      differentiate(k0, nk);
      for_each_strip<T>(nk, [&](std::int64_t i, std::int64_t n) {  // key k0 + i is seen from query `from` on
        const std::int64_t from = p_.causal ? std::max<std::int64_t>(0, k0 + i - query) : 0;
        if (g_.dv.data)
          strip<T>(part(weights_, i, n, from), up_rows.data + from * up_rows.step, up_rows.step, dv.part(k0 + i, 0, n, p_.value_width), added<T>);
        if (g_.dk.data) strip<T>(part(slopes_, i, n, from), q.data + from * q.step, q.step, dk.part(k0 + i, 0, n, p_.width), added<T>);
      });
      if (!g_.dq.data) continue;
      const Panel<T> k(p_.k.part(s_.b, p_.kv_head(head), k0, nk, p_.width), k_copy_.data);
      for_each_strip<T>(nq, [&](std::int64_t i, std::int64_t n) {
        const std::int64_t depth = std::max<std::int64_t>(0, std::min(nk, p_.keys_of(query + i, n) - k0));
        strip<T>({slopes_.data + i, n, depth, 1, query_block}, k.data, k.step, {dq_.data + i * broad, n, p_.width, broad, 1},
                 started ? added<T> : nullptr);
      });
      started = true;
    }
    if (!g_.dq.data) return;
    const Matrix<T> dq = g_.dq.part(s_.b, head, query, nq, p_.width);
    for (std::int64_t i = 0; i < nq; ++i)
      write_row(started ? dq_.data + i * broad : nullptr, T(1), dq.data + i * dq.row_step, p_.width, dq.column_step);
  }

 private:
  // Rows of keys i on, queries `from` on.
  Matrix<const T> part(const Scratch<T>& block, std::int64_t i, std::int64_t n, std::int64_t from) const {
    return {block.data + i * query_block + from, n, s_.nq - from, query_block, 1};
  }
  // log_sum and the sum of up * out of every query.
  void load_rows(Matrix<const T> up) {
    const Matrix<const T> out = g_.out.part(s_.b, s_.h, s_.q0, s_.nq, p_.value_width);
    const T* log_sum = g_.log_sum + (s_.b * p_.heads + s_.h) * p_.targets + s_.q0;
    for (std::int64_t q = 0; q < query_block; ++q) {
      T total = 0;
      if (q < s_.nq) {
        const T *x = up.data + q * up.row_step, *y = out.data + q * out.row_step;
        std::int64_t j = 0;
        if (up.column_step == 1 && out.column_step == 1 && p_.value_width >= V::size) {
          V sums = V(T(0));
          for (; j + V::size <= p_.value_width; j += V::size) sums = sums + V::load(x + j) * V::load(y + j);
          total = lane::sum(sums);
        }
        for (; j < p_.value_width; ++j) total += x[j * up.column_step] * y[j * out.column_step];
      }
      inner_[q] = total;
      log_sum_[q] = q < s_.nq ? log_sum[q] : -Scores<T>::hidden;
    }
  }
  // Scores become weights, and the gradients of the weights those of q @ k^T.
  void differentiate(std::int64_t k0, std::int64_t nk) {
    const T* stays = p_.dropout > 0 ? s_.draw_dropout(k0, nk) : nullptr;
    for (std::int64_t q = 0; q < s_.nq; q += V::size) {
      const V shift = V::load(log_sum_ + q), inner = V::load(inner_ + q), scale = V(p_.scale);
      const std::int64_t end = s_.seen(q / V::size, k0, nk);
      for (std::int64_t k = 0; k < end; ++k) {
        T *w = weights_.data + k * query_block + q, *s = slopes_.data + k * query_block + q;
        const V weight = lane::exp(V::load(w) - shift);
        if (stays) {
          const V factor = V::load(stays + k * query_block + q);
          (weight * factor).store(w);
          (weight * (V::load(s) * factor - inner) * scale).store(s);
        } else {
          weight.store(w);
          (weight * (V::load(s) - inner) * scale).store(s);
        }
      }
      for (std::int64_t k = end; k < nk; ++k) {
        V(T(0)).store(weights_.data + k * query_block + q);
        V(T(0)).store(slopes_.data + k * query_block + q);
      }
    }
  }

  Scores<T> s_;
  const Attention<T>& p_;
  const AttentionGradients<T>& g_;
  Scratch<T> up_lanes_, weights_, slopes_, q_copy_, up_copy_, k_copy_, dq_;
  T log_sum_[query_block], inner_[query_block];
};

template <class T>
void fill_zero(Matrix<T> m) {
  for (std::int64_t i = 0; i < m.rows; ++i) write_row<T>(nullptr, T(0), m.data + i * m.row_step, m.columns, m.column_step);
}
template <class T>
void add_row(T* to, const T* from, std::int64_t n) {
  using V = LaneBlock<T>;
  std::int64_t i = 0;
  for (; i + V::size <= n; i += V::size) (V::load(to + i) + V::load(from + i)).store(to + i);
  for (; i < n; ++i) to[i] += from[i];
}

// dq, dk and dv of all heads. Where heads are few, the queries of one are shared out among `parts` tasks, which have a dk and
// dv of their own, added up in order afterwards.
template <class T>
void attend_backward(const Attention<T>& p, const AttentionGradients<T>& g) {
  const std::int64_t owners = p.batch * p.kv_heads, group = p.kv_heads ? p.heads / p.kv_heads : 0;
  if (owners == 0) return;
  const std::int64_t blocks = (p.targets + query_block - 1) / query_block;
  const std::int64_t parts = std::max<std::int64_t>(1, std::min(8 / owners, blocks * group));
  const std::int64_t area = parts == 1 ? 0 : p.sources * (p.width + p.value_width);
  const bool wide = p.batch * p.heads * p.targets * p.sources * (p.width + p.value_width) >= product_threshold;
  Scratch<T> partial(owners * parts * area);
  const auto of = [&](const Heads<T>& whole, std::int64_t owner, std::int64_t columns) {
    return whole.data ? whole.part(owner / p.kv_heads, owner % p.kv_heads, 0, p.sources, columns) : Matrix<T>{};
  };
  const auto own = [&](std::int64_t task, std::int64_t before, std::int64_t columns) {
    return Matrix<T>{partial.data + task * area + before * p.sources, p.sources, columns, columns, 1};
  };
  parallel_for(owners * parts, wide, [&](std::int64_t task) {
    const std::int64_t owner = task / parts;
    const Matrix<T> dk = parts == 1 ? of(g.dk, owner, p.width) : own(task, 0, p.width);
    const Matrix<T> dv = parts == 1 ? of(g.dv, owner, p.value_width) : own(task, p.width, p.value_width);
    fill_zero(dk);
    fill_zero(dv);
    AttentionBack<T> back(p, g, owner / p.kv_heads);
    for (std::int64_t i = task % parts; i < group * blocks; i += parts)
      back.run(owner % p.kv_heads * group + i / blocks, i % blocks * query_block, dk, dv);
  });
  if (parts == 1) return;
  const auto add_up = [&](const Heads<T>& whole, std::int64_t before, std::int64_t columns) {
    if (!whole.data) return;
    const std::int64_t chunks = (p.sources + key_block - 1) / key_block;
    parallel_for(owners * chunks, wide, [&](std::int64_t task) {
      const std::int64_t owner = task / chunks, row0 = task % chunks * key_block, rows = std::min(key_block, p.sources - row0);
      T* sum = own(owner * parts, before, columns).data + row0 * columns;
      for (std::int64_t part = 1; part < parts; ++part) add_row(sum, sum + part * area, rows * columns);
      const Matrix<T> to = of(whole, owner, columns).part(row0, 0, rows, columns);
      for (std::int64_t i = 0; i < rows; ++i) write_row(sum + i * columns, T(1), to.data + i * to.row_step, columns, to.column_step);
    });
  };
  add_up(g.dk, 0, p.width);
  add_up(g.dv, p.width, p.value_width);
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
