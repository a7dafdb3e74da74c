// SPDX-License-Identifier: MIT
#include "sinter/train/progress.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>

using namespace sinter;

namespace {

double time_now = 0;

// Collects what is written.
struct Tape {
  Tape() { time_now = 100, file = ::open_memstream(&text, &size); }
  ~Tape() {
    std::fclose(file);
    std::free(text);
  }
  std::string read() const {
    std::fflush(file);
    return std::string(text, size);
  }
  ProgressOptions options(int columns) const {
    ProgressOptions o;
    o.to = file, o.columns = columns, o.now = [] { return time_now; };
    return o;
  }
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* file;
};

std::size_t count(const std::string& text, char c) { return std::size_t(std::count(text.begin(), text.end(), c)); }

}  // namespace

TEST_CASE("progress on a terminal redraws one line, at most ten times a second") {
  Tape tape;
  {
    Progress bar("epoch 1/3", 1000, tape.options(120));
    CHECK(tape.read() == "\repoch 1/3 [>                       ]   0%\x1b[K");
    for (int i = 1; i <= 1000; ++i) {
      time_now = 100 + i * 0.002;  // two seconds in all
      bar.update(i, {{"loss", 1.0 / i}, {"lr", 1e-5}});
    }
    const auto drawn = count(tape.read(), '\r');
    CHECK(drawn >= 19);
    CHECK(drawn <= 21);
    CHECK(count(tape.read(), '\n') == 0);
    CHECK_THAT(
        tape.read(),
        Catch::Contains("[============>           ]  50%  loss 0.0020  lr 1e-05  500 images/s  0:01 left\x1b[K"));
    CHECK(bar.rate() == Approx(500));
  }
  CHECK_THAT(tape.read(),
             Catch::EndsWith(
                 "\repoch 1/3 [========================] 100%  loss 0.0010  lr 1e-05  500 images/s  2.0 s\x1b[K\n"));
}

TEST_CASE("progress in a file is a line now and then, and one at the end") {
  Tape tape;
  {
    Progress bar("epoch 2/3", 100, tape.options(0));
    for (int i = 1; i <= 100; ++i) {
      time_now += 0.25;
      bar.update(i, {{"loss", 0.5}});
    }
    bar.finish();
    bar.finish();
    bar.update(5);
  }
  CHECK(tape.read() ==
        "epoch 2/3  40%  loss 0.5000  4.00 images/s  0:15 left\n"
        "epoch 2/3  80%  loss 0.5000  4.00 images/s  0:05 left\n"
        "epoch 2/3 100%  loss 0.5000  4.00 images/s  25.0 s\n");
}

TEST_CASE("progress copes with no time, no total and more than the total") {
  Tape tape;
  {
    Progress bar("a", 0, tape.options(0));
    bar.update(0, {{"x", NAN}});
    CHECK(bar.rate() == 0);
  }
  {
    Progress bar("b", -5, tape.options(0));
    bar.update(7);
  }
  {
    Progress bar("c", 10, tape.options(0));
    time_now += 1;
    bar.update(20);
  }
  { Progress bar("d", 10, tape.options(0)); }
  const std::string text = tape.read();
  CHECK_THAT(text, Catch::Contains("nan\nb 7\nc 100%  20 images/s  1.0 s\nd   0%\n"));
}

TEST_CASE("progress never exceeds a terminal's width") {
  Tape tape;
  {
    Progress bar("a label that is longer than the terminal", 10, tape.options(20));
    time_now += 1;
    bar.update(5);
  }
  CHECK(tape.read() == "\ra label that is lon\x1b[K\ra label that is lon\x1b[K\ra label that is lon\x1b[K\n");
}
