"""A second opinion on every gradient: what `backward` says, against what nudging says.

Its lesson is `docs/autograd/gradcheck.md`.
"""

import functools
import inspect
import math
import sys
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

from microlearn.autograd.derivative import STEP, slope
from microlearn.autograd.value import Value

KINK = 1e-3  # how large a bend has to be, as a part of the slope, to be called a corner


def gradcheck(f, *inputs, step=STEP, tolerance=1e-6):
    """Compare the gradients of `backward` with central differences.

    Parameters
    ----------
    f : callable
        Takes as many Values as there are inputs and returns one.
    *inputs : float or Value
        Where to look. Values are copied: nothing is changed in them.
    step : float, optional
        How far to nudge, as in `derivative`.
    tolerance : float, optional
        How far apart the two may be, relative to the larger one, beyond what rounding and the step explain.

    Returns
    -------
    Report
        True where every gradient agrees. Its text names the inputs that do not, with both numbers.

    Raises
    ------
    TypeError
        If `f` is not a function, returns no Value, or there is nothing to check.
    ValueError
        If `f` gives two results at one point, or none a nudge away.

    Notes
    -----
    A slope from the left and one from the right come closer to each other as the step shrinks, in proportion, where a
    curve is smooth. Where they do not, there is a corner, and no derivative to compare with. Source: the definition
    of the derivative as a limit; PyTorch's `gradcheck` compares in the same way and does not look for corners.

    Examples
    --------
    >>> print(gradcheck(lambda a, b: a * b, 2.0, -3.0))
    every gradient agrees
      a = 2: backward -3, nudged -3
      b = -3: backward 2, nudged 2
    >>> print(gradcheck(lambda x: x.relu(), 0.0))
    1 of 1 cannot be checked
      x = 0: a corner, here or a nudge away
        slope 0 to the left, 1 to the right
        so there is no derivative to compare with
    """
    if not callable(f):
        raise TypeError(f"gradcheck takes the function itself, then its inputs; this is no function: {f!r}")
    if not inputs:
        raise TypeError("there is nothing to check: give the inputs after the function, gradcheck(f, 2.0)")
    point = [x.data if isinstance(x, Value) else Value(x).data for x in inputs]
    leaves = [Value(x) for x in point]
    result = _call(f, leaves)
    result.backward()
    again = _call(f, [Value(x) for x in point]).data
    if again != result.data and again == again:
        raise ValueError(f"f gives {result.data} and then {again} at the same point: take out what is random")

    def along(i):
        """Let one input move, and hold the others still."""
        return lambda x: _call(f, [Value(x if j == i else still) for j, still in enumerate(point)]).data

    names = _names(f, inputs)
    return Report([_row(names[i], along(i), leaf, step, tolerance) for i, leaf in enumerate(leaves)])


class Row(NamedTuple):
    """What was found at one input."""

    name: str
    x: float
    backward: float
    nudged: float
    left: float  # the slope from the left, and the one from the right
    right: float
    verdict: str  # "agrees", "disagrees" or "corner"

    def __str__(self):
        line = f"{self.name} = {self.x:g}: "
        if self.verdict == "agrees":
            return line + f"backward {_short(self.backward)}, nudged {_short(self.nudged)}"
        if self.verdict == "corner":
            return line + (
                "a corner, here or a nudge away\n"
                f"    slope {_short(self.left)} to the left, {_short(self.right)} to the right\n"
                f"    so there is no derivative to compare with"
            )
        apart = abs(self.backward - self.nudged)
        share = apart / max(abs(self.backward), abs(self.nudged))
        how = f"{apart:.4g} apart, {share:.2g} of the larger" if apart < math.inf else "one of them is no number"
        return line + f"backward {self.backward:.9g}, nudged {self.nudged:.9g}\n    {how}"


class Report:
    """What was found at each input: true where every gradient agrees, and a text that names those that do not.

    Attributes
    ----------
    rows : list of Row
    """

    def __init__(self, rows):
        self.rows = rows

    def __bool__(self):
        return all(row.verdict == "agrees" for row in self.rows)

    def __repr__(self):
        found = Counter(row.verdict for row in self.rows)
        wrong = f"{found['disagrees']} of {len(self.rows)} gradients disagree" if found["disagrees"] else ""
        corner = f"{found['corner']} of {len(self.rows)} cannot be checked" if found["corner"] else ""
        heading = ", ".join(filter(None, [wrong, corner])) or "every gradient agrees"
        return "\n  ".join([heading, *map(str, self.rows)])


def _row(name, f, leaf, step, tolerance):
    """Compare the gradient of one leaf with the slopes of `f`, which computes with that leaf alone."""
    x, backward = leaf.data, leaf.grad
    f = functools.cache(f)
    nudge = step * max(1.0, abs(x))
    if not (nudge > 0 and x + nudge / 4 != x):
        raise ValueError(f"step={step:g} does not move {name} = {x:g}: give a larger one")
    try:
        whole, half, quarter = (_sides(f, x, nudge / part) for part in (1, 2, 4))
    except (ValueError, ArithmeticError) as error:
        advice = "move it, or give a smaller step"
        raise ValueError(f"{name} = {x:g}: f has no value a nudge of {nudge:.2g} away, {advice} ({error})") from error
    left, right = whole
    nudged = (left + right) / 2
    rounding = 4 * sys.float_info.epsilon * abs(f(x)) / (nudge / 4)
    bends = [right - left for left, right in (whole, half, quarter)]
    if any(abs(smaller - bend / 2) > rounding + KINK * max(map(abs, whole)) for bend, smaller in pairwise(bends)):
        return Row(name, x, backward, nudged, left, right, "corner")
    curvature = 4 / 3 * abs(nudged - sum(half) / 2)  # what is wrong with the nudged slope shrinks to a quarter
    close = abs(backward - nudged) <= tolerance * max(abs(backward), abs(nudged)) + rounding + curvature
    return Row(name, x, backward, nudged, left, right, "agrees" if close else "disagrees")


def _sides(f, x, nudge):
    return slope(f, x, -nudge), slope(f, x, nudge)


def _call(f, leaves):
    result = f(*leaves)
    if not isinstance(result, Value):
        raise TypeError(
            f"f returned {result!r}: build the result from the Values that f is given, without .data or math"
        )
    return result


def _names(f, inputs):
    """Name the inputs: by their labels, by the parameters of `f`, or by their place."""
    try:
        parameters = [
            p.name
            for p in inspect.signature(f).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except ValueError:  # some functions written in C
        parameters = []
    places = [*parameters, *(f"input {i + 1}" for i in range(len(parameters), len(inputs)))]
    return [getattr(x, "label", "") or place for x, place in zip(inputs, places, strict=False)]


def _short(x):
    return f"{x + 0.0:.6g}"
