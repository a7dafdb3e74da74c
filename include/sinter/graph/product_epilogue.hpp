// SPDX-License-Identifier: MIT
// What a device's matrix product does to its elements before it stores them: adds a bias, takes relu or gelu in its tanh form.
#pragma once

#include "sinter/device/matmul.hpp"
#include "sinter/expr/product.hpp"
#include "sinter/op/activation.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// Whether P is computed by products of matrices, whose epilogue it passes on.
template <class P>
constexpr auto passes_epilogue(int) -> decltype(std::declval<const P&>().compute(nullptr, {}, MatmulArgs{}), true) { return true; }
template <class P>
constexpr bool passes_epilogue(...) { return false; }

// Whether e, in which z stands for the product, is such an epilogue; then x is told.
template <class T, class E>
bool is_product_epilogue(const E& e, const Ref<TensorImpl>& z, MatmulArgs& x) {
  if constexpr (!std::is_same_v<typename E::value_type, T>) {
    return false;
  } else if constexpr (E::kind == Kind::leaf) {
    return e.impl == z;
  } else if constexpr (E::kind == Kind::map) {
    using Op = std::decay_t<decltype(e.op)>;
    constexpr bool relu = std::is_same_v<Op, op::Relu>, gelu = std::is_same_v<Op, op::GeluTanh> && is_floating<T>;
    if constexpr (relu || gelu) {
      if (!is_product_epilogue<T>(e.a, z, x) || x.epilogue != MatmulEpilogue::none) return false;
      x.epilogue = relu ? MatmulEpilogue::relu : MatmulEpilogue::gelu_tanh;
      return true;
    } else if constexpr (adds<Op>(0) && decltype(e.a)::kind == Kind::leaf && decltype(e.b)::kind == Kind::leaf) {
      if constexpr (decltype(e.b)::rank == 1 && std::is_same_v<typename decltype(e.b)::value_type, T>) {
        const TensorImpl& bias = *e.b.impl;
        if (e.a.impl != z) return false;
        if (e.b.impl == absent_bias<T, 1>(bias.device()).impl) return true;
        if (bias.sizes[0] != z->sizes[z->rank - 1] || (bias.strides[0] != 1 && bias.sizes[0] != 1)) return false;
        x.bias = bias.data;
        return true;
      }
    }
  }
  return false;
}

}  // namespace SINTER_ABI
}  // namespace sinter
