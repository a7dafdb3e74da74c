# SPDX-License-Identifier: MIT
"""What the benchmarks of a GPU share in PyTorch: timing.hpp's clock and lines."""
import gc, json, math, sys

import torch

torch.backends.cudnn.allow_tf32 = False
torch.backends.cuda.matmul.allow_tf32 = False
gpu = "cuda"


def say(name, peer, **figures):
    print(json.dumps({"name": name, "peer": peer, **figures}), flush=True)


def time_ms(call, run_ms=20.0):
    """Milliseconds of one call: the median of five runs of ten calls or more, after a warm-up."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

    def run(calls):
        begin.record()
        for _ in range(calls):
            call()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / calls

    run(2)
    calls = min(max(10, math.ceil(run_ms / max(run(2), 1e-3))), 1000)
    return sorted(run(calls) for _ in range(5))[2]


def figure(value):
    return float(f"{value:.6g}")


def why(problem):
    return f"{type(problem).__name__}: {problem}".replace("\n", " ")[:300]


def clean():
    gc.collect()
    torch.cuda.empty_cache()


def lost():
    """Whether the device no longer answers."""
    try:
        torch.cuda.synchronize()
        return False
    except Exception:
        return True


def run_cases(cases, options, eager_only=()):
    """cases: (section, name, function of a compiler of functions -> (ms, unit, amount)). options.only, .modes, .names;
    eager_only: beginnings of names."""
    for section, name, case in cases:
        if options.only and section not in options.only.split(",") or options.names and name not in options.names:
            continue
        if options.list:
            print(name)
            continue
        modes = options.modes.split(",")
        for mode in modes[:1] if name.startswith(eager_only) else modes:
            try:
                torch._dynamo.reset()
                wrap = (lambda f: torch.compile(f, dynamic=False)) if mode == "compile" else (lambda f: f)
                ms, unit, amount = case(wrap)
                rate = amount / ms * (1e-6 if unit == "gb_per_s" else 1e-9)
                say(name, f"torch {mode}", ms=figure(ms), **{unit: figure(rate)})
            except Exception as problem:
                say(name, f"torch {mode}", missing=why(problem))
                if lost():
                    sys.exit(3)
            clean()
