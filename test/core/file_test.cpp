// SPDX-License-Identifier: MIT
#include "sinter/core/file.hpp"

#include <dirent.h>

#include <catch2/catch.hpp>
#include <cstdlib>

using namespace sinter;

namespace {

struct Folder {
  Folder() {
    char name[] = "/tmp/sinter-file-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { std::system(("rm -rf " + path).c_str()) == 0 ? void() : void(); }
  int entries() const {
    int n = -2;  // . and ..
    DIR* folder = ::opendir(path.c_str());
    while (::readdir(folder)) ++n;
    ::closedir(folder);
    return n;
  }
  std::string path;
};

void write(const std::string& path, const std::string& text) {
  OutFile out(path);
  out.write(text.data(), text.size());
  out.commit();
}

std::string read(const std::string& path) {
  InFile in(path);
  std::string text(in.size() + 10, '?');
  text.resize(in.read(&text[0], text.size()));
  return text;
}

}  // namespace

TEST_CASE("a file is replaced as a whole or not at all") {
  Folder folder;
  const std::string path = folder.path + "/a";
  write(path, "old");
  CHECK(read(path) == "old");
  {
    OutFile out(path);
    out.write("ne", 2);
    CHECK(folder.entries() == 2);
  }  // no commit
  CHECK(read(path) == "old");
  CHECK(folder.entries() == 1);
  write(path, "");
  CHECK(read(path) == "");
}

TEST_CASE("file errors name the file and the reason") {
  Folder folder;
  CHECK_THROWS_WITH(InFile(folder.path + "/none"), folder.path + "/none: cannot be opened: No such file or directory");
  CHECK_THROWS_WITH(OutFile(folder.path + "/no/such"), Catch::Contains("/no/such: cannot be written: No such file"));
  CHECK_THROWS_AS(OutFile(folder.path), FormatError);  // a directory
  CHECK_THROWS_WITH(read(folder.path), Catch::Contains("not a regular file"));
  char byte;
  CHECK_THROWS_WITH(InFile(folder.path).read(&byte, 1), Catch::Contains("cannot be read: Is a directory"));
}

TEST_CASE("a full device is reported; a device is never replaced") {
  OutFile out("/dev/full");
  const std::string text(1 << 20, 'x');
  CHECK_THROWS_WITH(out.write(text.data(), text.size()), "/dev/full: cannot be written: No space left on device");
  write("/dev/null", "x");
  struct stat info;
  REQUIRE(::stat("/dev/null", &info) == 0);
  CHECK(S_ISCHR(info.st_mode));
}
