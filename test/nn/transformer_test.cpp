// SPDX-License-Identifier: MIT
// Values of PyTorch's layers are compared by the conformance cases; here, what the parts mean to each other.
#include "sinter/nn/transformer.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/compare.hpp"
#include "values.hpp"

using namespace sinter;
using Options = nn::TransformerOptions;
using Masks = nn::TransformerMasksOf<double>;
using Encoder = nn::TransformerEncoderLayerOf<double>;
using Decoder = nn::TransformerDecoderLayerOf<double>;
using X = Tensor<double, 3>;

namespace {

template <class M>
std::string names(const M& m) {
  std::string s;
  for (const auto& p : m.named_tensors()) s += p.name + " ";
  return s;
}
template <class M>
std::vector<V> gradients(M& m) {
  std::vector<V> g;
  for (const nn::NamedTensor& p : m.named_parameters()) {
    const TensorImpl& t = *p.tensor->grad;
    g.emplace_back(static_cast<double*>(t.data), static_cast<double*>(t.data) + t.numel());
  }
  m.zero_grad();
  return g;
}
Options small(std::int64_t feedforward = 7) { return Options().dim_feedforward(feedforward).dropout(0); }
// Numbers for biases and norms, too.
template <class M>
void scatter(M& m) {
  m.each_parameter([](const Ref<TensorImpl>& p) {
    const auto r = randn<double>(Shape{p->numel()});
    for (std::int64_t i = 0; i < p->numel(); ++i) static_cast<double*>(p->data)[i] = 0.5 * r.data()[i] + (p->rank == 1);
  });
}
// As PyTorch's page says it, a sum and an activation at a time.
X feed_forward(const Encoder& m, const X& x) {
  const X wide = m.linear1(x);
  const X active = m.options.gelu_ ? X(gelu(wide)) : X(relu(wide));
  return m.linear2(active);
}
X plain(const Encoder& m, const X& src, const nn::AttentionMasksOf<double>& masks) {
  if (!m.options.norm_first_) {
    const X a = m.self_attn(src, src, src, masks), x = m.norm1(X(src + a));
    return m.norm2(X(x + feed_forward(m, x)));
  }
  const X in = m.norm1(src), x = src + X(m.self_attn(in, in, in, masks));
  return x + feed_forward(m, m.norm2(x));
}

}  // namespace

TEST_CASE("TransformerEncoderLayer is attention and a feed-forward part, with sums and norms") {
  manual_seed(3);
  const Tensor<bool, 2> padding = tensor({{false, false, true}, {false, false, false}});
  for (bool norm_first : {false, true})
    for (bool batch_first : {false, true})
      for (const char* activation : {"relu", "gelu"})
        for (bool bias : {true, false}) {
          Encoder m(6, 3, small().norm_first(norm_first).batch_first(batch_first).activation(activation).bias(bias));
          scatter(m);
          const X x = batch_first ? randn<double>({2, 3, 6}) : randn<double>({3, 2, 6}), up = randn<double>(x.shape());
          for (bool causal : {false, true}) {
            const X y = m(x, Masks().src_key_padding_mask(padding).src_is_causal(causal));
            y.backward(up);
            const auto got = gradients(m);
            const X z = plain(m, x, nn::AttentionMasksOf<double>().key_padding_mask(padding).is_causal(causal));
            z.backward(up);
            const auto expected = gradients(m);
            CHECK(allclose(y, z, 1e-12, 1e-12));
            REQUIRE(got.size() == expected.size());
            for (std::size_t i = 0; i < got.size(); ++i)
              for (std::size_t j = 0; j < got[i].size(); ++j) CHECK(got[i][j] == Approx(expected[i][j]).margin(1e-11));
          }
        }
}

TEST_CASE("Transformer: the gradients of its inputs") {
  manual_seed(4);
  for (bool norm_first : {false, true}) {
    const Encoder encoder(4, 2, small(5).norm_first(norm_first).activation("gelu"));
    CHECK(gradcheck([&](auto x) { return encoder(x, Masks().src_is_causal(true)); }, randn<double>({3, 2, 4})));
    const Decoder decoder(4, 2, small(5).norm_first(norm_first).activation("gelu"));
    CHECK(gradcheck([&](auto x, auto memory) { return decoder(x, memory, Masks().tgt_is_causal(true)); }, randn<double>({3, 2, 4}),
                    randn<double>({5, 2, 4})));
  }
}

TEST_CASE("Transformer: a causal mask, in numbers, in bool or by name") {
  manual_seed(5);
  const nn::TransformerOf<double> m(8, 2, 1, 2, small().batch_first(true));
  const X src = randn<double>({2, 5, 8}), tgt = randn<double>({2, 4, 8});
  const auto mask = nn::TransformerOf<double>::generate_square_subsequent_mask(4);
  const double inf = INFINITY;
  CHECK(values(mask) == V{0, -inf, -inf, -inf, 0, 0, -inf, -inf, 0, 0, 0, -inf, 0, 0, 0, 0});
  CHECK(nn::Transformer::generate_square_subsequent_mask(0).numel() == 0);
  const X y = m(src, tgt, Masks().tgt_is_causal(true));
  CHECK(allclose(m(src, tgt, Masks().tgt_mask(mask)), y, 1e-12, 1e-12));
  CHECK(allclose(m(src, tgt, Masks().tgt_mask(Tensor<bool, 2>(mask < 0))), y, 1e-12, 1e-12));
  CHECK(allclose(m(src, tgt, Masks().tgt_mask(mask).tgt_is_causal(true)), y, 1e-12, 1e-12));
  CHECK_FALSE(allclose(m(src, tgt), y));
  // What comes later in tgt changes nothing before it.
  const X other = tgt.clone();
  other.data()[3 * 8] += 1;
  const X z = m(src, other, Masks().tgt_is_causal(true));
  CHECK(allclose(z.narrow(1, 0, 3), y.narrow(1, 0, 3), 1e-12, 1e-12));
  CHECK_FALSE(allclose(z.narrow(1, 3, 1), y.narrow(1, 3, 1)));
  // Nor does a source that is padding.
  const Tensor<bool, 2> padding = tensor({{false, false, false, false, true}, {false, false, false, false, true}});
  const Masks hidden = Masks().src_key_padding_mask(padding).memory_key_padding_mask(padding);
  CHECK(allclose(m(src, tgt, hidden), m(X(src.narrow(1, 0, 4)), tgt), 1e-12, 1e-12));
}

TEST_CASE("Transformer: names, order and defaults are PyTorch's") {
  CHECK(names(nn::TransformerEncoderLayer(4, 2, Options().dim_feedforward(8))) ==
        "self_attn.in_proj_weight self_attn.in_proj_bias self_attn.out_proj.weight self_attn.out_proj.bias linear1.weight linear1.bias "
        "linear2.weight linear2.bias norm1.weight norm1.bias norm2.weight norm2.bias ");
  CHECK(names(nn::TransformerDecoderLayer(4, 2, Options().dim_feedforward(8).bias(false))) ==
        "self_attn.in_proj_weight self_attn.out_proj.weight multihead_attn.in_proj_weight multihead_attn.out_proj.weight linear1.weight "
        "linear2.weight norm1.weight norm2.weight norm3.weight ");
  const nn::Transformer m(4, 2, 2, 1, Options().dim_feedforward(8));
  const std::string all = names(m);
  CHECK(all.find("encoder.layers.0.self_attn.in_proj_weight ") == 0);
  CHECK(all.find("encoder.layers.1.norm2.bias encoder.norm.weight encoder.norm.bias decoder.layers.0.self_attn.in_proj_weight ") != std::string::npos);
  const std::string last = "decoder.layers.0.norm3.bias decoder.norm.weight decoder.norm.bias ";
  CHECK(all.substr(all.size() - last.size()) == last);
  const nn::TransformerEncoderLayer plain(16, 2);
  CHECK(plain.linear1.weight.shape() == Shape{2048, 16});
  CHECK(plain.dropout1.p == 0.1);
  CHECK(plain.self_attn.options.dropout_ == 0.1);
  CHECK_FALSE(plain.options.batch_first_);
}

TEST_CASE("TransformerEncoder: its layers begin as copies of one, and are their own") {
  const nn::TransformerEncoderLayer layer(4, 2, Options().dim_feedforward(8).dropout(0));
  const nn::TransformerEncoder m(layer, 2, nn::LayerNorm(4));
  CHECK(equal(m.layers[0].linear1.weight, m.layers[1].linear1.weight));
  CHECK(m.layers[0].linear1.weight.impl != m.layers[1].linear1.weight.impl);
  CHECK(m.layers[0].linear1.weight.impl != layer.linear1.weight.impl);
  const nn::Transformer t(4, 2, 2, 1, Options().dim_feedforward(8));  // which draws them anew
  CHECK_FALSE(equal(t.encoder.layers[0].linear1.weight, t.encoder.layers[1].linear1.weight));
  CHECK(equal(nn::TransformerEncoder(layer, 0)(ones({3, 2, 4})), ones({3, 2, 4})));
}

TEST_CASE("Transformer: dropout is for training, and scales what it keeps") {
  manual_seed(6);
  nn::Transformer m(8, 2, 1, 1, Options().dim_feedforward(8).dropout(0.5));
  const auto x = randn({3, 2, 8});
  CHECK_FALSE(equal(m(x, x), m(x, x)));
  m.eval();
  CHECK(equal(m(x, x), m(x, x)));
  // All is dropped: what remains is the input itself.
  nn::TransformerEncoderLayer none(8, 2, Options().dim_feedforward(8).dropout(1).norm_first(true));
  CHECK(equal(none(x), x));
}

TEST_CASE("Transformer: the same bits with one thread and with two") {
  manual_seed(7);
  nn::Transformer m(32, 4, 1, 1, Options().dim_feedforward(67).dropout(0.1).batch_first(true));
  const auto src = randn({9, 31, 32}), tgt = randn({9, 37, 32});
  const auto run = [&](int threads) {
    const int before = get_num_threads();
    set_num_threads(threads);
    manual_seed(8);
    m.zero_grad();
    const auto y = m(src, tgt, nn::TransformerMasks().tgt_is_causal(true));
    y.backward(y);
    set_num_threads(before);
    std::vector<V> all{values(y)};
    for (const auto& p : m.parameters()) all.emplace_back(static_cast<float*>(p->grad->data), static_cast<float*>(p->grad->data) + p->numel());
    return all;
  };
  CHECK(run(1) == run(2));
}

TEST_CASE("Transformer: sizes of one and of nothing") {
  const nn::Transformer m(4, 1, 1, 1, Options().dim_feedforward(1).dropout(0));
  for (std::int64_t n : {0, 1})
    for (std::int64_t s : {1, 2}) {
      const auto y = m(randn({s, n, 4}), randn({1, n, 4}));
      CHECK(y.shape() == Shape{1, n, 4});
    }
}

TEST_CASE("Transformer says what does not fit") {
  CHECK_THROWS_WITH(Options().activation("tanh"), Catch::Contains("\"tanh\""));
  CHECK_THROWS_AS(nn::TransformerEncoderLayer(10, 3), ValueError);
  CHECK_THROWS_AS(nn::TransformerEncoderLayer(4, 2, Options().dropout(2)), ValueError);
  const nn::Transformer m(4, 2, 1, 1, small());
  CHECK_THROWS_WITH(m(randn({3, 2, 4}), randn({3, 5, 4})), Catch::Contains("2 against 5"));
  CHECK_THROWS_WITH(m(randn({3, 2, 6}), randn({3, 2, 4})), Catch::Contains("6 against 4"));
  CHECK_THROWS_AS(m(randn({3, 2, 4}), randn({3, 2, 4}), nn::TransformerMasks().tgt_mask(nn::Transformer::generate_square_subsequent_mask(5))), ShapeError);
}
