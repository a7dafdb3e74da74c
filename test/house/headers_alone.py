#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every header compiles alone and without a warning, and begins with its licence and #pragma once."""
from house import *


def check(path):
    problems = []
    text = path.read_text()
    if not text.startswith("// SPDX-License-Identifier: MIT\n"):
        problems.append(f"{name(path)}: the first line is to be // SPDX-License-Identifier: MIT")
    if not re.search(r"^#pragma once$", text, re.M):
        problems.append(f"{name(path)}: has no #pragma once")
    if path.suffix == ".hpp":  # .cuh is nvcc's
        flags = ["-Werror", "-DSINTER_WITH_ZLIB"]
        status, said = compile_text(f'#include "{name(path)}"\n', *flags)
        if status:
            problems.append(f"{name(path)} does not compile alone:\n" + "\n".join(said.split("\n")[:12]))
    return problems


finish(sum(each(check, headers()), []), f"{len(headers())} headers compile alone")
