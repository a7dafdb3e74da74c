// SPDX-License-Identifier: MIT
// Initialisers: they fill a tensor in place, without recording. https://pytorch.org/docs/stable/nn.init.html
#pragma once

#include <cmath>

#include "sinter/tensor/create.hpp"

namespace sinter {
namespace nn {
namespace init {

struct Fan {
  std::int64_t in, out;
};
// Inputs and outputs that a weight (out, in, receptive field...) connects to one unit.
template <class T, int R>
Fan fan_of(const Tensor<T, R>& weight) {
  static_assert(R >= 2, "sinter: fan in and fan out are those of a weight of rank 2 or more");
  std::int64_t field = 1;
  for (int i = 2; i < R; ++i) field *= weight.size(i);
  return {weight.size(1) * field, weight.size(0) * field};
}

// Writes through `fill` into a contiguous tensor, and copies where t is not.
template <class T, int R, class F>
void overwrite(const Tensor<T, R>& t, F fill) {
  Tensor<T, R> dense = t.is_contiguous() ? t.detach() : empty<T>(t.shape(), t.device());
  fill(dense);
  if (!t.is_contiguous()) copy_elements(*t.impl, *dense.impl);
  t.impl->storage->version.fetch_add(1, std::memory_order_relaxed);
}
template <class T, int R>
void uniform_(const Tensor<T, R>& t, double low = 0, double high = 1, Generator& g = default_generator()) {
  overwrite(t, [&](Tensor<T, R>& out) { fill_uniform<T>(*out.impl, low, high, g); });
}
template <class T, int R>
void normal_(const Tensor<T, R>& t, double mean = 0, double std_dev = 1, Generator& g = default_generator()) {
  overwrite(t, [&](Tensor<T, R>& out) { fill_normal<T>(*out.impl, mean, std_dev, g); });
}
template <class T, int R>
void constant_(const Tensor<T, R>& t, double value) {
  overwrite(t, [&](Tensor<T, R>& out) { fill_dense(out, T(value)); });
}
template <class T, int R>
void zeros_(const Tensor<T, R>& t) { constant_(t, 0); }
template <class T, int R>
void ones_(const Tensor<T, R>& t) { constant_(t, 1); }

// Glorot and Bengio 2010: variance 2 / (fan in + fan out).
template <class T, int R>
void xavier_uniform_(const Tensor<T, R>& t, double gain = 1, Generator& g = default_generator()) {
  const Fan fan = fan_of(t);
  const double bound = gain * std::sqrt(6.0 / double(fan.in + fan.out));
  uniform_(t, -bound, bound, g);
}
template <class T, int R>
void xavier_normal_(const Tensor<T, R>& t, double gain = 1, Generator& g = default_generator()) {
  const Fan fan = fan_of(t);
  normal_(t, 0, gain * std::sqrt(2.0 / double(fan.in + fan.out)), g);
}
// He et al. 2015, for leaky ReLU with slope a: variance 2 / ((1 + a^2) fan in).
template <class T, int R>
void kaiming_uniform_(const Tensor<T, R>& t, double a = 0, Generator& g = default_generator()) {
  const double bound = std::sqrt(6.0 / ((1 + a * a) * double(fan_of(t).in)));
  uniform_(t, -bound, bound, g);
}
template <class T, int R>
void kaiming_normal_(const Tensor<T, R>& t, double a = 0, Generator& g = default_generator()) {
  normal_(t, 0, std::sqrt(2.0 / ((1 + a * a) * double(fan_of(t).in))), g);
}

// What PyTorch gives a linear or convolutional layer: weight by kaiming_uniform_ with a = sqrt(5), that is uniform within
// 1 / sqrt(fan in), and the bias within the same bound.
template <class T, int R, int B>
void linear_defaults_(const Tensor<T, R>& weight, const Tensor<T, B>& bias) {
  const double fan_in = double(fan_of(weight).in), bound = fan_in > 0 ? 1 / std::sqrt(fan_in) : 0;
  if (weight.numel() > 0) uniform_(weight, -bound, bound);
  if (bias.defined()) uniform_(bias, -bound, bound);
}

}  // namespace init
}  // namespace nn
}  // namespace sinter
