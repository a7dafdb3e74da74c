// SPDX-License-Identifier: MIT
// Training steps of a decoder-only transformer of characters: the workload, and larger ones to see how the time grows.
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

  Gpt(std::int64_t words, std::int64_t length, std::int64_t d, std::int64_t heads, std::int64_t n)
      : tok(words, d), pos(length, d), ln({d}), head(d, words, false) {
    for (std::int64_t i = 0; i < n; ++i) blocks.append(d, heads);
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

constexpr std::int64_t vocabulary = 65, context = 256, depth = 6;

// batch and width as multiples of the workload's, to see how the time grows.
void gpt_step(Run& run, std::int64_t batch, std::int64_t width) {
  Gpt net(vocabulary, context, 384 * width, 6 * width, depth);
  optim::AdamW opt(net, optim::AdamWOptions().lr(1e-3));
  const Tensor<std::int64_t, 2> x = labels("x", {4 * batch, context}, vocabulary);
  const Tensor<std::int64_t, 1> y = labels("y", {4 * batch * context}, vocabulary);
  run.train(net, [&] {
    opt.zero_grad();
    Tensor<float, 0> loss = cross_entropy(net(x), y);
    loss.backward();
    opt.step();
    return loss;
  });
}

// Of a step's matrix products; backward has two for each one forward. A token's are, in a block, 3 d^2 multiply-adds for
// qkv, d^2 for proj and 8 d^2 for the feed-forward part, and d for each of two products with the (context + 1) / 2 tokens that
// it sees in the mean; and d * vocabulary for the head.
double gpt_gflop(std::int64_t batch, std::int64_t width) {
  const double tokens = double(4 * batch * context), d = 384 * double(width);
  const double block = 12 * d * d + d * (context + 1);
  return 3 * 2e-9 * tokens * (depth * block + d * vocabulary);
}

void add_gpt(Workloads& to) {
  to.push_back({"gpt_char_step", [](Run& run) { gpt_step(run, 1, 1); }, "", gpt_gflop(1, 1)});
}

void add_growth(Workloads& to) {
  add_gpt(to);
  for (const std::int64_t n : {2, 4})
    to.push_back({"gpt_char_step_b" + std::to_string(n), [n](Run& run) { gpt_step(run, n, 1); }, "", gpt_gflop(n, 1)});
  for (const std::int64_t n : {2, 4})
    to.push_back({"gpt_char_step_w" + std::to_string(n), [n](Run& run) { gpt_step(run, 1, n); }, "", gpt_gflop(1, n)});
}

}  // namespace bench
