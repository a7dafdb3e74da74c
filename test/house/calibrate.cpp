// SPDX-License-Identifier: MIT
// A program without Sinter whose compile time says how fast this machine is at the moment: see compile_budget.py.
#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <vector>
int main(int argc, char** argv) {
  std::map<std::string, std::vector<int>> m;
  for (int i = 1; i < argc; ++i) m[argv[i]].push_back(i);
  std::regex r("a(b|c)*d");
  for (auto& [k, v] : m) { std::sort(v.begin(), v.end()); std::cout << k << std::regex_match(k, r) << v.size() << '\n'; }
}
