// SPDX-License-Identifier: MIT
// Losses with a margin. Targets are 1 or -1, of any dtype; arguments stand in PyTorch's order.
#pragma once

#include "sinter/functional/loss_reduction.hpp"
#include "sinter/functional/reduce.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// max(0, x), with slope 1 at 0 as torch.clamp_min has.
template <class E>
auto hinge(const E& x) { return clamp(x, 0, HUGE_VAL); }

// max(0, -target * (x1 - x2) + margin)
template <class A, class B, class C, reduction::Kind K = reduction::Kind::mean>
auto margin_ranking_loss(const Expr<A>& x1, const Expr<B>& x2, const Expr<C>& target, double margin = 0, reduction::Tag<K> r = {}) {
  broadcast_shapes("margin_ranking_loss", x1.self().shape(), x2.self().shape());
  return reduced(r, hinge((x2.self() - x1.self()) * target.self() + margin));
}
// x where the target is 1, max(0, margin - x) where it is -1.
template <class A, class B, reduction::Kind K = reduction::Kind::mean>
auto hinge_embedding_loss(const Expr<A>& x, const Expr<B>& target, double margin = 1, reduction::Tag<K> r = {}) {
  broadcast_shapes("hinge_embedding_loss", x.self().shape(), target.self().shape());
  return reduced(r, where(target.self() == 1, x.self(), where(target.self() == -1, hinge(margin - x.self()), 0.0)));
}
// log(1 + exp(-target * x))
template <class A, class B, reduction::Kind K = reduction::Kind::mean>
auto soft_margin_loss(const Expr<A>& x, const Expr<B>& target, reduction::Tag<K> r = {}) {
  broadcast_shapes("soft_margin_loss", x.self().shape(), target.self().shape());
  return reduced(r, -logsigmoid(x.self() * target.self()));
}
// x1, x2 (N, D) and target (N), or (D) and a scalar: 1 - cos where the target is 1, max(0, cos - margin) where it is -1.
template <class A, class B, class C, reduction::Kind K = reduction::Kind::mean>
auto cosine_embedding_loss(const Expr<A>& x1, const Expr<B>& x2, const Expr<C>& target, double margin = 0, reduction::Tag<K> r = {}) {
  static_assert(A::rank == B::rank && C::rank == A::rank - 1, "sinter: cosine_embedding_loss() takes (N, D), (N, D) and (N)");
  broadcast_shapes("cosine_embedding_loss", x1.self().shape(), x2.self().shape());
  constexpr double eps = 1e-12;
  const auto cosine = sum(x1.self() * x2.self(), -1) * rsqrt((sum(square(x1.self()), -1) + eps) * (sum(square(x2.self()), -1) + eps));
  return reduced(r, where(target.self() == 1, 1 - cosine, where(target.self() == -1, hinge(cosine - margin), 0.0)));
}

struct TripletMarginOptions {
  double margin_ = 1, p_ = 2, eps_ = 1e-6;
  bool swap_ = false;
  TripletMarginOptions& margin(double m) { return margin_ = m, *this; }
  TripletMarginOptions& p(double p) { return p_ = p, *this; }
  TripletMarginOptions& eps(double e) { return eps_ = e, *this; }
  TripletMarginOptions& swap(bool s) { return swap_ = s, *this; }  // also the distance of positive and negative
};
// max(0, |anchor - positive| - |anchor - negative| + margin), distances along the last dimension.
template <class A, class B, class C, reduction::Kind K = reduction::Kind::mean>
auto triplet_margin_loss(const Expr<A>& anchor, const Expr<B>& positive, const Expr<C>& negative, const TripletMarginOptions& o = {},
                         reduction::Tag<K> r = {}) {
  const auto near = pairwise_distance(anchor, positive, o.p_, o.eps_);
  auto far = pairwise_distance(anchor, negative, o.p_, o.eps_);
  if (o.swap_) far = materialize(minimum(far, pairwise_distance(positive, negative, o.p_, o.eps_)));
  return reduced(r, hinge(near - far + o.margin_));
}

}  // namespace SINTER_ABI
}  // namespace sinter
