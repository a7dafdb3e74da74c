// SPDX-License-Identifier: MIT
#if !defined(SINTER_CUDA_SHIM)  // a device has its own functions of doubles; the stand-in has those of ops_test.cpp
#include "ops_check.hpp"

TEST_CASE("cuda: every op in double") { all_ops::check_all<double>(); }
#endif
