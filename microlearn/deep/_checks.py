"""What the tensors' operations and layers refuse, and how they say it."""

from collections.abc import Iterable

import numpy as np

from microlearn.deep.tensor import Tensor
from microlearn.networks._checks import finite


def constant(op, given, like=None):
    """Take what is a Tensor as it is; a number, a list or an array becomes a constant in the dtype of another tensor.

    Raises
    ------
    TypeError
        If two tensors differ in dtype.
    """
    if isinstance(given, Tensor):
        if like is not None and given.data.dtype != like.data.dtype:
            raise TypeError(
                f"{op}: a tensor of {like.dtype} and one of {given.dtype} do not mix: "
                f"convert one, x.astype({like.dtype.name!r})"
            )
        return given
    return Tensor(given, dtype=np.float32 if like is None else like.data.dtype)


def quantities(op, x, like):
    """Take x as `constant` does, but no array of integers.

    Raises
    ------
    TypeError
        If x is such an array, or x and `like` are tensors that differ in dtype.
    """
    if isinstance(x, np.ndarray) and x.dtype.kind in "iub":
        raise TypeError(
            f"{op}: x holds {x.dtype}: numbers of things go through an Embedding; quantities, x.astype(float)"
        )
    return constant(op, x, like)


def tensors(name, given):
    """Return one tensor, or several, as a list; refuse what holds anything else.

    Raises
    ------
    TypeError
        If it is no tensor, or one of them is none.
    """
    held = list(given) if isinstance(given, Iterable) and not isinstance(given, Tensor) else [given]
    for one in held:
        if not isinstance(one, Tensor):
            raise TypeError(f"{name}: expected tensors, such as model.parameters(), got {one!r:.60}")
    return held


def zero_or_more(name, number):
    """Return a number as a float; refuse what is none, is nan or infinite, or lies below zero."""
    return finite(name, number, least=0.0, expected="a number of 0 or more")


def mismatch(op, a, b, repair):
    """Make the error for two shapes that do not fit: it names the operation, both shapes, and what would help."""
    return ValueError(f"{op}: shapes {a.shape} and {b.shape} do not fit: {repair}")


def integers(name, ids):
    """Return indices or labels as an array of integers; refuse what holds none.

    Raises
    ------
    TypeError
        If they are floats, or no numbers at all.
    """
    array = np.asarray(ids)
    if array.dtype.kind in "iu":
        return array
    if array.size == 0 and array.dtype.kind == "f" and not isinstance(ids, np.ndarray | Tensor):
        return array.astype(np.int64)  # an empty list has no kind of its own
    raise TypeError(
        f"{name}: expected whole numbers, got {array.dtype}; for whole numbers kept as floats, x.astype(int)"
    )
