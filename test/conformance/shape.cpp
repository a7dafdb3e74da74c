// SPDX-License-Identifier: MIT
// Views and joins.
#include "sinter/tensor/join.hpp"

#include "conformance/case.hpp"

namespace conformance {
namespace {

// f(x) with x at its own rank of Low to High.
template <int Low, int High, class F>
Values at_rank(Case& c, F f) {
  return by_float(c, [&](auto t) {
    return by_rank<Low, High>(c.rank(0), [&](auto r) { return Values{materialize(f(c.in<decltype(t), r.value>(0))).impl}; });
  });
}
template <class Parts>
Values values(const Parts& parts) {
  Values v;
  for (const auto& p : parts) v.push_back(p.impl);
  return v;
}
template <bool New, class T>
Value joined(const Case& c) {
  return by_rank<1, 4>(c.rank(0), [&](auto r) {
    std::vector<Tensor<T, r.value>> all;
    for (int i = 0; i < int(c.inputs.size()); ++i) all.push_back(c.in<T, r.value>(i));
    if constexpr (New) return stack(all, c.integer("dim")).impl;
    else return cat(all, c.integer("dim")).impl;
  });
}

const bool registered = [] {
  for (const char* op : {"reshape", "view"})
    add(op, [copies = op == std::string("reshape")](Case& c) {
      return by_float(c, [&](auto t) {
        const Ints sizes = c.ints("shape");
        const auto x = c.padded<decltype(t)>(0);
        return by_rank<0, 5>(int(sizes.size()), [&](auto n) {
          const auto s = shape_from<n.value>(sizes);
          return Values{copies ? Tensor(reshape(x, s)).impl : Tensor(view(x, s)).impl};
        });
      });
    });
  add("permute", [](Case& c) {
    return at_rank<1, 5>(c, [&](const auto& x) { return permute(x, shape_from<std::decay_t<decltype(x)>::rank>(c.ints("dims"))); });
  });
  add("transpose", [](Case& c) {
    return at_rank<1, 5>(c, [&](const auto& x) { return transpose(x, c.integer("dim0"), c.integer("dim1")); });
  });
  add("squeeze", [](Case& c) { return at_rank<1, 5>(c, [&](const auto& x) { return squeeze(x, c.integer("dim")); }); });
  add("unsqueeze", [](Case& c) { return at_rank<0, 4>(c, [&](const auto& x) { return unsqueeze(x, c.integer("dim")); }); });
  add("narrow", [](Case& c) {
    return at_rank<1, 5>(c, [&](const auto& x) { return narrow(x, c.integer("dim"), c.integer("start"), c.integer("length")); });
  });
  add("cat", [](Case& c) { return by_number(c, 0, [&](auto t) { return Values{joined<false, decltype(t)>(c)}; }); });
  add("stack", [](Case& c) { return by_float(c, [&](auto t) { return Values{joined<true, decltype(t)>(c)}; }); });
  add("split", [](Case& c) {
    return by_float(c, [&](auto t) {
      return by_rank<1, 4>(c.rank(0), [&](auto r) {
        const auto x = c.in<decltype(t), r.value>(0);
        if (c.is_list("split_size_or_sections")) return values(split(x, c.ints("split_size_or_sections"), c.integer("dim", 0)));
        return values(split(x, c.integer("split_size_or_sections"), c.integer("dim", 0)));
      });
    });
  });
  add("chunk", [](Case& c) {
    return by_float(c, [&](auto t) {
      return by_rank<1, 4>(c.rank(0), [&](auto r) {
        return values(chunk(c.in<decltype(t), r.value>(0), c.integer("chunks"), c.integer("dim", 0)));
      });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
