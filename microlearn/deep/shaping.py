"""Operations that compute nothing: they rearrange numbers, choose some, or join several tensors.

A gradient goes back the way its number came. The lesson is `docs/deep/shaping.md`.
"""

import operator

import numpy as np

from microlearn.deep._checks import constant, integers
from microlearn.deep.tensor import Tensor, node, operation


@operation("reshape")
def reshape(x, *shape):
    """Read the same numbers in another shape; one size may be -1, whatever is left over.

    Raises
    ------
    ValueError
        If the new shape holds more numbers, or fewer.
    """
    shape = _unpacked(shape)
    before = x.data.shape
    try:
        shaped = x.data.reshape(shape)
    except ValueError:
        raise ValueError(f"reshape: the {x.size} numbers of shape {before} do not go into shape {shape}") from None
    return node(shaped, (x,), (lambda g: g.reshape(before),), "reshape")


@operation("transpose")
def transpose(x, *axes):
    """Put the axes into another order; without one, turn it around.

    As in numpy, all axes are named: PyTorch's `x.transpose(1, 2)` on three axes is `x.transpose(0, 2, 1)` here, and
    PyTorch calls this one `permute`.

    Raises
    ------
    ValueError
        If not every axis is named once.
    """
    ndim = x.data.ndim
    order = _unpacked(axes) or tuple(reversed(range(ndim)))
    try:
        turned = x.data.transpose(order)
    except ValueError:
        raise ValueError(
            f"transpose: {order} does not name each of the {ndim} axes of shape {x.shape} once; swapaxes exchanges two"
        ) from None
    back = np.argsort([axis % ndim for axis in order]) if ndim else ()
    return node(turned, (x,), (lambda g: g.transpose(back),), "transpose")


@operation("swapaxes")
def swapaxes(x, a, b):
    """Exchange two axes. PyTorch's `transpose(a, b)`."""
    try:
        swapped = x.data.swapaxes(a, b)
    except ValueError:
        raise ValueError(f"swapaxes: {a} or {b} is not one of the {x.ndim} axes of shape {x.shape}") from None
    return node(swapped, (x,), (lambda g: g.swapaxes(a, b),), "swapaxes")


operation("T")(property(transpose, doc="The axes in reverse: rows become columns."))


@operation("__getitem__")
def index(x, key):
    """Choose numbers: `x[0]`, `x[1:3]`, `x[:, -1]`, `x[[2, 0, 2]]`, `x[mask]`, as in numpy.

    A number that is chosen twice gets both gradients.

    Raises
    ------
    IndexError
        If there is no such place.
    """
    if isinstance(key, Tensor):
        raise TypeError("index: a tensor holds floats: index with integers, in a list or an array")
    if isinstance(key, list | np.ndarray):  # a copy, because who gave it may change it
        key = np.array(key, dtype=None if np.size(key) else getattr(key, "dtype", np.intp))
    try:
        chosen = x.data[key]
    except IndexError as error:
        raise IndexError(f"index: no such place in shape {x.shape}: {error}") from None

    def rule(g):
        whole = np.zeros_like(x.data)
        if _is_basic(key):
            whole[key] = g  # nothing is chosen twice
        elif isinstance(key, np.ndarray) and key.dtype.kind in "iu":
            _add_rows(whole, key, g)
        else:
            np.add.at(whole, key, g)
        return whole

    return node(chosen, (x,), (rule,), "index")


@operation("__iter__")
def _rows(x):
    return (index(x, i) for i in range(len(x)))


def gather(x, axis, ids):
    """Choose along one axis, by another index at every place: in two dimensions, along axis 1, `x[i, ids[i, j]]`.

    Parameters
    ----------
    x : Tensor
    axis : int
    ids : array_like of int
        As many axes as x, and along the others no longer than x.

    Returns
    -------
    Tensor
        In the shape of `ids`.

    Examples
    --------
    >>> logprobs = Tensor([[-0.1, -2.4], [-1.2, -0.4]])
    >>> gather(logprobs, 1, [[0], [1]]).tolist() == logprobs[[0, 1], [0, 1]].reshape(2, 1).tolist()
    True
    """
    ids = integers("gather", ids)
    if ids.ndim != x.ndim:
        raise ValueError(f"gather: shape {x.shape} has {x.ndim} axes and the indices' {ids.shape} has {ids.ndim}")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"gather: axis {axis!r} is not one of the {x.ndim} of shape {x.shape}")
    places = list(np.ogrid[tuple(slice(n) for n in ids.shape)])
    places[axis] = ids
    return index(x, tuple(places))


def concatenate(tensors, axis=0):
    """Join tensors along an axis that they have. PyTorch's `cat`.

    Raises
    ------
    ValueError
        If there are none, or they differ in another axis.
    """
    tensors = _several("concatenate", tensors)
    try:
        joined = np.concatenate([x.data for x in tensors], axis=axis)
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in tensors)
        raise ValueError(
            f"concatenate: shapes {shapes} may differ only along axis {axis}; for a new axis, stack"
        ) from None
    ends = np.cumsum([x.data.shape[axis] for x in tensors])

    def rule(start, end):
        return lambda g: g[(*[slice(None)] * (axis % g.ndim), slice(start, end))]

    rules = tuple(rule(int(end) - x.data.shape[axis], int(end)) for x, end in zip(tensors, ends, strict=True))
    return node(joined, tensors, rules, "concatenate")


def stack(tensors, axis=0):
    """Join tensors of one shape along a new axis.

    Raises
    ------
    ValueError
        If there are none, or their shapes differ.
    """
    tensors = _several("stack", tensors)
    try:
        stacked = np.stack([x.data for x in tensors], axis=axis)
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in tensors)
        raise ValueError(f"stack: shapes {shapes} must all be the same, and have an axis {axis} when joined") from None
    return node(stacked, tensors, tuple(lambda g, i=i: g.take(i, axis) for i in range(len(tensors))), "stack")


def _unpacked(numbers):
    """Read `f(x, 2, 3)` and `f(x, (2, 3))` alike."""
    return tuple(numbers[0]) if len(numbers) == 1 and isinstance(numbers[0], tuple | list) else numbers


def _several(op, tensors):
    if isinstance(tensors, Tensor) or not len(tensors):
        raise ValueError(f"{op}: expected a list of one tensor or more, got {tensors!r:.60}")
    first = next((x for x in tensors if isinstance(x, Tensor)), None)
    return tuple(constant(op, x, like=first) for x in tensors)


def _is_basic(key):
    """Tell whether a key is made of integers, slices, None and ... alone: then it chooses nothing twice."""
    for one in key if isinstance(key, tuple) else (key,):
        if one is not None and one is not Ellipsis and not isinstance(one, slice):
            if isinstance(one, bool | np.bool_):
                return False
            try:
                operator.index(one)
            except TypeError:
                return False
    return True


def _add_rows(whole, ids, g):
    """Add row after row of a gradient where it belongs, equal places together: far quicker than `numpy.add.at`."""
    if not g.size:
        return
    ids, rows = ids.reshape(-1).astype(np.intp) % len(whole), g.reshape(ids.size, -1)
    order = np.argsort(ids, kind="stable")
    found, starts = np.unique(ids[order], return_index=True)
    whole.reshape(len(whole), -1)[found] = np.add.reduceat(rows[order], starts, axis=0)
