// SPDX-License-Identifier: MIT
// Recurrent layers on a device against those of the CPU, results and gradients of everything.

#include <catch2/catch.hpp>
#include <cmath>

#include "schedules.hpp"
#include "sinter/functional/rnn.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

namespace {

template <class T>
struct Problem {
  RecurrentKind kind;
  SequenceShape shape;
  std::int64_t hidden;
  int directions;
  Shape<3> sizes;
  Tensor<T, 3> x, h0, c0;
  RecurrentWeights<T> w[2];

  Problem(RecurrentKind k, bool batch_first, std::int64_t steps, std::int64_t batch, std::int64_t input, std::int64_t h, int d, bool bias, bool states)
      : kind(k), shape{steps, batch, input, batch_first ? 1 : batch, batch_first ? steps : 1}, hidden(h), directions(d),
        sizes(batch_first ? Shape<3>{{batch, steps, d * h}} : Shape<3>{{steps, batch, d * h}}) {
    x = batch_first ? randn<T>({batch, steps, input}) : randn<T>({steps, batch, input});
    if (states) h0 = randn<T>({d, batch, h});
    if (states && k == RecurrentKind::lstm) c0 = randn<T>({d, batch, h});
    const std::int64_t rows = (k == RecurrentKind::lstm ? 4 : k == RecurrentKind::gru ? 3 : 1) * h;
    for (int i = 0; i < d; ++i) {
      w[i] = {randn<T>({rows, input}), randn<T>({rows, h}), {}, {}};
      for (std::int64_t j = 0; j < rows * h; ++j) w[i].weight_hh.data()[j] /= T(std::sqrt(double(h)));
      if (bias) w[i].bias_ih = randn<T>({rows}), w[i].bias_hh = randn<T>({rows});
    }
    each([](auto& t) { t.requires_grad_(); });
  }
  template <class F>
  void each(F f) {
    const auto one = [&](auto& t) {
      if (t.defined()) f(t);
    };
    one(x), one(h0), one(c0);
    for (int i = 0; i < directions; ++i) one(w[i].weight_ih), one(w[i].weight_hh), one(w[i].bias_ih), one(w[i].bias_hh);
  }
  RecurrentResult<T, 3, 3> run() const {
    const Shape<3> state{{directions, shape.batch, hidden}};
    switch (kind) {
      case RecurrentKind::rnn_tanh: return recurrent_layer<cpu::ElmanCell<op::Tanh>>("RNN", x, h0, c0, w, directions, shape, sizes, state, true);
      case RecurrentKind::rnn_relu: return recurrent_layer<cpu::ElmanCell<op::Relu>>("RNN", x, h0, c0, w, directions, shape, sizes, state, true);
      case RecurrentKind::lstm: return recurrent_layer<cpu::LstmCell>("LSTM", x, h0, c0, w, directions, shape, sizes, state, true);
      default: return recurrent_layer<cpu::GruCell>("GRU", x, h0, c0, w, directions, shape, sizes, state, true);
    }
  }
  // Results and the gradients of all operands behind one another, for the gradients `up` of the results.
  std::vector<double> all(const std::vector<Ref<TensorImpl>>& up) {
    each([](auto& t) { t.impl->grad.reset(); });
    const auto r = run();
    std::vector<double> values;
    std::vector<Edge> edges;
    std::vector<Ref<TensorImpl>> grads;
    const auto add = [&](const TensorImpl& t) {
      const auto here = dense_clone(t, t.dtype, Device::cpu());
      const T* p = static_cast<const T*>(here->data);
      values.insert(values.end(), p, p + here->numel());
    };
    std::size_t k = 0;
    for (const Ref<TensorImpl>* t : {&r.y.impl, &r.h.impl, &r.c.impl}) {
      if (!*t) continue;
      add(**t);
      edges.emplace_back(*t);
      grads.push_back(dense_clone(*up[k++], dtype_of<T>(), x.device()));
    }
    run_backward(edges.data(), grads.data(), int(edges.size()), false, nullptr, false);
    each([&](auto& t) { add(*t.impl->grad); });
    return values;
  }
  Problem there() const {
    Problem p = *this;
    p.each([](auto& t) { t = t.detach().cuda().requires_grad_(); });
    return p;
  }
};

template <class T>
void same_there(Problem<T> here, double tolerance) {
  std::vector<Ref<TensorImpl>> up{randn<T>(here.sizes).impl};
  for (int i = 0; i < 2; ++i) up.push_back(randn<T>({here.directions, here.shape.batch, here.hidden}).impl);
  const auto expected = here.all(up);
  Problem<T> there = here.there();
  const auto got = same_under_all_schedules([&] { return there.all(up); });
  REQUIRE(got.size() == expected.size());
  double scale = 1, worst = 0;
  for (double v : expected) scale = std::max(scale, std::abs(v));
  for (std::size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::isnan(got[i]) ? HUGE_VAL : std::abs(got[i] - expected[i]));
  CHECK(worst <= tolerance * scale);
}

}  // namespace

TEST_CASE("recurrent layers on a device agree with the CPU's") {
  const std::int64_t cases[][4] = {{1, 1, 1, 1}, {2, 3, 5, 7}, {5, 1, 3, 17}, {4, 13, 6, 33}, {7, 5, 0, 4}, {3, 0, 4, 5}};
  for (const auto kind : {RecurrentKind::rnn_tanh, RecurrentKind::rnn_relu, RecurrentKind::lstm, RecurrentKind::gru})
    for (const auto& e : cases)
      for (int i = 0; i < 4; ++i) {
        const int directions = 1 + i % 2;
        CAPTURE(int(kind), e[0], e[1], e[2], e[3], i);
        same_there(Problem<double>(kind, i < 2, e[0], e[1], e[2], e[3], directions, i != 1, i != 2), 1e-12);
        same_there(Problem<float>(kind, i >= 2, e[0], e[1], e[2], e[3], directions, i != 2, i != 1), 1e-5);
      }
}

TEST_CASE("operands of a recurrent layer on two devices are refused") {
  Problem<float> p(RecurrentKind::gru, false, 2, 3, 4, 5, 1, true, true);
  p.x = p.x.detach().cuda();
  CHECK_THROWS_AS(p.run(), DeviceError);
}
