// SPDX-License-Identifier: MIT
// cross_entropy and nll_loss. A row of logits is read while it is in cache: greatest, sum of exponentials, the label's. The
// way back is one pass too: softmax minus one-hot, from the logits and two numbers for each row.
#pragma once

#include "sinter/functional/loss_labels_device.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// What cross_entropy's loops read besides the logits. weight may be null.
template <class T>
struct LabelTerms {
  const std::int64_t* label;
  const T* weight;
  std::int64_t ignore;
  T smoothing, weight_sum;  // the share of all classes, as label_smoothing / C; the sum of weights
  T own;                    // 1 - label_smoothing
  T weight_of(std::int64_t y) const { return weight ? weight[y] : T(1); }
};

// losses[r]; top[r], the row's greatest; log_sum[r], the logarithm of the sum of exp(x - top). (Their sum would round.)
template <class T>
void cross_entropy_forward(const Rows& rows, const T* x, const LabelTerms<T>& terms, T* top, T* log_sum, T* losses) {
  for_each_walk<T>(rows, [&](const auto& walk, std::int64_t r) {
    using V = RowBlock<T>;
    const T* row = x + rows.begin(r);
    V m, s, smooth = V(T(0));
    max_sum_exp(walk, row, m, s);
    store_part(top + r, walk.rows, m);
    store_part(log_sum + r, walk.rows, lane::log(s));
    if (terms.smoothing != 0) {
      const T pad = m[0];
      walk.each([&](std::int64_t o, std::int64_t c) { smooth = smooth + walk.per_element(terms.weight, o, c) * (load_part(row + o, c, pad) - m); });
      smooth = walk.sum(smooth);
    }
    for (int i = 0; i < walk.rows; ++i) {
      const std::int64_t y = terms.label[r + i];
      T loss = 0;
      if (y != terms.ignore) {
        loss = terms.own * terms.weight_of(y) * ((top[r + i] - row[i + y * rows.inner]) + log_sum[r + i]);
        if (terms.smoothing != 0) loss += terms.smoothing * (terms.weight_sum * log_sum[r + i] - smooth[i]);
      }
      losses[r + i] = loss;
    }
  });
}

// dx, where gradient(r) is that of row r's loss.
template <class T, class G>
void cross_entropy_backward(const Rows& rows, const T* x, const LabelTerms<T>& terms, const T* top, const T* log_sum, G gradient, T* dx) {
  for_each_walk<T>(rows, [&](const auto& walk, std::int64_t r) {
    using V = RowBlock<T>;
    const std::int64_t begin = rows.begin(r);
    T own[V::size], share[V::size];
    for (int i = 0; i < walk.rows; ++i) {
      const std::int64_t y = terms.label[r + i];
      const T g = y == terms.ignore ? T(0) : gradient(r + i);
      own[i] = y == terms.ignore ? T(0) : g * terms.own * terms.weight_of(y);
      share[i] = g * terms.smoothing;
    }
    const V m = walk.spread(top + r), log_s = walk.spread(log_sum + r), shares = walk.spread(share);
    const V total = walk.spread(own) + shares * V(terms.weight_sum);
    walk.each([&](std::int64_t o, std::int64_t c) {
      V d = lane::exp(load_part(x + begin + o, c, T(0)) - m - log_s) * total;
      if (terms.smoothing != 0) d = d - shares * walk.per_element(terms.weight, o, c);
      store_part(dx + begin + o, c, d);
    });
    for (int i = 0; i < walk.rows; ++i)
      if (const std::int64_t y = terms.label[r + i]; y != terms.ignore) dx[begin + i + y * rows.inner] -= own[i];
  });
}

// The same in steps that are recorded: what a row's loss contributes is softmax(x) times its weights, less a constant.
template <reduction::Kind K, class T, int R>
Tensor<T, R> cross_entropy_again(const Rows& rows, const Tensor<T, R>& x, const LabelTerms<T>& terms, const T* top, const T* log_sum,
                                 const Tensor<T, K == reduction::Kind::none ? R - 1 : 0>& grad, double scale, const Tensor<std::int64_t, R - 1>& labels) {
  constexpr int dim = class_dim<R>;
  const Tensor<T, R> p = softmax(x, dim), one(TensorImpl::empty(dtype_of<T>(), x.shape()));
  const Tensor<T, R> dense = no_grad([&] { return x.detach().contiguous(); });
  cross_entropy_backward(rows, dense.data(), terms, top, log_sum, [](std::int64_t) { return T(1); }, one.data());
  const Tensor<T, R - 1> sums(TensorImpl::empty(dtype_of<T>(), labels.shape()));
  for (std::int64_t i = 0; i < sums.numel(); ++i) {
    const std::int64_t y = labels.data()[i];
    sums.data()[i] = y == terms.ignore ? T(0) : terms.own * terms.weight_of(y) + terms.smoothing * terms.weight_sum;
  }
  const Tensor<T, R> total = unsqueeze(sums, dim), constant = p.detach() * total - one;
  if constexpr (K == reduction::Kind::none) return (p * total - constant) * unsqueeze(grad, dim);
  else return (p * total - constant) * (grad * T(scale));
}

template <class T, int R, class W, reduction::Kind K>
auto cross_entropy_labels_here(const Tensor<T, R>& input, const Tensor<std::int64_t, R - 1>& labels, const Tensor<T, 1>& weight, const CrossEntropyOptions<W>& o,
                               reduction::Tag<K> r) {
  const std::int64_t classes = input.shape()[class_dim<R>];
  const Tensor<T, R> x = no_grad([&] { return input.detach().contiguous(); });
  const Rows rows(x.shape(), class_dim<R>);
  const double scale = K == reduction::Kind::mean ? 1.0 / weight_of_labels(labels, weight, o.ignore_index_) : 1.0;
  T weight_sum = T(classes);
  if (weight.defined()) {
    weight_sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) weight_sum += weight.data()[c];
  }
  const LabelTerms<T> terms{labels.data(), weight.defined() ? weight.data() : nullptr, o.ignore_index_,
                            T(o.label_smoothing_ / double(classes)), weight_sum, T(1 - o.label_smoothing_)};
  const auto one_per_label = [&] { return Tensor<T, R - 1>(TensorImpl::empty(dtype_of<T>(), labels.shape())); };
  const Tensor<T, R - 1> losses = one_per_label(), top = one_per_label(), log_sum = one_per_label();
  cross_entropy_forward(rows, x.data(), terms, top.data(), log_sum.data(), losses.data());
  auto out = reduce_losses(r, losses, scale);
  if (!any_requires_grad(input)) return out;
  // The labels and weights are held with their values' versions; `terms` points into their memory.
  auto back = [rows, terms, scale, top, log_sum, x = Saved(x), labels = Saved(labels), weight = Saved(weight)](const auto& grad, [[maybe_unused]] const auto& needs) {
    const Tensor<T, R> logits = x.get("cross_entropy");
    labels.get("cross_entropy");
    weight.get("cross_entropy");
    if constexpr (double_backward)
      if (is_grad_enabled())
        return std::tuple(cross_entropy_again<K>(rows, needs.input(0, logits), terms, top.data(), log_sum.data(), grad, scale, labels.get("cross_entropy")));
    Tensor<T, R> dx(TensorImpl::empty(dtype_of<T>(), logits.shape()));
    cross_entropy_backward(rows, logits.data(), terms, top.data(), log_sum.data(),
                           [&](std::int64_t i) { return loss_gradient<K>(grad, i, scale); }, dx.data());
    return std::tuple(dx);
  };
  return record("cross_entropy", out, Differentiable(std::move(back)), input);
}
template <class T, int R, class E, class W, reduction::Kind K>
auto cross_entropy_labels(const Tensor<T, R>& input, const E& target, const CrossEntropyOptions<W>& o, reduction::Tag<K> r) {
  const auto weight = class_weights<compute_t<T>>("cross_entropy", o.weight_, input.shape()[class_dim<R>]);
  const auto labels = checked_labels<R>("cross_entropy", input.shape(), target, o.ignore_index_);
  if (label_device("cross_entropy", input, labels, weight).is_cuda()) return cross_entropy_on_cuda(input, labels, weight, o, r);
  if constexpr (!is_reduced_float<T>) return cross_entropy_labels_here(input, labels, weight, o, r);
  else return empty_loss<K, T>(labels);  // the CPU computes these in float
}

// Targets as probabilities. Ignores no rows; reduction::mean divides by their number.
template <class T, int R, class E, class W, reduction::Kind K>
auto cross_entropy_probabilities(const Tensor<T, R>& input, const E& target, const CrossEntropyOptions<W>& o, reduction::Tag<K> r) {
  constexpr int dim = class_dim<R>;
  static_assert(std::is_same_v<typename E::value_type, T>, "sinter: cross_entropy() takes probabilities of the logits' dtype");
  check_same_shape("cross_entropy", input, target);
  const std::int64_t classes = input.shape()[dim];
  const Tensor<T, 1> weight = class_weights<T>("cross_entropy", o.weight_, classes);
  const double s = o.label_smoothing_;
  const auto log_p = log_softmax(input, dim);
  const auto smoothed = target * (1 - s) + s / double(classes);
  const auto finish = [&](const auto& e) {
    const auto rows = sum(e, dim);
    const double count = double(rows.shape().numel());
    if constexpr (K == reduction::Kind::mean) return materialize(sum(rows) * (-1 / count));
    else return materialize(reduced(r, -rows));
  };
  if (!weight.defined()) return finish(log_p * smoothed);
  Shape<R> along;
  for (int i = 0; i < R; ++i) along[i] = i == dim ? classes : 1;
  return finish(log_p * smoothed * materialize(reshape(weight, along)));
}

// input: logits (C), (N, C) or (N, C, d...). target: class labels of an integer dtype without the class dimension, or
// probabilities of the logits' shape. Throws IndexError for a label outside [0, C), ShapeError, ValueError.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html
template <class A, class B, class W, reduction::Kind K = reduction::Kind::mean>
auto cross_entropy(const Expr<A>& input, const Expr<B>& target, const CrossEntropyOptions<W>& options, reduction::Tag<K> r = {}) {
  using T = typename A::value_type;
  static_assert(is_floating<T>, "sinter: cross_entropy() takes logits of a floating point dtype");
  static_assert(A::rank >= 1, "sinter: cross_entropy() takes logits (C), (N, C) or (N, C, d...)");
  if (!(options.label_smoothing_ >= 0 && options.label_smoothing_ <= 1))
    fail<ValueError>("cross_entropy: label_smoothing must be in [0, 1], but is ", options.label_smoothing_);
  if constexpr (A::rank >= 1) {
    constexpr bool probabilities = is_floating<typename B::value_type>;
    if constexpr (is_reduced_float<T>)
      if (probabilities || device_of("cross_entropy", input.self()).is_cpu()) return materialize(to<T>(cross_entropy(to<float>(input), target, options, r)));
    if constexpr (!probabilities) return cross_entropy_labels(Tensor<T, A::rank>(materialize(input.self())), target.self(), options, r);
    else if constexpr (!is_reduced_float<T>) return cross_entropy_probabilities(materialize(input.self()), target.self(), options, r);
  }
}
template <class A, class B, reduction::Kind K = reduction::Kind::mean>
auto cross_entropy(const Expr<A>& input, const Expr<B>& target, reduction::Tag<K> r = {}) {
  return cross_entropy(input, target, CrossEntropyOptions<>(), r);
}

// input: log-probabilities (C), (N, C) or (N, C, d...); target: class labels. Throws as cross_entropy does.
template <class A, class B, class W, reduction::Kind K = reduction::Kind::mean>
auto nll_loss(const Expr<A>& input, const Expr<B>& target, const NLLOptions<W>& o, reduction::Tag<K> r = {}) {
  using T = typename A::value_type;
  constexpr int R = A::rank;
  static_assert(std::is_floating_point_v<T>, "sinter: nll_loss() takes log-probabilities of dtype float or double");
  static_assert(R >= 1, "sinter: nll_loss() takes log-probabilities (C), (N, C) or (N, C, d...)");
  const auto in = materialize(input.self());
  const Tensor<T, 1> weight = class_weights<T>("nll_loss", o.weight_, in.shape()[class_dim<R>]);
  const auto labels = checked_labels<R>("nll_loss", in.shape(), target.self(), o.ignore_index_);
  if (label_device("nll_loss", in, labels, weight).is_cuda()) return nll_loss_on_cuda(in, labels, weight, o, r);
  const Tensor<T, R> x = no_grad([&] { return in.detach().contiguous(); });
  const Rows rows(x.shape(), class_dim<R>);
  const double scale = K == reduction::Kind::mean ? 1.0 / weight_of_labels(labels, weight, o.ignore_index_) : 1.0;
  const std::int64_t ignore = o.ignore_index_, count = rows.count();
  const auto weight_of = [](const Tensor<T, 1>& w, std::int64_t y) { return w.defined() ? w.data()[y] : T(1); };
  Tensor<T, R - 1> losses(TensorImpl::empty(dtype_of<T>(), labels.shape()));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t y = labels.data()[i];
    losses.data()[i] = y == ignore ? T(0) : -weight_of(weight, y) * x.data()[rows.begin(i) + y * rows.inner];
  }
  auto out = reduce_losses(r, losses, scale);
  if (!any_requires_grad(in)) return out;
  auto back = [=, sizes = x.shape(), labels = Saved(labels), weight = Saved(weight)](const auto& grad, const auto&) {
    Tensor<T, R> dx(TensorImpl::empty(dtype_of<T>(), sizes));
    std::fill_n(dx.data(), dx.numel(), T(0));
    const auto y = labels.get("nll_loss");
    const auto w = weight.get("nll_loss");
    for (std::int64_t i = 0; i < count; ++i)
      if (const std::int64_t c = y.data()[i]; c != ignore)
        dx.data()[rows.begin(i) + c * rows.inner] = -weight_of(w, c) * loss_gradient<K>(grad, i, scale);
    return std::tuple(dx);
  };
  return record("nll_loss", out, std::move(back), in);
}
template <class A, class B, reduction::Kind K = reduction::Kind::mean>
auto nll_loss(const Expr<A>& input, const Expr<B>& target, reduction::Tag<K> r = {}) {
  return nll_loss(input, target, NLLOptions<>(), r);
}

}  // namespace SINTER_ABI
}  // namespace sinter
