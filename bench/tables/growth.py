# SPDX-License-Identifier: MIT
"""gpt_char_step at twice and four times the batch and the width: whether the time grows as the arithmetic does."""
from .workloads import TITLES, number

LINE = 0.85  # of the first row's GFLOP/s, at least


def markdown(rows):
    """rows of workloads.measure, of which Sinter's have the GFLOP of a step."""
    peers = [p for p in TITLES if any(p in row for row in rows)]
    lines = ["ms, GFLOP/s by a step's matrix products (`gpt_gflop` in `bench/workloads/gpt.cpp`), and in bold the share of the first row's.", "",
             "| threads | workload | GFLOP | " + " | ".join(TITLES[p] for p in peers) + " | Sinter is on the line |", "| --- |" + " --- |" * (len(peers) + 3)]
    for row in rows:
        first = next(r for r in rows if r["threads"] == row["threads"])
        gflop, cells, line = row.get("sinter", {}).get("gflop"), [], ""
        for p in peers:
            ms, base = row.get(p, {}).get("ms"), first.get(p, {}).get("ms")
            share = base / first["sinter"]["gflop"] * gflop / ms if ms and base and gflop and "gflop" in first["sinter"] else None
            cells.append("missing" if not ms else number(ms) + (f", {gflop / ms * 1e3:.1f} (**{share:.2f}**)" if share else ""))
            if p == "sinter":
                line = "" if share is None or row is first else "yes" if share >= LINE else "no"
        lines.append(f"| {row['threads']} | `{row['workload']}` | {gflop or 0:.0f} | " + " | ".join(cells) + f" | {line} |")
    return lines + [""]
