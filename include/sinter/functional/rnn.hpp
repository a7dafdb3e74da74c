// SPDX-License-Identifier: MIT
// A recurrent layer over a sequence as one node of the graph, in one direction or two. The layers of nn are made of it.
#pragma once

#include <optional>

#include "sinter/functional/rnn_backward.hpp"
#include "sinter/functional/rnn_device.hpp"

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
  std::copy_n(w.bias_hh.data(), Cell::gates * hidden, start + Cell::hidden_column * hidden);
  for (const cpu::GateRun& g : Cell::input)
    for (std::int64_t k = 0; k < g.count * hidden; ++k) start[g.column * hidden + k] += w.bias_ih.data()[g.row * hidden + k];
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

// All steps in every direction, by dense weights; x and the first states are in their places. y: (rows, directions * hidden).
template <class Cell, class T>
void recurrent_steps(const RecurrentLayer<Cell, T>& layer, const RecurrentWeights<T>* weights, T* y) {
  const SequenceShape& shape = layer.shape;
  const std::int64_t hidden = layer.hidden;
  const bool by_steps = input_by_steps<T>(shape, layer.gate_rows());
  for (int d = 0; d < layer.directions && !by_steps; ++d)
    for (const cpu::GateRun& g : Cell::input) {
      const cpu::Recurrence<T> q = layer.recurrence(d);
      const T* rows = weights[d].weight_ih.data() + g.row * hidden * q.input;
      cpu::product<T>(cpu::Matrix<const T>{q.xh.data, shape.rows(), q.input, layer.depth(), 1},
                      cpu::Matrix<const T>{rows, g.count * hidden, q.input, q.input, 1}.t(),
                      cpu::Matrix<T>{q.gates.data + g.column * hidden, shape.rows(), g.count * hidden, layer.columns(), 1});
    }
  int order[Cell::gates];  // the weights' gates as the columns have them
  for (const cpu::GateRun& g : Cell::input)
    for (int k = 0; k < g.count; ++k) order[g.column + k] = g.row + k;
  cpu::over_tiles(layer.directions, shape.batch, layer.work(), [&](int d, std::int64_t first, std::int64_t last) {
    const auto transposed = [](const Tensor<T, 2>& w) {
      return cpu::Matrix<const T>{w.data(), w.size(0), w.size(1), w.size(1), 1}.t();
    };
    cpu::Scratch<T> start(layer.columns());
    recurrent_biases<Cell>(weights[d], hidden, start.data);
    const cpu::GatePanels<T> of_state(transposed(weights[d].weight_hh), Cell::gates, Cell::per);
    const cpu::GatePanels<T> bias(cpu::Matrix<const T>{start.data, 1, layer.columns(), 0, 1}, Cell::columns, Cell::per);
    std::optional<cpu::GatePanels<T>> of_input;
    if (by_steps) of_input.emplace(transposed(weights[d].weight_ih), Cell::gates, Cell::per, order);
    const cpu::ForwardPanels<T> panels{by_steps ? &*of_input : nullptr, &of_state, &bias};
    cpu::recurrent_forward<Cell>(layer.recurrence(d), shape.walk(y + d * hidden, layer.directions * hidden, d), panels, first, last);
  });
}

// Where gradients of a layer go: x, h0, c0, then for each direction weight_ih, weight_hh, bias_ih, bias_hh. Returns whether any
// does.
template <class T, int R, int S>
bool recurrent_edges(const Tensor<T, R>& x, const Tensor<T, S>& h0, const Tensor<T, S>& c0, const RecurrentWeights<T>* weights,
                     int directions, Edge* edges) {
  bool recorded = any_requires_grad(x, h0, c0);
  for (int d = 0; d < directions; ++d)
    recorded = any_requires_grad(weights[d].weight_ih, weights[d].weight_hh, weights[d].bias_ih, weights[d].bias_hh) || recorded;
  if (!recorded) return false;
  *edges++ = Edge(x.impl), *edges++ = Edge(h0.impl), *edges++ = Edge(c0.impl);
  for (int d = 0; d < directions; ++d)
    for (const Ref<TensorImpl>* t : {&weights[d].weight_ih.impl, &weights[d].weight_hh.impl, &weights[d].bias_ih.impl, &weights[d].bias_hh.impl})
      *edges++ = Edge(*t);
  return true;
}
template <class Result>
void recurrent_history(const Result& out, const Ref<Node>& node) {
  set_history(out.y.impl, node, 0);
  if (out.h.defined()) set_history(out.h.impl, node, 1);
  if (out.c.defined()) set_history(out.c.impl, node, 2);
}

template <class Cell, class T, int R, int S>
RecurrentResult<T, R, S> recurrent_layer_on_device(const char* name, const Tensor<T, R>& x, const Tensor<T, S>& h0, const Tensor<T, S>& c0,
                                                   const RecurrentWeights<T>* weights, int directions, const SequenceShape& shape,
                                                   const Shape<R>& sizes, const Shape<S>& state, bool last_h) {
  const DType dtype = dtype_of<T>();
  const Device device = x.device();
  RecurrentOnDevice layer{name, Cell::kind, dtype, device, Cell::gates, Cell::columns, Cell::has_c, Cell::direct, shape,
                          weights[0].weight_hh.size(1), directions, !h0.defined(), {}, {}, {}, {}, {}, {}, {}};
  const Tensor<T, R> in = dense_of(x);
  const Tensor<T, S> first_h = dense_of(h0), first_c = dense_of(c0);
  RecurrentOperands dense[2];
  for (int d = 0; d < directions; ++d) {
    const RecurrentWeights<T>& w = weights[d];
    dense[d] = {dense_of(w.weight_ih).impl, dense_of(w.weight_hh).impl, dense_of(w.bias_ih).impl, dense_of(w.bias_hh).impl};
  }
  RecurrentResult<T, R, S> out;
  out.y = Tensor<T, R>(TensorImpl::empty(dtype, sizes, device));
  layer.forward(in.impl, first_h.impl, first_c.impl, dense, out.y.impl);
  if (last_h) out.h = Tensor<T, S>(TensorImpl::empty(dtype, state, device)), layer.last(layer.h, out.h.impl);
  if (Cell::has_c) out.c = Tensor<T, S>(TensorImpl::empty(dtype, state, device)), layer.last(layer.c, out.c.impl);
  if (!recurrent_edges(x, h0, c0, weights, directions, layer.edges)) return out;
  layer.x = KeptTensor(in.impl);
  for (int d = 0; d < directions; ++d) layer.weight_ih[d] = KeptTensor(dense[d].weight_ih), layer.weight_hh[d] = KeptTensor(dense[d].weight_hh);
  recurrent_history(out, make_node<RecurrentOnDevice::states>(name, std::move(layer)));
  return out;
}

// All of a layer's operands on one device; throws DeviceError.
template <class T, class... O>
Device recurrent_device(const char* name, const RecurrentWeights<T>* weights, int directions, const Device& device, const O&... others) {
  const auto check = [&](const auto& t) {
    if (t.defined() && t.device() != device) fail<DeviceError>(name, ": the input is on ", device, ", but an operand of shape ", t.shape(), " on ", t.device());
  };
  (check(others), ...);
  for (int d = 0; d < directions; ++d) check(weights[d].weight_ih), check(weights[d].weight_hh), check(weights[d].bias_ih), check(weights[d].bias_hh);
  return device;
}

// One layer. x holds shape.rows() rows of shape.input values; the first states (directions, batch, hidden) may be undefined,
// which means 0. y gets the shape `sizes`; the last states the shape `state`, h only if asked for.
template <class Cell, class T, int R, int S>
RecurrentResult<T, R, S> recurrent_layer(const char* name, const Tensor<T, R>& x, const Tensor<T, S>& h0, const Tensor<T, S>& c0,
                                         const RecurrentWeights<T>* weights, int directions, const SequenceShape& shape,
                                         const Shape<R>& sizes, const Shape<S>& state, bool last_h) {
  if (recurrent_device(name, weights, directions, x.device(), h0, c0).is_cuda())
    return recurrent_layer_on_device<Cell>(name, x, h0, c0, weights, directions, shape, sizes, state, last_h);
  using Layer = RecurrentLayer<Cell, T>;
  const std::int64_t hidden = weights[0].weight_hh.size(1), steps = shape.steps, batch = shape.batch;
  Layer layer{name, shape, hidden, directions, !h0.defined(), {}, {}, {}, {}, {}, {}};
  const auto memory = [&](std::int64_t count, std::int64_t width) {
    return TensorImpl::empty(dtype_of<T>(), Shape<4>{{directions, count, batch, width}});
  };
  layer.xh = memory(steps + 1, layer.depth()), layer.gates = memory(steps, layer.columns());
  if (Cell::has_c) layer.c = memory(steps + 1, hidden);
  RecurrentResult<T, R, S> out;
  out.y = Tensor<T, R>(TensorImpl::empty(dtype_of<T>(), sizes));

  const Tensor<T, R> in = dense_of(x);
  const Tensor<T, S> first_h = dense_of(h0), first_c = dense_of(c0);
  RecurrentWeights<T> dense[2];
  for (int d = 0; d < directions; ++d) {
    const RecurrentWeights<T>& w = weights[d];
    dense[d] = {dense_of(w.weight_ih), dense_of(w.weight_hh), dense_of(w.bias_ih), dense_of(w.bias_hh)};
    recurrent_begin(layer, d, data_of<const T>(in.impl), data_of<const T>(first_h.impl), data_of<const T>(first_c.impl));
  }
  recurrent_steps(layer, dense, out.y.data());
  const auto last = [&](auto of) {  // the state behind the last step
    Tensor<T, S> to(TensorImpl::empty(dtype_of<T>(), state));
    for (int d = 0; d < directions; ++d)
      for (std::int64_t b = 0; b < batch; ++b) std::copy_n(of(layer.recurrence(d), b), hidden, to.data() + (d * batch + b) * hidden);
    return to;
  };
  if (last_h) out.h = last([&](const cpu::Recurrence<T>& q, std::int64_t b) { return q.xh.at(steps, b) + q.input; });
  if (Cell::has_c) out.c = last([&](const cpu::Recurrence<T>& q, std::int64_t b) { return q.c.at(steps, b); });

  if (!recurrent_edges(x, h0, c0, weights, directions, layer.edges)) return out;
  for (int d = 0; d < directions; ++d)
    layer.weight_ih[d] = KeptTensor(dense[d].weight_ih.impl), layer.weight_hh[d] = KeptTensor(dense[d].weight_hh.impl);
  recurrent_history(out, make_node<Layer::states>(name, std::move(layer)));
  return out;
}

}  // namespace SINTER_ABI
}  // namespace sinter
