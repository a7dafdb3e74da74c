// SPDX-License-Identifier: MIT
// Reductions over any dimensions.
#include "conformance/reduction.hpp"

#include "sinter/expr/reductions.hpp"
#include "sinter/functional/argmax.hpp"
#include "sinter/functional/softmax.hpp"

namespace conformance {
namespace {

using Any = Axes<1, true>;  // K does not matter where the dimensions stay

template <class F, class E, class... Option>
Values reduced_by(const Case& c, const E& x, Option... option) {
  const unsigned mask = dims_of(c);
  return {without(materialize(F::apply(x, Any{mask}, option...)).impl, c, mask)};
}
template <class F>
void reduction(const char* op) {
  add(op, [](Case& c) { return by_float(c, [&](auto t) { return reduced_by<F>(c, c.padded<decltype(t)>(0)); }); });
}

const bool registered = [] {
  add("sum", [](Case& c) {
    if (c.dtype(0) == DType::boolean) return reduced_by<Plain<op::Sum>>(c, c.padded<bool>(0));
    return by_number(c, 0, [&](auto t) { return reduced_by<Plain<op::Sum>>(c, c.padded<decltype(t)>(0)); });
  });
  reduction<Mean>("mean");
  reduction<Plain<op::Prod>>("prod");
  reduction<Plain<op::Amax>>("amax");
  reduction<Plain<op::Amin>>("amin");
  reduction<LogSumExp>("logsumexp");
  for (const bool root : {false, true})
    add(root ? "std" : "var", [root](Case& c) {
      return by_float(c, [&](auto t) {
        const auto x = c.padded<decltype(t)>(0);
        const Correction n = c.flag("unbiased", true) ? unbiased : biased;
        return root ? reduced_by<Stddev>(c, x, n) : reduced_by<Var>(c, x, n);
      });
    });
  add("all", [](Case& c) { return reduced_by<Plain<op::All>>(c, c.padded<bool>(0)); });
  add("any", [](Case& c) { return reduced_by<Plain<op::Any>>(c, c.padded<bool>(0)); });
  for (const bool greatest : {false, true})
    add(greatest ? "argmax" : "argmin", [greatest](Case& c) {
      return by_float(c, [&](auto t) {
        const auto x = c.padded<decltype(t)>(0);
        if (!c.has("dim")) return Values{(greatest ? argmax(x) : argmin(x)).impl};
        const std::int64_t d = dim_of(c);
        return Values{without((greatest ? argmax(x, d, keepdim) : argmin(x, d, keepdim)).impl, c, dims_of(c))};
      });
    });
  for (const bool log : {false, true})
    add(log ? "log_softmax" : "softmax", [log](Case& c) {
      return by_float(c, [&](auto t) {
        const auto x = c.padded<decltype(t)>(0);
        return Values{narrowed(log ? log_softmax(x, dim_of(c)) : softmax(x, dim_of(c)), c.rank(0))};
      });
    });
  return true;
}();

}  // namespace
}  // namespace conformance
