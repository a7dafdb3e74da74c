// SPDX-License-Identifier: MIT
// Expressions as text: x0 * x1 + tanh(x2), tensors numbered as the kernel numbers them.
#pragma once

#include <sstream>
#include <string>

#include "sinter/expr/reductions.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// The sign that stands between the operands of an op, if it has one.
template <class Op>
constexpr const char* infix() {
  if constexpr (std::is_same_v<Op, op::Add>) return " + ";
  else if constexpr (std::is_same_v<Op, op::Sub>) return " - ";
  else if constexpr (std::is_same_v<Op, op::Mul>) return " * ";
  else if constexpr (std::is_same_v<Op, op::Div>) return " / ";
  else return nullptr;
}

template <class E>
void write_expr(std::ostream& os, const E& e, int& next, bool nested = false) {
  if constexpr (E::kind == Kind::leaf) {
    os << 'x' << next++;
  } else if constexpr (E::kind == Kind::constant) {
    os << +e.value;
  } else if constexpr (E::kind == Kind::reduction || E::kind == Kind::product) {
    os << 'x' << next++;  // computed by a kernel of its own, and read from memory
  } else if constexpr (E::kind == Kind::map) {
    using Op = std::decay_t<decltype(e.op)>;
    if constexpr (infix<Op>() != nullptr) {
      if (nested) os << '(';
      write_expr(os, e.a, next, true);
      os << infix<Op>();
      write_expr(os, e.b, next, true);
      if (nested) os << ')';
    } else {
      os << name_of<Op>(0) << '(';
      write_expr(os, e.a, next);
      if constexpr (std::decay_t<decltype(e.b)>::kind != Kind::nothing) {
        os << ", ";
        write_expr(os, e.b, next);
      }
      if constexpr (std::decay_t<decltype(e.c)>::kind != Kind::nothing) {
        os << ", ";
        write_expr(os, e.c, next);
      }
      os << ')';
    }
  }
}
template <class E>
std::string to_string(const E& e) {
  std::ostringstream text;
  int next = 0;
  write_expr(text, e, next);
  return text.str();
}

}  // namespace SINTER_ABI
}  // namespace sinter
