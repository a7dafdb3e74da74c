// SPDX-License-Identifier: MIT
// sinter_bench: runs workloads and prints what they took. Memory is the whole process's, so that it means something only
// where one workload is run (bench/compare.sh starts a process for each).
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "bench.hpp"

using namespace bench;

namespace {

[[noreturn]] void usage(const std::string& problem) {
  std::fprintf(stderr, "sinter_bench: %s\nusage: sinter_bench [--list] [--workload NAME[,NAME...]] [--threads N] [--device cpu|cuda] [--json] [--growth]\n",
               problem.c_str());
  std::exit(2);
}

// What was thrown, as a line of text for JSON.
std::string told(std::string what) {
  for (char& c : what)
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' ') c = ' ';
  return what;
}
// A number in JSON, which has no word for those that are not finite.
std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", v);
  return std::isfinite(v) ? text : "null";
}

// base: milliseconds for a GFLOP in the first workload that says how many it has, 0 before that one.
void report(const Workload& w, bool json, double& base) {
  const char* peer = "sinter " SINTER_VERSION;
  const auto missing = [&](const std::string& why) {
    if (json) std::printf("{\"workload\": \"%s\", \"peer\": \"%s\", \"missing\": \"%s\"}\n", w.name.c_str(), peer, told(why).c_str());
    else std::printf("%-20s not available: %s\n", w.name.c_str(), why.c_str());
  };
  if (!w.run) return missing(w.why);
  const double idle = peak_mb();
  Run run;
  if (device.is_cpu()) w.run(run);
  else
    try {
      w.run(run);
    } catch (const std::exception& e) {
      return missing(e.what());
    }
  if (!json) {
    std::printf("%-20s %12.6g ms %8.0f MB", w.name.c_str(), run.ms, peak_mb());
    if (run.graph_ms > 0) std::printf(" %12.6g ms as a graph", run.graph_ms);
    else if (!run.no_graph.empty()) std::printf(" no graph: %s", run.no_graph.c_str());
    if (w.gflop > 0) {
      std::printf(" %8.1f GFLOP %6.1f GFLOP/s", w.gflop, w.gflop / run.ms * 1e3);
      if (base > 0) std::printf(", %.2f of the first", base * w.gflop / run.ms);
      else base = run.ms / w.gflop;
    }
    std::printf("\n");
    return;
  }
  std::printf("{\"workload\": \"%s\", \"peer\": \"%s\", \"threads\": %d, \"ms\": %.6g, \"peak_mb\": %.1f, \"idle_mb\": %.1f, \"check\": [",
              w.name.c_str(), peer, get_num_threads(), run.ms, peak_mb(), idle);
  for (std::size_t i = 0; i < run.checks.size(); ++i) std::printf("%s%s", i ? ", " : "", number(run.checks[i]).c_str());
  std::printf("]");
  if (w.gflop > 0) std::printf(", \"gflop\": %.6g", w.gflop);
  if (run.graph_ms > 0) std::printf(", \"graph\": %.6g", run.graph_ms);
  else if (!run.no_graph.empty()) std::printf(", \"no_graph\": \"%s\"", told(run.no_graph).c_str());
  std::printf("}\n");
}

}  // namespace

int main(int argc, char** argv) {
  Workloads all, growth;
  for (auto add : {add_chains, add_rows, add_products, add_small, add_nets, add_resnet, add_lstm, add_transformers, add_gpt}) add(all);
  add_growth(growth);
  bool json = false;
  std::string names;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    const auto value = [&] { return i + 1 < argc ? argv[++i] : (usage(a + " takes a value"), ""); };
    if (a == "--json") json = true;
    else if (a == "--growth") all = growth, batches = 5;
    else if (a == "--workload") names = value();
    else if (a == "--threads") {
      const int n = std::atoi(value());
      if (n < 1) usage("--threads takes a number above 0");
      set_num_threads(n);
    } else if (a == "--device") {
      const std::string kind = value();
      if (kind != "cpu" && kind != "cuda") usage("--device takes cpu or cuda");
      if (kind == "cpu") continue;
      if (!cuda::is_available()) usage("no CUDA device is here, or this is the program without CUDA's kernels: take sinter_bench_cuda");
      device = Device::cuda();
      finish = [] { cuda::synchronize(device); };
    } else if (a == "--list") {
      for (const Workload& w : all) std::printf("%s%s%s\n", w.name.c_str(), w.run ? "" : "  not available: ", w.why.c_str());
      return 0;
    } else usage("unknown option " + a);
  }
  Workloads chosen = names.empty() ? all : Workloads();
  std::stringstream list(names);
  for (std::string name; std::getline(list, name, ',');) {
    const auto at = std::find_if(all.begin(), all.end(), [&](const Workload& w) { return w.name == name; });
    if (at == all.end()) usage("no workload is named " + name);
    chosen.push_back(*at);
  }
  double base = 0;
  for (const Workload& w : chosen) {
    report(w, json, base);
    std::fflush(stdout);
  }
}
