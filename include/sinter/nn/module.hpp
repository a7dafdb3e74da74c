// SPDX-License-Identifier: MIT
// Module<Net>: the base of a model and of every layer. A model lists its parts once, in visit(); names, state, parameters,
// devices and modes come from that listing. Nothing is virtual and nothing is registered.
//
//   struct Net : nn::Module<Net> {
//     nn::Linear fc1{784, 256}, fc2{256, 10};
//     template <class V> void visit(V&& v) { v("fc1", fc1); v("fc2", fc2); }
//     template <class X> auto forward(const X& x) const { return fc2(relu(fc1(x))); }
//   };
#pragma once

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "sinter/nn/state.hpp"

namespace sinter {
namespace nn {

// A tensor of a module by its dotted name, as in PyTorch's named_parameters().
struct NamedTensor {
  std::string name;
  Ref<TensorImpl> tensor;
  bool buffer;
};

template <class M, class V>
auto has_visit(int) -> decltype(std::declval<M&>().visit(std::declval<V>()), std::true_type());
template <class M, class V>
std::false_type has_visit(...);

// Walks a module and what is in it. F is called as f(name, part) for parameters, buffers and modules; a module is called
// on before its parts.
template <class F>
struct Walk {
  const std::string& prefix;
  F& f;

  template <class Name, class Part>
  void operator()(const Name& name, Part& part) const {
    const std::string full = prefix.empty() ? std::string(name) : prefix + "." + name;
    f(full, part);
    if constexpr (!is_parameter<Part> && !is_buffer<Part>) {
      if constexpr (decltype(has_visit<Part, Walk>(0))::value) part.visit(Walk{full, f});
    }
  }
};

// The same without names.
template <class F>
struct NamelessWalk {
  F& f;
  template <class Name, class Part>
  void operator()(const Name&, Part& part) const {
    f(part);
    if constexpr (!is_parameter<Part> && !is_buffer<Part>) {
      if constexpr (decltype(has_visit<Part, NamelessWalk>(0))::value) part.visit(*this);
    }
  }
};

template <class D>
class Module {
 public:
  template <class... X>
  decltype(auto) operator()(const X&... x) const { return self().forward(x...); }
  template <class... X>
  decltype(auto) operator()(const X&... x) { return static_cast<D*>(this)->forward(x...); }

  // f(name, part) for every parameter, buffer and module below this one.
  template <class F>
  void walk(F&& f) const {
    // visit() is one listing for reading and writing, so it cannot be const; what f gets here is what the caller may change.
    D& d = const_cast<D&>(self());
    const std::string root;
    using W = Walk<std::remove_reference_t<F>>;
    if constexpr (decltype(has_visit<D, W>(0))::value) d.visit(W{root, f});
  }
  // f(part), as walk() without names, and without making any.
  template <class F>
  void each(F&& f) const {
    D& d = const_cast<D&>(self());
    using W = NamelessWalk<std::remove_reference_t<F>>;
    if constexpr (decltype(has_visit<D, W>(0))::value) d.visit(W{f});
  }
  // f(tensor) for every parameter; for tied weights as often as they occur.
  template <class F>
  void each_parameter(F&& f) const {
    each([&](auto& part) {
      if constexpr (is_parameter<std::decay_t<decltype(part)>>)
        if (part.defined()) f(part.impl);
    });
  }

  // Dropout and batch norm behave differently in training, which is the mode that a module begins in.
  D& train(bool on = true) {
    training_ = on;
    each([on](auto& part) {
      using P = std::decay_t<decltype(part)>;
      if constexpr (!is_parameter<P> && !is_buffer<P>) part.set_training(on);
    });
    return static_cast<D&>(*this);
  }
  D& eval() { return train(false); }
  bool is_training() const { return training_; }
  void set_training(bool on) { training_ = on; }  // of this module alone

  std::vector<NamedTensor> named_tensors() const {
    std::vector<NamedTensor> list;
    walk([&](const std::string& name, auto& part) {
      using P = std::decay_t<decltype(part)>;
      if constexpr (is_parameter<P> || is_buffer<P>)
        if (part.defined()) list.push_back({name, part.impl, is_buffer<P>});
    });
    return list;
  }
  std::vector<NamedTensor> named_parameters() const { return selected(false); }
  std::vector<NamedTensor> named_buffers() const { return selected(true); }
  std::vector<Ref<TensorImpl>> parameters() const {
    std::vector<Ref<TensorImpl>> list;
    for (NamedTensor& p : selected(false)) list.push_back(std::move(p.tensor));
    return list;
  }
  std::int64_t num_parameters() const {
    std::int64_t n = 0;
    for (const NamedTensor& p : named_parameters()) n += p.tensor->numel();
    return n;
  }
  // Lets go of every gradient.
  void zero_grad() {
    each_parameter([](const Ref<TensorImpl>& p) { p->grad.reset(); });
  }
  D& requires_grad_(bool wanted = true) {
    each_parameter([&](const Ref<TensorImpl>& p) { p->requires_grad = wanted; });
    return static_cast<D&>(*this);
  }
  // f(module) for every module below this one and for itself, as torch.nn.Module.apply.
  template <class F>
  D& apply(F&& f) {
    each([&](auto& part) {
      using P = std::decay_t<decltype(part)>;
      if constexpr (!is_parameter<P> && !is_buffer<P>) f(part);
    });
    f(static_cast<D&>(*this));
    return static_cast<D&>(*this);
  }
  // Moves parameters (with their gradients) and buffers, which stay the tensors that optimizers know. Throws DeviceError where
  // there is no such device; then nothing has moved.
  D& to(Device device) {
    CachedVector<std::pair<Ref<TensorImpl>, Ref<TensorImpl>>> moved;
    each([&](auto& part) {
      using P = std::decay_t<decltype(part)>;
      if constexpr (is_parameter<P> || is_buffer<P>)
        if (part.defined()) {
          moved.emplace_back(part.impl, part.detach().to(device).impl);
          if (const auto grad = part.grad(); grad.defined()) moved.emplace_back(grad.impl, grad.to(device).impl);
        }
    });
    for (auto& [tensor, there] : moved) {
      tensor->storage = there->storage;
      tensor->data = there->data;
      std::copy_n(there->strides, tensor->rank, tensor->strides);
    }
    return static_cast<D&>(*this);
  }

  // Parameters and buffers under PyTorch's names; the tensors are this module's own, not copies.
  StateDict state_dict() const {
    StateDict state;
    for (NamedTensor& t : named_tensors()) state.insert(std::move(t.name), std::move(t.tensor));
    return state;
  }
  // Copies values in, converting dtypes. strict: any name that is missing, left over or of another shape is an Error that
  // lists them all, and nothing is changed. Otherwise what fits is copied and the rest reported.
  LoadReport load_state_dict(const StateDict& state, bool strict = true) {
    std::vector<std::pair<std::string, Ref<TensorImpl>>> own;
    for (NamedTensor& t : named_tensors()) own.emplace_back(std::move(t.name), std::move(t.tensor));
    return load_tensors(own, state, strict);
  }

  // One line for each parameter, with shapes, and the total.
  void summary(std::ostream& os) const {
    for (const NamedTensor& t : named_tensors()) os << t.name << ' ' << t.tensor->shape() << ' ' << t.tensor->dtype << (t.buffer ? " buffer\n" : "\n");
    os << num_parameters() << " parameters\n";
  }

 private:
  const D& self() const { return static_cast<const D&>(*this); }
  // Each tensor once, under its first name: tied weights are one parameter.
  std::vector<NamedTensor> selected(bool buffers) const {
    std::vector<NamedTensor> list;
    for (NamedTensor& t : named_tensors()) {
      bool known = t.buffer != buffers;
      for (const NamedTensor& earlier : list) known = known || earlier.tensor == t.tensor;
      if (!known) list.push_back(std::move(t));
    }
    return list;
  }
  bool training_ = true;
};

}  // namespace nn
}  // namespace sinter
