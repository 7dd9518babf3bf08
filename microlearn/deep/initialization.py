"""Where the first weights come from: drawn so that a signal is as large after a layer as before it.

The names, with their underscore, are those of `torch.nn.init`. The lesson is `docs/deep/initialization.md`.
"""

import math

import numpy as np

from microlearn.deep._checks import zero_or_more
from microlearn.deep.tensor import Tensor
from microlearn.networks._checks import finite

_generator = np.random.default_rng(0)


def manual_seed(seed):
    """Begin again with the random numbers that layers draw their weights from, and dropout its zeros.

    Examples
    --------
    >>> from microlearn import Tensor
    >>> manual_seed(1)
    >>> first = normal_(Tensor([0.0, 0.0])).tolist()
    >>> manual_seed(1)
    >>> normal_(Tensor([0.0, 0.0])).tolist() == first
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed: expected a whole number of 0 or more, got {seed!r}")
    _generator.bit_generator.state = np.random.default_rng(seed).bit_generator.state


def generator():
    """Return the source of those random numbers, a `numpy.random.Generator`."""
    return _generator


def zeros_(tensor):
    """Set every number to 0."""
    _check(tensor)
    tensor.data[...] = 0.0
    return tensor


def normal_(tensor, mean=0.0, std=1.0):
    """Draw from a normal distribution."""
    _check(tensor)
    tensor.data[...] = _generator.normal(finite("mean", mean), zero_or_more("std", std), tensor.shape)
    return tensor


def uniform_(tensor, a=0.0, b=1.0):
    """Draw between a and b, each number as likely as any other."""
    _check(tensor)
    a = finite("a", a)
    b = finite("b", b, least=a, expected=f"a number no smaller than a = {a}")
    tensor.data[...] = _generator.uniform(a, b, tensor.shape)
    return tensor


def fans(tensor):
    """Count the numbers that a unit reads (fan-in), and the units that read one number (fan-out).

    Parameters
    ----------
    tensor : Tensor
        (out, in), as `Linear.weight`.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> from microlearn import Tensor
    >>> fans(Tensor(np.zeros((16, 2))))
    (2, 16)
    """
    _check(tensor)
    if tensor.ndim != 2:
        raise ValueError(f"fans: expected a weight of shape (out, in), got {tensor.shape}")
    return tensor.shape[1], tensor.shape[0]


def calculate_gain(nonlinearity, param=None):
    """Say by how much weights must be larger to make up for what an activation takes away.

    Parameters
    ----------
    nonlinearity : {"linear", "sigmoid", "tanh", "relu", "leaky_relu"}
    param : float, optional
        For "leaky_relu", its slope below zero; 0.01 unless told.
    """
    slope = 0.01 if param is None else finite("param", param)
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5.0 / 3.0,
        "relu": math.sqrt(2.0),
        "leaky_relu": math.sqrt(2.0 / (1.0 + slope * slope)),
    }
    if nonlinearity not in list(gains):
        raise ValueError(f"nonlinearity: expected one of {', '.join(gains)}, got {nonlinearity!r}")
    return gains[nonlinearity]


def xavier_uniform_(tensor, gain=1.0):
    """Draw with variance `gain**2 * 2 / (fan_in + fan_out)`: a compromise between the way forward and the way back.

    Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural networks*, 2010
    (https://proceedings.mlr.press/v9/glorot10a.html).
    """
    reach = math.sqrt(3.0) * _xavier(tensor, gain)
    return uniform_(tensor, -reach, reach)


def xavier_normal_(tensor, gain=1.0):
    """Draw as `xavier_uniform_`, from a normal distribution."""
    return normal_(tensor, 0.0, _xavier(tensor, gain))


def kaiming_uniform_(tensor, a=0.0, mode="fan_in", nonlinearity="leaky_relu"):
    """Draw with variance `gain**2 / fan`, where the gain makes up for the activation.

    He, Zhang, Ren and Sun, *Delving deep into rectifiers*, 2015 (https://arxiv.org/abs/1502.01852).

    Parameters
    ----------
    tensor : Tensor
        (out, in), changed in place.
    a : float, optional
        The slope below zero of the leaky ReLU that follows; 0 is a ReLU.
    mode : {"fan_in", "fan_out"}, optional
        Keep the size of the signal on the way forward, or of the gradient on the way back.
    nonlinearity : str, optional
        As for `calculate_gain`.
    """
    reach = math.sqrt(3.0) * _kaiming(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -reach, reach)


def kaiming_normal_(tensor, a=0.0, mode="fan_in", nonlinearity="leaky_relu"):
    """Draw as `kaiming_uniform_`, from a normal distribution."""
    return normal_(tensor, 0.0, _kaiming(tensor, a, mode, nonlinearity))


def _xavier(tensor, gain):
    fan_in, fan_out = fans(tensor)
    return zero_or_more("gain", gain) * math.sqrt(2.0 / (fan_in + fan_out))


def _kaiming(tensor, a, mode, nonlinearity):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode: expected 'fan_in' or 'fan_out', got {mode!r}")
    return calculate_gain(nonlinearity, finite("a", a)) / math.sqrt(fans(tensor)[mode == "fan_out"])


def _check(tensor):
    if not isinstance(tensor, Tensor):
        raise TypeError(f"tensor: expected one, such as layer.weight, got {tensor!r:.60}")
