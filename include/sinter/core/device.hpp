// SPDX-License-Identifier: MIT
// Where a tensor's memory lies.
#pragma once

#include <ostream>

namespace sinter {

struct Device {
  enum Type : unsigned char { CPU, CUDA };
  Type type = CPU;
  int index = 0;

  static constexpr Device cpu() { return {}; }
  static constexpr Device cuda(int index = 0) { return {CUDA, index}; }
  constexpr bool is_cpu() const { return type == CPU; }
  constexpr bool is_cuda() const { return type == CUDA; }
  friend constexpr bool operator==(Device a, Device b) { return a.type == b.type && a.index == b.index; }
  friend constexpr bool operator!=(Device a, Device b) { return !(a == b); }
  friend std::ostream& operator<<(std::ostream& os, Device d) {
    return d.is_cpu() ? os << "cpu" : os << "cuda:" << d.index;
  }
};

}  // namespace sinter
