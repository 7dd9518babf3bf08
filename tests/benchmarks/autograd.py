"""Our Value against micrograd's, on the same graphs, in the same process: time and memory."""

import random
import statistics
import tracemalloc
from functools import partial

import pytest
from micrograd.engine import Value as Micrograd

from microlearn import Value
from microlearn.autograd import draw, gradcheck, gradient, trace
from tests.benchmarks.table import Row, alternate, print_table, rows_of, seconds


def layers(leaves, width=16, depth=4):
    """Four layers of sixteen neurons made of `+`, `*` and relu alone, one node for every sum and product."""
    numbers = iter(leaves)
    signals = [next(numbers) for _ in range(width)]
    for _ in range(depth):
        signals = [sum((next(numbers) * x for x in signals), next(numbers)).relu() for _ in range(width)]
    return sum(signals)


def chain(leaves, links=120):
    """Walk along a chain in which every link is used twice; shorter than the recursion that micrograd allows."""
    link = leaves[0]
    for i in range(links):
        scaled = link * leaves[1 + i % (len(leaves) - 1)]
        link = scaled + link * 0.5 - scaled * scaled * 0.01
    return link


GRAPHS = {
    "layers (4 x 16 wide)": (layers, 16 + 4 * 16 * 17),
    "chain (120 links, reused)": (chain, 20),
}


def numbers_for(count):
    rng = random.Random(0)
    return [rng.uniform(-0.5, 0.5) for _ in range(count)]


def forward_and_backward(kind, graph, numbers):
    """Make the leaves, the graph on top of them and its gradients; return the seconds of the last two."""
    leaves = [kind(x) for x in numbers]
    result, forward = seconds(graph, leaves)
    _, backward = seconds(result.backward)
    return forward, backward


def step(kind, graph, numbers):
    """Return the seconds of forward, of backward, and of the whole step: with the leaves, and with freeing it all."""
    parts, whole = seconds(forward_and_backward, kind, graph, numbers)
    return *parts, whole


def assert_same(graph, numbers):
    """Refuse to time two engines that do not compute the same."""
    outcomes = []
    for kind in (Value, Micrograd):
        leaves = [kind(x) for x in numbers]
        result = graph(leaves)
        result.backward()
        outcomes.append([result.data, *(leaf.grad for leaf in leaves)])
    assert outcomes[0] == pytest.approx(outcomes[1], rel=1e-9, abs=1e-12)


def bytes_per_node(kind, links=2000):
    """Measure what one more sum costs in memory, all that hangs on it included."""
    one = kind(1.0)
    nodes = [one] * links
    tracemalloc.start()
    for i in range(links):
        nodes[i] = one + one
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / links


def rows():
    """Measure everything; a row for each comparison."""
    table = []
    for name, (graph, count) in GRAPHS.items():
        numbers = numbers_for(count)
        assert_same(graph, numbers)
        times = alternate(partial(step, Value, graph, numbers), partial(step, Micrograd, graph, numbers))
        table += rows_of(name, ("forward", "backward", "whole step"), *times)
    table.append(Row("memory of a node", bytes_per_node(Value), bytes_per_node(Micrograd), "bytes"))
    return [*table, *slopes_of_many_inputs(), *looking_at_a_graph()]


def slopes_of_many_inputs(count=100):
    """Ask for all slopes of one result: by one backward pass, and by nudging each input of the same plain function."""

    def error(*weights):
        total = -1.0
        for place, w in enumerate(weights):
            total = w * (place / count) + total
        return total * total

    def walked():
        leaves = [Value(x) for x in numbers]
        error(*leaves).backward()
        return [leaf.grad for leaf in leaves]

    numbers = numbers_for(count)
    nudged = partial(gradient, error, *numbers)
    assert walked() == pytest.approx(nudged(), rel=1e-5, abs=1e-9)
    times = alternate(lambda: (seconds(walked)[1],), lambda: (seconds(nudged)[1],), blocks=5, repetitions=10)
    return rows_of(f"slopes by {count} inputs", ["one walk back, against nudging"], *times)


def looking_at_a_graph():
    """Show graphs as tables, pictures and checks; nobody else's engine does the same, so there is no ratio."""
    graph, count = GRAPHS["chain (120 links, reused)"]
    leaves = [Value(x) for x in numbers_for(count)]
    long, short = graph(leaves), graph(leaves, links=8)

    def small(*inputs):
        return graph(inputs, links=8).tanh()

    looks = {
        f"trace of {len(trace(long).nodes)} nodes": lambda: trace(long)._repr_html_(),
        f"draw of {len(trace(short).nodes)} nodes": lambda: draw(short, slopes=True)._repr_svg_(),
        f"draw of {len(trace(long).nodes)} nodes, folded": lambda: draw(long)._repr_svg_(),
        f"gradcheck of {count} inputs": lambda: gradcheck(small, *numbers_for(count)),
    }
    return [
        Row(name, 1000 * statistics.median(seconds(look)[1] for _ in range(9)), None, "ms")
        for name, look in looks.items()
    ]


if __name__ == "__main__":
    print_table(rows())
