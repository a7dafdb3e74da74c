// SPDX-License-Identifier: MIT
// Another project's program, which knows Sinter by its CMake target alone.
#include <cstdio>
#if __has_include(<sinter/sinter.hpp>)
#include <sinter/sinter.hpp>
#endif
#include <sinter/core/parallel.hpp>
#include <sinter/core/shape.hpp>

int main() {
  static_assert(__cplusplus >= 201703L, "the target asks for C++17");
  std::printf("%d threads\n", sinter::get_num_threads());
  return sinter::Shape{2, 3}.numel() == 6 ? 0 : 1;
}
