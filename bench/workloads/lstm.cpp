// SPDX-License-Identifier: MIT
// A training step of a recurrent net.
#include <sinter/nn/rnn.hpp>
#include <sinter/sinter.hpp>

#include "../bench.hpp"

namespace bench {

struct LstmNet : nn::Module<LstmNet> {
  nn::LSTM lstm{64, 128, nn::LSTMOptions().batch_first(true)};
  nn::Linear fc{128, 10};
  template <class V>
  void visit(V&& v) {
    v("lstm", lstm), v("fc", fc);
  }
  auto forward(const Tensor<float, 3>& x) const {
    const auto [y, state] = lstm(x);
    return fc(y.select(1, -1));
  }
};

void lstm_step(Run& run) {
  LstmNet net;
  optim::Adam opt(net);
  const Tensor<float, 3> x = input("x", {32, 50, 64});
  const Tensor<std::int64_t, 1> y = labels("y", {32}, 10);
  run.train(net, [&] {
    opt.zero_grad();
    Tensor<float, 0> loss = cross_entropy(net(x), y);
    loss.backward();
    opt.step();
    return loss;
  });
}

void add_lstm(Workloads& to) { to.push_back({"lstm_step", lstm_step, ""}); }

}  // namespace bench
