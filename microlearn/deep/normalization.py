"""Layers that keep signals at one size, however deep the network: over the numbers of an item, or over a batch.

Names, arguments and defaults are those of `torch.nn`. The lesson is `docs/deep/normalization.md`.
"""

import math

import numpy as np

from microlearn.deep import fused
from microlearn.deep._checks import quantities, zero_or_more
from microlearn.deep.layers import Module, Parameter
from microlearn.deep.tensor import Tensor
from microlearn.networks._checks import finite, is_list, whole


class LayerNorm(Module):
    """Move the numbers of each item to mean 0 and variance 1, then scale and shift them by what was learned.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The last axes of what it reads.
    eps : float, optional
        Added to the variance.
    elementwise_affine, bias : bool, optional
        Whether it has a weight, and whether also a bias.
    dtype : dtype, optional
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, dtype=np.float32):
        self.normalized_shape, self.eps = _shape(normalized_shape), zero_or_more("eps", eps)
        self.weight = Parameter(np.ones(self.normalized_shape), dtype=dtype) if elementwise_affine else None
        self.bias = Parameter(np.zeros(self.normalized_shape), dtype=dtype) if elementwise_affine and bias else None

    def forward(self, x):
        """Map (..., *normalized_shape) to the same shape."""
        return fused.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        """Say the shape."""
        return f"{self.normalized_shape}, eps={self.eps}"


class RMSNorm(Module):
    """Divide the numbers of each item by their root mean square, then scale them by what was learned.

    Parameters
    ----------
    normalized_shape : int or tuple of int
    eps : float, optional
        Added to the mean of the squares; None is the distance from 1 to the next number.
    elementwise_affine : bool, optional
    dtype : dtype, optional
    """

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, dtype=np.float32):
        self.normalized_shape = _shape(normalized_shape)
        self.eps = None if eps is None else zero_or_more("eps", eps)
        self.weight = Parameter(np.ones(self.normalized_shape), dtype=dtype) if elementwise_affine else None

    def forward(self, x):
        """Map (..., *normalized_shape) to the same shape."""
        return fused.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        """Say the shape."""
        return f"{self.normalized_shape}, eps={self.eps}"


class BatchNorm1d(Module):
    """Move each feature to mean 0 and variance 1 over the batch; after training, by running averages instead.

    Ioffe and Szegedy, *Batch normalization*, 2015 (https://arxiv.org/abs/1502.03167).

    Parameters
    ----------
    num_features : int
    eps : float, optional
        Added to the variance.
    momentum : float, optional
        How much of each batch goes into the running averages.
    affine : bool, optional
        Whether it has a weight and a bias.
    dtype : dtype, optional

    Attributes
    ----------
    running_mean, running_var : Tensor
        (num_features,): what is used after `eval()`; saved, not trained.
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, dtype=np.float32):
        self.num_features, self.eps = whole("num_features", num_features), zero_or_more("eps", eps)
        self.momentum = finite("momentum", momentum, 0.0, math.nextafter(1.0, 2.0), "a number from 0 to 1")
        self.weight = Parameter(np.ones(num_features), dtype=dtype) if affine else None
        self.bias = Parameter(np.zeros(num_features), dtype=dtype) if affine else None
        self.running_mean = Tensor(np.zeros(num_features), dtype=dtype)
        self.running_var = Tensor(np.ones(num_features), dtype=dtype)

    def forward(self, x):
        """Map (N, num_features) to the same shape.

        Raises
        ------
        ValueError
            If the shape is another, or a batch in training has one item: it has no variance.
        """
        x = quantities("BatchNorm1d", x, like=self.running_mean)
        if x.ndim != 2 or x.shape[1] != self.num_features:
            raise ValueError(f"BatchNorm1d: expected shape (N, {self.num_features}), got {x.shape}")
        if not self.training:
            mean, variance = self.running_mean, self.running_var
        else:
            n = len(x)
            if n < 2:
                raise ValueError(
                    f"BatchNorm1d: a batch of {n} has no variance: give two or more (in fit, another batch_size), "
                    "or call eval()"
                )
            mean = x.mean(axis=0)
            variance = ((x - mean) ** 2).mean(axis=0)
            self._remember(self.running_mean, mean.data)
            self._remember(self.running_var, variance.data * (n / (n - 1)))
        normal = (x - mean) / (variance + self.eps).sqrt()
        return normal if self.weight is None else normal * self.weight + self.bias

    def _remember(self, running, now):
        running.data += self.momentum * (now - running.data)

    def extra_repr(self):
        """Say the size."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


def _shape(normalized_shape):
    axes = normalized_shape if is_list(normalized_shape) else [normalized_shape]
    if not len(axes):
        raise ValueError(f"normalized_shape: expected one axis or more, got {normalized_shape!r}")
    return tuple(whole("normalized_shape", n) for n in axes)
