// SPDX-License-Identifier: MIT
// layer_norm, rms_norm, group_norm and instance_norm on a device: every kernel, forward and backward.
#include "reference.hpp"
#include "sinter/functional/group_norm.hpp"
#include "sinter/functional/layer_norm.hpp"

using namespace sinter;
using reference::check;

namespace {

template <class T>
void check_norms(std::int64_t rows, std::int64_t n) {
  CAPTURE(rows, n, name_of(dtype_of<T>()));
  const auto x = eval(randn<double>({rows, n}) * 2 + 1);
  const auto w = randn<double>({n}), b = randn<double>({n});
  const double within = is_reduced_float<T> ? 8 : 24, scale = std::sqrt(double(rows)) + 1;
  // Of one element, or two that are close, the variance is not known better than the elements are.
  if (n > 2) check<T>([n](const auto& t, const auto& gain, const auto& shift, Device) { return layer_norm(t, {n}, gain, shift); }, within, scale, x, w, b);
  if constexpr (std::is_same_v<T, half>) return;  // as bfloat16
  check<T>([n](const auto& t, const auto& gain, Device) { return rms_norm(t, {n}, gain, 1e-5); }, within, scale, x, w);
  if (n > 2) check<T>([n](const auto& t, Device) { return layer_norm(t, {n}); }, within, scale, x);
}

}  // namespace

TEST_CASE("layer_norm and rms_norm on a device") {
  manual_seed(1);
  for (const std::int64_t n : {1, 2, 3, 8, 31, 64, 128, 133, 257, 784, 1024}) check_norms<float>(5, n);
  for (const std::int64_t n : {3, 16, 264, 301}) check_norms<double>(4, n), check_norms<half>(4, n), check_norms<bfloat16>(4, n);
  for (const std::int64_t n : {1027, 1028, 4000, 8192, 8200, 16400}) check_norms<float>(3, n);
  check_norms<bfloat16>(3, 4104);
  check_norms<bfloat16>(2, 16401);
  check_norms<float>(600, 12);
  check_norms<float>(530, 260);
  check_norms<float>(0, 5);
}
TEST_CASE("layer_norm on a device only where a gradient is wanted, and of rows at any address") {
  manual_seed(2);
  const auto w = randn({50}).cuda(), b = randn({50}).cuda();
  check<float>([&](const auto& t, Device d) { return layer_norm(t, {50}, to<typename std::decay_t<decltype(t)>::value_type>(w.to(d)).eval()); }, 24, 4, randn<double>({7, 50}));
  for (const int skip : {1, 2, 4})
    check<float>([skip](const auto& t, Device) { return layer_norm(reshape(t.slice(0, skip, skip + 900), Shape{3, 300}), {300}); }, 24, 4, randn<double>({1000}));
  const auto x = randn({3, 50}).cuda();
  REQUIRE_THROWS_AS(layer_norm(x, {50}, w.cpu(), b), DeviceError);
}
TEST_CASE("group_norm and instance_norm on a device") {
  manual_seed(3);
  const auto x = randn<double>({3, 6, 5, 7});
  const auto w = randn<double>({6}), b = randn<double>({6});
  check<float>([](const auto& t, const auto& g, const auto& s, Device) { return group_norm(t, 2, g, s); }, 32, 16, x, w, b);
  check<double>([](const auto& t, const auto& g, const auto& s, Device) { return instance_norm(t, g, s); }, 32, 16, x, w, b);
}
