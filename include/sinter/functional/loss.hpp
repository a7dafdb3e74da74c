// SPDX-License-Identifier: MIT
// Pointwise losses. Each is a fused expression: forward and backward are one pass over the operands. The arguments stand
// in PyTorch's order; https://pytorch.org/docs/stable/nn.functional.html#loss-functions
#pragma once

#include "sinter/functional/loss_ops.hpp"
#include "sinter/functional/loss_reduction.hpp"

namespace sinter {
inline namespace SINTER_ABI {

template <class A, class B, reduction::Kind K = reduction::Kind::mean>
auto mse_loss(const Expr<A>& input, const Expr<B>& target, reduction::Tag<K> r = {}) {
  broadcast_shapes("mse_loss", input.self().shape(), target.self().shape());
  return reduced(r, square(input.self() - target.self()));
}
template <class A, class B, reduction::Kind K = reduction::Kind::mean>
auto l1_loss(const Expr<A>& input, const Expr<B>& target, reduction::Tag<K> r = {}) {
  broadcast_shapes("l1_loss", input.self().shape(), target.self().shape());
  return reduced(r, abs(input.self() - target.self()));
}
template <class A, class B, reduction::Kind K = reduction::Kind::mean>
auto smooth_l1_loss(const Expr<A>& input, const Expr<B>& target, reduction::Tag<K> r = {}, double beta = 1) {
  if (!(beta >= 0)) fail<ValueError>("smooth_l1_loss: beta must not be negative, but is ", beta);
  broadcast_shapes("smooth_l1_loss", input.self().shape(), target.self().shape());
  return reduced(r, map(op::SmoothL1{beta}, input.self() - target.self()));
}
template <class A, class B, reduction::Kind K = reduction::Kind::mean>
auto huber_loss(const Expr<A>& input, const Expr<B>& target, reduction::Tag<K> r = {}, double delta = 1) {
  if (!(delta > 0)) fail<ValueError>("huber_loss: delta must be positive, but is ", delta);
  broadcast_shapes("huber_loss", input.self().shape(), target.self().shape());
  return reduced(r, map(op::Huber{delta}, input.self() - target.self()));
}

// Of probabilities; the weight broadcasts.
template <class A, class B, reduction::Kind K = reduction::Kind::mean>
auto binary_cross_entropy(const Expr<A>& input, const Expr<B>& target, reduction::Tag<K> r = {}) {
  check_same_shape("binary_cross_entropy", input.self(), target.self());
  return reduced(r, map(op::Bce{}, input.self(), target.self()));
}
template <class A, class B, class W, reduction::Kind K = reduction::Kind::mean>
auto binary_cross_entropy(const Expr<A>& input, const Expr<B>& target, const Expr<W>& weight, reduction::Tag<K> r = {}) {
  check_same_shape("binary_cross_entropy", input.self(), target.self());
  return reduced(r, map(op::Bce{}, input.self(), target.self()) * weight.self());
}

// Absent tensors are Nothing.
template <class Weight = Nothing, class PosWeight = Nothing>
struct BCEWithLogitsOptions {
  Weight weight_{};
  PosWeight pos_weight_{};

  // A factor for each element; broadcasts.
  template <class T, int R>
  BCEWithLogitsOptions<Tensor<T, R>, PosWeight> weight(const Tensor<T, R>& w) const { return {w, pos_weight_}; }
  // A factor for the positive class; broadcasts.
  template <class T, int R>
  BCEWithLogitsOptions<Weight, Tensor<T, R>> pos_weight(const Tensor<T, R>& w) const { return {weight_, w}; }
};

template <class A, class B, class W, class P, reduction::Kind K = reduction::Kind::mean>
auto binary_cross_entropy_with_logits(const Expr<A>& input, const Expr<B>& target, const BCEWithLogitsOptions<W, P>& options,
                                      reduction::Tag<K> r = {}) {
  check_same_shape("binary_cross_entropy_with_logits", input.self(), target.self());
  const auto loss = [&] {
    if constexpr (std::is_same_v<P, Nothing>) return map(op::BceWithLogits{}, input.self(), target.self());
    else return map(op::BceWithLogitsWeighed{}, input.self(), target.self(), options.pos_weight_);
  }();
  if constexpr (std::is_same_v<W, Nothing>) return reduced(r, loss);
  else return reduced(r, loss * options.weight_);
}
template <class A, class B, reduction::Kind K = reduction::Kind::mean>
auto binary_cross_entropy_with_logits(const Expr<A>& input, const Expr<B>& target, reduction::Tag<K> r = {}) {
  return binary_cross_entropy_with_logits(input, target, BCEWithLogitsOptions<>(), r);
}

// Of log-probabilities. reduction::mean is over all elements as in PyTorch; reduction::batchmean is the divergence proper.
template <class A, class B, reduction::Kind K = reduction::Kind::mean>
auto kl_div(const Expr<A>& input, const Expr<B>& target, reduction::Tag<K> r = {}) {
  broadcast_shapes("kl_div", input.self().shape(), target.self().shape());
  const auto loss = map(op::XLogX{}, target.self()) - target.self() * input.self();
  if constexpr (K == reduction::Kind::batchmean) return sum(loss) / double(input.self().shape()[0]);
  else return reduced(r, loss);
}
// kl_div with log_target = true: the target, too, is given as log-probabilities.
template <class A, class B, reduction::Kind K = reduction::Kind::mean>
auto kl_div_log_target(const Expr<A>& input, const Expr<B>& target, reduction::Tag<K> r = {}) {
  broadcast_shapes("kl_div", input.self().shape(), target.self().shape());
  const auto loss = exp(target.self()) * (target.self() - input.self());
  if constexpr (K == reduction::Kind::batchmean) return sum(loss) / double(input.self().shape()[0]);
  else return reduced(r, loss);
}

struct PoissonNLLOptions {
  bool log_input_ = true, full_ = false;
  double eps_ = 1e-8;
  PoissonNLLOptions& log_input(bool b) { return log_input_ = b, *this; }  // the input is the rate's logarithm
  PoissonNLLOptions& full(bool b) { return full_ = b, *this; }            // adds Stirling's term
  PoissonNLLOptions& eps(double e) { return eps_ = e, *this; }
};
namespace op {
// Of the input x and the count t, without Stirling's term.
struct PoissonNll {
  static constexpr const char* name = "poisson_nll_loss";
  bool log_input;
  double eps;
  template <class T>
  SINTER_HD T f(T x, T t) const { return log_input ? exp(x) - t * x : x - t * log(x + T(eps)); }
  template <class T>
  SINTER_HD T da(T x, T t) const { return log_input ? exp(x) - t : T(1) - t / (x + T(eps)); }
  template <class T, class U>
  SINTER_HD T db(T x, const U&) const { return log_input ? -x : -log(x + T(eps)); }
};
// Stirling's term times 0 or 1, so that the option is a value and no type.
struct StirlingIf : Stirling {
  bool wanted;
  template <class T>
  SINTER_HD T f(T t) const { return wanted ? Stirling::f(t) : T(0); }
  template <class T>
  SINTER_HD T dx(T t) const { return wanted ? Stirling::dx(t) : T(0); }
};
}  // namespace op
template <class A, class B, reduction::Kind K = reduction::Kind::mean>
auto poisson_nll_loss(const Expr<A>& input, const Expr<B>& target, const PoissonNLLOptions& o = {}, reduction::Tag<K> r = {}) {
  broadcast_shapes("poisson_nll_loss", input.self().shape(), target.self().shape());
  return reduced(r, map(op::PoissonNll{o.log_input_, o.eps_}, input.self(), target.self()) +
                        map(op::StirlingIf{{}, o.full_}, target.self()));
}

// var broadcasts along its last dimension. https://pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html; the
// bound `eps` on the variance has, as there, slope 1.
namespace op {
struct Bounded {
  static constexpr const char* name = "clamp";
  double eps;
  template <class T>
  SINTER_HD T f(T v) const { return where(v < T(eps), T(eps), v); }
  template <class T>
  SINTER_HD T dx() const { return T(1); }
};
}  // namespace op
template <class A, class B, class V, reduction::Kind K = reduction::Kind::mean>
auto gaussian_nll_loss(const Expr<A>& input, const Expr<B>& target, const Expr<V>& var, bool full = false, double eps = 1e-6,
                       reduction::Tag<K> r = {}) {
  if (!(eps > 0)) fail<ValueError>("gaussian_nll_loss: eps must be positive, but is ", eps);
  broadcast_shapes("gaussian_nll_loss", input.self().shape(), target.self().shape());
  broadcast_shapes("gaussian_nll_loss", input.self().shape(), var.self().shape());
  const auto v = map(op::Bounded{eps}, var.self());
  return reduced(r, (log(v) + square(input.self() - target.self()) / v) * 0.5 + (full ? 0.9189385332046727418 : 0.0));
}

}  // namespace SINTER_ABI
}  // namespace sinter
