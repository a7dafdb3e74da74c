// SPDX-License-Identifier: MIT
// Results of kernels must not depend on the order in which blocks and threads run.
#pragma once

#include <catch2/catch.hpp>

#include "sinter/cuda/runtime.cuh"

// f()'s result, which must be the same in every order.
template <class F>
auto same_under_all_schedules(F&& f) {
#if defined(SINTER_CUDA_SHIM)
  shim::set_schedule(shim::Schedule::reverse);
  const auto reverse = f();
  shim::set_schedule(shim::Schedule::random);
  const auto random = f();
  shim::set_schedule(shim::Schedule::forward);
  const auto forward = f();
  REQUIRE((reverse == forward));
  REQUIRE((random == forward));
  return forward;
#else
  const auto once = f(), again = f();
  REQUIRE((once == again));
  return once;
#endif
}
