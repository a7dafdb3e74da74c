#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Sinter against PyTorch on a GPU: large single statements, GPT-2's training step, the workloads of bench/workloads. Needs nvcc, CMake,
# ninja, and a python3 with PyTorch and numpy; no network. Writes build-cuda/gpu.md and gpu.json after each step; what fails or
# takes too long is reported and left out.
#   bash bench/gpu.sh [--prebuilt DIR] [--only chains,rows,optim,products,gpt2,workloads] [--seconds N] [--out DIR]
#                     [--peers sinter,torch] [--modes eager,compile] [--workload-modes eager] [--batch 16]
set -u
cd "$(dirname "$0")/.."
programs="bench_gpu_large bench_gpt2 sinter_bench_cuda"
bin=build-cuda/gpu prebuilt=0 out=build-cuda rest=()
while [ $# -gt 0 ]; do
  case $1 in
    --prebuilt) prebuilt=1 bin=$2; shift ;;
    --out) out=$2; shift ;;
    --only|--seconds|--peers|--modes|--workload-modes|--batch) rest+=("$1" "$2"); shift ;;
    *) sed -n 's/^#   //p' "$0" >&2; exit 2 ;;
  esac
  shift
done
mkdir -p "$out"
if [ $prebuilt = 0 ]; then
  cmake --preset cuda -G Ninja -DCMAKE_CUDA_ARCHITECTURES="${SINTER_GPU_ARCH:-native}" -DSINTER_BUILD_BENCH=ON -DSINTER_BUILD_TESTS=OFF \
    -DSINTER_BUILD_SAMPLES=OFF >"$out/gpu-build.log" 2>&1
  ninja -C build-cuda -k 0 $programs >>"$out/gpu-build.log" 2>&1 || { echo "not all was built:"; grep -E "error|FAILED" "$out/gpu-build.log" | head -20; }
fi
for archive in "$bin"/*.xz; do [ -e "$archive" ] && xz -dkf "$archive"; done
for p in $programs; do [ -e "$bin/$p" ] && chmod +x "$bin/$p"; done
exec python3 bench/gpu/run.py --bin "$bin" --out "$out" "${rest[@]}"
