"""A training step of ours against PyTorch eager, numpy written by hand, and the scalar engine, in one process.

    python -m tests.benchmarks.deep

PyTorch is compared with where it is installed; two threads each, which on two cores is every library's own choice.
Nothing is printed unless all sides come to the same losses.
"""

import subprocess
import sys
import time
import tracemalloc
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest

from microlearn import Tensor, deep
from microlearn.networks import MLP, binary_cross_entropy, moons
from tests.benchmarks.table import Row, alternate, print_table, rows_of, seconds

RATES = {"SGD": 0.1, "Adam": 0.001}
LR = RATES["SGD"]


class Problem:
    """A network of tanh layers, its data, and the numbers that every side begins with."""

    def __init__(self, sizes, n):
        rng = np.random.default_rng(0)
        self.sizes, self.binary = sizes, sizes[-1] == 1
        if self.binary:
            X, y = moons(n)
            self.X, self.y = np.array(X, dtype=np.float32), np.array(y)
        else:
            self.X = rng.normal(size=(n, sizes[0])).astype(np.float32)
            self.y = rng.integers(0, sizes[-1], n)
        self.weights = [(rng.normal(size=(nout, nin)) / nin**0.5).astype(np.float32) for nin, nout in pairwise(sizes)]
        self.name = f"{'-'.join(map(str, sizes))}, {n} points"

    def ours(self, optimizer="SGD"):
        layers = []
        for weight in self.weights:
            layers += [deep.Linear(*weight.shape[::-1]), deep.Tanh()]
            layers[-2].weight.data[...], layers[-2].bias.data[...] = weight, 0.0
        model = deep.Sequential(*layers[:-1])
        moving, x, y = getattr(deep, optimizer)(model.parameters(), lr=RATES[optimizer]), Tensor(self.X), self.y
        if self.binary:
            y = y.astype(np.float32)[:, None]
        loss = deep.binary_cross_entropy_with_logits if self.binary else deep.cross_entropy

        def step():
            lost = loss(model(x), y)
            moving.zero_grad()
            lost.backward()
            moving.step()
            return lost.item()

        return step

    def torch(self, optimizer="SGD"):
        import torch
        import torch.nn.functional as F

        torch.set_num_threads(2)
        layers = []
        for weight in self.weights:
            layers += [torch.nn.Linear(*weight.shape[::-1]), torch.nn.Tanh()]
            layers[-2].weight.data, layers[-2].bias.data = torch.tensor(weight), torch.zeros(len(weight))
        model = torch.nn.Sequential(*layers[:-1])
        moving, x, y = (
            getattr(torch.optim, optimizer)(model.parameters(), lr=RATES[optimizer]),
            torch.tensor(self.X),
            self.y,
        )
        y = torch.tensor(y.astype(np.float32)[:, None] if self.binary else y)
        loss = F.binary_cross_entropy_with_logits if self.binary else F.cross_entropy

        def step():
            lost = loss(model(x), y)
            moving.zero_grad()
            lost.backward()
            moving.step()
            return lost.item()

        return step

    def numpy(self):
        """The same by hand, as one would write it who knows the derivatives."""
        weights = [weight.T.copy() for weight in self.weights]
        biases = [np.zeros(weight.shape[1], dtype=np.float32) for weight in weights]
        X, y, n, rows = self.X, self.y, np.float32(len(self.X)), np.arange(len(self.X))
        column = y.astype(np.float32)[:, None]
        last = len(weights) - 1

        def step():
            signals = [X]
            for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
                z = signals[-1] @ weight + bias
                signals.append(z if i == last else np.tanh(z))
            scores = signals[-1]
            if self.binary:
                small = np.exp(-np.abs(scores))
                lost = (np.maximum(scores, 0) - scores * column + np.log1p(small)).mean()
                grad = (np.where(scores < 0, small, 1) / (1 + small) - column) / n
            else:
                exps = np.exp(scores - scores.max(axis=1, keepdims=True))
                grad = exps / exps.sum(axis=1, keepdims=True)
                lost = -np.log(grad[rows, y]).mean()
                grad[rows, y] -= 1
                grad /= n
            for i in reversed(range(last + 1)):
                weight_grad, bias_grad = signals[i].T @ grad, grad.sum(axis=0)
                if i:
                    grad = (grad @ weights[i].T) * (1 - signals[i] ** 2)
                weights[i] -= LR * weight_grad
                biases[i] -= LR * bias_grad
            return float(lost)

        return step


SMALL, LARGE = ([2, 16, 16, 1], 100), ([784, 256, 128, 10], 128)


def rows():
    """Measure everything; a row for each comparison."""
    found = []
    for sizes, n in (SMALL, LARGE):
        problem = Problem(sizes, n)
        sides = [("hand-written numpy", problem.numpy(), "SGD")]
        if find_spec("torch"):
            sides += [(f"PyTorch eager, {kind}", problem.torch(kind), kind) for kind in RATES]
        for name, peer, kind in sides:
            found += compare(f"{problem.name}, a step, against {name}", problem.ours(kind), peer)
    return [*found, *against_the_scalar_engine(), *memory()]


def compare(name, ours, peer, steps=20):
    """Check that both sides come to the same losses, then time them in turn, block by block."""
    assert [ours() for _ in range(steps)] == pytest.approx([peer() for _ in range(steps)], rel=1e-3), name
    times = alternate(lambda: seconds(ours)[1:], lambda: seconds(peer)[1:], blocks=15, repetitions=60)
    return rows_of(name.rpartition(", against ")[0], [f"against {name.rpartition(', against ')[2]}"], *times)


def against_the_scalar_engine():
    """The factor over the width of two hidden layers: one step on 100 points, tensors against Values."""
    found = []
    X, y = moons(100)
    for width in (2, 8, 32):
        model = MLP(2, [width, width, 1])

        def scalar_step(model=model):
            lost = binary_cross_entropy([model(x) for x in X], y)
            model.zero_grad()
            lost.backward()
            for parameter in model.parameters():
                parameter.data -= LR * parameter.grad

        step = Problem([2, width, width, 1], 100).ours()
        quick = [seconds(step)[1] for _ in range(200)]
        slow = [seconds(scalar_step)[1] for _ in range(3)]
        ours, peer = (1000 * float(np.median(times)) for times in (quick, slow))
        found.append(Row(f"2-{width}-{width}-1, 100 points, a step, against Values", ours, peer, "ms"))
    return found


def memory():
    """Peak memory of some steps, beyond what importing takes: each side in a process of its own."""
    found = []
    for sizes, n in (SMALL, LARGE):
        peaks = {side: _peak(sizes, n, side) for side in ("ours", "numpy", *["torch"] * bool(find_spec("torch")))}
        name = f"{Problem(sizes, n).name}, peak memory, against"
        for side in list(peaks)[1:]:
            found.append(Row(f"{name} {side}", peaks["ours"], peaks[side], "MB"))
    problem, sizes = Problem(*SMALL), []
    for step in (problem.ours(), problem.numpy()):
        step()
        tracemalloc.start()
        step()
        sizes.append(tracemalloc.get_traced_memory()[1] / 1024)
        tracemalloc.stop()
    return [*found, Row(f"{problem.name}, arrays of a step, against numpy", *sizes, "KB")]


def _peak(sizes, n, side):
    """Train in a new process; return by how many MB its memory grew at most (as Linux counts it)."""
    program = f"""
from tests.benchmarks.deep import Problem

def kilobytes(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

Problem([2, 2, 1], 4).{side}()()  # whatever is imported or set up once
open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
before = kilobytes("VmRSS")
step = Problem({sizes!r}, {n}).{side}()
for _ in range(30):
    step()
print((kilobytes("VmHWM") - before) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout)


if __name__ == "__main__":
    begin = time.perf_counter()
    print_table(rows())
    print(f"{time.perf_counter() - begin:.0f} s")
