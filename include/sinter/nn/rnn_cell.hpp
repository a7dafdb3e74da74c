// SPDX-License-Identifier: MIT
// Single steps of the recurrent layers: RNNCell, LSTMCell, GRUCell. Weights, names and defaults are PyTorch's.
// https://pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html
#pragma once

#include <tuple>

#include "sinter/nn/module.hpp"
#include "sinter/nn/rnn_parameters.hpp"

namespace sinter {
namespace nn {

struct RNNCellOptions {
  bool bias_ = true, relu_ = false;
  RNNCellOptions& bias(bool b) { return bias_ = b, *this; }
  // "tanh" or "relu".
  RNNCellOptions& nonlinearity(std::string_view name) { return relu_ = is_relu("RNNCell", name), *this; }
};

inline namespace SINTER_ABI {

template <class D, class T>
struct RecurrentCellOf : Module<D> {
  std::int64_t input_size, hidden_size;
  RecurrentParameters<T> parameters_;

  RecurrentCellOf(const char* name, std::int64_t gates, std::int64_t input, std::int64_t hidden, bool bias)
      : input_size(input), hidden_size(hidden), parameters_(name, gates, input, hidden, bias) {}
  template <class V>
  void visit(V&& v) { parameters_.visit(v, ""); }

 protected:
  // x (batch, input) or (input); states (batch, hidden) or (hidden).
  template <class Cell, int R>
  RecurrentResult<T, R, R> step(const char* name, const Tensor<T, R>& x, const Tensor<T, R>& h0, const Tensor<T, R>& c0) const {
    static_assert(R == 1 || R == 2, "sinter: recurrent cells take an input (batch, input_size) or (input_size)");
    const std::int64_t batch = R == 2 ? x.size(0) : 1;
    if (x.size(-1) != input_size)
      fail<ShapeError>(name, ": input ", x.shape(), " has ", x.size(-1), " features, but input_size is ",
                       input_size, " (axis ", R - 1, ")");
    Shape<R> state = x.shape();
    state[R - 1] = hidden_size;
    check_state(name, "h", h0, state, x.shape());
    check_state(name, "c", c0, state, x.shape());
    const RecurrentWeights<T> w = parameters_.weights();
    return recurrent_layer<Cell>(name, x, h0, c0, &w, 1, SequenceShape{1, batch, input_size, batch, 1}, state, state, false);
  }
};

// rnn(x) or rnn(x, h) -> h', for x (batch, input_size) and h (batch, hidden_size), or both without the batch; without h it is 0.
// Throws ShapeError.
template <class T>
struct RNNCellOf : RecurrentCellOf<RNNCellOf<T>, T> {
  RNNCellOptions options;
  RNNCellOf(std::int64_t input_size, std::int64_t hidden_size, RNNCellOptions o = {})
      : RecurrentCellOf<RNNCellOf<T>, T>("RNNCell", 1, input_size, hidden_size, o.bias_), options(o) {}
  template <class X>
  Tensor<T, X::rank> forward(const Expr<X>& e, const Tensor<T, X::rank>& h = {}) const {
    const Tensor<T, X::rank> x = recurrent_input<T>(e);
    if (options.relu_) return this->template step<cpu::ElmanCell<op::Relu>>("RNNCell", x, h, {}).y;
    return this->template step<cpu::ElmanCell<op::Tanh>>("RNNCell", x, h, {}).y;
  }
};

// The same with GRU's gates.
template <class T>
struct GRUCellOf : RecurrentCellOf<GRUCellOf<T>, T> {
  GRUCellOf(std::int64_t input_size, std::int64_t hidden_size, bool bias = true)
      : RecurrentCellOf<GRUCellOf<T>, T>("GRUCell", 3, input_size, hidden_size, bias) {}
  template <class X>
  Tensor<T, X::rank> forward(const Expr<X>& x, const Tensor<T, X::rank>& h = {}) const {
    return this->template step<cpu::GruCell>("GRUCell", recurrent_input<T>(x), h, {}).y;
  }
};

// lstm(x) or lstm(x, {h, c}) -> (h', c').
template <class T>
struct LSTMCellOf : RecurrentCellOf<LSTMCellOf<T>, T> {
  template <int R>
  using State = std::tuple<Tensor<T, R>, Tensor<T, R>>;

  LSTMCellOf(std::int64_t input_size, std::int64_t hidden_size, bool bias = true)
      : RecurrentCellOf<LSTMCellOf<T>, T>("LSTMCell", 4, input_size, hidden_size, bias) {}
  template <class X>
  State<X::rank> forward(const Expr<X>& x, const State<X::rank>& state = {}) const {
    check_both("LSTMCell", std::get<0>(state).defined(), std::get<1>(state).defined());
    const auto r = this->template step<cpu::LstmCell>("LSTMCell", recurrent_input<T>(x), std::get<0>(state), std::get<1>(state));
    return {r.y, r.c};
  }
};

using RNNCell = RNNCellOf<float>;
using GRUCell = GRUCellOf<float>;
using LSTMCell = LSTMCellOf<float>;

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
