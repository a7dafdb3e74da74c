# SPDX-License-Identifier: MIT
"""conformance.py PROGRAM FOLDER [--write]: runs PROGRAM over FOLDER/*.safetensors, a family at a time. A line of its output
that has a case's name among its words says that the case failed. conformance_pending.txt lists, one a line, the ops that
Sinter does not have yet (FAMILY/OP, or FAMILY/*); their cases may fail, and an op all of whose cases pass must leave the
list. --write makes that list anew."""
from house import *
import fnmatch, json, struct

program, folder, write = sys.argv[1], pathlib.Path(sys.argv[2]), "--write" in sys.argv
LIST = ROOT / "test/house/conformance_pending.txt"
pending = [l.strip() for l in LIST.read_text().split("\n") if l.strip() and not l.startswith("#")] if LIST.exists() else []

problems, failing, passing, counts = [], set(), set(), [0, 0, 0]
for path in sorted(folder.glob("*.safetensors")):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    cases = {c["name"]: f"{path.stem}/{c['op']}" for c in json.loads(header["__metadata__"]["cases"])}
    done = subprocess.run([program, str(path)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = done.stdout.strip().split("\n")
    totals = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped", lines[-1])
    if not totals:
        problems.append(f"{path.name}: no totals at the end (exit status {done.returncode}): {lines[-1][:200]}")
        continue
    counts = [a + int(b) for a, b in zip(counts, totals.groups())]
    if sum(map(int, totals.groups())) != len(cases):
        problems.append(f"{path.name}: has {len(cases)} cases, but the totals are: {lines[-1]}")
    failed = {}
    for line in lines[:-1]:
        for word in re.split(r"[\s:,()]+", line):
            if word in cases:
                failed[word] = line
                break
    if len(failed) != int(totals[2]):
        problems.append(f"{path.name}: {totals[2]} failed, but {len(failed)} are named")
    failing |= {cases[c] for c in failed}
    passing |= {op for c, op in cases.items() if c not in failed}
    problems += [f"{path.stem}: {line}" for c, line in failed.items()
                 if not any(fnmatch.fnmatchcase(cases[c], p) for p in pending)]

print(f"{counts[0]} cases passed, {counts[1]} failed, {counts[2]} were skipped, in {folder.name}/")
if write:
    LIST.write_text("# Ops of the conformance set that are not there yet, as FAMILY/OP. conformance.py --write makes this list.\n"
                    + "".join(op + "\n" for op in sorted(failing)))
    skip(f"wrote {LIST.name}: {len(failing)} ops")
for p in pending:
    if not fnmatch.filter(failing, p):
        problems.append(f"{p}: all its cases pass: take it off {LIST.name}")
finish(problems, f"no case fails except those of {len(fnmatch.filter(failing, '*'))} pending ops")
