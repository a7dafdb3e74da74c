// SPDX-License-Identifier: MIT
// Gradients kept within bounds before a step. Where they are not looked at afterwards, Optimizer::step(ClipGradNorm) does the
// same with a pass less. https://pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
#pragma once

#include "sinter/optim/grad_norm.hpp"
#include "sinter/optim/parameters.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// Applies a rule to gradients in place, multiplied by `scale` before; factor: where that lies on the one device of all gradients.
template <optim::RuleKind Kind>
void update_grads(const CachedVector<Ref<TensorImpl>>& grads, double scale, const double* factor, const optim::Numbers& numbers = {}) {
  CachedVector<Ref<TensorImpl>> kept;
  optim::Updates updates;
  optim::DeviceStep on_devices;
  updates.grad_scale = scale;
  for (const auto& g : grads) {
    kept.push_back(optim::densely(g));
    const Ref<TensorImpl>& t = kept.back();
    if (t->device().is_cuda()) {
      optim::DeviceParameter row{};
      row.p = t->data, row.g = t->data, row.n = t->numel(), row.dtype = t->dtype;
      on_devices.add(Kind, t->device(), row);
      continue;
    }
    optim::Update u;
    u.p = t.get(), u.g = u.p;
    updates.push_back(u);
  }
  optim::update_all<Kind>(updates, numbers);
  on_devices.run_once(numbers, optim::FactorOnDevices{scale, factor});
  for (std::size_t i = 0; i < grads.size(); ++i) {
    if (kept[i] != grads[i]) copy_elements(*grads[i], *kept[i]);
    grads[i]->storage->version.fetch_add(1, std::memory_order_relaxed);
  }
}

inline CachedVector<Ref<TensorImpl>> grads_of(const optim::ParameterList& parameters) {
  CachedVector<Ref<TensorImpl>> grads;
  for (const auto& p : parameters)
    if (p->grad) grads.push_back(p->grad);
  return grads;
}

// Scales all gradients so that the norm of them all together is at most max_norm, and returns what it was (which, on a device,
// is waited for only where it is read). norm_type may be infinity. Throws ValueError for a negative max_norm or, if asked, for a
// norm that is not finite.
template <class List = optim::ParameterList>  // compiled where it is called
optim::GradNorm clip_grad_norm_(const List& parameters, double max_norm, double norm_type = 2, bool error_if_nonfinite = false) {
  const auto grads = grads_of(optim::ParameterList(parameters));
  optim::DeviceTable table;
  const auto [norm, factor] =
      optim::ClipGradNorm(max_norm).norm_type(norm_type).error_if_nonfinite(error_if_nonfinite).norm_and_factor("clip_grad_norm_", grads, table);
  const double* there = norm.there() ? static_cast<const double*>(norm.there()->data) + 1 : nullptr;
  if (factor != 1 || there) update_grads<optim::RuleKind::scale>(grads, factor, there);
  return norm;
}

// Clamps every gradient's elements to [-clip_value, clip_value].
template <class List = optim::ParameterList>
void clip_grad_value_(const List& parameters, double clip_value) {
  if (!(clip_value >= 0)) fail<ValueError>("clip_grad_value_: clip_value must not be negative, but is ", clip_value);
  optim::Numbers numbers;
  numbers.limit = clip_value;
  update_grads<optim::RuleKind::clamp>(grads_of(optim::ParameterList(parameters)), 1, nullptr, numbers);
}

}  // namespace SINTER_ABI
}  // namespace sinter
