// SPDX-License-Identifier: MIT
#include "sinter/train/metrics.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "sinter/tensor/create.hpp"

using namespace sinter;

TEST_CASE("running mean") {
  Average m;
  CHECK(std::isnan(m.value()));
  m.add(2, 3);
  m.add(6);
  CHECK(m.value() == 3);
  m.reset();
  CHECK(std::isnan(m.value()));
}

TEST_CASE("predictions, accuracy and confusion") {
  const auto scores = tensor<float>({{1., 3., 2.}, {5., 5., 1.}, {0., 1., 2.}, {0., double(NAN), 9.}});
  CHECK(predicted_classes(scores) == std::vector<std::int64_t>{1, 0, 2, 1});
  CHECK(predicted_classes(-scores.t()) == std::vector<std::int64_t>{2, 3, 1});
  const auto labels = tensor<std::int64_t>({1, 0, 1, 1});
  Accuracy accuracy;
  accuracy.add(scores, labels);
  accuracy.add(scores * 2, labels);
  CHECK(accuracy.correct() == 6);
  CHECK(accuracy.total() == 8);
  CHECK(accuracy.value() == 0.75);

  ConfusionMatrix confusion(3);
  confusion.add(scores, labels);
  CHECK(confusion.count(1, 2) == 1);
  CHECK(confusion.count(1, 1) == 2);
  CHECK(confusion.accuracy() == 0.75);
  CHECK(confusion.recall(1) == Approx(2.0 / 3));
  CHECK(confusion.precision(1) == 1);
  CHECK(confusion.precision(2) == 0);
  CHECK(std::isnan(confusion.recall(2)));
  CHECK_THROWS_AS(confusion.add(scores, tensor<std::int64_t>({1, 0, 1, 3})), IndexError);
  CHECK(confusion.total() == 4);
  CHECK_THROWS_WITH(accuracy.add(scores, tensor<std::int64_t>({1})), Catch::Contains("4 rows") && Catch::Contains("1 labels"));
  CHECK_THROWS_AS(predicted_classes(zeros({2, 0})), ShapeError);
  CHECK_THROWS_AS(ConfusionMatrix(0), ValueError);
}
