#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# consume.sh add_subdirectory|fetch_content|find_package: builds and runs a project that uses Sinter in this way.
set -eu
way=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT

case $way in
  add_subdirectory) set -- -DSINTER_CHECKOUT="$root" ;;
  fetch_content) set -- -DFETCHCONTENT_SOURCE_DIR_SINTER="$root" ;;
  find_package)
    cmake -S "$root" -B "$out/sinter" -DSINTER_BUILD_{TESTS,SAMPLES,BENCH}=OFF >"$out/log" || { cat "$out/log"; exit 1; }
    cmake --install "$out/sinter" --prefix "$out/prefix" >/dev/null
    mv "$out/prefix" "$out/moved"  # the package says nothing of where it was installed first
    set -- -DCMAKE_PREFIX_PATH="$out/moved" ;;
esac
cmake -S "$here/consume/$way" -B "$out/build" "$@" >"$out/log" || { cat "$out/log"; exit 1; }
cmake --build "$out/build" >"$out/log" 2>&1 || { cat "$out/log"; exit 1; }
"$out/build/consumer"
# A project that uses Sinter gets none of its tests, samples and benchmarks.
if find "$out/build" -name 'test_*' -o -name 'catch_main*' | grep -q .; then echo "built Sinter's tests, too"; exit 1; fi
