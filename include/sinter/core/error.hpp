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

// A part of a message: what to print, and how.
struct MessagePart {
  const void* what;
  void (*print)(std::ostream&, const void*);
};
[[gnu::cold]] inline std::string message_of(const MessagePart* parts, int n) {
  std::ostringstream text;
  for (int i = 0; i < n; ++i) parts[i].print(text, parts[i].what);
  return text.str();
}
template <class T>
void print_part(std::ostream& os, const void* what) { os << *static_cast<const T*>(what); }
template <class E>
[[noreturn]] [[gnu::noinline, gnu::cold]] void throw_message(const MessagePart* parts, int n) { throw E(message_of(parts, n)); }

// Throws E with its arguments printed one after the other: fail<ShapeError>("add: ", a.shape(), " x ", b.shape()). (By way of
// a list, so that a call with parts of other types costs the compiler next to nothing.)
template <class E, class... Parts>
[[noreturn]] [[gnu::noinline, gnu::cold]] void fail(const Parts&... parts) {
  const MessagePart list[] = {{&parts, print_part<Parts>}...};
  throw_message<E>(list, int(sizeof...(Parts)));
}

}  // namespace sinter
