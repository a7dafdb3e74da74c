// SPDX-License-Identifier: MIT
// The norm of many gradients together: one pass over them, in chunks of one size, summed in double. On a device the norm stays
// there, for the step to read it.
#pragma once

#include <cmath>

#include "sinter/optim/device_step.hpp"
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

// A norm that may still be on its way: reading it waits for the device that computes it. Of a step that a graph repeats, it is
// that of the last repetition.
class GradNorm {
 public:
  GradNorm(double value) : value_(value) {}
  explicit GradNorm(Ref<TensorImpl> there) : there_(std::move(there)) {}
  operator double() const {
    if (!there_) return value_;
    double value;
    cuda_backend->copy(&value, -1, there_->data, there_->device().index, sizeof(value));
    return value;
  }
  // Of a device: (norm, factor) in its memory.
  const Ref<TensorImpl>& there() const { return there_; }

 private:
  double value_ = 0;
  Ref<TensorImpl> there_;
};

// How norms of parts become that of the whole: terms of each are combined, and the root taken of all.
struct NormTotal {
  double p, terms = 0;
  void add(double t) {
    if (!std::isinf(p)) terms += t;
    else if (t > terms || t != t) terms = t;
  }
  double norm() const { return std::isinf(p) || p == 0 ? terms : p == 2 ? std::sqrt(terms) : std::pow(terms, 1 / p); }
  double terms_of(double norm) const { return std::isinf(p) || p == 0 ? norm : p == 2 ? norm * norm : std::pow(norm, p); }
};

// Of all elements of all tensors of the host. (Templates, here and below, so that they are compiled where they are used.)
template <class Tensors>
double norm_of(const Tensors& tensors, double p) {
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
    if (!t->device().is_cpu()) continue;
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
  NormTotal total{p};
  for (const Chunk& c : chunks) total.add(c.terms);
  return total.norm();
}

// Of those on one device, and what it is to be multiplied by to be at most max_norm: two doubles there.
template <class Tensors>
Ref<TensorImpl> norm_on(Device device, const Tensors& tensors, double p, double max_norm, DeviceTable& table) {
  CachedVector<Ref<TensorImpl>> kept;
  table.clear();
  for (const auto& t : tensors) {
    if (t->device() != device) continue;
    kept.push_back(densely(t));
    DeviceParameter row{};
    row.p = kept.back()->data, row.g = row.p, row.n = t->numel(), row.dtype = t->dtype;
    table.add(row);
  }
  const DeviceTable::There there = table.on(device);
  const Ref<TensorImpl> terms = TensorImpl::empty(DType::float64, Shape<1>{{table.chunks()}}, device);
  Ref<TensorImpl> result = TensorImpl::empty(DType::float64, Shape<1>{{2}}, device);
  double* at = static_cast<double*>(terms->data);
  norm_terms_on_device({device.index, table.count(), table.chunks(), there.rows, p, at});
  norm_end_on_device({device.index, table.chunks(), at, p, max_norm, static_cast<double*>(result->data)});
  return result;
}

// A norm, and what the gradients are to be multiplied by: `factor`, unless the norm is on a device and the factor with it.
struct NormAndFactor {
  GradNorm norm;
  double factor;
};

// How a step bounds its gradients; see Optimizer::step. norm_type may be infinity.
class ClipGradNorm {
 public:
  explicit ClipGradNorm(double max_norm) : max_norm_(max_norm) {}
  ClipGradNorm& norm_type(double v) { return norm_type_ = v, *this; }
  ClipGradNorm& error_if_nonfinite(bool v) { return error_if_nonfinite_ = v, *this; }  // on a device, waits for it

  // Throws ValueError. `table` is for gradients on one device, and may stay from step to step.
  template <class Tensors>
  NormAndFactor norm_and_factor(const char* op, const Tensors& grads, DeviceTable& table) const {
    if (!(max_norm_ >= 0)) fail<ValueError>(op, ": max_norm must not be negative, but is ", max_norm_);
    if (!(norm_type_ >= 0)) fail<ValueError>(op, ": norm_type must not be negative, but is ", norm_type_);
    const auto others = [&](Device d) { return std::any_of(grads.begin(), grads.end(), [&](const auto& g) { return g->device() != d; }); };
    if (!grads.empty() && grads[0]->device().is_cuda() && !others(grads[0]->device())) {
      GradNorm norm(norm_on(grads[0]->device(), grads, norm_type_, max_norm_, table));
      if (error_if_nonfinite_) check_finite(op, norm);
      return {std::move(norm), 1};
    }
    const double norm = others(Device::cpu()) ? norm_over_devices(grads) : norm_of(grads, norm_type_);
    if (error_if_nonfinite_) check_finite(op, norm);
    const double factor = max_norm_ / (norm + 1e-6);
    return {norm, factor >= 1 ? 1 : factor};
  }

 private:
  static void check_finite(const char* op, double norm) {
    if (!std::isfinite(norm)) fail<ValueError>(op, ": the norm of the gradients is ", norm);
  }
  template <class Tensors>
  [[gnu::cold]] double norm_over_devices(const Tensors& grads) const {
    NormTotal total{norm_type_};
    total.add(total.terms_of(norm_of(grads, norm_type_)));
    std::vector<Device> done;
    for (const auto& g : grads) {
      const Device d = g->device();
      if (d.is_cpu() || std::find(done.begin(), done.end(), d) != done.end()) continue;
      done.push_back(d);
      DeviceTable table;
      total.add(total.terms_of(GradNorm(norm_on(d, grads, norm_type_, max_norm_, table))));
    }
    return total.norm();
  }
  double max_norm_, norm_type_ = 2;
  bool error_if_nonfinite_ = false;
};

}  // namespace SINTER_ABI
}  // namespace optim
}  // namespace sinter
