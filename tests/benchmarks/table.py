"""The one table that every benchmark is printed in, and the one way in which two rivals are timed."""

import statistics
import time
from typing import NamedTuple


class Row(NamedTuple):
    """What we take and what the peer takes, where there is one, in the same unit. Less is better."""

    name: str
    ours: float
    peer: float | None
    unit: str


def alternate(ours, peer, blocks=9, repetitions=40):
    """Time two functions in turn, block by block; return what each call of each returned.

    Blocks and not single calls: rivals that take turns call by call disturb one another. Turns and
    not one after the other: a machine that slows down meanwhile slows both down.

    Returns
    -------
    two lists of the functions' results, `blocks * repetitions` long
    """
    results = [], []
    for _ in range(blocks):
        for function, collected in zip((ours, peer), results, strict=True):
            collected.extend(function() for _ in range(repetitions))
    return results


def seconds(function, *args):
    """Return what a function returns and how long it took."""
    start = time.perf_counter()
    result = function(*args)
    return result, time.perf_counter() - start


def rows_of(name, parts, ours, peer, unit="ms"):
    """Make a row for each part of a measurement, from the median of its times in seconds."""
    medians = [[1000 * statistics.median(times) for times in zip(*runs, strict=True)] for runs in (ours, peer)]
    return [Row(f"{name}, {part}", *pair, unit) for part, *pair in zip(parts, *medians, strict=True)]


def print_table(rows):
    """Print aligned columns; `ratio` is how many times as much the peer takes."""
    width = max(len(row.name) for row in rows)
    print(f"{'':{width}} {'ours':>10} {'peer':>10} {'ratio':>7}")
    for name, ours, peer, unit in rows:
        compared = f"{peer:10.3f} {peer / ours:7.2f}" if peer is not None else " " * 18
        print(f"{name:{width}} {ours:10.3f} {compared}  {unit}")
