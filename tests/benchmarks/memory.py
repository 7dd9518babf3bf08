"""What a training step holds in memory, and what it costs to hold less: blocks again, batches in parts, AdamW shared.

    python -m tests.benchmarks.memory

The sizes are those of nanoGPT's recipe for a processor, with more and fewer layers. Each row compares two ways to make
the same step, in turns, in one process; nothing is printed unless both come to the same losses. Memory is what numpy
and Python ask for during a step, at most: the gradients and all that is computed, without weights and AdamW's means,
which are there before.
"""

import time
import tracemalloc

import numpy as np
import pytest

from microlearn.deep import AdamW, clip_grad_norm_, manual_seed
from microlearn.llm import GPT, GPTConfig, parameter_groups
from tests.benchmarks import parallel
from tests.benchmarks.table import Row, alternate, print_table, rows_of, seconds

LAYERS, PARTS, WINDOWS = (2, 4, 8, 12), (2, 4, 8), 16
IDX, TARGETS = np.random.default_rng(0).integers(0, 65, (2, WINDOWS, 64))


def stepper(n_layer, recompute=False, parts=1, drop=True):
    """Return a function that makes a training step on the same batch and returns the loss."""
    manual_seed(0)
    model = GPT(GPTConfig(block_size=64, vocab_size=65, n_layer=n_layer, n_head=4, n_embd=128))
    model.transformer.recompute = recompute
    optimizer = AdamW(parameter_groups(model, 0.1), lr=1e-3, betas=(0.9, 0.99))

    def step():
        optimizer.zero_grad()
        lost = 0.0
        for idx, targets in zip(np.split(IDX, parts), np.split(TARGETS, parts), strict=True):
            loss = model(idx, targets)[1] / parts
            lost += loss.item()
            loss.backward(retain_grads=False)
            if drop:  # else this part's graph is there until the next one's is
                del loss
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return lost

    return step


def peak(step):
    """Return how many MB a function asks for at most, beyond what is there before."""
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1] / 10**6
    finally:
        tracemalloc.stop()


def compare(name, ours, peer, rel, blocks=5, repetitions=2):
    """Return the rows of two ways to make the same step: memory, then time."""
    np.testing.assert_allclose(ours(), peer(), rtol=rel)  # and what is made once is there
    runs = alternate(lambda: seconds(ours), lambda: seconds(peer), blocks, repetitions)
    assert [loss for loss, _ in runs[0]] == pytest.approx([loss for loss, _ in runs[1]], rel=rel, abs=0.0)
    times = [[(spent,) for _, spent in side] for side in runs]
    return [Row(f"{name}, memory", peak(ours), peak(peer), "MB"), *rows_of(name, ["a step"], *times)]


def recomputation():
    """Rows of blocks that are computed again against blocks that are kept: the same losses, bit for bit."""
    return [
        row
        for n in LAYERS
        for row in compare(f"{n} layers, recomputed against kept", stepper(n, recompute=True), stepper(n), rel=0.0)
    ]


def accumulation():
    """Rows of a batch in parts against the same batch at once."""
    found = []
    for parts in PARTS:
        name = f"{WINDOWS} windows in {parts} parts against at once"
        found += compare(name, stepper(4, parts=parts), stepper(4), rel=1e-3)
    dropped, kept = stepper(4, parts=2), stepper(4, parts=2, drop=False)
    name = f"{WINDOWS} windows in 2 parts, graph dropped against kept for the next"
    return [*found, *compare(name, dropped, kept, rel=0.0)[:1]]


def rows():
    return [*recomputation(), *accumulation(), *parallel.sharing_rows()]


if __name__ == "__main__":
    begin = time.perf_counter()
    print_table(rows())
    print(f"{time.perf_counter() - begin:.0f} s")
