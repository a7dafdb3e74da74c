// SPDX-License-Identifier: MIT
#include "ops_check.hpp"

TEST_CASE("cuda: every op in double") { all_ops::check_all<double>(); }
