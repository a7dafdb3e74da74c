// SPDX-License-Identifier: MIT
// The JSON header of a safetensors file, read so that every complaint names the tensor and the byte.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_set>
#include <vector>

#include "sinter/core/config.hpp"
#include "sinter/core/dtype.hpp"
#include "sinter/core/error.hpp"
#include "sinter/core/shape.hpp"

namespace sinter {
namespace safetensors {

// Files are read and written as they lie in memory.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "sinter: safetensors files take a little-endian machine");

inline constexpr std::uint64_t max_header = 100'000'000;
inline constexpr const char* metadata_key = "__metadata__";

// In the order of DType; `order` is the rank among the format's dtypes, by which tensors are sorted in the file.
struct Code {
  const char* name;
  int order;
};
inline constexpr Code codes[] = {{"BOOL", 0}, {"U8", 1},   {"I32", 4}, {"I64", 7},
                                 {"F16", 2},  {"BF16", 3}, {"F32", 5}, {"F64", 6}};

// Where a string stops being UTF-8 (RFC 3629): its size where it is throughout.
inline std::size_t utf8_prefix(const std::string& s) {
  const auto byte = [&](std::size_t i) { return i < s.size() ? std::uint8_t(s[i]) : 0u; };
  std::size_t i = 0;
  while (i < s.size()) {
    const std::uint32_t a = byte(i), b = byte(i + 1);
    const int more = a < 0x80                ? 0
                     : a >= 0xc2 && a < 0xe0 ? 1
                     : a >= 0xe0 && a < 0xf0 ? 2
                     : a >= 0xf0 && a < 0xf5 ? 3
                                             : -1;
    if (more < 0) return i;
    for (int k = 1; k <= more; ++k)
      if ((byte(i + std::size_t(k)) & 0xc0) != 0x80) return i;
    // overlong forms, halves of surrogate pairs, beyond U+10FFFF
    if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f) || (a == 0xf0 && b < 0x90) || (a == 0xf4 && b > 0x8f))
      return i;
    i += std::size_t(more) + 1;
  }
  return i;
}

// A string of UTF-8 as JSON, with the escapes that the reference implementation writes. (nlohmann's dump() would do, but
// costs every program that saves two seconds to compile.)
inline std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    constexpr char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const std::size_t k = c == '\0' ? std::string::npos : std::string(plain).find(c);
    if (k != std::string::npos) {
      out += '\\';
      out += letters[k];
    } else if (std::uint8_t(c) < 0x20) {
      out += "\\u00";
      out += c < 16 ? '0' : '1';
      out += "0123456789abcdef"[c & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

// A name for a message: escaped, as it may come from a hostile file, and not too long.
inline std::string quoted(const std::string& name) {
  std::string start = name.substr(0, 80);
  start.resize(utf8_prefix(start));
  return json_string(start) + (start.size() < name.size() ? "..." : "");
}

struct Entry {
  std::string name;
  std::uint64_t key_at = 0;  // byte offset in the file, for messages
  bool has_dtype = false, has_shape = false, has_offsets = false;
  DType dtype = DType::float32;
  int rank = 0, offsets = 0;
  std::int64_t sizes[max_rank] = {};
  std::uint64_t span[2] = {};  // begin and end, counted from the end of the header
  ShapeView shape() const { return {sizes, rank}; }
};

// Counts what the JSON lexer has consumed.
struct Cursor {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;
  const char* at;
  const char** last;
  reference operator*() const { return *at; }
  Cursor& operator++() {
    *last = at++;
    return *this;
  }
  Cursor operator++(int) {
    Cursor old = *this;
    ++*this;
    return old;
  }
  friend bool operator==(const Cursor& a, const Cursor& b) { return a.at == b.at; }
  friend bool operator!=(const Cursor& a, const Cursor& b) { return a.at != b.at; }
};

// Takes the header's JSON as it is parsed: no document is built, so memory stays in proportion to the header, and every
// complaint knows the byte where it arose.
class Header {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;

  Header(const std::string& path, const std::string& text, std::uint64_t data_bytes)
      : path_(path), first_(text.data()), last_(first_), data_bytes_(data_bytes) {
    if (text.empty() || text[0] != '{') refuse("the header is not a JSON object");
    const char* const end = first_ + text.size();
    last_ = std::find(first_, end, '\0');  // which the parser would take for the end
    if (last_ != end) refuse("the header is not valid JSON: it holds a zero byte");
    nlohmann::json::sax_parse(Cursor{first_, &last_}, Cursor{end, &last_}, this);
  }

  // The events of nlohmann::json::sax_parse.
  bool null() { refuse("null where ", expected(), " should be"); }
  bool boolean(bool) { refuse("a truth value where ", expected(), " should be"); }
  bool binary(binary_t&) { refuse("binary data where ", expected(), " should be"); }
  bool number_integer(number_integer_t v) {
    if (place_ == Place::shape || place_ == Place::offsets) refuse("negative number ", v, " in ", field_);
    refuse("a number where ", expected(), " should be");
  }
  bool number_float(number_float_t, const string_t& text) { refuse(quoted(text), " where ", expected(), " should be"); }
  bool number_unsigned(number_unsigned_t v) {
    if (place_ == Place::shape) {
      Entry& e = entries.back();
      if (e.rank == max_rank) refuse("more than ", max_rank, " dimensions");
      if (v > number_unsigned_t(INT64_MAX)) refuse("extent ", v, " is too large");
      e.sizes[e.rank++] = std::int64_t(v);
    } else if (place_ == Place::offsets) {
      Entry& e = entries.back();
      if (e.offsets == 2) refuse("data_offsets has more than two numbers");
      e.span[e.offsets++] = v;
    } else {
      refuse("a number where ", expected(), " should be");
    }
    return true;
  }
  bool string(string_t& text) {
    if (place_ == Place::metadata) {
      metadata.emplace(key_, text);
    } else if (place_ == Place::entry && field_ == "dtype") {
      const auto code = std::find_if(std::begin(codes), std::end(codes), [&](const Code& c) { return text == c.name; });
      if (code == std::end(codes))
        refuse("dtype ", quoted(text), " is not supported (BOOL U8 I32 I64 F16 BF16 F32 F64 are)");
      entries.back().dtype = DType(code - std::begin(codes));
    } else {
      refuse("a string where ", expected(), " should be");
    }
    return true;
  }
  bool start_object(std::size_t) {
    if (place_ == Place::outside) place_ = Place::top;
    else if (place_ == Place::top && key_ == metadata_key) place_ = Place::metadata;
    else if (place_ == Place::top) {
      place_ = Place::entry;
      entries.emplace_back();
      entries.back().name = key_;
      entries.back().key_at = offset();
    } else refuse("an object where ", expected(), " should be");
    return true;
  }
  bool key(string_t& key) {
    if (place_ == Place::top) {
      in_entry_ = key != metadata_key;
      key_ = key;
      if (!names_.insert(key).second) refuse("the name occurs twice");
    } else if (place_ == Place::metadata) {
      key_ = key;
      if (metadata.count(key)) refuse("metadata key ", quoted(key), " occurs twice");
    } else {
      Entry& e = entries.back();
      field_ = key;
      bool* seen = key == "dtype"          ? &e.has_dtype
                   : key == "shape"        ? &e.has_shape
                   : key == "data_offsets" ? &e.has_offsets
                                           : nullptr;
      if (!seen) refuse("unknown key ", quoted(key));
      if (*seen) refuse(key, " occurs twice");
      *seen = true;
    }
    return true;
  }
  bool end_object() {
    if (place_ == Place::entry) check(entries.back());
    place_ = place_ == Place::top ? Place::outside : Place::top;
    in_entry_ = false;
    return true;
  }
  bool start_array(std::size_t) {
    if (place_ != Place::entry || field_ == "dtype") refuse("an array where ", expected(), " should be");
    place_ = field_ == "shape" ? Place::shape : Place::offsets;
    return true;
  }
  bool end_array() {
    if (place_ == Place::offsets && entries.back().offsets != 2) refuse("data_offsets has not two numbers");
    place_ = Place::entry;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    std::string why = error.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    const std::size_t colon = why.find(": ");
    if (colon != std::string::npos) why.erase(0, colon + 2);
    if (why.size() > 200) why = why.substr(0, 200) + "...";
    fail<FormatError>(path_, ": the header is not valid JSON at byte ", 8 + (position ? position - 1 : 0), ": ", why);
  }

 private:
  enum class Place { outside, top, metadata, entry, shape, offsets };

  std::uint64_t offset() const { return 8 + std::uint64_t(last_ - first_); }
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    const bool named = in_entry_ && place_ != Place::outside;
    fail<FormatError>(path_, ": ", named ? "tensor " + quoted(key_) + ": " : "", parts..., " (header, byte ", offset(),
                      ')');
  }
  std::string expected() const {
    switch (place_) {
      case Place::outside: return "the header's object";
      case Place::top: return in_entry_ ? "an object" : "the metadata's object";
      case Place::metadata: return "a string for metadata key " + quoted(key_);
      case Place::entry: return field_ == "dtype" ? "a dtype's name" : field_ == "shape" ? "a shape" : "data_offsets";
      case Place::shape: return "an extent";
      default: return "an offset";
    }
  }
  void check(const Entry& e) const {
    if (!e.has_dtype || !e.has_shape || !e.has_offsets)
      refuse(!e.has_dtype ? "dtype" : !e.has_shape ? "shape" : "data_offsets", " is missing");
    const auto width = std::uint64_t(size_of(e.dtype));
    std::uint64_t bytes = width;  // an extent of 0 counts as 1 here: strides must not overflow, either
    for (int i = 0; i < e.rank; ++i) {
      const auto n = std::uint64_t(std::max<std::int64_t>(e.sizes[i], 1));
      if (bytes > std::uint64_t(INT64_MAX) / n) refuse("shape ", e.shape(), " is too large");
      bytes *= n;
    }
    if (std::count(e.sizes, e.sizes + e.rank, 0) != 0) bytes = 0;
    const std::uint64_t begin = e.span[0], end = e.span[1];
    if (begin > end) refuse("data_offsets [", begin, ", ", end, "] run backwards");
    if (end > data_bytes_)
      refuse("data_offsets [", begin, ", ", end, "] reach beyond the ", data_bytes_, " bytes of data in the file");
    if (end - begin != bytes)
      refuse("shape ", e.shape(), " of ", codes[int(e.dtype)].name, " takes ", bytes, " bytes, but data_offsets [",
             begin, ", ", end, "] span ", end - begin);
  }

  const std::string& path_;
  const char* const first_;
  const char* last_;  // what the lexer has read last
  const std::uint64_t data_bytes_;
  Place place_ = Place::outside;
  bool in_entry_ = false;
  std::string key_, field_;
  std::unordered_set<std::string> names_;
};

}  // namespace safetensors
}  // namespace sinter
