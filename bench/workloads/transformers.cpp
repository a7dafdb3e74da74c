// SPDX-License-Identifier: MIT
// Training steps of transformers.
#include <sinter/sinter.hpp>

#include "../bench.hpp"

namespace bench {

struct GptBlock : nn::Module<GptBlock> {
  std::int64_t heads;
  nn::LayerNorm ln1, ln2;
  nn::Linear qkv, proj, fc1, fc2;

  GptBlock(std::int64_t d, std::int64_t n) : heads(n), ln1({d}), ln2({d}), qkv(d, 3 * d), proj(d, d), fc1(d, 4 * d), fc2(4 * d, d) {}
  template <class V>
  void visit(V&& v) {
    v("ln1", ln1), v("ln2", ln2), v("qkv", qkv), v("proj", proj), v("fc1", fc1), v("fc2", fc2);
  }
  Tensor<float, 3> forward(const Tensor<float, 3>& x) const {
    const Tensor<float, 3> projected = qkv(ln1(x));
    const Tensor<float, 3> y = x + proj(multi_head_attention(projected, heads, Tensor<bool, 2>(), SDPAOptions().is_causal(true)));
    return y + fc2(gelu_tanh(fc1(ln2(y))));
  }
};

// Tokens (batch, time) -> scores (batch * time, vocabulary).
struct Gpt : nn::Module<Gpt> {
  nn::Embedding tok, pos;
  nn::ModuleList<GptBlock> blocks;
  nn::LayerNorm ln;
  nn::Linear head;

  Gpt(std::int64_t vocabulary, std::int64_t context, std::int64_t d, std::int64_t heads, int depth)
      : tok(vocabulary, d), pos(context, d), ln({d}), head(d, vocabulary, false) {
    for (int i = 0; i < depth; ++i) blocks.append(d, heads);
  }
  template <class V>
  void visit(V&& v) {
    v("tok", tok), v("pos", pos), v("blocks", blocks), v("ln", ln), v("head", head);
  }
  Tensor<float, 2> forward(const Tensor<std::int64_t, 2>& tokens) const {
    Tensor<float, 3> x = tok(tokens) + pos.weight;
    for (const GptBlock& block : blocks) x = block(x);
    const Tensor<float, 3> scores = head(ln(x));
    return scores.flatten<0, 1>();
  }
};

// batch and width as multiples of the workload's, to see how the time grows.
void gpt_step(Run& run, std::int64_t batch, std::int64_t width) {
  Gpt net(65, 256, 384 * width, 6 * width, 6);
  optim::AdamW opt(net, optim::AdamWOptions().lr(1e-3));
  const Tensor<std::int64_t, 2> x = labels("x", {4 * batch, 256}, 65);
  const Tensor<std::int64_t, 1> y = labels("y", {4 * batch * 256}, 65);
  run.train(net, [&] {
    opt.zero_grad();
    Tensor<float, 0> loss = cross_entropy(net(x), y);
    loss.backward();
    opt.step();
    return loss;
  });
}

void add_transformers(Workloads& to) {
  to.push_back({"encoder_step", nullptr, "waits for nn::TransformerEncoder"});
  to.push_back({"seq2seq_step", nullptr, "waits for nn::Transformer"});
  to.push_back({"gpt_char_step", [](Run& run) { gpt_step(run, 1, 1); }, ""});
}

}  // namespace bench
