"""How fast a function moves when its input does, found by moving the input: plain numbers, nothing remembered.

It is the ground floor: what the engine above computes in one walk can be checked here, one nudge at a time. Its
lesson is `docs/autograd/derivative.md`.
"""

import math
import numbers
import sys

STEP = sys.float_info.epsilon ** (1 / 3)  # 6e-6: docs/autograd/gradcheck.md measures why


def slope(f, x, nudge):
    """Tell how far `f` moves, per unit of nudge: rise over run.

    Parameters
    ----------
    f : callable
        Takes a number and returns one.
    x, nudge : float
        Where to stand, and how far to step; to the left if `nudge` is negative.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If `f` is not a function from a number to a number, or `x` is no number.
    ValueError
        If the nudge is so small that `x` stays where it is, or either end of it is not finite.

    Examples
    --------
    >>> slope(lambda x: x**2, 3.0, nudge=1.0), slope(lambda x: x**2, 3.0, nudge=-1.0)
    (7.0, 5.0)
    """
    _refuse(f, x=x)
    moved = x + nudge
    if not math.isfinite(moved - x):
        raise ValueError(f"a nudge of {nudge} from {x} leads nowhere: take a smaller, finite one")
    if moved == x:
        raise ValueError(f"a nudge of {nudge} leaves {x} where it is: take a larger one")
    rise = _height(f, moved) - _height(f, x)
    return rise / (moved - x)  # the distance that rounding left, not the one we asked for


def derivative(f, x, step=STEP):
    """Find the slope of `f` at `x` itself: a nudge to the right and one to the left, rise over run.

    Parameters
    ----------
    f : callable
        Takes a number and returns one.
    x : float
        Where to stand.
    step : float, optional
        The nudge, in the unit of `x`; for an `x` beyond 1 it grows in proportion.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        As `slope` does.

    Notes
    -----
    This is the central difference. What is wrong with it shrinks with the square of the step, until rounding takes
    over: Press et al., Numerical Recipes, section 5.7.

    Examples
    --------
    >>> round(derivative(lambda x: x**2, 3.0), 6)
    6.0
    """
    _refuse(f, x=x)
    nudge = step * max(1.0, abs(x))
    return slope(f, x - nudge, nudge=2 * nudge)


def gradient(f, *point, step=STEP):
    """Find the slope of `f` by each of its inputs: turn one knob at a time, hold the others still.

    Parameters
    ----------
    f : callable
        Takes as many numbers as `point` has and returns one.
    *point : float
        Where to stand.
    step : float, optional
        As in `derivative`.

    Returns
    -------
    list of float
        The partial derivatives, in the order of the inputs. Each costs two runs of `f`.

    Raises
    ------
    TypeError, ValueError
        As `slope` does, of the first input that is no finite number: `point[0]`, `point[1]`, ...

    Examples
    --------
    >>> [round(rate, 6) for rate in gradient(lambda w, b: w * 2 + b, 3.0, 1.0)]
    [2.0, 1.0]
    """

    _refuse(f, **{f"point[{i}]": x for i, x in enumerate(point)})

    def knob(i):
        return lambda x: f(*point[:i], x, *point[i + 1 :])

    return [derivative(knob(i), x, step) for i, x in enumerate(point)]


def _height(f, x):
    y = f(x)
    if not isinstance(y, numbers.Real):
        raise TypeError(f"f: expected a function that returns a number, got {y!r} at {x}")
    return y


def _refuse(f, **places):
    """Refuse what is no function, and what is no number to stand on, by name."""
    if not callable(f):
        raise TypeError(f"f: expected a function, got {f!r}")
    for name, x in places.items():
        if not isinstance(x, numbers.Real):
            raise TypeError(f"{name}: expected a number, got {type(x).__name__}: {x!r}")
        if not math.isfinite(x):
            raise ValueError(f"{name}: expected a finite number, got {x}")
