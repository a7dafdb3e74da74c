// SPDX-License-Identifier: MIT
// A recurrent layer over a sequence as one node of the graph, in one direction or two. The layers of nn are made of it.
#pragma once

#include "sinter/functional/rnn_backward.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// Of one direction, as in PyTorch: weight_ih (gates * hidden, input), weight_hh (gates * hidden, hidden), biases
// (gates * hidden), both or neither.
template <class T>
struct RecurrentWeights {
  Tensor<T, 2> weight_ih, weight_hh;
  Tensor<T, 1> bias_ih, bias_hh;
};

template <class T, int R, int S>
struct RecurrentResult {
  Tensor<T, R> y;     // (rows, directions * hidden)
  Tensor<T, S> h, c;  // the last states (directions, batch, hidden); c where the cell has one
};

template <class T, int R>
Tensor<T, R> dense_of(const Tensor<T, R>& t) { return t.defined() ? t.detach().contiguous() : t; }

// What the sums of a cell begin with: the biases of input and state for the columns that each takes part in.
template <class Cell, class T>
void recurrent_biases(const RecurrentWeights<T>& w, std::int64_t hidden, T* start) {
  std::fill_n(start, Cell::columns * hidden, T(0));
  if (!w.bias_ih.defined()) return;
  const Tensor<T, 1> of_input = dense_of(w.bias_ih), of_state = dense_of(w.bias_hh);
  std::copy_n(of_state.data(), Cell::gates * hidden, start + Cell::hidden_column * hidden);
  for (const cpu::GateRun& g : Cell::input)
    for (std::int64_t k = 0; k < g.count * hidden; ++k) start[g.column * hidden + k] += of_input.data()[g.row * hidden + k];
}

// Whether the steps multiply the input themselves, which spares the memory between; where few rows share a step and the
// weights do not stay in the cache, one product for the whole sequence reads them less often.
template <class T>
bool input_by_steps(const SequenceShape& shape, std::int64_t gate_rows) {
  return shape.batch >= 16 || shape.input * gate_rows * std::int64_t(sizeof(T)) <= 256 * 1024;
}

// x and the first states to where the steps find them.
template <class Cell, class T>
void recurrent_begin(const RecurrentLayer<Cell, T>& layer, int d, const T* x, const T* h0, const T* c0) {
  const cpu::Recurrence<T> q = layer.recurrence(d);
  const auto put = [](T* to, const T* from, std::int64_t n) { from ? std::copy_n(from, n, to) : std::fill_n(to, n, T(0)); };
  const cpu::Steps<const T> in = layer.shape.walk(x, q.input, d);
  parallel_for(q.steps, q.steps * q.batch * q.input >= parallel_threshold, [&](std::int64_t s) {
    for (std::int64_t b = 0; b < q.batch; ++b) std::copy_n(in.at(s, b), q.input, q.xh.at(s, b));
  });
  for (std::int64_t b = 0; b < q.batch; ++b) {
    const std::int64_t row = (d * q.batch + b) * q.hidden;
    put(q.xh.at(0, b) + q.input, h0 ? h0 + row : h0, q.hidden);
    if (Cell::has_c) put(q.c.at(0, b), c0 ? c0 + row : c0, q.hidden);
  }
}

// One layer. x holds shape.rows() dense rows of shape.input values; the first states (directions, batch, hidden) may be
// undefined, which means 0. y gets the shape `sizes`; the last states the shape `state`, h only if asked for.
template <class Cell, class T, int R, int S>
RecurrentResult<T, R, S> recurrent_layer(const char* name, const Tensor<T, R>& x, const Tensor<T, S>& h0, const Tensor<T, S>& c0,
                                         const RecurrentWeights<T>* weights, int directions, const SequenceShape& shape,
                                         const Shape<R>& sizes, const Shape<S>& state, bool last_h) {
  using Layer = RecurrentLayer<Cell, T>;
  const std::int64_t hidden = weights[0].weight_hh.size(1), steps = shape.steps, batch = shape.batch;
  Layer layer{name, shape, hidden, directions, !h0.defined(), {}, {}, {}, {}, {}, {}};
  const auto memory = [&](std::int64_t count, std::int64_t width) {
    return TensorImpl::empty(dtype_of<T>(), Shape<4>{{directions, count, batch, width}});
  };
  layer.xh = memory(steps + 1, layer.depth());
  layer.gates = memory(steps, layer.columns());
  if (Cell::has_c) layer.c = memory(steps + 1, hidden);

  RecurrentResult<T, R, S> out;
  out.y = Tensor<T, R>(TensorImpl::empty(dtype_of<T>(), sizes));
  const Tensor<T, R> in = dense_of(x);
  const Tensor<T, S> first_h = dense_of(h0), first_c = dense_of(c0);
  Tensor<T, 2> ih[2], hh[2];
  const bool by_steps = input_by_steps<T>(shape, layer.gate_rows());
  for (int d = 0; d < directions; ++d) {
    ih[d] = dense_of(weights[d].weight_ih), hh[d] = dense_of(weights[d].weight_hh);
    recurrent_begin(layer, d, static_cast<const T*>(in.data()), data_of<const T>(first_h.impl), data_of<const T>(first_c.impl));
    const cpu::Recurrence<T> q = layer.recurrence(d);
    if (by_steps) continue;
    for (const cpu::GateRun& g : Cell::input)
      cpu::product<T>(cpu::Matrix<const T>{q.xh.data, shape.rows(), shape.input, layer.depth(), 1},
                      cpu::Matrix<const T>{ih[d].data() + g.row * hidden * shape.input, g.count * hidden, shape.input, shape.input, 1}.t(),
                      cpu::Matrix<T>{q.gates.data + g.column * hidden, shape.rows(), g.count * hidden, layer.columns(), 1});
  }
  cpu::over_tiles(directions, batch, layer.work(), [&](int d, std::int64_t first, std::int64_t last) {
    const auto weight = [&](const Tensor<T, 2>& w) { return cpu::Matrix<const T>{w.data(), w.size(0), w.size(1), w.size(1), 1}.t(); };
    int order[Cell::gates];
    for (const cpu::GateRun& g : Cell::input)
      for (int k = 0; k < g.count; ++k) order[g.column + k] = g.row + k;
    cpu::Scratch<T> start(layer.columns());
    recurrent_biases<Cell>(weights[d], hidden, start.data);
    const cpu::GatePanels<T> of_state(weight(hh[d]), Cell::gates, Cell::per);
    const cpu::GatePanels<T> bias(cpu::Matrix<const T>{start.data, 1, layer.columns(), 0, 1}, Cell::columns, Cell::per);
    std::optional<cpu::GatePanels<T>> of_input;
    if (by_steps) of_input.emplace(weight(ih[d]), Cell::gates, Cell::per, order);
    const cpu::Steps<T> y = shape.walk(out.y.data() + d * hidden, directions * hidden, d);
    cpu::recurrent_forward<Cell>(layer.recurrence(d), y, cpu::ForwardPanels<T>{by_steps ? &*of_input : nullptr, &of_state, &bias}, first, last);
  });
  const auto last = [&](auto of) {  // the state behind the last step
    Tensor<T, S> to(TensorImpl::empty(dtype_of<T>(), state));
    for (int d = 0; d < directions; ++d)
      for (std::int64_t b = 0; b < batch; ++b) std::copy_n(of(layer.recurrence(d), b), hidden, to.data() + (d * batch + b) * hidden);
    return to;
  };
  if (last_h) out.h = last([&](const cpu::Recurrence<T>& q, std::int64_t b) { return q.xh.at(steps, b) + q.input; });
  if (Cell::has_c) out.c = last([&](const cpu::Recurrence<T>& q, std::int64_t b) { return q.c.at(steps, b); });

  bool recorded = any_requires_grad(x, h0, c0);
  layer.edges[0] = Edge(x.impl), layer.edges[1] = Edge(h0.impl), layer.edges[2] = Edge(c0.impl);
  for (int d = 0; d < directions; ++d) {
    const RecurrentWeights<T>& w = weights[d];
    recorded = any_requires_grad(w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh) || recorded;
    layer.weight_ih[d] = KeptTensor(ih[d].impl), layer.weight_hh[d] = KeptTensor(hh[d].impl);
    const Ref<TensorImpl>* all[] = {&w.weight_ih.impl, &w.weight_hh.impl, &w.bias_ih.impl, &w.bias_hh.impl};
    for (int k = 0; k < Layer::weights; ++k) layer.edges[Layer::states + d * Layer::weights + k] = Edge(*all[k]);
  }
  if (!recorded) return out;
  const Ref<Node> node = make_node<Layer::states>(name, std::move(layer));
  set_history(out.y.impl, node, 0);
  if (out.h.defined()) set_history(out.h.impl, node, 1);
  if (out.c.defined()) set_history(out.c.impl, node, 2);
  return out;
}

}  // namespace SINTER_ABI
}  // namespace sinter
