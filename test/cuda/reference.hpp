// SPDX-License-Identifier: MIT
// A function on a device in T against the same function on the CPU in double, of the same rounded inputs: the value and the
// gradients of all inputs. On the device it gives the same bits under every schedule.
#pragma once

#include <catch2/catch.hpp>

#include "schedules.hpp"
#include "sinter/tensor/create.hpp"
#include "sinter/tensor/tensor.hpp"

namespace reference {

using namespace sinter;
inline constexpr Device gpu = Device::cuda();

template <class T>
inline constexpr double epsilon = std::is_same_v<T, double> ? 1e-15 : std::is_same_v<T, float> ? 6e-8 : std::is_same_v<T, sinter::half> ? 1e-3 : 8e-3;

template <class T, int R>
void append(std::vector<double>& to, const Tensor<T, R>& t) {
  const Tensor<T, R> here = t.detach().cpu().contiguous();
  for (std::int64_t i = 0; i < here.numel(); ++i) to.push_back(double(here.data()[i]));
}

// f(leaves..., device) and the gradients of the leaves, under a gradient of `up`.
template <class F, class Up, class... X>
std::vector<double> evaluate(F&& f, const Up& up, Device device, const X&... leaves) {
  std::vector<double> out;
  const auto run = [&](auto... x) {
    (x.requires_grad_(), ...);
    const auto y = eval(f(x..., device));
    if (y.device() != device) FAIL("the result is on another device");
    append(out, y);
    y.backward(y.detach() * 0 + up.to(device));
    (append(out, x.grad()), ...);
  };
  run(leaves.detach().to(device)...);
  return out;
}
struct Bits {
  std::vector<double> v;
  friend bool operator==(const Bits& a, const Bits& b) { return a.v.size() == b.v.size() && (a.v.empty() || std::memcmp(a.v.data(), b.v.data(), a.v.size() * 8) == 0); }
};

// within: units in the last place of T, of numbers about as large as `scale`.
template <class T, class F, int... R>
void check(F&& f, double within, double scale, const Tensor<double, R>&... in) {
  const auto up_of = [&] {
    const auto y = eval(f(in..., Device::cpu()));
    return randn<double>(y.shape());
  };
  const auto round = [](const auto& t) { return materialize(to<T>(t)); };
  const auto up = round(up_of());
  const std::vector<double> there = same_under_all_schedules([&] { return Bits{evaluate(f, up, gpu, round(in)...)}; }).v;
  const std::vector<double> here = evaluate(f, materialize(to<double>(up)), Device::cpu(), materialize(to<double>(round(in)))...);
  REQUIRE(there.size() == here.size());
  for (std::size_t i = 0; i < here.size(); ++i) {
    if (std::isnan(here[i]) && std::isnan(there[i])) continue;
    if (here[i] == there[i]) continue;
    if (!(std::abs(there[i] - here[i]) <= within * epsilon<T> * (scale + std::abs(here[i])))) {
      CAPTURE(i, there[i], here[i], here.size());
      REQUIRE(there[i] == here[i]);
    }
  }
}
template <class F>
void check_all(F&& f, double within, double scale, const Tensor<double, 2>& in) {
  check<float>(f, within, scale, in), check<double>(f, within, scale, in), check<sinter::half>(f, within, scale, in), check<bfloat16>(f, within, scale, in);
}

}  // namespace reference
