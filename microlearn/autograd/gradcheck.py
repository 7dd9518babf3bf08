"""A second opinion on every gradient: what `backward` says, against what nudging says.

Its lesson is `docs/autograd/gradcheck.md`.
"""

import functools
import inspect
import itertools
import math
import numbers
import sys
from collections import Counter
from typing import NamedTuple

from microlearn.autograd._words import names, number
from microlearn.autograd.backward import topological_order
from microlearn.autograd.derivative import STEP, slope
from microlearn.autograd.value import Value

SHAPES = {"corner": "a corner (or a bend as sharp)", "jump": "a jump (or a climb as steep)"}
KINK = 1e-3  # how large a bend has to be, as a part of the slope, to be called a corner
FLAT = 1e-5  # a slope below this counts as this: x**4 and relu(x)**2 at 0 have no corner
SEEN = 0.1  # how far apart the two may be, as a part of the larger, for their agreement to mean anything


def gradcheck(f, *inputs, step=STEP, tolerance=1e-6):
    """Compare the gradients of `backward` with central differences.

    Parameters
    ----------
    f : callable
        Takes as many Values as there are inputs and returns one; or Tensors, and returns one of a single number.
    *inputs : float, Value or Tensor
        Where to look. Values and Tensors are copied, so theirs stay as they are. (Others that `f` uses are not checked,
        and gather gradients as in any backward pass.) Each number of a Tensor is checked; it has to be of float64,
        because the 7 digits of float32 leave a nudged slope with 2 or 3.
    step : float, optional
        How far to nudge, as in `derivative`.
    tolerance : float, optional
        How far apart the two may be, relative to the larger one, beyond what rounding and the step explain.

    Returns
    -------
    Report
        True where every gradient was seen to agree. Its text names the inputs that do not, with both numbers.

    Raises
    ------
    TypeError
        If `f` is not a function, returns no Value, or there is nothing to check.
    ValueError
        If an input is not finite, or of float32; if the step does not move it, if `f` uses none of the inputs, gives
        two results at one point, or no finite one there or a nudge away; or if the tolerance is no number of 0 or more.

    Notes
    -----
    Where a curve is smooth, its slopes to the left and to the right approach each other in proportion as the nudge
    shrinks. Where they do not, there is a corner, and no derivative to compare with. PyTorch's `gradcheck` compares
    in the same way and does not look for corners.

    Examples
    --------
    >>> print(gradcheck(lambda a, b: a * b, 2.0, -3.0))
    every gradient agrees
      a = 2: backward -3, nudged -3
      b = -3: backward 2, nudged 2
    >>> print(gradcheck(lambda x: x.relu(), 0.0))
    1 of 1 cannot be checked
      x = 0: slope 0 to the left, 1 to the right
        a corner (or a bend as sharp) within 6.1e-06
    """
    if not callable(f):
        raise TypeError(f"gradcheck takes the function itself, then its inputs; this is no function: {f!r}")
    if not inputs:
        raise TypeError("there is nothing to check: give the inputs after the function, gradcheck(f, 2.0)")
    if not (isinstance(tolerance, numbers.Real) and 0.0 <= float(tolerance) < math.inf):
        raise ValueError(f"tolerance: expected a finite number of 0 or more, got {tolerance!r}")
    labels = _labels(f, inputs)
    leaves = [_copy(x, label) for x, label in zip(inputs, labels, strict=True)]

    def along(i, place):
        """Let one number move, and hold the others still."""

        def moved(x):
            others = [_copy(leaf) for leaf in leaves]
            _set(others[i], place, x)
            return _call(f, others)

        return functools.cache(moved)

    result = _call(f, leaves)
    result.backward()
    first, again = _number(result), _number(_call(f, [_copy(leaf) for leaf in leaves]))
    if again != first and again == again:
        raise ValueError(f"f gives {first} and then {again} at the same point: take out what is random")
    spots = []
    for i, (name, leaf) in enumerate(zip(_names(leaves, labels), leaves, strict=True)):
        for place in _places(leaf):
            spots.append((name + (f"{list(place)}" if place else ""), _read(leaf.data, place), leaf, i, place))
    for name, x, *_ in spots:
        if not math.isfinite(x):
            raise ValueError(f"{name} = {x}: a slope needs a finite number to stand on")
    rows = [
        _row(name, x, _read(leaf.grad, place), along(i, place), step, tolerance) for name, x, leaf, i, place in spots
    ]
    used = {parent for node in topological_order(result) for parent in node.parents}
    if used.isdisjoint(leaves) and not any(row.nudged for row in rows):
        raise ValueError("f uses none of its inputs: build the result from the Values it is given, not from others")
    return Report(rows)


class Row(NamedTuple):
    """What was found at one input."""

    name: str
    x: float
    backward: float
    nudged: float
    left: float  # the slope from the left, and the one from the right
    right: float
    nudge: float
    blur: float  # how far from the true slope the nudged one may be
    verdict: str  # "agrees", "disagrees", "corner", "jump" or "blurred"

    def __str__(self):
        line = f"{self.name} = {number(self.x)}: "
        apart, larger = abs(self.backward - self.nudged), max(abs(self.backward), abs(self.nudged))
        if self.verdict in SHAPES:
            sides = f"slope {number(self.left)} to the left, {number(self.right)} to the right"
            return f"{line}{sides}\n    {SHAPES[self.verdict]} within {self.nudge:.2g}"
        if self.verdict != "disagrees":
            line += f"backward {number(self.backward)}, nudged {number(self.nudged)}"
            line += f" (give or take {self.blur:.1g})" if self.blur > (1e-3 * larger or FLAT) else ""
            cure = "\n    rounding or the step hides this slope:\n    check a smaller part of f, or another step"
            return line + cure if self.verdict == "blurred" else line
        how = f"{apart:.4g} apart, {apart / larger:.2g} of the larger" if apart < math.inf else "no number to compare"
        return f"{line}backward {self.backward:.9g}, nudged {self.nudged:.9g}\n    {how}"


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
        unseen = len(self.rows) - found["agrees"] - found["disagrees"]
        counts = (found["disagrees"], "gradients disagree"), (unseen, "cannot be checked")
        heading = ", ".join(f"{count} of {len(self.rows)} {what}" for count, what in counts if count)
        return "\n  ".join([heading or "every gradient agrees", *map(str, self.rows)])


def _row(name, x, backward, f, step, tolerance):
    """Compare the gradient of one number with the slopes of `f`, which moves it alone."""
    nudge = step * max(1.0, abs(x))
    sides, rounding = _look(name, x, f, nudge)
    left, right = sides[0]
    nudged, closer, _ = (sum(pair) / 2 for pair in sides)
    bends = [right - left for left, right in sides]

    # On a smooth curve, half the nudge leaves half of the bend ...
    kink = max(abs(half - bend / 2) for bend, half in itertools.pairwise(bends))
    corner = kink > KINK * max(abs(left), abs(right), FLAT) + 20 * rounding
    jump = max(map(abs, bends)) > 1.5 * abs(bends[0])  # half the nudge doubles it

    # ... and a quarter of what is wrong with a central difference, or half where the bend itself sets in.
    blur = rounding + 2 * kink + 2 * abs(nudged - closer)
    blur = blur if blur < math.inf else math.inf  # nan, too
    apart, larger = abs(backward - nudged), max(abs(backward), abs(nudged))
    agrees = apart <= tolerance * larger + blur and apart < math.inf
    blurred = agrees and (blur == math.inf or (larger > FLAT and apart > max(SEEN, tolerance) * larger))
    seen = "blurred" if blurred else "agrees" if agrees else "disagrees"
    verdict = ("jump" if jump else "corner") if corner else seen
    return Row(name, x, backward, nudged, left, right, nudge, blur, verdict)


def _look(name, x, f, nudge):
    """Find the slopes to the left and right for three nudges, and what rounding does to them."""
    if not x - nudge / 4 < x < x + nudge / 4:
        raise ValueError(f"a nudge of {nudge:g} does not move {name} = {x:g}: give a larger step")

    def height(x):
        y = _number(f(x))
        if not math.isfinite(y):
            raise ArithmeticError(f"it is {y} at {x:g}")
        return y

    try:
        sides = [(slope(height, x, -n), slope(height, x, n)) for n in (nudge, nudge / 2, nudge / 4)]
        rounding = max(_rounding(f(x + move)) for move in (-nudge, 0.0, nudge)) / nudge
    except (ValueError, ArithmeticError) as error:
        cure = f"move {name}, or give a smaller step ({error})"
        raise ValueError(f"{name} = {x:g}: f has no value within {nudge:.2g} of it, {cure}") from error
    return sides, rounding


def _rounding(result):
    """Bound what rounding does to a result: each last digit arrives times its gradient."""
    result.backward()
    last_digits = (_total(abs(node.data * node.grad)) for node in topological_order(result))
    return sys.float_info.epsilon * sum(last_digits)


def _call(f, inputs):
    result = f(*inputs)
    if not hasattr(result, "pass_gradient_on"):
        given = "Tensors" if any(map(_is_array, inputs)) else "Values"
        raise TypeError(f"f returned {result!r}: build the result from the {given} it is given, not from .data or math")
    if _is_array(result) and result.data.size != 1:
        raise ValueError(f"f returned numbers of shape {result.data.shape}: add them up, with .sum()")
    return result


# A Value holds one number, a Tensor an array of them; this file knows arrays by their shape, and needs no numpy.


def _is_array(x):
    return hasattr(getattr(x, "data", None), "shape") and hasattr(x, "pass_gradient_on")


def _copy(x, label=""):
    if not _is_array(x):
        return Value(x.data if isinstance(x, Value) else x, label or getattr(x, "label", ""))
    if x.data.dtype != "float64":
        raise ValueError(f"{label}: expected float64, got {x.data.dtype}: give Tensor(..., dtype='float64')")
    return type(x)(x.data, requires_grad=True, dtype=x.data.dtype)


def _places(leaf):
    return itertools.product(*map(range, leaf.data.shape)) if _is_array(leaf) else [()]


def _set(leaf, place, x):
    if _is_array(leaf):
        leaf.data[place] = x
    else:
        leaf.data = x


def _read(numbers, place):
    """Take one number; what nothing depends on has no gradient, which is one of 0."""
    return 0.0 if numbers is None else float(numbers[place]) if hasattr(numbers, "shape") else numbers


def _number(result):
    return result.data.item() if _is_array(result) else result.data


def _total(numbers):
    return float(numbers.sum()) if hasattr(numbers, "sum") else numbers


def _names(leaves, labels):
    return labels if any(map(_is_array, leaves)) else names(leaves)


def _labels(f, inputs):
    """Name the inputs: by their labels, by the parameters of `f`, or by their place."""
    try:
        parameters = [p.name for p in inspect.signature(f).parameters.values() if p.kind <= p.POSITIONAL_OR_KEYWORD]
    except ValueError:  # some functions written in C
        parameters = []
    places = [*parameters, *(f"input {i + 1}" for i in range(len(parameters), len(inputs)))]
    return [getattr(x, "label", "") or place for x, place in zip(inputs, places, strict=False)]
