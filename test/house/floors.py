#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A header includes only lower floors, or its own folder; there are no cycles, and no chain of headers is too long."""
from house import *

FLOORS = [["core"], ["device"], ["op"], ["expr"], ["eval", "cpu"], ["graph"], ["tensor"], ["autograd"], ["functional"], ["nn"],
          ["optim", "data", "io"], ["dist", "train"]]
FLOOR = {folder: number for number, folders in enumerate(FLOORS) for folder in folders}
KERNELS = "cuda"                            # kernels/sinter/cuda: raw pointers, so it knows core and device alone ...
MAY_USE_KERNELS = {"eval", "functional"}    # ... and is reached from here alone
# Eleven floors, two files each, and layers made of layers: what must compile alone cannot lean on a neighbour to have included more.
MAX_DEPTH = 26

graph, problems = {}, []
files = {name(p): p for p in headers()}


def folder(spelled):
    parts = spelled.split("/")
    return parts[1] if len(parts) > 2 else ""  # "" is sinter/sinter.hpp, above all


for spelled, path in files.items():
    mine = folder(spelled)
    if mine and mine not in FLOOR and mine != KERNELS:
        problems.append(f"{spelled}: the folder {mine}/ has no floor: give it one here and in the design")
        continue
    graph[spelled] = []
    for line, opening, target in includes(path):
        where = f"{spelled}:{line}: includes {target}"
        if not target.startswith("sinter/"):
            if opening == '"':
                problems.append(f"{where}: write Sinter's own headers as \"sinter/...\", others in <>")
            continue
        if target not in files:
            problems.append(f"{where}, which does not exist")
            continue
        graph[spelled].append(target)
        theirs = folder(target)
        if mine == "" or mine == theirs:
            continue
        if mine == KERNELS and theirs not in ("core", "device"):
            problems.append(f"{where}: kernels know core and device alone")
        elif theirs == KERNELS and mine not in MAY_USE_KERNELS:
            problems.append(f"{where}: kernels are reached through eval and functional alone")
        elif KERNELS not in (mine, theirs) and FLOOR.get(theirs, 99) >= FLOOR[mine]:
            problems.append(f"{where}: floor {FLOOR[mine]} ({mine}) may not include floor {FLOOR.get(theirs)} ({theirs})")

deepest = {}  # header -> the longest chain of headers that starts with it


def chain(spelled, above=()):
    if spelled in above:
        problems.append("cycle: " + " -> ".join(above[above.index(spelled):] + (spelled,)))
        return [spelled]
    if spelled not in deepest:
        below = [chain(t, above + (spelled,)) for t in graph.get(spelled, [])]
        if spelled.endswith(".cuh"):  # nvcc's alone: for other compilers it is not part of any chain
            below = []
        deepest[spelled] = [spelled] + max(below, key=len, default=[])
    return deepest[spelled]


longest = max((chain(s) for s in graph), key=len, default=[])
if len(longest) > MAX_DEPTH:
    problems.append(f"include depth {len(longest)} of at most {MAX_DEPTH}: " + " -> ".join(longest))
finish(problems, f"{len(files)} headers, include depth {len(longest)} of at most {MAX_DEPTH}")
