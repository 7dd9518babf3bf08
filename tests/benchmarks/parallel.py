"""Two processes against one, and the memory of a process where the optimizer is shared.

    python -m tests.benchmarks.parallel

Both sides of a comparison run in one go of `mpiexec`, in turn: while the process of rank 0 works alone, others sleep.
"""

import json
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np

from microlearn.deep import AdamW, clip_grad_norm_, manual_seed
from microlearn.llm import GPT, Group, ZeroRedundancyOptimizer, get_batch, parameter_groups, world
from tests.benchmarks.llm import BATCH, BETAS, DECAY, LR, RECIPE, TEXT
from tests.benchmarks.table import Row, print_table, rows_of, seconds

NAME = "GPT 4x128, 12 x 64 tokens, a step"


def stepper(group, shared=False):
    """Return a function that makes a step, as `train` does, and returns the loss and how long the message took."""
    manual_seed(0)
    model, rng, mine = GPT(RECIPE), np.random.default_rng(1), group.share(BATCH)
    groups, settings = parameter_groups(model, DECAY), {"lr": LR, "betas": BETAS}
    optimizer = ZeroRedundancyOptimizer(groups, AdamW, group, **settings) if shared else AdamW(groups, **settings)

    def step():
        idx, targets = get_batch(TEXT, RECIPE.block_size, BATCH, rng)
        optimizer.zero_grad()
        loss = model(idx[mine], targets[mine])[1]
        loss.backward(retain_grads=False)
        (mean,), sent = seconds(group.average_gradients, model.parameters(), loss.item())
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return mean, sent

    return step


def rest(group):
    """Wait for all others asleep; a process that waits inside MPI keeps a core busy."""
    request = group.comm.Ibarrier()
    while not request.Test():
        time.sleep(0.001)


def times(blocks=7, repetitions=15):
    """On every process: make steps alone and together in turn; the one of rank 0 prints how long each took."""
    group = world()
    alone, together = stepper(Group()), stepper(group)
    runs: tuple[list, list] = ([], [])
    for _ in range(blocks + 1):  # in the first, threads start and memory is found
        if group.rank == 0:
            runs[0].append([seconds(alone) for _ in range(repetitions)])
        rest(group)
        runs[1].append([seconds(together) for _ in range(repetitions)])
    if group.rank == 0:
        one, several = ([run for block in side[1:] for run in block] for side in runs)
        np.testing.assert_allclose([run[0][0] for run in one], [run[0][0] for run in several], rtol=1e-2)
        print(
            json.dumps([[spent for _, spent in one], [spent for _, spent in several], [run[0][1] for run in several]])
        )


def sharing():
    """On every process: make steps with the optimizer shared and whole in turn; rank 0 prints MB held, and times."""
    group = world()
    tracemalloc.start()
    steps, held, losses = [], [], []
    for shared in (True, False):
        before = tracemalloc.get_traced_memory()[0]
        steps.append(stepper(group, shared))
        losses.append([steps[-1]()[0] for _ in range(3)])
        held.append((tracemalloc.get_traced_memory()[0] - before) / 1e6)
    tracemalloc.stop()
    spent = [[seconds(step)[1] for _ in range(10)] for _ in range(5) for step in steps]
    np.testing.assert_allclose(*losses)
    if group.rank == 0:
        print(json.dumps([held, [1000 * float(np.median(spent[side::2])) for side in (0, 1)]]))


def processes(n, call, threads=1):
    """Call a function of this module on n processes, of so many threads each; return what the first printed."""
    variables = {name: str(threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    code = f"from tests.benchmarks import parallel; parallel.{call}"
    # bound, since two that have slept wake up on one core, and it takes Linux a second to part them
    command = [str(Path(sys.executable).with_name("mpiexec")), "-bind-to", "core", "-n", str(n)]
    command += [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | variables)
    return json.loads(done.stdout)


def rows():
    one, two, sent = processes(2, "times()")
    found = rows_of(NAME, ["2 processes against 1, a thread each"], [(t,) for t in two], [(t,) for t in one])
    return [*found, Row(f"{NAME}, of which the all-reduce", 1000 * float(np.median(sent)), None, "ms")]


def sharing_rows():
    """What a process holds between two steps, and how long a step takes, with the optimizer shared and whole."""
    found = []
    for n in (2, 4):
        held, spent = processes(n, "sharing()")
        found.append(Row(f"GPT 4x128, a process of {n}, AdamW shared against whole, memory", *held, "MB"))
        if n == 2:  # more processes than cores would wait for each other
            found.append(Row(f"GPT 4x128, a process of {n}, AdamW shared against whole, time", *spent, "ms"))
    return found


if __name__ == "__main__":
    print_table([*rows(), *sharing_rows()])
