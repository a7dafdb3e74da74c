# SPDX-License-Identifier: MIT
"""The second table: matrix products as a share of the peak of fused multiply-adds, measured in turn in the same process."""
import sys
from .workloads import disagreement

NAMES = {"gemm_sinter": "Sinter", "gemm_openblas": "OpenBLAS", "gemm_onednn": "oneDNN", "gemm_eigen": "Eigen"}


def measure(programs, threads, run_lines):
    """programs: name -> executable or None; run_lines(command, threads) -> the JSON lines of a program and what went wrong."""
    rows, problems = {}, []
    for t in threads:
        for name, program in programs.items():
            if program is None:
                continue
            lines, wrong = run_lines([program, str(t)], t)
            problems += [f"{name}: {wrong}"] if wrong else []
            for line in lines:
                row = rows.setdefault((t, line["m"], line["n"], line["k"]), {"threads": t, **{d: line[d] for d in "mnk"}})
                row[name] = {key: line[key] for key in ("gflops", "peak_gflops", "check")}
            print(f"gemm: {name} at {t}", file=sys.stderr, flush=True)
    for row in rows.values():
        have = [n for n in NAMES if n in row]
        for other in have[1:]:
            wrong = disagreement("gemm", row[have[0]]["check"], row[other]["check"])
            if wrong:
                problems.append(f"gemm {row['m']}x{row['n']}x{row['k']} at {row['threads']}: {have[0]} differs from {other}: {wrong}")
    return list(rows.values()), problems


def markdown(rows, missing):
    libraries = [n for n in NAMES if any(n in row for row in rows)]
    lines = ["GFLOP/s, and the share of the peak that a loop of multiply-adds on registers reached in turn with it.", "",
             "| threads | m x n x k | peak | " + " | ".join(NAMES[n] for n in libraries) + " |", "| --- | --- | --- |" + " --- |" * len(libraries)]
    for row in rows:
        cells = [f"{row[n]['gflops']:.4g} ({100 * row[n]['gflops'] / row[n]['peak_gflops']:.0f} %)" if n in row else "" for n in libraries]
        peak = max(row[n]["peak_gflops"] for n in libraries if n in row)
        lines.append(f"| {row['threads']} | {row['m']} x {row['n']} x {row['k']} | {peak:.4g} | " + " | ".join(cells) + " |")
    return lines + [""] + ([f"Missing: {', '.join(missing)}.", ""] if missing else [])
