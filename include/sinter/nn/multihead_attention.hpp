// SPDX-License-Identifier: MIT
// Multi-head attention, after Vaswani et al., "Attention Is All You Need" (2017).
#pragma once

#include "sinter/functional/attention.hpp"
#include "sinter/nn/linear.hpp"

namespace sinter {
namespace nn {

// PyTorch's keyword arguments and defaults; kdim and vdim are embed_dim unless given.
struct MultiheadAttentionOptions {
  double dropout_ = 0;
  bool bias_ = true, batch_first_ = false;
  std::int64_t kdim_ = 0, vdim_ = 0;
  MultiheadAttentionOptions& dropout(double p) { return dropout_ = p, *this; }
  MultiheadAttentionOptions& bias(bool b) { return bias_ = b, *this; }
  MultiheadAttentionOptions& batch_first(bool b) { return batch_first_ = b, *this; }
  MultiheadAttentionOptions& kdim(std::int64_t d) { return kdim_ = d, *this; }
  MultiheadAttentionOptions& vdim(std::int64_t d) { return vdim_ = d, *this; }
};

inline namespace SINTER_ABI {

// What a call hides: bool, true is hidden, or numbers that are added to the scores. key_padding_mask (N, S), attn_mask (L, S)
// or (N * heads, L, S), and what is_causal hides add up; undefined ones hide nothing.
template <class T>
class AttentionMasksOf {
 public:
  AttentionMasksOf& key_padding_mask(const Tensor<bool, 2>& m) { return padding_ = m, *this; }
  AttentionMasksOf& key_padding_mask(const Tensor<T, 2>& m) { return padding_bias_ = m, *this; }
  AttentionMasksOf& attn_mask(const Tensor<bool, 2>& m) { return hidden_ = wide(m), *this; }
  AttentionMasksOf& attn_mask(const Tensor<bool, 3>& m) { return hidden_ = wide(m), *this; }
  AttentionMasksOf& attn_mask(const Tensor<T, 2>& m) { return bias_ = wide(m), *this; }
  AttentionMasksOf& attn_mask(const Tensor<T, 3>& m) { return bias_ = wide(m), *this; }
  AttentionMasksOf& is_causal(bool c) { return is_causal_ = c, *this; }

  bool is_causal() const { return is_causal_; }
  bool adds() const { return padding_bias_.defined() || bias_.defined(); }
  // What may be seen, (N or 1, heads or 1, L or 1, S), where nothing is added.
  Tensor<bool, 4> allowed(std::int64_t heads) const {
    const Tensor<bool, 4> a = by_head(hidden_, heads), b = of_keys(padding_);
    if (a.defined() && b.defined()) return Tensor<bool, 4>(!logical_or(a, b));
    return a.defined() ? Tensor<bool, 4>(!a) : b.defined() ? Tensor<bool, 4>(!b) : Tensor<bool, 4>();
  }
  // All of it, is_causal aside, as numbers to be added.
  Tensor<T, 4> bias(std::int64_t heads) const {
    Tensor<T, 4> sum = by_head(bias_, heads);
    const auto add = [&](const Tensor<T, 4>& x) {
      if (x.defined()) sum = sum.defined() ? Tensor<T, 4>(sum + x) : x;
    };
    add(of_keys(padding_bias_));
    add(numbers(by_head(hidden_, heads)));
    add(numbers(of_keys(padding_)));
    return sum;
  }

 private:
  template <class M>
  static Tensor<M, 4> wide(const Tensor<M, 2>& m) { return m.defined() ? Tensor<M, 4>(unsqueeze(unsqueeze(m, 0), 0)) : Tensor<M, 4>(); }
  template <class M>
  static Tensor<M, 4> wide(const Tensor<M, 3>& m) { return m.defined() ? Tensor<M, 4>(unsqueeze(m, 1)) : Tensor<M, 4>(); }
  template <class M>
  static Tensor<M, 4> of_keys(const Tensor<M, 2>& m) { return m.defined() ? Tensor<M, 4>(unsqueeze(unsqueeze(m, 1), 1)) : Tensor<M, 4>(); }
  template <class M>
  static Tensor<M, 4> by_head(const Tensor<M, 4>& m, std::int64_t heads) {
    if (!m.defined() || m.size(0) == 1) return m;
    return Tensor<M, 4>(reshape(m, Shape{m.size(0) / heads, heads, m.size(2), m.size(3)}));
  }
  static Tensor<T, 4> numbers(const Tensor<bool, 4>& hidden) {
    return hidden.defined() ? Tensor<T, 4>(to<T>(where(hidden, -std::numeric_limits<float>::infinity(), 0.f))) : Tensor<T, 4>();
  }
  Tensor<bool, 2> padding_;
  Tensor<T, 2> padding_bias_;
  Tensor<bool, 4> hidden_;  // (1, 1, L, S) or (N * heads, 1, L, S)
  Tensor<T, 4> bias_;
  bool is_causal_ = false;
};
using AttentionMasks = AttentionMasksOf<float>;

// query (L, N, embed_dim), key (S, N, kdim), value (S, N, vdim) -> (L, N, embed_dim); with batch_first the first two change
// places. with_weights() gives the weights as well, which then exist as a whole; mha(...) does not need them.
//   nn::MultiheadAttention mha(256, 4, nn::MultiheadAttentionOptions().batch_first(true));
//   auto y = mha(x, x, x, nn::AttentionMasks().is_causal(true));
// https://pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html
template <class T>
struct MultiheadAttentionOf : Module<MultiheadAttentionOf<T>> {
  using X = Tensor<T, 3>;
  using Masks = AttentionMasksOf<T>;
  std::int64_t embed_dim, num_heads;
  MultiheadAttentionOptions options;
  Parameter<T, 2> in_proj_weight;                                // (3 * embed_dim, embed_dim), or undefined and
  Parameter<T, 2> q_proj_weight, k_proj_weight, v_proj_weight;  // (embed_dim, embed_dim), (embed_dim, kdim), (embed_dim, vdim)
  Parameter<T, 1> in_proj_bias;                                  // (3 * embed_dim), or undefined
  LinearOf<T> out_proj;

  MultiheadAttentionOf(std::int64_t embed, std::int64_t heads, MultiheadAttentionOptions o = {})
      : embed_dim(embed), num_heads(heads), options(o), out_proj(embed, embed, o.bias_) {
    if (heads < 1 || embed % heads != 0)
      fail<ValueError>("MultiheadAttention: embed_dim must be a multiple of num_heads, but is ", embed, " for ", heads, " heads");
    const std::int64_t kdim = o.kdim_ ? o.kdim_ : embed, vdim = o.vdim_ ? o.vdim_ : embed;
    const auto weight = [](std::int64_t rows, std::int64_t columns) {
      const Tensor<T, 2> w = empty<T>(Shape{rows, columns});
      init::xavier_uniform_(w);
      return w;
    };
    if (kdim == embed && vdim == embed) in_proj_weight = weight(3 * embed, embed);
    else q_proj_weight = weight(embed, embed), k_proj_weight = weight(embed, kdim), v_proj_weight = weight(embed, vdim);
    if (o.bias_) {
      in_proj_bias = zeros<T>(Shape{3 * embed});
      init::zeros_(out_proj.bias);
    }
  }
  template <class V>
  void visit(V&& v) {
    v("in_proj_weight", in_proj_weight);
    v("q_proj_weight", q_proj_weight);
    v("k_proj_weight", k_proj_weight);
    v("v_proj_weight", v_proj_weight);
    v("in_proj_bias", in_proj_bias);
    v("out_proj", out_proj);
  }
  X forward(const X& query, const X& key, const X& value, const Masks& masks = {}) const { return X(out_proj(heads(query, key, value, masks))); }
  // What out_proj gets, the heads side by side: x + mha.out_proj(mha.heads(x, x, x)) adds x in the product's epilogue.
  X heads(const X& query, const X& key, const X& value, const Masks& masks = {}) const {
    return masks.adds() ? attend(query, key, value, masks.bias(num_heads), masks.is_causal())
                        : attend(query, key, value, masks.allowed(num_heads), masks.is_causal());
  }

  struct WithWeights {
    X output;
    Tensor<T, 4> weights;  // (N, heads, L, S), after dropout
    X average_weights() const { return X(mean(weights, 1)); }
  };
  WithWeights with_weights(const X& query, const X& key, const X& value, const Masks& masks = {}) const {
    WithWeights both = weigh(query, key, value, masks.bias(num_heads), masks.is_causal());
    both.output = out_proj(both.output);
    return both;
  }

 private:
  // x by rows [part * embed_dim, (part + parts) * embed_dim) of the three weights.
  X project(const X& x, std::int64_t part, std::int64_t parts) const {
    const auto rows = [&](const auto& t) { return parts == 3 ? t : materialize(narrow(t, 0, part * embed_dim, parts * embed_dim)); };
    Tensor<T, 1> bias;
    if (in_proj_bias.defined()) bias = rows(static_cast<const Tensor<T, 1>&>(in_proj_bias));
    if (in_proj_weight.defined()) return X(linear(x, rows(static_cast<const Tensor<T, 2>&>(in_proj_weight)), bias));
    return X(linear(x, part == 0 ? q_proj_weight : part == 1 ? k_proj_weight : v_proj_weight, bias));
  }
  template <class M>
  X attend(const X& query, const X& key, const X& value, const Tensor<M, 4>& mask, bool is_causal) const {
    if constexpr (!std::is_same_v<M, bool>)
      if (any_requires_grad(mask)) return weigh(query, key, value, mask, is_causal).output;
    const HeadsJoined heads(num_heads, options.batch_first_);
    const auto o = SDPAOptions().is_causal(is_causal).dropout_p(this->is_training() ? options.dropout_ : 0);
    if (!in_proj_weight.defined() || key.impl != value.impl)
      return multi_head_attention(project(query, 0, 1), project(key, 1, 1), project(value, 2, 1), heads, mask, o);
    if (query.impl != key.impl) return multi_head_attention(project(query, 0, 1), project(key, 1, 2), heads, mask, o);
    return multi_head_attention(project(query, 0, 3), heads, mask, o);
  }
  // By way of all weights, to what out_proj gets.
  WithWeights weigh(const X& query, const X& key, const X& value, const Tensor<T, 4>& bias, bool is_causal) const {
    const Tensor<T, 4> q = apart(project(query, 0, 1)), k = apart(project(key, 1, 1)), v = apart(project(value, 2, 1));
    check_attention(HeadsApart(), q.shape(), k.shape(), v.shape(), SDPAOptions().dropout_p(options.dropout_));
    const Tensor<T, 4> w = attention_weights(q, k, bias, SDPAOptions().is_causal(is_causal));
    const Tensor<T, 4> dropped = dropout(w, options.dropout_, this->is_training());
    const Tensor<T, 4> y(matmul(dropped, v));
    const Tensor<T, 4> ordered(permute(y, options.batch_first_ ? Shape<4>{{0, 2, 1, 3}} : Shape<4>{{2, 0, 1, 3}}));
    return {X(reshape(ordered, query.shape())), dropped};
  }
  // Heads side by side, to (N, heads, length, width).
  Tensor<T, 4> apart(const X& x) const {
    const Tensor<T, 4> split(reshape(x, Shape<4>{{x.size(0), x.size(1), num_heads, embed_dim / num_heads}}));
    return Tensor<T, 4>(permute(split, options.batch_first_ ? Shape<4>{{0, 2, 1, 3}} : Shape<4>{{1, 2, 0, 3}}));
  }
};
using MultiheadAttention = MultiheadAttentionOf<float>;

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
