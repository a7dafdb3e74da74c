# SPDX-License-Identifier: MIT
"""compare.json -> a bar chart of the ratios. Runs in the environment that has matplotlib: chart.py compare.json compare.png"""
import json, sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt

TITLES = {"eager": "PyTorch eager", "compile": "torch.compile", "jax": "JAX jit", "libtorch": "libtorch C++"}
COLORS = {"eager": "#d95f02", "compile": "#7570b3", "jax": "#1b9e77", "libtorch": "#e6ab02"}

with open(sys.argv[1]) as file:
    rows = json.load(file)["workloads"]
rows = [row for row in rows if "ms" in row.get("sinter", {})]
peers = [p for p in TITLES if any("ms" in row.get(p, {}) for row in rows)]
width = 0.8 / max(1, len(peers))
counts = sorted({row["threads"] for row in rows})
figure, panels = plt.subplots(len(counts), 1, figsize=(12, 4.5 * len(counts)), squeeze=False)
for panel, t in zip(panels[:, 0], counts):
    mine = [row for row in rows if row["threads"] == t]
    for i, peer in enumerate(peers):
        at = [k for k, row in enumerate(mine) if "ms" in row.get(peer, {})]
        panel.bar([k + (i - (len(peers) - 1) / 2) * width for k in at], [mine[k][peer]["ms"] / mine[k]["sinter"]["ms"] - 1 for k in at], width, bottom=1,
                  label=TITLES[peer], color=COLORS[peer])
    panel.axhline(1, color="black", linewidth=0.8)
    panel.set_yscale("log")
    panel.set_xticks(range(len(mine)), [row["workload"] for row in mine], rotation=40, ha="right", fontsize=8)
    panel.set_ylabel("peer's time / Sinter's")
    panel.set_title(f"{t} thread{'s' if t > 1 else ''}: above 1, Sinter is faster")
    panel.legend(fontsize=8)
figure.tight_layout()
figure.savefig(sys.argv[2], dpi=130)
