// SPDX-License-Identifier: MIT
// Normalisation of rows, groups and instances, and LayerNorm.
#include "sinter/functional/group_norm.hpp"
#include "sinter/nn/layer_norm.hpp"

#include "conformance/modules.hpp"

namespace conformance {
namespace {

// f(T, R, K): dtype, rank of the input, and how many dimensions are normalised.
template <class F>
auto by_norm(Case& c, F f) {
  return by_float(c, [&](auto t) {
    return by_rank<1, 4>(c.rank(0), [&](auto r) {
      return by_rank<1, r.value>(int(c.ints("normalized_shape").size()), [&](auto k) { return f(t, r, k); });
    });
  });
}
template <class F>
auto by_image(Case& c, F f) {
  return by_float(c, [&](auto t) { return by_rank<2, 5>(c.rank(0), [&](auto r) { return f(t, r); }); });
}

const bool registered = [] {
  add("layer_norm", [](Case& c) {
    return by_norm(c, [&](auto t, auto r, auto k) {
      using T = decltype(t);
      constexpr int R = r.value, K = k.value;
      return Values{layer_norm(c.in<T, R>(0), shape_from<K>(c.ints("normalized_shape")), c.in<T, K>(1), c.in<T, K>(2), c.number("eps", 1e-5)).impl};
    });
  });
  add("rms_norm", [](Case& c) {
    return by_norm(c, [&](auto t, auto r, auto k) {
      using T = decltype(t);
      constexpr int R = r.value, K = k.value;
      return Values{rms_norm(c.in<T, R>(0), shape_from<K>(c.ints("normalized_shape")), c.in<T, K>(1), c.number("eps")).impl};
    });
  });
  add("group_norm", [](Case& c) {
    return by_image(c, [&](auto t, auto r) {
      using T = decltype(t);
      return Values{group_norm(c.in<T, r.value>(0), c.integer("num_groups"), c.in<T, 1>(1), c.in<T, 1>(2), c.number("eps", 1e-5)).impl};
    });
  });
  add("instance_norm", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return by_rank<3, 5>(c.rank(0), [&](auto r) {
        return Values{instance_norm(c.in<T, r.value>(0), c.in<T, 1>(1), c.in<T, 1>(2), c.number("eps", 1e-5)).impl};
      });
    });
  });
  add("LayerNorm", [](Case& c) {
    return by_norm(c, [&](auto t, auto r, auto k) {
      using T = decltype(t);
      const auto o = nn::LayerNormOptions().eps(c.number("eps", 1e-5)).elementwise_affine(c.flag("elementwise_affine", true));
      nn::LayerNormOf<T, k.value> layer(shape_from<k.value>(c.ints("normalized_shape")), o);
      return run_module(c, layer, [&](const auto& m) { return Values{m(c.in<T, r.value>(0)).impl}; });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
