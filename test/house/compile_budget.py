#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One-page programs compile in so many CPU seconds and so much memory, at -O2."""
from house import *
import tempfile

BUDGETS = [("budget_net.cpp", 6.0, 700), ("budget_tensor.cpp", 3.0, 700)]  # seconds, MB
RUNS = 3  # the best counts: other work on the machine only ever adds

need_sinter()
problems, report = [], []
for program, seconds, megabytes in BUDGETS:
    best, memory = float("inf"), 0
    for run in range(RUNS):
        with tempfile.NamedTemporaryFile(suffix=".o") as out:
            flags = [f for f in FLAGS if not f.startswith("-W")]
            command = [CXX, *flags, "-O2", "-c", str(ROOT / "test/house" / program), "-o", out.name]
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            said = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = status
        if status:
            problems.append(f"{program} does not compile:\n" + "\n".join(said.split("\n")[:12]))
            break
        best, memory = min(best, usage.ru_utime + usage.ru_stime), max(memory, usage.ru_maxrss / 1024)
        if best <= seconds:
            break
    if status:
        continue
    report.append(f"{program}: {best:.1f} s of {seconds:g}, {memory:.0f} MB of {megabytes}")
    if best > seconds:
        problems.append(f"{program} takes {best:.2f} s to compile, at most {seconds:g} (the best of {RUNS})")
    if memory > megabytes:
        problems.append(f"{program} takes {memory:.0f} MB to compile, at most {megabytes}")
print("\n".join(report))
finish(problems, "within the budget")
