// SPDX-License-Identifier: MIT
// What the benchmarks of a GPU share: time by CUDA's events, and a line of JSON for each figure.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <sinter/sinter.hpp>
#include <string>
#include <vector>

namespace bench {

using namespace sinter;
inline const Device gpu = Device::cuda();

// Milliseconds of one call: the median of five runs of ten calls or more, after a warm-up.
template <class F>
double time_ms(F&& call, double run_ms = 20) {
  cuda::Event begin, end;
  const auto run = [&](int calls) {
    begin.record();
    for (int i = 0; i < calls; ++i) call();
    end.record();
    end.synchronize();
    return begin.elapsed_time(end) / calls;
  };
  run(2);
  const int calls = std::clamp(int(std::ceil(run_ms / std::max(run(2), 1e-3))), 10, 1000);
  std::vector<double> times;
  for (int i = 0; i < 5; ++i) times.push_back(run(calls));
  std::sort(times.begin(), times.end());
  return times[2];
}

// `amount` of one call in bytes, or in operations.
inline void report(const std::string& name, double ms, const char* unit, double amount) {
  std::printf("{\"name\": \"%s\", \"peer\": \"sinter\", \"ms\": %.6g, \"%s\": %.6g}\n", name.c_str(), ms, unit, amount);
  std::fflush(stdout);
}
inline void report_bytes(const std::string& name, double ms, double bytes) { report(name, ms, "gb_per_s", bytes / ms * 1e-6); }
inline void report_flops(const std::string& name, double ms, double flops) { report(name, ms, "tflops", flops / ms * 1e-9); }

struct Case {
  const char* section;
  std::string name;
  std::function<void(const std::string& name)> run;
};

// [--list] [--only SECTION[,SECTION...]] [NAME...]. What throws says so in its line; 3 where the device is lost with it.
inline int run_cases(const std::vector<Case>& cases, int argc, char** argv) {
  bool list = false;
  std::string only;
  std::vector<std::string> names;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--list")) list = true;
    else if (!std::strcmp(argv[i], "--only") && i + 1 < argc) only = std::string(",") + argv[++i] + ",";
    else names.push_back(argv[i]);
  }
  for (const Case& c : cases) {
    if (!only.empty() && only.find(std::string(",") + c.section + ",") == std::string::npos) continue;
    if (!names.empty() && std::find(names.begin(), names.end(), c.name) == names.end()) continue;
    if (list) {
      std::printf("%s\n", c.name.c_str());
      continue;
    }
    try {
      c.run(c.name);
    } catch (const std::exception& e) {
      std::string what = e.what();
      for (char& t : what)
        if (t == '"' || t == '\\' || static_cast<unsigned char>(t) < ' ') t = ' ';
      std::printf("{\"name\": \"%s\", \"peer\": \"sinter\", \"missing\": \"%s\"}\n", c.name.c_str(), what.c_str());
      std::fflush(stdout);
      try {
        cuda::synchronize();
      } catch (const std::exception&) {
        std::_Exit(3);  // what is left in destructors would fail in turn
      }
    }
    try {
      cuda::empty_cache();
    } catch (const std::exception&) {
      std::_Exit(3);
    }
  }
  return 0;
}

}  // namespace bench
