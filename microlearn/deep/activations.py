"""The bends between layers, for whole arrays: what each does to a signal, and to the gradient on its way back.

`gelu` is among the fused operations. The lesson is `docs/deep/activations.md`.
"""

import numpy as np

from microlearn.deep._checks import constant
from microlearn.deep.tensor import node, operation


@operation("relu")
def relu(x):
    """Keep what is above zero; the slope at 0 is 0."""
    x = constant("relu", x)
    a = x.data
    return node(np.maximum(a, 0.0), (x,), (lambda g: np.where(a <= 0.0, 0.0, g),), "relu")


def leaky_relu(x, negative_slope=0.01):
    """Keep what is above zero, and a hundredth of what is below, so that no gradient dies there.

    Maas, Hannun and Ng, *Rectifier nonlinearities improve neural network acoustic models*, 2013.
    """
    x = constant("leaky_relu", x)
    a = x.data
    slope = np.where(a > 0.0, 1.0, negative_slope).astype(a.dtype)
    return node(a * slope, (x,), (lambda g: g * slope,), "leaky_relu")


@operation("sigmoid")
def sigmoid(x):
    """Squash to between 0 and 1: `1 / (1 + exp(-x))`."""
    x = constant("sigmoid", x)
    y = _sigmoid(x.data)
    return node(y, (x,), (lambda g: g * (y * (1.0 - y)),), "sigmoid")


@operation("silu")
def silu(x):
    """Weigh each number by its own sigmoid: `x * sigmoid(x)`, also called swish."""
    x = constant("silu", x)
    a = x.data
    s = _sigmoid(a)
    return node(a * s, (x,), (lambda g: g * (s + a * s * (1.0 - s)),), "silu")


@operation("softmax")
def softmax(x, axis=-1):
    """Turn scores into probabilities along an axis: `exp(x) / exp(x).sum(axis)`, safe for scores of any size."""
    x = constant("softmax", x)
    y = np.exp(_shifted("softmax", x, axis))
    y /= y.sum(axis=axis, keepdims=True)
    return node(y, (x,), (lambda g: y * (g - (g * y).sum(axis=axis, keepdims=True)),), "softmax")


@operation("log_softmax")
def log_softmax(x, axis=-1):
    """Turn scores into the logarithms of probabilities along an axis, without going through a probability of 0."""
    x = constant("log_softmax", x)
    shifted = _shifted("log_softmax", x, axis)
    y = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return node(y, (x,), (lambda g: g - np.exp(y) * g.sum(axis=axis, keepdims=True),), "log_softmax")


def _sigmoid(a):
    small = np.exp(-np.abs(a))  # the exponential of a large number would overflow
    return np.where(a < 0.0, small, 1.0).astype(a.dtype) / (1.0 + small)


def _shifted(op, x, axis):
    """Take away the largest score of each row, which changes no probability and keeps exp from overflowing."""
    if not isinstance(axis, int | np.integer) or not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{op}: axis {axis!r} is not one of the {x.ndim} of shape {x.shape}")
    return x.data - x.data.max(axis=axis, keepdims=True, initial=-np.inf)
