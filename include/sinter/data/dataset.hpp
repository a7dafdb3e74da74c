// SPDX-License-Identifier: MIT
// Datasets. Any type is one that has
//   std::int64_t size() const;
//   std::tuple<...> get(std::int64_t i) const;              the tensors (or numbers) of sample i
// and is a good one for several workers when get() may be called by several threads at once. Two more are used where
// they are there:
//   std::tuple<...> get(std::int64_t i, Generator& g) const;   for random augmentation: g depends on seed, epoch and i alone
//   std::tuple<...> gather(const std::int64_t* i, std::int64_t n) const;   a whole batch at once
#pragma once

#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "sinter/core/random.hpp"
#include "sinter/tensor/create.hpp"

namespace sinter {

// Tensors that agree in their first extent: sample i is row i of each.
template <class... Tensors>
class TensorDataset;
template <class... T, int... R>
class TensorDataset<Tensor<T, R>...> {
  static_assert(sizeof...(T) > 0 && ((R > 0) && ...), "sinter: a TensorDataset takes tensors of rank 1 or more");

 public:
  // Throws ShapeError where the first extents differ.
  TensorDataset(const Tensor<T, R>&... tensors) : tensors_(tensors.detach().contiguous()...) {
    const std::int64_t sizes[] = {tensors.shape()[0]...};
    for (std::size_t k = 1; k < sizeof...(T); ++k)
      if (sizes[k] != sizes[0])
        fail<ShapeError>("TensorDataset: tensor 0 has ", sizes[0], " samples, tensor ", k, " has ", sizes[k], " (axis 0)");
  }

  std::int64_t size() const { return std::get<0>(tensors_).shape()[0]; }
  const std::tuple<Tensor<T, R>...>& tensors() const { return tensors_; }

  // Views of the rows. Throws IndexError.
  std::tuple<Tensor<T, R - 1>...> get(std::int64_t i) const {
    check(i);
    return std::apply([&](const auto&... t) { return std::tuple(Tensor(select(t, 0, i))...); }, tensors_);
  }
  // Copies of rows, stacked.
  std::tuple<Tensor<T, R>...> gather(const std::int64_t* index, std::int64_t n) const {
    for (std::int64_t k = 0; k < n; ++k) check(index[k]);
    return std::apply([&](const auto&... t) { return std::tuple(rows(t, index, n)...); }, tensors_);
  }

 private:
  void check(std::int64_t i) const {
    if (i < 0 || i >= size()) fail<IndexError>("TensorDataset: sample ", i, " of ", size());
  }
  template <class E, int N>
  static Tensor<E, N> rows(const Tensor<E, N>& from, const std::int64_t* index, std::int64_t n) {
    Shape<N> sizes = from.shape();
    sizes[0] = 1;
    const std::int64_t row = sizes.numel();
    sizes[0] = n;
    Tensor<E, N> to = empty<E>(sizes);
    if (row == 0) return to;
    for (std::int64_t k = 0; k < n; ++k)
      std::memcpy(static_cast<void*>(to.data() + k * row), from.data() + index[k] * row, std::size_t(row) * sizeof(E));
    return to;
  }
  std::tuple<Tensor<T, R>...> tensors_;
};
template <class... T, int... R>
TensorDataset(const Tensor<T, R>&...) -> TensorDataset<Tensor<T, R>...>;

template <class Dataset, class = void>
inline constexpr bool gathers = false;
template <class Dataset>
inline constexpr bool gathers<Dataset, std::void_t<decltype(&Dataset::gather)>> = true;

// ---- Datasets made of others

template <class Dataset, class = void>
inline constexpr bool takes_generator = false;
template <class Dataset>
inline constexpr bool takes_generator<
    Dataset, std::void_t<decltype(std::declval<const Dataset&>().get(std::int64_t(), std::declval<Generator&>()))>> = true;

template <class Dataset>
auto get_sample(const Dataset& dataset, std::int64_t i, Generator& g) {
  if constexpr (takes_generator<Dataset>) return dataset.get(i, g);
  else return dataset.get(i);
}

// Each sample passed through transform(sample...) or transform(generator, sample...), which returns a tuple.
template <class Dataset, class F>
class MappedDataset {
 public:
  MappedDataset(Dataset dataset, F transform) : dataset_(std::move(dataset)), transform_(std::move(transform)) {}
  std::int64_t size() const { return dataset_.size(); }
  auto get(std::int64_t i, Generator& g) const {
    return std::apply(
        [&](auto&&... sample) {
          if constexpr (std::is_invocable_v<const F&, Generator&, decltype(sample)...>) return transform_(g, sample...);
          else return transform_(sample...);
        },
        get_sample(dataset_, i, g));
  }

 private:
  Dataset dataset_;
  F transform_;
};
template <class Dataset, class F, class = decltype(std::declval<const Dataset&>().size())>
auto map(Dataset dataset, F transform) {
  return MappedDataset<Dataset, F>(std::move(dataset), std::move(transform));
}

// The samples with these indices, in this order.
template <class Dataset>
class Subset {
 public:
  Subset(Dataset dataset, std::vector<std::int64_t> indices) : dataset_(std::move(dataset)), indices_(std::move(indices)) {
    for (const std::int64_t i : indices_)
      if (i < 0 || i >= dataset_.size()) fail<IndexError>("Subset: sample ", i, " of ", dataset_.size());
  }
  std::int64_t size() const { return std::int64_t(indices_.size()); }
  auto get(std::int64_t i, Generator& g) const {
    if (i < 0 || i >= size()) fail<IndexError>("Subset: sample ", i, " of ", size());
    return get_sample(dataset_, indices_[std::size_t(i)], g);
  }

 private:
  Dataset dataset_;
  std::vector<std::int64_t> indices_;
};

// Two parts of a dataset, the first with `count` samples, drawn at random without overlap.
template <class Dataset>
auto random_split(const Dataset& dataset, std::int64_t count, Generator& g = default_generator()) {
  if (count < 0 || count > dataset.size()) fail<ValueError>("random_split: ", count, " samples of ", dataset.size());
  const Tensor<std::int64_t, 1> order = randperm(dataset.size(), g);
  const std::int64_t* p = order.data();
  return std::pair(Subset<Dataset>(dataset, std::vector<std::int64_t>(p, p + count)),
                   Subset<Dataset>(dataset, std::vector<std::int64_t>(p + count, p + dataset.size())));
}

// ---- Samples to batches: (sample dims...) becomes (batch, sample dims...)

template <class T, int R>
Tensor<T, R + 1> collate(const std::vector<Tensor<T, R>>& samples) {
  Shape<R + 1> sizes;
  sizes[0] = std::int64_t(samples.size());
  for (int d = 0; d < R; ++d) sizes[d + 1] = samples.empty() ? 0 : samples[0].shape()[d];
  for (std::size_t i = 1; i < samples.size(); ++i)
    if (samples[i].shape() != samples[0].shape())
      fail<ShapeError>("DataLoader: samples of one batch differ in shape: ", samples[0].shape(), " x ", samples[i].shape(),
                       " (samples 0 and ", i, " of the batch)");
  Tensor<T, R + 1> batch = empty<T>(sizes);
  std::int64_t at = 0;
  for (const Tensor<T, R>& sample : samples) {
    const Tensor<T, R> dense = sample.detach().contiguous();
    if (dense.numel() > 0) std::memcpy(static_cast<void*>(batch.data() + at), dense.data(), std::size_t(dense.numel()) * sizeof(T));
    at += dense.numel();
  }
  return batch;
}
// Numbers become a tensor of rank 1.
template <class S>
std::enable_if_t<std::is_arithmetic_v<S>, Tensor<S, 1>> collate(const std::vector<S>& samples) { return tensor(samples); }

}  // namespace sinter
