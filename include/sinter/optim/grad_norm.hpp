// SPDX-License-Identifier: MIT
// The norm of many gradients together: one pass over them, in chunks of one size, summed in double.
#pragma once

#include <cmath>

#include "sinter/optim/update.hpp"

namespace sinter {
namespace optim {
inline namespace SINTER_ABI {

using NormLanes = lane::Lanes<double, 8>;

// term(x) of n elements, combined; term(0) must be neutral.
template <class T, class Term, class Combine>
double fold_terms(const T* x, std::int64_t n, Term term, Combine combine) {
  constexpr int N = NormLanes::size;
  const auto load = [](const T* p) { return lane::convert<double>(lane::load_lanes<N>(p)); };
  NormLanes even(0.0), odd(0.0);
  std::int64_t i = 0;
  for (; i + 2 * N <= n; i += 2 * N) {
    even = combine(even, term(load(x + i)));
    odd = combine(odd, term(load(x + i + N)));
  }
  T rest[2 * N] = {};
  std::copy_n(x + i, n - i, rest);
  even = combine(combine(even, term(load(rest))), combine(odd, term(load(rest + N))));
  double part[N];
  even.store(part);
  for (int w = N / 2; w > 0; w /= 2)
    for (int k = 0; k < w; ++k) part[k] = combine(NormLanes(part[k]), NormLanes(part[k + w]))[0];
  return part[0];
}

// |x|^p summed, or the largest |x| for infinity, or how many are not 0 for 0.
template <class T>
double norm_terms(const void* data, double p, std::int64_t n) {
  const T* x = static_cast<const T*>(data);
  const auto sum = [](NormLanes a, NormLanes b) { return a + b; };
  if (p == 2) return fold_terms(x, n, [](NormLanes v) { return v * v; }, sum);
  if (p == 1) return fold_terms(x, n, [](NormLanes v) { return lane::abs(v); }, sum);
  if (p == 0) return fold_terms(x, n, [](NormLanes v) { return lane::where(v != NormLanes(0.0), NormLanes(1.0), NormLanes(0.0)); }, sum);
  if (std::isinf(p))  // a NaN stays
    return fold_terms(x, n, [](NormLanes v) { return lane::abs(v); },
                      [](NormLanes a, NormLanes b) { return lane::where((b > a) | (b != b), b, a); });
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) total += std::pow(std::fabs(double(x[i])), p);
  return total;
}

// Of all elements of all tensors.
inline double norm_of(const CachedVector<Ref<TensorImpl>>& tensors, double p) {
  constexpr std::int64_t grain = 8192;
  struct Chunk {
    const TensorImpl* tensor;
    std::int64_t begin;
    double terms;
  };
  CachedVector<Ref<TensorImpl>> kept;
  CachedVector<Chunk> chunks;
  std::int64_t numel = 0;
  for (const auto& t : tensors) {
    kept.push_back(densely(t));
    numel += t->numel();
    for (std::int64_t b = 0; b < t->numel(); b += grain) chunks.push_back({kept.back().get(), b, 0});
  }
  parallel_for(std::int64_t(chunks.size()), numel >= parallel_threshold, [&](std::int64_t i) {
    Chunk& c = chunks[std::size_t(i)];
    const std::int64_t n = std::min(c.tensor->numel() - c.begin, grain);
    const char* data = static_cast<const char*>(c.tensor->data) + c.begin * size_of(c.tensor->dtype);
    switch (c.tensor->dtype) {
      case DType::float64: c.terms = norm_terms<double>(data, p, n); break;
      case DType::float16: c.terms = norm_terms<half>(data, p, n); break;
      case DType::bfloat16: c.terms = norm_terms<bfloat16>(data, p, n); break;
      default: c.terms = norm_terms<float>(data, p, n);
    }
  });
  double total = 0;
  for (const Chunk& c : chunks) {
    if (!std::isinf(p)) total += c.terms;
    else if (c.terms > total || c.terms != c.terms) total = c.terms;
  }
  return std::isinf(p) || p == 0 ? total : p == 2 ? std::sqrt(total) : std::pow(total, 1 / p);
}

// How a step bounds its gradients; see Optimizer::step. norm_type may be infinity.
class ClipGradNorm {
 public:
  explicit ClipGradNorm(double max_norm) : max_norm_(max_norm) {}
  ClipGradNorm& norm_type(double v) { return norm_type_ = v, *this; }
  ClipGradNorm& error_if_nonfinite(bool v) { return error_if_nonfinite_ = v, *this; }

  // The norm of the gradients together, and what they are to be multiplied by. Throws ValueError.
  std::pair<double, double> norm_and_factor(const char* op, const CachedVector<Ref<TensorImpl>>& grads) const {
    if (!(max_norm_ >= 0)) fail<ValueError>(op, ": max_norm must not be negative, but is ", max_norm_);
    if (!(norm_type_ >= 0)) fail<ValueError>(op, ": norm_type must not be negative, but is ", norm_type_);
    const double norm = norm_of(grads, norm_type_);
    if (error_if_nonfinite_ && !std::isfinite(norm)) fail<ValueError>(op, ": the norm of the gradients is ", norm);
    const double factor = max_norm_ / (norm + 1e-6);
    return {norm, factor >= 1 ? 1 : factor};
  }

 private:
  double max_norm_, norm_type_ = 2;
  bool error_if_nonfinite_ = false;
};

}  // namespace SINTER_ABI
}  // namespace optim
}  // namespace sinter
