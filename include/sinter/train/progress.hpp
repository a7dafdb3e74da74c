// SPDX-License-Identifier: MIT
// A progress bar on stderr: redrawn in place on a terminal, plain lines now and then where the output goes to a file.
#pragma once

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace sinter {

struct ProgressOptions {
  std::string unit = "images";  // what is counted, for the rate
  std::FILE* to = stderr;
  int columns = -1;             // of the terminal; 0: no terminal; -1: find out
  double redraw_seconds = 0.1;  // on a terminal
  double line_seconds = 10;     // elsewhere
  double (*now)() = [] {        // in seconds
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
};

//   Progress bar("epoch 1/3", 60000);
//   for (...) bar.update(seen, {{"loss", loss}, {"accuracy", accuracy}});
// draws  epoch 1/3 [=======>        ]  48%  loss 0.4123  accuracy 0.8710  4400 images/s  0:07 left
// Trouble with writing is ignored, as a training must not end because its terminal did.
class Progress {
 public:
  using Values = std::initializer_list<std::pair<const char*, double>>;

  Progress(std::string label, std::int64_t total, ProgressOptions options = {})
      : label_(std::move(label)), total_(total), options_(std::move(options)), start_(options_.now()) {
    drawn_ = start_;
    if (options_.columns < 0) options_.columns = terminal_columns(options_.to);
    if (options_.columns > 0) draw();
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { finish(); }

  // `done` of `total` so far, and what to show beside it.
  void update(std::int64_t done, Values values = {}) {
    if (finished_) return;
    done_ = done;
    values_.assign(values.begin(), values.end());
    const double now = options_.now();
    const double pause = options_.columns > 0 ? options_.redraw_seconds : options_.line_seconds;
    if (now - drawn_ < pause) return;
    drawn_ = now;
    draw();
  }

  // Draws the last state, with the time it took, and ends the line. Only the first call counts; the destructor's is
  // one.
  void finish() {
    if (finished_) return;
    elapsed_ = seconds();
    finished_ = true;
    draw();
    if (options_.columns > 0) std::fputc('\n', options_.to);
    std::fflush(options_.to);
  }

  double seconds() const { return finished_ ? elapsed_ : std::max(0.0, options_.now() - start_); }
  // Units per second so far; 0 while no time has passed.
  double rate() const { return seconds() > 0 ? double(done_) / seconds() : 0; }

 private:
  static int terminal_columns(std::FILE* file) {
    const int fd = ::fileno(file);
    if (fd < 0 || !::isatty(fd)) return 0;
    winsize size{};
    return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  }
  template <class... A>
  static std::string format(const char* pattern, A... a) {
    char text[64];
    std::snprintf(text, sizeof text, pattern, a...);
    return text;
  }
  static std::string clock(double s) {
    const auto whole = std::int64_t(std::min(s, 1e9) + 0.5);
    if (whole >= 3600) return format("%d:%02d:%02d", int(whole / 3600), int(whole / 60 % 60), int(whole % 60));
    return format("%d:%02d", int(whole / 60), int(whole % 60));
  }

  void draw() {
    const bool terminal = options_.columns > 0;
    const double part = total_ > 0 ? std::clamp(double(done_) / double(total_), 0.0, 1.0) : 0;
    std::string line = label_;
    if (total_ > 0) {
      if (terminal) {
        constexpr int width = 24;
        const int full = int(part * width);
        line += " [" + std::string(std::size_t(full), '=');
        if (full < width) line += '>' + std::string(std::size_t(width - full - 1), ' ');
        line += ']';
      }
      line += format(" %3d%%", int(part * 100));
    } else {
      line += ' ' + std::to_string(done_);
    }
    for (const auto& [name, value] : values_) {
      const double size = std::abs(value);
      line += "  " + name + ' ' + format(size != 0 && (size < 1e-3 || size >= 1e5) ? "%.3g" : "%.4f", value);
    }
    const double per_second = rate();
    if (per_second > 0) {
      line += "  " + format(per_second < 10 ? "%.2f " : "%.0f ", per_second) + options_.unit + "/s";
      if (finished_) line += "  " + format("%.1f s", elapsed_);
      else if (total_ > done_) line += "  " + clock(double(total_ - done_) / per_second) + " left";
    }
    if (terminal) {
      if (line.size() >= std::size_t(options_.columns)) line.resize(std::size_t(options_.columns - 1));  // never wraps
      line = "\r" + line + "\x1b[K";
    } else {
      line += '\n';
    }
    std::fwrite(line.data(), 1, line.size(), options_.to);
    std::fflush(options_.to);
  }

  std::string label_;
  std::int64_t total_, done_ = 0;
  ProgressOptions options_;
  double start_, drawn_ = 0, elapsed_ = 0;
  std::vector<std::pair<std::string, double>> values_;
  bool finished_ = false;
};

}  // namespace sinter
