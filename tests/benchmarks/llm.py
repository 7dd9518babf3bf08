"""A training step of a GPT against PyTorch eager, its memory, and what a KV cache saves.

    python -m tests.benchmarks.llm

The sizes are those of nanoGPT's recipe for a processor. PyTorch is compared with where it is installed; two threads
each, which on two cores is every library's own choice. Nothing is printed unless both sides come to the same losses.
"""

import subprocess
import sys
import time
from importlib.util import find_spec

import numpy as np
import pytest

from microlearn.deep import AdamW, clip_grad_norm_, manual_seed
from microlearn.llm import GPT, GPTConfig, generate, get_batch, parameter_groups
from tests.benchmarks.table import Row, alternate, print_table, rows_of, seconds

RECIPE = GPTConfig(block_size=64, vocab_size=65, n_layer=4, n_head=4, n_embd=128)
BATCH, BETAS, DECAY, LR = 12, (0.9, 0.99), 0.1, 1e-3
TEXT = np.random.default_rng(0).integers(0, RECIPE.vocab_size, 10_000)


def batches():
    """Yield the same batches to whoever asks."""
    rng = np.random.default_rng(1)
    while True:
        yield get_batch(TEXT, RECIPE.block_size, BATCH, rng)


def fresh():
    """Return the model that every side begins with."""
    manual_seed(0)
    return GPT(RECIPE)


def ours():
    model, feed = fresh(), batches()
    optimizer = AdamW(parameter_groups(model, DECAY), lr=LR, betas=BETAS)

    def step():
        _, loss = model(*next(feed))
        optimizer.zero_grad()
        loss.backward(retain_grads=False)
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def torch(same=True):
    """The same model in PyTorch, as nanoGPT writes it: its fused attention, gelu and AdamW as they come."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.set_num_threads(2)
    width, heads = RECIPE.n_embd, RECIPE.n_head

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

        def forward(self, x):
            b, t, _ = x.shape
            q, k, v = (part.view(b, t, heads, -1).transpose(1, 2) for part in self.c_attn(x).split(width, dim=2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.c_proj(y.transpose(1, 2).contiguous().view(b, t, width))

    class MLP(nn.Module):
        def __init__(self):
            super().__init__()
            self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.attn, self.ln_2, self.mlp = nn.LayerNorm(width), Attention(), nn.LayerNorm(width), MLP()

        def forward(self, x):
            x = x + self.attn(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(RECIPE.vocab_size, width), nn.Embedding(RECIPE.block_size, width)
            self.h, self.ln_f = nn.ModuleList(Block() for _ in range(RECIPE.n_layer)), nn.LayerNorm(width)

        def forward(self, idx):
            x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
            for block in self.h:
                x = block(x)
            return F.linear(self.ln_f(x), self.wte.weight)

    model, feed = Transformer(), batches()
    if same:
        with torch.no_grad():
            for name, parameter in fresh().named_parameters():
                model.get_parameter(name.removeprefix("transformer.")).copy_(torch.tensor(parameter.data))
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": DECAY},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=BETAS)

    def step():
        idx, targets = (torch.from_numpy(np.ascontiguousarray(part)) for part in next(feed))
        loss = F.cross_entropy(model(idx).view(-1, RECIPE.vocab_size), targets.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def rows():
    name = "GPT 4x128, 12 x 64 tokens, a step"
    ours_step = ours()
    if not find_spec("torch"):
        _, spent = seconds(lambda: [ours_step() for _ in range(20)])
        return [Row(f"{name}, alone", 1000 * spent / 20, None, "ms"), *cache()]
    theirs_step = torch()
    for _ in range(3):  # threads start, memory is found
        assert ours_step() == pytest.approx(theirs_step(), rel=1e-4)
    runs = alternate(lambda: seconds(ours_step), lambda: seconds(theirs_step), blocks=7, repetitions=15)
    losses = [[loss for loss, _ in side] for side in runs]
    np.testing.assert_allclose(*losses, rtol=1e-2)
    times = [[(spent,) for _, spent in side] for side in runs]
    peaks = [peak(side) for side in ("ours", "torch")]
    return [*rows_of(name, ["against PyTorch eager"], *times), Row(f"{name}, peak memory", *peaks, "MB"), *cache()]


def peak(side):
    """Train in a new process; return by how many MB its memory grew at most (as Linux counts it)."""
    program = f"""
import numpy
from tests.benchmarks import llm

def kilobytes(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

if "{side}" == "torch":  # what importing and a first small step take is the library's, not the model's
    import torch
    from torch import nn
    line = nn.Linear(2, 2)
    nn.functional.gelu(line(torch.zeros(2, 2))).sum().backward()
    torch.optim.AdamW(line.parameters()).step()
else:
    numpy.zeros((64, 64)) @ numpy.zeros((64, 64))
open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
before = kilobytes("VmRSS")
step = llm.{"ours()" if side == "ours" else "torch(same=False)"}
for _ in range(20):
    step()
print((kilobytes("VmHWM") - before) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout)


def cache():
    """Milliseconds for a token behind texts of growing length, with a cache and without."""
    manual_seed(0)
    model = GPT(GPTConfig(1025, RECIPE.vocab_size, RECIPE.n_layer, RECIPE.n_head, RECIPE.n_embd))
    found = []
    for length in (16, 64, 256, 1000):
        prompt, many = TEXT[:length], 20
        (kept, with_cache), (fresh, without) = (
            seconds(generate, model, prompt, many, 0.0, None, None, None, None, use_cache)
            for use_cache in (True, False)
        )
        assert kept == fresh
        _, first = seconds(generate, model, prompt, 1, 0.0)  # reading the prompt is no part of writing on
        per_token = 1000 * (with_cache - first) / (many - 1), 1000 * (without - first) / (many - 1)
        found.append(Row(f"a token after {length}, with a KV cache against without", *per_token, "ms"))
    return found


if __name__ == "__main__":
    begin = time.perf_counter()
    print_table(rows())
    print(f"{time.perf_counter() - begin:.0f} s")
