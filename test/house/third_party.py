#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Third-party headers stay in one or two files each, in the folders that may know them."""
from house import *

MOST_FILES = 2
ALLOWED = [  # what, as an #include spells it; where
    (r"Eigen/", r"(eval|cpu|functional)/"),
    (r"nlohmann/", r"(io|train)/"),
    (r"zlib\.h$", r"(data|io|train)/"),
    (r"(thrust|cub)/", r"cuda/"),
    (r"cuda_runtime\.h$", r"cuda/device\.cuh$"),
    (r"cublas\w*\.h$", r"cuda/"),
    (r"cudnn\w*\.h$", r"cuda/"),
    (r"(mpi|nccl)\.h$", r"dist/"),
]
# The compiler's own, the C library's and the operating system's.
PLATFORM = re.compile(r"[a-z_]+$|(sys|linux)/\w+\.h$|(math|string|omp|immintrin|arm_neon|unistd|fcntl|dirent|pthread|sched|termios|poll)\.h$")

problems, users = [], {}
for path in headers():
    for line, opening, target in includes(path):
        if target.startswith("sinter/") or PLATFORM.match(target):
            continue
        where = f"{name(path)}:{line}: includes {target}"
        rule = next(((what, folders) for what, folders in ALLOWED if re.match(what, target)), None)
        if not rule:
            problems.append(f"{where}: unknown: not the standard library, and not among the third parties that the design names")
            continue
        users.setdefault(rule[0], set()).add(name(path))
        if not re.match("sinter/" + rule[1], name(path)):
            problems.append(f"{where}: only {rule[1]} may")
for what, files in users.items():
    if len(files) > MOST_FILES:
        problems.append(f"{what} is included by {len(files)} files, at most {MOST_FILES}: {', '.join(sorted(files))}")
finish(problems, "; ".join(f"{what}: {', '.join(sorted(files))}" for what, files in users.items()) or "no third parties")
