// SPDX-License-Identifier: MIT
#include "sinter/core/shape.hpp"

#include <catch2/catch.hpp>

using namespace sinter;

TEST_CASE("shapes broadcast as in NumPy") {
  CHECK(broadcast_shapes("add", Shape{3, 1, 5}, Shape{4, 1}) == Shape{3, 4, 5});
  CHECK(broadcast_shapes("add", Shape<0>{}, Shape{2, 0}) == Shape{2, 0});
  CHECK_THROWS_WITH(broadcast_shapes("add", Shape{3, 22}, Shape{3, 15}),
                    Catch::Contains("add") && Catch::Contains("[3, 22] x [3, 15]") && Catch::Contains("22 against 15"));
}

TEST_CASE("dimensions count from the end, too") {
  CHECK(wrap_dim("sum", -1, 3) == 2);
  CHECK(wrap_dim("sum", 0, 0) == 0);
  CHECK_THROWS_AS(wrap_dim("sum", 3, 3), IndexError);
}

TEST_CASE("contiguity ignores extents of one") {
  CHECK(is_contiguous(Shape{2, 1, 3}, Shape{3, 77, 1}));
  CHECK_FALSE(is_contiguous(Shape{2, 3}, Shape{1, 2}));
  CHECK(contiguous_strides(Shape{2, 3, 4}) == Shape{12, 4, 1});
}
