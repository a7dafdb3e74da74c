# SPDX-License-Identifier: MIT
"""large.cu in PyTorch. Usage: torch_large.py [--only chains,rows,optim,products] [--modes eager,compile] [--list] [NAME...]"""
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--only", default="")
parser.add_argument("--modes", default="eager,compile")
parser.add_argument("--list", action="store_true")
parser.add_argument("names", nargs="*")
options = parser.parse_args()

import torch
import torch.nn.functional as F
from torch_common import gpu, run_cases, time_ms

import torch._functorch.config
torch._functorch.config.donated_buffer = False  # backward runs again and again through one graph

GIB, ROWS, COLUMNS = 1 << 30, 32768, 8192
bf16 = torch.bfloat16


def randn(*shape, dtype=torch.float32, scale=1.0):
    return torch.empty(*shape, dtype=dtype, device=gpu).normal_(0, scale)


def forward_ms(f, *x):
    with torch.no_grad():
        return time_ms(lambda: f(*x))


def backward_ms(f, *x):
    """Of the backward pass alone."""
    for t in x:
        t.requires_grad_()
    y = f(*x)
    g = randn(*y.shape, dtype=y.dtype)

    def call():
        for t in x:
            t.grad = None
        y.backward(g, retain_graph=True)
    return time_ms(call)


def copy(wrap):
    a, b = randn(1 << 28), randn(1 << 28)
    return time_ms(lambda: b.copy_(a)), "gb_per_s", 2 * GIB


def chain(backward, dtype):
    def case(wrap):
        f = wrap(lambda x, a, b, c: F.gelu(x * a + b, approximate="tanh") * c)
        x = randn(65536, 4096, dtype=dtype), randn(4096, dtype=dtype), randn(4096, dtype=dtype), randn(65536, 1, dtype=dtype)
        moved = x[0].numel() * x[0].element_size()
        return (backward_ms(f, *x), "gb_per_s", 3 * moved) if backward else (forward_ms(f, *x), "gb_per_s", 2 * moved)
    return case


def rows(backward, function, vectors):
    def case(wrap):
        x = [randn(ROWS, COLUMNS)] + [randn(COLUMNS) for _ in range(vectors)]
        f = wrap(function)
        return (backward_ms(f, *x), "gb_per_s", 3 * GIB) if backward else (forward_ms(f, *x), "gb_per_s", 2 * GIB)
    return case


def cross_entropy(dtype):
    def case(wrap):
        x = randn(8192, 50257, dtype=dtype).requires_grad_()
        y = torch.randint(0, 50257, (8192,), device=gpu)
        f = wrap(F.cross_entropy)

        def call():
            x.grad = None
            f(x, y).backward()
        return time_ms(call), "gb_per_s", 3 * x.numel() * x.element_size()
    return case


def embedding_backward(wrap):
    table = randn(50257, 768)
    tokens = torch.randint(0, 50257, (16, 1024), device=gpu)
    f = wrap(lambda table: F.embedding(tokens, table))
    return backward_ms(f, table), "gb_per_s", 4 * 768 * (16384 + 50257)


def gpt2_shapes():
    shapes = [(50257, 768), (1024, 768), (768,), (768,)]
    for _ in range(12):
        shapes += [(2304, 768), (768, 768), (3072, 768), (768, 3072), (2304,), (768,), (3072,), (768,)] + 4 * [(768,)]
    return shapes


def adamw(clip):
    def case(wrap):
        params = [randn(*s, scale=0.02).requires_grad_() for s in gpt2_shapes()]
        for p in params:
            p.grad = randn(*p.shape, scale=1e-3)
        opt = torch.optim.AdamW(params, lr=1e-4, fused=True)

        def call():
            if clip:
                torch.nn.utils.clip_grad_norm_(params, 1.0)
            opt.step()
        return time_ms(call), "gb_per_s", 4 * (8 if clip else 7) * sum(p.numel() for p in params)
    return case


def matmul(dtype, tf32):
    def case(wrap):
        n = 8192
        a, b = randn(n, n, dtype=dtype), randn(n, n, dtype=dtype)
        torch.backends.cuda.matmul.allow_tf32 = tf32
        try:
            return forward_ms(wrap(torch.matmul), a, b), "tflops", 2 * n**3
        finally:
            torch.backends.cuda.matmul.allow_tf32 = False
    return case


def linear_gelu(wrap):
    x, w, b = randn(8192, 4096, dtype=bf16), randn(16384, 4096, dtype=bf16, scale=1 / 64), randn(16384, dtype=bf16)
    f = wrap(lambda x, w, b: F.gelu(F.linear(x, w, b), approximate="tanh"))
    return forward_ms(f, x, w, b), "tflops", 2 * 8192 * 4096 * 16384


def sdpa(width, causal, backward):
    def case(wrap):
        x = [randn(4, 16, 4096, width, dtype=bf16) for _ in range(3)]
        pairs = 4 * 16 * 4096**2 * width * (0.5 if causal else 1)
        f = wrap(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal))
        return (backward_ms(f, *x), "tflops", 10 * pairs) if backward else (forward_ms(f, *x), "tflops", 4 * pairs)
    return case


cases = [("chains", "copy", copy)]
cases += [("chains", f"chain_{'bwd' if back else 'fwd'}_{'f32' if d == torch.float32 else 'bf16'}", chain(back, d))
          for d in (torch.float32, bf16) for back in (False, True)]
cases += [
    ("rows", "cross_entropy_f32", cross_entropy(torch.float32)),
    ("rows", "cross_entropy_bf16", cross_entropy(bf16)),
    ("rows", "embedding_bwd", embedding_backward),
    ("optim", "adamw", adamw(False)),
    ("optim", "adamw_clip", adamw(True)),
    ("products", "matmul_bf16", matmul(bf16, False)),
    ("products", "matmul_tf32", matmul(torch.float32, True)),
    ("products", "linear_gelu_bf16", linear_gelu),
]
for back in (False, True):
    at = "_bwd" if back else "_fwd"
    cases += [
        ("rows", "softmax" + at, rows(back, lambda x: F.softmax(x, 1), 0)),
        ("rows", "layer_norm" + at, rows(back, lambda x, w, b: F.layer_norm(x, (COLUMNS,), w, b), 2)),
        ("rows", "rms_norm" + at, rows(back, lambda x, w: F.rms_norm(x, (COLUMNS,), w), 1)),
    ]
    cases += [("products", f"sdpa{at}_{width}{'_causal' if causal else ''}", sdpa(width, causal, back))
              for width in (64, 128) for causal in (False, True)]

run_cases(cases, options, eager_only=("copy", "adamw", "matmul", "sdpa"))  # the same either way
