"""Our networks against micrograd's: its own demo, step by step, in the same process."""

import statistics
import tracemalloc

import pytest

from microlearn import Value
from microlearn.networks import MLP, binary_cross_entropy, moons, weighted_sum
from tests.benchmarks.table import Row, alternate, print_table, rows_of, seconds
from tests.networks import micrograd_demo


def rows():
    """Measure everything; a row for each comparison."""
    return [*demo(), *one_node_for_many(), *parts_of_a_step()]


def demo(blocks=10):
    """Run all steps of micrograd's moons demo in both engines, ten of one and ten of the other in turn."""
    X, y = moons(100, noise=0.1, seed=1337)
    runs = micrograd_demo.ours(X, y), micrograd_demo.micrograd(X, y)
    times, losses = ([], []), ([], [])
    for _ in range(blocks):
        for run, own_times, own_losses in zip(runs, times, losses, strict=True):
            for _ in range(micrograd_demo.STEPS // blocks):
                loss, took = seconds(next, run)
                own_times.append(took)
                own_losses.append(loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6, abs=1e-6)
    name = "micrograd's moons demo, 100 points, a step"
    return [
        Row(f"{name}, {word}", *(1000 * choose(own) for own in times), "ms")
        for word, choose in (("median", statistics.median), ("quickest", min), ("slowest", max))
    ]


def one_node_for_many(inputs=16):
    """A weighted sum as one node, against the same of `*` and `+`: forward, backward and freeing it."""
    weights, signals = ([Value(0.1 * i - 0.5) for i in range(inputs)] for _ in range(2))
    bias = Value(0.25)

    def composed(weights, signals, bias):
        return sum((w * x for w, x in zip(weights, signals, strict=True)), bias)

    def step(function):
        return seconds(lambda: function(weights, signals, bias).backward())[1:]

    times = alternate(lambda: step(weighted_sum), lambda: step(composed), repetitions=500)
    sizes = []
    for function in (weighted_sum, composed):
        tracemalloc.start()
        kept = [function(weights, signals, bias) for _ in range(100)]
        sizes.append(tracemalloc.get_traced_memory()[0] / len(kept))
        tracemalloc.stop()
    name = f"a weighted sum of {inputs}, one node, against many"
    return [*rows_of(name, ["forward and backward"], *times), Row(f"{name}, memory", *sizes, "bytes")]


def parts_of_a_step():
    """Where the time of a step goes, for a 2-16-16-1 network on 100 points; nobody to compare with."""
    X, y = moons(100)
    model = MLP(2, [16, 16, 1])
    forward, backward = [], []
    for _ in range(30):
        loss, took = seconds(lambda: binary_cross_entropy([model(x) for x in X], y))
        forward.append(took)
        backward.append(seconds(loss.backward)[1])
    return [
        Row(f"2-16-16-1 tanh, 100 points, {word}", 1000 * statistics.median(times), None, "ms")
        for word, times in (("forward", forward), ("backward", backward))
    ]


if __name__ == "__main__":
    print_table(rows())
