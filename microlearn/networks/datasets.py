"""Points in a plane and their labels, made by rule and by seed; and a picture of what a network makes of them.

Its lesson is `docs/networks/datasets.md`.
"""

import math
import operator

from microlearn.networks._checks import asked, finite, points, random_source, whole
from microlearn.networks._picture import Picture


def moons(n=100, noise=0.1, seed=0):
    """Make two half circles that reach into each other.

    Parameters
    ----------
    n : int, optional
        How many points; one half of them, rounded down, is the upper moon.
    noise : float, optional
        The standard deviation of what is added to each coordinate.
    seed : int, optional
        The same seed, the same points in the same order.

    Returns
    -------
    X : list of [float, float]
    y : list of int
        0 for the upper moon and 1 for the lower one. Without noise these are the points of scikit-learn's
        `make_moons`.

    Raises
    ------
    TypeError, ValueError
        If `n` is not a whole number of at least 2, or `noise` not a finite number of at least 0.

    Examples
    --------
    >>> X, y = moons(4, noise=0.0)
    >>> sorted(zip(y, [[round(x, 3) for x in point] for point in X]))
    [(0, [-1.0, 0.0]), (0, [1.0, 0.0]), (1, [0.0, 0.5]), (1, [2.0, 0.5])]
    """
    upper, lower = _halves(n)
    places = [(math.cos(a), math.sin(a)) for a in _evenly(math.pi, upper, end=True)]
    places += [(1.0 - math.cos(a), 0.5 - math.sin(a)) for a in _evenly(math.pi, lower, end=True)]
    return _scattered(places, [0] * upper + [1] * lower, noise, seed)


def circles(n=100, noise=0.03, seed=0, factor=0.8):
    """Make a circle around a smaller one.

    Parameters
    ----------
    n, noise, seed
        As for `moons`.
    factor : float, optional
        The radius of the inner circle; that of the outer one is 1.

    Returns
    -------
    X : list of [float, float]
    y : list of int
        0 for the outer circle and 1 for the inner one. Without noise these are the points of scikit-learn's
        `make_circles`.

    Raises
    ------
    TypeError, ValueError
        As for `moons`; or if `factor` is not between 0 and 1.

    Examples
    --------
    >>> X, y = circles(4, noise=0.0, factor=0.5)
    >>> sorted(round(math.hypot(*point), 3) for point in X)
    [0.5, 0.5, 1.0, 1.0]
    """
    factor = finite("factor", factor, least=0.0, below=1.0, expected="a radius from 0 to less than 1")
    outer, inner = _halves(n)
    places = [(math.cos(a), math.sin(a)) for a in _evenly(math.tau, outer)]
    places += [(factor * math.cos(a), factor * math.sin(a)) for a in _evenly(math.tau, inner)]
    return _scattered(places, [0] * outer + [1] * inner, noise, seed)


def xor(n=100, noise=0.1, seed=0):
    """Make four clouds at the corners of a square; those that lie diagonally opposite have the same label.

    Parameters
    ----------
    n, noise, seed
        As for `moons`.

    Returns
    -------
    X : list of [float, float]
        Around (-1, -1), (1, 1), (-1, 1) and (1, -1), in turn.
    y : list of int
        1 where the two coordinates of the corner differ in sign, as for the exclusive or.

    Raises
    ------
    TypeError, ValueError
        As for `moons`.

    Examples
    --------
    >>> X, y = xor(4, noise=0.0)
    >>> sorted(zip(X, y))
    [([-1.0, -1.0], 0), ([-1.0, 1.0], 1), ([1.0, -1.0], 1), ([1.0, 1.0], 0)]
    """
    n = whole("n", n, least=2)
    corners = [(-1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (1.0, -1.0)]
    places = [i % 4 for i in range(n)]
    return _scattered([corners[place] for place in places], [int(place > 1) for place in places], noise, seed)


def spiral(n=100, noise=0.02, seed=0, classes=2):
    """Make arms that wind once around each other, from near the middle out to a radius of 1.

    Parameters
    ----------
    n, noise, seed
        As for `moons`.
    classes : int, optional
        How many arms.

    Returns
    -------
    X : list of [float, float]
    y : list of int
        The number of the arm, counted from 0.

    Raises
    ------
    TypeError, ValueError
        As for `moons`; or if `classes` is not a whole number from 2 to `n`.

    Examples
    --------
    >>> X, y = spiral(90, classes=3)
    >>> [y.count(arm) for arm in range(3)]
    [30, 30, 30]
    """
    n, classes = whole("n", n, least=2), whole("classes", classes, least=2)
    if classes > n:
        raise ValueError(f"classes: expected 2 to {n}, the number of points, got {classes}")
    places, y = [], []
    for arm in range(classes):
        count = n // classes + (arm < n % classes)
        for i in range(count):
            radius = 0.1 + 0.9 * i / max(count - 1, 1)
            angle = math.tau * (radius + arm / classes)
            places.append((radius * math.cos(angle), radius * math.sin(angle)))
            y.append(arm)
    return _scattered(places, y, noise, seed)


def _halves(n):
    n = whole("n", n, least=2)
    return n // 2, n - n // 2


def _evenly(length, count, end=False):
    """Divide a length into even steps, from 0 on; `end` says whether the last one ends there."""
    steps = max(count - 1, 1) if end else count
    return [length * i / steps for i in range(count)]


def _scattered(places, y, noise, seed):
    """Move every coordinate by a random amount, and shuffle the points, so that any slice of them is a fair sample."""
    noise = finite("noise", noise, least=0.0, expected="a standard deviation of 0 or more")
    rng = random_source(seed)
    pairs = [([x + rng.gauss(0.0, noise) for x in place], label) for place, label in zip(places, y, strict=True)]
    rng.shuffle(pairs)
    return [point for point, _ in pairs], [label for _, label in pairs]


def scatter(X, y, model=None, boundary=0.0):
    """Draw labelled points, and the regions in which a model answers with one label or another.

    Parameters
    ----------
    X : list of [float, float]
    y : list of int
        Labels, counted from 0.
    model : callable, optional
        Answers a point with a score, which is above the boundary where it means label 1, or with a list that has a
        score for each label. It is asked now: what it learns later is not in the picture.
    boundary : float, optional
        As for `accuracy`.

    Returns
    -------
    Picture
        It shows itself as SVG on a page or in a notebook, and prints as a sentence.

    Raises
    ------
    TypeError, ValueError
        If there are no points, not as many labels, points that do not lie in a plane, or labels that are not numbers
        from 0 on.

    Examples
    --------
    >>> X, y = xor(20)
    >>> scatter(X, y, lambda x: -x[0] * x[1])
    <Picture of 20 points: 10 of label 0, 10 of label 1. The model is right about 20 of them.>
    """
    X, y = points(X, y)
    for i, (point, label) in enumerate(zip(X, y, strict=True)):
        if len(point) != 2:
            raise ValueError(f"X[{i}]: expected two numbers, a place in a plane, got {len(point)}")
        try:
            y[i] = operator.index(label)
        except TypeError:
            y[i] = -1
        if y[i] < 0:
            raise ValueError(f"y[{i}]: expected a label, a whole number from 0 on, got {label!r}")
    if not all(math.isfinite(max(column) - min(column)) for column in zip(*X, strict=True)):
        raise ValueError("X: expected points that can be drawn, and these lie too far apart to be drawn")
    return Picture(X, y, model if model is None else asked(model), boundary)
