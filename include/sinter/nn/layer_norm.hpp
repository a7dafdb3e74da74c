// SPDX-License-Identifier: MIT
// Normalisation along the last dimensions. https://pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html
#pragma once

#include "sinter/functional/layer_norm.hpp"
#include "sinter/nn/init.hpp"
#include "sinter/nn/module.hpp"

namespace sinter {
namespace nn {

// PyTorch's keyword arguments and defaults.
struct LayerNormOptions {
  double eps_ = 1e-5;
  bool elementwise_affine_ = true, bias_ = true;
  LayerNormOptions& eps(double e) { return eps_ = e, *this; }
  LayerNormOptions& elementwise_affine(bool a) { return elementwise_affine_ = a, *this; }
  LayerNormOptions& bias(bool b) { return bias_ = b, *this; }
};

inline namespace SINTER_ABI {

// Over the last K dimensions, of shape normalized_shape: LayerNorm(768), LayerNormOf<float, 2>({4, 16}).
template <class T, int K = 1>
struct LayerNormOf : Module<LayerNormOf<T, K>> {
  Parameter<T, K> weight, bias;
  Shape<K> normalized_shape;
  LayerNormOptions options;

  explicit LayerNormOf(const Shape<K>& shape, LayerNormOptions o = {}) : normalized_shape(shape), options(o) {
    if (o.elementwise_affine_) weight = ones<T>(shape);
    if (o.elementwise_affine_ && o.bias_) bias = zeros<T>(shape);
  }
  explicit LayerNormOf(std::int64_t size, LayerNormOptions o = {}) : LayerNormOf(Shape<K>{{size}}, o) {
    static_assert(K == 1, "sinter: LayerNorm over several dimensions takes their shape: LayerNormOf<float, 2>(Shape{4, 16})");
  }
  template <class V>
  void visit(V&& v) {
    v("weight", weight);
    v("bias", bias);
  }
  template <class X>
  auto forward(const X& x) const { return sinter::layer_norm(x, normalized_shape, weight, bias, options.eps_); }
};
using LayerNorm = LayerNormOf<float>;

// Without mean and bias; an eps that is not given is the dtype's.
// https://pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html
template <class T, int K = 1>
struct RMSNormOf : Module<RMSNormOf<T, K>> {
  Parameter<T, K> weight;
  Shape<K> normalized_shape;
  std::optional<double> eps;

  explicit RMSNormOf(const Shape<K>& shape, std::optional<double> e = {}, bool elementwise_affine = true) : normalized_shape(shape), eps(e) {
    if (elementwise_affine) weight = ones<T>(shape);
  }
  explicit RMSNormOf(std::int64_t size, std::optional<double> e = {}, bool elementwise_affine = true)
      : RMSNormOf(Shape<K>{{size}}, e, elementwise_affine) {
    static_assert(K == 1, "sinter: RMSNorm over several dimensions takes their shape: RMSNormOf<float, 2>(Shape{4, 16})");
  }
  template <class V>
  void visit(V&& v) { v("weight", weight); }
  template <class X>
  auto forward(const X& x) const { return sinter::rms_norm(x, normalized_shape, weight, eps); }
};
using RMSNorm = RMSNormOf<float>;

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
