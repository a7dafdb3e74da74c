// SPDX-License-Identifier: MIT
// A table of vectors by index. https://pytorch.org/docs/stable/generated/torch.nn.Embedding.html
#pragma once

#include "sinter/functional/embedding.hpp"
#include "sinter/nn/init.hpp"
#include "sinter/nn/module.hpp"

namespace sinter {
namespace nn {
inline namespace SINTER_ABI {

// indices (...) -> (..., embedding_dim). Row padding_idx starts as zeros and gets no gradient; throws IndexError where
// there is no such row.
template <class T>
struct EmbeddingOf : Module<EmbeddingOf<T>> {
  Parameter<T, 2> weight;  // (num_embeddings, embedding_dim)
  std::optional<std::int64_t> padding_idx;

  EmbeddingOf(std::int64_t num_embeddings, std::int64_t embedding_dim, std::optional<std::int64_t> padding = {}) : padding_idx(padding) {
    if (padding && (*padding < -num_embeddings || *padding >= num_embeddings))
      fail<IndexError>("Embedding: padding_idx ", *padding, " is out of range for ", num_embeddings, " embeddings");
    weight = empty<T>(Shape{num_embeddings, embedding_dim});
    init::normal_(weight);
    if (padding) no_grad([&] { weight.select(0, *padding) = 0; });
  }
  template <class V>
  void visit(V&& v) { v("weight", weight); }
  template <class X>
  auto forward(const X& index) const { return sinter::embedding(index, weight, padding_idx); }
};
using Embedding = EmbeddingOf<float>;

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
