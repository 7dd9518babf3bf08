"""A number that remembers how it was made, so that it can be differentiated.

This is the bottom of the stairs: everything above computes with what is defined here. Its lesson is
`docs/autograd/value.md`.
"""

import math
import numbers
import operator

from microlearn.autograd.backward import backward


class Value:
    """A number, the numbers it was made from, and the slope towards each of them.

    Parameters
    ----------
    data : float
        The number. Integers become floats.
    label : str, optional
        A name for graphs and tables.

    Attributes
    ----------
    data : float
        The number itself.
    grad : float
        The derivative of the last result that `backward` was called on, by this number; 0.0 until then.
    parents : tuple of Value
        What it was computed from; empty for a number that was typed in (a leaf).
    slopes : tuple of float
        For each parent, how fast this number moves when that parent does: the local derivatives.
    op : str
        The operation that made it; empty for a leaf.
    label : str
        Its name, or an empty string.

    Raises
    ------
    TypeError
        If `data` is not a real number.

    Examples
    --------
    >>> a, b = Value(2.0), Value(-3.0)
    >>> c = a * b + 10
    >>> c.backward()
    >>> c.data, a.grad, b.grad
    (4.0, -3.0, 2.0)
    """

    __slots__ = ("data", "grad", "label", "op", "parents", "slopes")

    def __init__(self, data, label=""):
        self.data = data if type(data) is float else _real(data)
        self.grad = 0.0
        self.parents = ()
        self.slopes = ()
        self.op = ""
        self.label = label

    def __repr__(self):
        name = f", label={self.label!r}" if self.label else ""
        return f"Value(data={self.data}, grad={self.grad}{name})"

    def pass_gradient_on(self):
        """Add this node's share to the gradient of each parent: one link of the chain rule."""
        grad, parents, slopes = self.grad, self.parents, self.slopes
        if len(parents) == 2:  # nearly every node: twice as fast as the loop below
            left, right = parents
            left.grad += slopes[0] * grad  # += and not =: a parent may have other children
            right.grad += slopes[1] * grad
        else:
            for parent, slope in zip(parents, slopes, strict=True):
                parent.grad += slope * grad

    def backward(self):
        """Fill in the `grad` of everything that this number was made of, itself included."""
        backward(self)

    # Arithmetic. Each operation gives the new number and the slope towards each operand, side by side.

    def __add__(self, other):
        if type(other) is not Value and (other := _operand(other)) is NotImplemented:
            return NotImplemented
        return node(self.data + other.data, (self, other), (1.0, 1.0), "+")

    def __sub__(self, other):
        if type(other) is not Value and (other := _operand(other)) is NotImplemented:
            return NotImplemented
        return node(self.data - other.data, (self, other), (1.0, -1.0), "-")

    def __mul__(self, other):
        if type(other) is not Value and (other := _operand(other)) is NotImplemented:
            return NotImplemented
        return node(self.data * other.data, (self, other), (other.data, self.data), "*")

    def __truediv__(self, other):
        if type(other) is not Value and (other := _operand(other)) is NotImplemented:
            return NotImplemented
        x, y = self.data, other.data
        if y == 0.0:
            raise ZeroDivisionError(f"{x} / {y}: division by zero")
        quotient = x / y
        return node(quotient, (self, other), (1.0 / y, -quotient / y), "/")  # y * y could underflow to zero

    def __pow__(self, other):
        x = self.data
        if isinstance(other, Value):
            y = other.data
            if x <= 0.0:  # the slope towards the exponent holds log(x)
                raise ValueError(f"{x} ** Value({y}): with a Value as exponent, the base must be above zero")
            power = _power(x, y)
            return node(power, (self, other), (_power_slope(x, y), power * math.log(x)), "**")
        if not isinstance(other, numbers.Real):
            return NotImplemented
        n = _real(other)
        return node(_power(x, n), (self,), (_power_slope(x, n),), f"**{n:g}")

    def __neg__(self):
        return node(-self.data, (self,), (-1.0,), "neg")

    def __abs__(self):
        x = self.data
        return node(abs(x), (self,), (0.0 if x == 0.0 else math.copysign(1.0, x),), "abs")

    def __radd__(self, other):
        return _reflected(other, Value.__add__, self)

    def __rsub__(self, other):
        return _reflected(other, Value.__sub__, self)

    def __rmul__(self, other):
        return _reflected(other, Value.__mul__, self)

    def __rtruediv__(self, other):
        return _reflected(other, Value.__truediv__, self)

    def __rpow__(self, other):
        return _reflected(other, Value.__pow__, self)

    # Functions of one number.

    def exp(self):
        """Raise e to this number. Its slope is its own result."""
        try:
            y = math.exp(self.data)
        except OverflowError:
            raise OverflowError(f"exp({self.data}): the result is too large for a float") from None
        return node(y, (self,), (y,), "exp")

    def log(self):
        """Take the natural logarithm; a ValueError at or below zero."""
        x = self.data
        if x <= 0.0:
            raise ValueError(f"log({x}): a logarithm needs a number above zero")
        return node(math.log(x), (self,), (1.0 / x,), "log")

    def tanh(self):
        """Squash to between -1 and 1."""
        y = math.tanh(self.data)
        return node(y, (self,), (1.0 - y * y,), "tanh")

    def sigmoid(self):
        """Squash to between 0 and 1: 1 / (1 + exp(-x))."""
        x = self.data
        small = math.exp(-abs(x))  # exp of a negative number cannot overflow
        y = (small if x < 0.0 else 1.0) / (1.0 + small)
        return node(y, (self,), (y * (1.0 - y),), "sigmoid")

    def relu(self):
        """Keep what is above zero, turn the rest into zero. The slope at zero is 0, as in PyTorch."""
        off = self.data <= 0.0
        return node(0.0 if off else self.data, (self,), (0.0 if off else 1.0,), "relu")

    def max(self, other):
        """Choose the larger of two; the first where they are equal. The other one has slope 0."""
        other = other if isinstance(other, Value) else Value(other)
        first = self.data >= other.data or self.data != self.data  # nan wins, as in PyTorch
        return node(self.data if first else other.data, (self, other), (float(first), float(not first)), "max")

    def min(self, other):
        """Choose the smaller of two; the first where they are equal. The other one has slope 0."""
        other = other if isinstance(other, Value) else Value(other)
        first = self.data <= other.data or self.data != self.data
        return node(self.data if first else other.data, (self, other), (float(first), float(not first)), "min")

    # Order compares the numbers. Equality stays identity, so that a Value can stand in a set.

    def __lt__(self, other):
        return _compared(self, other, operator.lt)

    def __le__(self, other):
        return _compared(self, other, operator.le)

    def __gt__(self, other):
        return _compared(self, other, operator.gt)

    def __ge__(self, other):
        return _compared(self, other, operator.ge)


_new = object.__new__  # found once, not at every node


def node(data, parents, slopes, op):
    """Make a Value out of others, without the cost of a call of `__init__`."""
    made = _new(Value)
    made.data = data
    made.grad = 0.0
    made.parents = parents
    made.slopes = slopes
    made.op = op
    made.label = ""
    return made


def _real(number):
    """Turn what counts as a real number (int, bool, fractions, numpy's scalars) into a float."""
    if not isinstance(number, numbers.Real):
        raise TypeError(f"Value({number!r}): expected a real number, got {type(number).__name__}")
    try:
        return float(number)
    except OverflowError:
        raise OverflowError(f"Value: this {type(number).__name__} is too large for a float") from None


def _operand(other):
    """Turn the other side of an operator into a Value; NotImplemented lets Python ask its type, then refuse."""
    if isinstance(other, Value):
        return other
    return Value(other) if isinstance(other, numbers.Real) else NotImplemented


def _reflected(left, operation, right):
    """Do `left operation right` where `left` is not a Value yet."""
    left = _operand(left)
    return NotImplemented if left is NotImplemented else operation(left, right)


def _compared(value, other, comparison):
    other = _operand(other)
    return NotImplemented if other is NotImplemented else comparison(value.data, other.data)


def _power(x, n):
    try:
        power = x**n
    except ZeroDivisionError:
        raise ZeroDivisionError(f"{x} ** {n}: zero has no negative power") from None
    except OverflowError:
        raise OverflowError(f"{x} ** {n}: the result is too large for a float") from None
    if isinstance(power, complex):
        raise ValueError(f"{x} ** {n}: a negative base needs a whole number as exponent")
    return power


def _power_slope(x, n):
    """Return n * x**(n - 1), the slope of x**n, infinite where the curve stands upright."""
    if n == 0.0:
        return 0.0
    try:
        return n * x ** (n - 1.0)
    except ZeroDivisionError:
        return math.inf
    except OverflowError:  # x**n fits into a float, its slope does not
        return math.copysign(math.inf, n * math.copysign(1.0, x) ** (n - 1.0))
