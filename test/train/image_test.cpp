// SPDX-License-Identifier: MIT
#include "sinter/train/image.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>

using namespace sinter;

namespace {

constexpr Color white{255, 255, 255}, black{0, 0, 0}, red{200, 0, 0};

std::string png_bytes(const Image& image) {
  char path[] = "/tmp/sinter-image-XXXXXX";
  ::close(::mkstemp(path));
  image.save_png(path);
  std::ifstream in(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::remove(path);
  return bytes;
}

std::uint32_t word(const std::string& bytes, std::size_t at) {
  std::uint32_t v = 0;
  for (std::size_t i = 0; i < 4; ++i) v = v << 8 | std::uint8_t(bytes.at(at + i));
  return v;
}

std::string inflate(const std::string& bytes, std::size_t size) {
#if defined(SINTER_WITH_ZLIB)
  std::string out(size + 1, '\0');
  ::uLongf n = ::uLongf(out.size());
  REQUIRE(::uncompress(reinterpret_cast<Bytef*>(&out[0]), &n, reinterpret_cast<const Bytef*>(bytes.data()),
                       ::uLong(bytes.size())) == Z_OK);
  out.resize(n);
  return out;
#else
  std::string out;
  REQUIRE(bytes.substr(0, 2) == "\x78\x01");
  std::size_t at = 2;
  for (bool last = false; !last;) {  // stored blocks
    last = bytes.at(at) == 1;
    const std::size_t n = std::uint8_t(bytes.at(at + 1)) | std::size_t(std::uint8_t(bytes.at(at + 2))) << 8;
    REQUIRE((n ^ 0xffff) == (std::uint8_t(bytes.at(at + 3)) | std::size_t(std::uint8_t(bytes.at(at + 4))) << 8));
    out += bytes.substr(at + 5, n);
    at += 5 + n;
  }
  REQUIRE(at + 4 == bytes.size());
  REQUIRE(out.size() == size);
  return out;
#endif
}

int painted(const Image& image) {
  return int(std::count_if(image.pixels().begin(), image.pixels().end(), [](Color c) { return c != white; }));
}

}  // namespace

TEST_CASE("image: a PNG holds the pixels, however many blocks they take") {
  for (const int width : {1, 3, 300}) {
    Image image(width, 200);
    for (int y = 0; y < 200; ++y)
      for (int x = 0; x < width; ++x)
        image.fill_rect(x, y, 1, 1, {std::uint8_t(x), std::uint8_t(y), std::uint8_t(x * y)});
    const std::string png = png_bytes(image);
    REQUIRE(png.substr(0, 8) == "\x89PNG\r\n\x1a\n");
    REQUIRE(word(png, 8) == 13);
    CHECK(png.substr(12, 4) == "IHDR");
    CHECK(word(png, 16) == std::uint32_t(width));
    CHECK(word(png, 20) == 200);
    const std::size_t n = word(png, 33);
    CHECK(png.substr(37, 4) == "IDAT");
    const std::string raw = inflate(png.substr(41, n), std::size_t(200 * (3 * width + 1)));
    bool same = true;
    for (int y = 0; y < 200; ++y)
      for (int x = 0; x < width; ++x) {
        const std::size_t at = std::size_t(y * (3 * width + 1) + 1 + 3 * x);
        same = same &&
               Color{std::uint8_t(raw[at]), std::uint8_t(raw[at + 1]), std::uint8_t(raw[at + 2])} == image.at(x, y);
      }
    CHECK(same);
    CHECK(png.substr(41 + n + 4) == std::string("\0\0\0\0IEND\xae\x42\x60\x82", 12));  // with its CRC
  }
}

#if !defined(SINTER_WITH_ZLIB)
TEST_CASE("image: without zlib the file is what the standards say, byte for byte") {
  CHECK(png_bytes(Image(1, 1, {1, 2, 3})) ==
        std::string("\x89PNG\r\n\x1a\n"
                    "\0\0\0\x0dIHDR\0\0\0\1\0\0\0\1\x08\x02\0\0\0\x90\x77\x53\xde"
                    "\0\0\0\x0fIDAT\x78\x01\x01\4\0\xfb\xff\0\1\2\3\x00\x0e\x00\x07\x2d\xa2\x33\xec"
                    "\0\0\0\0IEND\xae\x42\x60\x82",
                    72));
}
#endif

TEST_CASE("image: rectangles and grey pictures are cut off at the edges") {
  Image image(10, 8);
  image.fill_rect(-5, -5, 7, 6, red);
  CHECK(painted(image) == 2);
  image.fill_rect(8, 7, std::numeric_limits<int>::max(), 100, red);
  CHECK(painted(image) == 4);
  image.fill_rect(3, 3, -2, 5, red);
  image.fill_rect(100, 0, 5, 5, red);
  image.fill_rect(0, -100, 5, 5, red);
  CHECK(painted(image) == 4);

  const std::uint8_t grey[] = {0, 100, 255, 50};
  image.blit(6, 4, grey, 2, 2, 3);
  CHECK(image.at(6, 4) == black);
  CHECK(image.at(8, 6) == black);
  CHECK(image.at(9, 4) == Color{100, 100, 100});
  CHECK(image.at(6, 7) == white);
  CHECK(image.at(9, 7) == Color{50, 50, 50});
  CHECK_THROWS_WITH(image.at(10, 0), "Image: pixel (10, 0) of a picture of 10 x 8");
  CHECK_THROWS_AS(image.at(0, -1), IndexError);

  Image other(4, 4);
  other.draw(2, 2, Image(9, 9, red));
  other.draw(-3, -3, Image(4, 4, black));
  CHECK(other.at(0, 0) == black);
  CHECK(painted(other) == 5);
}

TEST_CASE("image: lines have their thickness and no values outside of what they mix") {
  Image image(20, 20);
  image.line(2, 10, 18, 10, red, 4);
  CHECK(image.at(10, 8) == red);
  CHECK(image.at(10, 11) == red);
  CHECK(image.at(10, 7) == white);
  CHECK(image.at(10, 12) == white);
  Image slanted(20, 20);
  slanted.line(0, 0, 20, 20, black, 2);
  for (int i = 0; i < 20; ++i) CHECK(slanted.at(i, i) == black);
  Image dot(9, 9);
  dot.line(4.5, 4.5, 4.5, 4.5, red, 3);
  CHECK(dot.at(4, 4) == red);
  CHECK(dot.at(4, 5) == red);
  CHECK(dot.at(0, 4) == white);

  Image none(5, 5);
  none.line(NAN, 0, 5, 5, red);
  none.line(0, INFINITY, 5, 5, red);
  none.line(-1e12, -50, 1e12, -50, red);
  CHECK(painted(none) == 0);
  none.line(-1e12, 2.5, 1e12, 2.5, red, 1);
  CHECK(painted(none) == 5);
}

TEST_CASE("image: text is as wide as it says, and every printable character but the space is there") {
  for (char c = '!'; c <= '~'; ++c) {
    Image image(40, 40);
    const double end = image.text(4, 4, std::string(1, c), black, 2);
    CHECK(painted(image) > 3);
    CHECK(end == Approx(4 + Image::text_width(std::string(1, c), 2) + 2));
    for (int y = 0; y < 40; ++y)
      for (int x = 0; x < 40; ++x)
        if (image.at(x, y) != white) REQUIRE((x >= 3 && x <= int(end) && y >= 3 && y < 4 + 9 * 2 + 1));
  }
  Image blank(40, 40);
  CHECK(blank.text(4, 4, " ", black) > 4);
  CHECK(blank.text(4, 4, "", black) == 4);
  CHECK(painted(blank) == 0);
  CHECK(Image::text_width("") == 0);
  CHECK(Image::text_width("12345") == Image::text_width("88888"));
  CHECK(Image::text_width("\xc3\xbc") == Image::text_width("?"));  // one character, not two
  blank.text(-1000, 5, "off", black);
  blank.text(1e9, 1e9, "off", black);
  CHECK(painted(blank) == 0);
}

TEST_CASE("image: sizes and paths that can't be are refused") {
  CHECK_THROWS_WITH(Image(0, 5), Catch::Contains("0 x 5"));
  CHECK_THROWS_AS(Image(5, -1), ValueError);
  CHECK_THROWS_AS(Image(1 << 20, 1 << 20), ValueError);
  CHECK_THROWS_AS(Image(2, 2).save_png("/tmp/no/such/folder/a.png"), FormatError);
}
