// SPDX-License-Identifier: MIT
// Normalisation and dropout.
#include "sinter/functional/batch_norm.hpp"
#include "sinter/functional/dropout.hpp"

#include "conformance/case.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  add("batch_norm", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return by_rank<2, 4>(c.rank(0), [&](auto r) {
        const auto outside = [&](int i) { return c.given(i) ? c.in<T, 1>(i).detach() : Tensor<T, 1>(); };
        const auto mean = outside(1), var = outside(2);
        const bool training = c.flag("training", false);
        const auto o = BatchNormOptions().training(training).momentum(c.number("momentum", 0.1)).eps(c.number("eps", 1e-5));
        Values out{eval(batch_norm(c.in<T, r.value>(0), mean, var, c.in<T, 1>(3), c.in<T, 1>(4), o)).impl};
        if (training && mean.defined()) out.push_back(mean.impl), out.push_back(var.impl);
        return out;
      });
    });
  });
  add("dropout", [](Case& c) {
    return by_float(c, [&](auto t) {
      return Values{narrowed(dropout(c.padded<decltype(t)>(0), c.number("p", 0.5), c.flag("training", true)), c.rank(0))};
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
