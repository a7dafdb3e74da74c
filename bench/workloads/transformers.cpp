// SPDX-License-Identifier: MIT
// Training steps of transformers.
#include <sinter/sinter.hpp>

#include "../bench.hpp"

namespace bench {

struct Encoder : nn::Module<Encoder> {
  nn::TransformerEncoder encoder{{256, 4, nn::TransformerOptions().dim_feedforward(1024).dropout(0).batch_first(true)}, 4};
  template <class V>
  void visit(V&& v) { v("encoder", encoder); }
};
void encoder_step(Run& run) {
  Encoder net;
  optim::AdamW opt(net);
  const Tensor<float, 3> x = input("x", {16, 64, 256}), y = input("y", {16, 64, 256});
  run.train(net, [&] {
    opt.zero_grad();
    Tensor<float, 0> loss = mse_loss(net.encoder(x), y);
    loss.backward();
    opt.step();
    return loss;
  });
}

struct Seq2Seq : nn::Module<Seq2Seq> {
  nn::Transformer transformer{128, 4, 2, 2, nn::TransformerOptions().dim_feedforward(512).dropout(0).batch_first(true)};
  template <class V>
  void visit(V&& v) { v("transformer", transformer); }
};
void seq2seq_step(Run& run) {
  Seq2Seq net;
  optim::AdamW opt(net);
  const Tensor<float, 3> source = input("source", {16, 32, 128}), target = input("target", {16, 32, 128}), y = input("y", {16, 32, 128});
  const auto masks = nn::TransformerMasks().tgt_is_causal(true);
  run.train(net, [&] {
    opt.zero_grad();
    Tensor<float, 0> loss = mse_loss(net.transformer(source, target, masks), y);
    loss.backward();
    opt.step();
    return loss;
  });
}

void add_transformers(Workloads& to) {
  to.push_back({"encoder_step", encoder_step, ""});
  to.push_back({"seq2seq_step", seq2seq_step, ""});
}

}  // namespace bench
