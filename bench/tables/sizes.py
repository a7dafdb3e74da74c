# SPDX-License-Identifier: MIT
"""The third table: what programs cost to compile, and how large they are."""
import os, re, subprocess, sys

RUNS = 2  # the faster counts
LONG_S = 20  # what takes so long is compiled once


def compile_once(command):
    """CPU seconds, MB at most at a time."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, "CCACHE_DISABLE": "1"})
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        raise RuntimeError(said)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def libraries_mb(program):
    """Of the shared libraries that do not come with the compiler or the system, and how many there are."""
    listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True).stdout
    paths = {os.path.realpath(p) for p in re.findall(r"=> (/\S+)", listed)}
    own = [p for p in paths if not p.startswith(("/lib", "/usr/lib"))]
    return sum(map(os.path.getsize, own)) / 2**20, len(own)


def measure(programs, out):
    """programs: [(title, source, flags)]. Yields a row for each."""
    for title, source, flags in programs:
        binary = out / "program"
        command = ["g++", "-O2", "-march=native", "-fopenmp", "-DNDEBUG", str(source), "-o", str(binary), *flags]
        try:
            results = [compile_once(command)]
            while len(results) < RUNS and results[0][0] < LONG_S:
                results.append(compile_once(command))
        except RuntimeError as error:
            yield {"program": title, "missing": next((line for line in str(error).split("\n") if "error" in line), "does not compile")}
            continue
        subprocess.run(["strip", binary], check=True)
        mb, count = libraries_mb(binary)
        kb = binary.stat().st_size / 1024
        binary.unlink()
        print(f"sizes: {title}", file=sys.stderr, flush=True)
        yield {"program": title, "seconds": min(r[0] for r in results), "mb": max(r[1] for r in results), "kb": kb, "libraries_mb": mb,
               "libraries": count}


def markdown(rows):
    lines = ["g++ -O2 -march=native, CPU seconds to compile and link; the stripped program, and what it loads besides the system's and the "
             "compiler's own libraries.", "", "| program | compile, s | compile, MB | program, KB | libraries, MB |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        if "missing" in row:
            lines.append(f"| {row['program']} | missing: {row['missing']} | | | |")
            continue
        loads = f"{row['libraries_mb']:.0f} in {row['libraries']}" if row["libraries"] else "none"
        lines.append(f"| {row['program']} | {row['seconds']:.1f} | {row['mb']:.0f} | {row['kb']:.0f} | {loads} |")
    return lines + [""]
