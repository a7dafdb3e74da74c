// SPDX-License-Identifier: MIT
// The algebra of layouts, against every element's address.
#include "sinter/tensor/layout.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace sinter;
using Catch::Matchers::Contains;

namespace {

// Offsets of all elements in row-major order.
template <int R>
std::vector<std::int64_t> offsets(const Layout<R>& l) {
  std::vector<std::int64_t> v;
  for (std::int64_t i = 0; i < l.sizes.numel(); ++i) {
    std::int64_t rest = i, at = l.offset;
    for (int d = R - 1; d >= 0; --d) {
      at += rest % l.sizes[d] * l.strides[d];
      rest /= l.sizes[d];
    }
    v.push_back(at);
  }
  return v;
}

}  // namespace

TEST_CASE("reshaped() keeps every element's address, or says no") {
  const auto dense = Layout<3>::contiguous(Shape<3>{{4, 3, 2}});
  const Layout<3> gaps = sliced(Layout<3>::contiguous(Shape<3>{{4, 3, 4}}), 2, 1, 3, 1);
  const Layout<3> swapped = transposed(dense, 0, 2);
  const Layout<3> rows = sliced(dense, 0, 0, 4, 2);
  const auto check = [](const Layout<3>& from, const auto& to, bool possible) {
    std::decay_t<decltype(to)> sizes = to;
    Layout<std::decay_t<decltype(to)>::rank> out;
    CAPTURE(from.sizes, from.strides, to);
    REQUIRE(reshaped(from, sizes, out) == possible);
    if (possible) REQUIRE(offsets(out) == offsets(from));
  };
  check(dense, Shape<2>{{6, 4}}, true);
  check(dense, Shape<4>{{2, 2, 6, 1}}, true);
  check(gaps, Shape<2>{{12, 2}}, true);
  check(gaps, Shape<4>{{2, 6, 1, 2}}, true);
  check(gaps, Shape<2>{{4, 6}}, false);
  check(gaps, Shape<1>{{24}}, false);
  check(swapped, Shape<4>{{2, 3, 2, 2}}, true);
  check(swapped, Shape<2>{{6, 4}}, false);
  check(rows, Shape<2>{{2, 6}}, true);
  check(rows, Shape<1>{{12}}, false);
}

TEST_CASE("sliced, selected, permuted, unsqueezed, expanded point at the right elements") {
  const auto dense = Layout<2>::contiguous(Shape<2>{{3, 4}});
  REQUIRE(offsets(sliced(dense, 1, 1, 4, 2)) == std::vector<std::int64_t>{1, 3, 5, 7, 9, 11});
  REQUIRE(sliced(dense, 0, 2, 1, 1).sizes == Shape<2>{{0, 4}});
  REQUIRE(offsets(selected(dense, 1, 2)) == std::vector<std::int64_t>{2, 6, 10});
  REQUIRE(offsets(permuted(dense, Shape<2>{{1, 0}})) == offsets(transposed(dense, 0, 1)));
  REQUIRE(unsqueezed(dense, 1).sizes == Shape<3>{{3, 1, 4}});
  REQUIRE(offsets(unsqueezed(dense, 2)) == offsets(dense));
  const auto column = Layout<2>::contiguous(Shape<2>{{2, 1}});
  REQUIRE(offsets(expanded("expand", column, Shape<3>{{2, -1, 3}})) == std::vector<std::int64_t>{0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1});
  REQUIRE_THROWS_WITH(expanded("expand", column, Shape<2>{{3, 3}}), Contains("[2, 1]") && Contains("2 against 3") && Contains("axis 0"));
}

TEST_CASE("inferred_sizes") {
  const Shape<2> from{{4, 6}};
  REQUIRE(inferred_sizes("view", 24, Shape<3>{{2, -1, 3}}, from) == Shape<3>{{2, 4, 3}});
  REQUIRE_THROWS_AS(inferred_sizes("view", 24, Shape<2>{{-1, 5}}, from), ShapeError);
  REQUIRE_THROWS_AS(inferred_sizes("view", 24, Shape<2>{{-1, -1}}, from), ShapeError);
  REQUIRE_THROWS_AS(inferred_sizes("view", 24, Shape<1>{{23}}, from), ShapeError);
  REQUIRE_THROWS_WITH(inferred_sizes("view", 24, Shape<2>{{-3, -8}}, from), Contains("negative") && Contains("-3"));
}

TEST_CASE("check_permutation") {
  REQUIRE(check_permutation(Shape<3>{{-1, 0, 1}}) == Shape<3>{{2, 0, 1}});
  REQUIRE_THROWS_AS(check_permutation(Shape<3>{{0, 1, 3}}), IndexError);
  REQUIRE_THROWS_WITH(check_permutation(Shape<3>{{0, -3, 1}}), Contains("twice"));
}
