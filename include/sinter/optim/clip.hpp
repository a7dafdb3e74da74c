// SPDX-License-Identifier: MIT
// Gradients kept within bounds before a step. https://pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
#pragma once

#include <cmath>

#include "sinter/optim/parameters.hpp"
#include "sinter/optim/update.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// |x|^p summed (or the largest |x|, or how many are not 0) over elements [begin, end), in lanes of double.
template <class T>
double norm_terms(const void* data, double p, std::int64_t begin, std::int64_t end) {
  const T* x = static_cast<const T*>(data);
  constexpr int N = 8;
  double part[N] = {};
  for (std::int64_t i = begin; i < end; ++i) {
    const double a = std::fabs(double(x[i]));
    double& s = part[(i - begin) % N];
    if (std::isinf(p)) s = a > s || a != a ? a : s;
    else s += p == 2 ? a * a : p == 1 ? a : p == 0 ? double(a != 0) : std::pow(a, p);
  }
  for (int w = N / 2; w > 0; w /= 2)
    for (int i = 0; i < w; ++i) {
      if (!std::isinf(p)) part[i] += part[i + w];
      else if (part[i + w] > part[i] || part[i + w] != part[i + w]) part[i] = part[i + w];
    }
  return part[0];
}

struct ScaleRule {
  double factor;
  template <class V>
  void operator()(V& x, V, V*) const { x = x * V(lane::element_t<V>(factor)); }
};
struct ClampRule {
  double limit;
  template <class V>
  void operator()(V& x, V, V*) const {
    const V top = V(lane::element_t<V>(limit));
    x = lane::min(lane::max(x, -top), top);
  }
};

// Applies a rule to gradients in place.
template <class Rule>
void update_grads(const std::vector<Ref<TensorImpl>>& grads, const Rule& rule) {
  std::vector<Ref<TensorImpl>> kept;
  std::vector<optim::Update> updates;
  for (const auto& g : grads) {
    kept.push_back(optim::densely(g));
    optim::Update u;
    u.p = kept.back().get();
    u.g = u.p;
    updates.push_back(u);
  }
  optim::update_all<0>(updates, [&](int, auto) { return rule; });
  for (std::size_t i = 0; i < grads.size(); ++i) {
    if (kept[i] != grads[i]) copy_elements(*grads[i], *kept[i]);
    grads[i]->storage->version.fetch_add(1, std::memory_order_relaxed);
  }
}

inline std::vector<Ref<TensorImpl>> grads_of(const optim::ParameterList& parameters) {
  std::vector<Ref<TensorImpl>> grads;
  for (const auto& p : parameters)
    if (p->grad) grads.push_back(p->grad);
  return grads;
}

// Scales all gradients so that the norm of them all together is at most max_norm, and returns what it was. norm_type may be
// infinity. Throws ValueError for a negative max_norm or, if asked, for a norm that is not finite.
template <class List = optim::ParameterList>  // compiled where it is called
double clip_grad_norm_(const List& parameters, double max_norm, double norm_type = 2,
                              bool error_if_nonfinite = false) {
  if (!(max_norm >= 0)) fail<ValueError>("clip_grad_norm_: max_norm must not be negative, but is ", max_norm);
  if (!(norm_type >= 0)) fail<ValueError>("clip_grad_norm_: norm_type must not be negative, but is ", norm_type);
  const auto grads = grads_of(optim::ParameterList(parameters));
  constexpr std::int64_t grain = 8192;
  struct Chunk {
    const TensorImpl* grad;
    std::int64_t begin;
    double terms;
  };
  std::vector<Ref<TensorImpl>> kept;
  std::vector<Chunk> chunks;
  std::int64_t numel = 0;
  for (const auto& g : grads) {
    kept.push_back(optim::densely(g));
    numel += g->numel();
    for (std::int64_t b = 0; b < g->numel(); b += grain) chunks.push_back({kept.back().get(), b, 0});
  }
  parallel_for(std::int64_t(chunks.size()), numel >= parallel_threshold, [&](std::int64_t i) {
    Chunk& c = chunks[std::size_t(i)];
    const std::int64_t end = std::min(c.grad->numel(), c.begin + grain);
    switch (c.grad->dtype) {
      case DType::float64: c.terms = norm_terms<double>(c.grad->data, norm_type, c.begin, end); break;
      case DType::float16: c.terms = norm_terms<half>(c.grad->data, norm_type, c.begin, end); break;
      case DType::bfloat16: c.terms = norm_terms<bfloat16>(c.grad->data, norm_type, c.begin, end); break;
      default: c.terms = norm_terms<float>(c.grad->data, norm_type, c.begin, end);
    }
  });
  double total = 0;
  for (const Chunk& c : chunks) {
    if (!std::isinf(norm_type)) total += c.terms;
    else if (c.terms > total || c.terms != c.terms) total = c.terms;
  }
  if (!std::isinf(norm_type) && norm_type != 0) total = std::pow(total, 1 / norm_type);
  if (error_if_nonfinite && !std::isfinite(total)) fail<ValueError>("clip_grad_norm_: the norm of the gradients is ", total);
  const double factor = max_norm / (total + 1e-6);
  if (!(factor >= 1)) update_grads(grads, ScaleRule{factor});
  return total;
}

// Clamps every gradient's elements to [-clip_value, clip_value].
template <class List = optim::ParameterList>
void clip_grad_value_(const List& parameters, double clip_value) {
  if (!(clip_value >= 0)) fail<ValueError>("clip_grad_value_: clip_value must not be negative, but is ", clip_value);
  update_grads(grads_of(optim::ParameterList(parameters)), ClampRule{clip_value});
}

}  // namespace SINTER_ABI
}  // namespace sinter
