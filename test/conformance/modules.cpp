// SPDX-License-Identifier: MIT
// Layers.
#include "conformance/modules.hpp"

#include "sinter/nn/linear.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  add("Linear", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      nn::LinearOf<T> layer(c.integer("in_features"), c.integer("out_features"), c.flag("bias", true));
      return run_module(c, layer, [&](const auto& m) {
        return by_rank<1, 5>(c.rank(0), [&](auto r) { return Values{m(c.in<T, r.value>(0)).impl}; });
      });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
