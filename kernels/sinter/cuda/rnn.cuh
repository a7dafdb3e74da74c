// SPDX-License-Identifier: MIT
// A step of a recurrent layer for a whole batch, forward and backward: all that is not a product, a thread to each hidden unit.
// The mathematics is device/rnn.hpp's.
#pragma once

#include "sinter/cuda/runtime.cuh"
#include "sinter/device/rnn.hpp"

namespace sinter {
namespace cuda {

constexpr int cell_threads = 128;

struct CellWords {
  struct Sigmoid {
    template <class C>
    __device__ __forceinline__ static C f(C x) { return C(1) / (C(1) + ::exp(-x)); }
    template <class C>
    __device__ __forceinline__ static C dy(C y) { return y * (C(1) - y); }
  };
  struct Tanh {
    template <class C>
    __device__ __forceinline__ static C f(C x) { return ::tanh(x); }
    template <class C>
    __device__ __forceinline__ static C dy(C y) { return C(1) - y * y; }
  };
  struct Relu {
    template <class C>
    __device__ __forceinline__ static C f(C x) { return x <= C(0) ? C(0) : x; }
    template <class C>
    __device__ __forceinline__ static C dy(C y) { return y <= C(0) ? C(0) : C(1); }
  };
};

template <class Cell, class C>
__global__ void __launch_bounds__(cell_threads) cell_forward_kernel(CellForward s) {
#if SINTER_DEVICE_CODE
  const std::int64_t hidden = s.hidden, i = std::int64_t(blockIdx.x) * cell_threads + threadIdx.x;
  if (i >= s.batch * hidden) return;
  const std::int64_t row = i / hidden, unit = i % hidden;
  const C* of_input = static_cast<const C*>(s.of_input.data) + row * s.of_input.step + unit;
  const C* of_state = static_cast<const C*>(s.of_state) + row * Cell::gates * hidden + unit;
  C sum[Cell::columns] = {}, kept[Cell::columns], c = C(0);
#pragma unroll
  for (int g = 0; g < Cell::gates; ++g) {
    C& at = sum[Cell::input_column(g)];
    at = of_input[g * hidden];
    if (s.bias_ih) at += static_cast<const C*>(s.bias_ih)[g * hidden + unit];
  }
#pragma unroll
  for (int g = 0; g < Cell::gates; ++g) {
    C& at = sum[Cell::hidden_column + g];
    if (s.of_state) at += of_state[g * hidden];
    if (s.bias_hh) at += static_cast<const C*>(s.bias_hh)[g * hidden + unit];
  }
  C h_before = C(0), c_before = C(0);
  if constexpr (Cell::direct) h_before = static_cast<const C*>(s.h_before)[i];
  if constexpr (Cell::has_c) c_before = static_cast<const C*>(s.c_before)[i];
  const C h = Cell::forward(static_cast<const C*>(sum), h_before, c_before, kept, c);
#pragma unroll
  for (int k = 0; k < Cell::columns; ++k) static_cast<C*>(s.kept)[(row * Cell::columns + k) * hidden + unit] = kept[k];
  static_cast<C*>(s.h)[i] = h;
  if constexpr (Cell::has_c) static_cast<C*>(s.c)[i] = c;
  static_cast<C*>(s.y.data)[row * s.y.step + unit] = h;
#endif
}

template <class Cell, class C>
__global__ void __launch_bounds__(cell_threads) cell_backward_kernel(CellBackward s) {
#if SINTER_DEVICE_CODE
  const std::int64_t hidden = s.hidden, i = std::int64_t(blockIdx.x) * cell_threads + threadIdx.x;
  if (i >= s.batch * hidden) return;
  const std::int64_t row = i / hidden, unit = i % hidden;
  C kept[Cell::columns], d[Cell::columns];
#pragma unroll
  for (int k = 0; k < Cell::columns; ++k) kept[k] = static_cast<const C*>(s.kept)[(row * Cell::columns + k) * hidden + unit];
  C dh = static_cast<const C*>(s.dh)[i], dc = C(0), h_before = C(0), c_before = C(0), c = C(0);
  if (s.dy.data) dh += static_cast<const C*>(s.dy.data)[row * s.dy.step + unit];
  if constexpr (Cell::direct) h_before = static_cast<const C*>(s.h_before)[i];
  if constexpr (Cell::has_c) {
    c_before = static_cast<const C*>(s.c_before)[i];
    c = static_cast<const C*>(s.c)[i];
    dc = static_cast<const C*>(s.dc)[i];
  }
  Cell::backward(static_cast<const C*>(kept), h_before, c_before, c, dh, dc, d);
#pragma unroll
  for (int g = 0; g < Cell::gates; ++g) {
    static_cast<C*>(s.of_state)[(row * Cell::gates + g) * hidden + unit] = d[Cell::hidden_column + g];
    if (s.of_input.data) static_cast<C*>(s.of_input.data)[row * s.of_input.step + g * hidden + unit] = d[Cell::input_column(g)];
  }
  if constexpr (Cell::direct) static_cast<C*>(s.dh)[i] = dh;
  if constexpr (Cell::has_c) static_cast<C*>(s.dc)[i] = dc;
#endif
}

template <class Cell, class C>
void launch_cell(const CellForward& s, unsigned blocks) {
  SINTER_LAUNCH("recurrent step", (cell_forward_kernel<Cell, C>), blocks, cell_threads, 0, s);
}
template <class Cell, class C>
void launch_cell(const CellBackward& s, unsigned blocks) {
  SINTER_LAUNCH("recurrent step", (cell_backward_kernel<Cell, C>), blocks, cell_threads, 0, s);
}
template <class Cell, class Step>
void launch_cell(const Step& s) {
  const unsigned blocks = unsigned((s.batch * s.hidden + cell_threads - 1) / cell_threads);
  if (blocks == 0) return;
  if (s.dtype == DType::float64) launch_cell<Cell, double>(s, blocks);
  else launch_cell<Cell, float>(s, blocks);
}
template <class Step>
void launch_step(const Step& s) {
  switch (s.kind) {
    case RecurrentKind::rnn_tanh: return launch_cell<cell::Elman<CellWords::Tanh>>(s);
    case RecurrentKind::rnn_relu: return launch_cell<cell::Elman<CellWords::Relu>>(s);
    case RecurrentKind::lstm: return launch_cell<cell::Lstm<CellWords>>(s);
    case RecurrentKind::gru: return launch_cell<cell::Gru<CellWords>>(s);
  }
}

inline const bool rnn_registered = cell_forward_on_device.set(launch_step<CellForward>) && cell_backward_on_device.set(launch_step<CellBackward>);

}  // namespace cuda
}  // namespace sinter
