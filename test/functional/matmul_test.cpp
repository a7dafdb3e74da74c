// SPDX-License-Identifier: MIT
#include "sinter/functional/matmul.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

namespace {

// Element by element, from the definition, for operands of rank 4.
template <class T>
bool equals_definition(const Tensor<T, 4>& c, const Tensor<T, 4>& a, const Tensor<T, 4>& b, double tolerance) {
  const auto at = [](const Tensor<T, 4>& x, std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t l) {
    const auto s = x.shape(), step = x.strides();
    return x.data()[(s[0] == 1 ? 0 : i) * step[0] + (s[1] == 1 ? 0 : j) * step[1] + k * step[2] + l * step[3]];
  };
  const auto s = c.shape();
  for (std::int64_t i = 0; i < s[0]; ++i)
    for (std::int64_t j = 0; j < s[1]; ++j)
      for (std::int64_t k = 0; k < s[2]; ++k)
        for (std::int64_t l = 0; l < s[3]; ++l) {
          double sum = 0;
          for (std::int64_t p = 0; p < a.size(3); ++p) sum += double(at(a, i, j, k, p)) * double(at(b, i, j, p, l));
          if (!(std::abs(sum - double(at(c, i, j, k, l))) <= tolerance)) return false;
        }
  return true;
}

}  // namespace

TEST_CASE("matmul broadcasts batches and reads operands of any strides") {
  const auto a = randn<double>({2, 1, 7, 5});
  const auto b = randn<double>({3, 5, 33});
  const auto c = eval(matmul(a, b));
  CHECK(c.shape() == Shape{2, 3, 7, 33});
  CHECK(equals_definition(c, a, eval(unsqueeze(b, 0)), 1e-13));
  const auto at = eval(transpose(randn<float>({4, 2, 5, 7}), 2, 3)), bt = eval(transpose(randn<float>({1, 2, 9, 5}), 2, 3));
  CHECK(equals_definition(eval(matmul(at, bt)), at, bt, 1e-5));
  const auto strided = eval(slice(randn<double>({2, 2, 6, 20}), 3, 0, 20, 4)), wide = randn<double>({2, 2, 5, 70});
  CHECK(equals_definition(eval(matmul(strided, wide)), strided, wide, 1e-13));
  const auto weight = randn<double>({5, 6});
  const auto folded = eval(matmul(a, weight)), other = eval(matmul(transpose(a, 0, 2), weight));
  CHECK(equals_definition(folded, a, eval(unsqueeze(unsqueeze(weight, 0), 0)), 1e-13));
  CHECK(equals_definition(other, eval(transpose(a, 0, 2)), eval(unsqueeze(unsqueeze(weight, 0), 0)), 1e-13));
}

TEST_CASE("matmul of vectors, integers and nothing") {
  const auto a = tensor({{1., 2., 3.}, {4., 5., 6.}});
  const auto v = tensor({1., 0., -1.});
  CHECK(matmul(v, v).item() == 2);
  CHECK(dot(v, v * 2).item() == 4);
  const auto w = mv(a, v);
  CHECK(w.shape() == Shape{2});
  CHECK(w.data()[0] == -2);
  CHECK(w.data()[1] == -2);
  CHECK(matmul(v, transpose(a, 0, 1)).shape() == Shape{2});
  const auto o = eval(outer(v, tensor({1., 2.})));
  CHECK(o.shape() == Shape{3, 2});
  CHECK(o.data()[5] == -2);
  const auto i = tensor({{1, 2}, {3, 4}});
  const auto ii = eval(mm(i, i));
  CHECK(ii.data()[3] == 22);
  const auto none = eval(matmul(zeros({2, 0}), zeros({0, 3})));
  CHECK(none.shape() == Shape{2, 3});
  CHECK(none.data()[5] == 0);
  CHECK(matmul(zeros({0, 3}), zeros({3, 4})).shape() == Shape{0, 4});
}

TEST_CASE("addmm and baddbmm scale and broadcast") {
  const auto m = tensor({{1., 2.}, {3., 4.}});
  const auto r = eval(addmm(tensor({10., 20.}), m, m, 0.5, 2));
  CHECK(r.data()[0] == 5 + 14);
  CHECK(r.data()[3] == 10 + 44);
  CHECK(eval(baddbmm(zeros({1, 2, 1}), randn({3, 2, 4}), randn({3, 4, 5}))).shape() == Shape{3, 2, 5});
}

TEST_CASE("gradients of matmul") {
  const auto mul = [](const auto& x, const auto& y) { return matmul(x, y); };
  CHECK(gradcheck(mul, randn<double>({3, 4}), randn<double>({4, 2})));
  CHECK(gradcheck(mul, randn<double>({2, 1, 3, 4}), randn<double>({3, 4, 2})));
  CHECK(gradcheck(mul, randn<double>({2, 3, 4}), randn<double>({4, 2})));
  CHECK(gradcheck(mul, randn<double>({3, 4}), randn<double>({2, 4, 2})));
  CHECK(gradcheck(mul, randn<double>({4}), randn<double>({4})));
  CHECK(gradcheck(mul, randn<double>({4}), randn<double>({2, 4, 3})));
  CHECK(gradcheck(mul, randn<double>({2, 3, 4}), randn<double>({4})));
  CHECK(gradcheck([](const auto& x, const auto& y) { return matmul(tanh(transpose(x, 0, 1)), y); }, randn<double>({4, 3}),
                  randn<double>({4, 2})));
}

TEST_CASE("products do not depend on the number of threads") {
  const auto a = randn({300, 700}), b = randn({700, 257});
  const int before = get_num_threads();
  set_num_threads(1);
  const auto one = eval(matmul(a, b));
  set_num_threads(2);
  const auto two = eval(matmul(a, b));
  set_num_threads(before);
  CHECK(std::memcmp(one.data(), two.data(), std::size_t(one.numel()) * sizeof(float)) == 0);
}

TEST_CASE("what does not fit is named") {
  CHECK_THROWS_WITH(matmul(zeros({2, 16}), zeros({27, 3})), "matmul: inner extents differ, [2, 16] x [27, 3]: 16 against 27 (axis 1 of "
                                                            "the left, axis 0 of the right)");
  CHECK_THROWS_AS(matmul(zeros({2, 16}), zeros({27})), ShapeError);
  CHECK_THROWS_AS(matmul(zeros({16, 2, 3}), zeros({27, 3, 2})), ShapeError);
  CHECK_THROWS_AS(bmm(zeros({1, 2, 3}), zeros({2, 3, 2})), ShapeError);
  CHECK_THROWS_AS(dot(zeros({2}), zeros({3})), ShapeError);
  CHECK_THROWS_AS(addmm(zeros({2, 28}), zeros({2, 3}), zeros({3, 26})), ShapeError);
  auto a = randn({2, 2}).requires_grad_();
  auto b = randn({2, 2});
  const auto y = eval(sum(matmul(a, b)));
  b.zero_();
  CHECK_THROWS_AS(y.backward(), GradError);
}

TEST_CASE("what no gradient needs may change") {
  auto a = randn({2, 2}).requires_grad_();
  auto b = ones({2, 2});
  const auto y = eval(sum(matmul(b, a)));  // a's gradient reads b alone
  no_grad([&] { a += 1; return 0; });
  y.backward();
  CHECK(a.grad()[1][0].item() == 2);
}
