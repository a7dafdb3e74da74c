// SPDX-License-Identifier: MIT
// A model's (or optimizer's) tensors by name, in the order in which they were put in, with a few strings beside them.
// Knows neither modules nor files: those fill it and read it.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sinter/core/error.hpp"
#include "sinter/core/tensor_impl.hpp"

namespace sinter {

class StateDict {
 public:
  using value_type = std::pair<std::string, Ref<TensorImpl>>;

  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  bool contains(const std::string& name) const { return find(name) != nullptr; }

  // Null where there is no such name. The pointer holds until something is inserted.
  const Ref<TensorImpl>* find(const std::string& name) const {
    for (const value_type& e : entries_)  // few enough, and a table of names would take every program its time to compile
      if (e.first == name) return &e.second;
    return nullptr;
  }
  // Throws Error where there is no such name.
  const Ref<TensorImpl>& at(const std::string& name) const {
    if (const Ref<TensorImpl>* found = find(name)) return *found;
    fail<Error>("state_dict: no tensor is named \"", name, "\" (there are ", size(), ')');
  }

  // Appends; throws ValueError where the name is taken, as two parameters of one name would be a mistake in `visit`.
  void insert(std::string name, Ref<TensorImpl> tensor) {
    if (contains(name)) fail<ValueError>("state_dict: there is already a tensor named \"", name, '"');
    set(std::move(name), std::move(tensor));
  }
  // Replaces where the name is taken (it keeps its place), else appends.
  void set(std::string name, Ref<TensorImpl> tensor) {
    if (!tensor) fail<ValueError>("state_dict: the tensor for \"", name, "\" is null");
    if (const Ref<TensorImpl>* found = find(name)) const_cast<Ref<TensorImpl>&>(*found) = std::move(tensor);
    else entries_.emplace_back(std::move(name), std::move(tensor));
  }

  // for (const auto& [name, tensor] : state)
  std::vector<value_type>::const_iterator begin() const { return entries_.begin(); }
  std::vector<value_type>::const_iterator end() const { return entries_.end(); }

  // What files carry beside the tensors, e.g. {"format": "pt"}.
  std::map<std::string, std::string> metadata;

 private:
  std::vector<value_type> entries_;
};

}  // namespace sinter
