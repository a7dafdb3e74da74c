// SPDX-License-Identifier: MIT
// A file read from its beginning and decompressed on the way where it starts as gzip files do (RFC 1952). That takes
// zlib: define SINTER_WITH_ZLIB and link with -lz (the CMake target does both where it finds zlib).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "sinter/core/file.hpp"

#if defined(SINTER_WITH_ZLIB) && __has_include(<zlib.h>)
#include <zlib.h>

namespace sinter {
inline namespace with_zlib {  // objects built with and without zlib may meet in one program

class Inflater {
 public:
  explicit Inflater(const std::string&) {
    if (::inflateInit2(&z_, 15 + 16) != Z_OK) throw std::bad_alloc();  // 16: a gzip wrapper, its checksum verified
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { ::inflateEnd(&z_); }

  // Consumes some of [in, in + in_size) and fills some of [out, out + out_size); advances and shrinks both. Says why
  // not where the data is corrupt.
  const char* step(const unsigned char*& in, std::size_t& in_size, unsigned char*& out, std::size_t& out_size) {
    constexpr std::size_t most = 1u << 30;  // zlib counts in unsigned int
    if (ended_ && in_size > 0) {            // the format allows several members in a row
      ::inflateReset(&z_);
      ended_ = false;
    }
    z_.next_in = const_cast<unsigned char*>(in);
    z_.avail_in = unsigned(std::min(in_size, most));
    z_.next_out = out;
    z_.avail_out = unsigned(std::min(out_size, most));
    const int code = ::inflate(&z_, Z_NO_FLUSH);
    in_size -= std::size_t(z_.next_in - in);
    in = z_.next_in;
    out_size -= std::size_t(z_.next_out - out);
    out = z_.next_out;
    ended_ = code == Z_STREAM_END;
    if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR) return nullptr;
    return z_.msg ? z_.msg : "needs a preset dictionary";
  }
  bool ended() const { return ended_; }  // at the end of a member

 private:
  z_stream z_{};
  bool ended_ = false;
};

#else

namespace sinter {
inline namespace without_zlib {

struct Inflater {
  explicit Inflater(const std::string& path) {
    fail<FormatError>(path, ": is compressed with gzip, and this program was built without zlib (define SINTER_WITH_ZLIB "
                            "and link with -lz, or gunzip the file)");
  }
  const char* step(const unsigned char*&, std::size_t&, unsigned char*&, std::size_t&) { return "no zlib"; }
  bool ended() const { return true; }
};

#endif

class GzipFile {
 public:
  explicit GzipFile(std::string path) : file_(std::move(path)) {
    refill();
    if (size_ >= 2 && next_[0] == 0x1f && next_[1] == 0x8b) inflater_ = std::make_unique<Inflater>(file_.path());
  }

  const std::string& path() const { return file_.path(); }
  // How many bytes have been read so far, counted after decompression.
  std::uint64_t position() const { return position_; }
  bool compressed() const { return inflater_ != nullptr; }

  // Up to n bytes; fewer only where the file ends.
  std::size_t read(void* to, std::size_t n) {
    auto* out = static_cast<unsigned char*>(to);
    std::size_t left = n;
    while (left > 0) {
      if (size_ == 0) refill();
      if (!inflater_) {
        if (size_ == 0) break;
        const std::size_t some = std::min(left, size_);
        std::memcpy(out, next_, some);
        out += some, left -= some, next_ += some, size_ -= some;
        continue;
      }
      if (size_ == 0 && inflater_->ended()) break;
      const std::size_t in_before = size_, out_before = left;
      if (const char* why = inflater_->step(next_, size_, out, left))
        fail<FormatError>(path(), ": corrupt gzip data at byte ", offset(), ": ", why);
      if (size_ == in_before && left == out_before && size_ == 0 && !inflater_->ended())
        fail<FormatError>(path(), ": truncated gzip data: the file ends at byte ", offset());
    }
    position_ += n - left;
    return n - left;
  }

 private:
  void refill() {
    next_ = buffer_.data();
    size_ = file_.read(buffer_.data(), buffer_.size());
    end_ += size_;
  }
  std::uint64_t offset() const { return end_ - size_; }  // in the file as it lies there

  InFile file_;
  std::vector<unsigned char> buffer_ = std::vector<unsigned char>(std::size_t(1) << 16);
  const unsigned char* next_ = nullptr;
  std::size_t size_ = 0;    // bytes from next_ on that are still unused
  std::uint64_t end_ = 0;   // where in the file the buffer ends
  std::uint64_t position_ = 0;
  std::unique_ptr<Inflater> inflater_;
};

}  // inline namespace with_zlib or without_zlib
}  // namespace sinter
