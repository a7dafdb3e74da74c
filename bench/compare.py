#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares Sinter with its peers on this machine, in one run; see bench/README.md. Writes compare.md, compare.json and
compare.png. The exit status is 1 where a peer computed other numbers."""
import argparse, datetime, json, os, pathlib, platform, re, subprocess, sys

import install
from tables import gemm, sizes, workloads

ROOT = pathlib.Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
OPTIMISED = ["-O3", "-march=native", "-fopenmp", "-DNDEBUG", "-Wno-psabi"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", default="1,2", help="numbers of threads, by default 1,2")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each peer for each workload; the median counts")
    parser.add_argument("--tables", help="of workloads,gemm,sizes; by default all, or workloads alone where some are named")
    parser.add_argument("--peers", default=",".join(workloads.PEERS), help="of " + ",".join(workloads.PEERS))
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall",
                        help="cpu: count the processor's seconds, for one thread on a machine that has other work, too")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/compare")
    parser.add_argument("--bench", type=pathlib.Path, help="a sinter_bench built elsewhere")
    parser.add_argument("--include", type=pathlib.Path, default=ROOT / "include", help="the headers, for the other tables")
    parser.add_argument("workload", nargs="*")
    args = parser.parse_args()
    args.threads = [int(t) for t in args.threads.split(",")]
    args.tables = (args.tables or ("workloads" if args.workload else "workloads,gemm,sizes")).split(",")
    args.out = args.out.resolve()
    if args.clock == "cpu" and args.threads != [1]:
        parser.error("--clock cpu takes --threads 1")
    os.environ["SINTER_BENCH_CLOCK"] = args.clock
    return args


def build_sinter(args):
    if args.bench:
        return args.bench.resolve()
    folder = args.out / "cmake"
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DSINTER_BUILD_TESTS=OFF", "-DSINTER_BUILD_SAMPLES=OFF"]
    subprocess.run(["cmake", "-S", ROOT, "-B", folder, *options], check=True, stdout=sys.stderr)
    subprocess.run(["cmake", "--build", folder, "--target", "sinter_bench"], check=True, stdout=sys.stderr)
    return folder / "bench/sinter_bench"


def build(source, flags, out):
    """The program of one file; None where flags is, or where it does not compile."""
    if flags is None:
        return None
    program = out / source.stem
    standard = [] if any(f.startswith("-std") for f in flags) else ["-std=c++17"]
    done = subprocess.run(["g++", *standard, *OPTIMISED, str(source), "-o", str(program), *flags], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        install.say(f"{source.name} does not compile:\n{done.stderr[:2000]}")
    return None if done.returncode else str(program)


def peer_commands(sinter, have, args):
    """peer -> function(workload, threads) -> command line."""
    script = lambda file, *options: lambda name, t: [install.PYTHON, BENCH / "peers" / file, "--workload", name, "--threads", str(t), *options]
    commands = {"sinter": lambda name, t: [sinter, "--workload", name, "--threads", str(t), "--json"]}
    if have["torch"]:
        commands["eager"] = script("torch_bench.py", "--mode", "eager")
        commands["compile"] = script("torch_bench.py", "--mode", "compile")
        if "libtorch" in args.peers:
            libtorch = build(BENCH / "peers/libtorch.cpp", install.libtorch(), args.out)
            if libtorch:
                commands["libtorch"] = lambda name, t: [libtorch, name, str(t)]
    if have["jax"]:
        commands["jax"] = script("jax_bench.py")
    chosen = args.peers.split(",")
    return {peer: commands[peer] for peer in workloads.PEERS if peer in commands and peer in chosen}


def gemm_table(args):
    flags = {"gemm_sinter": ["-I", str(args.include)], "gemm_openblas": install.openblas(), "gemm_onednn": install.onednn(), "gemm_eigen": install.eigen()}
    programs = {name: build(BENCH / "gemm" / f"{name}.cpp", f, args.out) for name, f in flags.items()}
    rows, problems = gemm.measure(programs, args.threads, workloads.run_lines)
    return rows, problems, gemm.markdown(rows, [gemm.NAMES[name] for name, p in programs.items() if p is None])


def sizes_table(args):
    ours = ["-std=c++17", "-I", str(args.include)]
    programs = [(f"samples/{p.name}", p, ours) for p in sorted((ROOT / "samples").glob("*.cpp"))]
    if (torch := install.libtorch()) is not None:
        programs.append(("bench/peers/libtorch_smallest.cpp", BENCH / "peers/libtorch_smallest.cpp", torch))
    rows = sizes.measure(programs, args.out)
    return rows, sizes.markdown(rows)


def machine():
    with open("/proc/cpuinfo") as info:
        model = re.search(r"model name\s*: (.*)", info.read())
    cpus = len(os.sched_getaffinity(0))
    compiler = install.output("g++", "-dumpfullversion")
    return f"{cpus} processors, {model[1] if model else platform.processor()}, g++ {compiler}, {platform.system()} {platform.release()}"


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    have = install.environment()
    versions = ", ".join(f"{name} {v or 'missing'}" for name, v in have.items())
    commit = install.output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD") or "unknown"
    result = {"machine": machine(), "versions": have, "commit": commit, "date": datetime.date.today().isoformat(), "rounds": args.rounds,
              "clock": args.clock}
    lines = ["# Sinter and its peers", "", f"{result['date']}, commit {commit}; {result['machine']}; {versions}.",
             f"Command: `bash bench/compare.sh {' '.join(sys.argv[1:])}`", ""]
    problems = []
    if "workloads" in args.tables:
        sinter = build_sinter(args)
        known = [line.split()[0] for line in install.output(sinter, "--list").split("\n")]
        if unknown := set(args.workload) - set(known):
            sys.exit(f"compare: no workload is named {', '.join(sorted(unknown))}")
        rows, wrong = workloads.measure(args.workload or known, args.threads, args.rounds, peer_commands(sinter, have, args))
        result["workloads"], problems = rows, problems + wrong
        lines += ["## Workloads", "", *workloads.markdown(rows)]
    if "gemm" in args.tables:
        result["gemm"], wrong, text = gemm_table(args)
        problems += wrong
        lines += ["## Matrix products", "", *text]
    if "sizes" in args.tables:
        result["sizes"], text = sizes_table(args)
        lines += ["## Compile time and size", "", *text]
    if problems:
        lines += ["## WRONG NUMBERS", "", *(f"- {p}" for p in problems), ""]
    (args.out / "compare.json").write_text(json.dumps({**result, "problems": problems}, indent=1))
    (args.out / "compare.md").write_text("\n".join(lines))
    if "workloads" in result and have["matplotlib"]:
        subprocess.run([install.PYTHON, BENCH / "tables/chart.py", args.out / "compare.json", args.out / "compare.png"], check=False)
    print("\n".join(lines))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
