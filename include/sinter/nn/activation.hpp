// SPDX-License-Identifier: MIT
// Activations as layers. They return expressions, which fuse with what comes next.
#pragma once

#include "sinter/nn/module.hpp"

namespace sinter {
namespace nn {

struct ReLU : Module<ReLU> {
  template <class X>
  auto forward(const X& x) const { return relu(x); }
};
struct Sigmoid : Module<Sigmoid> {
  template <class X>
  auto forward(const X& x) const { return sigmoid(x); }
};
struct Tanh : Module<Tanh> {
  template <class X>
  auto forward(const X& x) const { return tanh(x); }
};
struct SiLU : Module<SiLU> {
  template <class X>
  auto forward(const X& x) const { return silu(x); }
};
// By the error function, as PyTorch's default; GELUTanh is its approximate="tanh".
struct GELU : Module<GELU> {
  template <class X>
  auto forward(const X& x) const { return gelu(x); }
};
struct GELUTanh : Module<GELUTanh> {
  template <class X>
  auto forward(const X& x) const { return gelu_tanh(x); }
};
struct LeakyReLU : Module<LeakyReLU> {
  double negative_slope;
  explicit LeakyReLU(double slope = 0.01) : negative_slope(slope) {}
  template <class X>
  auto forward(const X& x) const { return leaky_relu(x, negative_slope); }
};
struct Identity : Module<Identity> {
  template <class X>
  X forward(const X& x) const { return x; }
};

}  // namespace nn
}  // namespace sinter
