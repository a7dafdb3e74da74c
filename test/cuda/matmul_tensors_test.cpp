// SPDX-License-Identifier: MIT
// matmul() and linear() of tensors on the device against the same on the CPU: ranks, broadcasting, layouts, dtypes, gradients.
#include <catch2/catch.hpp>

#include "on_cuda.hpp"

using namespace sinter;
using namespace on_cuda;

namespace {

template <class T, std::size_t N>
auto some(const std::int64_t (&sizes)[N]) { return eval(to<T>(randn<float>(sizes))); }

// What products of bfloat16 and half agree in: their last bit.
template <class T>
double close() { return std::is_same_v<T, double> ? 1e-12 : std::is_same_v<T, float> ? 1e-5 : std::is_same_v<T, sinter::half> ? 2e-3 : 1.6e-2; }

template <class T>
void products() {
  const double e = close<T>();
  const auto product = [](const auto& x, const auto& y) { return matmul(x, y); };
  same_everywhere(product, e, e, some<T>({17, 9}), some<T>({9, 5}));
  same_everywhere(product, e, e, some<T>({2, 3, 4, 5}), some<T>({2, 3, 5, 6}));
  same_everywhere(product, e, e, some<T>({2, 1, 4, 5}), some<T>({3, 5, 6}));
  same_everywhere(product, e, e, some<T>({2, 3, 5}), some<T>({5, 4}));
  same_everywhere(product, e, e, some<T>({7}), some<T>({7, 3}));
  same_everywhere(product, e, e, some<T>({4, 7}), some<T>({7}));
  same_everywhere(product, e, e, some<T>({2, 4, 7}), some<T>({7}));
  same_everywhere(product, e, e, some<T>({7}), some<T>({7}));
  same_everywhere([](const auto& x, const auto& y) { return matmul(transpose(x, 1, 2), transpose(transpose(y, 1, 2), -1, -2)); }, e, e,
                  some<T>({2, 4, 3, 5}), some<T>({2, 4, 3, 5}));
  same_everywhere([](const auto& x, const auto& y) { return matmul(slice(x, 1, 0, 8, 2), y.t()); }, e, e, some<T>({6, 8}), some<T>({3, 4}));
}
template <class T>
void layers() {
  const double e = close<T>();
  for (const bool batched : {false, true}) {
    const auto check = [&](auto input) {
      const auto w = some<T>({4, 6});
      const auto b = some<T>({4});
      same_everywhere([](const auto& x, const auto& w) { return linear(x, w); }, e, e, input.clone(), w.clone());
      const auto with = [&](auto f) {
        auto x = input.clone();
        x.requires_grad_();
        auto ww = w.clone();
        auto bb = b.clone();
        ww.requires_grad_(), bb.requires_grad_();
        const auto here = eval(f(linear(x, ww, bb)));
        const auto up = eval(to<T>(randn<float>(here.shape())));
        here.backward(up);
        const auto tx = leaf_there(x);
        const auto tw = leaf_there(ww);
        const auto tb = leaf_there(bb);
        const auto there = eval(f(linear(tx, tw, tb)));
        require_close(there, here.detach(), e, e);
        there.backward(up.to(gpu));
        require_close(tx.grad(), x.grad(), e, e);
        require_close(tw.grad(), ww.grad(), e, e);
        require_close(tb.grad(), bb.grad(), e, 4 * e);
        NoGradGuard none;
        require_close(f(linear(tx, tw, tb)), here.detach(), e, e);
      };
      with([](const auto& z) { return z; });
      with([](const auto& z) { return relu(z); });
      with([](const auto& z) { return gelu_tanh(z); });
    };
    if (batched) check(some<T>({2, 3, 6}));
    else check(some<T>({5, 6}));
  }
}

}  // namespace

TEST_CASE("cuda: matmul of float and double", "[cuda][matmul]") {
  manual_seed(1);
  products<float>();
  products<double>();
}
TEST_CASE("cuda: matmul of bfloat16 and half", "[cuda][matmul]") {
  manual_seed(2);
  products<bfloat16>();
  products<sinter::half>();
}
TEST_CASE("cuda: linear with its epilogues", "[cuda][matmul]") {
  manual_seed(3);
  layers<float>();
  layers<bfloat16>();
}
TEST_CASE("cuda: triangles and diagonals", "[cuda][matmul]") {
  manual_seed(4);
  same_everywhere([](const auto& x) { return tril(x, 1); }, 0, 0, randn({4, 6}));
  same_everywhere([](const auto& x) { return triu(x, -1); }, 0, 0, randn({2, 5, 3}));
  same_everywhere([](const auto& x) { return diag(x, 1); }, 0, 0, randn({4}));
  same_everywhere([](const auto& x) { return diag(x); }, 0, 0, randn({4, 5}));
}
TEST_CASE("cuda: integer products", "[cuda][matmul]") {
  const auto a = eval(reshape(arange(12), Shape{3, 4})), b = eval(reshape(arange(20), Shape{4, 5}));
  const auto here = eval(matmul(a, b)), there = eval(matmul(a.to(gpu), b.to(gpu)));
  REQUIRE(values(there.cpu()) == values(here));
}
TEST_CASE("cuda: operands on two devices are an error", "[cuda][matmul]") {
  const auto a = randn({3, 4}), b = randn({4, 5}).to(gpu);
  REQUIRE_THROWS_AS(eval(matmul(a, b)), DeviceError);
  REQUIRE_THROWS_AS(eval(linear(a, b.t())), DeviceError);
}
