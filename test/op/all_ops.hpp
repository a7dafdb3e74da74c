// SPDX-License-Identifier: MIT
// All ops, a line each: the op, where its arguments may lie, and the mathematics it stands for, in long double. The
// tests of this folder run over these lists.
#pragma once

#include "sinter/op/activation.hpp"
#include "sinter/op/binary.hpp"
#include "sinter/op/ternary.hpp"
#include "sinter/op/unary.hpp"

namespace all_ops {

using R = long double;
namespace op = sinter::op;

struct Range {
  double low, high;
};

template <class F>
void unary(F f) {
  f(op::Neg{}, Range{-5, 5}, [](R x) { return -x; });
  f(op::Abs{}, Range{-5, 5}, [](R x) { return std::fabs(x); });
  f(op::Sign{}, Range{-5, 5}, [](R x) { return R((x > 0) - (x < 0)); });
  f(op::Square{}, Range{-5, 5}, [](R x) { return x * x; });
  f(op::Reciprocal{}, Range{0.1, 5}, [](R x) { return 1 / x; });
  f(op::Floor{}, Range{-9, 9}, [](R x) { return std::floor(x); });
  f(op::Ceil{}, Range{-9, 9}, [](R x) { return std::ceil(x); });
  f(op::Trunc{}, Range{-9, 9}, [](R x) { return std::trunc(x); });
  f(op::Round{}, Range{-9, 9}, [](R x) { return std::nearbyint(x); });
  f(op::Exp{}, Range{-10, 10}, [](R x) { return std::exp(x); });
  f(op::Expm1{}, Range{-10, 5}, [](R x) { return std::expm1(x); });
  f(op::Log{}, Range{0.01, 50}, [](R x) { return std::log(x); });
  f(op::Log1p{}, Range{-0.9, 50}, [](R x) { return std::log1p(x); });
  f(op::Log2{}, Range{0.01, 50}, [](R x) { return std::log2(x); });
  f(op::Sqrt{}, Range{0.01, 50}, [](R x) { return std::sqrt(x); });
  f(op::Rsqrt{}, Range{0.1, 50}, [](R x) { return 1 / std::sqrt(x); });
  f(op::Sin{}, Range{-50, 50}, [](R x) { return std::sin(x); });
  f(op::Cos{}, Range{-50, 50}, [](R x) { return std::cos(x); });
  f(op::Tan{}, Range{-1.3, 1.3}, [](R x) { return std::tan(x); });
  f(op::Asin{}, Range{-0.95, 0.95}, [](R x) { return std::asin(x); });
  f(op::Acos{}, Range{-0.95, 0.95}, [](R x) { return std::acos(x); });
  f(op::Atan{}, Range{-9, 9}, [](R x) { return std::atan(x); });
  f(op::Sinh{}, Range{-5, 5}, [](R x) { return std::sinh(x); });
  f(op::Cosh{}, Range{-5, 5}, [](R x) { return std::cosh(x); });
  f(op::Tanh{}, Range{-9, 9}, [](R x) { return std::tanh(x); });
  f(op::Erf{}, Range{-5, 5}, [](R x) { return std::erf(x); });
  f(op::Erfc{}, Range{-5, 5}, [](R x) { return std::erfc(x); });
}

inline R clip(R x, R low, R high) { return std::fmin(std::fmax(x, low), high); }
inline R logistic(R x) { return 1 / (1 + std::exp(-x)); }

template <class F>
void activations(F f) {
  const R pi = std::acos(R(-1));
  f(op::Relu{}, Range{-5, 5}, [](R x) { return std::fmax(x, R(0)); });
  f(op::LeakyRelu{0.2}, Range{-5, 5}, [](R x) { return x > 0 ? x : x * R(0.2); });
  f(op::Clamp{-0.5, 2}, Range{-5, 5}, [](R x) { return clip(x, -0.5L, 2); });
  f(op::Hardtanh{-2, 0.5}, Range{-5, 5}, [](R x) { return clip(x, -2, 0.5L); });
  f(op::Relu6{}, Range{-9, 9}, [](R x) { return clip(x, 0, 6); });
  f(op::HardSigmoid{}, Range{-5, 5}, [](R x) { return clip(x + 3, 0, 6) / 6; });
  f(op::HardSwish{}, Range{-5, 5}, [](R x) { return x * clip(x + 3, 0, 6) / 6; });
  f(op::Elu{1.5}, Range{-9, 9}, [](R x) { return x > 0 ? x : 1.5L * std::expm1(x); });
  f(op::Celu{1.5}, Range{-9, 9}, [](R x) { return x > 0 ? x : 1.5L * std::expm1(x / 1.5L); });
  f(op::Selu{}, Range{-9, 9}, [](R x) {
    return 1.0507009873554804934193L * (x > 0 ? x : 1.6732632423543772848170L * std::expm1(x));
  });
  f(op::Sigmoid{}, Range{-30, 30}, [](R x) { return logistic(x); });
  f(op::LogSigmoid{}, Range{-30, 30}, [](R x) { return x < 0 ? x - std::log1p(std::exp(x)) : -std::log1p(std::exp(-x)); });
  f(op::Softplus{2, 50}, Range{-9, 9}, [](R x) { return std::log1p(std::exp(2 * x)) / 2; });
  f(op::Silu{}, Range{-30, 30}, [](R x) { return x * logistic(x); });
  f(op::Mish{}, Range{-30, 30}, [](R x) { return x * std::tanh(std::log1p(std::exp(x))); });
  f(op::Gelu{}, Range{-9, 9}, [](R x) { return x * std::erfc(-x / std::sqrt(R(2))) / 2; });
  f(op::GeluTanh{}, Range{-9, 9}, [pi](R x) { return x * logistic(std::sqrt(8 / pi) * (x + 0.044715L * x * x * x)); });
}

inline R python_quotient(R a, R b) { return std::floor(a / b); }

template <class F>
void binary(F f) {
  const Range r{-5, 5};
  f(op::Add{}, r, r, [](R a, R b) { return a + b; });
  f(op::Sub{}, r, r, [](R a, R b) { return a - b; });
  f(op::Mul{}, r, r, [](R a, R b) { return a * b; });
  f(op::Div{}, r, Range{0.5, 5}, [](R a, R b) { return a / b; });
  f(op::DivTrunc{}, Range{-50, 50}, Range{0.5, 5}, [](R a, R b) { return std::trunc(a / b); });
  f(op::DivFloor{}, Range{-50, 50}, Range{-5, -0.5}, [](R a, R b) { return python_quotient(a, b); });
  f(op::Fmod{}, Range{-50, 50}, Range{0.5, 5}, [](R a, R b) { return std::fmod(a, b); });
  f(op::Remainder{}, Range{-50, 50}, Range{-5, -0.5}, [](R a, R b) { return a - b * python_quotient(a, b); });
  f(op::Pow{}, Range{0.1, 5}, Range{-3, 3}, [](R a, R b) { return std::pow(a, b); });
  f(op::Atan2{}, r, Range{0.5, 5}, [](R a, R b) { return std::atan2(a, b); });
  f(op::Maximum{}, r, r, [](R a, R b) { return std::fmax(a, b); });
  f(op::Minimum{}, r, r, [](R a, R b) { return std::fmin(a, b); });
}

template <class F>
void comparisons(F f) {
  f(op::Eq{}, [](R a, R b) { return a == b; });
  f(op::Ne{}, [](R a, R b) { return a != b; });
  f(op::Lt{}, [](R a, R b) { return a < b; });
  f(op::Le{}, [](R a, R b) { return a <= b; });
  f(op::Gt{}, [](R a, R b) { return a > b; });
  f(op::Ge{}, [](R a, R b) { return a >= b; });
}

template <class F>
void ternary(F f) {
  const Range r{-5, 5};
  f(op::Lerp{}, r, r, Range{-1, 2}, [](R a, R b, R w) { return a + w * (b - a); });
  f(op::Addcmul{-0.5}, r, r, r, [](R x, R a, R b) { return x - a * b / 2; });
  f(op::Addcdiv{-0.5}, r, r, Range{0.5, 5}, [](R x, R a, R b) { return x - a / b / 2; });
}

}  // namespace all_ops
