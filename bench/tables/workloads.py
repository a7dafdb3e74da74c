# SPDX-License-Identifier: MIT
"""The first table: every workload in every peer, in turn, with a process for each. The numbers must agree."""
import json, math, os, statistics, subprocess, sys, time

import install

# At least so many times as fast as PyTorch eager (issue 3).
TARGETS = {
    "chain_fwd_16m": 8, "chain_fwd_16k": 5, "chain_grad_4m": 8, "softmax_grad_4m": 1.3, "layer_norm_grad_4m": 1.3, "cross_entropy_grad": 3,
    "gemm_64": 1, "gemm_128": 1, "gemm_256": 1, "gemm_512": 1, "gemm_1024": 1, "gemm_2048": 1, "linear_gelu_fwd": 1.5,
    "small_add_16": 10, "mlp_infer_b1": 4, "mlp_tiny_step": 10, "mlp_step": 1.5, "cnn_step": 2, "resnet8_step": 1.8, "lstm_step": 2,
    "encoder_step": 1.25, "seq2seq_step": 1.4, "gpt_char_step": 1.25,
}
PEERS = ("sinter", "eager", "compile", "jax", "libtorch")
TITLES = {"sinter": "Sinter", "eager": "PyTorch eager", "compile": "torch.compile", "jax": "JAX jit", "libtorch": "libtorch C++"}
LIBTORCH = ("small_add_16", "mlp_infer_b1", "mlp_tiny_step", "mlp_step")
ONCE = ("compile",)  # measured in the first round only: compiling takes most of its time
SECONDS = 600  # for one process

# What a process takes on a quiet machine, for the estimate: start, imports, compiling out of a warm cache and the clock; the
# steps of long workloads on top, by one thread.
PROCESS_S = {"sinter": 1, "eager": 3, "compile": 7, "jax": 2.3, "libtorch": 1.3}
COLD_S = 10  # more where torch.compile finds nothing in its cache
STEPS_S = {"gpt_char_step": 12, "encoder_step": 4, "seq2seq_step": 2, "resnet8_step": 1, "gemm_2048": 1}


def run_lines(command, threads):
    """What a program printed in JSON, on as many processors as it has threads, and what went wrong."""
    cpus = sorted(os.sched_getaffinity(0))[-threads:]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "TORCHINDUCTOR_CACHE_DIR": str(cache(threads))}
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=SECONDS, env=environment,
                              preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    except subprocess.TimeoutExpired:
        return [], f"not done in {SECONDS} s"
    wrong = f"exit status {done.returncode}: {done.stderr.strip().split(chr(10))[-1]}" if done.returncode else ""
    try:
        return [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")], wrong
    except ValueError as error:
        return [], wrong or f"printed something else than JSON: {error}"


def cache(threads):
    """Of torch.compile: what it has compiled in earlier runs."""
    return install.HOME / f"inductor-{threads}"


def run_once(command, threads):
    begin = time.monotonic()
    lines, wrong = run_lines(command, threads)
    result = {"missing": wrong or "printed nothing", "failed": True} if wrong or not lines else lines[-1]
    return {**result, "seconds": round(time.monotonic() - begin, 1)}


def disagreement(name, ours, theirs):
    """Where two lists of checks differ by more than rounding does, else None. Steps: three losses, then norm and product; else
    norms and products in turn. A product is measured by its norm."""
    if len(ours) != len(theirs):
        return f"{len(ours)} numbers against {len(theirs)}"
    step = "_step" in name
    tolerance = 1e-3 if step else 1e-4
    for i, (a, b) in enumerate(zip(ours, theirs)):
        a, b = (math.nan if v is None else v for v in (a, b))  # not finite
        product = i == 4 if step else i % 2 == 1
        scale = abs(theirs[i - 1] or 0) if product else abs(b)
        if not abs(a - b) <= tolerance * scale:
            return f"number {i} is {a:.7g} against {b:.7g}"
    return None


def runs(name, rounds, commands):
    """The peers in the order in which they are run for one workload."""
    return [peer for i in range(rounds) for peer in commands
            if not (peer == "libtorch" and name not in LIBTORCH) and not (peer in ONCE and i > 0)]


def expected_s(names, threads, rounds, commands):
    """Seconds on a quiet machine."""
    cold = {t: COLD_S if not cache(t).exists() else 0 for t in threads}
    return sum(PROCESS_S[peer] + (cold[t] if peer == "compile" else 0) + STEPS_S.get(name, 0) / t * (2 if peer == "compile" else 1)
               for t in threads for name in names for peer in runs(name, rounds, commands))


def measure(names, threads, rounds, commands, have=()):
    """Yields a row as soon as it is known: {workload, threads, peer: {ms, peak_mb, ...} or {missing}}. commands: peer ->
    function(name, threads). have: rows of an earlier run, which are not measured again."""
    have = {(row["workload"], row["threads"]): row for row in have}
    for t in threads:
        for name in names:
            if (name, t) in have:
                yield have[name, t]
                continue
            found = {}
            for peer in runs(name, rounds, commands):
                results = found.setdefault(peer, [])
                if not results or "missing" not in results[-1]:
                    results.append(run_once(commands[peer](name, t), t))
            row = {"workload": name, "threads": t}
            for peer, results in found.items():
                row[peer] = dict(results[-1])
                if "missing" not in row[peer]:
                    for key in ("ms", "peak_mb", "idle_mb"):
                        row[peer][key] = statistics.median(r[key] for r in results)
                    row[peer]["all_ms"] = [r["ms"] for r in results]
            check(row)
            print(f"{name} at {t}: " + ", ".join(f"{p} {row[p].get('ms', 'missing')}{' WRONG' if 'wrong' in row[p] else ''}"
                                                 for p in PEERS if p in row), file=sys.stderr, flush=True)
            yield row


def check(row):
    """Marks what disagrees with PyTorch eager, or with Sinter where that is missing."""
    have = [p for p in dict.fromkeys(("eager", *PEERS)) if "check" in row.get(p, {})]
    for peer in have[1:]:
        wrong = disagreement(row["workload"], row[peer]["check"], row[have[0]]["check"])
        if wrong:
            row[peer]["wrong"] = f"differs from {TITLES[have[0]]}: {wrong}"


def problems(rows):
    """Other numbers, and what Sinter failed to run."""
    at = lambda row, peer: f"`{row['workload']}`, {TITLES[peer]}, threads {row['threads']}"
    wrong = [f"{at(row, p)}: {row[p]['wrong']}" for row in rows for p in PEERS if "wrong" in row.get(p, {})]
    return wrong + [f"{at(row, 'sinter')}: {row['sinter']['missing']}" for row in rows if row.get("sinter", {}).get("failed")]


def ratio(row, peer):
    ours, theirs = row.get("sinter", {}), row.get(peer, {})
    return theirs["ms"] / ours["ms"] if "ms" in ours and "ms" in theirs else None


def best_of_compilers(row):
    return min((r for r in (ratio(row, "compile"), ratio(row, "jax")) if r), default=None)


def mean(values):
    values = [v for v in values if v]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def number(v):
    return "" if v is None else f"{v:.0f}" if v >= 100 else f"{v:.3g}"


def cell(row, peer):
    entry = row.get(peer)
    if entry is None:
        return ""
    if "missing" in entry:
        return "missing"
    r = ratio(row, peer)
    text = number(entry["ms"]) + (f" (**{r:.2f}**)" if r and peer != "sinter" else "")
    return text + (" WRONG" if "wrong" in entry else "")


def markdown(rows):
    peers = [p for p in PEERS if any(p in row for row in rows)]
    lines = ["ms, and in bold the ratio to Sinter's (above 1: Sinter is faster). Memory: peak resident MB of the process, and in brackets what of "
             "it came after start-up and imports.", ""]
    for t in sorted({row["threads"] for row in rows}):
        mine = [row for row in rows if row["threads"] == t]
        lines += [f"### {t} thread{'s' if t > 1 else ''}", ""]
        lines.append("| workload | " + " | ".join(TITLES[p] for p in peers) + " | target over eager | | MB Sinter | MB eager |")
        lines.append("| --- |" + " --- |" * (len(peers) + 4))
        for row in mine:
            target, reached = TARGETS.get(row["workload"]), ratio(row, "eager")
            met = "" if not target or not reached else "met" if reached >= target and "wrong" not in row["sinter"] else "missed"
            cells = [cell(row, p) for p in peers]
            lines.append(f"| `{row['workload']}` | " + " | ".join(cells) + f" | {target or ''} | {met} | {memory(row, 'sinter')} | {memory(row, 'eager')} |")
        lines.append("")
        for peer in peers[1:]:
            lines.append(f"Geometric mean over {TITLES[peer]}: {number(mean(ratio(row, peer) for row in mine)) or 'nothing measured'}.")
        better = [(row["workload"], best_of_compilers(row)) for row in mine]
        slower = [f"`{name}` {b:.2f}" for name, b in better if b and b < 1]
        lines.append(f"Over the better of torch.compile and JAX: {number(mean(b for _, b in better)) or 'nothing measured'}; slower than that one: "
                     f"{', '.join(slower) or 'none'}.")
        lines.append("")
    return lines + scaling(rows) + missing(rows)


def memory(row, peer):
    entry = row.get(peer, {})
    return f"{entry['peak_mb']:.0f} ({entry['peak_mb'] - entry['idle_mb']:.0f})" if "peak_mb" in entry else ""


def scaling(rows):
    ms = {(row["workload"], row["threads"]): row["sinter"]["ms"] for row in rows if "ms" in row.get("sinter", {})}
    gains = [f"`{name}` {ms[name, 1] / ms[name, 2]:.2f}" for name, t in ms if t == 2 and (name, 1) in ms]
    return [f"Sinter's gain from the second thread: {', '.join(gains)}.", ""] if gains else []


def missing(rows):
    reasons = [f"- `{row['workload']}`, {TITLES[p]}, {row['threads']}: {row[p]['missing']}" for row in rows for p in PEERS if "missing" in row.get(p, {})]
    return ["Missing:", *reasons, ""] if reasons else []
