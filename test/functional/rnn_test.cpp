// SPDX-License-Identifier: MIT
#include "sinter/functional/rnn.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/create.hpp"
#include "sinter/tensor/join.hpp"

using namespace sinter;

namespace {

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

// One row of one step in doubles, as PyTorch's documentation writes the cells: h and c are replaced.
enum class CellKind { tanh, relu, lstm, gru };
int gates_of(CellKind k) { return k == CellKind::lstm ? 4 : k == CellKind::gru ? 3 : 1; }

template <class T>
void plain_step(CellKind kind, const T* x, std::vector<double>& h, std::vector<double>& c, const RecurrentWeights<T>& w) {
  const std::int64_t input = w.weight_ih.size(1), hidden = w.weight_hh.size(1);
  std::vector<double> a(std::size_t(gates_of(kind) * hidden)), b(a.size());  // of the input, of the state
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (w.bias_ih.defined()) a[k] = double(w.bias_ih.data()[k]), b[k] = double(w.bias_hh.data()[k]);
    for (std::int64_t i = 0; i < input; ++i) a[k] += double(w.weight_ih.data()[std::int64_t(k) * input + i]) * double(x[i]);
    for (std::int64_t i = 0; i < hidden; ++i) b[k] += double(w.weight_hh.data()[std::int64_t(k) * hidden + i]) * h[std::size_t(i)];
  }
  const std::size_t n = std::size_t(hidden);
  for (std::size_t j = 0; j < n; ++j) {
    const auto sum = [&](std::size_t gate) { return a[gate * n + j] + b[gate * n + j]; };
    if (kind == CellKind::tanh) h[j] = std::tanh(sum(0));
    if (kind == CellKind::relu) h[j] = std::max(0.0, sum(0));
    if (kind == CellKind::lstm) {
      c[j] = sigmoid_of(sum(1)) * c[j] + sigmoid_of(sum(0)) * std::tanh(sum(2));
      h[j] = sigmoid_of(sum(3)) * std::tanh(c[j]);
    }
    if (kind == CellKind::gru) {
      const double r = sigmoid_of(sum(0)), z = sigmoid_of(sum(1)), fresh = std::tanh(a[2 * n + j] + r * b[2 * n + j]);
      h[j] = (1 - z) * fresh + z * h[j];
    }
  }
}

template <class T>
struct Problem {
  CellKind kind;
  bool batch_first;
  std::int64_t steps, batch, input, hidden;
  int directions;
  Tensor<T, 3> x, h0, c0;
  RecurrentWeights<T> w[2];

  Problem(CellKind k, bool first, std::int64_t t, std::int64_t b, std::int64_t i, std::int64_t h, int d, bool bias, bool states)
      : kind(k), batch_first(first), steps(t), batch(b), input(i), hidden(h), directions(d) {
    x = first ? randn<T>({b, t, i}) : randn<T>({t, b, i});
    if (states) h0 = randn<T>({d, b, h});
    if (states && kind == CellKind::lstm) c0 = randn<T>({d, b, h});
    const std::int64_t rows = gates_of(kind) * h;
    for (int k2 = 0; k2 < d; ++k2) {
      w[k2] = {randn<T>({rows, i}), randn<T>({rows, h}), {}, {}};
      w[k2].weight_hh *= T(1 / std::sqrt(double(h)));
      if (bias) w[k2].bias_ih = randn<T>({rows}), w[k2].bias_hh = randn<T>({rows});
    }
  }
  SequenceShape shape() const { return {steps, batch, input, batch_first ? 1 : batch, batch_first ? steps : 1}; }
  Shape<3> sizes() const { return batch_first ? Shape<3>{{batch, steps, directions * hidden}} : Shape<3>{{steps, batch, directions * hidden}}; }
  RecurrentResult<T, 3, 3> run(const Tensor<T, 3>& in, const Tensor<T, 3>& h, const Tensor<T, 3>& c, const RecurrentWeights<T>* weights) const {
    const Shape<3> state{{directions, batch, hidden}};
    switch (kind) {
      case CellKind::tanh: return recurrent_layer<cpu::ElmanCell<op::Tanh>>("RNN", in, h, c, weights, directions, shape(), sizes(), state, true);
      case CellKind::relu: return recurrent_layer<cpu::ElmanCell<op::Relu>>("RNN", in, h, c, weights, directions, shape(), sizes(), state, true);
      case CellKind::lstm: return recurrent_layer<cpu::LstmCell>("LSTM", in, h, c, weights, directions, shape(), sizes(), state, true);
      default: return recurrent_layer<cpu::GruCell>("GRU", in, h, c, weights, directions, shape(), sizes(), state, true);
    }
  }
  RecurrentResult<T, 3, 3> run() const { return run(x, h0, c0, w); }

  // The greatest difference from the plain loops.
  double error() const {
    const auto got = run();
    double worst = 0;
    const auto compare = [&](double a, T b) { worst = std::max(worst, std::abs(a - double(b))); };
    for (int d = 0; d < directions; ++d)
      for (std::int64_t b = 0; b < batch; ++b) {
        std::vector<double> h(std::size_t(hidden), 0.0), c = h;
        const auto state = (d * batch + b) * hidden;
        for (std::int64_t j = 0; j < hidden; ++j) {
          if (h0.defined()) h[std::size_t(j)] = double(h0.data()[state + j]);
          if (c0.defined()) c[std::size_t(j)] = double(c0.data()[state + j]);
        }
        for (std::int64_t s = 0; s < steps; ++s) {
          const std::int64_t t = d == 1 ? steps - 1 - s : s, row = batch_first ? b * steps + t : t * batch + b;
          plain_step(kind, x.data() + row * input, h, c, w[d]);
          for (std::int64_t j = 0; j < hidden; ++j) compare(h[std::size_t(j)], got.y.data()[(row * directions + d) * hidden + j]);
        }
        for (std::int64_t j = 0; j < hidden; ++j) {
          compare(h[std::size_t(j)], got.h.data()[state + j]);
          if (kind == CellKind::lstm) compare(c[std::size_t(j)], got.c.data()[state + j]);
        }
      }
    return worst;
  }
};

constexpr CellKind kinds[] = {CellKind::tanh, CellKind::relu, CellKind::lstm, CellKind::gru};

// All results in a row.
template <class T>
Tensor<T, 1> joined(const RecurrentResult<T, 3, 3>& r) {
  std::vector<Tensor<T, 1>> parts{materialize(flatten(r.y)), materialize(flatten(r.h))};
  if (r.c.defined()) parts.push_back(materialize(flatten(r.c)));
  return cat(parts);
}

void check_gradients_of(const Problem<double>& p) {
  const auto f = [&](const auto& x, const auto& ih, const auto& hh, const auto& ih2, const auto& hh2, const auto&... rest) {
    const std::tuple all(rest...);
    RecurrentWeights<double> w[2] = {{ih, hh, {}, {}}, {ih2, hh2, {}, {}}};
    Tensor<double, 3> h = p.h0, c = p.c0;
    if constexpr (sizeof...(rest) == 6) {
      w[0].bias_ih = std::get<0>(all), w[0].bias_hh = std::get<1>(all), w[1].bias_ih = std::get<2>(all), w[1].bias_hh = std::get<3>(all);
      h = std::get<4>(all);
      if (p.kind == CellKind::lstm) c = std::get<5>(all);
    }
    return joined(p.run(x, h, c, w));
  };
  const RecurrentWeights<double>&a = p.w[0], &b = p.w[p.directions - 1];
  if (a.bias_ih.defined())
    CHECK(gradcheck(f, p.x, a.weight_ih, a.weight_hh, b.weight_ih, b.weight_hh, a.bias_ih, a.bias_hh, b.bias_ih, b.bias_hh, p.h0,
                    p.c0.defined() ? p.c0 : p.h0));
  else
    CHECK(gradcheck(f, p.x, a.weight_ih, a.weight_hh, b.weight_ih, b.weight_hh));
}

}  // namespace

TEST_CASE("recurrent layers agree with plain loops at many extents") {
  const std::int64_t cases[][4] = {{1, 1, 1, 1}, {2, 3, 5, 7}, {5, 1, 3, 17}, {3, 7, 1, 16}, {4, 13, 6, 33}, {2, 32, 11, 65}, {7, 5, 0, 4}, {3, 0, 4, 5}, {11, 2, 19, 128}, {2, 3, 300, 240}};  // the last: one product for the whole input
  for (const CellKind kind : kinds)
    for (const auto& e : cases)
      for (int i = 0; i < 4; ++i) {
        const int directions = 1 + i % 2;
        CAPTURE(int(kind), e[0], e[1], e[2], e[3], i);
        CHECK(Problem<double>(kind, i < 2, e[0], e[1], e[2], e[3], directions, i != 1, i != 2).error() < 1e-12);
        CHECK(Problem<float>(kind, i >= 2, e[0], e[1], e[2], e[3], directions, i != 2, i != 1).error() < 2e-4);
      }
}

TEST_CASE("gradients of recurrent layers") {
  for (const CellKind kind : kinds) {
    CAPTURE(int(kind));
    check_gradients_of(Problem<double>(kind, false, 3, 2, 3, 2, 1, true, true));
    check_gradients_of(Problem<double>(kind, true, 2, 3, 2, 3, 2, true, true));
    check_gradients_of(Problem<double>(kind, true, 3, 1, 2, 1, 2, false, false));
  }
  check_gradients_of(Problem<double>(CellKind::lstm, false, 2, 7, 2, 9, 1, true, true));  // more than a tile and a vector
  check_gradients_of(Problem<double>(CellKind::gru, true, 2, 7, 2, 9, 1, true, true));
}

TEST_CASE("gradients of recurrent layers when one result alone is used") {
  const Problem<double> p(CellKind::lstm, true, 3, 2, 2, 3, 2, false, true);
  for (int which = 0; which < 3; ++which)
    CHECK(gradcheck(
        [&](const auto& x, const auto& h, const auto& c) {
          const auto r = p.run(x, h, c, p.w);
          return which == 0 ? r.y : which == 1 ? r.h : r.c;
        },
        p.x, p.h0, p.c0));
}

TEST_CASE("recurrent layers read strided inputs and states") {
  Problem<double> p(CellKind::gru, false, 4, 3, 5, 6, 2, true, true);
  const auto expected = p.run();
  Problem<double> q = p;
  q.x = transpose(materialize(transpose(p.x, 0, 2)).clone(), 0, 2);
  q.h0 = transpose(materialize(transpose(p.h0, 0, 1)).clone(), 0, 1);
  q.w[0].weight_ih = transpose(materialize(transpose(p.w[0].weight_ih, 0, 1)).clone(), 0, 1);
  q.w[1].weight_hh = transpose(materialize(transpose(p.w[1].weight_hh, 0, 1)).clone(), 0, 1);
  REQUIRE(!q.x.is_contiguous());
  REQUIRE(!q.w[1].weight_hh.is_contiguous());
  const auto got = q.run();
  for (std::int64_t i = 0; i < got.y.numel(); ++i) CHECK(got.y.data()[i] == expected.y.data()[i]);
}

TEST_CASE("recurrent layers give the same bits at any number of threads") {
  const int before = get_num_threads();
  for (const CellKind kind : kinds)
    for (const std::int64_t batch : {1, 13, 32}) {
      Problem<float> p(kind, batch == 32, 9, batch, 24, 50, batch == 13 ? 2 : 1, true, true);
      p.x.requires_grad_(), p.h0.requires_grad_();
      for (int d = 0; d < p.directions; ++d)
        for (Tensor<float, 2>* t : {&p.w[d].weight_ih, &p.w[d].weight_hh}) t->requires_grad_();
      for (int d = 0; d < p.directions; ++d) p.w[d].bias_ih.requires_grad_(), p.w[d].bias_hh.requires_grad_();
      const auto bits = [&](int threads) {
        set_num_threads(threads);
        std::vector<float> all;
        const auto append = [&](const auto& t) { all.insert(all.end(), t.data(), t.data() + t.numel()); };
        const Tensor<float, 1> r = joined(p.run());
        append(r);
        Tensor<float, 0>(sum(r * r)).backward();
        append(p.x.grad()), append(p.h0.grad());
        p.x.set_grad({}), p.h0.set_grad({});
        for (int d = 0; d < p.directions; ++d) {
          append(p.w[d].weight_ih.grad()), append(p.w[d].weight_hh.grad()), append(p.w[d].bias_ih.grad()), append(p.w[d].bias_hh.grad());
          p.w[d].weight_ih.set_grad({}), p.w[d].weight_hh.set_grad({}), p.w[d].bias_ih.set_grad({}), p.w[d].bias_hh.set_grad({});
        }
        return all;
      };
      const auto one = bits(1);
      CAPTURE(int(kind), batch);
      for (const int threads : {2, 3}) CHECK(std::memcmp(bits(threads).data(), one.data(), one.size() * sizeof(float)) == 0);
    }
  set_num_threads(before);
}

TEST_CASE("what a recurrent layer keeps") {
  Problem<float> p(CellKind::lstm, true, 3, 2, 4, 5, 1, true, true);
  p.w[0].weight_hh.requires_grad_();
  const auto r = p.run();
  Tensor<float, 3>(r.y).detach().fill_(0), p.x.fill_(0);  // copies of its own
  Tensor<float, 0>(sum(r.h)).backward();
  CHECK(p.w[0].weight_hh.grad().defined());
  const auto again = p.run();
  no_grad([&] { p.w[0].weight_hh.fill_(0); });
  const auto total = eval(sum(again.y));
  CHECK_THROWS_AS(total.backward(), GradError);
}
