#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One-page programs compile in so many CPU seconds and so much memory, at -O2. The seconds are those of the machine on which
calibrate.cpp takes REFERENCE; where that takes longer now, the machine is slower or busy, and the budget grows alike."""
from house import *
import tempfile

BUDGETS = [("budget_net.cpp", 6.0, 700), ("budget_tensor.cpp", 3.0, 700)]  # seconds, MB
REFERENCE = 2.9  # as CI's own machine reads it
RUNS = 5  # the best counts: other work on the machine only ever adds


def compile_once(program):
    """CPU seconds, MB and, where it failed, what the compiler said."""
    with tempfile.NamedTemporaryFile(suffix=".o") as out:
        flags = [f for f in FLAGS if not f.startswith("-W")]
        command = [CXX, *flags, "-O2", "-c", str(ROOT / "test/house" / program), "-o", out.name]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = status
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said if status else ""


need_sinter()
problems, report = [], []
for program, seconds, megabytes in BUDGETS:
    best, memory, pace, failed = float("inf"), 0, float("inf"), ""
    for run in range(RUNS):
        pace = min(pace, compile_once("calibrate.cpp")[0])
        took, used, failed = compile_once(program)
        best, memory = min(best, took), max(memory, used)
        allowed = seconds * max(1, pace / REFERENCE)
        if failed or best <= allowed:
            break
    if failed:
        problems.append(f"{program} does not compile:\n" + "\n".join(failed.split("\n")[:12]))
        continue
    report.append(f"{program}: {best:.1f} s of {allowed:.1f}, {memory:.0f} MB of {megabytes}; calibration {pace:.1f} s")
    if best > allowed:
        problems.append(f"{program} takes {best:.2f} s to compile, at most {allowed:.2f} (the best of {RUNS})")
    if memory > megabytes:
        problems.append(f"{program} takes {memory:.0f} MB to compile, at most {megabytes}")
print("\n".join(report))
finish(problems, "within the budget")
