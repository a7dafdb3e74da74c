// SPDX-License-Identifier: MIT
// The arithmetic of optimizers, once for vectors of the host and threads of a device, and the device's pass over all parameters.
// A rule is made of an optimizer's numbers and of what depends on the step besides:
//
//   static void rates(const Numbers& n, double step, double* rate);      // computed once per parameter and step, in double
//   Rule(const Numbers& n, const double* rate);                          // C: the type in which the rule computes
//   template <class V> void operator()(V& p, V g, V* s) const;           // V: a lane block, or C; s: the state's slots
#pragma once

#include <cmath>
#include <type_traits>

#include "sinter/core/backend.hpp"
#include "sinter/core/config.hpp"
#include "sinter/core/dtype.hpp"

namespace sinter {
namespace optim {

inline constexpr int max_slots = 3, max_rates = 2;

enum class RuleKind : int { sgd, momentum, nesterov, adam, adam_amsgrad, adamw, adamw_amsgrad, rmsprop, rmsprop_momentum,
                            rmsprop_centered, rmsprop_centered_momentum, adagrad, scale, clamp };

// The options of a parameter group as the rules read them; each optimizer sets its own.
struct Numbers {
  double lr = 0, weight_decay = 0, eps = 0;
  double momentum = 0, dampening = 0;              // SGD, RMSprop
  double beta1 = 0, beta2 = 0;                     // Adam, AdamW
  double alpha = 0, lr_decay = 0;                  // RMSprop; Adagrad
  double limit = 0;                                // of clip_grad_value_
};

inline namespace SINTER_ABI {
namespace rule {

// The words of rules for plain numbers; blocks bring their own. A NaN wins over any number.
SINTER_HOST_DEVICE float sqrt(float x) { return std::sqrt(x); }
SINTER_HOST_DEVICE double sqrt(double x) { return std::sqrt(x); }
SINTER_HOST_DEVICE float max(float a, float b) { return a > b || a != a ? a : b; }
SINTER_HOST_DEVICE double max(double a, double b) { return a > b || a != a ? a : b; }
SINTER_HOST_DEVICE float min(float a, float b) { return a < b || a != a ? a : b; }
SINTER_HOST_DEVICE double min(double a, double b) { return a < b || a != a ? a : b; }

template <class C, bool Momentum, bool Nesterov>
struct SGD {
  static constexpr int slots = Momentum;
  C lr, momentum, keep, weight_decay;  // keep: 1 - dampening, but 1 in the first step
  SINTER_HOST_DEVICE static void rates(const Numbers& n, double step, double* rate) { rate[0] = step == 1 ? 1 : 1 - n.dampening; }
  SINTER_HOST_DEVICE SGD(const Numbers& n, const double* rate)
      : lr(C(n.lr)), momentum(C(n.momentum)), keep(C(rate[0])), weight_decay(C(n.weight_decay)) {}
  template <class V>
  SINTER_HD void operator()(V& p, V g, V* s) const {
    g = g + V(weight_decay) * p;
    if constexpr (Momentum) {
      s[0] = V(momentum) * s[0] + V(keep) * g;
      g = Nesterov ? g + V(momentum) * s[0] : s[0];
    }
    p = p - V(lr) * g;
  }
};

template <class C, bool Decoupled, bool AMSGrad>
struct Adam {
  static constexpr int slots = AMSGrad ? 3 : 2;
  C shrink, weight_decay, beta1, beta2, rest1, rest2, step_size, root, eps;
  // Step size and root, corrected for means that start at 0.
  SINTER_HOST_DEVICE static void rates(const Numbers& n, double step, double* rate) {
    rate[0] = n.lr / (1 - std::pow(n.beta1, step));
    rate[1] = 1 / std::sqrt(1 - std::pow(n.beta2, step));
  }
  SINTER_HOST_DEVICE Adam(const Numbers& n, const double* rate)
      : shrink(C(1 - n.lr * n.weight_decay)), weight_decay(C(n.weight_decay)), beta1(C(n.beta1)), beta2(C(n.beta2)), rest1(C(1 - n.beta1)),
        rest2(C(1 - n.beta2)), step_size(C(rate[0])), root(C(rate[1])), eps(C(n.eps)) {}
  template <class V>
  SINTER_HD void operator()(V& p, V g, V* s) const {
    if constexpr (Decoupled) p = p * V(shrink);
    else g = g + V(weight_decay) * p;
    s[0] = V(beta1) * s[0] + V(rest1) * g;
    s[1] = V(beta2) * s[1] + V(rest2) * g * g;
    V v = s[1];
    if constexpr (AMSGrad) v = s[2] = max(s[2], v);
    p = p - V(step_size) * s[0] / (sqrt(v) * V(root) + V(eps));
  }
};

template <class C, bool Momentum, bool Centered>
struct RMSprop {
  static constexpr int slots = 1 + int(Momentum) + int(Centered);
  C lr, alpha, rest, eps, weight_decay, momentum;
  SINTER_HOST_DEVICE static void rates(const Numbers&, double, double*) {}
  SINTER_HOST_DEVICE RMSprop(const Numbers& n, const double*)
      : lr(C(n.lr)), alpha(C(n.alpha)), rest(C(1 - n.alpha)), eps(C(n.eps)), weight_decay(C(n.weight_decay)), momentum(C(n.momentum)) {}
  template <class V>
  SINTER_HD void operator()(V& p, V g, V* s) const {
    g = g + V(weight_decay) * p;
    s[0] = V(alpha) * s[0] + V(rest) * g * g;
    V square = s[0];
    if constexpr (Centered) {
      s[1] = V(alpha) * s[1] + V(rest) * g;
      square = square - s[1] * s[1];
    }
    V move = g / (sqrt(square) + V(eps));
    if constexpr (Momentum) {
      constexpr int buffer = Centered ? 2 : 1;
      move = s[buffer] = V(momentum) * s[buffer] + move;
    }
    p = p - V(lr) * move;
  }
};

template <class C>
struct Adagrad {
  static constexpr int slots = 1;
  C lr, weight_decay, eps;
  SINTER_HOST_DEVICE static void rates(const Numbers& n, double step, double* rate) { rate[0] = n.lr / (1 + (step - 1) * n.lr_decay); }
  SINTER_HOST_DEVICE Adagrad(const Numbers& n, const double* rate) : lr(C(rate[0])), weight_decay(C(n.weight_decay)), eps(C(n.eps)) {}
  template <class V>
  SINTER_HD void operator()(V& p, V g, V* s) const {
    g = g + V(weight_decay) * p;
    s[0] = s[0] + g * g;
    p = p - V(lr) * g / (sqrt(s[0]) + V(eps));
  }
};

// Of gradients in place, which are parameter and gradient at once: multiplied as they are read, or clamped.
template <class C>
struct Scale {
  static constexpr int slots = 0;
  SINTER_HOST_DEVICE static void rates(const Numbers&, double, double*) {}
  SINTER_HOST_DEVICE Scale(const Numbers&, const double*) {}
  template <class V>
  SINTER_HD void operator()(V& p, V g, V*) const { p = g; }
};
template <class C>
struct Clamp {
  static constexpr int slots = 0;
  C limit;
  SINTER_HOST_DEVICE static void rates(const Numbers&, double, double*) {}
  SINTER_HOST_DEVICE Clamp(const Numbers& n, const double*) : limit(C(n.limit)) {}
  template <class V>
  SINTER_HD void operator()(V& p, V g, V*) const {
    const V top = V(limit);
    p = min(max(g, -top), top);
  }
};

template <RuleKind K, class C>
constexpr auto of_kind() {  // a pointer, as the type is what is asked for
  using k = RuleKind;
  if constexpr (K == k::sgd || K == k::momentum || K == k::nesterov) return (SGD<C, K != k::sgd, K == k::nesterov>*)nullptr;
  else if constexpr (K == k::adam || K == k::adam_amsgrad) return (Adam<C, false, K == k::adam_amsgrad>*)nullptr;
  else if constexpr (K == k::adamw || K == k::adamw_amsgrad) return (Adam<C, true, K == k::adamw_amsgrad>*)nullptr;
  else if constexpr (K == k::rmsprop || K == k::rmsprop_momentum) return (RMSprop<C, K == k::rmsprop_momentum, false>*)nullptr;
  else if constexpr (K == k::rmsprop_centered || K == k::rmsprop_centered_momentum)
    return (RMSprop<C, K == k::rmsprop_centered_momentum, true>*)nullptr;
  else if constexpr (K == k::adagrad) return (Adagrad<C>*)nullptr;
  else if constexpr (K == k::scale) return (Scale<C>*)nullptr;
  else return (Clamp<C>*)nullptr;
}

}  // namespace rule

template <RuleKind K, class C>
using RuleOf = std::remove_pointer_t<decltype(rule::of_kind<K, C>())>;

}  // namespace SINTER_ABI

template <RuleKind K>
using RuleConstant = std::integral_constant<RuleKind, K>;

// ---- On a device

// One dense parameter. State is float, or double for double; so is `master`, which half and bfloat16 may have: the parameter in
// full. Where rounding it does not give the parameter, someone has written to that, which counts then.
struct DeviceParameter {
  void* p;
  const void* g;
  void* slot[max_slots];
  void* master;
  std::int64_t n, first_chunk;
  std::int32_t group, index;  // of its numbers; of its count of steps
  DType dtype;
  bool aligned;  // p and g to 16 bytes; state always is

  // Blocks of threads take a chunk of one parameter each.
  static constexpr std::int64_t chunk = 4096;
};

// All pointers are the device's. Counts the step of every parameter, then updates them, without the host's taking part: a
// captured step goes on counting. `factor`, if any, is what gradients are multiplied by.
struct DeviceUpdate {
  RuleKind kind;
  bool wide;  // all parameters are double; or none is
  int device;
  std::int32_t count;
  std::int64_t chunks;
  const DeviceParameter* parameters;
  const Numbers* numbers;
  std::int64_t* steps;  // null: nothing is counted
  double* rates;        // (count, max_rates)
  const double* factor;
};

// The gradients' |x|^p summed over each chunk (the largest |x| for infinity, how many are not 0 for 0), in double.
struct DeviceNorm {
  int device;
  std::int32_t count;
  std::int64_t chunks;
  const DeviceParameter* parameters;
  double p;
  double* terms;  // (chunks)
};

// Of all terms: result[0] the norm; result[1] what bounds it to max_norm by multiplication, at most 1.
struct DeviceNormEnd {
  int device;
  std::int64_t count;
  const double* terms;
  double p, max_norm;
  double* result;
};

inline DeviceKernel<void(const DeviceUpdate&)> update_on_device{"optimizer step"};
inline DeviceKernel<void(const DeviceNorm&)> norm_terms_on_device{"gradient norm"};
inline DeviceKernel<void(const DeviceNormEnd&)> norm_end_on_device{"gradient norm"};
// Writes a few bytes (a multiple of 8) by kernels that carry them as arguments: without waiting, and the source is free at once.
inline DeviceKernel<void(int device, void* to, const void* from, std::size_t bytes)> write_on_device{"optimizer"};
// Whether the current stream is being recorded.
inline DeviceKernel<bool(int device)> captured_on_device{"optimizer"};

}  // namespace optim
}  // namespace sinter
