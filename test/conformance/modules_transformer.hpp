// SPDX-License-Identifier: MIT
// Options and masks of the transformer's cases.
#pragma once

#include "conformance/modules.hpp"
#include "sinter/nn/transformer.hpp"

namespace conformance {

inline nn::TransformerOptions transformer_options(const Case& c) {
  return nn::TransformerOptions().dim_feedforward(c.integer("dim_feedforward")).dropout(c.number("dropout", 0))
      .activation(c.text("activation", "relu")).layer_norm_eps(c.number("layer_norm_eps", 1e-5)).batch_first(c.flag("batch_first", false))
      .norm_first(c.flag("norm_first", false));
}
// Inputs attn and padding, as far as they are given, into one attention's masks. Gradients of masks are not asked for.
template <class T>
void set_masks(Case& c, nn::AttentionMasksOf<T>& m, int attn, int padding) {
  if (c.given(padding)) {
    if (c.dtype(padding) == DType::boolean) m.key_padding_mask(c.in<bool, 2>(padding));
    else m.key_padding_mask(c.in<T, 2>(padding).detach());
  }
  if (!c.given(attn)) return;
  const bool hides = c.dtype(attn) == DType::boolean;
  if (c.rank(attn) == 3) hides ? m.attn_mask(c.in<bool, 3>(attn)) : m.attn_mask(c.in<T, 3>(attn).detach());
  else hides ? m.attn_mask(c.in<bool, 2>(attn)) : m.attn_mask(c.in<T, 2>(attn).detach());
}
template <class T>
std::optional<nn::LayerNormOf<T>> final_norm(const Case& c) {
  if (!c.flag("final_norm", false)) return {};
  return nn::LayerNormOf<T>(c.integer("d_model"), nn::LayerNormOptions().eps(c.number("layer_norm_eps", 1e-5)));
}

}  // namespace conformance
