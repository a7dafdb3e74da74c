// SPDX-License-Identifier: MIT
// Matrix products on a device, and the policy by which they are computed.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "sinter/core/backend.hpp"
#include "sinter/core/dtype.hpp"

namespace sinter {

// What is done to each element x of a product, after c and the bias have been added to it.
enum class MatmulEpilogue : std::uint8_t {
  none,
  relu,
  gelu_tanh,           // writes x to aux, if there is one
  gelu_tanh_backward,  // x times the slope of gelu_tanh at aux
};

// `batch` products c = a @ b of an (m, k) and a (k, n) matrix; floats narrower than 32 bits are summed in float. Steps count
// elements. An operand may have any steps, those of 0 included.
struct MatmulArgs {
  DType dtype;  // of all operands: a floating one, int32 or int64
  std::int64_t m, n, k, batch = 1;
  const void* a;
  std::int64_t a_row, a_column, a_batch = 0;
  const void* b;  // null: ones, where n is 1
  std::int64_t b_row, b_column, b_batch = 0;
  void* c;
  std::int64_t c_row, c_column = 1, c_batch = 0;
  bool add = false;  // c += a @ b
  MatmulEpilogue epilogue = MatmulEpilogue::none;
  const void* bias = nullptr;  // (n)
  void* aux = nullptr;         // laid out as c
  void* sums = nullptr;        // (m): of a's rows; of one product without an epilogue. A layer's bias gradient, where a is dz^T

  bool empty() const { return m == 0 || n == 0 || batch == 0; }
  // Bound by memory: each element of the matrix is used once.
  bool with_vector() const { return m == 1 || n == 1; }
  // The product that is `sums`: that with ones.
  MatmulArgs row_sums() const {
    MatmulArgs s = *this;
    s.n = 1, s.batch = 1, s.b = nullptr, s.b_row = s.b_column = s.b_batch = 0;
    s.c = sums, s.c_row = 1, s.add = false;
    s.epilogue = MatmulEpilogue::none, s.bias = nullptr, s.aux = nullptr, s.sums = nullptr;
    return s;
  }
  // Whether an extent's step is 1 along a row or along a column, and the other one leaves room: what libraries take.
  static bool is_transposition(std::int64_t rows, std::int64_t columns, std::int64_t row_step, std::int64_t column_step) {
    return ((column_step == 1 || columns == 1) && (row_step >= columns || rows == 1)) ||
           ((row_step == 1 || rows == 1) && (column_step >= rows || columns == 1));
  }
};

// This project's kernels, which take every product; the order of sums depends on the shapes and steps alone.
inline DeviceKernel<void(const MatmulArgs&)> matmul_on_device{"matmul"};
// cuBLASLt, in programs that have it: false where it does not take the product.
inline DeviceKernel<bool(const MatmulArgs&)> cublaslt_matmul_on_device{"matmul"};

// mask[i][j] = j - i <= diagonal, or >= for the upper triangle.
struct TriangleArgs {
  bool* mask;
  std::int64_t rows, columns, diagonal;
  bool upper;
};
inline DeviceKernel<void(const TriangleArgs&)> triangle_on_device{"tril"};

namespace cuda {
// Whether products go to cuBLASLt where the program has it. The environment's SINTER_CUBLAS=0 says no.
inline bool allow_cublas = [] {
  const char* set = std::getenv("SINTER_CUBLAS");
  return !set || set[0] != '0';
}();
inline bool tf32_allowed = false;
// Whether products of float tensors may round their factors to 10 bits (TF32), many times as fast on tensor cores; sums stay in
// float. Off unless set, as torch.backends.cuda.matmul.allow_tf32 is.
inline void allow_tf32(bool on) { tf32_allowed = on; }
inline bool allows_tf32() { return tf32_allowed; }
}  // namespace cuda

inline void multiply_on_device(const MatmulArgs& a) {
  if (a.empty()) return;
  if (cuda::allow_cublas && cublaslt_matmul_on_device && !a.with_vector() && a.k > 0 && cublaslt_matmul_on_device(a)) return;
  matmul_on_device(a);
}

}  // namespace sinter
