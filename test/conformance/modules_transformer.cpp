// SPDX-License-Identifier: MIT
// Transformers and their layers; all cases are of float.
#include "conformance/modules_transformer.hpp"

namespace conformance {
namespace {

template <class M>
Values encoded(Case& c, M& module) {
  nn::TransformerMasks masks;
  set_masks(c, masks.src, 1, 2);
  return run_module(c, module, [&](const auto& m) { return Values{m(c.in<float, 3>(0), masks).impl}; });
}
template <class M>
Values decoded(Case& c, M& module) {
  nn::TransformerMasks masks;
  set_masks(c, masks.tgt, 2, 4);
  set_masks(c, masks.memory, 3, 5);
  return run_module(c, module, [&](const auto& m) { return Values{m(c.in<float, 3>(0), c.in<float, 3>(1), masks).impl}; });
}
template <class L>
L layer(const Case& c) { return L(c.integer("d_model"), c.integer("nhead"), transformer_options(c)); }

const bool registered = [] {
  add("TransformerEncoderLayer", [](Case& c) {
    auto m = layer<nn::TransformerEncoderLayer>(c);
    return encoded(c, m);
  });
  add("TransformerDecoderLayer", [](Case& c) {
    auto m = layer<nn::TransformerDecoderLayer>(c);
    return decoded(c, m);
  });
  add("TransformerEncoder", [](Case& c) {
    nn::TransformerEncoder m(layer<nn::TransformerEncoderLayer>(c), c.integer("num_layers"), final_norm<float>(c));
    return encoded(c, m);
  });
  add("TransformerDecoder", [](Case& c) {
    nn::TransformerDecoder m(layer<nn::TransformerDecoderLayer>(c), c.integer("num_layers"), final_norm<float>(c));
    return decoded(c, m);
  });
  add("Transformer", [](Case& c) {
    nn::Transformer m(c.integer("d_model"), c.integer("nhead"), c.integer("num_encoder_layers"), c.integer("num_decoder_layers"),
                      transformer_options(c));
    nn::TransformerMasks masks;
    set_masks(c, masks.src, 2, 5);
    set_masks(c, masks.tgt, 3, 6);
    set_masks(c, masks.memory, 4, 7);
    return run_module(c, m, [&](const auto& net) { return Values{net(c.in<float, 3>(0), c.in<float, 3>(1), masks).impl}; });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
