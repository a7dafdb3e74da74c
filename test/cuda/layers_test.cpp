// SPDX-License-Identifier: MIT
// Every layer and loss on CUDA against the CPU: results, gradients of inputs and parameters, running statistics.
#include "on_cuda.hpp"

using namespace on_cuda;

namespace {

// The same module on both devices: f(module, device) returns a result; gradients of all parameters are compared.
template <class M, class F>
void same_module(M& here, F&& f, double rtol = 2e-4, double atol = 2e-5) {
  M there = here;
  there.to(gpu);
  const auto y = f(here, Device::cpu());
  const auto z = f(there, gpu);
  require_close(z.detach(), y.detach(), rtol, atol);
  const auto up = randn(y.shape());
  y.backward(up);
  z.backward(up.to(gpu));
  const auto a = here.state_dict(), b = there.state_dict();
  for (const auto& [name, tensor] : a) {
    INFO(name);
    const auto compare = [&](const Ref<TensorImpl>& ours, const Ref<TensorImpl>& theirs) {
      REQUIRE(theirs->device() == gpu);
      const auto copy = dense_clone(*theirs, DType::float64, Device::cpu()), dense = dense_clone(*ours, DType::float64);
      for (std::int64_t i = 0; i < dense->numel(); ++i) {
        const double p = static_cast<double*>(copy->data)[i], q = static_cast<double*>(dense->data)[i];
        CAPTURE(i, p, q);
        REQUIRE(std::abs(p - q) <= atol + rtol * std::abs(q));
      }
    };
    const Ref<TensorImpl>& theirs = *b.find(name);
    compare(tensor, theirs);
    REQUIRE(bool(tensor->grad) == bool(theirs->grad));
    if (tensor->grad) compare(tensor->grad, theirs->grad);
  }
}
template <class M, class... X>
void same_layer(M here, const X&... x) {
  same_module(here, [&](const M& m, Device d) { return eval(m(x.to(d)...)); });
  same_everywhere([&](const auto&... in) {
    M m = here;
    const Device d = std::get<0>(std::tie(in...)).device();
    m.to(d);
    return eval(m(in...));
  }, 2e-4, 2e-5, x...);
}

}  // namespace

TEST_CASE("cuda: linear layers and activations") {
  manual_seed(1);
  same_layer(nn::Linear(20, 7), randn({5, 20}));
  same_layer(nn::Linear(20, 7), randn({3, 5, 20}));
  same_layer(nn::Linear(20, 7, false), randn({33, 20}));
  same_layer(nn::Sequential(nn::Linear(9, 16), nn::ReLU(), nn::Linear(16, 3), nn::Tanh()), randn({7, 9}));
  same_everywhere([](const auto& x, const auto& w) { return gelu(matmul(x, w)) * 2; }, 1e-4, 1e-5, randn({17, 9}), randn({9, 5}));
  same_everywhere([](const auto& x, const auto& w) { return matmul(x, w); }, 1e-4, 1e-5, randn({3, 17, 9}), randn({3, 9, 5}));
  same_everywhere([](const auto& x, const auto& w) { return matmul(x, w.t()); }, 1e-4, 1e-5, randn({17, 9}), randn({5, 9}));
  same_everywhere([](const auto& x, const auto& w) { return matmul(x, w); }, 1e-4, 1e-5, randn({9}), randn({9}));
}

TEST_CASE("cuda: convolutions and pooling") {
  manual_seed(2);
  same_layer(nn::Conv2d(3, 5, 3, nn::Conv2dOptions().padding(1)), randn({2, 3, 9, 7}));
  same_layer(nn::Conv2d(4, 6, 3, nn::Conv2dOptions().stride(2).groups(2).bias(false)), randn({2, 4, 9, 8}));
  same_layer(nn::Conv2d(4, 4, 3, nn::Conv2dOptions().groups(4).dilation(2)), randn({1, 4, 11, 9}));
  same_layer(nn::Conv2d(4, 8, 1), randn({3, 4, 5, 5}));
  same_everywhere([](const auto& x) { return max_pool2d(x, 2); }, 1e-5, 1e-6, randn({2, 3, 8, 6}));
  same_everywhere([](const auto& x) { return avg_pool2d(x, 3); }, 1e-5, 1e-6, randn({2, 3, 9, 6}));
  same_everywhere([](const auto& x) { return adaptive_avg_pool2d(x, 2); }, 1e-5, 1e-6, randn({2, 3, 7, 5}));
}

TEST_CASE("cuda: normalisation") {
  manual_seed(3);
  same_layer(nn::BatchNorm2d(5), randn({3, 5, 4, 3}));
  nn::BatchNorm2d still(5);
  still.eval();
  same_layer(still, randn({3, 5, 4, 3}));
  same_layer(nn::LayerNorm(33), randn({7, 33}));
  same_layer(nn::LayerNorm(1030), randn({3, 1030}));
  same_layer(nn::RMSNorm(40), randn({2, 5, 40}));
  same_layer(nn::GroupNorm(2, 6), randn({3, 6, 4, 2}));
  same_everywhere([](const auto& x) { return softmax(x, 1); }, 1e-5, 1e-6, randn({9, 33}));
  same_everywhere([](const auto& x) { return softmax(x, 1); }, 1e-5, 1e-6, randn({3, 17, 5}));
  same_everywhere([](const auto& x) { return log_softmax(x, 1); }, 1e-5, 1e-6, randn({4, 1500}));
}

TEST_CASE("cuda: losses") {
  manual_seed(4);
  const auto labels = randint(0, 10, {17});
  same_everywhere([&](const auto& x) { return cross_entropy(x, labels.to(x.device())); }, 1e-5, 1e-6, randn({17, 10}));
  same_everywhere([&](const auto& x) { return cross_entropy(x, labels.to(x.device()), CrossEntropyOptions().label_smoothing(0.1)); }, 1e-5, 1e-6, randn({17, 10}));
  const auto target = randn({17, 10});
  same_everywhere([&](const auto& x) { return mse_loss(x, target.to(x.device())); }, 1e-5, 1e-6, randn({17, 10}));
  same_everywhere([&](const auto& x) { return smooth_l1_loss(x, target.to(x.device())); }, 1e-5, 1e-6, randn({17, 10}));
  const auto ones = eval(to<float>(target > 0));
  same_everywhere([&](const auto& x) { return binary_cross_entropy_with_logits(x, ones.to(x.device())); }, 1e-5, 1e-6, randn({17, 10}));
}

TEST_CASE("cuda: embedding, attention and transformers") {
  manual_seed(5);
  const auto tokens = randint(0, 11, {3, 7});
  nn::Embedding embedding(11, 8);
  same_module(embedding, [&](const nn::Embedding& m, Device d) { return eval(m(tokens.to(d))); });
  same_everywhere([](const auto& q, const auto& k, const auto& v) { return scaled_dot_product_attention(q, k, v); }, 1e-4, 1e-5, randn({2, 3, 9, 16}),
                  randn({2, 3, 9, 16}), randn({2, 3, 9, 16}));
  nn::TransformerEncoderLayer layer(16, 4, nn::TransformerOptions().dim_feedforward(32).dropout(0).batch_first(true));
  same_module(layer, [x = randn({2, 6, 16})](const auto& m, Device d) { return eval(m(x.to(d))); });
}

TEST_CASE("cuda: recurrent layers") {
  manual_seed(6);
  nn::LSTM lstm(5, 8);
  same_module(lstm, [x = randn({6, 3, 5})](const nn::LSTM& m, Device d) { return eval(std::get<0>(m(x.to(d)))); });
  nn::GRU gru(5, 8);
  same_module(gru, [x = randn({6, 3, 5})](const nn::GRU& m, Device d) { return eval(std::get<0>(m(x.to(d)))); });
}

TEST_CASE("cuda: moving elements about") {
  manual_seed(7);
  same_everywhere([](const auto& x, const auto& y) { return cat({x, y}, 1); }, 0, 0, randn({3, 4}), randn({3, 2}));
  same_everywhere([](const auto& x, const auto& y) { return stack({x, y}, 0); }, 0, 0, randn({3, 4}), randn({3, 4}));
  const auto index = randint(0, 5, {4});
  same_everywhere([&](const auto& x) { return index_select(x, 0, index.to(x.device())); }, 0, 0, randn({5, 3}));
  const auto x = randn({40, 7}).to(gpu);
  REQUIRE(values(sort(x, 0).values.cpu()) == values(sort(x.cpu(), 0).values));
  REQUIRE(values(argmax(x, 1).cpu()) == values(argmax(x.cpu(), 1)));
  REQUIRE(values(cumsum(x, 0).cpu())[3] == Approx(values(cumsum(x.cpu(), 0))[3]));
  manual_seed(9);
  const auto r = randn({1000}, gpu);
  manual_seed(9);
  require_close(r, randn({1000}), 1e-5, 1e-6);
}
