"""What several operations do, done by one: the same numbers with fewer arrays, and fewer steps on the way back.

Each is equal to a composition of the operations before. Its lesson, `docs/deep/fused.md`, writes every composition
down, and measures what the fused one saves.
"""

import math

import numpy as np

from microlearn.deep._checks import constant, integers, mismatch, quantities
from microlearn.deep._sums import total
from microlearn.deep._watch import operands
from microlearn.deep.tensor import node, operation


def linear(x, weight, bias=None):
    """Compute `x @ weight.T + bias`.

    Parameters
    ----------
    x : Tensor
        (..., in)
    weight : Tensor
        (out, in)
    bias : Tensor, optional
        (out,)

    Returns
    -------
    Tensor
        (..., out)

    Raises
    ------
    ValueError
        If the last axis of x is not `in`.
    """
    x, weight, bias = operands("linear", quantities("linear", x, like=weight), weight, bias)
    a, w = x.data, weight.data
    if not a.ndim or a.shape[-1] != w.shape[-1]:
        wanted = f"x needs {w.shape[-1]} numbers in its last axis, as weight has {w.shape[-1]} columns"
        raise mismatch("linear", x, weight, wanted)
    rows = a.reshape(math.prod(a.shape[:-1]), w.shape[1])
    y = rows @ w.T  # all axes but the last as one: a single product, not one for each text
    if bias is not None:
        y += bias.data

    def flat(g):
        return g.reshape(y.shape)

    def towards_x(g):
        return (flat(g) @ w).reshape(a.shape)

    def towards_weight(g):
        return flat(g).T @ rows

    def towards_bias(g):
        return total(flat(g), 0)

    parents, rules = (x, weight, bias), (towards_x, towards_weight, towards_bias)
    n = 2 if bias is None else 3
    return node(y.reshape(*a.shape[:-1], w.shape[0]), parents[:n], rules[:n], "linear")


# Taylor's series of erf about points 1/64 apart. Every derivative of erf is a polynomial times exp(-x * x).
_STEP, _LAST = 1 / 64, 6.0  # beyond 6, erf is 1 to the last digit
_AT = np.arange(0.0, _LAST + _STEP, _STEP)
_SLOPE = 2.0 / math.sqrt(math.pi) * np.exp(-_AT * _AT)
_SERIES = (
    np.array([math.erf(at) for at in _AT]),
    _SLOPE,
    _SLOPE * -_AT,
    _SLOPE * (2.0 * _AT**2 - 1.0) / 3.0,
    _SLOPE * (3.0 * _AT - 2.0 * _AT**3) / 6.0,
    _SLOPE * (4.0 * _AT**4 - 12.0 * _AT**2 + 3.0) / 30.0,
)


def _erf(x):
    """Compute the error function of an array, which numpy does not have, to within 1e-13."""
    size = np.minimum(np.abs(x), _LAST)
    nearest = np.rint(np.nan_to_num(size) / _STEP).astype(np.intp)
    away = size - nearest * _STEP
    value = np.take(_SERIES[-1], nearest)
    for terms in reversed(_SERIES[:-1]):
        value *= away
        value += np.take(terms, nearest)
    return np.copysign(value, x)


@operation("gelu")
def gelu(x, approximate="none"):
    """Weigh each number by how likely a standard normal number is to be smaller: `x * Phi(x)`.

    Hendrycks and Gimpel, *Gaussian error linear units*, 2016 (https://arxiv.org/abs/1606.08415).

    Parameters
    ----------
    x : Tensor
    approximate : {"none", "tanh"}, optional
        "tanh" is the paper's approximation, which GPT-2 uses; it differs by less than 0.0005.
    """
    x = constant("gelu", x)
    a = x.data
    if approximate == "none":
        phi = (0.5 + 0.5 * _erf(a * math.sqrt(0.5))).astype(a.dtype)

        def rule(g):
            return g * (phi + a * (np.exp(-0.5 * a * a) * (1.0 / math.sqrt(2.0 * math.pi))))

        return node(a * phi, (x,), (rule,), "gelu")
    if approximate != "tanh":
        raise ValueError(f"approximate: expected 'none' or 'tanh', got {approximate!r}")
    k, c = math.sqrt(2.0 / math.pi), 0.044715
    t = np.asarray(a * a)  # in place from here on: fresh arrays of this size cost more than the arithmetic
    t *= k * c
    t += k
    t *= a
    np.tanh(t, out=t)
    y = t + 1.0
    y *= a
    y *= 0.5

    def rule_of_tanh(g):
        """Compute `g * (0.5 * (1 + t) + 0.5 * a * (1 - t**2) * (k + 3 * k * c * a**2))`."""
        slope = a * a
        slope *= 1.5 * k * c
        slope += 0.5 * k
        slope *= a
        flat = np.asarray(t * t)
        slope *= np.subtract(1.0, flat, out=flat)
        slope += np.multiply(t, 0.5, out=flat)
        slope += 0.5
        slope *= g
        return slope

    return node(y, (x,), (rule_of_tanh,), "gelu")


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Move the numbers of each item to mean 0 and variance 1, then scale and shift them.

    Ba, Kiros and Hinton, *Layer normalization*, 2016 (https://arxiv.org/abs/1607.06450).

    Parameters
    ----------
    x : Tensor
        (..., *normalized_shape)
    normalized_shape : int or tuple of int
        The last axes of x, over which the mean and the variance are taken.
    weight, bias : Tensor, optional
        (*normalized_shape)
    eps : float, optional
        Added to the variance.
    """
    x, rows, back = _rows("layer_norm", x, normalized_shape, weight)
    centred = rows - rows.mean(axis=1, keepdims=True)
    spread = 1.0 / np.sqrt(_row_products(centred, centred) / centred.shape[1] + eps)
    normal = centred * spread
    scaled = normal if weight is None else normal * weight.data.reshape(-1)
    y = scaled if bias is None else scaled + bias.data.reshape(-1)

    def towards_x(g):
        g = g.reshape(rows.shape) if weight is None else g.reshape(rows.shape) * weight.data.reshape(-1)
        pull = g - g.mean(axis=1, keepdims=True) - normal * (_row_products(g, normal) / g.shape[1])
        return (pull * spread).reshape(x.data.shape)

    return _affine(back(y), x, towards_x, normal, weight, bias, "layer_norm")


def rms_norm(x, normalized_shape, weight=None, eps=None):
    """Divide the numbers of each item by their root mean square, then scale them.

    Zhang and Sennrich, *Root mean square layer normalization*, 2019 (https://arxiv.org/abs/1910.07467).

    Parameters
    ----------
    x : Tensor
        (..., *normalized_shape)
    normalized_shape : int or tuple of int
    weight : Tensor, optional
        (*normalized_shape)
    eps : float, optional
        Added to the mean of the squares; unless told, the distance from 1 to the next number of the dtype.
    """
    x, rows, back = _rows("rms_norm", x, normalized_shape, weight)
    eps = float(np.finfo(rows.dtype).eps) if eps is None else eps
    spread = 1.0 / np.sqrt(_row_products(rows, rows) / rows.shape[1] + eps)
    normal = rows * spread
    y = normal if weight is None else normal * weight.data.reshape(-1)

    def towards_x(g):
        g = g.reshape(rows.shape) if weight is None else g.reshape(rows.shape) * weight.data.reshape(-1)
        pull = g - normal * (_row_products(g, normal) / g.shape[1])
        return (pull * spread).reshape(x.data.shape)

    return _affine(back(y), x, towards_x, normal, weight, None, "rms_norm")


def softmax_cross_entropy(logits, targets):
    """Compute the surprise at each target, `-log_softmax(logits)[i, targets[i]]`, from the scores.

    Parameters
    ----------
    logits : Tensor
        (N, classes)
    targets : array_like of int
        (N,)

    Returns
    -------
    Tensor
        (N,), in nats. The slope towards a score is its probability, less 1 for the target's.
    """
    targets = integers("softmax_cross_entropy", targets)
    a, n = logits.data, np.arange(len(targets))
    shifted = a - a.max(axis=1, keepdims=True, initial=-np.inf)
    exps = np.exp(shifted)
    whole = exps.sum(axis=1, keepdims=True)

    def rule(g):
        share = exps / whole
        share[n, targets] -= 1.0
        share *= g[:, None]
        return share

    return node(np.log(whole[:, 0]) - shifted[n, targets], (logits,), (rule,), "softmax_cross_entropy")


def _rows(op, x, normalized_shape, weight):
    """Read x as rows, each of what is normalized together; return also the way back to its shape."""
    x = quantities(op, x, like=weight)
    shape = tuple(normalized_shape) if isinstance(normalized_shape, tuple | list | np.ndarray) else (normalized_shape,)
    if not shape or x.data.shape[-len(shape) :] != shape:
        raise ValueError(f"{op}: expected the last axes to be {shape}, got shape {x.shape}")
    return x, x.data.reshape(-1, math.prod(shape)), lambda rows: rows.reshape(x.data.shape)


def _row_products(a, b):
    """Multiply row by row and add up: (N, n), (N, n) -> (N, 1)."""
    return np.einsum("ij,ij->i", a, b)[:, None]


def _affine(y, x, towards_x, normal, weight, bias, op):
    """Make the node of a normalization, with the parents that it has."""
    parents, rules = [x], [towards_x]
    if weight is not None:
        parents.append(weight)
        rules.append(lambda g: np.einsum("ij,ij->j", g.reshape(normal.shape), normal).reshape(weight.data.shape))
    if bias is not None:
        parents.append(bias)
        rules.append(lambda g: total(g.reshape(normal.shape), 0).reshape(bias.data.shape))
    return node(y, tuple(parents), tuple(rules), op)
