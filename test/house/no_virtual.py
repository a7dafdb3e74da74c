#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Nothing is dynamic where the compiler can know: no virtual functions."""
from house import *

problems = [f"{name(path)}:{i}: virtual" for path in headers()
            for i, line in enumerate(code(path).split("\n"), 1) if re.search(r"\bvirtual\b", line)]
finish(problems, "no virtual")
