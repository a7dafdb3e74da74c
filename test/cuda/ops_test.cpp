// SPDX-License-Identifier: MIT
#include "ops_check.hpp"

TEST_CASE("cuda: every op in float") { all_ops::check_all<float>(); }
