// SPDX-License-Identifier: MIT
// Recurrent layers.
#include "conformance/modules.hpp"
#include "sinter/nn/rnn.hpp"

namespace conformance {
namespace {

template <class O>
O options_of(const Case& c) {
  return O().num_layers(c.integer("num_layers", 1)).bias(c.flag("bias", true)).batch_first(c.flag("batch_first", false))
      .bidirectional(c.flag("bidirectional", false));
}

const bool registered = [] {
  add("RNN", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      nn::RNNOf<T> layer(c.integer("input_size"), c.integer("hidden_size"),
                         options_of<nn::RNNOptions>(c).nonlinearity(c.text("nonlinearity", "tanh")));
      return run_module(c, layer, [&](const auto& m) {
        const auto [y, h] = m(c.in<T, 3>(0), c.in<T, 3>(1));
        return Values{y.impl, h.impl};
      });
    });
  });
  add("GRU", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      nn::GRUOf<T> layer(c.integer("input_size"), c.integer("hidden_size"), options_of<nn::GRUOptions>(c));
      return run_module(c, layer, [&](const auto& m) {
        const auto [y, h] = m(c.in<T, 3>(0), c.in<T, 3>(1));
        return Values{y.impl, h.impl};
      });
    });
  });
  add("LSTM", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      nn::LSTMOf<T> layer(c.integer("input_size"), c.integer("hidden_size"), options_of<nn::LSTMOptions>(c));
      return run_module(c, layer, [&](const auto& m) {
        const auto [y, state] = m(c.in<T, 3>(0), std::tuple(c.in<T, 3>(1), c.in<T, 3>(2)));
        const auto& [h, cell] = state;
        return Values{y.impl, h.impl, cell.impl};
      });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
