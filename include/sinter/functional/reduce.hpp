// SPDX-License-Identifier: MIT
// Reductions beyond those of expr/reductions.hpp: max and min with indices, norms, and what is made of norms.
#pragma once

#include "sinter/functional/argmax.hpp"
#include "sinter/functional/gather.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace op {

// |x|^p; for p = 0, whether x is other than zero. Slope 0 at 0.
struct AbsPow {
  static constexpr const char* name = "abs_pow";
  double p;
  template <class T>
  SINTER_HD T f(T x) const {
    if (p == 2) return x * x;
    if (p == 1) return abs(x);
    if (p == 0) return where(x == T(0), T(0), T(1));
    return pow(abs(x), T(p));
  }
  template <class T>
  SINTER_HD T dx(T x) const {
    if (p == 2) return x + x;
    if (p == 0) return T(0);
    const T sign = where(x > T(0), T(1), T(-1));
    return where(x == T(0), T(0), p == 1 ? sign : sign * T(p) * pow(abs(x), T(p - 1)));
  }
};
// s^(1/p); s itself for p = 0 and 1. Slope 0 at 0.
struct PowRoot {
  static constexpr const char* name = "norm";
  double p;
  template <class T>
  SINTER_HD T f(T s) const { return p == 2 ? T(sqrt(s)) : p <= 1 && p >= 0 && (p == 0 || p == 1) ? s : T(pow(s, T(1 / p))); }
  template <class T>
  SINTER_HD T dy(T y) const {
    if (p == 0 || p == 1) return T(1);
    return where(y == T(0), T(0), p == 2 ? T(0.5) / y : T(1 / p) * pow(y, T(1 - p)));
  }
};

}  // namespace op

// Of all elements, as amax: ties share the gradient. A fused expression.
template <class E>
auto max(const Expr<E>& x) { return reduce<op::Amax>("max", x.self(), Axes<E::rank, false>{(1u << E::rank) - 1u}); }
template <class E>
auto min(const Expr<E>& x) { return reduce<op::Amin>("min", x.self(), Axes<E::rank, false>{(1u << E::rank) - 1u}); }

// values and indices along dim; the gradient goes to the element that is returned.
template <class Extreme, class E>
auto extreme_with_index(const char* op, const E& e, std::int64_t dim) {
  using T = typename E::value_type;
  const int d = wrap_dim(op, dim, E::rank);
  const auto in = materialize(e);
  const auto indices = place_along<Extreme, true>(op, static_cast<const Leaf<T, E::rank>&>(in), d);
  return ValuesIndices<T, E::rank>{gather_checked(op, in, d, indices), indices};
}
template <class T, int R>
auto drop_dim(const ValuesIndices<T, R>& r, std::int64_t dim) {
  return ValuesIndices<T, (R > 0 ? R - 1 : 0)>{drop_dim(r.values, dim), drop_dim(r.indices, dim)};
}
template <class E>
auto max(const Expr<E>& x, std::int64_t dim, KeepDim) { return extreme_with_index<op::Amax>("max", x.self(), dim); }
template <class E>
auto max(const Expr<E>& x, std::int64_t dim) { return drop_dim(max(x, dim, keepdim), dim); }
template <class E>
auto min(const Expr<E>& x, std::int64_t dim, KeepDim) { return extreme_with_index<op::Amin>("min", x.self(), dim); }
template <class E>
auto min(const Expr<E>& x, std::int64_t dim) { return drop_dim(min(x, dim, keepdim), dim); }

// How many elements are other than zero: count_nonzero(x), count_nonzero(x, 1), count_nonzero(x, {0, 1}, keepdim). int64.
struct CountNonzero {
  static constexpr const char* name = "count_nonzero";
  template <class E, int K, bool Keep>
  static auto apply(const E& x, Axes<K, Keep> axes) { return reduce<op::Sum>(name, x != 0, axes); }
};
inline constexpr Reduction<CountNonzero> count_nonzero{};

// The p-norm of all elements or over some dimensions: norm(x), norm(x, 1), norm(x, 2, -1, keepdim), norm(x, INFINITY, {0, 1}).
// Its gradient at the zero vector is 0. https://pytorch.org/docs/stable/generated/torch.linalg.vector_norm.html
struct Norm {
  static constexpr const char* name = "norm";
  template <class E, int K, bool Keep>
  static auto apply(const E& x, Axes<K, Keep> axes, double p) {
    static_assert(is_floating<typename E::value_type>, "sinter: norm() takes a floating point dtype; convert with to<float>(x)");
    if (std::isinf(p)) return p > 0 ? materialize(reduce<op::Amax>(name, abs(x), axes)) : materialize(reduce<op::Amin>(name, abs(x), axes));
    return materialize(map(op::PowRoot{p}, reduce<op::Sum>(name, map(op::AbsPow{p}, x), axes)));
  }
};
template <class E>
auto norm(const Expr<E>& x, double p = 2) { return Norm::apply(x.self(), Axes<E::rank, false>{(1u << E::rank) - 1u}, p); }
template <class E, std::size_t K, class... Keep>
auto norm(const Expr<E>& x, double p, const int (&dims)[K], Keep...) {
  return Norm::apply(x.self(), Axes<int(K), sizeof...(Keep) != 0>{dim_mask<E::rank>("norm", dims)}, p);
}
template <class E, class I, class... Keep, std::enable_if_t<std::is_integral_v<I>, int> = 0>
auto norm(const Expr<E>& x, double p, I dim, Keep...) {
  const std::int64_t dims[] = {dim};
  const unsigned mask = dim_mask<E::rank>("norm", dims);
  return Norm::apply(x.self(), Axes<(E::rank > 0), sizeof...(Keep) != 0>{E::rank > 0 ? mask : 0u}, p);
}

// The Euclidean length along dim as an expression, so that what follows fuses.
template <class E, class... Keep>
auto euclidean(const Expr<E>& x, std::int64_t dim, Keep... keep) { return map(op::PowRoot{2}, sum(square(x.self()), dim, keep...)); }

// The cosine of the angle between vectors along dim, lengths no less than eps.
template <class A, class B>
auto cosine_similarity(const Expr<A>& a, const Expr<B>& b, std::int64_t dim = 1, double eps = 1e-8) {
  const int d = wrap_dim("cosine_similarity", dim, max_rank_of<A, B>());
  broadcast_shapes("cosine_similarity", a.self().shape(), b.self().shape());
  static_assert(A::rank == B::rank, "sinter: cosine_similarity() takes tensors of the same rank");
  return sum(a.self() * b.self(), d) / (clamp(euclidean(a, d), eps, HUGE_VAL) * clamp(euclidean(b, d), eps, HUGE_VAL));
}
// x by its p-norm along dim, which is taken as no less than eps.
template <class E>
auto normalize(const Expr<E>& x, double p = 2, std::int64_t dim = 1, double eps = 1e-12) {
  return x.self() / clamp(norm(x, p, wrap_dim("normalize", dim, E::rank), keepdim), eps, HUGE_VAL);
}
// The p-norm of x - y + eps along the last dimension.
template <class A, class B>
auto pairwise_distance(const Expr<A>& x, const Expr<B>& y, double p = 2, double eps = 1e-6) {
  broadcast_shapes("pairwise_distance", x.self().shape(), y.self().shape());
  return norm(x.self() - y.self() + eps, p, -1);
}

}  // namespace SINTER_ABI
}  // namespace sinter
