// SPDX-License-Identifier: MIT
// Values of PyTorch's layer are compared by the conformance cases; here, that the ways through it agree.
#include "sinter/nn/multihead_attention.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/compare.hpp"
#include "values.hpp"

using namespace sinter;
using Layer = nn::MultiheadAttentionOf<double>;
using Masks = nn::AttentionMasksOf<double>;
using Options = nn::MultiheadAttentionOptions;

static std::vector<V> gradients(Layer& m) {
  std::vector<V> g;
  for (const nn::NamedTensor& p : m.named_parameters()) {
    const TensorImpl& t = *p.tensor->grad;
    g.emplace_back(static_cast<double*>(t.data), static_cast<double*>(t.data) + t.numel());
  }
  m.zero_grad();
  return g;
}
static bool close(const std::vector<V>& a, const std::vector<V>& b) {
  double worst = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size() && worst < 1; ++i)
    for (std::size_t j = 0; j < a[i].size(); ++j) worst = std::max(worst, std::abs(a[i][j] - b[i][j]));
  return worst < 1e-12;
}

TEST_CASE("MultiheadAttention: with its weights and without, fused and apart, it gives the same") {
  const std::int64_t L = 5, N = 2, E = 6, H = 3;
  for (bool batch_first : {false, true}) {
    Layer m(E, H, Options().batch_first(batch_first));
    nn::init::normal_(m.in_proj_bias);
    const auto x = batch_first ? randn<double>({N, L, E}) : randn<double>({L, N, E}), up = randn<double>(x.shape());
    const Tensor<bool, 2> padding = tensor({{false, false, false, true, true}, {false, false, false, false, false}});
    const Tensor<bool, 3> hidden = rand({N * H, L, L}) < 0.3;
    for (const auto& masks : {Masks(), Masks().is_causal(true), Masks().key_padding_mask(padding), Masks().attn_mask(hidden).key_padding_mask(padding),
                              Masks().attn_mask(randn<double>({L, L})).key_padding_mask(padding).is_causal(true)}) {
      const auto y = m(x, x, x, masks);
      y.backward(up);
      const auto fused = gradients(m);
      const auto z = m(x, x.clone(), x.clone(), masks);  // other tensors: three products
      z.backward(up);
      const auto apart = gradients(m);
      const auto w = m.with_weights(x, x, x, masks);
      w.output.backward(up);
      CHECK(allclose(z, y, 1e-12, 1e-12));
      CHECK(allclose(w.output, y, 1e-12, 1e-12));
      CHECK(close(fused, apart));
      CHECK(close(fused, gradients(m)));
      CHECK(w.weights.shape() == Shape{N, H, L, L});
      CHECK(allclose(w.average_weights(), mean(w.weights, 1)));
    }
  }
}

TEST_CASE("MultiheadAttention: keys and values of one tensor are one product") {
  for (bool batch_first : {false, true}) {
    Layer m(6, 3, Options().batch_first(batch_first));
    nn::init::normal_(m.in_proj_bias);
    const auto x = randn<double>({4, 4, 6}), memory = batch_first ? randn<double>({4, 5, 6}) : randn<double>({5, 4, 6}), up = randn<double>({4, 4, 6});
    const auto y = m(x, memory, memory, Masks().is_causal(true));
    y.backward(up);
    const auto joined = gradients(m);
    const auto z = m(x, memory, memory.clone(), Masks().is_causal(true));
    z.backward(up);
    CHECK(allclose(z, y, 1e-12, 1e-12));
    CHECK(close(joined, gradients(m)));
  }
  const Layer m(4, 2);
  CHECK(gradcheck([&](auto x, auto memory) { return m(x, memory, memory); }, randn<double>({2, 1, 4}), randn<double>({3, 1, 4})));
}

TEST_CASE("MultiheadAttention: names and shapes are PyTorch's") {
  const auto names = [](const auto& m) {
    std::string s;
    for (const auto& p : m.named_tensors()) s += p.name + " ";
    return s;
  };
  CHECK(names(nn::MultiheadAttention(8, 2)) == "in_proj_weight in_proj_bias out_proj.weight out_proj.bias ");
  CHECK(names(nn::MultiheadAttention(8, 2, Options().bias(false))) == "in_proj_weight out_proj.weight ");
  CHECK(names(nn::MultiheadAttention(8, 2, Options().kdim(3))) == "q_proj_weight k_proj_weight v_proj_weight in_proj_bias out_proj.weight out_proj.bias ");
  const nn::MultiheadAttention m(8, 2);
  CHECK(m.in_proj_weight.shape() == Shape{24, 8});
  CHECK(values(m.out_proj.bias) == V(8, 0));
}

TEST_CASE("MultiheadAttention: dropout is for training") {
  manual_seed(1);
  nn::MultiheadAttention m(8, 2, Options().dropout(0.5).batch_first(true));
  const auto x = randn({2, 6, 8});
  CHECK_FALSE(equal(m(x, x, x), m(x, x, x)));
  m.eval();
  CHECK(equal(m(x, x, x), m(x, x, x)));
}

TEST_CASE("MultiheadAttention: the gradient of a mask of numbers") {
  const Layer m(4, 2);
  const auto x = randn<double>({3, 1, 4});
  CHECK(gradcheck([&](auto mask) { return m(x, x, x, Masks().attn_mask(mask).is_causal(true)); }, randn<double>({3, 3})));
}

TEST_CASE("MultiheadAttention says what does not fit") {
  CHECK_THROWS_WITH(nn::MultiheadAttention(10, 3), Catch::Contains("10 for 3 heads"));
  const nn::MultiheadAttention m(4, 2);
  const auto x = randn({3, 1, 4});
  CHECK_THROWS_AS(m(x, randn({3, 2, 4}), randn({3, 2, 4})), ShapeError);
  CHECK_THROWS_WITH(m(x, x, x, nn::AttentionMasks().attn_mask(Tensor<bool, 2>(zeros({3, 5}) < 1))), Catch::Contains("5 against 3"));
  CHECK_THROWS_AS(m(x, x, x, nn::AttentionMasks().attn_mask(Tensor<bool, 3>(zeros({3, 3, 3}) < 1))), ShapeError);
}
