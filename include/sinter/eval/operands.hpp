// SPDX-License-Identifier: MIT
// The tensors of an expression without its type: what all statements do alike with their operands is compiled once, not
// once for each expression.
#pragma once

#include "sinter/eval/space.hpp"
#include "sinter/expr/expr.hpp"

namespace sinter {

inline bool is_floating_dtype(DType t) { return int(t) >= int(DType::float16); }
// The dtype in which gradients of a tensor are summed.
inline DType compute_dtype(DType t) { return t == DType::float16 || t == DType::bfloat16 ? DType::float32 : t; }

// The handles of an expression's tensors, in the order of its plan.
using Operand = const Ref<TensorImpl>*;

// Every tensor of an expression must be where the result will be.
[[gnu::noinline]] inline Device common_device(const char* what, const Operand* in, int n) {
  Device device;
  for (int k = 0; k < n; ++k) {
    if (!*in[k]) fail<Error>(what, ": an operand is an undefined tensor");
    const Device d = (*in[k])->storage->device;
    if (k > 0 && d != device) fail<DeviceError>(what, ": operands on different devices, ", device, " and ", d);
    device = d;
  }
  return device;
}

inline void start(Space& space, int rank, const std::int64_t* sizes) {
  space.rank = rank;
  for (int i = 0; i < rank; ++i) space.size[i] = sizes[i];
}

// The strides of a tensor walked along the space: aligned at the last axis, 0 where it stretches.
inline void broadcast_strides(std::int64_t* out, int rank, const TensorImpl& t) {
  for (int i = 0; i < rank; ++i) {
    const int j = i - (rank - t.rank);
    out[i] = j < 0 || t.sizes[j] == 1 ? 0 : t.strides[j];
  }
}

// An operand to be read; an empty handle stands for values that nobody looks at.
inline void add_source(Space& space, const Ref<TensorImpl>& t) {
  static const double nothing = 0;
  Source& s = space.source[space.sources++];
  s.data = t ? static_cast<const char*>(t->data) : reinterpret_cast<const char*>(&nothing);
  s.bytes = t ? size_of(t->dtype) : 1;
  if (t) space.device = t->device(), broadcast_strides(s.stride, space.rank, *t);
  else std::fill_n(s.stride, space.rank, 0);
}
[[gnu::noinline]] inline void add_sources(Space& space, const Operand* in, int n) {
  for (int k = 0; k < n; ++k) add_source(space, *in[k]);
}
// A tensor of the space's own shape to be written.
inline void add_target(Space& space, const TensorImpl& t) {
  Target& o = space.add_target();
  space.device = t.device();
  o.data = static_cast<char*>(t.data);
  o.bytes = size_of(t.dtype);
  broadcast_strides(o.stride, space.rank, t);
}

inline namespace SINTER_ABI {

template <class E>
struct Operands {
  static constexpr int count = E::leaves;
  Operand at[count > 0 ? count : 1] = {};
  explicit Operands(const E& e) {
    int k = 0;
    for_each_leaf(e, [&](const auto& leaf) { at[k++] = &leaf.impl; });
  }
};

// A tensor that an expression reads; null where there are only numbers.
template <class E>
Operand some_operand(const E& e) {
  if constexpr (E::kind == Kind::leaf) {
    return &e.impl;
  } else if constexpr (E::kind == Kind::reduction) {
    return some_operand(e.e);
  } else if constexpr (E::kind == Kind::product) {
    return e.state->product.operands()[0];
  } else if constexpr (E::kind == Kind::map) {
    if (const Operand a = some_operand(e.a)) return a;
    if (const Operand b = some_operand(e.b)) return b;
    return some_operand(e.c);
  } else {
    return nullptr;
  }
}
// Where an expression's value will be.
template <class E>
Device device_of(const char* op, const E& e) {
  const Operand some = some_operand(e);
  return some ? common_device(op, &some, 1) : Device();
}

}  // namespace SINTER_ABI
}  // namespace sinter
