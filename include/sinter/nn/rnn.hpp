// SPDX-License-Identifier: MIT
// Recurrent layers over sequences: RNN, LSTM, GRU. Weights, names, shapes and defaults are PyTorch's.
// https://pytorch.org/docs/stable/nn.html#recurrent-layers
#pragma once

#include <tuple>
#include <vector>

#include "sinter/functional/dropout.hpp"
#include "sinter/nn/module.hpp"
#include "sinter/nn/rnn_parameters.hpp"
#include "sinter/tensor/join.hpp"

namespace sinter {
namespace nn {

// PyTorch's keyword arguments and defaults; D is the class that the setters return.
template <class D>
struct RecurrentOptions {
  std::int64_t num_layers_ = 1;
  bool bias_ = true, batch_first_ = false, bidirectional_ = false;
  double dropout_ = 0;

  D& num_layers(std::int64_t n) { return num_layers_ = n, self(); }
  D& bias(bool b) { return bias_ = b, self(); }
  D& batch_first(bool b) { return batch_first_ = b, self(); }
  D& dropout(double p) { return dropout_ = p, self(); }  // between layers, in training
  D& bidirectional(bool b) { return bidirectional_ = b, self(); }

 private:
  D& self() { return static_cast<D&>(*this); }
};
struct LSTMOptions : RecurrentOptions<LSTMOptions> {};
struct GRUOptions : RecurrentOptions<GRUOptions> {};
struct RNNOptions : RecurrentOptions<RNNOptions> {
  bool relu_ = false;
  // "tanh" or "relu".
  RNNOptions& nonlinearity(std::string_view name) { return relu_ = is_relu("RNN", name), *this; }
};

inline namespace SINTER_ABI {

// What the three layers share; D is the layer.
template <class D, class T, class Options, class Cell>
struct RecurrentOf : Module<D> {
  std::int64_t input_size, hidden_size;
  Options options;
  std::vector<RecurrentParameters<T>> layers;  // of layer l and direction d: l * directions() + d

  RecurrentOf(const char* name, std::int64_t input, std::int64_t hidden, Options o)
      : input_size(input), hidden_size(hidden), options(o) {
    if (o.num_layers_ < 1) fail<ValueError>(name, ": num_layers must be at least 1, but is ", o.num_layers_);
    if (!(o.dropout_ >= 0 && o.dropout_ <= 1)) fail<ValueError>(name, ": dropout must be in [0, 1], but is ", o.dropout_);
    for (std::int64_t l = 0; l < o.num_layers_; ++l)
      for (int d = 0; d < directions(); ++d)
        layers.emplace_back(name, Cell::gates, l == 0 ? input : directions() * hidden, hidden, o.bias_);
  }
  int directions() const { return options.bidirectional_ ? 2 : 1; }
  template <class V>
  void visit(V&& v) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const std::size_t layer = i / std::size_t(directions());
      layers[i].visit(v, "_l" + std::to_string(layer) + (i % std::size_t(directions()) ? "_reverse" : ""));
    }
  }

 protected:
  // x (steps, batch, input), (batch, steps, input) where batch_first, or (steps, input).
  template <int R>
  SequenceShape sequence_of(const char* name, const Shape<R>& x) const {
    static_assert(R == 2 || R == 3, "sinter: RNN, LSTM and GRU take an input (steps, batch, input_size), or (batch, steps, "
                                    "input_size) with batch_first, or (steps, input_size)");
    if (x[R - 1] != input_size)
      fail<ShapeError>(name, ": input ", x, " has ", x[R - 1], " features, but input_size is ",
                       input_size, " (axis ", R - 1, ")");
    const bool swapped = R == 3 && options.batch_first_;
    SequenceShape s{x[swapped ? 1 : 0], R == 3 ? x[swapped ? 0 : 1] : 1, input_size, 1, 1};
    if (s.steps == 0) fail<ShapeError>(name, ": input ", x, " has no steps (axis ", swapped ? 1 : 0, ')');
    (swapped ? s.row : s.step) = swapped ? s.steps : s.batch;
    return s;
  }
  // Of all layers' states: (layers * directions, batch, hidden), or without the batch.
  template <int R>
  Shape<R> state_of(const SequenceShape& s, std::int64_t count) const {
    if constexpr (R == 3) return Shape{count * directions(), s.batch, hidden_size};
    else return Shape{count * directions(), hidden_size};
  }
  template <class Kernel = Cell, int R>
  RecurrentResult<T, R, R> run(const char* name, const Tensor<T, R>& x, const Tensor<T, R>& h0, const Tensor<T, R>& c0) const {
    const std::int64_t count = options.num_layers_;
    SequenceShape shape = sequence_of(name, x.shape());
    const Shape<R> all = state_of<R>(shape, count), one = state_of<R>(shape, 1);
    check_state(name, "h", h0, all, x.shape());
    check_state(name, "c", c0, all, x.shape());
    RecurrentResult<T, R, R> out{x, {}, {}};
    std::vector<Tensor<T, R>> h, c;
    for (std::int64_t l = 0; l < count; ++l) {
      const auto part = [&](const Tensor<T, R>& t) {
        return count == 1 || !t.defined() ? t : t.narrow(0, l * directions(), directions());
      };
      const Tensor<T, R> in = l > 0 && options.dropout_ > 0 ? dropout(out.y, options.dropout_, this->is_training()) : out.y;
      Shape<R> sizes = x.shape();
      sizes[R - 1] = directions() * hidden_size;
      RecurrentWeights<T> weights[2];
      for (int d = 0; d < directions(); ++d) weights[d] = layers[std::size_t(l * directions() + d)].weights();
      out = recurrent_layer<Kernel>(name, in, part(h0), part(c0), weights, directions(), shape, sizes, one, true);
      shape.input = sizes[R - 1];
      h.push_back(out.h), c.push_back(out.c);
    }
    if (count > 1) out.h = cat(h, 0);
    if (count > 1 && out.c.defined()) out.c = cat(c, 0);
    return out;
  }
};

// Gates r z n. gru(x) or gru(x, h0) -> (y, h_n), for an input x (steps, batch, input_size); (batch, steps, input_size) with
// batch_first; or (steps, input_size). y has directions * hidden_size features; h0 and h_n are (num_layers * directions,
// batch, hidden_size), or without the batch. Throws ShapeError, ValueError.
// https://pytorch.org/docs/stable/generated/torch.nn.GRU.html
template <class T>
struct GRUOf : RecurrentOf<GRUOf<T>, T, GRUOptions, cpu::GruCell> {
  GRUOf(std::int64_t input_size, std::int64_t hidden_size, GRUOptions o = {})
      : RecurrentOf<GRUOf<T>, T, GRUOptions, cpu::GruCell>("GRU", input_size, hidden_size, o) {}
  template <class X>
  auto forward(const Expr<X>& x, const Tensor<T, X::rank>& h0 = {}) const {
    const auto r = this->run("GRU", recurrent_input<T>(x), h0, {});
    return std::tuple(r.y, r.h);
  }
};

// The same for h = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of that.
// https://pytorch.org/docs/stable/generated/torch.nn.RNN.html
template <class T>
struct RNNOf : RecurrentOf<RNNOf<T>, T, RNNOptions, cpu::ElmanCell<op::Tanh>> {
  RNNOf(std::int64_t input_size, std::int64_t hidden_size, RNNOptions o = {})
      : RecurrentOf<RNNOf<T>, T, RNNOptions, cpu::ElmanCell<op::Tanh>>("RNN", input_size, hidden_size, o) {}
  template <class X>
  auto forward(const Expr<X>& x, const Tensor<T, X::rank>& h0 = {}) const {
    const Tensor<T, X::rank> in = recurrent_input<T>(x);
    const auto r = this->options.relu_ ? this->template run<cpu::ElmanCell<op::Relu>>("RNN", in, h0, {})
                                       : this->template run<cpu::ElmanCell<op::Tanh>>("RNN", in, h0, {});
    return std::tuple(r.y, r.h);
  }
};

// Gates i f g o. lstm(x) or lstm(x, {h0, c0}) -> (y, (h_n, c_n)); the shapes are GRU's.
//   auto [y, state] = lstm(x);
//   auto [z, last] = lstm(more, state);
// https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html
template <class T>
struct LSTMOf : RecurrentOf<LSTMOf<T>, T, LSTMOptions, cpu::LstmCell> {
  template <int R>
  using State = std::tuple<Tensor<T, R>, Tensor<T, R>>;

  LSTMOf(std::int64_t input_size, std::int64_t hidden_size, LSTMOptions o = {})
      : RecurrentOf<LSTMOf<T>, T, LSTMOptions, cpu::LstmCell>("LSTM", input_size, hidden_size, o) {}
  template <class X>
  auto forward(const Expr<X>& x, const State<X::rank>& state = {}) const {
    const auto& [h0, c0] = state;
    check_both("LSTM", h0.defined(), c0.defined());
    const auto r = this->run("LSTM", recurrent_input<T>(x), h0, c0);
    return std::tuple(r.y, State<X::rank>(r.h, r.c));
  }
};

using RNN = RNNOf<float>;
using LSTM = LSTMOf<float>;
using GRU = GRUOf<float>;

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
