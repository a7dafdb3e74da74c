// SPDX-License-Identifier: MIT
#include "sinter/nn/multihead_attention.hpp"

#include "conformance/modules.hpp"

namespace conformance {
namespace {

template <class T>
nn::AttentionMasksOf<T> masks(Case& c) {
  nn::AttentionMasksOf<T> m;
  if (c.given(3)) m.key_padding_mask(c.in<bool, 2>(3));
  if (!c.given(4)) return m;
  const bool hides = c.dtype(4) == DType::boolean;
  if (c.rank(4) == 3) hides ? m.attn_mask(c.in<bool, 3>(4)) : m.attn_mask(c.in<T, 3>(4));
  else hides ? m.attn_mask(c.in<bool, 2>(4)) : m.attn_mask(c.in<T, 2>(4).detach());
  return m;
}

const bool registered = [] {
  add("MultiheadAttention", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      const auto o = nn::MultiheadAttentionOptions().bias(c.flag("bias", true)).batch_first(c.flag("batch_first", false))
                         .kdim(c.integer("kdim", 0)).vdim(c.integer("vdim", 0));
      nn::MultiheadAttentionOf<T> layer(c.integer("embed_dim"), c.integer("num_heads"), o);
      return run_module(c, layer, [&](const auto& m) {
        const auto q = c.in<T, 3>(0), k = c.in<T, 3>(1), v = c.in<T, 3>(2);
        const auto hidden = masks<T>(c);
        if (!c.flag("need_weights", true)) return Values{m(q, k, v, hidden).impl};
        const auto both = m.with_weights(q, k, v, hidden);
        return Values{both.output.impl, c.flag("average_attn_weights", true) ? both.average_weights().impl : both.weights.impl};
      });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
