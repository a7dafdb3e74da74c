# SPDX-License-Identifier: MIT
"""What the peers in Python share: the inputs of inputs.hpp in numpy, the clock of clock.hpp, the digest, the command line."""
import argparse, json, math, os, time

threads_parser = argparse.ArgumentParser(add_help=False)
threads_parser.add_argument("--workload", default="", help="NAME[,NAME...], by default all")
threads_parser.add_argument("--threads", type=int, default=1)
threads_parser.add_argument("--json", action="store_true", help="kept for likeness with sinter_bench: output is JSON in any case")


def limit_threads(n):
    """Before numpy or a framework is imported: the number of threads that their libraries start."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(n)
    if n == 1:
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"


# ---- inputs

CHUNK = 1 << 16  # made piece by piece, so that peak memory tells of the framework and not of this file


def mix(x):
    import numpy as np
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    x = (x ^ x >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    return x ^ x >> np.uint32(16)


def seed_of(name):
    import numpy as np
    h = 2166136261
    for c in name.encode():
        h = (h ^ c) * 16777619 & 0xFFFFFFFF
    return mix(np.array([h], np.uint32))[0]


def chunks(n):
    return ((i, min(i + CHUNK, n)) for i in range(0, n, CHUNK))


def normal_part(seed, begin, end):
    import numpy as np
    i = np.arange(begin, end, dtype=np.uint32)
    a, b = mix(seed + np.uint32(2) * i), mix(seed + np.uint32(2) * i + np.uint32(1))
    low, high = np.uint32(0xFFFF), np.uint32(16)
    total = ((a & low) + (a >> high) + (b & low) + (b >> high)).astype(np.int32) - np.int32(131070)
    return total.astype(np.float32) * np.float32(1 / 37837.227)


def normal(name, shape, scale=1.0, shift=0.0):
    """Near to normal, float32."""
    import numpy as np
    out, seed = np.empty(math.prod(shape), np.float32), seed_of(name)
    with np.errstate(over="ignore"):
        for begin, end in chunks(out.size):
            out[begin:end] = normal_part(seed, begin, end).astype(np.float64) * scale + shift
    return out.reshape(shape)


def labels(name, shape, classes):
    import numpy as np
    with np.errstate(over="ignore"):
        i = np.arange(math.prod(shape), dtype=np.uint32)
        return (mix(seed_of(name) + i) % np.uint32(classes)).astype(np.int64).reshape(shape)


def parameter(name, shape):
    """The weight that a model starts from, by PyTorch's name of it."""
    if len(shape) >= 2:
        return normal(name, shape, math.sqrt(shape[0] / math.prod(shape)))
    return normal(name, shape, 0.1, 1.0 if name.endswith("weight") else 0.0)


# ---- results

def digest(*arrays):
    """[norm, product with fixed random numbers] of all arrays together."""
    import numpy as np
    squares, dot, seed = 0.0, 0.0, seed_of("digest")
    with np.errstate(over="ignore"):
        for array in arrays:
            flat = np.ascontiguousarray(array).reshape(-1)
            for begin, end in chunks(flat.size):
                part = flat[begin:end].astype(np.float64)
                squares += float(part @ part)
                dot += float(part @ normal_part(seed, begin, end).astype(np.float64))
    return [math.sqrt(squares), dot]


def peak_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


BATCHES, WARM_UP_S, BATCH_S = 9, 0.3, 0.06
now = time.process_time if os.environ.get("SINTER_BENCH_CLOCK") == "cpu" else time.perf_counter


def milliseconds(call, restart=None, finish=None):
    """The median over batches of the time of one call; restart() comes before each batch of 20 calls or more, finish()
    ends a batch. As in clock.hpp."""
    def batch(n):
        start = now()
        for _ in range(n):
            call()
        if finish:
            finish()
        return now() - start

    begin = now()
    while True:
        batch(1)
        if now() - begin >= WARM_UP_S:
            break
    n = 1
    while (took := batch(n)) < BATCH_S / 2:
        n *= 2
    n = max(1, math.ceil(n * BATCH_S / took))
    times = []
    for _ in range(BATCHES):
        if restart and n >= 20:
            restart()
        times.append(batch(n) / n * 1e3)
    return sorted(times)[BATCHES // 2]


def main(peer, workloads, args, growth={}, catch=False):
    """workloads, and those of growth, which run only where they are named: name -> function that returns (ms, checks), and a
    dict of more to be said where there is more. catch: what one raises is reported, and the others run."""
    global BATCHES
    known = {**workloads, **growth}
    idle = round(peak_mb(), 1)  # after the imports
    for name in args.workload.split(",") if args.workload else workloads:
        if name not in known:
            print(json.dumps({"workload": name, "peer": peer, "missing": "no such workload here"}), flush=True)
            continue
        BATCHES = 5 if name in growth else 9
        try:
            ms, check, *more = known[name]()
        except Exception as problem:
            if not catch:
                raise
            print(json.dumps({"workload": name, "peer": peer, "missing": f"{type(problem).__name__}: {problem}"[:300]}), flush=True)
            continue
        line = {"workload": name, "peer": peer, "threads": args.threads, "ms": float(f"{ms:.6g}"), "peak_mb": round(peak_mb(), 1),
                "idle_mb": idle}
        print(json.dumps({**line, "check": [float(f"{c:.9g}") if math.isfinite(c) else None for c in check],
                          **(more[0] if more else {})}), flush=True)
