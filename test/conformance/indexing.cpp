// SPDX-License-Identifier: MIT
// Elements chosen by index or mask.
#include "sinter/functional/embedding.hpp"
#include "sinter/functional/gather.hpp"
#include "sinter/functional/mask.hpp"
#include "sinter/tensor/index.hpp"

#include "conformance/reduction.hpp"

namespace conformance {
namespace {

// f(T(), x) gives a result of x's rank.
template <class F>
void like_input(const char* op, F f) {
  add(op, [f](Case& c) {
    return by_float(c, [&](auto t) { return Values{narrowed(f(c, t, c.padded<decltype(t)>(0)), c.rank(0))}; });
  });
}

const bool registered = [] {
  like_input("slice", [](Case& c, auto, auto x) {
    const Ints start = c.ints_or("start", 0), stop = c.ints_or("stop", Slice::end), step = c.ints_or("step", 1);
    for (std::size_t d = 0; d < start.size(); ++d) x = slice(x, wide - c.rank(0) + int(d), start[d], stop[d], step[d]);
    return x;
  });
  add("select", [](Case& c) {
    return by_float(c, [&](auto t) {
      return by_rank<1, 5>(c.rank(0), [&](auto r) { return Values{eval(select(c.in<decltype(t), r.value>(0), c.integer("dim"), c.integer("index"))).impl}; });
    });
  });
  like_input("index_select", [](Case& c, auto, const auto& x) { return index_select(x, dim_of(c), c.in<std::int64_t, 1>(1)); });
  like_input("gather", [](Case& c, auto, const auto& x) { return gather(x, dim_of(c), c.padded<std::int64_t>(1)); });
  like_input("take_along_dim", [](Case& c, auto, const auto& x) { return take_along_dim(x, c.padded<std::int64_t>(1), dim_of(c)); });
  like_input("scatter", [](Case& c, auto t, const auto& x) {
    const auto index = c.padded<std::int64_t>(1);
    if (c.given(2)) return eval(scatter(x, dim_of(c), index, c.padded<decltype(t)>(2)));
    return eval(scatter(x, dim_of(c), index, c.number("value")));
  });
  like_input("scatter_add", [](Case& c, auto t, const auto& x) {
    return scatter_add(x, dim_of(c), c.padded<std::int64_t>(1), c.padded<decltype(t)>(2));
  });
  like_input("masked_fill", [](Case& c, auto, const auto& x) { return masked_fill(x, c.padded<bool>(1), c.number("value")); });
  add("masked_select", [](Case& c) {
    return by_float(c, [&](auto t) { return Values{eval(masked_select(c.padded<decltype(t)>(0), c.padded<bool>(1))).impl}; });
  });
  add("nonzero", [](Case& c) {
    return by_float(c, [&](auto t) {
      return by_rank<0, 5>(c.rank(0), [&](auto r) { return Values{nonzero(c.in<decltype(t), r.value>(0)).impl}; });
    });
  });
  add("one_hot", [](Case& c) {
    return by_rank<0, 4>(c.rank(0), [&](auto r) { return Values{one_hot(c.in<std::int64_t, r.value>(0), c.integer("num_classes")).impl}; });
  });
  add("embedding", [](Case& c) {
    std::optional<std::int64_t> padding;
    if (c.has("padding_idx")) padding = c.integer("padding_idx");
    return by_float(c, [&](auto t) {
      return by_rank<0, 4>(c.rank(0), [&](auto r) {
        return Values{embedding(c.in<std::int64_t, r.value>(0), c.in<decltype(t), 2>(1), padding).impl};
      });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
