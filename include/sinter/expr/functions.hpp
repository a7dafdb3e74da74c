// SPDX-License-Identifier: MIT
// PyTorch's elementwise vocabulary over expressions: each function names its op and nothing else.
#pragma once

#include "sinter/expr/map.hpp"
#include "sinter/op/activation.hpp"
#include "sinter/op/binary.hpp"
#include "sinter/op/unary.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// Arithmetic. A number may stand on either side.
template <class A, class B, if_expr<A, B> = 0>
auto operator+(const A& a, const B& b) { return map(op::Add{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto operator-(const A& a, const B& b) { return map(op::Sub{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto operator*(const A& a, const B& b) { return map(op::Mul{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto operator/(const A& a, const B& b) { return map(op::Div{}, a, b); }
template <class A>
auto operator-(const Expr<A>& a) { return map(op::Neg{}, a.self()); }

// Comparisons give bool.
template <class A, class B, if_expr<A, B> = 0>
auto operator==(const A& a, const B& b) { return map(op::Eq{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto operator!=(const A& a, const B& b) { return map(op::Ne{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto operator<(const A& a, const B& b) { return map(op::Lt{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto operator<=(const A& a, const B& b) { return map(op::Le{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto operator>(const A& a, const B& b) { return map(op::Gt{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto operator>=(const A& a, const B& b) { return map(op::Ge{}, a, b); }
template <class A>
auto operator!(const Expr<A>& a) { return map(op::LogicalNot{}, a.self()); }

// One argument.
template <class A>
auto abs(const Expr<A>& x) { return map(op::Abs{}, x.self()); }
template <class A>
auto neg(const Expr<A>& x) { return map(op::Neg{}, x.self()); }
template <class A>
auto exp(const Expr<A>& x) { return map(op::Exp{}, x.self()); }
template <class A>
auto expm1(const Expr<A>& x) { return map(op::Expm1{}, x.self()); }
template <class A>
auto log(const Expr<A>& x) { return map(op::Log{}, x.self()); }
template <class A>
auto log1p(const Expr<A>& x) { return map(op::Log1p{}, x.self()); }
template <class A>
auto log2(const Expr<A>& x) { return map(op::Log2{}, x.self()); }
template <class A>
auto sqrt(const Expr<A>& x) { return map(op::Sqrt{}, x.self()); }
template <class A>
auto rsqrt(const Expr<A>& x) { return map(op::Rsqrt{}, x.self()); }
template <class A>
auto square(const Expr<A>& x) { return map(op::Square{}, x.self()); }
template <class A>
auto reciprocal(const Expr<A>& x) { return map(op::Reciprocal{}, x.self()); }
template <class A>
auto sin(const Expr<A>& x) { return map(op::Sin{}, x.self()); }
template <class A>
auto cos(const Expr<A>& x) { return map(op::Cos{}, x.self()); }
template <class A>
auto tan(const Expr<A>& x) { return map(op::Tan{}, x.self()); }
template <class A>
auto asin(const Expr<A>& x) { return map(op::Asin{}, x.self()); }
template <class A>
auto acos(const Expr<A>& x) { return map(op::Acos{}, x.self()); }
template <class A>
auto atan(const Expr<A>& x) { return map(op::Atan{}, x.self()); }
template <class A>
auto sinh(const Expr<A>& x) { return map(op::Sinh{}, x.self()); }
template <class A>
auto cosh(const Expr<A>& x) { return map(op::Cosh{}, x.self()); }
template <class A>
auto tanh(const Expr<A>& x) { return map(op::Tanh{}, x.self()); }
template <class A>
auto sigmoid(const Expr<A>& x) { return map(op::Sigmoid{}, x.self()); }
template <class A>
auto logsigmoid(const Expr<A>& x) { return map(op::LogSigmoid{}, x.self()); }
template <class A>
auto relu(const Expr<A>& x) { return map(op::Relu{}, x.self()); }
template <class A>
auto selu(const Expr<A>& x) { return map(op::Selu{}, x.self()); }
template <class A>
auto silu(const Expr<A>& x) { return map(op::Silu{}, x.self()); }
template <class A>
auto mish(const Expr<A>& x) { return map(op::Mish{}, x.self()); }
template <class A>
auto hardsigmoid(const Expr<A>& x) { return map(op::HardSigmoid{}, x.self()); }
template <class A>
auto hardswish(const Expr<A>& x) { return map(op::HardSwish{}, x.self()); }
template <class A>
auto relu6(const Expr<A>& x) { return map(op::Relu6{}, x.self()); }
template <class A>
auto erf(const Expr<A>& x) { return map(op::Erf{}, x.self()); }
template <class A>
auto erfc(const Expr<A>& x) { return map(op::Erfc{}, x.self()); }
template <class A>
auto floor(const Expr<A>& x) { return map(op::Floor{}, x.self()); }
template <class A>
auto ceil(const Expr<A>& x) { return map(op::Ceil{}, x.self()); }
template <class A>
auto round(const Expr<A>& x) { return map(op::Round{}, x.self()); }
template <class A>
auto trunc(const Expr<A>& x) { return map(op::Trunc{}, x.self()); }
template <class A>
auto sign(const Expr<A>& x) { return map(op::Sign{}, x.self()); }
template <class A>
auto isnan(const Expr<A>& x) { return map(op::IsNan{}, x.self()); }
template <class A>
auto isinf(const Expr<A>& x) { return map(op::IsInf{}, x.self()); }
template <class A>
auto isfinite(const Expr<A>& x) { return map(op::IsFinite{}, x.self()); }
template <class A>
auto logical_not(const Expr<A>& x) { return map(op::LogicalNot{}, x.self()); }

// One argument and parameters.
template <class A>
auto leaky_relu(const Expr<A>& x, double negative_slope = 0.01) { return map(op::LeakyRelu{negative_slope}, x.self()); }
template <class A>
auto elu(const Expr<A>& x, double alpha = 1) { return map(op::Elu{alpha}, x.self()); }
template <class A>
auto celu(const Expr<A>& x, double alpha = 1) { return map(op::Celu{alpha}, x.self()); }
template <class A>
auto softplus(const Expr<A>& x, double beta = 1, double threshold = 20) { return map(op::Softplus{beta, threshold}, x.self()); }
template <class A>
auto gelu(const Expr<A>& x) { return map(op::Gelu{}, x.self()); }
template <class A>
auto gelu_tanh(const Expr<A>& x) { return map(op::GeluTanh{}, x.self()); }
template <class A>
auto hardtanh(const Expr<A>& x, double min_val = -1, double max_val = 1) { return map(op::Hardtanh{min_val, max_val}, x.self()); }
template <class A>
auto clamp(const Expr<A>& x, double min, double max) { return map(op::Clamp{min, max}, x.self()); }

// Two arguments, of which one may be a number.
template <class A, class B, if_expr<A, B> = 0>
auto eq(const A& a, const B& b) { return map(op::Eq{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto ne(const A& a, const B& b) { return map(op::Ne{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto lt(const A& a, const B& b) { return map(op::Lt{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto le(const A& a, const B& b) { return map(op::Le{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto gt(const A& a, const B& b) { return map(op::Gt{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto ge(const A& a, const B& b) { return map(op::Ge{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto mul(const A& a, const B& b) { return map(op::Mul{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto atan2(const A& a, const B& b) { return map(op::Atan2{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto maximum(const A& a, const B& b) { return map(op::Maximum{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto minimum(const A& a, const B& b) { return map(op::Minimum{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto fmod(const A& a, const B& b) { return map(op::Fmod{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto remainder(const A& a, const B& b) { return map(op::Remainder{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto pow(const A& a, const B& b) { return map(op::Pow{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto logical_and(const A& a, const B& b) { return map(op::LogicalAnd{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto logical_or(const A& a, const B& b) { return map(op::LogicalOr{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto logical_xor(const A& a, const B& b) { return map(op::LogicalXor{}, a, b); }
// alpha scales the second operand, as in PyTorch.
template <class A, class B, if_expr<A, B> = 0>
auto add(const A& a, const B& b) { return a + b; }
template <class A, class B, class S, if_expr<A, B> = 0>
auto add(const A& a, const B& b, S alpha) { return a + b * alpha; }
template <class A, class B, if_expr<A, B> = 0>
auto sub(const A& a, const B& b) { return a - b; }
template <class A, class B, class S, if_expr<A, B> = 0>
auto sub(const A& a, const B& b, S alpha) { return a - b * alpha; }
template <class A, class B, if_expr<A, B> = 0>
auto div(const A& a, const B& b) { return a / b; }
template <class A, class B, if_expr<A, B> = 0>
auto div_trunc(const A& a, const B& b) { return map(op::DivTrunc{}, a, b); }
template <class A, class B, if_expr<A, B> = 0>
auto div_floor(const A& a, const B& b) { return map(op::DivFloor{}, a, b); }

// Three arguments.
template <class A, class B, class C, if_expr<A, B, C> = 0>
auto lerp(const A& start, const B& end, const C& weight) { return map(op::Lerp{}, start, end, weight); }
template <class A, class B, class C, if_expr<A, B, C> = 0>
auto addcmul(const A& x, const B& t1, const C& t2, double value = 1) { return map(op::Addcmul{value}, x, t1, t2); }
template <class A, class B, class C, if_expr<A, B, C> = 0>
auto addcdiv(const A& x, const B& t1, const C& t2, double value = 1) { return map(op::Addcdiv{value}, x, t1, t2); }

// The same values in another dtype; half and bfloat16 are kept as float until they are stored.
template <class To, class A>
auto to(const Expr<A>& x) {
  return Map<op::Cast<compute_t<To>>, To, A>({}, x.self(), {}, {});
}

}  // namespace SINTER_ABI
}  // namespace sinter
