// SPDX-License-Identifier: MIT
#include "sinter/nn/rnn.hpp"

#include <catch2/catch.hpp>

#include "sinter/nn/rnn_cell.hpp"

using namespace sinter;

namespace {
template <class A, class B>
double distance(const A& a, const B& b) {
  REQUIRE(a.shape() == b.shape());
  return Tensor<double, 0>(sum(abs(to<double>(a) - to<double>(b)))).item();
}
}  // namespace

TEST_CASE("recurrent layers have PyTorch's parameters") {
  const nn::LSTM lstm(5, 3, nn::LSTMOptions().num_layers(2).bidirectional(true).batch_first(true));
  std::string names;
  for (const auto& t : lstm.named_parameters()) names += t.name + " ";
  CHECK(names == "weight_ih_l0 weight_hh_l0 bias_ih_l0 bias_hh_l0 weight_ih_l0_reverse weight_hh_l0_reverse bias_ih_l0_reverse "
                 "bias_hh_l0_reverse weight_ih_l1 weight_hh_l1 bias_ih_l1 bias_hh_l1 weight_ih_l1_reverse weight_hh_l1_reverse "
                 "bias_ih_l1_reverse bias_hh_l1_reverse ");
  CHECK(lstm.layers[0].weight_ih.shape() == Shape{12, 5});
  CHECK(lstm.layers[2].weight_ih.shape() == Shape{12, 6});
  CHECK(lstm.layers[3].weight_hh.shape() == Shape{12, 3});
  CHECK(nn::GRU(5, 3).layers[0].weight_ih.shape() == Shape{9, 5});
  CHECK(nn::RNN(5, 3, nn::RNNOptions().bias(false)).named_parameters().size() == 2);
  const nn::GRU wide(2, 100);
  for (const auto& t : wide.named_parameters()) {
    const float* p = static_cast<const float*>(t.tensor->data);
    float greatest = 0;
    for (std::int64_t i = 0; i < t.tensor->numel(); ++i) greatest = std::max(greatest, std::abs(p[i]));
    CHECK(greatest <= 0.1f);
    CHECK(greatest > 0.09f);
  }
}

TEST_CASE("recurrent layers have PyTorch's shapes") {
  const nn::LSTM lstm(5, 3, nn::LSTMOptions().num_layers(2).bidirectional(true).batch_first(true));
  const auto [y, state] = lstm(randn({4, 7, 5}));
  const auto& [h, c] = state;
  CHECK(y.shape() == Shape{4, 7, 6});
  CHECK(h.shape() == Shape{4, 4, 3});
  CHECK(c.shape() == Shape{4, 4, 3});
  const auto [z, last] = lstm(randn({7, 5}));  // no batch: batch_first does not matter
  CHECK(z.shape() == Shape{7, 6});
  CHECK(std::get<0>(last).shape() == Shape{4, 3});
  const auto [g, gh] = nn::GRU(5, 3)(randn({7, 4, 5}));
  CHECK(g.shape() == Shape{7, 4, 3});
  CHECK(gh.shape() == Shape{1, 4, 3});
}

TEST_CASE("a recurrent layer goes on from where it was") {
  const nn::LSTMOf<double> lstm(3, 4, nn::LSTMOptions().num_layers(2));
  const auto x = randn<double>({6, 2, 3});
  const auto [y, state] = lstm(x);
  const auto [first, between] = lstm(x.narrow(0, 0, 2));
  const auto [second, end] = lstm(x.narrow(0, 2, 4), between);
  CHECK(distance(second, y.narrow(0, 2, 4)) < 1e-12);
  CHECK(distance(std::get<0>(end), std::get<0>(state)) < 1e-12);
  CHECK(distance(std::get<1>(end), std::get<1>(state)) < 1e-12);
}

TEST_CASE("batch_first, rows alone and without a batch are the same recurrence") {
  nn::GRUOf<double> rows(3, 5, nn::GRUOptions().bidirectional(true)), first(3, 5, nn::GRUOptions().bidirectional(true).batch_first(true));
  first.load_state_dict(rows.state_dict());
  const auto x = randn<double>({4, 3, 3});
  const auto [y, h] = rows(x);
  const auto [z, last] = first(transpose(x, 0, 1));
  CHECK(distance(z, materialize(transpose(y, 0, 1))) == 0);
  CHECK(distance(h, last) == 0);
  const auto [one, state] = rows(materialize(x.select(1, 2)));
  CHECK(distance(one, y.select(1, 2)) < 1e-12);
  CHECK(distance(state, h.select(1, 2)) < 1e-12);
}

TEST_CASE("a second layer is one on the first") {
  nn::RNNOf<double> both(3, 4, nn::RNNOptions().num_layers(2).nonlinearity("relu")), lower(3, 4, nn::RNNOptions().nonlinearity("relu")),
      upper(4, 4, nn::RNNOptions().nonlinearity("relu"));
  lower.layers[0] = both.layers[0];
  upper.layers[0] = both.layers[1];
  const auto x = randn<double>({5, 2, 3}), h0 = randn<double>({2, 2, 4});
  const auto [y, h] = both(x, h0);
  const auto [m, hl] = lower(x, h0.narrow(0, 0, 1));
  const auto [z, hu] = upper(m, h0.narrow(0, 1, 1));
  CHECK(distance(y, z) == 0);
  CHECK(distance(h.narrow(0, 0, 1), hl) == 0);
  CHECK(distance(h.narrow(0, 1, 1), hu) == 0);
}

TEST_CASE("dropout between recurrent layers, in training only") {
  nn::LSTM lstm(3, 4, nn::LSTMOptions().num_layers(2).dropout(1));
  const auto a = randn({5, 2, 3}), b = randn({5, 2, 3});
  const auto output = [&](const auto& x) { return std::get<0>(lstm(x)); };
  CHECK(distance(output(a), output(b)) == 0);  // nothing comes through
  lstm.eval();
  CHECK(distance(output(a), output(b)) > 0);
}

TEST_CASE("gradients reach every parameter of deep recurrent layers") {
  nn::GRU gru(3, 4, nn::GRUOptions().num_layers(3).bidirectional(true).dropout(0.5));
  const auto [y, h] = gru(randn({5, 2, 3}));
  Tensor<float, 0>(sum(y * y) + sum(h)).backward();
  for (const auto& p : gru.parameters()) CHECK(p->grad);
  const auto free = no_grad([&] { return std::get<0>(gru(randn({5, 2, 3}))); });
  CHECK(!free.requires_grad());
}

TEST_CASE("recurrent layers say what does not fit") {
  const nn::LSTM lstm(29, 3);
  CHECK_THROWS_WITH(lstm(zeros({2, 1, 15})), Catch::Contains("LSTM") && Catch::Contains("[2, 1, 15]") && Catch::Contains("29") && Catch::Contains("axis 2"));
  CHECK_THROWS_AS(lstm(zeros({0, 1, 29})), ShapeError);
  CHECK_THROWS_WITH(lstm(zeros({2, 1, 29}), std::tuple(zeros({1, 2, 3}), zeros({1, 1, 3}))),
                    Catch::Contains("initial h is [1, 2, 3]") && Catch::Contains("[1, 1, 3]"));
  CHECK_THROWS_AS(lstm(zeros({2, 1, 29}), std::tuple(zeros({1, 1, 3}), Tensor<float, 3>())), ValueError);
  CHECK_THROWS_AS(nn::GRU(2, 0), ValueError);
  CHECK_THROWS_AS(nn::GRU(2, 2, nn::GRUOptions().num_layers(0)), ValueError);
  CHECK_THROWS_AS(nn::GRU(2, 2, nn::GRUOptions().dropout(1.5)), ValueError);
  CHECK_THROWS_WITH(nn::RNNOptions().nonlinearity("sigmoid"), Catch::Contains("\"sigmoid\""));
  CHECK_THROWS_AS(nn::GRUCell(4, 2)(zeros({1, 3})), ShapeError);
  CHECK_THROWS_AS(nn::GRUCell(4, 2)(zeros({1, 4}), zeros({2, 2})), ShapeError);
}

TEST_CASE("cells are single steps of the layers") {
  const auto x = randn<double>({3, 2, 5});
  const auto h0 = randn<double>({2, 4}), c0 = randn<double>({2, 4});
  const auto all = [](const auto& t) { return materialize(unsqueeze(t, 0)); };
  {
    nn::LSTMOf<double> layer(5, 4);
    nn::LSTMCellOf<double> cell(5, 4);
    cell.parameters_ = layer.layers[0];
    CHECK(cell.named_parameters()[3].name == "bias_hh");
    std::tuple state(h0, c0);
    for (int t = 0; t < 3; ++t) state = cell(x[t], state);
    const auto [y, last] = layer(x, std::tuple(all(h0), all(c0)));
    CHECK(distance(std::get<0>(state), std::get<0>(last)[0]) < 1e-12);
    CHECK(distance(std::get<1>(state), std::get<1>(last)[0]) < 1e-12);
  }
  {
    nn::GRUOf<double> layer(5, 4);
    nn::GRUCellOf<double> cell(5, 4);
    cell.parameters_ = layer.layers[0];
    Tensor<double, 2> h = h0;
    for (int t = 0; t < 3; ++t) h = cell(x[t], h);
    CHECK(distance(h, std::get<1>(layer(x, all(h0)))[0]) < 1e-12);
    CHECK(distance(cell(x[0][1]), cell(x[0])[1]) < 1e-12);  // without a batch, from a state of 0
  }
  for (const char* name : {"tanh", "relu"}) {
    nn::RNNOf<double> layer(5, 4, nn::RNNOptions().nonlinearity(name).bias(false));
    nn::RNNCellOf<double> cell(5, 4, nn::RNNCellOptions().nonlinearity(name).bias(false));
    cell.parameters_ = layer.layers[0];
    Tensor<double, 2> h = h0;
    for (int t = 0; t < 3; ++t) h = cell(x[t], h);
    CHECK(distance(h, std::get<1>(layer(x, all(h0)))[0]) < 1e-12);
  }
}
