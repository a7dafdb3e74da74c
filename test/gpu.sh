#!/usr/bin/env bash
# The tests of CUDA on a real device: all kernels and layers against the CPU, twice for the same bits; then some of them under
# compute-sanitizer. Needs nvcc, CMake and Catch2, and no network. The last line is the totals.
#   bash test/gpu.sh [--no-sanitizer] [CATCH2 ARGUMENT...]
set -uo pipefail
cd "$(dirname "$0")/.."
sanitizer=1
[ "${1:-}" = --no-sanitizer ] && { sanitizer=0; shift; }
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
generator=(); command -v ninja >/dev/null && generator=(-G Ninja)
cmake --preset cuda "${generator[@]}" -DCMAKE_CUDA_ARCHITECTURES="${SINTER_GPU_ARCH:-native}" -DSINTER_BUILD_SAMPLES=OFF >build-cuda.log 2>&1 \
  || { cat build-cuda.log; echo "0 passed, 1 failed"; exit 1; }
built=0
cmake --build build-cuda --target test_gpu -j "$(nproc)" >>build-cuda.log 2>&1 || built=1
[ $built = 0 ] || { grep -E "error|FAILED" build-cuda.log | head -40; echo "the build failed: 0 passed, 1 failed"; exit 1; }
build-cuda/test/test_gpu "$@"
failed=$?
if [ $sanitizer = 1 ] && command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck; do
    compute-sanitizer --tool $tool --error-exitcode 9 build-cuda/test/test_gpu "cuda: gelu_tanh*" "cuda: normalisation" >/tmp/sanitizer.$$ 2>&1 \
      && echo "compute-sanitizer $tool: clean" || { failed=1; tail -20 /tmp/sanitizer.$$; echo "compute-sanitizer $tool: FAILED"; }
  done
fi
[ $failed = 0 ] && echo "gpu tests passed" || { echo "gpu tests FAILED"; exit 1; }
