# SPDX-License-Identifier: MIT
"""What bench/gpu.sh runs when all is built: Sinter's programs and PyTorch's in turn, each step with a limit of time. What ends
before its time or hangs loses one figure, the others are made in another process; gpu.json and gpu.md are written anew after each step."""
import argparse, json, os, pathlib, subprocess, sys, threading, time

import table

HERE = pathlib.Path(__file__).resolve().parent
SECTIONS = ["chains", "rows", "optim", "products", "gpt2", "workloads"]
LIMITS = {"sinter": {"gpt2": 60, "workloads": 120}, "torch": {"gpt2": 150, "workloads": 150}}  # seconds; others below
OTHERS = {"sinter": 60, "torch": 120}

parser = argparse.ArgumentParser()
parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of bench_gpu_large, bench_gpt2 and sinter_bench_cuda")
parser.add_argument("--out", type=pathlib.Path, required=True)
parser.add_argument("--only", default=",".join(SECTIONS))
parser.add_argument("--seconds", type=float, default=480, help="of all together")
parser.add_argument("--peers", default="sinter,torch")
parser.add_argument("--modes", default="eager,compile", help="of PyTorch, for chains, rows, products and gpt2")
parser.add_argument("--workload-modes", default="eager", help="of PyTorch, for workloads; compiling them takes minutes")
parser.add_argument("--batch", default="16", help="of gpt2")
options = parser.parse_args()
deadline = time.monotonic() + options.seconds
results = {"machine": {}, "lines": [], "notes": []}


def machine():
    try:
        command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        text = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip().splitlines()[0]
        results["machine"] = dict(zip(("gpu", "driver", "memory"), (part.strip() for part in text.split(","))))
    except Exception as problem:
        results["notes"].append(f"nvidia-smi: {problem}")


def save():
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "gpu.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.out / "gpu.md").write_text(table.markdown(results))


def note(text):
    print(text, flush=True)
    results["notes"].append(text)


def libraries():
    """Where libcublasLt and libcudnn may lie that Sinter's programs were linked with: beside PyTorch."""
    found = [str(p) for base in map(pathlib.Path, sys.path) for p in sorted(base.glob("nvidia/*/lib"))]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, [os.environ.get("LD_LIBRARY_PATH", ""), *found]))}


def run(command, limit, env=None):
    """The lines of JSON that it prints, its status (None: it took too long), the end of what it complained of."""
    lines, errors = [], []
    limit = min(limit, deadline - time.monotonic())
    if limit < 5:
        return lines, None, "no time is left"
    try:
        process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
                                   start_new_session=True)
    except OSError as problem:
        return lines, 127, str(problem)

    def read(stream, to):
        for line in stream:
            to.append(line.rstrip())

    readers = [threading.Thread(target=read, args=a, daemon=True) for a in ((process.stdout, lines), (process.stderr, errors))]
    for r in readers:
        r.start()
    try:
        status = process.wait(limit)
    except subprocess.TimeoutExpired:
        status = None
        os.killpg(process.pid, 9)
        process.wait()
    for r in readers:
        r.join(5)
    parsed = []
    for line in lines:
        try:
            parsed.append(json.loads(line))
        except ValueError:
            pass
    return parsed, status, " ".join(errors[-3:])[-300:]


def step(section, peer, name_key, names, command, env=None):
    """command(names) makes a figure for each; those that are left when it ends are asked for again, but for the first."""
    limit = LIMITS[peer].get(section, OTHERS[peer])
    end = time.monotonic() + limit
    start, left, made = time.monotonic(), list(names), 0
    fruitless = 0  # processes one after another that made nothing
    while True:
        lines, status, error = run(command(left), end - time.monotonic(), env)
        for line in lines:
            line["section"] = section
        results["lines"] += lines
        made += len(lines)
        seen = {line.get(name_key) for line in lines}
        left = [n for n in left if n not in seen]
        if status == 0:
            break
        if status is None:
            note(f"{section}, {peer}: stopped after {time.monotonic() - start:.0f} s, without {', '.join(left) or 'anything missing'}. {error}")
            break
        if not left:
            note(f"{section}, {peer}: ended with status {status}. {error}")
            break
        note(f"{section}, {peer}: ended with status {status} in {left[0]}. {error}")
        results["lines"].append({name_key: left[0], "peer": peer, "section": section, "missing": f"status {status}: {error}"})
        left = left[1:]
        fruitless = 0 if lines else fruitless + 1
        if not left or fruitless == 2:
            break
    print(f"{section}, {peer}: {made} figures in {time.monotonic() - start:.0f} s", flush=True)
    save()


def names_of(command, env):
    try:
        text = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=30, env=env).stdout
        return [line.split()[0] for line in text.splitlines() if line.strip()]
    except Exception as problem:
        note(f"{command[0]}: {problem}")
        return []


def main():
    machine()
    env, python, peers = libraries(), sys.executable, options.peers.split(",")
    for section in options.only.split(","):
        if section not in SECTIONS:
            sys.exit(f"run.py: no section {section}; there are {', '.join(SECTIONS)}")
    for section in options.only.split(","):
        for peer in peers:
            ours = peer == "sinter"
            if section == "gpt2":
                step(section, peer, "name", ["gpt2_step"], lambda _: [options.bin / "bench_gpt2", options.batch] if ours else
                     [python, HERE / "torch_gpt2.py", "--batch", options.batch, "--modes", options.modes], env if ours else None)
            elif section == "workloads":
                names = names_of([options.bin / "sinter_bench_cuda", "--list"], env)
                chosen = lambda left: ["--workload", ",".join(left)] if left else []
                if ours:
                    step(section, peer, "workload", names,
                         lambda left: [options.bin / "sinter_bench_cuda", "--device", "cuda", "--json", *chosen(left)], env)
                    continue
                for mode in options.workload_modes.split(","):
                    step(section, peer, "workload", names, lambda left: [
                        python, HERE.parent / "peers" / "torch_bench.py", "--device", "cuda", "--mode", mode, *chosen(left)])
            else:
                names = names_of([options.bin / "bench_gpu_large", "--only", section, "--list"], env)
                step(section, peer, "name", names, lambda left: [options.bin / "bench_gpu_large", "--only", section, *left] if ours else
                     [python, HERE / "torch_large.py", "--only", section, "--modes", options.modes, *left], env if ours else None)
    save()
    print((options.out / "gpu.md").read_text())


main()
