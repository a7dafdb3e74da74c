// SPDX-License-Identifier: MIT
#include "sinter/train/plot.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace sinter;

namespace {

int count(const Image& image, Color color) {
  return int(std::count(image.pixels().begin(), image.pixels().end(), color));
}

}  // namespace

TEST_CASE("plot: ticks are round and enclose the data") {
  const auto check = [](double low, double high, bool whole = false) {
    const plot::Ticks t = plot::ticks(low, high, 5, whole);
    INFO(low << " to " << high << ": " << t.low << " to " << t.high << " by " << t.step);
    CHECK(t.step > 0);
    CHECK(t.low <= low + t.step * 1e-5);
    CHECK(t.high >= high - t.step * 1e-5);
    CHECK((t.high - t.low) / t.step < 12);
    CHECK(t.high > t.low);
    return t;
  };
  CHECK(check(0.31, 2.29).step == 0.5);
  CHECK(check(0.81, 0.9123).decimals == 2);
  CHECK(check(1, 3, true).step == 1);
  CHECK(check(1, 30000).step == 10000);
  check(-5, 5);
  check(3, 3);
  check(0, 0);
  check(7, 7, true);
  check(-1e-9, 1e-9);
  check(1e20, 1e20);
  check(-1e299, 1e299);
  CHECK(plot::ticks(HUGE_VAL, -HUGE_VAL, 5, true).high >= 1);  // no data
  CHECK(plot::number(-0.0001, 2) == "0.00");
  CHECK(plot::number(-0.5, 1) == "-0.5");
  CHECK(plot::number(1e20, 0) == "1e+20");
}

TEST_CASE("plot: every series is drawn in its colour, in its place") {
  const Image image =
      plot::curves({{"Loss", "epoch", {{"train", {2, 1, 0.5}, {}}, {"test", {1.5, 0.75, 0.6}, {1, 2, 3}}}},
                    {"Accuracy", "epoch", {{"train", {0.5, 0.8, 0.9}, {}}}}});
  CHECK(image.width() == 1440);
  CHECK(image.height() == 460);
  CHECK(count(image, plot::series_colors[0]) > 2000);
  CHECK(count(image, plot::series_colors[1]) > 1000);
  CHECK(count(image, plot::series_colors[2]) == 0);
  CHECK(count(image, plot::ink) > 100);
  int left = 0, right = 0;
  for (int y = 0; y < image.height(); ++y)
    for (int x = 0; x < image.width(); ++x)
      if (image.at(x, y) == plot::series_colors[1]) ++(x < 720 ? left : right);
  CHECK(left > 1000);
  CHECK(right == 0);
}

TEST_CASE("plot: curves without data, with one point, constant or not finite are no trouble") {
  CHECK_NOTHROW(plot::curves({{"", "", {}}}));
  CHECK_NOTHROW(plot::curves({{"t", "x", {{"none", {}, {}}}}}));
  CHECK_NOTHROW(plot::curves({{"t", "x", {{"one", {3}, {}}}}}));
  CHECK_NOTHROW(plot::curves({{"t", "x", {{"nan", {NAN, INFINITY, -INFINITY}, {}}}}}));
  CHECK_NOTHROW(plot::curves({{"t", "x", {{"nan", {1, 2}, {NAN, 1}}}}}));
  CHECK_NOTHROW(plot::curves({{"t", "x", {{"flat", {2, 2, 2}, {5, 5, 5}}}}}));
  CHECK_NOTHROW(plot::curves({{"t", "x", {{"wide", {-1e299, 1e299, 1e308}, {1, 2, 3}}}}}));
  CHECK_NOTHROW(plot::curves({{"t", "x", std::vector<plot::Series>(20, {"many", {1, 2}, {}})}}));
  const Image gap = plot::curves({{"t", "x", {{"s", {1, NAN, 1}, {}}}}});
  const Image whole = plot::curves({{"t", "x", {{"s", {1, 1, 1}, {}}}}});
  CHECK(count(gap, plot::series_colors[0]) < count(whole, plot::series_colors[0]) / 4);
  CHECK_THROWS_AS(plot::curves({}), ValueError);
  CHECK_THROWS_AS(plot::curves({{"t", "x", {}}}, 10, 10), ValueError);
  CHECK_THROWS_WITH(plot::curves({{"t", "x", {{"loss", {1, 2}, {1}}}}}),
                    "plot::curves: series \"loss\" has 1 x for 2 y");
}

TEST_CASE("plot: a gallery shows every picture, right in green and wrong in red") {
  std::vector<plot::Picture> pictures;
  for (int i = 0; i < 5; ++i)
    pictures.push_back({std::vector<std::uint8_t>(64, std::uint8_t(i + 1)), 8, 8, "seven\nnot one", i != 3});
  const Image image = plot::gallery(pictures, 3, "Predictions");
  for (int i = 0; i < 5; ++i) {
    const auto v = std::uint8_t(i + 1);
    CHECK(count(image, {v, v, v}) == 112 * 112);
  }
  CHECK(count(image, plot::right_color) > 4 * 3 * 112);
  CHECK(count(image, plot::wrong_color) > 3 * 112);
  CHECK(count(image, plot::wrong_color) < count(image, plot::right_color) / 3);
  CHECK_NOTHROW(plot::gallery({}));
  CHECK_NOTHROW(plot::gallery(
      {{{0, 1, 2, 3, 4, 5}, 2, 3, "", true}, {std::vector<std::uint8_t>(400 * 3), 400, 3, "wide", false}}));
  CHECK_THROWS_AS(plot::gallery(pictures, 0), ValueError);
  CHECK_THROWS_WITH(plot::gallery({{{1, 2, 3}, 2, 2, "cat", true}}),
                    "plot::gallery: picture \"cat\" is 2 x 2 but has 3 pixels");
  const Image both = plot::stack(image, Image(10, 20, {1, 2, 3}));
  CHECK(both.height() == image.height() + 20);
  CHECK(count(both, {1, 2, 3}) == 200);
}
