// SPDX-License-Identifier: MIT
// One direction of a recurrent layer over a whole sequence. What the input contributes to the gates is one product made
// before; here, step by step, the product of the hidden state runs through registers straight into the cell, and on the way
// back the cell's slopes are followed by one product. Rows of the batch do not touch one another: threads take tiles of
// rows through all steps without waiting, and how they share them changes no bit.
#pragma once

#include "sinter/cpu/gemm.hpp"
#include "sinter/cpu/rnn_cells.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// Values of every row at every step, wherever they lie.
template <class T>
struct Steps {
  T* data = nullptr;
  std::int64_t step = 0, row = 0;
  T* at(std::int64_t s, std::int64_t b) const { return data + s * step + b * row; }
};

// The memory of a recurrence, in the order of its steps. xh: what enters a step, the input and the state before it side by
// side, and at the end the last state; c likewise. Without cells c is any valid memory.
template <class T>
struct Recurrence {
  std::int64_t steps, batch, input, hidden;
  bool from_zero;  // the first state is 0
  Steps<T> xh;     // (steps + 1, batch, input + hidden)
  Steps<T> c;      // (steps + 1, batch, hidden)
  Steps<T> gates;  // (steps, batch, columns * hidden)
};

// Rows of a register tile: with the four vectors beside them they fill the registers.
inline constexpr int recurrent_rows = simd_bytes == 64 ? 6 : 2;
inline std::int64_t recurrent_tiles(std::int64_t batch) { return (batch + recurrent_rows - 1) / recurrent_rows; }

// A matrix (depth, gates * hidden) in panels of gates * per vectors, each of them (depth, width): vector g * per + j of panel p
// holds the columns of gate g from unit (p * per + j) * width on, and zeros behind the last unit.
template <class T>
struct GatePanels {
  static constexpr int width = UnitLanes<T>::size;
  int vectors;
  std::int64_t depth, count;
  Scratch<T> data;

  GatePanels(Matrix<const T> m, int gates, int per)
      : vectors(gates * per), depth(m.rows), count((m.columns / gates + per * width - 1) / (per * width)), data(count * vectors * depth * width) {
    const std::int64_t hidden = m.columns / gates;
    for (std::int64_t p = 0; p < count; ++p)
      for (int v = 0; v < vectors; ++v) {
        const std::int64_t unit = std::min(hidden, (p * per + v % per) * width), lanes = std::min<std::int64_t>(width, hidden - unit);
        T* to = data.data + (p * vectors + v) * depth * width;
        const T* from = m.data + (v / per * hidden + unit) * m.column_step;
        for (std::int64_t k = 0; k < depth; ++k)
          for (std::int64_t l = 0; l < width; ++l) to[k * width + l] = l < lanes ? from[l * m.column_step + k * m.row_step] : T(0);
      }
  }
  const T* at(std::int64_t panel, std::int64_t k) const { return data.data + panel * vectors * depth * width + k * width; }
};

// sum[r][v] += row r of `a` times vector v of the panel, over n elements.
template <int R, int V, class T>
void multiply_rows(typename UnitLanes<T>::V (&sum)[R][V], const T* a, std::int64_t a_step, const T* panel, std::int64_t panel_step, std::int64_t n) {
  using L = UnitLanes<T>;
  typename L::V local[R][V];  // not `sum`: whose address is taken stays in memory
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) local[r][v] = sum[r][v];
  for (std::int64_t k = 0; k < n; ++k, panel += L::size) {
    typename L::V right[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) right[v] = L::load(panel + v * panel_step).v;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) local[r][v] += a[r * a_step + k] * right[v];
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[r][v] = local[r][v];
}

// f(rows, b) for the rows [begin, end), a tile at a time, the rest row by row.
template <class F>
void for_row_tiles(std::int64_t begin, std::int64_t end, F&& f) {
  std::int64_t b = begin;
  for (; b + recurrent_rows <= end; b += recurrent_rows) f(std::integral_constant<int, recurrent_rows>(), b);
  for (; b < end; ++b) f(std::integral_constant<int, 1>(), b);
}

// All steps of the rows [begin, end), whose states also go to y. `w` is W_hh^T, `start` holds the biases of the gates, packed
// likewise; `bias` is the one that a cell adds itself.
template <class Cell, class T>
void recurrent_forward(const Recurrence<T>& q, Steps<T> y, const GatePanels<T>& w, const GatePanels<T>& start, const T* bias,
                       std::int64_t begin, std::int64_t end) {
  using L = UnitLanes<T>;
  constexpr int per = Cell::per, V = Cell::gates * per;
  for (std::int64_t s = 0; s < q.steps; ++s)
    for (std::int64_t p = 0; p < w.count; ++p)
      for_row_tiles(begin, end, [&](auto rows, std::int64_t b) {
        constexpr int R = rows.value;
        typename L::V sum[R][V];
        for (int r = 0; r < R; ++r)
          for (int v = 0; v < V; ++v) sum[r][v] = L::load(start.at(p, 0) + v * L::size).v;
        multiply_rows<R, V, T>(sum, q.xh.at(s, b) + q.input, q.xh.row, w.at(p, 0), w.depth * L::size, s == 0 && q.from_zero ? 0 : w.depth);
        for (int r = 0; r < R; ++r)
          for (int j = 0; j < per; ++j) {
            const std::int64_t unit = (p * per + j) * L::size;
            if (unit >= q.hidden) break;
            const Units<T> units{q.hidden - unit};
            L mine[Cell::gates];
            for (int g = 0; g < Cell::gates; ++g) mine[g] = sum[r][g * per + j];
            const L h = Cell::forward(units,
                                      StepForward<T>{q.hidden, bias + unit, q.xh.at(s, b + r) + q.input + unit, q.c.at(s, b + r) + unit,
                                                     q.gates.at(s, b + r) + unit, q.c.at(s + 1, b + r) + unit},
                                      mine);
            units.store(q.xh.at(s + 1, b + r) + q.input + unit, h);
            units.store(y.at(s, b + r) + unit, h);
          }
      });
}

// What flows back through a recurrence.
template <class T>
struct RecurrenceBack {
  Steps<const T> dy;
  Steps<T> dh, dc;  // (1, batch, hidden): at first the gradients of the last states, at last those of the first
  Steps<T> dgates;
  T* sums;  // of dgates over the steps for every tile of rows: (tiles, columns * hidden)
  bool want_h0;
};

// Row by row the cell's slopes at step s.
template <class Cell, class T>
void step_backward(const Recurrence<T>& q, const RecurrenceBack<T>& back, std::int64_t s, std::int64_t begin, std::int64_t end) {
  using L = UnitLanes<T>;
  constexpr int columns = Cell::columns;
  T* sums = back.sums + begin / recurrent_rows * columns * q.hidden;
  for (std::int64_t unit = 0; unit < q.hidden; unit += L::size) {
    const Units<T> units{q.hidden - unit};
    L total[columns];
    for (int k = 0; k < columns; ++k) total[k] = units.load(sums + k * q.hidden + unit);
    for (std::int64_t b = begin; b < end; ++b) {
      L d[columns];
      Cell::backward(units,
                     StepBackward<T>{q.hidden, q.gates.at(s, b) + unit, q.xh.at(s, b) + q.input + unit, q.c.at(s, b) + unit, q.c.at(s + 1, b) + unit,
                                     back.dy.at(s, b) + unit, back.dh.at(0, b) + unit, back.dc.at(0, b) + unit},
                     d);
      for (int k = 0; k < columns; ++k) {
        units.store(back.dgates.at(s, b) + k * q.hidden + unit, d[k]);
        total[k] = total[k] + d[k];
      }
    }
    for (int k = 0; k < columns; ++k) units.store(sums + k * q.hidden + unit, total[k]);
  }
}

// All steps of the rows [begin, end), the last first. `w` is W_hh, in four vectors a panel.
template <class Cell, class T>
void recurrent_backward(const Recurrence<T>& q, const RecurrenceBack<T>& back, const GatePanels<T>& w, std::int64_t begin, std::int64_t end) {
  using L = UnitLanes<T>;
  constexpr int V = 4;
  constexpr std::int64_t chunk = 128;  // of the gates: so much of a panel stays in the first cache
  for (std::int64_t s = q.steps - 1; s >= 0; --s) {
    for (std::int64_t b = begin; b < end; b += recurrent_rows) step_backward<Cell>(q, back, s, b, std::min(end, b + recurrent_rows));
    if (s == 0 && !back.want_h0) return;
    for (std::int64_t k = 0; k < w.depth; k += chunk)
      for (std::int64_t p = 0; p < w.count; ++p)
        for_row_tiles(begin, end, [&](auto rows, std::int64_t b) {
          constexpr int R = rows.value;
          const std::int64_t unit = p * V * L::size;
          const auto each = [&](auto f) {
            for (int r = 0; r < R; ++r)
              for (int v = 0; v < V && unit + v * L::size < q.hidden; ++v)
                f(Units<T>{q.hidden - unit - v * L::size}, back.dh.at(0, b + r) + unit + v * L::size, r, v);
          };
          typename L::V sum[R][V] = {};
          if (k > 0 || Cell::direct) each([&](Units<T> units, const T* dh, int r, int v) { sum[r][v] = units.load(dh).v; });
          multiply_rows<R, V, T>(sum, back.dgates.at(s, b) + Cell::hidden_column * q.hidden + k, back.dgates.row, w.at(p, k), w.depth * L::size,
                                 std::min(chunk, w.depth - k));
          each([&](Units<T> units, T* dh, int r, int v) { units.store(dh, sum[r][v]); });
        });
  }
}

// f(direction, begin, end): the rows of every direction, over the threads in whole tiles.
template <class F>
void over_rows(int directions, std::int64_t batch, std::int64_t work, F&& f) {
  const std::int64_t tiles = recurrent_tiles(batch), slices = std::max<std::int64_t>(1, std::min<std::int64_t>(tiles, get_num_threads()));
  parallel_for(directions * slices, work >= product_threshold, [&](std::int64_t i) {
    const std::int64_t slice = i % slices;
    f(int(i / slices), slice * tiles / slices * recurrent_rows, std::min(batch, (slice + 1) * tiles / slices * recurrent_rows));
  });
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
