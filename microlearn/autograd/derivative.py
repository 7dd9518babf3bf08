"""How fast a function moves when its input does, found by moving the input: plain numbers, nothing remembered.

It is the ground floor: what the engine above computes in one walk can be checked here, one nudge at a time. Its
lesson is `docs/autograd/derivative.md`.
"""

import math
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
    ValueError
        If the nudge is so small that `x` stays where it is, or either end of it is not finite.

    Examples
    --------
    >>> slope(lambda x: x**2, 3.0, nudge=1.0), slope(lambda x: x**2, 3.0, nudge=-1.0)
    (7.0, 5.0)
    """
    moved = x + nudge
    if not math.isfinite(moved - x):
        raise ValueError(f"a nudge of {nudge} from {x} leads nowhere: begin at a finite number")
    if moved == x:
        raise ValueError(f"a nudge of {nudge} leaves {x} where it is: take a larger one")
    return (f(moved) - f(x)) / (moved - x)  # the distance that rounding left, not the one we asked for


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
    ValueError
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

    Examples
    --------
    >>> [round(rate, 6) for rate in gradient(lambda w, b: w * 2 + b, 3.0, 1.0)]
    [2.0, 1.0]
    """

    def knob(i):
        return lambda x: f(*point[:i], x, *point[i + 1 :])

    return [derivative(knob(i), x, step) for i, x in enumerate(point)]
