// SPDX-License-Identifier: MIT
// Reductions as expressions. The operand is a fused expression that never exists in memory; the result is computed once
// for a statement, however often a copy of the node occurs in it.
#pragma once

#include <atomic>
#include <limits>

#include "sinter/expr/map.hpp"
#include "sinter/op/reduce.hpp"

namespace sinter {

struct KeepDim {};
// sum(x, 1, keepdim): reduced dimensions stay, with an extent of one. (A tag, since the rank is part of the type.)
inline constexpr KeepDim keepdim{};

inline std::uint64_t next_heavy_id() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

inline namespace SINTER_ABI {

// Reduces K of e's dimensions (those in `mask`), then multiplies by `scale`.
template <class Reducer, class E, int K, bool Keep>
struct Reduce : Expr<Reduce<Reducer, E, K, Keep>> {
  using value_type = typename E::value_type;
  static constexpr Kind kind = Kind::reduction;
  static constexpr int rank = Keep ? E::rank : E::rank - K;
  static constexpr int leaves = 1, ops = 0;
  static constexpr bool heavy = true;
  E e;
  unsigned mask;
  double scale = 1;
  std::uint64_t id = next_heavy_id();
  Shape<rank> sizes;

  Reduce(const char* name, E operand, unsigned reduced) : e(std::move(operand)), mask(reduced) {
    const auto& from = e.shape();
    for (int i = 0, o = 0; i < E::rank; ++i) {
      const bool gone = (mask >> i) & 1u;
      if (gone && from[i] == 0 && Reducer::needs_elements)
        fail<ShapeError>(name, ": dimension ", i, " of ", from, " has no elements to reduce");
      if (!gone || Keep) sizes[o++] = gone ? 1 : from[i];
    }
  }
  // The same reduction of the same operand in another form.
  template <class From>
  Reduce(const Reduce<Reducer, From, K, Keep>& r, E operand)
      : e(std::move(operand)), mask(r.mask), scale(r.scale), id(r.id), sizes(r.sizes) {}
  const Shape<rank>& shape() const { return sizes; }
  // How many elements fall on one of the result.
  std::int64_t count() const {
    std::int64_t n = 1;
    for (int i = 0; i < E::rank; ++i)
      if ((mask >> i) & 1u) n *= e.shape()[i];
    return n;
  }
};

template <int R, class I, std::size_t K>
unsigned dim_mask(const char* name, const I (&dims)[K]) {
  unsigned mask = 0;
  for (I d : dims) {
    const unsigned bit = 1u << wrap_dim(name, d, R);
    if (mask & bit) fail<IndexError>(name, ": dimension ", d, " occurs twice");
    mask |= bit;
  }
  return mask;
}

// The operand in the dtype in which it is reduced: bool and small integers are summed as int64.
template <class Reducer, class E>
auto reducible(const E& e) {
  using T = typename E::value_type;
  if constexpr ((std::is_same_v<Reducer, op::Sum> || std::is_same_v<Reducer, op::Prod>) && std::is_integral_v<T>)
    return cast<std::int64_t>(e);
  else return e;
}

}  // namespace SINTER_ABI
}  // namespace sinter
