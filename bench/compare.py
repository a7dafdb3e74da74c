#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares Sinter with its peers on this machine, in one run; see bench/README.md. Writes compare.md, compare.json and
compare.png, and keeps them up to date while it runs. The exit status is 1 where a peer computed other numbers or Sinter failed."""
import argparse, datetime, hashlib, json, os, pathlib, platform, re, subprocess, sys

import install
from tables import gemm, growth, sizes, workloads

ROOT = pathlib.Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
TABLES = {"workloads": "Workloads", "gemm": "Matrix products", "sizes": "Compile time and size", "growth": "Growth"}
OPTIMISED = ["-O3", "-march=native", "-fopenmp", "-DNDEBUG", "-Wno-psabi"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", default="1,2", help="numbers of threads, by default 1,2")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each peer for each workload, of which the median counts; torch.compile has one")
    parser.add_argument("--tables", help="of workloads,gemm,sizes,growth; by default the first three, or workloads alone where some are named")
    parser.add_argument("--peers", default=",".join(workloads.PEERS), help="of " + ",".join(workloads.PEERS))
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall",
                        help="cpu: count the processor's seconds, for one thread on a machine that has other work, too")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/compare")
    parser.add_argument("--resume", action="store_true", help="keep the workloads of an interrupted run of the same programs")
    parser.add_argument("--bench", type=pathlib.Path, help="a sinter_bench built elsewhere")
    parser.add_argument("--include", type=pathlib.Path, default=ROOT / "include", help="the headers, for the other tables")
    parser.add_argument("workload", nargs="*")
    args = parser.parse_args()
    args.threads = [int(t) for t in args.threads.split(",")]
    args.tables = (args.tables or ("workloads" if args.workload else "workloads,gemm,sizes")).split(",")
    args.out = args.out.resolve()
    for what, given, known in [("table", args.tables, TABLES), ("peer", args.peers.split(","), workloads.PEERS)]:
        if unknown := [name for name in given if name not in known]:
            parser.error(f"no {what} is named {', '.join(unknown)}")
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


def peer_commands(sinter, have, args, growth=False):
    """peer -> function(workload, threads) -> command line; for growth those of Sinter and PyTorch eager."""
    script = lambda file, *options: lambda name, t: [install.PYTHON, BENCH / "peers" / file, "--workload", name, "--threads", str(t), *options]
    commands = {"sinter": lambda name, t: [sinter, "--workload", name, "--threads", str(t), "--json", *(["--growth"] if growth else [])]}
    if have["torch"]:
        commands["eager"] = script("torch_bench.py", "--mode", "eager")
        commands["compile"] = script("torch_bench.py", "--mode", "compile")
        if "libtorch" in args.peers and not growth and {*(args.workload or workloads.LIBTORCH)} & {*workloads.LIBTORCH}:
            libtorch = build(BENCH / "peers/libtorch.cpp", install.libtorch(), args.out)
            if libtorch:
                commands["libtorch"] = lambda name, t: [libtorch, name, str(t)]
    if have["jax"]:
        commands["jax"] = script("jax_bench.py")
    chosen = {*args.peers.split(",")} & {"sinter", "eager", *([] if growth else workloads.PEERS)}
    return {peer: commands[peer] for peer in workloads.PEERS if peer in commands and peer in chosen}


def gemm_table(args):
    flags = {"gemm_sinter": ["-I", str(args.include)], "gemm_openblas": install.openblas(), "gemm_onednn": install.onednn(), "gemm_eigen": install.eigen()}
    programs = {name: build(BENCH / "gemm" / f"{name}.cpp", f, args.out) for name, f in flags.items()}
    rows, problems = gemm.measure(programs, args.threads, workloads.run_lines)
    return rows, problems, [gemm.NAMES[name] for name, p in programs.items() if p is None]


def sizes_rows(args):
    ours = ["-std=c++17", "-I", str(args.include)]
    programs = [(f"samples/{p.name}", p, ours) for p in sorted((ROOT / "samples").glob("*.cpp"))]
    if (torch := install.libtorch()) is not None:
        programs.append(("bench/peers/libtorch_smallest.cpp", BENCH / "peers/libtorch_smallest.cpp", torch))
    return sizes.measure(programs, args.out)


def machine():
    with open("/proc/cpuinfo") as info:
        model = re.search(r"model name\s*: (.*)", info.read())
    cpus = len(os.sched_getaffinity(0))
    compiler = install.output("g++", "-dumpfullversion")
    return f"{cpus} processors, {model[1] if model else platform.processor()}, g++ {compiler}, {platform.system()} {platform.release()}"


class Report:
    """compare.json and compare.md, written anew whenever there is more to say."""

    def __init__(self, args, head):
        self.out, self.head, self.tables, self.gemm = args.out, head, {}, ([], [])
        self.left = list(args.tables)  # not yet done

    def problems(self):
        return workloads.problems([*self.tables.get("workloads", []), *self.tables.get("growth", [])]) + self.gemm[0]

    def markdown(self):
        h = self.head
        versions = ", ".join(f"{name} {v or 'missing'}" for name, v in h["versions"].items())
        lines = ["# Sinter and its peers", "", f"{h['date']}, commit {h['commit']}; {h['machine']}, load {h['load']:.1f} at the start; {versions}.",
                 f"Command: `{h['command']}`", ""]
        if self.left:
            lines += [f"**Unfinished:** {', '.join(self.left)}.", ""]
        texts = {"workloads": workloads.markdown, "sizes": sizes.markdown, "growth": growth.markdown,
                 "gemm": lambda rows: gemm.markdown(rows, self.gemm[1])}
        for table, rows in self.tables.items():
            lines += [f"## {TABLES[table]}", "", *texts[table](rows)]
        if problems := self.problems():
            lines += ["## WRONG NUMBERS", "", *(f"- {p}" for p in problems), ""]
        return "\n".join(lines)

    def save(self):
        data = {**self.head, "unfinished": self.left, **self.tables, "problems": self.problems()}
        for name, text in (("compare.json", json.dumps(data, indent=1)), ("compare.md", self.markdown())):
            (self.out / f"{name}.part").write_text(text)
            (self.out / f"{name}.part").replace(self.out / name)

    def fill(self, table, rows):
        self.tables[table] = []
        for row in rows:
            self.tables[table].append(row)
            self.save()
        self.left.remove(table)
        self.save()


def earlier(args, head):
    """The rows of an interrupted run, if the same programs were run in the same way."""
    file = args.out / "compare.json"
    if not args.resume or not file.exists():
        return []
    old = json.loads(file.read_text())
    same = ("machine", "versions", "sinter_bench", "rounds", "clock", "peers")
    if changed := [key for key in same if old.get(key) != head.get(key)]:
        install.say(f"nothing to resume: other {', '.join(changed)}")
        return []
    return old.get("workloads", [])


def measure(args, report, sinter, have):
    head = report.head
    if "workloads" in args.tables:
        known = [line.split()[0] for line in install.output(sinter, "--list").split("\n")]
        if unknown := set(args.workload) - set(known):
            sys.exit(f"compare: no workload is named {', '.join(sorted(unknown))}")
        old = earlier(args, head)
        commands = peer_commands(sinter, have, args)
        names = args.workload or known
        seconds = workloads.expected_s(names, args.threads, args.rounds, commands)
        install.say(f"the table of workloads takes about {max(1, round(seconds / 60))} min on a quiet machine"
                    + (f", less what {len(old)} rows of the earlier run took" if old else ""))
        report.fill("workloads", workloads.measure(names, args.threads, args.rounds, commands, old))
    if "growth" in args.tables:
        install.say("the table of growth takes some 10 min")
        names = install.output(sinter, "--growth", "--list").split("\n")
        commands = peer_commands(sinter, have, args, growth=True)
        report.fill("growth", workloads.measure(names, args.threads, 1, commands))
    if "gemm" in args.tables:
        rows, *report.gemm = gemm_table(args)
        report.fill("gemm", rows)
    if "sizes" in args.tables:
        report.fill("sizes", sizes_rows(args))


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]  # before anything of this one's
    if load > 0.5:
        install.say(f"this machine has other work (load {load:.1f}): the figures are not worth quoting")
    have = install.environment()
    sinter = build_sinter(args) if {"workloads", "growth"} & {*args.tables} else None
    head = {"machine": machine(), "versions": have, "commit": install.output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD") or "unknown",
            "date": datetime.date.today().isoformat(), "load": load, "command": f"bash bench/compare.sh {' '.join(sys.argv[1:])}".strip(),
            "rounds": args.rounds, "clock": args.clock, "peers": args.peers,
            "sinter_bench": hashlib.sha256(sinter.read_bytes()).hexdigest()[:16] if sinter else None}
    report = Report(args, head)
    try:
        measure(args, report, sinter, have)
    except KeyboardInterrupt:
        install.say(f"interrupted; what was measured is in {args.out}")
    if report.tables.get("workloads") and have["matplotlib"]:
        subprocess.run([install.PYTHON, BENCH / "tables/chart.py", args.out / "compare.json", args.out / "compare.png"], check=False)
    print(report.markdown())
    sys.exit(130 if report.left else 1 if report.problems() else 0)


if __name__ == "__main__":
    main()
