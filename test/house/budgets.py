#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Headers stay small, and macros few."""
import statistics
from house import *

MEDIAN, MOST, MACROS = 150, 400, 3

# A macro is public when users may write it or define it. Internal are those that are undefined again, those whose name
# ends in an underscore, and the pieces of the ABI namespace's name, which only Sinter's own headers spell.
INTERNAL = re.compile(r"_$|^SINTER_ABI(_|$)")
# Macros because C++ has no word for them, but none that a user writes: marks of functions for nvcc, whether this compiler makes
# code for devices, how kernels start (on fake devices as well), and what the build found or the tests stand in for.
KERNELS = {"SINTER_HOST", "SINTER_HOST_DEVICE", "SINTER_DEVICE_KERNELS", "SINTER_DEVICE_CODE", "SINTER_LAUNCH",
           "SINTER_DYNAMIC_SHARED", "SINTER_CUDA_SHIM", "SINTER_NO_CUBLAS", "SINTER_CUDNN"}

problems, lines, public = [], {}, {}
for path in headers():
    text = code(path)
    lines[name(path)] = path.read_text().count("\n")
    undefined = set(re.findall(r"^\s*#\s*undef\s+(\w+)", text, re.M))
    defined = set(re.findall(r"^\s*#\s*define\s+(\w+)", text, re.M)) - undefined
    asked = {m for line in re.findall(r"^\s*#\s*(?:el)?if.*", text, re.M) for m in re.findall(r"\bSINTER_\w+", line)}
    for macro in defined:
        if not macro.startswith("SINTER_"):
            problems.append(f"{name(path)}: defines {macro}: begin it with SINTER_, or #undef it")
    for macro in defined | asked - undefined:
        if macro.startswith("SINTER_") and macro not in KERNELS and not INTERNAL.search(macro):
            public.setdefault(macro, name(path))

for spelled, count in lines.items():
    if count > MOST:
        problems.append(f"{spelled}: {count} lines, at most {MOST}")
median = statistics.median(lines.values())
if median > MEDIAN:
    problems.append(f"the median header has {median:g} lines, at most {MEDIAN}")
if len(public) > MACROS:
    problems.append(f"{len(public)} public macros, at most {MACROS}: " + ", ".join(f"{m} ({f})" for m, f in sorted(public.items())))
finish(problems, f"{len(lines)} headers, {sum(lines.values())} lines, median {median:g}, longest {max(lines.values())}; "
                 f"public macros: {', '.join(sorted(public))}")
