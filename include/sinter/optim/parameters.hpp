// SPDX-License-Identifier: MIT
// What an optimizer (or gradient clipping) works on: tensors of any dtype and rank, named one by one or by the module that
// holds them.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <utility>
#include <vector>

#include "sinter/tensor/tensor.hpp"

namespace sinter {
namespace optim {

// One tensor without its static type.
struct Parameter {
  Ref<TensorImpl> impl;
  Parameter(Ref<TensorImpl> t) : impl(std::move(t)) {}
  template <class T, int R>
  Parameter(const Leaf<T, R>& t) : impl(t.impl) {}
};

// {w, b}, a vector of tensors, or anything with parameters(), such as a module. A tensor that occurs twice, as tied weights
// do, is taken once.
class ParameterList {
 public:
  ParameterList() = default;
  ParameterList(std::initializer_list<Parameter> list) {
    for (const Parameter& p : list) add(p);
  }
  template <class P>
  ParameterList(const std::vector<P>& list) {
    for (const P& p : list) add(p);
  }
  template <class Module, class = decltype(std::declval<Module&>().parameters())>
  ParameterList(Module& module) {
    if constexpr (decltype(has_each_parameter<Module>(0))::value) module.each_parameter(Add{*this});
    else
      for (const auto& p : module.parameters()) add(p);
  }

  std::size_t size() const { return list_.size(); }
  bool empty() const { return list_.empty(); }
  const Ref<TensorImpl>& operator[](std::size_t i) const { return list_[i]; }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }

 private:
  void add(Parameter p) {
    if (!p.impl) fail<ValueError>("optim: parameter ", list_.size(), " is undefined");
    if (std::find(list_.begin(), list_.end(), p.impl) == list_.end()) list_.push_back(std::move(p.impl));
  }
  struct Add {
    ParameterList& list;
    void operator()(const Ref<TensorImpl>& p) const { list.add(p); }
  };
  template <class M>
  static auto has_each_parameter(int) -> decltype(std::declval<M&>().each_parameter(std::declval<Add>()), std::true_type());
  template <class M>
  static std::false_type has_each_parameter(...);
  CachedVector<Ref<TensorImpl>> list_;
};

}  // namespace optim
}  // namespace sinter
