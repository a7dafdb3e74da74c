// SPDX-License-Identifier: MIT
// PyTorch's reductions over expressions. Each is called as sum(x), sum(x, 1), sum(x, {0, 2}), the last two also with
// `keepdim` behind; dimensions count from the end where negative. The operand never exists in memory.
#pragma once

#include "sinter/expr/functions.hpp"
#include "sinter/expr/reduce.hpp"

namespace sinter {

// var(x, 1, biased): divide by n, not by n - 1.
struct Correction {
  std::int64_t value = 1;
};
inline constexpr Correction unbiased{1}, biased{0};

inline namespace SINTER_ABI {

// Which dimensions go, and whether they stay as extents of one.
template <int K, bool Keep>
struct Axes {
  static constexpr bool keep = Keep;
  unsigned mask;
};

template <class Reducer, int K, bool Keep, class E>
auto reduce(const char* name, const E& x, Axes<K, Keep> axes) {
  auto e = reducible<Reducer>(x);
  return Reduce<Reducer, decltype(e), K, Keep>(name, std::move(e), axes.mask);
}
template <int K, bool Keep>
Axes<K, true> keeping(Axes<K, Keep> axes) { return {axes.mask}; }

// F::apply(x, axes, options...) is the reduction; this reads the ways in which it is called.
template <class F>
struct Reduction {
  template <class A, class... Arg>
  auto operator()(const Expr<A>& x, Arg... arg) const { return read(x.self(), arg...); }
  template <class A, class I, std::size_t K, class... Option>
  auto operator()(const Expr<A>& x, const I (&dims)[K], Option... option) const {
    static_assert(int(K) <= A::rank || A::rank == 0, "sinter: a reduction names more dimensions than the tensor has");
    return apply<A::rank == 0 ? 0 : int(K)>(x.self(), A::rank == 0 ? 0u : dim_mask<A::rank>(F::name, dims), option...);
  }

 private:
  template <class A>
  static auto read(const A& x) { return apply<A::rank>(x, (1u << A::rank) - 1u); }
  template <class A, class First, class... Option>
  static auto read(const A& x, First first, Option... option) {
    if constexpr (std::is_integral_v<First>) {
      const std::int64_t dims[] = {first};
      const unsigned mask = dim_mask<A::rank>(F::name, dims);
      return apply<A::rank == 0 ? 0 : 1>(x, A::rank == 0 ? 0u : mask, option...);
    } else {
      return apply<A::rank>(x, (1u << A::rank) - 1u, first, option...);
    }
  }
  template <int K, class A>
  static auto apply(const A& x, unsigned mask) { return F::apply(x, Axes<K, false>{mask}); }
  template <int K, class A>
  static auto apply(const A& x, unsigned mask, KeepDim) { return F::apply(x, Axes<K, true>{mask}); }
  template <int K, class A, class Option>
  static auto apply(const A& x, unsigned mask, Option option) { return F::apply(x, Axes<K, false>{mask}, option); }
  template <int K, class A, class Option>
  static auto apply(const A& x, unsigned mask, Option option, KeepDim) { return F::apply(x, Axes<K, true>{mask}, option); }
};

template <class Reducer>
struct Plain {
  static constexpr const char* name = Reducer::name;
  template <class E, int K, bool Keep>
  static auto apply(const E& x, Axes<K, Keep> axes) { return reduce<Reducer>(name, x, axes); }
};

struct Mean {
  static constexpr const char* name = "mean";
  template <class E, int K, bool Keep>
  static auto apply(const E& x, Axes<K, Keep> axes) {
    static_assert(is_floating<typename E::value_type>, "sinter: mean() takes floating point numbers; convert with to<float>(x)");
    auto r = reduce<op::Sum>(name, x, axes);
    r.scale = 1.0 / double(r.count());
    return r;
  }
};

// https://pytorch.org/docs/stable/generated/torch.var.html; in two passes over the operand, so that nothing cancels.
struct Var {
  static constexpr const char* name = "var";
  template <class E, int K, bool Keep>
  static auto apply(const E& x, Axes<K, Keep> axes, Correction correction = unbiased) {
    const auto from_mean = x - Mean::apply(x, keeping(axes));
    auto r = reduce<op::Sum>(name, square(from_mean), axes);
    r.scale = 1.0 / double(std::max<std::int64_t>(0, r.count() - correction.value));
    return r;
  }
};
struct Stddev {
  static constexpr const char* name = "stddev";
  template <class E, int K, bool Keep>
  static auto apply(const E& x, Axes<K, Keep> axes, Correction correction = unbiased) { return sqrt(Var::apply(x, axes, correction)); }
};

inline constexpr Reduction<Plain<op::Sum>> sum{};
inline constexpr Reduction<Plain<op::Prod>> prod{};
inline constexpr Reduction<Plain<op::Amax>> amax{};
inline constexpr Reduction<Plain<op::Amin>> amin{};
inline constexpr Reduction<Plain<op::All>> all_of{};
inline constexpr Reduction<Plain<op::Any>> any_of{};
inline constexpr Reduction<Mean> mean{};
inline constexpr Reduction<Var> var{};
inline constexpr Reduction<Stddev> stddev{};  // torch.std; `std` is taken in C++

}  // namespace SINTER_ABI
}  // namespace sinter
