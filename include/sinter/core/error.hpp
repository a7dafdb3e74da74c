// SPDX-License-Identifier: MIT
// What Sinter throws. A message is one sentence: the operation, both shapes (or the file and the byte offset), the axis.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace sinter {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct ShapeError : Error {  // extents that do not fit
  using Error::Error;
};
struct IndexError : Error {  // an index, dimension or class label out of range
  using Error::Error;
};
struct ValueError : Error {  // an argument outside its domain
  using Error::Error;
};
struct DeviceError : Error {  // a device that is missing, full or failing
  using Error::Error;
};
struct FormatError : Error {  // a file that is not what it should be
  using Error::Error;
};
struct GradError : Error {  // a misuse of the reverse-mode graph
  using Error::Error;
};

// Throws E with its arguments printed one after the other: fail<ShapeError>("add: ", a.shape(), " x ", b.shape()).
template <class E, class... Parts>
[[noreturn]] [[gnu::noinline, gnu::cold]] void fail(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw E(text.str());
}

}  // namespace sinter
