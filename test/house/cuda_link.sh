#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A file of g++ and one of nvcc share tensors, linked in both orders. Where there is no device, all of it runs on the CPU.
set -u
cd "$(dirname "$0")"
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null) || { echo "skipped: nvcc is not here"; exit 77; }
libraries=$(dirname "$(dirname "$(readlink -f "$nvcc")")")/lib64
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
flags="-std=c++17 -O1 -I../../include -I../../kernels"
g++ $flags -Wall -Wextra -Werror -Wno-psabi -fopenmp -c link/cuda_one.cpp -o "$out/one.o" || { echo "FAILED to compile cuda_one.cpp"; exit 1; }
"$nvcc" $flags -arch=sm_90 -Xcompiler -Wno-psabi,-fopenmp -c link/cuda_two.cu -o "$out/two.o" || { echo "FAILED to compile cuda_two.cu"; exit 1; }
for order in "one two" "two one"; do
  set -- $order
  g++ -fopenmp "$out/$1.o" "$out/$2.o" -L"$libraries" -Wl,-rpath,"$libraries" -lcudart -lcublasLt -o "$out/program" || { echo "FAILED to link $order"; exit 1; }
  "$out/program" || { echo "FAILED to run $order"; exit 1; }
  echo "ok: $order"
done
