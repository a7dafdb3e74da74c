# SPDX-License-Identifier: MIT
"""gpt2.cu in PyTorch: float weights under autocast to bfloat16, fused AdamW, gradients clipped; eager, compiled, and each of them
captured as a CUDA graph. Usage: torch_gpt2.py [--modes eager,compile] [--batch 16] [--seconds 3]"""
import argparse, math, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("--modes", default="eager,compile")
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--seconds", type=float, default=3)
options = parser.parse_args()

import torch
from torch import nn
import torch.nn.functional as F
from torch_common import clean, figure, gpu, lost, say, why

DEPTH, WIDTH, HEADS, CONTEXT, VOCABULARY = 12, 768, 12, 1024, 50304


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(b, t, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, d))
        return x + self.fc2(F.gelu(self.fc1(self.ln2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList([Block() for _ in range(DEPTH)])
        self.ln = nn.LayerNorm(WIDTH)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, 0, 0.02 / math.sqrt(2 * DEPTH) if "proj" in name or "fc2" in name else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, x, y):
        h = self.wte(x) + self.wpe.weight
        for block in self.blocks:
            h = block(h)
        return F.cross_entropy(F.linear(self.ln(h), self.wte.weight).flatten(0, 1), y)


def step_ms(step, seconds):
    """The median of the milliseconds of batches of five steps."""
    torch.cuda.synchronize()
    times, begin = [], time.perf_counter()
    while time.perf_counter() - begin < seconds or len(times) < 3:
        start = time.perf_counter()
        for _ in range(5):
            step()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 200)
    return sorted(times)[len(times) // 2]


def report(name, mode, ms, parameters, first, last):
    tokens = options.batch * CONTEXT
    flops = tokens * (6 * parameters + 12 * DEPTH * WIDTH * CONTEXT)
    say(name, f"torch {mode}", ms=figure(ms), tokens_per_s=figure(tokens / ms * 1e3), tflops=figure(flops / ms * 1e-9), batch=options.batch,
        gib=figure(torch.cuda.max_memory_allocated() / 2**30), first_loss=figure(first), last_loss=figure(last))


def train(mode):
    torch.manual_seed(1)
    torch.cuda.reset_peak_memory_stats()
    with torch.device(gpu):
        net = Gpt2()
    opt = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=0.1, fused=True)
    parameters = sum(p.numel() for p in net.parameters())
    x = torch.randint(0, 50257, (options.batch, CONTEXT), device=gpu)
    y = torch.randint(0, 50257, (options.batch * CONTEXT,), device=gpu)
    forward = torch.compile(net, dynamic=False) if mode == "compile" else net
    loss = torch.zeros((), device=gpu)

    def step():
        opt.zero_grad(set_to_none=True)
        with torch.autocast(gpu, torch.bfloat16, cache_enabled=not torch.cuda.is_current_stream_capturing()):
            result = forward(x, y)
        result.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        loss.copy_(result.detach())

    step()
    first = loss.item()
    for _ in range(3):
        step()
    report("gpt2_step", mode, step_ms(step, options.seconds), parameters, first, loss.item())
    try:
        for group in opt.param_groups:
            group["capturable"] = True
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        opt.zero_grad(set_to_none=True)
        clean()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        graph.replay()
        report("gpt2_step_graph", mode, step_ms(graph.replay, options.seconds), parameters, first, loss.item())
    except Exception as problem:
        say("gpt2_step_graph", f"torch {mode}", missing=why(problem))


for mode in options.modes.split(","):
    try:
        train(mode)
    except Exception as problem:
        say("gpt2_step", f"torch {mode}", missing=why(problem))
    if lost():
        sys.exit(3)
    clean()
