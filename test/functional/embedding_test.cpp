// SPDX-License-Identifier: MIT
#include "sinter/functional/embedding.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

TEST_CASE("embedding takes rows of a table by indices of any shape") {
  const auto table = tensor({{0., 1.}, {2., 3.}, {4., 5.}});
  const auto y = embedding(tensor({{2, 0}, {2, 1}}), table);
  CHECK(y.shape() == Shape{2, 2, 2});
  CHECK(y.data()[1] == 5);
  CHECK(y.data()[6] == 2);
  CHECK(embedding(tensor(1), table).data()[1] == 3);
  CHECK(embedding(tensor<std::int32_t>({2, 1}), transpose(tensor({{0., 2., 4.}, {1., 3., 5.}}), 0, 1)).data()[3] == 3);
  CHECK(embedding(zeros<std::int64_t>({0, 4}), table).shape() == Shape{0, 4, 2});
}

TEST_CASE("a row's gradient is the sum over its occurrences; the padding's is zero") {
  const auto index = tensor({{2, 0, 2}, {1, 2, 0}});
  CHECK(gradcheck([&](const auto& w) { return embedding(index, w); }, randn<double>({4, 3})));
  auto w = randn({3, 2}).requires_grad_();
  eval(sum(embedding(index, w, -1))).backward();
  CHECK(w.grad().data()[0] == 2);
  CHECK(w.grad().data()[3] == 1);
  CHECK(w.grad().data()[5] == 0);
}

TEST_CASE("gradients of wide tables do not depend on the number of threads") {
  const int before = get_num_threads();
  auto w = randn({50, 200}).requires_grad_();
  const auto index = randint(0, 50, {1000});
  const auto factors = randn({1000, 200});
  Tensor<float, 2> grad[2];
  for (int t = 0; t < 2; ++t) {
    set_num_threads(t + 1);
    w.set_grad({});
    eval(sum(embedding(index, w) * factors)).backward();
    grad[t] = w.grad();
  }
  set_num_threads(before);
  CHECK(std::memcmp(grad[0].data(), grad[1].data(), 50 * 200 * sizeof(float)) == 0);
}

TEST_CASE("an index outside of the table is named with its bound") {
  CHECK_THROWS_WITH(embedding(tensor({1, 21}), zeros({4, 3})), "embedding: index 21 is out of range for a weight of 4 rows");
  CHECK_THROWS_AS(embedding(tensor({-1}), zeros({4, 3})), IndexError);
  CHECK_THROWS_AS(embedding(tensor({1}), zeros({4, 3}), 4), IndexError);
}
