#!/usr/bin/env bash
# Builds and runs the tests; installs what is missing where it may.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -e /usr/include/catch2/catch.hpp ] || { apt-get update -qq && apt-get install -y -qq catch2 g++ libeigen3-dev; }
mkdir -p build
printf '#define CATCH_CONFIG_MAIN\n#include <catch2/catch.hpp>\n' > build/main.cpp
g++ -std=c++17 -O1 -Wall -Wextra -Werror -Iinclude build/main.cpp test/core/*_test.cpp -o build/tests
build/tests
