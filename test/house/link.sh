#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two translation units that include sinter/sinter.hpp link and share tensors: with one compiler, with g++ and clang++, and
# compiled for different instruction sets (in both orders, since the linker keeps the first body that it meets).
set -u
cd "$(dirname "$0")"
root=../..
[ -f $root/include/sinter/sinter.hpp ] || { echo "skipped: include/sinter/sinter.hpp does not exist yet"; exit 77; }
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
flags="-std=c++17 -O1 -I$root/include"
failures=0

object() {  # NAME SOURCE COMPILER FLAG...
  "${@:3}" $flags -c "link/$2.cpp" -o "$out/$1.o" || { echo "FAILED to compile $2.cpp: ${*:3}"; failures=$((failures + 1)); }
}
pair() {  # ONE TWO NEEDED_CPU_FLAG LINKER...
  local what="$1 + $2"
  [ -f "$out/$1.o" ] && [ -f "$out/$2.o" ] || return
  if ! "${@:4}" "$out/$1.o" "$out/$2.o" -o "$out/program"; then echo "FAILED to link $what"
  elif [ -n "$3" ] && ! grep -qw "$3" /proc/cpuinfo; then echo "linked, not run (no $3): $what"; return
  elif ! "$out/program"; then echo "FAILED to run $what"
  else echo "ok: $what"; return
  fi
  failures=$((failures + 1))
}

object one_gcc one g++ -fopenmp
object two_gcc two g++ -fopenmp
pair one_gcc two_gcc "" g++ -fopenmp

if [ "$(uname -m)" = x86_64 ]; then
  object one_avx2 one g++ -fopenmp -mavx2 -mfma
  object two_avx2 two g++ -fopenmp -mavx2 -mfma
  object two_avx512 two g++ -fopenmp -mavx2 -mfma -mavx512f -mavx512dq -mavx512bw -mavx512vl
  pair one_gcc two_avx2 avx2 g++ -fopenmp
  pair one_avx2 two_gcc avx2 g++ -fopenmp
  pair one_gcc two_avx512 avx512bw g++ -fopenmp
  pair one_avx2 two_avx512 avx512bw g++ -fopenmp
fi

if command -v clang++ >/dev/null; then
  # libomp serves GCC's objects, too; without it, both do without threads.
  openmp=-fopenmp
  echo 'int main() {}' | clang++ -fopenmp -x c++ - -o "$out/probe" 2>/dev/null || openmp=
  object one_clang one clang++ $openmp
  object two_clang two clang++ $openmp
  [ -n "$openmp" ] || { object one_gcc one g++; object two_gcc two g++; }
  pair one_gcc two_clang "" clang++ $openmp
  pair one_clang two_gcc "" clang++ $openmp
else
  echo "not tested: clang++ is not here"
fi
[ $failures = 0 ]
