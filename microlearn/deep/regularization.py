"""What keeps a network from learning its examples by heart: dropout, penalties on weights, stopping in time.

Weight decay is an argument of the optimizers. The lesson is `docs/deep/regularization.md`.
"""

import math

import numpy as np

from microlearn.deep._checks import constant, tensors, zero_or_more
from microlearn.deep.initialization import generator
from microlearn.deep.layers import Module
from microlearn.deep.tensor import node
from microlearn.networks._checks import finite, whole


class Dropout(Module):
    """In training, set each number to 0 with probability p, and divide the others by 1 - p, so that the sum stays.

    After `eval()` it does nothing. Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, *Dropout*, 2014
    (https://jmlr.org/papers/v15/srivastava14a.html).

    Parameters
    ----------
    p : float, optional
        From 0 to 1.
    """

    def __init__(self, p=0.5):
        self.p = finite("p", p, 0.0, math.nextafter(1.0, 2.0), "a probability from 0 to 1")

    def forward(self, x):
        """Map any shape to itself."""
        x = constant("Dropout", x)
        if not self.training or self.p == 0.0:
            return x
        kept = generator().random(x.shape, dtype=np.float32) >= self.p
        scale = kept.astype(x.dtype)
        scale *= 1.0 / (1.0 - self.p) if self.p < 1.0 else 0.0
        return node(x.data * scale, (x,), (lambda g: g * scale,), "dropout")

    def extra_repr(self):
        """Say the probability."""
        return f"p={self.p}"


def l1_penalty(parameters):
    """Add up the sizes of all numbers: as a part of the loss, it pulls each towards 0 with the same force.

    Parameters
    ----------
    parameters : iterable of Tensor

    Returns
    -------
    Tensor
        One number.
    """
    return sum(parameter.abs().sum() for parameter in tensors("parameters", parameters))


def l2_penalty(parameters):
    """Add up the squares of all numbers: as a part of the loss, it pulls each towards 0 in proportion to its size.

    Half of it, times a factor, is what `weight_decay` of SGD does without a graph.
    """
    return sum((parameter * parameter).sum() for parameter in tensors("parameters", parameters))


class EarlyStopping:
    """Watch a loss that should fall, and say when it has not for too long.

    Parameters
    ----------
    patience : int, optional
        How many times in a row it may fail to improve.
    min_delta : float, optional
        By how much a loss must be smaller than the best to count as better.

    Attributes
    ----------
    best : float
        The smallest loss so far.
    waited : int
        How many times in a row it was not improved.

    Examples
    --------
    >>> watch = EarlyStopping(patience=2)
    >>> [watch.should_stop(loss) for loss in (0.5, 0.4, 0.45, 0.41)]
    [False, False, False, True]
    """

    def __init__(self, patience=5, min_delta=0.0):
        self.patience, self.min_delta = whole("patience", patience), zero_or_more("min_delta", min_delta)
        self.best, self.waited = math.inf, 0

    def should_stop(self, loss):
        """Take note of a loss; say whether the last `patience` of them were no better than the best."""
        if not isinstance(loss, int | float | np.number):
            raise TypeError(f"loss: expected a number, such as loss.item(), got {loss!r:.60}")
        if loss < self.best - self.min_delta:
            self.best, self.waited = float(loss), 0
        else:
            self.waited += 1
        return self.waited >= self.patience
