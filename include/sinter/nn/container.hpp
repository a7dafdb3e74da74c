// SPDX-License-Identifier: MIT
// Modules made of modules. Their parts are named "0", "1", ... or by key, as PyTorch names them.
#pragma once

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "sinter/nn/module.hpp"

namespace sinter {
namespace nn {

// One layer after another: Sequential net(nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1)).
template <class... L>
struct Sequential : Module<Sequential<L...>> {
  std::tuple<L...> layers;

  explicit Sequential(L... l) : layers(std::move(l)...) {}
  template <int I>
  auto& get() { return std::get<I>(layers); }
  template <class V>
  void visit(V&& v) { each(v, std::index_sequence_for<L...>()); }
  template <class X>
  auto forward(const X& x) const { return run<0>(x); }

 private:
  template <class V, std::size_t... I>
  void each(V& v, std::index_sequence<I...>) { (v(std::to_string(I), std::get<I>(layers)), ...); }
  template <std::size_t I, class X>
  auto run(const X& x) const {
    if constexpr (I == sizeof...(L)) return x;
    else return run<I + 1>(std::get<I>(layers)(x));
  }
};
template <class... L>
Sequential(L...) -> Sequential<L...>;

// Layers of one type, as many as the program decides at run time.
template <class L>
struct ModuleList : Module<ModuleList<L>> {
  std::vector<L> layers;

  ModuleList() = default;
  ModuleList(std::initializer_list<L> l) : layers(l) {}
  std::size_t size() const { return layers.size(); }
  L& operator[](std::size_t i) { return layers[i]; }
  const L& operator[](std::size_t i) const { return layers[i]; }
  auto begin() { return layers.begin(); }
  auto end() { return layers.end(); }
  auto begin() const { return layers.begin(); }
  auto end() const { return layers.end(); }
  template <class... A>
  L& append(A&&... args) { return layers.emplace_back(std::forward<A>(args)...); }
  template <class V>
  void visit(V&& v) {
    for (std::size_t i = 0; i < layers.size(); ++i) v(std::to_string(i), layers[i]);
  }
};

// Layers of one type by name, in the order in which they were put in.
template <class L>
struct ModuleDict : Module<ModuleDict<L>> {
  std::vector<std::pair<std::string, L>> layers;

  L& insert(std::string key, L layer) {
    for (const auto& entry : layers)
      if (entry.first == key) fail<ValueError>("ModuleDict: there is already a module named \"", key, '"');
    return layers.emplace_back(std::move(key), std::move(layer)).second;
  }
  L& operator[](const std::string& key) {
    for (auto& entry : layers)
      if (entry.first == key) return entry.second;
    fail<IndexError>("ModuleDict: no module is named \"", key, '"');
  }
  template <class V>
  void visit(V&& v) {
    for (auto& entry : layers) v(entry.first, entry.second);
  }
};

}  // namespace nn
}  // namespace sinter
