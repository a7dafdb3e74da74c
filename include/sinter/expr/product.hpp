// SPDX-License-Identifier: MIT
// Contractions (matrix products, convolutions) as expressions. What an expression does to a product element by element is
// done to each of its tiles while that is in the cache: the product's epilogue.
#pragma once

#include <array>
#include <mutex>

#include "sinter/device/dense.hpp"
#include "sinter/expr/reduce.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// P is a contraction: operands, the `shape` of the result, and how to compute it; see functional/matmul.hpp.
template <class P>
struct ProductState : Pooled {
  std::atomic<int> refs{1};
  P product;
  std::uint64_t id = next_heavy_id();
  Ref<TensorImpl> result;     // once a statement has had it in memory
  std::uint64_t version = 0;  // of the operands then

  explicit ProductState(P p) : product(std::move(p)) {}
  // How often the operands' memory has changed.
  std::uint64_t operands_version() const {
    std::uint64_t sum = 0;
    for (const Ref<TensorImpl>* t : product.operands()) sum += (*t)->storage->version.load(std::memory_order_relaxed);
    return sum;
  }
  friend void destroy(ProductState* s) { delete s; }
};

// Copies share their state, so that a product which several statements read is computed once.
template <class P>
struct Product : Expr<Product<P>> {
  using value_type = typename P::value_type;
  using Contraction = P;
  static constexpr Kind kind = Kind::product;
  static constexpr int rank = P::rank, leaves = 1, ops = 0;
  static constexpr bool heavy = true;
  Ref<ProductState<P>> state;

  explicit Product(P p) : state(Ref<ProductState<P>>::adopt(new ProductState<P>(std::move(p)))) {}
  const Shape<rank>& shape() const { return state->product.shape; }
};

// The most operations that one kernel gets. A longer chain is cut; explain() says so.
inline constexpr int max_ops = 96;

// Whether e is made of reductions' results and numbers alone.
template <class E>
constexpr bool of_results() {
  if constexpr (E::kind == Kind::map) return of_results<decltype(E::a)>() && of_results<decltype(E::b)>() && of_results<decltype(E::c)>();
  else return (E::kind != Kind::leaf && E::kind != Kind::product) || E::rank == 0;
}
// What is made of results alone, rsqrt(var + eps) say, is computed once for each of these, not again for every element of
// Whole that meets it.
template <class Whole, class E>
constexpr bool runs_apart() {
  if constexpr (E::kind != Kind::map) return false;
  else return E::heavy && of_results<E>() && !of_results<Whole>();
}

// What is left of an expression once its heavy nodes have run and it has been cut to size, and how many kernels that took.
struct Residue {
  int leaves = 0, ops = 0, kernels = 0, cuts = 0;
};
template <class Whole, class E>
constexpr Residue residue_in();
template <class E>
constexpr Residue residue() {
  if constexpr (E::kind == Kind::leaf) {
    return {1, 0, 0, 0};
  } else if constexpr (E::kind == Kind::product) {
    return {1, 0, 1, 0};
  } else if constexpr (E::kind == Kind::reduction) {
    constexpr Residue r = residue<decltype(E::e)>();
    return {1, 0, r.kernels + 1, r.cuts};
  } else if constexpr (E::kind == Kind::map) {
    Residue part[] = {residue_in<E, decltype(E::a)>(), residue_in<E, decltype(E::b)>(), residue_in<E, decltype(E::c)>()};
    int cuts = part[0].cuts + part[1].cuts + part[2].cuts;
    const auto leaves = [&] { return part[0].leaves + part[1].leaves + part[2].leaves; };
    const auto ops = [&] { return part[0].ops + part[1].ops + part[2].ops; };
    while (leaves() > max_leaves || ops() >= max_ops) {  // as resolve_map() does
      Residue& longest = part[0].ops >= part[1].ops && part[0].ops >= part[2].ops ? part[0] : part[1].ops >= part[2].ops ? part[1] : part[2];
      longest = {1, 0, longest.kernels + 1, 0};
      ++cuts;
    }
    return {leaves(), ops() + 1, part[0].kernels + part[1].kernels + part[2].kernels, cuts};
  } else {
    return {};
  }
}

template <class Whole, class E>
constexpr Residue residue_in() {
  constexpr Residue r = residue<E>();
  return runs_apart<Whole, E>() ? Residue{1, 0, r.kernels + 1, r.cuts} : r;
}

// Whether a reduction within e has an operand that reads a product.
template <class E, bool Within = false>
constexpr bool reduces_product() {
  if constexpr (!E::heavy) return false;
  else if constexpr (E::kind == Kind::product) return Within;
  else if constexpr (E::kind == Kind::reduction) return reduces_product<decltype(E::e), true>();
  else
    return reduces_product<decltype(E::a), Within>() || reduces_product<decltype(E::b), Within>() || reduces_product<decltype(E::c), Within>();
}

// The last product that a map reads, whose epilogue the map becomes. (Those before it are computed first.)
template <class E>
const auto& last_product(const E& e) {
  if constexpr (E::kind == Kind::map) {
    if constexpr (std::decay_t<decltype(last_product(e.c))>::kind == Kind::product) return last_product(e.c);
    else if constexpr (std::decay_t<decltype(last_product(e.b))>::kind == Kind::product) return last_product(e.b);
    else return last_product(e.a);
  } else {
    return e;
  }
}
template <class E>
using last_product_t = std::decay_t<decltype(last_product(std::declval<const E&>()))>;

// Whether e runs as the epilogue of a product (where their shapes are equal, too).
template <class E>
constexpr bool has_epilogue() {
  if constexpr (E::kind != Kind::map || !E::heavy) return false;
  else if constexpr (last_product_t<E>::kind != Kind::product) return false;
  else return last_product_t<E>::rank == E::rank && !reduces_product<E>() && residue<E>().cuts == 0;
}

template <int R>
Shape<R> ones_shape() {
  Shape<R> one;
  for (int i = 0; i < R; ++i) one[i] = 1;
  return one;
}
// What a layer without a bias adds: nothing, and its type is that of one with a bias.
template <class T, int R>
const Leaf<T, R>& absent_bias() {
  static const Leaf<T, R>& zero = *[] {
    auto* leaf = new Leaf<T, R>(TensorImpl::empty(dtype_of<T>(), ones_shape<R>()));  // never destroyed: others may outlive it at exit
    *leaf->data() = T(0);
    return leaf;
  }();
  return zero;
}
template <class T, int R>
[[gnu::noinline]] const Leaf<T, R>& absent_bias(Device d) {
  if (d.is_cpu()) return absent_bias<T, R>();
  static std::mutex mutex;
  static auto& zeros = *new std::array<Leaf<T, R>, 64>;
  std::lock_guard<std::mutex> lock(mutex);
  Leaf<T, R>& zero = zeros[std::size_t(d.index)];
  if (!zero.impl) {
    zero.impl = TensorImpl::empty(dtype_of<T>(), ones_shape<R>(), d);
    fill_on_device(zero.impl->data, dtype_of<T>(), 1, 0);
  }
  return zero;
}
template <class E>
inline constexpr bool is_biased_product = false;
template <class Op, class T, class P, int R>
inline constexpr bool is_biased_product<Map<Op, T, Product<P>, Leaf<T, R>>> = adds<Op>(0);

// The kernels that the statement `y = e` runs. A reduction of which copies occur in e is counted for each, though it runs
// once; what runs in a product's epilogue is no kernel of its own.
template <class E>
inline constexpr int fused_kernels = residue<E>().kernels + (E::kind == Kind::map && !has_epilogue<E>() ? 1 : 0);
// Those of its backward: one for each forward, for the chain rule is as fused as the chain. Extrema and products look at
// their operand in two more.
template <class E>
inline constexpr int fused_backward_kernels = fused_kernels<E>;

}  // namespace SINTER_ABI
}  // namespace sinter
