// SPDX-License-Identifier: MIT
// A small RGB picture to draw on and to save as PNG (RFC 2083). With SINTER_WITH_ZLIB (see data/gzip.hpp) the file is
// compressed, else it is stored as it is; both are valid PNG.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "sinter/core/error.hpp"
#include "sinter/core/file.hpp"
#include "sinter/train/font.hpp"

#if defined(SINTER_WITH_ZLIB) && __has_include(<zlib.h>)
#include <zlib.h>

namespace sinter {
inline namespace with_zlib {  // objects built with and without zlib may meet in one program

// A zlib stream (RFC 1950).
struct Deflater {
  static std::string run(const std::string& bytes) {
    ::uLongf size = ::compressBound(::uLong(bytes.size()));
    std::string out(size, '\0');
    if (::compress2(reinterpret_cast<Bytef*>(&out[0]), &size, reinterpret_cast<const Bytef*>(bytes.data()),
                    ::uLong(bytes.size()), 6) != Z_OK)
      throw std::bad_alloc();
    out.resize(size);
    return out;
  }
};

}  // namespace with_zlib
#else

namespace sinter {
inline namespace without_zlib {

// A zlib stream (RFC 1950) of blocks that are stored, not compressed (RFC 1951, 3.2.4).
struct Deflater {
  static std::string run(const std::string& bytes) {
    std::string out = "\x78\x01";
    std::size_t at = 0;
    do {
      const std::size_t n = std::min<std::size_t>(bytes.size() - at, 65535);
      const bool final = at + n == bytes.size();
      out += {char(final), char(n & 255), char(n >> 8), char(~n & 255), char((~n >> 8) & 255)};
      out.append(bytes, at, n);
      at += n;
    } while (at < bytes.size());
    std::uint32_t a = 1, b = 0;  // Adler-32
    for (const unsigned char c : bytes) {
      a = (a + c) % 65521;
      b = (b + a) % 65521;
    }
    return out += {char(b >> 8), char(b), char(a >> 8), char(a)};
  }
};

}  // namespace without_zlib
#endif

struct Color {
  std::uint8_t r = 0, g = 0, b = 0;
  friend bool operator==(Color x, Color y) { return x.r == y.r && x.g == y.g && x.b == y.b; }
  friend bool operator!=(Color x, Color y) { return !(x == y); }
};

// Coordinates count pixels from the upper left corner; what lies outside is cut off. Drawing smooths edges.
class Image {
 public:
  // Throws ValueError for a size that no PNG could have.
  Image(int width, int height, Color background = {255, 255, 255}) : width_(width), height_(height) {
    if (width < 1 || height < 1 || std::int64_t(width) * height > (1 << 28))
      fail<ValueError>("Image: a picture of ", width, " x ", height, " pixels (at least 1 x 1, at most 2^28 in all)");
    pixels_.assign(std::size_t(width) * std::size_t(height), background);
  }

  int width() const { return width_; }
  int height() const { return height_; }
  const std::vector<Color>& pixels() const { return pixels_; }  // row by row
  // Throws IndexError outside of the picture.
  Color at(int x, int y) const {
    if (!inside(x, y)) fail<IndexError>("Image: pixel (", x, ", ", y, ") of a picture of ", width_, " x ", height_);
    return pixels_[index(x, y)];
  }

  void fill_rect(int x, int y, int width, int height, Color color) {
    const int x1 = clamp(std::int64_t(x) + width, width_), y1 = clamp(std::int64_t(y) + height, height_);
    for (int j = clamp(y, height_); j < y1; ++j)
      for (int i = clamp(x, width_); i < x1; ++i) pixels_[index(i, j)] = color;
  }

  // A stroke with round ends. A line from a point to itself is a dot.
  void line(double x0, double y0, double x1, double y1, Color color, double thickness = 1) {
    const Segment s{x0, y0, x1, y1};
    stroke(&s, 1, color, thickness / 2);
  }

  // (x, y) is the upper left corner of a line of text; `scale` is the size of the typeface's grid: capitals are
  // 7 * scale high. Gives the x at which more text would go on.
  double text(double x, double y, const std::string& words, Color color, double scale = 2) {
    std::vector<Segment> strokes;
    for (const char c : words) {
      if ((c & 0xc0) == 0x80) continue;  // the rest of a UTF-8 character
      const font::Extent extent = font::extent(c);
      strokes.clear();
      const auto join = [&](int i, int j, int k, int l) {
        strokes.push_back({x + (i - extent.first + 0.5) * scale, y + (j + 0.5) * scale,
                           x + (k - extent.first + 0.5) * scale, y + (l + 0.5) * scale});
      };
      for (int j = 0; j < font::rows; ++j)
        for (int i = 0; i < font::columns; ++i) {
          if (!font::lit(c, i, j)) continue;
          const bool right = font::lit(c, i + 1, j), left = font::lit(c, i - 1, j), below = font::lit(c, i, j + 1);
          join(i, j, i, j);
          if (right) join(i, j, i + 1, j);
          if (below) join(i, j, i, j + 1);
          // diagonals become slanted strokes, but do not round a corner that is there
          if (!right && !below && font::lit(c, i + 1, j + 1)) join(i, j, i + 1, j + 1);
          if (!left && !below && font::lit(c, i - 1, j + 1)) join(i, j, i - 1, j + 1);
        }
      stroke(strokes.data(), strokes.size(), color, 0.45 * scale);
      x += (extent.last - extent.first + 1) * scale;
    }
    return x;
  }
  static double text_width(const std::string& words, double scale = 2) {
    double width = 0;
    for (const char c : words)
      if ((c & 0xc0) != 0x80) width += (font::extent(c).last - font::extent(c).first + 1) * scale;
    return words.empty() ? 0 : width - scale;
  }

  // A grey picture of width x height bytes, each drawn as a square of `factor` pixels.
  void blit(int x, int y, const std::uint8_t* grey, int width, int height, int factor = 1) {
    for (int j = 0; j < height; ++j)
      for (int i = 0; i < width; ++i) {
        const std::uint8_t v = grey[std::size_t(j) * std::size_t(width) + std::size_t(i)];
        fill_rect(x + i * factor, y + j * factor, factor, factor, {v, v, v});
      }
  }
  void draw(int x, int y, const Image& picture) {
    for (int j = std::max(0, -y); j < std::min(picture.height_, height_ - y); ++j)
      for (int i = std::max(0, -x); i < std::min(picture.width_, width_ - x); ++i)
        pixels_[index(x + i, y + j)] = picture.pixels_[picture.index(i, j)];
  }

  // Replaces the file as a whole or not at all; throws FormatError where it can't be written. A template only so that
  // the bodies with and without zlib have different names.
  template <class D = Deflater>
  void save_png(const std::string& path) const {
    std::string raw;
    raw.reserve(std::size_t(height_) * (std::size_t(width_) * 3 + 1));
    for (int y = 0; y < height_; ++y) {
      raw += '\0';  // filter: none
      for (int x = 0; x < width_; ++x) {
        const Color c = pixels_[index(x, y)];
        raw += {char(c.r), char(c.g), char(c.b)};
      }
    }
    const auto chunk = [](std::string name_and_data) {
      return big_endian(std::uint32_t(name_and_data.size() - 4)) + name_and_data + big_endian(crc32(name_and_data));
    };
    const std::string header = "IHDR" + big_endian(std::uint32_t(width_)) + big_endian(std::uint32_t(height_)) +
                               std::string("\x08\x02\0\0\0", 5);  // 8 bits, RGB
    const std::string png = "\x89PNG\r\n\x1a\n" + chunk(header) + chunk("IDAT" + D::run(raw)) + chunk("IEND");
    OutFile out(path);
    out.write(png.data(), png.size());
    out.commit();
  }

 private:
  struct Segment {
    double x0, y0, x1, y1;
  };

  bool inside(int x, int y) const { return x >= 0 && y >= 0 && x < width_ && y < height_; }
  std::size_t index(int x, int y) const { return std::size_t(y) * std::size_t(width_) + std::size_t(x); }
  static int clamp(std::int64_t v, int limit) { return int(std::clamp<std::int64_t>(v, 0, limit)); }
  static int clamp_real(double v, int limit) { return v > 0 ? int(std::min(v, double(limit))) : 0; }

  // Covers the union of the segments, each widened by `radius`: every pixel is blended once, by its distance.
  void stroke(const Segment* segments, std::size_t n, Color color, double radius) {
    if (n == 0) return;
    double left = 1e300, right = -1e300, top = 1e300, bottom = -1e300;
    for (const Segment* s = segments; s != segments + n; ++s) {
      if (!std::isfinite(s->x0 + s->y0 + s->x1 + s->y1)) return;
      left = std::min({left, s->x0, s->x1}), right = std::max({right, s->x0, s->x1});
      top = std::min({top, s->y0, s->y1}), bottom = std::max({bottom, s->y0, s->y1});
    }
    const int i1 = clamp_real(right + radius + 2, width_), j1 = clamp_real(bottom + radius + 2, height_);
    for (int j = clamp_real(top - radius - 1, height_); j < j1; ++j)
      for (int i = clamp_real(left - radius - 1, width_); i < i1; ++i) {
        double nearest = 1e300;
        for (const Segment* s = segments; s != segments + n; ++s) {
          const double dx = s->x1 - s->x0, dy = s->y1 - s->y0, px = i + 0.5 - s->x0, py = j + 0.5 - s->y0;
          const double length = dx * dx + dy * dy;
          const double t = length > 0 ? std::clamp((px * dx + py * dy) / length, 0.0, 1.0) : 0;
          nearest = std::min(nearest, (px - t * dx) * (px - t * dx) + (py - t * dy) * (py - t * dy));
        }
        const double cover = std::clamp(radius + 0.5 - std::sqrt(nearest), 0.0, 1.0);
        if (cover == 0) continue;
        Color& p = pixels_[index(i, j)];
        const auto mix = [&](std::uint8_t from, std::uint8_t to) {
          return std::uint8_t(from + (to - from) * cover + 0.5);
        };
        p = {mix(p.r, color.r), mix(p.g, color.g), mix(p.b, color.b)};
      }
  }

  static std::string big_endian(std::uint32_t v) { return {char(v >> 24), char(v >> 16), char(v >> 8), char(v)}; }
  static std::uint32_t crc32(const std::string& bytes) {  // ISO 3309, as PNG's annex 15 has it
    std::array<std::uint32_t, 256> table;
    for (std::uint32_t n = 0; n < 256; ++n) {
      table[n] = n;
      for (int k = 0; k < 8; ++k) table[n] = table[n] & 1 ? 0xedb88320u ^ (table[n] >> 1) : table[n] >> 1;
    }
    std::uint32_t crc = 0xffffffffu;
    for (const unsigned char c : bytes) crc = table[(crc ^ c) & 255] ^ (crc >> 8);
    return ~crc;
  }

  int width_, height_;
  std::vector<Color> pixels_;
};

}  // namespace sinter
