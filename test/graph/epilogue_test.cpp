// SPDX-License-Identifier: MIT
#include "sinter/graph/epilogue.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/functional/linear.hpp"
#include "sinter/graph/explain.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

namespace {

const auto layer = [](const auto& x, const auto& w, const auto& b) { return relu(linear(x, w, b)); };
const auto gated = [](const auto& x, const auto& w, const auto& b) {
  const auto h = matmul(x, w);
  return gelu_tanh(h + b) * h + b;
};

}  // namespace

TEST_CASE("what is done to a product runs as its epilogue, in one kernel") {
  const auto x = randn({4, 3}), w = randn({5, 3});
  const auto b = randn({5});
  static_assert(fused_kernels<decltype(relu(linear(x, w, b)))> == 1);
  static_assert(fused_kernels<decltype(sigmoid(matmul(x, w)) * x + 1)> == 1);
  static_assert(fused_kernels<decltype(silu(matmul(x, w)) * matmul(x, w))> == 2);
  static_assert(fused_kernels<decltype(linear(x, w, b) - mean(x, 1, keepdim))> == 2);
  static_assert(fused_kernels<decltype(sum(relu(matmul(x, w))))> == 2, "a reduction reads the product from memory");
  CHECK(explain(relu(linear(x, w, b))).forward.size() == 1);
  CHECK(explain(linear(x, w)).forward.size() == 1);
}

TEST_CASE("an epilogue gives what the same steps give one by one") {
  for (const auto n : {0, 1, 5, 64, 193})
    for (const auto m : {1, 3, 16, 97, 200})
      for (const auto k : {0, 1, 31, 300}) {
        const auto x = randn<double>({n, k}), w = randn<double>({m, k}), gate = randn<double>({n, m});
        const auto b = randn<double>({m});
        const auto column = randn<double>({n, 1});
        const Tensor<double, 2> z = matmul(x, w.t());
        CHECK(allclose(eval(tanh(linear(x, w, b)) * gate - column), eval(tanh(z + b) * gate - column), 1e-12, 1e-12));
        CHECK(allclose(eval(linear(x, w) * 2), eval(z * 2), 1e-12, 1e-12));
        CHECK(allclose(eval(to<float>(matmul(x, w.t())) + to<float>(gate)), eval(to<float>(z) + to<float>(gate)), 1e-6, 1e-6));
        const auto turned = eval(transpose(gate, 0, 1)).clone();
        CHECK(allclose(eval(matmul(x, w.t()) + transpose(turned, 0, 1)), eval(z + gate), 1e-12, 1e-12));
      }
}

TEST_CASE("epilogues of batched products, of two products, and of one that occurs twice") {
  const auto x = randn<double>({2, 3, 7, 5});
  const auto y = randn<double>({3, 5, 4});
  const auto r = randn<double>({3, 1, 4});
  const auto xy = eval(matmul(x, y));
  CHECK(allclose(eval(relu(matmul(x, y) + r)), eval(relu(xy + r)), 1e-12, 1e-12));
  CHECK(allclose(eval(silu(matmul(x, y)) * matmul(x, y)), eval(silu(xy) * xy), 1e-12, 1e-12));
  const auto twice = matmul(x, y);
  CHECK(allclose(eval(silu(twice) * twice + sum(x)), eval(silu(xy) * xy + sum(x)), 1e-12, 1e-12));
  CHECK(allclose(eval(twice - amax(twice, -1, keepdim)), eval(xy - amax(xy, -1, keepdim)), 1e-12, 1e-12));
  CHECK(allclose(eval(select(tanh(matmul(x, y)), 0, 1) + r), eval(tanh(select(xy, 0, 1)) + r), 1e-12, 1e-12));
}

TEST_CASE("a product that two statements read is computed once, and anew where its operands have changed") {
  auto a = randn({3, 3});
  const auto b = randn({3, 3}), c = a.clone();
  const auto p = matmul(a, b);
  const Tensor<float, 2> first = p, second = p;
  CHECK(first.data() == second.data());
  a += 1;
  CHECK(allclose(eval(p), eval(matmul(c + 1, b)), 1e-5, 1e-5));
}

TEST_CASE("gradients through epilogues") {
  const auto x = randn<double>({4, 3}), w = randn<double>({5, 3}), wt = randn<double>({3, 5});
  const auto b = randn<double>({5});
  CHECK(gradcheck([](const auto& x, const auto& w, const auto& b) { return tanh(linear(x, w, b)); }, x, w, b));
  CHECK(gradcheck([](const auto& x, const auto& w, const auto& b) { return gelu_tanh(linear(x, w, b)) * 3; }, x, w, b));
  CHECK(gradcheck(gated, x, wt, b));
  CHECK(gradcheck([](const auto& x, const auto& w) { return matmul(x, w) + x; }, randn<double>({3, 3}), randn<double>({3, 3})));
  CHECK(gradcheck([](const auto& x, const auto& w) { return matmul(x, w) + transpose(x, 0, 1); }, randn<double>({3, 3}), randn<double>({3, 3})));
  CHECK(gradcheck([](const auto& x, const auto& w) { return silu(matmul(x, w)) * matmul(x, x); }, randn<double>({3, 3}), randn<double>({3, 3})));
  CHECK(gradcheck([](const auto& x, const auto& w) { return exp(matmul(x, w)) / sum(x); }, randn<double>({2, 4, 3}), randn<double>({2, 3, 2})));
}

TEST_CASE("epilogues without a graph, and with operands that need no gradient") {
  auto w = randn({5, 3}).requires_grad_();
  auto b = randn({5}).requires_grad_();
  const auto x = randn({4, 3});
  CHECK_FALSE(no_grad([&] { return eval(layer(x, w, b)); }).requires_grad());
  const auto y = eval(layer(x, w, b));
  sum(y).backward();
  CHECK(w.grad().defined());
  const auto d = eval(to<float>(y > 0));
  CHECK(allclose(b.grad(), eval(sum(d, 0))));
  CHECK(allclose(w.grad(), eval(matmul(transpose(d, 0, 1), x)), 1e-5, 1e-5));
  auto only = randn({5}).requires_grad_();
  sum(relu(matmul(x, w.detach().t()) + only)).backward();
  CHECK(only.grad().defined());
}

TEST_CASE("epilogues do not depend on the number of threads") {
  auto x = randn({300, 700}).requires_grad_(), w = randn({257, 700}).requires_grad_();
  auto b = randn({257}).requires_grad_();
  const int before = get_num_threads();
  Tensor<float, 2> y[2], gw[2];
  Tensor<float, 1> gb[2];
  for (int i : {0, 1}) {
    set_num_threads(i + 1);
    y[i] = gelu_tanh(linear(x, w, b));
    sum(y[i]).backward();
    gw[i] = w.grad(), gb[i] = b.grad();
    w.set_grad({}), b.set_grad({});
  }
  set_num_threads(before);
  CHECK(std::memcmp(y[0].data(), y[1].data(), std::size_t(y[0].numel()) * sizeof(float)) == 0);
  CHECK(std::memcmp(gw[0].data(), gw[1].data(), std::size_t(gw[0].numel()) * sizeof(float)) == 0);
  CHECK(std::memcmp(gb[0].data(), gb[1].data(), std::size_t(gb[0].numel()) * sizeof(float)) == 0);
}

TEST_CASE("summands get the gradient of a sum as it is") {
  auto a = randn({8, 8}).requires_grad_(), b = randn({8, 8}).requires_grad_();
  auto row = randn({8}).requires_grad_();
  const auto up = randn({8, 8});
  auto twice = eval(a + a), mixed = eval(a + tanh(a) + b + row);
  twice.backward(up);
  CHECK(allclose(a.grad(), eval(up * 2)));
  a.set_grad({});
  mixed.backward(up);
  CHECK(allclose(a.grad(), eval(up * (2 - square(tanh(a.detach()))))));
  CHECK(allclose(b.grad(), up));
  CHECK(allclose(row.grad(), eval(sum(up, 0))));
  b.grad() += 1;  // its own memory, not the upstream gradient's
  CHECK_FALSE(allclose(b.grad(), up));
}
