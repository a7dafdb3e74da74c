// SPDX-License-Identifier: MIT
// One direction of a recurrent layer over a whole sequence. Step by step the products of the input and of the state run
// through registers into the cell, and on the way back the cell's slopes are followed by one product. Rows of the batch do not
// touch one another: threads take tiles of rows through all steps without waiting, and how they share them changes no bit.
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

// The batch in tiles of as equal height as possible, none of more rows than fit in registers with the four vectors beside them.
struct RowTiles {
  static constexpr int most = simd_bytes == 64 ? 6 : 2;
  std::int64_t batch, count;
  explicit RowTiles(std::int64_t rows) : batch(rows), count((rows + most - 1) / most) {}
  std::int64_t begin(std::int64_t tile) const { return tile * batch / count; }
  int rows(std::int64_t tile) const { return int(begin(tile + 1) - begin(tile)); }
};

// A matrix (depth, gates * hidden) in panels of gates * per vectors, each of them (depth, width): vector g * per + j of panel p
// holds the columns of gate g from unit (p * per + j) * width on, and zeros behind the last unit.
template <class T>
struct GatePanels {
  static constexpr int width = UnitLanes<T>::size;
  int vectors;
  std::int64_t depth, count;
  Scratch<T> data;

  // Gate g of the panels is gate order[g] of the matrix, or g.
  GatePanels(Matrix<const T> m, int gates, int per, const int* order = nullptr)
      : vectors(gates * per), depth(m.rows), count((m.columns / gates + per * width - 1) / (per * width)),
        data(count * vectors * depth * width) {
    const std::int64_t hidden = m.columns / gates;
    for (std::int64_t p = 0; p < count; ++p)
      for (int v = 0; v < vectors; ++v) {
        const std::int64_t unit = std::min(hidden, (p * per + v % per) * width), gate = order ? order[v / per] : v / per;
        const std::int64_t lanes = std::min<std::int64_t>(width, hidden - unit);
        T* to = data.data + (p * vectors + v) * depth * width;
        const T* from = m.data + (gate * hidden + unit) * m.column_step;
        for (std::int64_t k = 0; k < depth; ++k)
          for (std::int64_t l = 0; l < width; ++l)
            to[k * width + l] = l < lanes ? from[l * m.column_step + k * m.row_step] : T(0);
      }
  }
  const T* at(std::int64_t panel, std::int64_t k) const { return data.data + panel * vectors * depth * width + k * width; }
  std::int64_t step() const { return depth * width; }  // from vector to vector
};

// Sums of a register tile: row r, vector v at data + (r * vectors + v) * width.
template <class T>
struct TileSums {
  T* data;
  int vectors;
};

// sums(r, v) += row r of `a` times vector v of the panel, over n elements, for V vectors and up to R rows.
template <int R, int V, class T>
void multiply_rows(int rows, TileSums<T> sums, const T* a, std::int64_t a_step, const T* panel, std::int64_t panel_step,
                   std::int64_t n) {
  if constexpr (R > 1)
    if (rows < R) return multiply_rows<R - 1, V>(rows, sums, a, a_step, panel, panel_step, n);
  using L = UnitLanes<T>;
  typename L::V sum[R][V];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[r][v] = L::load(sums.data + (r * sums.vectors + v) * L::size).v;
  for (std::int64_t k = 0; k < n; ++k, panel += L::size) {
    typename L::V right[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) right[v] = L::load(panel + v * panel_step).v;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] += a[r * a_step + k] * right[v];
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) L(sum[r][v]).store(sums.data + (r * sums.vectors + v) * L::size);
}

// The weights of a recurrence as the steps read them. `input` is empty where its products already lie in the gates.
template <class T>
struct ForwardPanels {
  const GatePanels<T>*input, *state, *bias;  // W_ih^T in the order of the columns, W_hh^T, the biases (1, columns * hidden)
};

// All steps of the tiles [first, last), whose states also go to y.
template <class Cell, class T>
void recurrent_forward(const Recurrence<T>& q, Steps<T> y, const ForwardPanels<T>& w, std::int64_t first, std::int64_t last) {
  using L = UnitLanes<T>;
  constexpr int per = Cell::per, columns = Cell::columns, V = columns * per, G = Cell::gates * per;
  alignas(64) T memory[RowTiles::most * V * L::size];
  const TileSums<T> sums{memory, V}, of_state{memory + Cell::hidden_column * per * L::size, V};
  const RowTiles tiles(q.batch);
  for (std::int64_t s = 0; s < q.steps; ++s)
    for (std::int64_t p = 0; p < w.state->count; ++p)
      for (std::int64_t tile = first; tile < last; ++tile) {
        const std::int64_t b = tiles.begin(tile);
        const int rows = tiles.rows(tile);
        // f(units, unit, row, sums) for the vectors of the panel; sums[k * per * L::size] is column k.
        const auto each = [&](auto f) {
          for (int r = 0; r < rows; ++r)
            for (int j = 0; j < per && (p * per + j) * L::size < q.hidden; ++j) {
              const std::int64_t unit = (p * per + j) * L::size;
              f(Units<T>{q.hidden - unit}, unit, b + r, memory + (r * V + j) * L::size);
            }
        };
        for (int r = 0; r < rows; ++r) std::copy_n(w.bias->at(p, 0), V * L::size, memory + r * V * L::size);
        if (w.input)
          multiply_rows<RowTiles::most, G>(rows, sums, q.xh.at(s, b), q.xh.row, w.input->at(p, 0), w.input->step(), w.input->depth);
        else
          each([&](Units<T> units, std::int64_t unit, std::int64_t row, T* at) {
            for (int k = 0; k < Cell::gates; ++k) {
              T* column = at + k * per * L::size;
              (L::load(column) + units.load(q.gates.at(s, row) + k * q.hidden + unit)).store(column);
            }
          });
        if (s > 0 || !q.from_zero)
          multiply_rows<RowTiles::most, G>(rows, of_state, q.xh.at(s, b) + q.input, q.xh.row, w.state->at(p, 0), w.state->step(),
                                           w.state->depth);
        each([&](Units<T> units, std::int64_t unit, std::int64_t row, const T* at) {
          L sum[columns];
          for (int k = 0; k < columns; ++k) sum[k] = L::load(at + k * per * L::size);
          const StepForward<T> here{q.hidden, q.xh.at(s, row) + q.input + unit, q.c.at(s, row) + unit, q.gates.at(s, row) + unit,
                                    q.c.at(s + 1, row) + unit};
          const L h = cell_forward<Cell>(units, here, static_cast<const L*>(sum));
          units.store(q.xh.at(s + 1, row) + q.input + unit, h);
          units.store(y.at(s, row) + unit, h);
        });
      }
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

// The cell's slopes at step s for the rows of a tile.
template <class Cell, class T>
void step_backward(const Recurrence<T>& q, const RecurrenceBack<T>& back, std::int64_t s, std::int64_t tile) {
  using L = UnitLanes<T>;
  constexpr int columns = Cell::columns;
  const RowTiles tiles(q.batch);
  T* sums = back.sums + tile * columns * q.hidden;
  for (std::int64_t b = tiles.begin(tile); b < tiles.begin(tile + 1); ++b)
    for (std::int64_t unit = 0; unit < q.hidden; unit += L::size) {
      const Units<T> units{q.hidden - unit};
      const StepBackward<T> here{q.hidden,
                                 q.gates.at(s, b) + unit,
                                 q.xh.at(s, b) + q.input + unit,
                                 q.c.at(s, b) + unit,
                                 q.c.at(s + 1, b) + unit,
                                 back.dy.at(s, b) + unit,
                                 back.dh.at(0, b) + unit,
                                 back.dc.at(0, b) + unit};
      L d[columns];
      cell_backward<Cell>(units, here, d);
      for (int k = 0; k < columns; ++k) {
        units.store(back.dgates.at(s, b) + k * q.hidden + unit, d[k]);
        units.store(sums + k * q.hidden + unit, units.load(sums + k * q.hidden + unit) + d[k]);
      }
    }
}

// All steps of the tiles [first, last), the last step first. `w` is W_hh, in four vectors a panel.
template <class Cell, class T>
void recurrent_backward(const Recurrence<T>& q, const RecurrenceBack<T>& back, const GatePanels<T>& w, std::int64_t first,
                        std::int64_t last) {
  using L = UnitLanes<T>;
  constexpr int V = 4;
  constexpr std::int64_t chunk = 128;  // of the gates: so much of a panel stays in the first cache
  alignas(64) T memory[RowTiles::most * V * L::size];
  const TileSums<T> sums{memory, V};
  const RowTiles tiles(q.batch);
  for (std::int64_t s = q.steps - 1; s >= 0; --s) {
    for (std::int64_t tile = first; tile < last; ++tile) step_backward<Cell>(q, back, s, tile);
    if (s == 0 && !back.want_h0) return;
    for (std::int64_t k = 0; k < w.depth; k += chunk)
      for (std::int64_t p = 0; p < w.count; ++p)
        for (std::int64_t tile = first; tile < last; ++tile) {
          const std::int64_t b = tiles.begin(tile), unit = p * V * L::size;
          const int rows = tiles.rows(tile);
          const auto each = [&](auto f) {
            for (int r = 0; r < rows; ++r)
              for (int v = 0; v < V && unit + v * L::size < q.hidden; ++v) {
                const std::int64_t at = unit + v * L::size;
                f(Units<T>{q.hidden - at}, back.dh.at(0, b + r) + at, memory + (r * V + v) * L::size);
              }
          };
          if (k > 0 || Cell::direct) each([](Units<T> units, const T* dh, T* sum) { units.load(dh).store(sum); });
          else std::fill_n(memory, rows * V * L::size, T(0));
          multiply_rows<RowTiles::most, V>(rows, sums, back.dgates.at(s, b) + Cell::hidden_column * q.hidden + k, back.dgates.row,
                                           w.at(p, k), w.step(), std::min(chunk, w.depth - k));
          each([](Units<T> units, T* dh, const T* sum) { units.store(dh, UnitLanes<T>::load(sum)); });
        }
  }
}

// f(direction, first, last): the tiles of every direction, over the threads.
template <class F>
void over_tiles(int directions, std::int64_t batch, std::int64_t work, F&& f) {
  const std::int64_t tiles = RowTiles(batch).count;
  const std::int64_t slices = std::max<std::int64_t>(1, std::min<std::int64_t>(tiles, get_num_threads()));
  parallel_for(directions * slices, work >= product_threshold, [&](std::int64_t i) {
    const std::int64_t slice = i % slices;
    f(int(i / slices), slice * tiles / slices, (slice + 1) * tiles / slices);
  });
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
