"""Operations on each number by itself, or on each pair: the result has the shape that broadcasting gives.

The rules know nothing of broadcasting: `Tensor.pass_gradient_on` undoes it, in one place. The lesson is
`docs/deep/elementwise.md`.
"""

import numbers

import numpy as np

from microlearn.deep._checks import constant, mismatch
from microlearn.deep.tensor import FLOATS, Tensor, node, operation


def _pair(op, a, b):
    """Turn the two sides of an operation into tensors of one dtype."""
    if isinstance(a, Tensor):
        return a, constant(op, b, like=a)
    return constant(op, a, like=b if isinstance(b, Tensor) else None), constant(op, b)


def _apply(op, function, a, b):
    """Compute on arrays; where the shapes do not fit, say so."""
    try:
        return function(a.data, b.data)
    except ValueError:
        raise mismatch(op, a, b, _repair(a.shape, b.shape)) from None


def _repair(a, b):
    """Find what would make two shapes fit."""
    for short, long in ((a, b), (b, a)):
        if len(short) == 1 and len(long) == 2 and short[0] == long[0]:
            return f"a column for each row needs shape {(short[0], 1)}, x.reshape(-1, 1)"
    return "counted from the last axis, sizes must be equal, or one of them 1"


@operation("__add__")
def add(a, b):
    """Compute `a + b`."""
    a, b = _pair("add", a, b)
    return node(_apply("add", np.add, a, b), (a, b), (lambda g: g, lambda g: g), "add")


@operation("__sub__")
def sub(a, b):
    """Compute `a - b`."""
    a, b = _pair("sub", a, b)
    return node(_apply("sub", np.subtract, a, b), (a, b), (lambda g: g, lambda g: -g), "sub")


@operation("__mul__")
def mul(a, b):
    """Compute `a * b`."""
    a, b = _pair("mul", a, b)
    x, y = a.data, b.data
    return node(_apply("mul", np.multiply, a, b), (a, b), (lambda g: g * y, lambda g: g * x), "mul")


@operation("__truediv__")
def div(a, b):
    """Compute `a / b`; infinite or nan where b is zero, with numpy's warning."""
    a, b = _pair("div", a, b)
    y = b.data
    quotient = _apply("div", np.true_divide, a, b)
    return node(quotient, (a, b), (lambda g: g / y, lambda g: -g * (quotient / y)), "div")


@operation("__pow__")
def pow(a, b):
    """Compute `a ** b`, for an exponent that is a number or a tensor.

    Where the base is 0 and the exponent is not below it, the slope towards the exponent is 0, as in PyTorch.
    """
    if isinstance(b, numbers.Real):  # no gradient of its own, so no logarithm
        a, n = constant("pow", a), float(b)
        x = a.data
        return node(x**n, (a,), ((lambda g: g * (n * x ** (n - 1.0))) if n else lambda g: g * 0.0,), f"pow {n:g}")
    a, b = _pair("pow", a, b)
    x, n = a.data, b.data
    power = _apply("pow", np.power, a, b)

    def towards_base(g):
        return g * np.where(n == 0.0, 0.0, n * x ** np.where(n == 0.0, 1.0, n - 1.0))

    def towards_exponent(g):
        flat = (x == 0.0) & (n >= 0.0)
        return g * np.where(flat, 0.0, power * np.log(np.where(flat, 1.0, x)))

    return node(power, (a, b), (towards_base, towards_exponent), "pow")


@operation("__neg__")
def neg(a):
    """Compute `-a`."""
    return node(-a.data, (a,), (lambda g: -g,), "neg")


@operation("__abs__")
@operation("abs")
def abs(a):
    """Take away the sign. The slope at 0 is 0."""
    x = a.data
    return node(np.abs(x), (a,), (lambda g: g * np.sign(x),), "abs")


@operation("__radd__")
def _radd(a, b):
    return add(b, a)


@operation("__rsub__")
def _rsub(a, b):
    return sub(b, a)


@operation("__rmul__")
def _rmul(a, b):
    return mul(b, a)


@operation("__rtruediv__")
def _rdiv(a, b):
    return div(b, a)


@operation("__rpow__")
def _rpow(a, b):
    return pow(constant("pow", b, like=a), a)


@operation("exp")
def exp(x):
    """Raise e to each number. The slope is the result itself."""
    x = constant("exp", x)
    y = np.exp(x.data)
    return node(y, (x,), (lambda g: g * y,), "exp")


@operation("log")
def log(x):
    """Take the natural logarithm; -inf at 0 and nan below, with numpy's warning."""
    x = constant("log", x)
    a = x.data
    return node(np.log(a), (x,), (lambda g: g / a,), "log")


@operation("sqrt")
def sqrt(x):
    """Take the square root."""
    x = constant("sqrt", x)
    y = np.sqrt(x.data)
    return node(y, (x,), (lambda g: g / (2.0 * y),), "sqrt")


@operation("tanh")
def tanh(x):
    """Squash to between -1 and 1."""
    x = constant("tanh", x)
    y = np.tanh(x.data)
    return node(y, (x,), (lambda g: g * (1.0 - y * y),), "tanh")


def maximum(a, b):
    """Choose the larger of each pair. Where they are equal, each gets half of the gradient, as in PyTorch."""
    a, b = _pair("maximum", a, b)
    x, y = a.data, b.data
    chosen = _apply("maximum", np.maximum, a, b)

    def towards(mine, other):
        return lambda g: np.where(mine == other, 0.5 * g, np.where(mine < other, 0.0, g))  # nan goes to both

    return node(chosen, (a, b), (towards(x, y), towards(y, x)), "maximum")


def minimum(a, b):
    """Choose the smaller of each pair. Where they are equal, each gets half of the gradient, as in PyTorch."""
    return -maximum(-constant("minimum", a), -constant("minimum", b))


def where(condition, a, b):
    """Take from a where the condition holds, and from b elsewhere.

    Parameters
    ----------
    condition : array_like of bool
        Such as `x > 0`.
    a, b : Tensor or array_like
    """
    a, b = _pair("where", a, b)
    condition = np.asarray(condition, dtype=bool)
    try:
        chosen = np.where(condition, a.data, b.data)
    except ValueError:
        raise ValueError(
            f"where: shapes {condition.shape}, {a.shape} and {b.shape} do not fit: {_repair(a.shape, b.shape)}"
        ) from None
    return node(chosen, (a, b), (lambda g: np.where(condition, g, 0.0), lambda g: np.where(condition, 0.0, g)), "where")


@operation("astype")
def astype(x, dtype):
    """Convert to float32 or float64; the gradient is converted back."""
    if np.dtype(dtype) not in FLOATS:
        raise TypeError(f"astype: expected float32 or float64, got {np.dtype(dtype)}: only floats have slopes")
    before = x.data.dtype
    return node(x.data.astype(dtype), (x,), (lambda g: g.astype(before),), f"astype {np.dtype(dtype)}")


# Comparisons answer with an array of True and False, which has no slope. Equality stays identity, as Value's.


@operation("__lt__")
def _less(a, b):
    return a.data < np.asarray(b)


@operation("__le__")
def _less_or_equal(a, b):
    return a.data <= np.asarray(b)


@operation("__gt__")
def _greater(a, b):
    return a.data > np.asarray(b)


@operation("__ge__")
def _greater_or_equal(a, b):
    return a.data >= np.asarray(b)
