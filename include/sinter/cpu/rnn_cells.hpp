// SPDX-License-Identifier: MIT
// Recurrent cells (device/rnn.hpp) for a vector of neighbouring hidden units at a time: what a step loads and stores. How steps
// and products are arranged is rnn.hpp's.
#pragma once

#include "sinter/device/rnn.hpp"
#include "sinter/op/activation.hpp"
#include "sinter/op/unary.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

template <class T>
using UnitLanes = lane::Lanes<T, simd_bytes / int(sizeof(T))>;

// The first n units (all, if n is a vector or more) of a row; the lanes behind them are 0.
template <class T>
struct Units {
  using V = UnitLanes<T>;
  std::int64_t n;

  V load(const T* p) const {
    if (n >= V::size) return V::load(p);
    T a[V::size] = {};
    for (int i = 0; i < n; ++i) a[i] = p[i];
    return V::load(a);
  }
  void store(T* p, V v) const {
    if (n >= V::size) return v.store(p);
    T a[V::size];
    v.store(a);
    for (int i = 0; i < n; ++i) p[i] = a[i];
  }
};

// Where the values of a row's units lie at one step. `gates` points to the Cell::columns values that are kept for each unit,
// `hidden` apart.
template <class T>
struct StepForward {
  std::int64_t hidden;
  const T *h_before, *c_before;
  T *gates, *c;
};
template <class T>
struct StepBackward {
  std::int64_t hidden;
  const T *gates, *h_before, *c_before, *c, *dy;
  T *dh, *dc;  // on the way in, the gradients from the next step; on the way out, the previous step's, without the products
};

// Cell::input: a run of `count` gates, as it lies in `gates` (from `column`) and among the rows of the weights (from `row`).
struct GateRun {
  int column, row, count;
};

// To what a cell is, the CPU adds: input, the runs of gates that are sums over the input; per, how many vectors of one column
// are computed together.
struct CellWords {
  using Sigmoid = op::Sigmoid;
  using Tanh = op::Tanh;
};
template <class Op>
struct ElmanCell : cell::Elman<Op> {
  static constexpr RecurrentKind kind = std::is_same_v<Op, op::Relu> ? RecurrentKind::rnn_relu : RecurrentKind::rnn_tanh;
  static constexpr int per = 4;
  static constexpr GateRun input[1] = {{0, 0, 1}};  // nvcc does not count for itself in a template
};
struct LstmCell : cell::Lstm<CellWords> {
  static constexpr RecurrentKind kind = RecurrentKind::lstm;
  static constexpr int per = 1;
  static constexpr GateRun input[1] = {{0, 0, 4}};
};
struct GruCell : cell::Gru<CellWords> {
  static constexpr RecurrentKind kind = RecurrentKind::gru;
  static constexpr int per = 1;
  static constexpr GateRun input[2] = {{0, 2, 1}, {1, 0, 2}};
};

// h' of some units from their sums.
template <class Cell, class T, class V>
V cell_forward(Units<T> units, const StepForward<T>& s, const V* sum) {
  V kept[Cell::columns], c(T(0)), h_before(T(0)), c_before(T(0));
  if constexpr (Cell::direct) h_before = units.load(s.h_before);
  if constexpr (Cell::has_c) c_before = units.load(s.c_before);
  const V h = Cell::forward(sum, h_before, c_before, kept, c);
  for (int k = 0; k < Cell::columns; ++k) units.store(s.gates + k * s.hidden, kept[k]);
  if constexpr (Cell::has_c) units.store(s.c, c);
  return h;
}
// The gradients of their sums.
template <class Cell, class T, class V>
void cell_backward(Units<T> units, const StepBackward<T>& s, V* d) {
  V kept[Cell::columns], c(T(0)), h_before(T(0)), c_before(T(0)), dc(T(0)), dh = units.load(s.dh) + units.load(s.dy);
  for (int k = 0; k < Cell::columns; ++k) kept[k] = units.load(s.gates + k * s.hidden);
  if constexpr (Cell::direct) h_before = units.load(s.h_before);
  if constexpr (Cell::has_c) c_before = units.load(s.c_before), c = units.load(s.c), dc = units.load(s.dc);
  Cell::backward(static_cast<const V*>(kept), h_before, c_before, c, dh, dc, d);
  if constexpr (Cell::direct) units.store(s.dh, dh);
  if constexpr (Cell::has_c) units.store(s.dc, dc);
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
