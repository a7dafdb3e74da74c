#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every header compiles alone and without a warning, and begins with its licence and #pragma once."""
from house import *

# .cuh is for nvcc, or for g++ on the tests' fake devices. Those that all.cuh lists are files of their own in test_cuda.
ON_FAKE_DEVICES = ["-DSINTER_CUDA_SHIM", "-Wno-unknown-pragmas", "-I", str(ROOT / "test/cuda/shim")]
COMPILED = {target for _, _, target in includes(ROOT / "kernels/sinter/cuda/all.cuh")}
COMPILED |= {"sinter/cuda/all.cuh", "sinter/cuda/cublaslt.cuh"}  # which is for CUDA's own headers, not for fake ones


def check(path):
    problems = []
    text = path.read_text()
    if not text.startswith("// SPDX-License-Identifier: MIT\n"):
        problems.append(f"{name(path)}: the first line is to be // SPDX-License-Identifier: MIT")
    if not re.search(r"^#pragma once$", text, re.M):
        problems.append(f"{name(path)}: has no #pragma once")
    if name(path) not in COMPILED:
        flags = ["-Werror", "-DSINTER_WITH_ZLIB", *(ON_FAKE_DEVICES if path.suffix == ".cuh" else [])]
        status, said = compile_text(f'#include "{name(path)}"\n', *flags)
        if status:
            problems.append(f"{name(path)} does not compile alone:\n" + "\n".join(said.split("\n")[:12]))
    return problems


finish(sum(each(check, headers()), []), f"{len(headers())} headers compile alone")
