// SPDX-License-Identifier: MIT
// Sorting, and the matrices and sequences of the indexing family.
#include "sinter/functional/matrix_shape.hpp"
#include "sinter/functional/sort.hpp"
#include "sinter/tensor/create.hpp"

#include "conformance/reduction.hpp"

namespace conformance {
namespace {

std::int64_t dim_or_last(const Case& c) { return c.has("dim") ? dim_of(c) : wide - 1; }
template <class Pair>
Values both(const Case& c, const Pair& p) { return {with_rank(p.values.impl, c.rank(0)), with_rank(p.indices.impl, c.rank(0))}; }
template <class Grids>
Values all_of_them(const Grids& grids) {
  Values v;
  for (const auto& g : grids) v.push_back(g.impl);
  return v;
}

const bool registered = [] {
  add("topk", [](Case& c) {
    return by_float(c, [&](auto t) { return both(c, topk(c.padded<decltype(t)>(0), c.integer("k"), dim_or_last(c), c.flag("largest", true))); });
  });
  add("sort", [](Case& c) {
    return by_number(c, 0, [&](auto t) { return both(c, sort(c.padded<decltype(t)>(0), dim_or_last(c), c.flag("descending", false))); });
  });
  add("argsort", [](Case& c) {
    return by_number(c, 0, [&](auto t) { return Values{with_rank(argsort(c.padded<decltype(t)>(0), dim_or_last(c), c.flag("descending", false)).impl, c.rank(0))}; });
  });
  add("unique", [](Case& c) {
    return by_number(c, 0, [&](auto t) {
      const auto u = unique(c.padded<decltype(t)>(0));
      Values out{u.values.impl};
      if (c.flag("return_inverse", false)) out.push_back(with_rank(u.inverse.impl, c.rank(0)));
      if (c.flag("return_counts", false)) out.push_back(u.counts.impl);
      return out;
    });
  });
  add("diag", [](Case& c) {
    return by_float(c, [&](auto t) {
      return by_rank<1, 2>(c.rank(0), [&](auto r) { return Values{eval(diag(c.in<decltype(t), r.value>(0), c.integer("diagonal", 0))).impl}; });
    });
  });
  for (const bool upper : {false, true})
    add(upper ? "triu" : "tril", [upper](Case& c) {
      return by_float(c, [&](auto t) {
        const auto x = c.padded<decltype(t)>(0);
        const std::int64_t d = c.integer("diagonal", 0);
        return Values{with_rank(upper ? eval(triu(x, d)).impl : eval(tril(x, d)).impl, c.rank(0))};
      });
    });
  add("meshgrid", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      const Indexing order = c.text("indexing", "ij") == "xy" ? Indexing::xy : Indexing::ij;
      if (c.inputs.size() == 2) return all_of_them(meshgrid(c.in<T, 1>(0), c.in<T, 1>(1), order));
      return all_of_them(meshgrid(c.in<T, 1>(0), c.in<T, 1>(1), c.in<T, 1>(2), order));
    });
  });
  add("arange", [](Case& c) {
    if (c.is_integer) return Values{arange(c.integer("start"), c.integer("end"), c.integer("step")).impl};
    return by_float(c, [&](auto t) { return Values{arange<decltype(t)>(c.number("start"), c.number("end"), c.number("step")).impl}; });
  });
  add("linspace", [](Case& c) {
    return by_float(c, [&](auto t) { return Values{linspace<decltype(t)>(c.number("start"), c.number("end"), c.integer("steps")).impl}; });
  });
  add("glu", [](Case& c) {
    return by_float(c, [&](auto t) { return Values{narrowed(glu(c.padded<decltype(t)>(0), dim_or_last(c)), c.rank(0))}; });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
