// SPDX-License-Identifier: MIT
// What tests of CUDA need, on a device and on the stand-in for one: the same statement on the CPU and there.
#pragma once

#include <catch2/catch.hpp>

#include "sinter/cuda/runtime.cuh"
#include "sinter/sinter.hpp"
#include "values.hpp"

namespace on_cuda {

using namespace sinter;
inline const Device gpu = Device::cuda();

// f() under every schedule of threads; a real device has its own.
template <class F>
void every_schedule(F&& f) {
#if defined(SINTER_CUDA_SHIM)
  for (const auto s : {shim::Schedule::forward, shim::Schedule::reverse, shim::Schedule::random}) {
    shim::set_schedule(s);
    f();
  }
  shim::set_schedule(shim::Schedule::forward);
#else
  f();
#endif
}

template <class A, class B>
void require_close(const A& there, const B& here, double rtol, double atol) {
  const auto a = eval(there), b = eval(here);
  REQUIRE(a.device() == gpu);
  REQUIRE(a.shape() == b.shape());
  const V x = values(a.cpu()), y = values(b);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i]) && std::isnan(y[i])) continue;
    if (x[i] == y[i]) continue;
    CAPTURE(i, x[i], y[i]);
    REQUIRE(std::abs(x[i] - y[i]) <= atol + rtol * std::abs(y[i]));
  }
}

// How far results may be apart that were computed in T.
template <class T>
double tolerance() {
  return std::is_same_v<T, double> ? 1e-12 : std::is_same_v<T, float> ? 2e-6 : std::is_same_v<T, sinter::half> ? 2e-3 : 2e-2;
}

// A leaf of the graph with the same values there.
template <class T, int R>
Tensor<T, R> leaf_there(const Tensor<T, R>& t) {
  Tensor<T, R> there = t.detach().to(gpu);
  if constexpr (is_floating<T>) there.requires_grad_(t.requires_grad());
  return there;
}

// The value of f(leaves...) and the gradients of all leaves, on the CPU and there, with a random gradient flowing in.
template <class T, int... R, class F>
void same_everywhere(F&& f, double rtol, double atol, Tensor<T, R>... leaves) {
  (leaves.requires_grad_(), ...);
  const auto here = eval(f(leaves...));
  const auto up = eval(to<typename std::decay_t<decltype(here)>::value_type>(randn<double>(here.shape())));
  here.backward(up);
  every_schedule([&] {
    const auto run = [&](const auto&... there) {
      const auto y = eval(f(there...));
      require_close(y, here.detach(), rtol, atol);
      y.backward(up.to(gpu));
      (require_close(there.grad(), leaves.grad(), rtol, atol), ...);
    };
    run(leaf_there(leaves)...);
  });
}

}  // namespace on_cuda
