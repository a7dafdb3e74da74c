// SPDX-License-Identifier: MIT
// Ops of one operand, first part.
#include "conformance/elementwise.hpp"

namespace conformance {
namespace {

const bool registered = [] {
  unary("exp", [](const auto& x) { return exp(x); });
  unary("expm1", [](const auto& x) { return expm1(x); });
  unary("log", [](const auto& x) { return log(x); });
  unary("log1p", [](const auto& x) { return log1p(x); });
  unary("log2", [](const auto& x) { return log2(x); });
  unary("sqrt", [](const auto& x) { return sqrt(x); });
  unary("rsqrt", [](const auto& x) { return rsqrt(x); });
  unary("square", [](const auto& x) { return square(x); });
  unary("reciprocal", [](const auto& x) { return reciprocal(x); });
  unary("sin", [](const auto& x) { return sin(x); });
  unary("cos", [](const auto& x) { return cos(x); });
  unary("tan", [](const auto& x) { return tan(x); });
  return true;
}();

}  // namespace
}  // namespace conformance
