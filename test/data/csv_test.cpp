// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "data/files.hpp"
#include "sinter/data/datasets.hpp"

using namespace sinter;
using Catch::Contains;

TEST_CASE("tables of numbers") {
  TemporaryFile a("x,y\n1, 2.5\r\n\n-3e1,4");
  const auto t = read_csv<double>(a.path, {',', 1});
  CHECK(t.shape() == Shape{2, 2});
  CHECK(t.data()[1] == 2.5);
  CHECK(t.data()[2] == -30);
  TemporaryFile b("1;2;3\n");
  CHECK(read_csv(b.path, {';', 0}).shape() == Shape{1, 3});
  TemporaryFile none("");
  CHECK(read_csv(none.path).shape() == Shape{0, 0});
}

TEST_CASE("what is no table is told with line and column") {
  TemporaryFile word("1,2\n3,four\n"), hole("1,2\n3,\n"), shorter("1,2\n3\n");
  CHECK_THROWS_WITH(read_csv(word.path), word.path + ":2: \"four\" is no number (column 2)");
  CHECK_THROWS_WITH(read_csv(hole.path), Contains(":2: \"\" is no number (column 2)"));
  CHECK_THROWS_WITH(read_csv(shorter.path), Contains(":2: 1 columns, but the first row has 2"));
  CHECK_THROWS_AS(read_csv("/nowhere/at/all"), FormatError);
}

TEST_CASE("the handwritten digits that come with the samples") {
  const datasets::Digits train("samples/data/digits.csv", true), test("samples/data/digits.csv", false);
  CHECK(train.size() == 1438);
  CHECK(test.size() == 359);
  const auto [image, label] = train.get(0);
  CHECK(image.shape() == Shape{8, 8});
  CHECK(image.data()[2] == 80);  // 5 of 16
  CHECK(label.item() == 0);
  CHECK(std::get<1>(test.get(358)).item() == 8);

  TemporaryFile narrow("1,2,3\n");
  CHECK_THROWS_WITH(datasets::Digits(narrow.path, true), Contains("3 columns"));
  std::string row = "17";
  for (int i = 0; i < 64; ++i) row += ",0";
  TemporaryFile bright(row + "\n");
  CHECK_THROWS_WITH(datasets::Digits(bright.path, true), Contains("row 1: 17 is no grey level from 0 to 16 (column 1)"));
}
