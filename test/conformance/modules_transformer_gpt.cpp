// SPDX-License-Identifier: MIT
// A small language model after GPT-2, written as a user would.
#include "conformance/modules.hpp"
#include "sinter/functional/loss_classification.hpp"
#include "sinter/nn/container.hpp"
#include "sinter/nn/embedding.hpp"
#include "sinter/nn/layer_norm.hpp"
#include "sinter/nn/multihead_attention.hpp"

namespace conformance {
namespace {

struct Attention : nn::Module<Attention> {
  std::int64_t heads;
  nn::Linear c_attn, c_proj;
  Attention(std::int64_t d, std::int64_t n, bool bias) : heads(n), c_attn(d, 3 * d, bias), c_proj(d, d, bias) {}
  template <class V>
  void visit(V&& v) { v("c_attn", c_attn), v("c_proj", c_proj); }
  auto forward(const Tensor<float, 3>& x) const {
    return c_proj(multi_head_attention(Tensor<float, 3>(c_attn(x)), heads, Tensor<bool, 2>(), SDPAOptions().is_causal(true)));
  }
};
struct Mlp : nn::Module<Mlp> {
  nn::Linear c_fc, c_proj;
  Mlp(std::int64_t d, bool bias) : c_fc(d, 4 * d, bias), c_proj(4 * d, d, bias) {}
  template <class V>
  void visit(V&& v) { v("c_fc", c_fc), v("c_proj", c_proj); }
  auto forward(const Tensor<float, 3>& x) const { return c_proj(gelu_tanh(c_fc(x))); }
};
struct Block : nn::Module<Block> {
  nn::LayerNorm ln_1, ln_2;
  Attention attn;
  Mlp mlp;
  Block(std::int64_t d, std::int64_t heads, bool bias) : ln_1(d), ln_2(d), attn(d, heads, bias), mlp(d, bias) {}
  template <class V>
  void visit(V&& v) { v("ln_1", ln_1), v("attn", attn), v("ln_2", ln_2), v("mlp", mlp); }
  Tensor<float, 3> forward(const Tensor<float, 3>& x) const {
    const Tensor<float, 3> y = x + attn(ln_1(x));
    return y + mlp(ln_2(y));
  }
};
struct TinyGPT : nn::Module<TinyGPT> {
  bool tied;
  nn::Embedding wte, wpe;
  nn::ModuleList<Block> h;
  nn::LayerNorm ln_f;
  nn::Linear lm_head;
  explicit TinyGPT(const Case& c)
      : tied(c.flag("tie_weights", false)), wte(c.integer("vocab_size"), c.integer("n_embd")), wpe(c.integer("block_size"), c.integer("n_embd")),
        ln_f(c.integer("n_embd")), lm_head(c.integer("n_embd"), c.integer("vocab_size"), false) {
    for (std::int64_t i = 0; i < c.integer("n_layer"); ++i) h.append(c.integer("n_embd"), c.integer("n_head"), c.flag("bias", true));
  }
  template <class V>
  void visit(V&& v) {
    v("transformer.wte", wte), v("transformer.wpe", wpe), v("transformer.h", h), v("transformer.ln_f", ln_f);
    if (!tied) v("lm_head", lm_head);
  }
  Tensor<float, 3> forward(const Tensor<std::int64_t, 2>& tokens) const {
    Tensor<float, 3> x = wte(tokens) + narrow(wpe.weight, 0, 0, tokens.size(1));
    for (const Block& block : h) x = block(x);
    return linear(ln_f(x), tied ? wte.weight : lm_head.weight);
  }
};

const bool registered = [] {
  add("TinyGPT", [](Case& c) {
    TinyGPT net(c);
    return run_module(c, net, [&](const auto& m) {
      const Tensor<float, 3> scores = m(c.in<std::int64_t, 2>(0));
      const Tensor<float, 2> rows = scores.template flatten<0, 1>();
      const Tensor<float, 0> loss = cross_entropy(rows, c.in<std::int64_t, 2>(1).template flatten<0, 1>());
      return Values{scores.impl, loss.impl};
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
