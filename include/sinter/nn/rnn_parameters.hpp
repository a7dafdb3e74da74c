// SPDX-License-Identifier: MIT
// What recurrent layers and cells have in common: their parameters and what they check.
#pragma once

#include <string>
#include <string_view>

#include "sinter/functional/rnn.hpp"
#include "sinter/nn/init.hpp"
#include "sinter/nn/parameter.hpp"

namespace sinter {
namespace nn {

// Whether the name is "relu", not "tanh".
inline bool is_relu(const char* op, std::string_view name) {
  if (name != "relu" && name != "tanh") fail<ValueError>(op, ": nonlinearity is \"tanh\" or \"relu\", not \"", name, '"');
  return name == "relu";
}

inline namespace SINTER_ABI {

// Weights and biases of one layer in one direction, or of a cell; `gates` times `hidden` rows each.
template <class T>
struct RecurrentParameters {
  static_assert(std::is_floating_point_v<T>, "sinter: recurrent layers compute in float or double");
  Parameter<T, 2> weight_ih, weight_hh;  // (gates * hidden, input), (gates * hidden, hidden)
  Parameter<T, 1> bias_ih, bias_hh;      // (gates * hidden), or undefined

  RecurrentParameters(const char* name, std::int64_t gates, std::int64_t input, std::int64_t hidden, bool bias) {
    if (input < 0) fail<ValueError>(name, ": input_size must be at least 0, but is ", input);
    if (hidden < 1) fail<ValueError>(name, ": hidden_size must be at least 1, but is ", hidden);
    weight_ih = empty<T>(Shape{gates * hidden, input}), weight_hh = empty<T>(Shape{gates * hidden, hidden});
    if (bias) bias_ih = empty<T>(Shape{gates * hidden}), bias_hh = empty<T>(Shape{gates * hidden});
    const double bound = 1 / std::sqrt(double(hidden));
    init::uniform_(weight_ih, -bound, bound), init::uniform_(weight_hh, -bound, bound);
    if (bias) init::uniform_(bias_ih, -bound, bound), init::uniform_(bias_hh, -bound, bound);
  }
  template <class V>
  void visit(V&& v, const std::string& suffix) {
    v("weight_ih" + suffix, weight_ih);
    v("weight_hh" + suffix, weight_hh);
    v("bias_ih" + suffix, bias_ih);
    v("bias_hh" + suffix, bias_hh);
  }
  RecurrentWeights<T> weights() const { return {weight_ih, weight_hh, bias_ih, bias_hh}; }
};

// An input of the weights' dtype.
template <class T, class X>
Tensor<T, X::rank> recurrent_input(const Expr<X>& x) {
  constexpr bool fits = std::is_same_v<typename X::value_type, T>;
  static_assert(fits, "sinter: recurrent layers take an input of the dtype of their weights; convert it with to<float>(x)");
  if constexpr (fits) return materialize(x.self());
  else return {};
}
template <class T, int R>
void check_state(const char* op, const char* which, const Tensor<T, R>& t, const Shape<R>& wanted, const Shape<R>& x) {
  if (t.defined() && t.shape() != wanted)
    fail<ShapeError>(op, ": the initial ", which, " is ", t.shape(), ", but for input ", x, " it must be ", wanted);
}
inline void check_both(const char* op, bool h, bool c) {
  if (h != c) fail<ValueError>(op, ": an initial state is h and c, not one of them alone");
}

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
