// SPDX-License-Identifier: MIT
// What a module owns: parameters, which are trained, and buffers, which are not. Both are tensors, but copying one copies
// its values, so that a copied module is a module of its own. Moving moves.
#pragma once

#include "sinter/tensor/tensor.hpp"

namespace sinter {
namespace nn {

// to = from for two tensors of one shape; false where they are not.
template <class T, int R>
bool write_values(Tensor<T, R>& to, const Tensor<T, R>& from) {
  if (!to.defined() || !from.defined() || to.shape() != from.shape()) return false;
  NoGradGuard guard;
  if (to.impl != from.impl) to.copy_(from);
  return true;
}

template <class T, int R>
class Parameter : public Tensor<T, R> {
 public:
  using Base = Tensor<T, R>;
  Parameter() = default;  // undefined: a layer without a bias has such a one
  // Takes over the tensor, as a leaf of the graph that requires gradients.
  Parameter(const Base& t) : Base(t) {
    if (this->impl) this->impl->requires_grad = true;
  }
  Parameter(const Parameter& o) : Parameter(copy_of(o)) {
    if (this->impl) this->impl->requires_grad = o.impl->requires_grad;
  }
  Parameter(Parameter&&) noexcept = default;
  // Into the memory that is there where the shapes agree: an optimizer that holds this parameter goes on with it.
  Parameter& operator=(const Parameter& o) {
    if (!write_values(*this, o)) return *this = Parameter(o);
    this->impl->requires_grad = o.impl->requires_grad;
    return *this;
  }
  Parameter& operator=(Parameter&&) noexcept = default;

 private:
  static Base copy_of(const Parameter& o) { return o.impl ? Base(dense_copy(o)) : Base(); }
};

template <class T, int R>
class Buffer : public Tensor<T, R> {
 public:
  using Base = Tensor<T, R>;
  Buffer() = default;
  Buffer(const Base& t) : Base(t) {}
  Buffer(const Buffer& o) : Base(o.impl ? Base(dense_copy(o)) : Base()) {}
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(const Buffer& o) { return write_values(*this, o) ? *this : *this = Buffer(o); }
  Buffer& operator=(Buffer&&) noexcept = default;
};

template <class X>
inline constexpr bool is_parameter = false;
template <class T, int R>
inline constexpr bool is_parameter<Parameter<T, R>> = true;
template <class X>
inline constexpr bool is_buffer = false;
template <class T, int R>
inline constexpr bool is_buffer<Buffer<T, R>> = true;

}  // namespace nn
}  // namespace sinter
