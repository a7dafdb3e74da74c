// SPDX-License-Identifier: MIT
// A recurrent layer on a device: one product of the input for the whole sequence, then for each step a product of the state and
// a kernel for the cells; the same on the way back, with one product for each gradient at the end.
#pragma once

#include "sinter/device/matmul.hpp"
#include "sinter/device/rnn.hpp"
#include "sinter/functional/rnn_backward.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// One direction's weights, dense; biases both or neither.
struct RecurrentOperands {
  Ref<TensorImpl> weight_ih, weight_hh, bias_ih, bias_hh;
};

// A layer's node, as RecurrentLayer is the CPU's, for any cell, float or double.
struct RecurrentOnDevice {
  static constexpr int states = 3, weights = 4;
  const char* name;
  RecurrentKind kind;
  DType dtype;
  Device device;
  std::int64_t gates, columns;  // of the cell
  bool has_c, direct;
  SequenceShape shape;
  std::int64_t hidden;
  int directions;
  bool from_zero;
  Ref<TensorImpl> h, c, kept;  // (directions, steps + 1, batch, hidden), and (directions, steps, batch, columns * hidden)
  KeptTensor x, weight_ih[2], weight_hh[2];
  Edge edges[states + 2 * weights];  // x, h0, c0, then for each direction weight_ih, weight_hh, bias_ih, bias_hh

  std::int64_t gate_rows() const { return gates * hidden; }
  const Edge& edge(int d, int which) const { return edges[states + d * weights + which]; }
  Ref<TensorImpl> memory(std::int64_t count, std::int64_t rows, std::int64_t width) const {
    return TensorImpl::empty(dtype, Shape<3>{{count, rows, width}}, device);
  }
  // Element i of dense memory.
  void* at(const Ref<TensorImpl>& t, std::int64_t i) const { return static_cast<char*>(t->data) + i * size_of(dtype); }
  void* state_at(const Ref<TensorImpl>& t, int d, std::int64_t s) const {
    return t ? at(t, (d * (shape.steps + 1) + s) * shape.batch * hidden) : nullptr;
  }
  void* kept_at(int d, std::int64_t s) const { return at(kept, (d * shape.steps + s) * shape.batch * columns * hidden); }
  // A step's rows of memory that lies as the input does, from `column` of `width` on.
  CellRows rows_at(const Ref<TensorImpl>& t, int d, std::int64_t s, std::int64_t width, std::int64_t column) const {
    if (!t) return {nullptr, 0};
    return {at(t, (d == 1 ? shape.steps - 1 - s : s) * shape.step * width + column), shape.row * width};
  }
  // to = n elements of `from`, or 0.
  void put(void* to, const void* from, std::int64_t n) const {
    const std::size_t bytes = std::size_t(n * size_of(dtype));
    if (bytes == 0) return;
    if (from) cuda_backend->copy(to, device.index, from, device.index, bytes);
    else cuda_backend->fill(device.index, to, 0, bytes);
  }

  void forward(const Ref<TensorImpl>& in, const Ref<TensorImpl>& h0, const Ref<TensorImpl>& c0, const RecurrentOperands* w,
               const Ref<TensorImpl>& y) {
    const std::int64_t n = shape.steps, batch = shape.batch, width = directions * hidden;
    h = memory(directions * (n + 1), batch, hidden), kept = memory(directions * n, batch, columns * hidden);
    if (has_c) c = memory(directions * (n + 1), batch, hidden);
    const Ref<TensorImpl> of_input = memory(n, batch, gate_rows()), of_state = memory(1, batch, gate_rows());
    for (int d = 0; d < directions; ++d) {
      multiply(of_input->data, shape.rows(), gate_rows(), shape.input, in->data, shape.input, 1, w[d].weight_ih->data, 1, shape.input);
      put(state_at(h, d, 0), h0 ? at(h0, d * batch * hidden) : nullptr, batch * hidden);
      if (has_c) put(state_at(c, d, 0), c0 ? at(c0, d * batch * hidden) : nullptr, batch * hidden);
      for (std::int64_t s = 0; s < n; ++s) {
        const bool any = s > 0 || !from_zero;
        if (any) multiply(of_state->data, batch, gate_rows(), hidden, state_at(h, d, s), hidden, 1, w[d].weight_hh->data, 1, hidden);
        cell_forward_on_device({kind, dtype, batch, hidden, rows_at(of_input, d, s, gate_rows(), 0), any ? of_state->data : nullptr,
                                w[d].bias_ih ? w[d].bias_ih->data : nullptr, w[d].bias_hh ? w[d].bias_hh->data : nullptr,
                                state_at(h, d, s), state_at(c, d, s), kept_at(d, s), state_at(h, d, s + 1), state_at(c, d, s + 1),
                                rows_at(y, d, s, width, d * hidden)});
      }
    }
  }
  // The states behind the last step: (directions, batch, hidden).
  void last(const Ref<TensorImpl>& of, const Ref<TensorImpl>& to) const {
    const std::int64_t size = shape.batch * hidden;
    for (int d = 0; d < directions; ++d) put(at(to, d * size), state_at(of, d, shape.steps), size);
  }

  void run(Node& node) {
    const std::int64_t n = shape.steps, batch = shape.batch, width = directions * hidden, rows = gate_rows();
    const Ref<TensorImpl> dh = begun(node.outputs[1].grad, edges[1]), dc = has_c ? begun(node.outputs[2].grad, edges[2]) : Ref<TensorImpl>();
    const Ref<TensorImpl>& dy = node.outputs[0].grad;
    const Ref<TensorImpl> dx = edges[0] ? empty_dense(dtype, edges[0].shape(), device) : Ref<TensorImpl>();
    const bool in_order = shape.step == batch && (shape.row == 1 || batch == 1);  // the input's rows lie step by step
    const Ref<TensorImpl> of_state = memory(n, batch, rows);
    Ref<TensorImpl> of_input;
    x.version.check(name, x.tensor);
    for (int d = 0; d < directions; ++d) {
      const void *hh = weight_hh[d].data<char>(name), *ih = weight_ih[d].data<char>(name);
      const bool same = d == 0 && in_order && kind != RecurrentKind::gru;
      if (!same && !of_input) of_input = memory(n, batch, rows);
      void* dh_here = at(dh, d * batch * hidden);
      for (std::int64_t s = n - 1; s >= 0; --s) {
        void* step = at(of_state, s * batch * rows);
        cell_backward_on_device({kind, dtype, batch, hidden, kept_at(d, s), state_at(h, d, s), state_at(c, d, s), state_at(c, d, s + 1),
                                 rows_at(dy, d, s, width, d * hidden), dh_here, dc ? at(dc, d * batch * hidden) : nullptr,
                                 same ? CellRows{nullptr, 0} : rows_at(of_input, d, s, rows, 0), step});
        if (s > 0 || edges[1]) multiply(dh_here, batch, hidden, rows, step, rows, 1, hh, hidden, 1, direct);
      }
      const void* dinput = same ? of_state->data : of_input->data;
      if (dx) multiply(dx->data, shape.rows(), shape.input, rows, dinput, rows, 1, ih, shape.input, 1, d > 0);
      give_gradients(d, 0, dinput, x.tensor->data, shape.input);
      give_gradients(d, 1, of_state->data, state_at(h, d, 0), hidden);
    }
    if (dx) give(edges[0], dx);
    if (edges[1]) give(edges[1], dh);
    if (edges[2]) give(edges[2], dc);
  }
  void release() {
    h.reset(), c.reset(), kept.reset();
    x = KeptTensor();
    for (int d = 0; d < 2; ++d) weight_ih[d] = weight_hh[d] = KeptTensor();
  }

 private:
  // to (m, n) = a (m, k) @ b (k, n), with the steps of a and b from row to row and from column to column.
  void multiply(void* to, std::int64_t m, std::int64_t n, std::int64_t k, const void* a, std::int64_t a_row, std::int64_t a_column,
                const void* b, std::int64_t b_row, std::int64_t b_column, bool add = false, void* sums = nullptr) const {
    if (k == 0) {
      if (!add) put(to, nullptr, m * n);
      if (sums) put(sums, nullptr, m);
      return;
    }
    MatmulArgs p{};
    p.dtype = dtype, p.m = m, p.n = n, p.k = k, p.batch = 1;
    p.a = a, p.a_row = a_row, p.a_column = a_column;
    p.b = b, p.b_row = b_row, p.b_column = b_column;
    p.c = to, p.c_row = n, p.c_column = 1;
    p.add = add, p.sums = sums;
    multiply_on_device(p);
  }
  Ref<TensorImpl> begun(const Ref<TensorImpl>& grad, const Edge& edge) const {
    const Ref<TensorImpl> t = edge ? empty_dense(dtype, edge.shape(), device) : memory(directions, shape.batch, hidden);
    put(t->data, grad ? grad->data : nullptr, directions * shape.batch * hidden);
    return t;
  }
  // Of the weight `which` (of input or state) and its bias, from the gradients of the gates and the rows that the weight met.
  void give_gradients(int d, int which, const void* dgates, const void* met, std::int64_t width) const {
    const Edge &of_weight = edge(d, which), &of_bias = edge(d, 2 + which);
    const Ref<TensorImpl> weight = of_weight ? empty_dense(dtype, of_weight.shape(), device) : Ref<TensorImpl>();
    const Ref<TensorImpl> bias = of_bias ? empty_dense(dtype, of_bias.shape(), device) : Ref<TensorImpl>();
    if (weight && width > 0)
      multiply(weight->data, gate_rows(), width, shape.rows(), dgates, 1, gate_rows(), met, width, 1, false, bias ? bias->data : nullptr);
    else if (bias)
      multiply(bias->data, gate_rows(), 1, shape.rows(), dgates, 1, gate_rows(), nullptr, 1, 1);
    if (weight) give(of_weight, weight);
    if (bias) give(of_bias, bias);
  }
};

}  // namespace SINTER_ABI
}  // namespace sinter
