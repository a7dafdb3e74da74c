// SPDX-License-Identifier: MIT
// The layers of a transformer, after Vaswani et al., "Attention Is All You Need" (2017). Sums and activations run in the
// epilogues of the products before them, unless something is dropped.
#pragma once

#include <string_view>

#include "sinter/nn/dropout.hpp"
#include "sinter/nn/layer_norm.hpp"
#include "sinter/nn/multihead_attention.hpp"

namespace sinter {
namespace nn {

// PyTorch's keyword arguments and defaults.
struct TransformerOptions {
  std::int64_t dim_feedforward_ = 2048;
  double dropout_ = 0.1, layer_norm_eps_ = 1e-5;
  bool gelu_ = false, batch_first_ = false, norm_first_ = false, bias_ = true;
  TransformerOptions& dim_feedforward(std::int64_t d) { return dim_feedforward_ = d, *this; }
  TransformerOptions& dropout(double p) { return dropout_ = p, *this; }
  // "relu" or "gelu"; throws ValueError at another.
  TransformerOptions& activation(std::string_view name) {
    if (name != "relu" && name != "gelu") fail<ValueError>("Transformer: activation must be \"relu\" or \"gelu\", but is \"", name, '"');
    return gelu_ = name == "gelu", *this;
  }
  TransformerOptions& layer_norm_eps(double e) { return layer_norm_eps_ = e, *this; }
  TransformerOptions& batch_first(bool b) { return batch_first_ = b, *this; }
  TransformerOptions& norm_first(bool b) { return norm_first_ = b, *this; }  // before each part, not after it
  TransformerOptions& bias(bool b) { return bias_ = b, *this; }              // of Linear and LayerNorm

  MultiheadAttentionOptions attention() const {
    return MultiheadAttentionOptions().dropout(dropout_).bias(bias_).batch_first(batch_first_);
  }
};

inline namespace SINTER_ABI {

// Masks under PyTorch's names, of rank and dtype as AttentionMasks says: src_* for the encoder, tgt_* for the decoder's
// attention to itself, memory_* for that to the encoder. The length of source is S, of target T: src_mask (S, S), tgt_mask
// (T, T), memory_mask (T, S), or (N * heads, ...); *_key_padding_mask (N, S), (N, T), (N, S). A part takes those that it has
// attention for. *_is_causal hides what comes later, and needs no mask besides.
//   encoder(x, nn::TransformerMasks().src_key_padding_mask(padding).src_is_causal(true))
template <class T>
struct TransformerMasksOf {
  AttentionMasksOf<T> src, tgt, memory;

  template <class M, int R>
  TransformerMasksOf& src_mask(const Tensor<M, R>& m) { return src.attn_mask(m), *this; }
  template <class M, int R>
  TransformerMasksOf& tgt_mask(const Tensor<M, R>& m) { return tgt.attn_mask(m), *this; }
  template <class M, int R>
  TransformerMasksOf& memory_mask(const Tensor<M, R>& m) { return memory.attn_mask(m), *this; }
  template <class M>
  TransformerMasksOf& src_key_padding_mask(const Tensor<M, 2>& m) { return src.key_padding_mask(m), *this; }
  template <class M>
  TransformerMasksOf& tgt_key_padding_mask(const Tensor<M, 2>& m) { return tgt.key_padding_mask(m), *this; }
  template <class M>
  TransformerMasksOf& memory_key_padding_mask(const Tensor<M, 2>& m) { return memory.key_padding_mask(m), *this; }
  TransformerMasksOf& src_is_causal(bool c) { return src.is_causal(c), *this; }
  TransformerMasksOf& tgt_is_causal(bool c) { return tgt.is_causal(c), *this; }
  TransformerMasksOf& memory_is_causal(bool c) { return memory.is_causal(c), *this; }
};
using TransformerMasks = TransformerMasksOf<float>;

// What the two kinds of layers have in common; each ends with a feed-forward part.
template <class T>
struct TransformerParts {
  using X = Tensor<T, 3>;

  // x + dropout(y), for a lazy y.
  template <class Y>
  static X sum(const X& x, const Y& y, const Dropout& dropout) {
    if (dropout.p == 0 || !dropout.is_training()) return X(x + y);
    return X(x + dropout(y));
  }
  static X attended(const X& x, const X& query, const X& memory, const MultiheadAttentionOf<T>& attention, const AttentionMasksOf<T>& masks,
                    const Dropout& dropout) {
    return sum(x, attention.out_proj(attention.heads(query, memory, memory, masks)), dropout);
  }
  static X fed_forward(const X& x, const X& in, const LinearOf<T>& linear1, const LinearOf<T>& linear2, bool as_gelu, const Dropout& within,
                       const Dropout& dropout) {
    const X wide = as_gelu ? X(gelu(linear1(in))) : X(relu(linear1(in)));
    return sum(x, linear2(within(wide)), dropout);
  }
};

// src (S, N, d_model) -> (S, N, d_model); with batch_first (N, S, d_model). Throws ShapeError.
//   nn::TransformerEncoderLayer layer(256, 4, nn::TransformerOptions().dim_feedforward(1024).batch_first(true));
// https://pytorch.org/docs/stable/generated/torch.nn.TransformerEncoderLayer.html
template <class T>
struct TransformerEncoderLayerOf : Module<TransformerEncoderLayerOf<T>> {
  using X = Tensor<T, 3>;
  using Masks = TransformerMasksOf<T>;
  TransformerOptions options;
  MultiheadAttentionOf<T> self_attn;
  LinearOf<T> linear1, linear2;
  LayerNormOf<T> norm1, norm2;
  Dropout dropout, dropout1, dropout2;  // within the feed-forward part, after attention, after the feed-forward part

  TransformerEncoderLayerOf(std::int64_t d_model, std::int64_t nhead, TransformerOptions o = {})
      : options(o), self_attn(d_model, nhead, o.attention()), linear1(d_model, o.dim_feedforward_, o.bias_),
        linear2(o.dim_feedforward_, d_model, o.bias_), norm1(d_model, LayerNormOptions().eps(o.layer_norm_eps_).bias(o.bias_)), norm2(norm1),
        dropout(o.dropout_), dropout1(o.dropout_), dropout2(o.dropout_) {}
  template <class V>
  void visit(V&& v) {
    v("self_attn", self_attn);
    v("linear1", linear1);
    v("dropout", dropout);
    v("linear2", linear2);
    v("norm1", norm1);
    v("norm2", norm2);
    v("dropout1", dropout1);
    v("dropout2", dropout2);
  }
  X forward(const X& src, const Masks& masks = {}) const {
    if (options.norm_first_) {
      const X x = attend(src, norm1(src), masks);
      return feed(x, norm2(x));
    }
    const X x = norm1(attend(src, src, masks));
    return norm2(feed(x, x));
  }

 private:
  using Parts = TransformerParts<T>;
  X attend(const X& x, const X& in, const Masks& masks) const { return Parts::attended(x, in, in, self_attn, masks.src, dropout1); }
  X feed(const X& x, const X& in) const { return Parts::fed_forward(x, in, linear1, linear2, options.gelu_, dropout, dropout2); }
};
using TransformerEncoderLayer = TransformerEncoderLayerOf<float>;

// tgt (T, N, d_model), memory (S, N, d_model) -> (T, N, d_model); with batch_first N comes first. Throws ShapeError.
// https://pytorch.org/docs/stable/generated/torch.nn.TransformerDecoderLayer.html
template <class T>
struct TransformerDecoderLayerOf : Module<TransformerDecoderLayerOf<T>> {
  using X = Tensor<T, 3>;
  using Masks = TransformerMasksOf<T>;
  TransformerOptions options;
  MultiheadAttentionOf<T> self_attn, multihead_attn;
  LinearOf<T> linear1, linear2;
  LayerNormOf<T> norm1, norm2, norm3;
  Dropout dropout, dropout1, dropout2, dropout3;

  TransformerDecoderLayerOf(std::int64_t d_model, std::int64_t nhead, TransformerOptions o = {})
      : options(o), self_attn(d_model, nhead, o.attention()), multihead_attn(d_model, nhead, o.attention()),
        linear1(d_model, o.dim_feedforward_, o.bias_), linear2(o.dim_feedforward_, d_model, o.bias_),
        norm1(d_model, LayerNormOptions().eps(o.layer_norm_eps_).bias(o.bias_)), norm2(norm1), norm3(norm1), dropout(o.dropout_),
        dropout1(o.dropout_), dropout2(o.dropout_), dropout3(o.dropout_) {}
  template <class V>
  void visit(V&& v) {
    v("self_attn", self_attn);
    v("multihead_attn", multihead_attn);
    v("linear1", linear1);
    v("dropout", dropout);
    v("linear2", linear2);
    v("norm1", norm1);
    v("norm2", norm2);
    v("norm3", norm3);
    v("dropout1", dropout1);
    v("dropout2", dropout2);
    v("dropout3", dropout3);
  }
  X forward(const X& tgt, const X& memory, const Masks& masks = {}) const {
    if (options.norm_first_) {
      const X x = attend(tgt, norm1(tgt), masks), y = look(x, norm2(x), memory, masks);
      return feed(y, norm3(y));
    }
    const X x = norm1(attend(tgt, tgt, masks)), y = norm2(look(x, x, memory, masks));
    return norm3(feed(y, y));
  }

 private:
  using Parts = TransformerParts<T>;
  X attend(const X& x, const X& in, const Masks& masks) const { return Parts::attended(x, in, in, self_attn, masks.tgt, dropout1); }
  X look(const X& x, const X& in, const X& memory, const Masks& masks) const {
    return Parts::attended(x, in, memory, multihead_attn, masks.memory, dropout2);
  }
  X feed(const X& x, const X& in) const { return Parts::fed_forward(x, in, linear1, linear2, options.gelu_, dropout, dropout3); }
};
using TransformerDecoderLayer = TransformerDecoderLayerOf<float>;

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
