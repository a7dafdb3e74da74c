#!/usr/bin/env bash
# Builds and runs every test; installs what is missing where it may. The last line is the totals: test cases and scripts.
#   bash test/run.sh [--preset NAME] [CTEST ARGUMENT...]      presets: default debug asan-ubsan tsan sse2 avx2 avx512
set -uo pipefail
cd "$(dirname "$0")/.."
preset=default
[ "${1:-}" = --preset ] && { preset=$2; shift 2; }
build=build; [ "$preset" = default ] || build=build-$preset

missing=()
need() { "${@:2}" >/dev/null 2>&1 || missing+=("$1"); }
has() { echo "#include <$1>" | g++ -fsyntax-only -x c++ -; }
need g++ g++ --version
need make make --version
need cmake cmake --version
need python3 python3 --version
need catch2 has catch2/catch.hpp
need nlohmann-json3-dev has nlohmann/json.hpp
need zlib1g-dev has zlib.h
need ccache ccache --version
[ "$preset" = tsan ] && { need clang clang++ --version; need libomp-dev ls /usr/lib/llvm-*/lib/libarcher.so; }
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
      </dev/null >/dev/null || { echo "could not install ${missing[*]}"; exit 1; }
  elif [ "${missing[*]}" != ccache ]; then  # which only saves time
    echo "missing: please install ${missing[*]} (Debian: apt-get install ${missing[*]})"; exit 1
  fi
fi

# A build that fails leaves the tests that it did build; those run all the same, and the build counts as one failure.
built=0
keep_going=-k; [ "${CMAKE_GENERATOR:-}" = Ninja ] && keep_going=-k0
cmake --preset "$preset" && cmake --build "$build" -j 2 -- $keep_going || built=1
[ -f "$build/CTestTestfile.cmake" ] || { echo "0 passed, 1 failed"; exit 1; }
results=$build/Testing/results.xml
rm -f "$results"
whole=10000000  # bytes of output to keep, or the totals at their ends would be cut off
(cd "$build" && ctest -j 2 --output-on-failure --output-junit Testing/results.xml \
  --test-output-size-passed $whole --test-output-size-failed $whole "$@" </dev/null)
[ -f "$results" ] || { echo "0 passed, 1 failed"; exit 1; }
[ $built = 0 ] || echo "the build failed, see above"
python3 test/house/totals.py "$results" $built
