"""What a network is wrong by, for a whole batch: the losses of `networks`, under PyTorch's names.

The lesson is `docs/deep/losses.md`.
"""

import numpy as np

from microlearn.deep import fused
from microlearn.deep._checks import constant, integers
from microlearn.deep.tensor import node

REDUCTIONS = ("mean", "sum", "none")


def mse_loss(input, target, reduction="mean"):
    """Take the mean squared error.

    Parameters
    ----------
    input, target : Tensor or array_like
        Of one shape.
    reduction : {"mean", "sum", "none"}, optional
        Average over all numbers, add them up, or leave them as they are.

    Raises
    ------
    ValueError
        If the shapes differ. (PyTorch warns and broadcasts, which is nearly always a mistake.)

    Examples
    --------
    >>> mse_loss([1.0, 4.0], [1.0, 2.0]).item()
    2.0
    """
    input, target = _same_shape("mse_loss", input, target)
    difference = input - target
    return _reduced("mse_loss", difference * difference, reduction)


def binary_cross_entropy_with_logits(input, target, reduction="mean"):
    """Take the surprise at each label, where the sigmoid of a score is the probability of label 1.

    Parameters
    ----------
    input : Tensor
        Scores, before the sigmoid.
    target : array_like
        Labels 0 and 1, or probabilities between them, in the same shape.
    reduction : {"mean", "sum", "none"}, optional

    Raises
    ------
    ValueError
        If the shapes differ, or a target is not from 0 to 1.
    """
    name = "binary_cross_entropy_with_logits"
    input, target = _same_shape(name, input, target)
    s, y = input.data, target.data
    if not ((y >= 0.0) & (y <= 1.0)).all():
        raise ValueError(f"{name}: expected targets from 0 to 1, got some from {y.min():g} to {y.max():g}")
    small = np.exp(-np.abs(s))
    lost = np.maximum(s, 0.0) - s * y + np.log1p(small)
    slope = np.where(s < 0.0, small, 1.0).astype(s.dtype) / (1.0 + small) - y
    return _reduced(name, node(lost, (input, target), (lambda g: g * slope, lambda g: -g * s), name), reduction)


def cross_entropy(input, target, reduction="mean"):
    """Take the surprise at each label, where the softmax of a row of scores are the probabilities of the classes.

    Parameters
    ----------
    input : Tensor
        (N, classes): scores, before the softmax.
    target : array_like of int
        (N,): the number of each row's class, counted from 0.
    reduction : {"mean", "sum", "none"}, optional

    Raises
    ------
    TypeError, ValueError
        If the targets are not whole numbers, not one for each row, or not the number of a class.

    Examples
    --------
    >>> cross_entropy([[1000.0, 0.0]], [1]).item()
    1000.0
    """
    input, target = constant("cross_entropy", input), integers("cross_entropy: the targets", target)
    if input.ndim != 2:
        flat = (
            f"logits.reshape(-1, {input.shape[-1]}) and targets.reshape(-1)" if input.ndim > 2 else "[scores], [target]"
        )
        raise ValueError(f"cross_entropy: expected scores of shape (N, classes), got {input.shape}: give {flat}")
    rows, classes = input.shape
    if target.shape != (rows,):
        raise ValueError(f"cross_entropy: expected a target for each of the {rows} rows, got shape {target.shape}")
    if rows and not 0 <= target.min() <= target.max() < classes:
        wrong = target[(target < 0) | (target >= classes)][0]
        raise ValueError(f"cross_entropy: target {wrong} is not the number of a class, from 0 to {classes - 1}")
    return _reduced("cross_entropy", fused.softmax_cross_entropy(input, target), reduction)


def _same_shape(op, input, target):
    input = constant(op, input)
    target = constant(op, target, like=input)
    if input.shape != target.shape:
        hint = "give one the shape of the other, y.reshape(-1, 1) or scores.reshape(-1)"
        raise ValueError(f"{op}: shapes {input.shape} and {target.shape} differ: {hint}")
    return input, target


def _reduced(op, each, reduction):
    if reduction not in REDUCTIONS:
        raise ValueError(f"{op}: reduction: expected one of {', '.join(REDUCTIONS)}, got {reduction!r}")
    return each if reduction == "none" else each.mean() if reduction == "mean" else each.sum()
