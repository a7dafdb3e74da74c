# SPDX-License-Identifier: MIT
"""The table of bench/gpu.sh. python3 bench/gpu/table.py gpu.json... merges files of several runs (the last figure counts) and prints it."""
import json, pathlib, sys

PEAK = {"bf16": 989.4, "tf32": 494.7}  # TFLOP/s without sparsity: H100 SXM and H200


def rate(line, copy):
    """A rate, and its share of what the machine can."""
    if "gb_per_s" in line:
        share = f", {line['gb_per_s'] / copy:.0%} of copy" if copy and line["name"] != "copy" else ""
        return f"{line['gb_per_s']:.0f} GB/s{share}"
    if "tokens_per_s" in line:
        return f"{line['tokens_per_s'] / 1e3:.0f} k tokens/s, {line['tflops'] / PEAK['bf16']:.0%} of peak"
    if "tflops" in line:
        return f"{line['tflops']:.0f} TFLOP/s, {line['tflops'] / PEAK['tf32' if 'tf32' in line['name'] else 'bf16']:.0%} of peak"
    return ""


def same_numbers(name, a, b):
    """compare.py's test of the digests of two peers; None where there is nothing to compare."""
    if not a or not b or len(a) != len(b):
        return None
    step = name.endswith("_step")
    tolerance, losses = (1e-3, 3) if step else (1e-4, 0)
    for i, (x, y) in enumerate(zip(a, b)):
        if x is None or y is None:
            return False
        scale = abs(y) if i < losses else abs(b[i - (i - losses) % 2])
        if abs(x - y) > tolerance * max(scale, 1e-6):
            return False
    return True


def cell(line, ours, key="ms"):
    if line is None:
        return ""
    if key not in line:
        return "missing" if "missing" in line else ""
    ratio = f" ({line[key] / ours:.2f})" if ours else ""
    return f"{line[key]:.4g}{ratio}"


def by_name(lines, key):
    """name -> peer -> line, in the order of the first mention; a figure is not replaced by its lack."""
    found = {}
    for line in lines:
        if key in line:
            peers = found.setdefault(line[key], {})
            peer = " ".join(w for w in line["peer"].split() if not w[0].isdigit())
            if "missing" not in line or peer not in peers:
                peers[peer] = line
    return found


def large(results, out):
    found = by_name(results["lines"], "name")
    if not found:
        return
    copy = found.get("copy", {}).get("sinter", {}).get("gb_per_s") or found.get("copy", {}).get("torch eager", {}).get("gb_per_s")
    out += ["| what | Sinter, ms | rate | PyTorch eager, ms | torch.compile, ms |", "| --- | --- | --- | --- | --- |"]
    for name, peers in found.items():
        ours = peers.get("sinter")
        ms = ours.get("ms") if ours else None
        out.append(f"| `{name}` | {cell(ours, None)} | {rate(ours, copy) if ms else ''} | {cell(peers.get('torch eager'), ms)} "
                   f"| {cell(peers.get('torch compile'), ms)} |")
    out.append("")


def workloads(results, out):
    found = by_name(results["lines"], "workload")
    if not found:
        return
    out += ["| workload | Sinter, ms | as a graph | PyTorch eager, ms | as a graph | torch.compile, ms | as a graph | same numbers |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for name, peers in found.items():
        ours, eager, compiled = (peers.get(p) for p in ("sinter", "torch eager", "torch compile"))
        ms, graph = ((ours or {}).get(key) for key in ("ms", "graph"))
        same = same_numbers(name, (ours or {}).get("check"), (eager or compiled or {}).get("check"))
        out.append(f"| `{name}` | {cell(ours, None)} | {cell(ours, None, 'graph')} | {cell(eager, ms)} | {cell(eager, graph, 'graph')} "
                   f"| {cell(compiled, ms)} | {cell(compiled, graph, 'graph')} | {'' if same is None else 'yes' if same else 'NO'} |")
    out.append("")


def markdown(results):
    m = results.get("machine", {})
    out = [f"{m.get('gpu', 'unknown GPU')}, driver {m.get('driver', '?')}. In brackets: the other's time by Sinter's, above 1 where Sinter is faster.",
           "Rates are of what has to be moved or computed at least; copy is a device-to-device copy of 1 GiB.", ""]
    large(results, out)
    workloads(results, out)
    missing = [f"- `{line.get('name') or line.get('workload')}`, {line['peer']}: {line.get('missing') or 'no graph: ' + line['no_graph']}"
               for line in results["lines"] if "missing" in line or "no_graph" in line]
    if missing:
        out += ["Missing:", "", *missing, ""]
    if results.get("notes"):
        out += ["Notes:", "", *(f"- {n}" for n in results["notes"]), ""]
    return "\n".join(out)


if __name__ == "__main__":
    merged = {"machine": {}, "lines": [], "notes": []}
    for path in sys.argv[1:]:
        part = json.loads(pathlib.Path(path).read_text())
        merged["machine"] = part.get("machine") or merged["machine"]
        merged["lines"] += part["lines"]
        merged["notes"] += part.get("notes", [])
    print(markdown(merged))
