// SPDX-License-Identifier: MIT
// Pictures of a training: learning curves, and a gallery of small images with what the model made of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "sinter/core/error.hpp"
#include "sinter/train/image.hpp"

namespace sinter {
namespace plot {

struct Series {
  std::string name;
  std::vector<double> y;
  std::vector<double> x;  // as long as y, or empty for 1, 2, 3, ...
};

// One pair of axes. Values that are not finite leave a gap.
struct Panel {
  std::string title, x_label;
  std::vector<Series> series;
};

inline constexpr Color ink{31, 41, 55}, faint_ink{107, 114, 128}, grid_color{229, 231, 235}, right_color{21, 128, 61},
    wrong_color{200, 30, 30};
inline constexpr Color series_colors[] = {{37, 99, 235},  {234, 88, 12}, {22, 163, 74},
                                          {147, 51, 234}, {202, 138, 4}, {8, 145, 178}};

struct Ticks {
  double low = 0, high = 1, step = 1;
  int decimals = 0;
};

// Round numbers (1, 2 or 5 times a power of ten apart) that enclose [low, high], about `wanted` of them.
inline Ticks ticks(double low, double high, int wanted, bool whole) {
  if (!(low <= high)) low = 0, high = 1;  // there was nothing to draw
  if (!(high - low > 1e-9 * std::max(std::abs(low), std::abs(high)))) {
    const double widen = whole ? 1 : std::max(std::abs(low) * 0.1, 1e-3);
    low -= widen, high += widen;
  }
  Ticks t;
  const double raw = high / wanted - low / wanted, power = std::pow(10.0, std::floor(std::log10(raw)));
  const double lead = raw / power;
  t.step = (lead <= 1.0001 ? 1 : lead <= 2.0001 ? 2 : lead <= 5.0001 ? 5 : 10) * power;
  if (whole) t.step = std::max(t.step, 1.0);
  t.low = std::floor(low / t.step + 1e-6) * t.step;
  t.high = std::ceil(high / t.step - 1e-6) * t.step;
  t.decimals = int(std::clamp(-std::floor(std::log10(t.step) + 1e-6), 0.0, 9.0));
  return t;
}

inline std::string number(double v, int decimals) {
  char text[64];
  if (std::abs(v) >= 1e7) std::snprintf(text, sizeof text, "%.3g", v);
  else std::snprintf(text, sizeof text, "%.*f", decimals, v);
  return text[0] == '-' && std::string(text).find_first_not_of("-0.") == std::string::npos ? text + 1
                                                                                           : text;  // no -0.0
}

// Draws a panel into the rectangle at (left, top).
inline void draw_panel(Image& image, const Panel& panel, int left, int top, int width, int height) {
  double x_low = HUGE_VAL, x_high = -HUGE_VAL, y_low = HUGE_VAL, y_high = -HUGE_VAL;
  bool whole = true;
  const auto point = [](const Series& s, std::size_t i) {
    return std::pair(s.x.empty() ? double(i) + 1 : s.x[i], s.y[i]);
  };
  const auto finite = [](const std::pair<double, double>& p) {
    return std::abs(p.first) < 1e300 && std::abs(p.second) < 1e300;
  };
  for (const Series& s : panel.series) {
    if (!s.x.empty() && s.x.size() != s.y.size())
      fail<ValueError>("plot::curves: series \"", s.name, "\" has ", s.x.size(), " x for ", s.y.size(), " y");
    for (std::size_t i = 0; i < s.y.size(); ++i) {
      const auto p = point(s, i);
      if (!finite(p)) continue;
      whole = whole && p.first == std::floor(p.first);
      x_low = std::min(x_low, p.first), x_high = std::max(x_high, p.first);
      y_low = std::min(y_low, p.second), y_high = std::max(y_high, p.second);
    }
  }
  const Ticks ty = ticks(y_low, y_high, std::max(2, height / 80), false);
  Ticks tx = ticks(x_low, x_high, std::max(2, width / 110), whole);
  double margin = 0;
  for (double v = ty.low; v < ty.high + ty.step / 2; v += ty.step)
    margin = std::max(margin, Image::text_width(number(v, ty.decimals), 1.8));
  const int x0 = left + 36 + int(margin), x1 = left + width - 32, y0 = top + 92, y1 = top + height - 76;
  if (x_low < x_high) tx.low = x_low, tx.high = x_high;  // curves span the whole width
  const auto px = [&](double x) { return x0 + (x - tx.low) / (tx.high - tx.low) * (x1 - x0); };
  const auto py = [&](double y) { return y1 - (y - ty.low) / (ty.high - ty.low) * (y1 - y0); };

  for (int i = 0; i <= 1000; ++i) {
    const double v = ty.low + i * ty.step;
    if (v > ty.high + ty.step / 2) break;
    const int y = int(std::lround(py(v)));
    image.fill_rect(x0, y, x1 - x0, 1, grid_color);
    const std::string label = number(v, ty.decimals);
    image.text(x0 - 12 - Image::text_width(label, 1.8), y - 6, label, faint_ink, 1.8);
  }
  for (int i = 0; i <= 1000; ++i) {
    const double v = (std::ceil(tx.low / tx.step - 1e-6) + i) * tx.step;
    if (v > tx.high + tx.step * 1e-6) break;
    const int x = int(std::lround(px(v)));
    image.fill_rect(x, y1, 1, 6, faint_ink);
    const std::string label = number(v, tx.decimals);
    image.text(x - Image::text_width(label, 1.8) / 2, y1 + 14, label, faint_ink, 1.8);
  }
  image.fill_rect(x0, y1, x1 - x0, 1, faint_ink);
  image.text((x0 + x1 - Image::text_width(panel.x_label, 1.8)) / 2, y1 + 42, panel.x_label, faint_ink, 1.8);

  image.text(x0, top + 18, panel.title, ink, 2.5);
  double legend = x0;
  for (std::size_t k = 0; k < panel.series.size(); ++k) {
    const Series& s = panel.series[k];
    const Color color = series_colors[k % std::size(series_colors)];
    bool pen_down = false;
    double last_x = 0, last_y = 0, last_value = 0;
    for (std::size_t i = 0; i < s.y.size(); ++i) {
      const auto p = point(s, i);
      if (!finite(p)) {
        pen_down = false;
        continue;
      }
      const double x = px(p.first), y = py(p.second);
      image.line(pen_down ? last_x : x, pen_down ? last_y : y, x, y, color, s.y.size() > 150 ? 2 : 3);
      if (s.y.size() <= 40) image.line(x, y, x, y, color, 8);  // few points: show them
      last_x = x, last_y = y, last_value = p.second, pen_down = true;
    }
    image.line(legend + 2, top + 61, legend + 22, top + 61, color, 4);
    legend = image.text(legend + 32, top + 54, s.name, ink, 1.9) + 6;
    if (pen_down) legend = image.text(legend, top + 54, number(last_value, ty.decimals + 2), faint_ink, 1.9);
    legend += 26;
  }
}

// Learning curves: one panel for each kind of value, side by side; the legend tells every series' last value.
// Throws ValueError where there is no panel or a series' x and y differ in length.
inline Image curves(const std::vector<Panel>& panels, int panel_width = 720, int panel_height = 460) {
  if (panels.empty()) fail<ValueError>("plot::curves: no panel to draw");
  if (panel_width < 240 || panel_height < 240)
    fail<ValueError>("plot::curves: a panel of ", panel_width, " x ", panel_height,
                     " pixels is too small (at least 240 x 240)");
  Image image(int(panels.size()) * panel_width, panel_height);
  for (std::size_t i = 0; i < panels.size(); ++i)
    draw_panel(image, panels[i], int(i) * panel_width, 0, panel_width, panel_height);
  return image;
}

// A grey picture, row by row, and what to write below it: a first line in green or red, further ones in grey.
struct Picture {
  std::vector<std::uint8_t> pixels;  // height * width
  int width = 0, height = 0;
  std::string caption;
  bool right = true;
};

// A grid of pictures. Throws ValueError for a picture whose pixels are not width x height.
inline Image gallery(const std::vector<Picture>& pictures, int columns = 8, const std::string& title = "") {
  if (columns < 1) fail<ValueError>("plot::gallery: ", columns, " columns (at least 1)");
  constexpr double scale = 1.7;
  constexpr int gap = 20, line_height = 19, edge = 30;
  int widest = 1, tile_height = 1, lines = 1;
  double cell = 0;
  std::vector<std::vector<std::string>> captions;
  for (const Picture& p : pictures) {
    if (p.width < 1 || p.height < 1 || p.pixels.size() != std::size_t(p.width) * std::size_t(p.height))
      fail<ValueError>("plot::gallery: picture \"", p.caption, "\" is ", p.width, " x ", p.height, " but has ",
                       p.pixels.size(), " pixels");
    widest = std::max({widest, p.width, p.height});
    captions.emplace_back(1);
    for (const char c : p.caption)
      if (c == '\n') captions.back().emplace_back();
      else captions.back().back() += c;
    lines = std::max(lines, int(captions.back().size()));
    for (const std::string& line : captions.back()) cell = std::max(cell, Image::text_width(line, scale));
  }
  const int factor = std::max(1, 112 / widest);
  for (const Picture& p : pictures) {
    cell = std::max(cell, double(p.width * factor));
    tile_height = std::max(tile_height, p.height * factor);
  }
  const int n = int(pictures.size()), across = std::max(1, std::min(columns, n)), down = (n + across - 1) / across;
  const int cell_width = int(std::ceil(cell)) + gap, cell_height = tile_height + 12 + lines * line_height + gap;
  const int top = title.empty() ? edge : edge + 42;
  const int width = std::max(2 * edge - gap + across * cell_width, int(Image::text_width(title, 2.5)) + 2 * edge);
  Image image(width, std::max(top + down * cell_height + edge - gap, top + 1));
  image.text(edge, edge - 6, title, ink, 2.5);
  for (int k = 0; k < n; ++k) {
    const Picture& p = pictures[std::size_t(k)];
    const int x = edge + k % across * cell_width, y = top + k / across * cell_height;
    const int w = p.width * factor, h = p.height * factor, dx = (cell_width - gap - w) / 2;
    const Color color = p.right ? right_color : wrong_color;
    image.blit(x + dx, y, p.pixels.data(), p.width, p.height, factor);
    image.fill_rect(x + dx, y + h, w, 3, color);
    for (std::size_t i = 0; i < captions[std::size_t(k)].size(); ++i) {
      const std::string& line = captions[std::size_t(k)][i];
      image.text(x + (cell_width - gap - Image::text_width(line, scale)) / 2,
                 y + tile_height + 11 + int(i) * line_height, line, i == 0 ? color : faint_ink, scale);
    }
  }
  return image;
}

// One picture below the other, on white.
inline Image stack(const Image& above, const Image& below) {
  Image image(std::max(above.width(), below.width()), above.height() + below.height());
  image.draw((image.width() - above.width()) / 2, 0, above);
  image.draw((image.width() - below.width()) / 2, above.height(), below);
  return image;
}

}  // namespace plot
}  // namespace sinter
