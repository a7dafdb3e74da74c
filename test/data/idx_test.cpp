// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "data/files.hpp"
#include "sinter/data/datasets.hpp"

using namespace sinter;
using Catch::Contains;

namespace {

std::string bytes(std::initializer_list<int> list) {
  std::string s;
  for (const int b : list) s += char(b);
  return s;
}
const std::string images = bytes({0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255});
const std::string labels = bytes({0, 0, 8, 1, 0, 0, 0, 2, 7, 9});

std::string error_of(const std::string& content) {
  TemporaryFile file(content);
  try {
    read_idx(file.path);
  } catch (const FormatError& e) {
    CHECK_THAT(e.what(), Contains(file.path));
    return e.what();
  }
  return "none";
}

#if defined(SINTER_WITH_ZLIB)
std::string gzipped(const std::string& content) {
  TemporaryFile file("");
  gzFile z = gzopen(file.path.c_str(), "wb");
  gzwrite(z, content.data(), unsigned(content.size()));
  gzclose(z);
  std::string out;
  std::FILE* f = std::fopen(file.path.c_str(), "rb");
  for (int c; (c = std::fgetc(f)) != EOF;) out += char(c);
  std::fclose(f);
  return out;
}
#endif

}  // namespace

TEST_CASE("IDX files of bytes, and of wider elements") {
  TemporaryFile a(images), b(labels);
  const auto x = read_idx_images(a.path);
  CHECK(x.shape() == Shape{2, 1, 3});
  CHECK(x.data()[5] == 255);
  const auto y = read_idx_labels(b.path);
  CHECK(y.shape() == Shape{2});
  CHECK(y.data()[1] == 9);
  TemporaryFile c(bytes({0, 0, 13, 1, 0, 0, 0, 1, 0x3f, 0x80, 0, 0}));
  const IdxFile wide = read_idx(c.path);
  CHECK(wide.dtype == DType::float32);
  CHECK(*reinterpret_cast<const float*>(wide.bytes.data()) == 1.0f);
  TemporaryFile none(bytes({0, 0, 8, 1, 0, 0, 0, 0}));
  CHECK(read_idx_labels(none.path).numel() == 0);
}

TEST_CASE("what is no IDX file is told with file and byte") {
  CHECK_THAT(error_of(""), Contains("truncated IDX header") && Contains("byte 0"));
  CHECK_THAT(error_of(images.substr(0, 9)), Contains("truncated IDX header"));
  CHECK_THAT(error_of("PNG..."), Contains("not an IDX file"));
  CHECK_THAT(error_of(bytes({0, 0, 7, 1, 0, 0, 0, 0})), Contains("unknown element type 7"));
  CHECK_THAT(error_of(bytes({0, 0, 11, 1, 0, 0, 0, 0})), Contains("int16"));
  CHECK_THAT(error_of(bytes({0, 0, 8, 99})), Contains("rank 99"));
  CHECK_THAT(error_of(images.substr(0, 20)), Contains("truncated") && Contains("6 bytes"));
  CHECK_THAT(error_of(images + "x"), Contains("trailing bytes") && Contains("byte 22"));
  CHECK_THAT(error_of(bytes({0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255})), Contains("64 bits"));
  CHECK_THAT(error_of(bytes({0, 0, 8, 1, 255, 255, 255, 255, 1})), Contains("4294967295"));  // and no 4 GB are taken
  CHECK_THROWS_AS(read_idx("/nowhere/at/all"), FormatError);
  TemporaryFile a(images), b(labels), f(bytes({0, 0, 13, 1, 0, 0, 0, 1, 0x3f, 0x80, 0, 0}));
  CHECK_THROWS_WITH(read_idx_labels(a.path), Contains("labels have rank 1") && Contains("[2, 1, 3]"));
  CHECK_THROWS_WITH(read_idx_images(b.path), Contains("images have rank 3"));
  CHECK_THROWS_WITH(read_idx_labels(f.path), Contains("float32"));
}

#if defined(SINTER_WITH_ZLIB)
TEST_CASE("gzipped files; truncated and corrupt ones") {
  const std::string z = gzipped(images);
  TemporaryFile file(z);
  CHECK(read_idx_images(file.path).data()[5] == 255);
  TemporaryFile two(gzipped(images.substr(0, 10)) + gzipped(images.substr(10)));  // several members in a row
  CHECK(read_idx_images(two.path).data()[4] == 5);
  CHECK_THAT(error_of(z.substr(0, z.size() - 9)), Contains("truncated gzip data"));
  CHECK_THAT(error_of(z.substr(0, 12)), Contains("gzip"));
  std::string flipped = z;
  flipped[z.size() - 6] = char(flipped[z.size() - 6] ^ 1);  // in the checksum
  CHECK_THAT(error_of(flipped), Contains("corrupt gzip data"));
  CHECK_THAT(error_of(gzipped(images.substr(0, 20))), Contains("byte 20") && Contains("decompressed"));
}
#endif

TEST_CASE("images and labels that do not fit together") {
  TemporaryFile a(images), b(labels), three(bytes({0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3}));
  const auto pair = datasets::read_idx_pair(a.path, b.path, 10);
  CHECK(pair.size() == 2);
  CHECK(std::get<1>(pair.get(1)).item() == 9);
  CHECK_THROWS_WITH(datasets::read_idx_pair(a.path, b.path, 9), Contains(b.path) && Contains("label 9 of image 1") && Contains("9 classes"));
  CHECK_THROWS_WITH(datasets::read_idx_pair(a.path, three.path, 10), Contains("3 labels for the 2 images"));
  CHECK_THROWS_WITH(datasets::FashionMNIST("/nowhere", true), Contains("/nowhere/train-images-idx3-ubyte"));
}
