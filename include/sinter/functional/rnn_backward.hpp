// SPDX-License-Identifier: MIT
// The way back through a recurrent layer: one walk over the steps, then one product for all weights of a direction and one
// for the input.
#pragma once

#include "sinter/autograd/function.hpp"
#include "sinter/cpu/rnn.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// How the rows of dense inputs and results lie: step t of sequence b is row t * step + b * row.
struct SequenceShape {
  std::int64_t steps, batch, input, step, row;
  std::int64_t rows() const { return steps * batch; }
  // All rows of `width` values in the order of the steps, which is the other way round in direction 1.
  template <class T>
  cpu::Steps<T> walk(T* data, std::int64_t width, int direction) const {
    const std::int64_t by = step * width;
    return direction == 1 ? cpu::Steps<T>{data + (steps - 1) * by, -by, row * width} : cpu::Steps<T>{data, by, row * width};
  }
};

template <class T>
T* data_of(const Ref<TensorImpl>& t) { return t ? static_cast<T*>(t->data) : nullptr; }

// A tensor kept for backward outside of the graph, whatever its rank.
struct KeptTensor {
  Ref<TensorImpl> tensor;
  SavedVersion version;
  KeptTensor() = default;
  explicit KeptTensor(const Ref<TensorImpl>& t) : tensor(TensorImpl::alias(*t)) { version.keep(t); }
  template <class T>
  const T* data(const char* op) const {
    version.check(op, tensor);
    return data_of<T>(tensor);
  }
};

// to (columns, rows) = from (rows, columns)^T
template <class T>
void transpose_into(T* to, std::int64_t to_step, const T* from, std::int64_t from_step, std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t block = 16;
  for (std::int64_t j0 = 0; j0 < columns; j0 += block)
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = j0; j < std::min(columns, j0 + block); ++j) to[j * to_step + i] = from[i * from_step + j];
}

// A layer's node, and what it keeps: memory of its own but for the weights. Its outputs are y and the last h and c.
template <class Cell, class T>
struct RecurrentLayer {
  static constexpr int states = 3, weights = 4;
  const char* name;
  SequenceShape shape;
  std::int64_t hidden;
  int directions;
  bool from_zero;
  Ref<TensorImpl> xh, c, gates;  // one behind another for each direction: see cpu::Recurrence
  KeptTensor weight_ih[2], weight_hh[2];
  Edge edges[states + 2 * weights];  // x, h0, c0, then for each direction weight_ih, weight_hh, bias_ih, bias_hh

  std::int64_t depth() const { return shape.input + hidden; }
  std::int64_t columns() const { return Cell::columns * hidden; }
  std::int64_t gate_rows() const { return Cell::gates * hidden; }
  std::int64_t work() const { return 2 * shape.rows() * directions * gate_rows() * hidden; }
  const Edge& edge(int d, int which) const { return edges[states + d * weights + which]; }
  // Dense values (count, batch, width) of direction d.
  template <class P>
  cpu::Steps<P> own(P* data, std::int64_t count, std::int64_t width, int d) const {
    return {data + d * count * shape.batch * width, shape.batch * width, width};
  }
  cpu::Recurrence<T> recurrence(int d) const {
    const std::int64_t n = shape.steps;
    const cpu::Steps<T> entering = own(data_of<T>(xh), n + 1, depth(), d);
    return {n, shape.batch, shape.input, hidden, from_zero, entering, Cell::has_c ? own(data_of<T>(c), n + 1, hidden, d) : entering,
            own(data_of<T>(gates), n, columns(), d)};
  }

  void run(Node& node) {
    const std::int64_t batch = shape.batch, tiles = cpu::RowTiles(batch).count, width = directions * hidden;
    cpu::Scratch<T> dgates(directions * shape.rows() * columns()), sums(directions * tiles * columns()), zeros(hidden);
    std::fill_n(sums.data, directions * tiles * columns(), T(0));
    std::fill_n(zeros.data, hidden, T(0));
    const Ref<TensorImpl> dh = begun(node.outputs[1].grad, edges[1]), dc = Cell::has_c ? begun(node.outputs[2].grad, edges[2]) : dh;
    const T* dy = data_of<const T>(node.outputs[0].grad);
    const T *hh[2] = {}, *ih[2] = {};
    for (int d = 0; d < directions; ++d) hh[d] = weight_hh[d].template data<T>(name), ih[d] = weight_ih[d].template data<T>(name);

    cpu::over_tiles(directions, batch, work(), [&](int d, std::int64_t first, std::int64_t last) {
      const cpu::GatePanels<T> panels(cpu::Matrix<const T>{hh[d], gate_rows(), hidden, hidden, 1}, 1, 4);
      const cpu::Steps<const T> from_y = dy ? shape.walk(dy + d * hidden, width, d) : cpu::Steps<const T>{zeros.data, 0, 0};
      const cpu::RecurrenceBack<T> back{from_y,
                                        own(data_of<T>(dh), 1, hidden, d),
                                        own(data_of<T>(dc), 1, hidden, d),
                                        own(dgates.data, shape.steps, columns(), d),
                                        sums.data + d * tiles * columns(),
                                        bool(edges[1])};
      cpu::recurrent_backward<Cell>(recurrence(d), back, panels, first, last);
    });

    if (edges[0]) give(edges[0], input_gradient(dgates.data, ih));
    if (edges[1]) give(edges[1], dh);
    if (edges[2]) give(edges[2], dc);
    for (int d = 0; d < directions; ++d) {
      weight_gradients(d, own(dgates.data, shape.steps, columns(), d).data);
      bias_gradients(d, sums.data + d * tiles * columns(), tiles);
    }
  }
  void release() {
    xh.reset(), c.reset(), gates.reset();
    for (int d = 0; d < 2; ++d) weight_ih[d] = weight_hh[d] = KeptTensor();
  }

 private:
  // The gradient of a last state (0 where none has come), to become that of the first.
  Ref<TensorImpl> begun(const Ref<TensorImpl>& grad, const Edge& edge) const {
    const Shape<3> all{{directions, shape.batch, hidden}};
    const Ref<TensorImpl> t = edge ? empty_dense(dtype_of<T>(), edge.shape(), edge.device()) : TensorImpl::empty(dtype_of<T>(), all);
    if (grad) std::copy_n(data_of<T>(grad), all.numel(), data_of<T>(t));
    else std::fill_n(data_of<T>(t), all.numel(), T(0));
    return t;
  }
  // In the order of the steps first, then to where the rows of x lie.
  Ref<TensorImpl> input_gradient(const T* dgates, const T* const* ih) const {
    const Ref<TensorImpl> dx = empty_dense(dtype_of<T>(), edges[0].shape(), edges[0].device());
    const std::int64_t n = shape.input;
    cpu::Scratch<T> part(shape.rows() * n);
    for (int d = 0; d < directions; ++d) {
      bool add = false;
      for (const cpu::GateRun& g : Cell::input) {
        const T* from = own(dgates, shape.steps, columns(), d).data + g.column * hidden;
        cpu::product<T>(cpu::Matrix<const T>{from, shape.rows(), g.count * hidden, columns(), 1},
                        cpu::Matrix<const T>{ih[d] + g.row * hidden * n, g.count * hidden, n, n, 1},
                        cpu::Matrix<T>{part.data, shape.rows(), n, n, 1}, add);
        add = true;
      }
      const cpu::Steps<T> to = shape.walk(data_of<T>(dx), n, d);
      parallel_for(shape.steps, shape.rows() * n >= parallel_threshold, [&](std::int64_t s) {
        for (std::int64_t b = 0; b < shape.batch; ++b) {
          const T* row = part.data + (s * shape.batch + b) * n;
          for (std::int64_t i = 0; i < n; ++i) to.at(s, b)[i] = d == 0 ? row[i] : to.at(s, b)[i] + row[i];
        }
      });
    }
    return dx;
  }
  // (x, h)^T @ dgates is the transposed gradient of both weights; where they have different gates, of one after the other.
  void weight_gradients(int d, const T* dgates) const {
    if (!edge(d, 0) && !edge(d, 1)) return;
    const cpu::Recurrence<T> q = recurrence(d);
    const Ref<TensorImpl> of_input = empty_dense(dtype_of<T>(), weight_ih[d].tensor->shape(), weight_ih[d].tensor->device());
    const Ref<TensorImpl> of_hidden = empty_dense(dtype_of<T>(), weight_hh[d].tensor->shape(), weight_hh[d].tensor->device());
    constexpr bool same = Cell::hidden_column == 0;
    const std::int64_t first = same || edge(d, 0) ? 0 : shape.input, last = edge(d, 1) ? depth() : shape.input;
    cpu::Scratch<T> sums(depth() * gate_rows());
    const auto multiply = [&](std::int64_t from, std::int64_t to, int column) {
      cpu::product<T>(cpu::Matrix<const T>{q.xh.data + from, shape.rows(), to - from, depth(), 1}.t(),
                      cpu::Matrix<const T>{dgates + column * hidden, shape.rows(), gate_rows(), columns(), 1},
                      cpu::Matrix<T>{sums.data + from * gate_rows(), to - from, gate_rows(), gate_rows(), 1});
    };
    if (same) {
      multiply(first, last, 0);
    } else {
      if (first < shape.input) multiply(first, shape.input, 0);
      if (last > shape.input) multiply(shape.input, last, Cell::hidden_column);
    }
    if (edge(d, 0)) {
      for (const cpu::GateRun& g : Cell::input)
        transpose_into(data_of<T>(of_input) + g.row * hidden * shape.input, shape.input, sums.data + g.column * hidden, gate_rows(),
                       shape.input, g.count * hidden);
      give(edge(d, 0), of_input);
    }
    if (edge(d, 1)) {
      transpose_into(data_of<T>(of_hidden), hidden, sums.data + shape.input * gate_rows(), gate_rows(), hidden, gate_rows());
      give(edge(d, 1), of_hidden);
    }
  }
  void bias_gradients(int d, const T* sums, std::int64_t tiles) const {
    if (!edge(d, 2) && !edge(d, 3)) return;
    cpu::Scratch<T> total(columns());
    std::fill_n(total.data, columns(), T(0));
    for (std::int64_t i = 0; i < tiles; ++i)
      for (std::int64_t k = 0; k < columns(); ++k) total.data[k] += sums[i * columns() + k];
    const Ref<TensorImpl> of_input = TensorImpl::empty(dtype_of<T>(), Shape<1>{{gate_rows()}});
    const Ref<TensorImpl> of_hidden = TensorImpl::empty(dtype_of<T>(), Shape<1>{{gate_rows()}});
    for (const cpu::GateRun& g : Cell::input)
      std::copy_n(total.data + g.column * hidden, g.count * hidden, data_of<T>(of_input) + g.row * hidden);
    std::copy_n(total.data + Cell::hidden_column * hidden, gate_rows(), data_of<T>(of_hidden));
    if (edge(d, 2)) give(edge(d, 2), of_input);
    if (edge(d, 3)) give(edge(d, 3), of_hidden);
  }
};

}  // namespace SINTER_ABI
}  // namespace sinter
