// SPDX-License-Identifier: MIT
// Losses as types that hold their options: nn::CrossEntropyLoss loss; loss(logits, labels). The reduction is a tag, since it
// decides the result's rank: nn::MSELoss(reduction::sum). https://pytorch.org/docs/stable/nn.html#loss-functions
#pragma once

#include "sinter/functional/loss.hpp"
#include "sinter/functional/loss_classification.hpp"
#include "sinter/nn/module.hpp"

namespace sinter {
namespace nn {
inline namespace SINTER_ABI {

template <reduction::Kind K = reduction::Kind::mean>
struct MSELoss : Module<MSELoss<K>> {
  MSELoss(reduction::Tag<K> = {}) {}
  template <class A, class B>
  auto forward(const A& input, const B& target) const { return mse_loss(input, target, reduction::Tag<K>()); }
};

template <reduction::Kind K = reduction::Kind::mean>
struct L1Loss : Module<L1Loss<K>> {
  L1Loss(reduction::Tag<K> = {}) {}
  template <class A, class B>
  auto forward(const A& input, const B& target) const { return l1_loss(input, target, reduction::Tag<K>()); }
};

// Logits and class labels: CrossEntropyLoss(CrossEntropyOptions<>().label_smoothing(0.1), reduction::sum).
template <reduction::Kind K = reduction::Kind::mean, class Weight = Nothing>
struct CrossEntropyLoss : Module<CrossEntropyLoss<K, Weight>> {
  CrossEntropyOptions<Weight> options;
  CrossEntropyLoss(reduction::Tag<K> = {}) {}
  CrossEntropyLoss(const CrossEntropyOptions<Weight>& o, reduction::Tag<K> = {}) : options(o) {}
  template <class A, class B>
  auto forward(const A& input, const B& target) const { return cross_entropy(input, target, options, reduction::Tag<K>()); }
};
template <class Weight>
CrossEntropyLoss(const CrossEntropyOptions<Weight>&) -> CrossEntropyLoss<reduction::Kind::mean, Weight>;

template <reduction::Kind K = reduction::Kind::mean>
struct BCELoss : Module<BCELoss<K>> {
  BCELoss(reduction::Tag<K> = {}) {}
  template <class A, class B>
  auto forward(const A& input, const B& target) const { return binary_cross_entropy(input, target, reduction::Tag<K>()); }
};

template <reduction::Kind K = reduction::Kind::mean, class Options = BCEWithLogitsOptions<>>
struct BCEWithLogitsLoss : Module<BCEWithLogitsLoss<K, Options>> {
  Options options;
  BCEWithLogitsLoss(reduction::Tag<K> = {}) {}
  template <class W, class P>
  BCEWithLogitsLoss(const BCEWithLogitsOptions<W, P>& o, reduction::Tag<K> = {}) : options(o) {}
  template <class A, class B>
  auto forward(const A& input, const B& target) const {
    return binary_cross_entropy_with_logits(input, target, options, reduction::Tag<K>());
  }
};
template <class W, class P>
BCEWithLogitsLoss(const BCEWithLogitsOptions<W, P>&) -> BCEWithLogitsLoss<reduction::Kind::mean, BCEWithLogitsOptions<W, P>>;
template <class W, class P, reduction::Kind K>
BCEWithLogitsLoss(const BCEWithLogitsOptions<W, P>&, reduction::Tag<K>) -> BCEWithLogitsLoss<K, BCEWithLogitsOptions<W, P>>;

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
