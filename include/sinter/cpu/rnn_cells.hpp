// SPDX-License-Identifier: MIT
// The mathematics of recurrent cells, for a vector of neighbouring hidden units at a time: one step forward from the sums of
// the products, and its slopes. How steps and products are arranged is rnn.hpp's.
#pragma once

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

// A cell says: gates, those of its weights; columns, the sums that it starts from and the values it keeps, for each unit; which
// of them are sums over the input (Cell::input) and over the state (as many as gates, from hidden_column on); per, how many
// vectors of one column are computed together; direct, whether h reaches the next step by other ways than the product.
// forward() gives h'; backward() the gradients of the sums.

// h' = f(gate); kept: h'.
template <class Op>
struct ElmanCell {
  static constexpr int gates = 1, columns = 1, hidden_column = 0, per = 4;
  static constexpr bool has_c = false, direct = false;
  static constexpr GateRun input[] = {{0, 0, 1}};

  template <class T, class V>
  static V forward(Units<T> units, const StepForward<T>& s, const V* sum) {
    const V h = Op::f(sum[0]);
    units.store(s.gates, h);
    return h;
  }
  template <class T, class V>
  static void backward(Units<T> units, const StepBackward<T>& s, V* d) {
    const V dh = units.load(s.dh) + units.load(s.dy);
    d[0] = dh * Op::dy(units.load(s.gates));
  }
};

// c' = f c + i g, h' = o tanh(c'); kept: i f g o. Hochreiter and Schmidhuber 1997, with forget gates.
struct LstmCell {
  static constexpr int gates = 4, columns = 4, hidden_column = 0, per = 1;
  static constexpr bool has_c = true, direct = false;
  static constexpr GateRun input[] = {{0, 0, 4}};

  template <class T, class V>
  static V forward(Units<T> units, const StepForward<T>& s, const V* sum) {
    T* p = s.gates;
    const V i = op::Sigmoid::f(sum[0]), f = op::Sigmoid::f(sum[1]);
    const V g = op::Tanh::f(sum[2]), o = op::Sigmoid::f(sum[3]);
    const V c = f * units.load(s.c_before) + i * g;
    units.store(p, i), units.store(p + s.hidden, f), units.store(p + 2 * s.hidden, g), units.store(p + 3 * s.hidden, o);
    units.store(s.c, c);
    return o * op::Tanh::f(c);
  }
  template <class T, class V>
  static void backward(Units<T> units, const StepBackward<T>& s, V* d) {
    const T* p = s.gates;
    const V i = units.load(p), f = units.load(p + s.hidden), g = units.load(p + 2 * s.hidden), o = units.load(p + 3 * s.hidden);
    const V dh = units.load(s.dh) + units.load(s.dy), t = op::Tanh::f(units.load(s.c));
    const V dc = units.load(s.dc) + dh * o * op::Tanh::dy(t);
    d[0] = dc * g * op::Sigmoid::dy(i);
    d[1] = dc * units.load(s.c_before) * op::Sigmoid::dy(f);
    d[2] = dc * i * op::Tanh::dy(g);
    d[3] = dh * t * op::Sigmoid::dy(o);
    units.store(s.dc, dc * f);
  }
};

// n = tanh(x_n + r q), q = W_hn h + b_hn, h' = (1 - z) n + z h; kept: n r z q. Cho et al. 2014, in the form of cuDNN and
// PyTorch, whose weights have the gates in the order r z n.
struct GruCell {
  static constexpr int gates = 3, columns = 4, hidden_column = 1, per = 1;
  static constexpr bool has_c = false, direct = true;
  static constexpr GateRun input[] = {{0, 2, 1}, {1, 0, 2}};

  template <class T, class V>
  static V forward(Units<T> units, const StepForward<T>& s, const V* sum) {
    T* p = s.gates;
    const V r = op::Sigmoid::f(sum[1]), z = op::Sigmoid::f(sum[2]), n = op::Tanh::f(sum[0] + r * sum[3]);
    units.store(p, n), units.store(p + s.hidden, r), units.store(p + 2 * s.hidden, z), units.store(p + 3 * s.hidden, sum[3]);
    return n + z * (units.load(s.h_before) - n);
  }
  template <class T, class V>
  static void backward(Units<T> units, const StepBackward<T>& s, V* d) {
    const T* p = s.gates;
    const V n = units.load(p), r = units.load(p + s.hidden), z = units.load(p + 2 * s.hidden), q = units.load(p + 3 * s.hidden);
    const V dh = units.load(s.dh) + units.load(s.dy);
    d[0] = dh * (V(T(1)) - z) * op::Tanh::dy(n);
    d[1] = d[0] * q * op::Sigmoid::dy(r);
    d[2] = dh * (units.load(s.h_before) - n) * op::Sigmoid::dy(z);
    d[3] = d[0] * r;
    units.store(s.dh, dh * z);
  }
};

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
