// SPDX-License-Identifier: MIT
// Stacks of transformer layers, and the transformer that is made of two of them.
#pragma once

#include <limits>
#include <optional>

#include "sinter/nn/container.hpp"
#include "sinter/nn/transformer_layer.hpp"

namespace sinter {
namespace nn {
inline namespace SINTER_ABI {

// num_layers copies of a layer, with equal weights at first, as in PyTorch, and a norm at the end if there is one.
//   nn::TransformerEncoder encoder(nn::TransformerEncoderLayer(256, 4), 6, nn::LayerNorm(256));
// https://pytorch.org/docs/stable/generated/torch.nn.TransformerEncoder.html
template <class T>
struct TransformerEncoderOf : Module<TransformerEncoderOf<T>> {
  using X = Tensor<T, 3>;
  ModuleList<TransformerEncoderLayerOf<T>> layers;
  std::optional<LayerNormOf<T>> norm;

  TransformerEncoderOf(const TransformerEncoderLayerOf<T>& layer, std::int64_t num_layers, std::optional<LayerNormOf<T>> last = {})
      : norm(std::move(last)) {
    for (std::int64_t i = 0; i < num_layers; ++i) layers.append(layer);
  }
  template <class V>
  void visit(V&& v) {
    v("layers", layers);
    if (norm) v("norm", *norm);
  }
  X forward(const X& src, const TransformerMasksOf<T>& masks = {}) const {
    X x = src;
    for (const auto& layer : layers) x = layer(x, masks);
    return norm ? X((*norm)(x)) : x;
  }
};
using TransformerEncoder = TransformerEncoderOf<float>;

// https://pytorch.org/docs/stable/generated/torch.nn.TransformerDecoder.html
template <class T>
struct TransformerDecoderOf : Module<TransformerDecoderOf<T>> {
  using X = Tensor<T, 3>;
  ModuleList<TransformerDecoderLayerOf<T>> layers;
  std::optional<LayerNormOf<T>> norm;

  TransformerDecoderOf(const TransformerDecoderLayerOf<T>& layer, std::int64_t num_layers, std::optional<LayerNormOf<T>> last = {})
      : norm(std::move(last)) {
    for (std::int64_t i = 0; i < num_layers; ++i) layers.append(layer);
  }
  template <class V>
  void visit(V&& v) {
    v("layers", layers);
    if (norm) v("norm", *norm);
  }
  X forward(const X& tgt, const X& memory, const TransformerMasksOf<T>& masks = {}) const {
    X x = tgt;
    for (const auto& layer : layers) x = layer(x, memory, masks);
    return norm ? X((*norm)(x)) : x;
  }
};
using TransformerDecoder = TransformerDecoderOf<float>;

// src (S, N, d_model), tgt (T, N, d_model) -> (T, N, d_model); with batch_first N comes first. Throws ShapeError.
//   nn::Transformer model(128, 4, 2, 2, nn::TransformerOptions().dim_feedforward(512).batch_first(true));
//   auto y = model(src, tgt, nn::TransformerMasks().tgt_is_causal(true));
// https://pytorch.org/docs/stable/generated/torch.nn.Transformer.html
template <class T>
struct TransformerOf : Module<TransformerOf<T>> {
  using X = Tensor<T, 3>;
  std::int64_t d_model;
  bool batch_first;
  TransformerEncoderOf<T> encoder;
  TransformerDecoderOf<T> decoder;

  explicit TransformerOf(std::int64_t model = 512, std::int64_t nhead = 8, std::int64_t num_encoder_layers = 6,
                         std::int64_t num_decoder_layers = 6, TransformerOptions o = {})
      : d_model(model), batch_first(o.batch_first_), encoder(TransformerEncoderLayerOf<T>(model, nhead, o), num_encoder_layers, last(model, o)),
        decoder(TransformerDecoderLayerOf<T>(model, nhead, o), num_decoder_layers, last(model, o)) {
    this->each([](auto& part) {  // every matrix, as PyTorch's _reset_parameters does
      if constexpr (std::is_same_v<std::decay_t<decltype(part)>, Parameter<T, 2>>)
        if (part.defined()) init::xavier_uniform_(part);
    });
  }
  template <class V>
  void visit(V&& v) {
    v("encoder", encoder);
    v("decoder", decoder);
  }
  X forward(const X& src, const X& tgt, const TransformerMasksOf<T>& masks = {}) const {
    const auto differ = [&](const char* what, std::int64_t a, std::int64_t b) {
      if (a != b) fail<ShapeError>("Transformer: src ", src.shape(), " x tgt ", tgt.shape(), ": ", what, " ", a, " against ", b);
    };
    const int batch = batch_first ? 0 : 1;
    differ("batches of", src.size(batch), tgt.size(batch));
    differ("a src of width", src.size(2), d_model);
    differ("a tgt of width", tgt.size(2), d_model);
    return decoder(tgt, encoder(src, masks), masks);
  }
  // (size, size): 0 where a query may look, at itself and what is before it, else -inf. tgt_is_causal(true) is faster.
  static Tensor<T, 2> generate_square_subsequent_mask(std::int64_t size) {
    const Tensor<T, 2> mask = zeros<T>(Shape{size, size});
    for (std::int64_t i = 0; i < size; ++i)
      std::fill(mask.data() + i * size + i + 1, mask.data() + (i + 1) * size, -std::numeric_limits<T>::infinity());
    return mask;
  }

 private:
  static LayerNormOf<T> last(std::int64_t model, const TransformerOptions& o) {
    return LayerNormOf<T>(model, LayerNormOptions().eps(o.layer_norm_eps_).bias(o.bias_));
  }
};
using Transformer = TransformerOf<float>;

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
