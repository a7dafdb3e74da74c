// SPDX-License-Identifier: MIT
// linear, convolutions and pooling.
#include "sinter/functional/conv.hpp"
#include "sinter/functional/linear.hpp"
#include "sinter/functional/pool.hpp"

#include "conformance/window.hpp"

namespace conformance {
namespace {

Conv2dOptions conv_options(const Case& c) {
  Conv2dOptions o;
  o.stride(pair_of(c, "stride", 1)).dilation(pair_of(c, "dilation", 1)).groups(c.integer("groups", 1));
  if (c.is_text("padding")) o.padding(c.text("padding", "").c_str());
  else o.padding(pair_of(c, "padding", 0));
  return o;
}

const bool registered = [] {
  add("linear", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return by_rank<1, 5>(c.rank(0), [&](auto r) { return Values{eval(linear(c.in<T, r.value>(0), c.in<T, 2>(1), c.in<T, 1>(2))).impl}; });
    });
  });
  add("conv1d", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return Values{conv1d(c.in<T, 3>(0), c.in<T, 3>(1), c.in<T, 1>(2), conv_options(c)).impl};
    });
  });
  add("conv2d", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return Values{eval(conv2d(c.in<T, 4>(0), c.in<T, 4>(1), c.in<T, 1>(2), conv_options(c))).impl};
    });
  });
  add("max_pool2d", [](Case& c) {
    return by_float(c, [&](auto t) {
      MaxPool2dOptions o;
      o.padding(pair_of(c, "padding", 0)).dilation(pair_of(c, "dilation", 1)).ceil_mode(c.flag("ceil_mode", false));
      if (c.has("stride")) o.stride(pair_of(c, "stride", 1));
      return Values{max_pool2d(c.in<decltype(t), 4>(0), pair_of(c, "kernel_size", 1), o).impl};
    });
  });
  add("avg_pool2d", [](Case& c) {
    return by_float(c, [&](auto t) {
      AvgPool2dOptions o;
      o.padding(pair_of(c, "padding", 0)).ceil_mode(c.flag("ceil_mode", false)).count_include_pad(c.flag("count_include_pad", true));
      if (c.has("stride")) o.stride(pair_of(c, "stride", 1));
      return Values{avg_pool2d(c.in<decltype(t), 4>(0), pair_of(c, "kernel_size", 1), o).impl};
    });
  });
  add("adaptive_avg_pool2d", [](Case& c) {
    return by_float(c, [&](auto t) { return Values{adaptive_avg_pool2d(c.in<decltype(t), 4>(0), pair_of(c, "output_size", 1)).impl}; });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
