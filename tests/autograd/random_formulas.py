"""Random formulas for hypothesis, to be computed with Values, with plain floats and with PyTorch's tensors.

A formula is a list of steps. Each step applies one operation to results of earlier steps, any of which
may be used again and again; that is where a gradient rule goes wrong most easily.
"""

import math
import operator
from typing import NamedTuple

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st

from tests.autograd.expressions import larger, smaller

# The same formulas at every run: a test that fails today and not tomorrow teaches nobody.
REPEATABLE = settings(
    max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much]
)
DOMAIN_ERRORS = (ValueError, ZeroDivisionError, OverflowError)


class Earlier(NamedTuple):
    """An operand that is an input (they come first) or the result of an earlier step."""

    place: int


class Formula(NamedTuple):
    """The inputs, and the steps: the name of an operation and its operands."""

    inputs: list
    steps: list


# What Values and tensors do ...
OBJECTS = {
    "neg": operator.neg,
    "abs": abs,
    **{name: operator.methodcaller(name) for name in ("exp", "log", "tanh", "sigmoid", "relu")},
    **{"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow},
    **{"**number": operator.pow, "max": larger, "min": smaller},
}


def _away_from_corner(x):
    assume(abs(x) > 1e-3)
    return x


# ... and the same formulas for floats, which are to be differentiated numerically: so corners are left out.
FLOATS = {
    "neg": operator.neg,
    "abs": lambda x: abs(_away_from_corner(x)),
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "relu": lambda x: max(0.0, _away_from_corner(x)),
    **{"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv},
    "**": lambda x, y: math.exp(y * math.log(x)),
    "**number": math.pow,
    "max": lambda x, y: x if _away_from_corner(x - y) > 0 else y,
    "min": lambda x, y: x if _away_from_corner(x - y) < 0 else y,
}

_FUNCTIONS = st.sampled_from(["neg", "abs", "exp", "log", "tanh", "sigmoid", "relu"])
_OPERATORS = st.sampled_from(["+", "-", "*", "/", "**"])
_NUMBERS = st.integers(-3, 3) | st.integers(-30, 30).map(lambda tenths: tenths / 10)


def _steps(earlier):
    """One step over the `earlier` results; a number may stand on either side of an operator."""
    return st.one_of(
        st.tuples(_FUNCTIONS, earlier),
        st.tuples(_OPERATORS | st.sampled_from(["max", "min"]), earlier, earlier),
        st.tuples(_OPERATORS, _NUMBERS, earlier),
        st.tuples(st.sampled_from(["+", "-", "*", "/", "**number"]), earlier, _NUMBERS),
    )


@st.composite
def formulas(draw):
    inputs = draw(st.lists(st.integers(-300, 300).map(lambda hundredths: hundredths / 100), min_size=1, max_size=3))
    steps = []
    for size in range(len(inputs), len(inputs) + draw(st.integers(1, 6))):
        steps.append(draw(_steps(st.builds(Earlier, st.integers(0, size - 1)))))
    return Formula(inputs, steps)


def results_of(steps, inputs, operations):
    """Compute a formula: its inputs, followed by the result of every step."""
    results = list(inputs)
    for name, *operands in steps:
        numbers = (results[x.place] if isinstance(x, Earlier) else x for x in operands)
        results.append(operations[name](*numbers))
    return results


def total_of(steps, operations):
    """Make a function of the inputs: the sum of all results, so that none of them is idle."""
    return lambda *inputs: sum(results_of(steps, inputs, operations))
