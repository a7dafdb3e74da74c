// SPDX-License-Identifier: MIT
// How well a training goes: running means, accuracy, the confusion of classes.
#pragma once

#include <limits>
#include <vector>

#include "sinter/tensor/tensor.hpp"

namespace sinter {

// A mean of values as they come, each with a weight, such as the loss of batches of unequal size.
class Average {
 public:
  void add(double value, double weight = 1) {
    sum_ += value * weight;
    weight_ += weight;
  }
  double value() const { return weight_ > 0 ? sum_ / weight_ : std::numeric_limits<double>::quiet_NaN(); }
  void reset() { *this = Average(); }

 private:
  double sum_ = 0, weight_ = 0;
};

// The class with the highest score in each row of `scores` (N, C); of equal ones the first. NaN counts as the highest, as
// in PyTorch's argmax.
template <class E>
std::vector<std::int64_t> predicted_classes(const Expr<E>& scores) {
  static_assert(E::rank == 2, "sinter: scores have a row for each sample and a column for each class");
  NoGradGuard no_grad;
  const auto dense = materialize(scores.self()).contiguous().cpu();
  const std::int64_t n = dense.size(0), classes = dense.size(1);
  if (classes == 0) fail<ShapeError>("predicted_classes: no classes in scores of shape ", dense.shape(), " (axis 1)");
  std::vector<std::int64_t> best(std::size_t(n), 0);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto* row = dense.data() + i * classes;
    std::int64_t& top = best[std::size_t(i)];
    for (std::int64_t c = 1; c < classes && row[top] == row[top]; ++c)
      if (row[c] > row[top] || row[c] != row[c]) top = c;
  }
  return best;
}

// Counts for each true class what it was taken for.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(std::int64_t classes) : classes_(classes) {
    if (classes < 1) fail<ValueError>("ConfusionMatrix: ", classes, " classes (at least 1)");
    counts_.assign(std::size_t(classes) * std::size_t(classes), 0);
  }

  // Scores (N, classes) and true classes (N).
  template <class E>
  void add(const Expr<E>& scores, const Tensor<std::int64_t, 1>& labels) {
    const auto predicted = predicted_classes(scores);
    if (std::int64_t(predicted.size()) != labels.numel())
      fail<ShapeError>("ConfusionMatrix: ", predicted.size(), " rows of scores for ", labels.numel(), " labels (axis 0)");
    const Tensor<std::int64_t, 1> truth = labels.contiguous().cpu();
    for (std::size_t i = 0; i < predicted.size(); ++i) {
      check(truth.data()[i]);
      check(predicted[i]);
    }
    for (std::size_t i = 0; i < predicted.size(); ++i) ++counts_[index(truth.data()[i], predicted[i])];
  }

  std::int64_t count(std::int64_t truth, std::int64_t predicted) const {
    check(truth), check(predicted);
    return counts_[index(truth, predicted)];
  }
  std::int64_t total() const {
    std::int64_t n = 0;
    for (const std::int64_t c : counts_) n += c;
    return n;
  }
  std::int64_t correct() const {
    std::int64_t n = 0;
    for (std::int64_t c = 0; c < classes_; ++c) n += counts_[index(c, c)];
    return n;
  }
  // Parts; NaN where there is nothing to divide by.
  double accuracy() const { return ratio(correct(), total()); }
  double recall(std::int64_t c) const { return ratio(count(c, c), sum(c, true)); }
  double precision(std::int64_t c) const { return ratio(count(c, c), sum(c, false)); }

 private:
  std::size_t index(std::int64_t truth, std::int64_t predicted) const { return std::size_t(truth * classes_ + predicted); }
  void check(std::int64_t c) const {
    if (c < 0 || c >= classes_) fail<IndexError>("ConfusionMatrix: class ", c, " is out of range for ", classes_, " classes");
  }
  std::int64_t sum(std::int64_t c, bool row) const {
    std::int64_t n = 0;
    for (std::int64_t k = 0; k < classes_; ++k) n += row ? count(c, k) : count(k, c);
    return n;
  }
  static double ratio(std::int64_t a, std::int64_t b) {
    return b > 0 ? double(a) / double(b) : std::numeric_limits<double>::quiet_NaN();
  }
  std::int64_t classes_;
  std::vector<std::int64_t> counts_;
};

// The part of right predictions, over all batches so far.
class Accuracy {
 public:
  template <class E>
  void add(const Expr<E>& scores, const Tensor<std::int64_t, 1>& labels) {
    const auto predicted = predicted_classes(scores);
    if (std::int64_t(predicted.size()) != labels.numel())
      fail<ShapeError>("Accuracy: ", predicted.size(), " rows of scores for ", labels.numel(), " labels (axis 0)");
    const Tensor<std::int64_t, 1> truth = labels.contiguous().cpu();
    for (std::size_t i = 0; i < predicted.size(); ++i) correct_ += predicted[i] == truth.data()[i];
    total_ += labels.numel();
  }
  std::int64_t correct() const { return correct_; }
  std::int64_t total() const { return total_; }
  double value() const { return total_ > 0 ? double(correct_) / double(total_) : std::numeric_limits<double>::quiet_NaN(); }
  void reset() { *this = Accuracy(); }

 private:
  std::int64_t correct_ = 0, total_ = 0;
};

}  // namespace sinter
