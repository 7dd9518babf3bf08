"""Operations that make many numbers into few: sums, means, maxima, and the product of matrices, a sum of products.

`axis` and `keepdims` are numpy's; PyTorch calls them `dim` and `keepdim`. The lesson is `docs/deep/reductions.md`.
"""

import math

import numpy as np

from microlearn.deep._checks import constant, mismatch
from microlearn.deep._sums import total
from microlearn.deep._watch import operands
from microlearn.deep.tensor import Tensor, node, operation


@operation("sum")
def sum(x, axis=None, keepdims=False):
    """Add up along one axis, several, or all. Every number gets the gradient of the sum it went into.

    Parameters
    ----------
    x : Tensor
    axis : int, tuple of int or None, optional
        None adds up everything.
    keepdims : bool, optional
        Leave an axis of size 1 where each was, so that the result broadcasts against x.

    Raises
    ------
    ValueError
        If x has no such axis.
    """
    axis = _axes("sum", x, axis)
    shape = x.data.shape
    return node(total(x.data, axis, keepdims), (x,), (lambda g: _spread(g, axis, shape),), "sum")


@operation("mean")
def mean(x, axis=None, keepdims=False):
    """Average along one axis, several, or all, as `sum` adds up; a ValueError where there is nothing to average."""
    axis = _axes("mean", x, axis)
    shape = x.data.shape
    n = math.prod(shape[i] for i in axis)
    if not n:
        raise ValueError(f"mean: there is nothing to average in shape {shape}, along axis {axis}")
    return node(total(x.data, axis, keepdims) / n, (x,), (lambda g: _spread(g / n, axis, shape),), "mean")


@operation("max")
def max(x, axis=None, keepdims=False):
    """Find the largest number along one axis, several, or all; values only.

    Where several are largest they share the gradient, as in PyTorch's `amax`. `axis` and `keepdims` as for `sum`.

    Raises
    ------
    ValueError
        If there is nothing to choose from.
    """
    axis = _axes("max", x, axis)
    a = x.data
    try:
        largest = a.max(axis=axis, keepdims=True)
    except ValueError:
        raise ValueError(f"max: there is nothing to choose from in shape {a.shape}, along axis {axis}") from None

    def rule(g):
        chosen = a == largest
        return np.where(chosen, _spread(g, axis, a.shape) / chosen.sum(axis=axis, keepdims=True, dtype=a.dtype), 0.0)

    return node(largest if keepdims else largest.squeeze(axis), (x,), (rule,), "max")


@operation("__matmul__")
def matmul(a, b):
    """Multiply matrices: entry (i, j) is the sum over k of `a[i, k] * b[k, j]`.

    Parameters
    ----------
    a, b : Tensor
        (..., n, k) and (..., k, m); the axes before the last two broadcast. One axis alone counts as a row on the left
        and as a column on the right, and goes again in the result.

    Returns
    -------
    Tensor
        (..., n, m).

    Raises
    ------
    ValueError
        If the inner sizes differ.
    """
    a = constant("matmul", a, like=b if isinstance(b, Tensor) else None)
    a, b = operands("matmul", a, constant("matmul", b, like=a))
    x, y = a.data, b.data
    try:
        product = x @ y
    except ValueError:
        raise mismatch("matmul", a, b, _turned(a.shape, b.shape)) from None
    row, column = x.ndim == 1, y.ndim == 1
    left, right = x[None, :] if row else x, y[:, None] if column else y

    def matrix(g):
        """Put back the axes that a lone row or column has lost."""
        g = g[..., None] if column else g
        return g[..., None, :] if row else g

    def towards_a(g):
        share = matrix(g) @ right.swapaxes(-1, -2)
        return share[..., 0, :] if row else share

    def towards_b(g):
        share = left.swapaxes(-1, -2) @ matrix(g)
        return share[..., 0] if column else share

    return node(product, (a, b), (towards_a, towards_b), "matmul")


@operation("__rmatmul__")
def _rmatmul(a, b):
    return matmul(b, a)


def _turned(a, b):
    """Say what would help two matrices that do not fit."""
    if not a or not b:
        return "a single number is multiplied with *"
    if len(a) > 1 and len(b) > 1:
        if a[-1] == b[-1]:
            return f"{a[-1]} and {b[-2]} must be equal; they would be with the second one transposed, b.T"
        if a[-2] == b[-2]:
            return f"{a[-1]} and {b[-2]} must be equal; they would be with the first one transposed, a.T"
    inner = a[-1], b[-2] if len(b) > 1 else b[0]
    if inner[0] == inner[1]:
        return "the axes before the last two must be equal, or one of them 1"
    return f"{inner[0]} (the last axis of the first) and {inner[1]} (the second's last but one) must be equal"


def _axes(op, x, axis):
    """Turn an axis, several or None into a tuple of axes counted from the front."""
    ndim = x.data.ndim
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    for one in axes:
        if not isinstance(one, int | np.integer) or not -ndim <= one < ndim:
            raise ValueError(f"{op}: axis {one!r} is not one of the {ndim} of shape {x.shape}")
    axes = tuple(int(one) % ndim for one in axes)
    if len(set(axes)) < len(axes):
        raise ValueError(f"{op}: axis {axis} names an axis of shape {x.shape} twice")
    return axes


def _spread(g, axis, shape):
    """Give every number the gradient of the one that it went into."""
    spread = np.empty(shape, dtype=g.dtype)
    spread[...] = g.reshape([1 if i in axis else n for i, n in enumerate(shape)])
    return spread
