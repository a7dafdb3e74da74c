// SPDX-License-Identifier: MIT
// Results whose elements are the operand's at other places.
#include "sinter/functional/rearrange.hpp"

#include "conformance/elementwise.hpp"
#include "conformance/reduction.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  add("flip", [](Case& c) {
    const Ints dims = c.ints("dims");
    return by_float(c, [&](auto t) {
      return by_rank<1, 5>(int(dims.size()), [&](auto k) {
        int at[k.value];
        for (int i = 0; i < k.value; ++i) at[i] = wide - c.rank(0) + wrap_dim("flip", dims[std::size_t(i)], c.rank(0));
        return Values{narrowed(flip(c.padded<decltype(t)>(0), at), c.rank(0))};
      });
    });
  });
  add("roll", [](Case& c) {
    const Ints dims = c.ints("dims"), by = c.ints("shifts");
    return by_float(c, [&](auto t) {
      return by_rank<1, 5>(int(dims.size()), [&](auto k) {
        int at[k.value];
        std::int64_t shifts[k.value];
        for (int i = 0; i < k.value; ++i) {
          at[i] = wide - c.rank(0) + wrap_dim("roll", dims[std::size_t(i)], c.rank(0));
          shifts[i] = by[std::size_t(i)];
        }
        return Values{narrowed(roll(c.padded<decltype(t)>(0), shifts, at), c.rank(0))};
      });
    });
  });
  add("repeat", [](Case& c) {
    const Ints r = c.ints("repeats");
    std::int64_t repeats[wide] = {1, 1, 1, 1, 1};
    for (std::size_t i = 0; i < r.size(); ++i) repeats[std::size_t(wide) - r.size() + i] = r[i];
    return by_float(c, [&](auto t) { return Values{narrowed(repeat(c.padded<decltype(t)>(0), repeats), std::max(c.rank(0), int(r.size())))}; });
  });
  add("tile", [](Case& c) {
    const Ints r = c.ints("dims");
    return by_float(c, [&](auto t) {
      return by_rank<1, 5>(int(r.size()), [&](auto k) {
        std::int64_t repeats[k.value];
        for (int i = 0; i < k.value; ++i) repeats[i] = r[std::size_t(i)];
        return Values{narrowed(tile(c.padded<decltype(t)>(0), repeats), std::max(c.rank(0), k.value))};
      });
    });
  });
  add("repeat_interleave", [](Case& c) {
    return by_float(c, [&](auto t) {
      const auto x = c.padded<decltype(t)>(0);
      if (!c.has("dim")) return Values{eval(repeat_interleave(x, c.integer("repeats"))).impl};
      return Values{narrowed(repeat_interleave(x, c.integer("repeats"), dim_of(c)), c.rank(0))};
    });
  });
  add("pad", [](Case& c) {
    const Ints p = c.ints("pad");
    const std::string mode = c.text("mode", "constant");
    const PadMode m = mode == "reflect" ? PadMode::reflect : mode == "replicate" ? PadMode::replicate : PadMode::constant;
    return by_float(c, [&](auto t) {
      return by_rank<1, 5>(int(p.size() / 2), [&](auto k) {
        std::int64_t padding[2 * k.value];
        for (int i = 0; i < 2 * k.value; ++i) padding[i] = p[std::size_t(i)];
        return Values{narrowed(pad(c.padded<decltype(t)>(0), padding, m, c.number("value", 0)), c.rank(0))};
      });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
