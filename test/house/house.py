# SPDX-License-Identifier: MIT
"""What the house tests share: the list of headers, their #include lines, and how to compile."""
import os, pathlib, re, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIP = 77
CXX = os.environ.get("CXX", "g++")
os.environ["CCACHE_DISABLE"] = "1"


FLAGS = ["-std=c++17", "-fopenmp", "-Wall", "-Wextra", "-Wno-psabi", "-I", str(ROOT / "include")]
if (ROOT / "kernels").is_dir():
    FLAGS += ["-I", str(ROOT / "kernels")]


def headers(*folders, ext=(".hpp", ".cuh")):
    """Sinter's headers in `folders` (default: include and kernels)."""
    found = []
    for folder in folders or ("include", "kernels"):
        found += [p for p in (ROOT / folder).rglob("*") if p.suffix in ext]
    return sorted(found)


def name(path):
    """As an #include line spells it: sinter/core/shape.hpp."""
    path = path.relative_to(ROOT)
    return str(path.relative_to(path.parts[0]))


def code(path):
    """The text without comments and with empty string literals; line numbers stay."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)
    keep = lambda m: '""' if m[0].startswith('"') else "\n" * m[0].count("\n")
    out = []
    for line in path.read_text().split("\n"):  # an #include's quotes are no string literal
        out.append("\0" + line if re.match(r"\s*#\s*include", line) else line)
    return token.sub(lambda m: keep(m), "\n".join(out)).replace("\0", "")


def includes(path):
    """[(line, opening character, spelled name)] of every #include."""
    lines = path.read_text().split("\n")
    found = (re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line) for line in lines)
    return [(i + 1, m[1], m[2]) for i, m in enumerate(found) if m]


def compile_text(text, *flags, cxx=CXX):
    """Compiles a text without leaving anything; (exit status, what the compiler said)."""
    command = [cxx, *FLAGS, "-x", "c++", "-fsyntax-only", *flags, "-"]
    done = subprocess.run(command, input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def each(function, items):
    """function(item) for all items, two at a time, in order."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, items))


def finish(problems, good):
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problem(s)" if problems else good)
    sys.exit(1 if problems else 0)


def skip(why):
    print("skipped:", why)
    sys.exit(SKIP)


def need_sinter():
    if not (ROOT / "include/sinter/sinter.hpp").exists():
        skip("include/sinter/sinter.hpp does not exist yet")
