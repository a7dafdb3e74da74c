// SPDX-License-Identifier: MIT
// Files, opened and replaced safely: every error names the file, and a file that is rewritten is replaced as a whole
// or not at all.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "sinter/core/error.hpp"

namespace sinter {

// A file being read from its beginning.
class InFile {
 public:
  explicit InFile(std::string path) : path_(std::move(path)), file_(std::fopen(path_.c_str(), "rb")) {
    if (!file_) fail<FormatError>(path_, ": cannot be opened: ", std::strerror(errno));
  }
  InFile(const InFile&) = delete;
  InFile& operator=(const InFile&) = delete;
  ~InFile() { std::fclose(file_); }

  const std::string& path() const { return path_; }

  // Up to n bytes; fewer only where the file ends.
  std::size_t read(void* to, std::size_t n) {
    const std::size_t got = n == 0 ? 0 : std::fread(to, 1, n, file_);
    if (got < n && std::ferror(file_)) fail<FormatError>(path_, ": cannot be read: ", std::strerror(errno));
    return got;
  }

  // The size of the whole file in bytes; what is no regular file (a pipe, a directory) has none.
  std::uint64_t size() const {
    struct stat info;
    if (::fstat(::fileno(file_), &info) != 0 || !S_ISREG(info.st_mode)) fail<FormatError>(path_, ": is not a regular file");
    return std::uint64_t(info.st_size);
  }

 private:
  std::string path_;
  std::FILE* file_;
};

// A file being written beside its final path, under which it appears at commit(). Without commit the file that was
// there stays as it was. A device or pipe, which nothing must replace, is written directly.
class OutFile {
 public:
  explicit OutFile(std::string path) : path_(std::move(path)) {
    static std::atomic<unsigned> serial{0};  // two threads may write the same path
    struct stat info;
    direct_ = ::stat(path_.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
    written_ = direct_ ? path_ : path_ + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(serial++);
    file_ = std::fopen(written_.c_str(), "wb");
    if (!file_) fail<FormatError>(path_, ": cannot be written: ", std::strerror(errno));
  }
  OutFile(const OutFile&) = delete;
  OutFile& operator=(const OutFile&) = delete;
  ~OutFile() { discard(); }

  void write(const void* from, std::size_t n) {
    if (n != 0 && std::fwrite(from, 1, n, file_) != n) give_up();
  }

  void commit() {
    const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
    if (!closed || (!direct_ && std::rename(written_.c_str(), path_.c_str()) != 0)) give_up();
    done_ = true;
  }

 private:
  [[noreturn]] void give_up() {
    const int error = errno;
    discard();
    fail<FormatError>(path_, ": cannot be written: ", std::strerror(error));
  }
  void discard() {
    if (file_) std::fclose(std::exchange(file_, nullptr));
    if (!done_ && !direct_) std::remove(written_.c_str());
    done_ = true;
  }

  std::string path_, written_;
  std::FILE* file_ = nullptr;
  bool direct_ = false, done_ = false;
};

}  // namespace sinter
