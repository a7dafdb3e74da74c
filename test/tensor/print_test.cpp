// SPDX-License-Identifier: MIT
// Printing against the text that PyTorch 1.13 prints for the same tensors (but for "torch." before a dtype).
#include <catch2/catch.hpp>
#include <limits>
#include <sstream>

#include "sinter/tensor/create.hpp"
#include "sinter/tensor/index.hpp"
#include "sinter/tensor/print.hpp"

using namespace sinter;

template <class X>
std::string text(const X& x) {
  std::ostringstream os;
  os << x;
  return os.str();
}

TEST_CASE("print: columns share a width") {
  CHECK(text(tensor({{0.1, -2.3}, {4., 5.5}})) == "tensor([[ 0.1000, -2.3000],\n        [ 4.0000,  5.5000]])");
  CHECK(text(tensor({1., 2., -300.})) == "tensor([   1.,    2., -300.])");
  CHECK(text(tensor({{1, -20}, {300, 4}})) == "tensor([[  1, -20],\n        [300,   4]])");
  CHECK(text(tensor({true, false})) == "tensor([ True, False])");
  CHECK(text(arange(12).reshape(2, 3, 2)) ==
        "tensor([[[ 0,  1],\n         [ 2,  3],\n         [ 4,  5]],\n\n        [[ 6,  7],\n         [ 8,  9],\n         [10, 11]]])");
  CHECK(text(tensor({{1., 2.}, {3., 4.}}).t()) == "tensor([[1., 3.],\n        [2., 4.]])");
}

TEST_CASE("print: scientific where magnitudes differ much") {
  CHECK(text(tensor({1e-5, 1., 1000.5})) == "tensor([1.0000e-05, 1.0000e+00, 1.0005e+03])");
  CHECK(text(tensor({1., 20000.})) == "tensor([1.0000e+00, 2.0000e+04])");
  CHECK(text(tensor({1., 1000.})) == "tensor([   1., 1000.])");
}

TEST_CASE("print: what is not finite") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  CHECK(text(tensor({nan, inf, -inf, 1.5})) == "tensor([   nan,    inf,   -inf, 1.5000])");
  CHECK(text(tensor({nan, inf, -inf, 2.})) == "tensor([nan, inf, -inf, 2.])");
  CHECK(text(tensor({nan, inf})) == "tensor([nan, inf])");
}

TEST_CASE("print: scalars, dtypes, nothing") {
  CHECK(text(tensor(3.25)) == "tensor(3.2500)");
  CHECK(text(tensor(7)) == "tensor(7)");
  CHECK(text(tensor(7.)) == "tensor(7.)");
  CHECK(text(tensor<double>({0.5, 1.5})) == "tensor([0.5000, 1.5000], dtype=float64)");
  CHECK(text(tensor<std::int32_t>({1, 2})) == "tensor([1, 2], dtype=int32)");
  CHECK(text(tensor<half>({half(1.5f)})) == "tensor([1.5000], dtype=float16)");
  CHECK(text(zeros({0})) == "tensor([])");
  CHECK(text(zeros({2, 0})) == "tensor([], size=(2, 0))");
  CHECK(text(zeros<std::int64_t>({0})) == "tensor([], dtype=int64)");
  CHECK(text(Tensor<float, 1>()) == "tensor(undefined)");
}

TEST_CASE("print: long lines wrap, large tensors are summarised") {
  CHECK(text(arange(30) * 1.0 + 0.5) ==
        "tensor([ 0.5000,  1.5000,  2.5000,  3.5000,  4.5000,  5.5000,  6.5000,  7.5000,\n"
        "         8.5000,  9.5000, 10.5000, 11.5000, 12.5000, 13.5000, 14.5000, 15.5000,\n"
        "        16.5000, 17.5000, 18.5000, 19.5000, 20.5000, 21.5000, 22.5000, 23.5000,\n"
        "        24.5000, 25.5000, 26.5000, 27.5000, 28.5000, 29.5000])");
  CHECK(text(arange(2000)) == "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])");
  CHECK(text(arange(1200).reshape(30, 40) / 8) ==
        "tensor([[0.0000e+00, 1.2500e-01, 2.5000e-01,  ..., 4.6250e+00, 4.7500e+00,\n"
        "         4.8750e+00],\n"
        "        [5.0000e+00, 5.1250e+00, 5.2500e+00,  ..., 9.6250e+00, 9.7500e+00,\n"
        "         9.8750e+00],\n"
        "        [1.0000e+01, 1.0125e+01, 1.0250e+01,  ..., 1.4625e+01, 1.4750e+01,\n"
        "         1.4875e+01],\n"
        "        ...,\n"
        "        [1.3500e+02, 1.3512e+02, 1.3525e+02,  ..., 1.3962e+02, 1.3975e+02,\n"
        "         1.3988e+02],\n"
        "        [1.4000e+02, 1.4012e+02, 1.4025e+02,  ..., 1.4462e+02, 1.4475e+02,\n"
        "         1.4488e+02],\n"
        "        [1.4500e+02, 1.4512e+02, 1.4525e+02,  ..., 1.4962e+02, 1.4975e+02,\n"
        "         1.4988e+02]])");
  const double x = 1.5;
  CHECK(text(tensor<double>({{x, x, x, x, x, x, x, x}, {x, x, x, x, x, x, x, x}})) ==
        "tensor([[1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000],\n"
        "        [1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000]],\n       dtype=float64)");
}

TEST_CASE("print: gradients") {
  auto x = tensor({1., 2.});
  x.requires_grad_();
  CHECK(text(x) == "tensor([1., 2.], requires_grad=True)");
  CHECK(text(x * 2) == "tensor([2., 4.], grad_fn=<mul>)");
}
