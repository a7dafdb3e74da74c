// SPDX-License-Identifier: MIT
// The mathematics of recurrent cells, once for vectors of the host and threads of a device: a step forward from the sums of the
// products, and its slopes. And the device's kernels for a step of a whole batch.
#pragma once

#include <cstdint>

#include "sinter/core/backend.hpp"
#include "sinter/core/config.hpp"
#include "sinter/core/dtype.hpp"

namespace sinter {

enum class RecurrentKind : int { rnn_tanh, rnn_relu, lstm, gru };

inline namespace SINTER_ABI {
namespace cell {

// A cell says: gates, those of its weights; columns, the sums that it starts from and the values it keeps, for each unit; in
// which column the input's sum for a gate goes (the state's go to as many columns as there are gates, from hidden_column on);
// whether it has a c; direct, whether h reaches the next step by other ways than the product.
//   h' = forward(sum, h, c, kept, c'): c becomes c' where there is one.
//   backward(kept, h, c, c', dh, dc, d): d are the gradients of the sums; dh and dc become those of h, without the products,
//   and c.

// h' = f(gate); kept: h'. F: f(x) and its slope dy(f(x)).
template <class F>
struct Elman {
  static constexpr int gates = 1, columns = 1, hidden_column = 0;
  static constexpr bool has_c = false, direct = false;
  SINTER_HOST_DEVICE static constexpr int input_column(int gate) { return gate; }

  template <class V>
  SINTER_HD static V forward(const V* sum, const V&, const V&, V* kept, V&) { return kept[0] = F::f(sum[0]); }
  template <class V>
  SINTER_HD static void backward(const V* kept, const V&, const V&, const V&, V& dh, V&, V* d) { d[0] = dh * F::dy(kept[0]); }
};

// c' = f c + i g, h' = o tanh(c'); kept: i f g o. Hochreiter and Schmidhuber 1997, with forget gates. Words: Sigmoid and Tanh,
// both like F above.
template <class Words>
struct Lstm {
  static constexpr int gates = 4, columns = 4, hidden_column = 0;
  static constexpr bool has_c = true, direct = false;
  using Sigmoid = typename Words::Sigmoid;
  using Tanh = typename Words::Tanh;
  SINTER_HOST_DEVICE static constexpr int input_column(int gate) { return gate; }

  template <class V>
  SINTER_HD static V forward(const V* sum, const V&, const V& c_before, V* kept, V& c) {
    const V i = Sigmoid::f(sum[0]), f = Sigmoid::f(sum[1]);
    const V g = Tanh::f(sum[2]), o = Sigmoid::f(sum[3]);
    c = f * c_before + i * g;
    kept[0] = i, kept[1] = f, kept[2] = g, kept[3] = o;
    return o * Tanh::f(c);
  }
  template <class V>
  SINTER_HD static void backward(const V* kept, const V&, const V& c_before, const V& c, V& dh, V& dc, V* d) {
    const V i = kept[0], f = kept[1], g = kept[2], o = kept[3], t = Tanh::f(c);
    const V to_c = dc + dh * o * Tanh::dy(t);
    d[0] = to_c * g * Sigmoid::dy(i);
    d[1] = to_c * c_before * Sigmoid::dy(f);
    d[2] = to_c * i * Tanh::dy(g);
    d[3] = dh * t * Sigmoid::dy(o);
    dc = to_c * f;
  }
};

// n = tanh(x_n + r q), q = W_hn h + b_hn, h' = (1 - z) n + z h; kept: n r z q. Cho et al. 2014, in the form of cuDNN and
// PyTorch, whose weights have the gates in the order r z n.
template <class Words>
struct Gru {
  static constexpr int gates = 3, columns = 4, hidden_column = 1;
  static constexpr bool has_c = false, direct = true;
  using Sigmoid = typename Words::Sigmoid;
  using Tanh = typename Words::Tanh;
  SINTER_HOST_DEVICE static constexpr int input_column(int gate) { return gate == 2 ? 0 : gate + 1; }

  template <class V>
  SINTER_HD static V forward(const V* sum, const V& h_before, const V&, V* kept, V&) {
    const V r = Sigmoid::f(sum[1]), z = Sigmoid::f(sum[2]), n = Tanh::f(sum[0] + r * sum[3]);
    kept[0] = n, kept[1] = r, kept[2] = z, kept[3] = sum[3];
    return n + z * (h_before - n);
  }
  template <class V>
  SINTER_HD static void backward(const V* kept, const V& h_before, const V&, const V&, V& dh, V&, V* d) {
    const V n = kept[0], r = kept[1], z = kept[2], q = kept[3];
    d[0] = dh * (V(1) - z) * Tanh::dy(n);
    d[1] = d[0] * q * Sigmoid::dy(r);
    d[2] = dh * (h_before - n) * Sigmoid::dy(z);
    d[3] = d[0] * r;
    dh = dh * z;
  }
};

}  // namespace cell
}  // namespace SINTER_ABI

// ---- On a device

// Rows of the batch, `step` elements apart.
struct CellRows {
  void* data;
  std::int64_t step;
};

// A step of a batch, float or double. Memory without a step of its own is dense: (batch, hidden), kept (batch, columns * hidden),
// gates (batch, gates * hidden).
struct CellForward {
  RecurrentKind kind;
  DType dtype;
  std::int64_t batch, hidden;
  CellRows of_input;     // the input's products, (batch, gates * hidden)
  const void* of_state;  // the state's; null: 0
  const void *bias_ih, *bias_hh;  // both or neither
  const void *h_before, *c_before;
  void *kept, *h, *c;
  CellRows y;  // gets h once more
};
struct CellBackward {
  RecurrentKind kind;
  DType dtype;
  std::int64_t batch, hidden;
  const void *kept, *h_before, *c_before, *c;
  CellRows dy;     // null: 0
  void *dh, *dc;   // on the way in from the next step; on the way out the previous step's, dh without the products
  CellRows of_input;  // the gradients of the input's sums; null where those of the state's are the same
  void* of_state;
};
inline DeviceKernel<void(const CellForward&)> cell_forward_on_device{"recurrent step"};
inline DeviceKernel<void(const CellBackward&)> cell_backward_on_device{"recurrent step"};

}  // namespace sinter
