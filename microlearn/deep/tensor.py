"""An array that remembers how it was made: what Value is for one number, for all numbers of an array at once.

The walk back is Value's own. A Value keeps a slope towards each parent, a number; a Tensor keeps a rule, a function
that turns its own gradient into its parent's. The operations stand in `elementwise`, `reductions`, `shaping` and
further up; `operation` makes them methods. Its lesson is `docs/deep/tensor.md`.
"""

import ctypes
import sys
from contextlib import contextmanager

import numpy as np

from microlearn.autograd.backward import backward
from microlearn.deep._sums import total
from microlearn.deep._watch import Watcher, mode, watching

if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
    # glibc gives memory back when a graph is dropped, and the next step pays for fresh pages: a fifth of a GPT's step
    libc.mallopt(-3, 2**25)  # M_MMAP_THRESHOLD: arrays up to 32 MB come from the heap
    libc.mallopt(-1, 2**30)  # M_TRIM_THRESHOLD: of which up to 1 GB is kept for the next

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Tensor:
    """An array of floats, the tensors it was made from, and for each of them the rule that passes a gradient on.

    Parameters
    ----------
    data : array_like
        Numbers, in lists as deep as you like. They are copied.
    requires_grad : bool, optional
        Whether `backward` shall find a gradient for it.
    dtype : dtype, optional
        `float32`, or `float64`. No operation changes it.

    Attributes
    ----------
    data : numpy.ndarray
        The numbers.
    grad : numpy.ndarray or None
        The derivative of the last result that `backward` was called on, by each of these numbers; the same shape as
        `data`. None until then.
    requires_grad : bool
        True also for what was computed from a tensor that requires it.
    parents : tuple of Tensor
        What it was computed from; empty for a leaf.
    rules : tuple of callable
        For each parent, the function that turns the gradient of this tensor into the parent's.
    op : str
        The operation that made it; empty for a leaf.
    half : str
        The type of 16 bits that its numbers were rounded to; there under `autocast` alone.

    Raises
    ------
    TypeError, ValueError
        If `data` is not made of numbers, is ragged, or `dtype` has no slopes.

    Examples
    --------
    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([[2., 4.],
           [6., 8.]], dtype=float32)
    """

    __slots__ = ("__weakref__", "data", "grad", "half", "op", "parents", "requires_grad", "rules")
    __array_ufunc__ = None  # so that `array * tensor` asks the tensor

    def __init__(self, data, requires_grad=False, dtype=np.float32):
        self.data = _floats(data, dtype)
        self.grad = None
        self.requires_grad = bool(requires_grad)
        self.parents = ()
        self.rules = ()
        self.op = ""

    def __repr__(self):
        name = type(self).__name__
        numbers = np.array2string(self.data, separator=", ", prefix=f"{name}(", precision=4)
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        return f"{name}({numbers}{dtype}{', requires_grad=True' * self.requires_grad})"

    def pass_gradient_on(self):
        """Give each parent that wants one its gradient: one link of the chain rule."""
        grad, watchers = self.grad, mode.watchers
        if type(grad) is float:  # the walk begins with 1.0
            grad = self.grad = np.full_like(self.data, grad)
        for parent, rule in zip(self.parents, self.rules, strict=True):
            if parent.requires_grad:
                share = rule(grad)
                if type(share) is not np.ndarray:  # numpy makes numbers of arrays of shape (), and += rebinds those
                    share = np.asarray(share)
                if share.shape != parent.data.shape:
                    share = unbroadcast(share, parent.data.shape)
                for watcher in watchers:
                    share = watcher.gradient(self.op, share)
                held = parent.grad
                if parent.parents:  # += would reach whoever holds the same array
                    parent.grad = share if type(held) is float else held + share
                elif held is None:  # a leaf's gradient is its own
                    parent.grad = share.copy() if share is grad or share.base is not None else share
                else:
                    held += share
        if not mode.retain_grads:
            self.grad = None

    def backward(self, retain_grads=True):
        """Fill in the `grad` of everything this number was made of.

        Leaves accumulate: a second call adds to what they hold.

        Parameters
        ----------
        retain_grads : bool, optional
            Whether tensors between the leaves and this one keep their gradients, to be looked at. Without, each is
            given up as soon as it was passed on, as in PyTorch: a training needs half the memory.

        Raises
        ------
        ValueError
            If there is more than one number here, or nothing that it was made of requires a gradient.
        """
        if self.data.size != 1:
            raise ValueError(
                f"backward: expected a result of one number, got one of shape {self.shape}: "
                "add its numbers up first, with .sum() or .mean()"
            )
        if not self.requires_grad:
            raise ValueError(
                "backward: nothing that this was made of requires a gradient: make the leaves with requires_grad=True, "
                "and compute outside of no_grad()"
            )
        if not self.parents and self.grad is None:
            self.grad = np.zeros_like(self.data)
        mode.retain_grads = retain_grads
        try:
            backward(self)
        finally:
            mode.retain_grads = True

    def item(self):
        """Return the one number as a Python float; a ValueError where there are several."""
        if self.data.size != 1:
            raise ValueError(f"item: expected one number, got shape {self.shape}: use .numpy() or .tolist()")
        return self.data.item()

    def numpy(self):
        """Return the array itself, not a copy."""
        return self.data

    def tolist(self):
        """Return the numbers as Python's, in lists as deep as there are axes."""
        return self.data.tolist()

    def detach(self):
        """Return a tensor of the same numbers (the same memory) that does not remember how it was made."""
        made = _new(Tensor)
        made.data, made.grad, made.requires_grad, made.parents, made.rules, made.op = self.data, None, False, (), (), ""
        return made

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data, dtype=dtype, copy=copy)

    def __len__(self):
        if not self.data.ndim:
            raise TypeError("len: a tensor of shape () is one number")
        return len(self.data)

    def __bool__(self):
        return bool(self.item())

    def __float__(self):
        return self.item()

    def __format__(self, spec):
        return format(self.item(), spec) if spec else str(self)

    @property
    def shape(self):
        """How many numbers there are along each axis."""
        return self.data.shape

    @property
    def ndim(self):
        """How many axes there are."""
        return self.data.ndim

    @property
    def size(self):
        """How many numbers there are."""
        return self.data.size

    @property
    def dtype(self):
        """What the numbers are: float32 or float64."""
        return self.data.dtype


_new = object.__new__  # found once, not at every node


def node(data, parents, rules, op):
    """Make a Tensor out of others. It remembers them only where one of them requires a gradient.

    Parameters
    ----------
    data : numpy.ndarray
        What the operation gave.
    parents : tuple of Tensor
    rules : tuple of callable
        For each parent a function of the gradient of the result. It returns a new array, or the gradient itself, or a
        view of it, in the shape that broadcasting gave the parent, or in the parent's own.
    op : str
        The name of the operation.

    Returns
    -------
    Tensor
    """
    made = _new(Tensor)
    made.data = data if type(data) is np.ndarray else np.asarray(data)
    made.grad = None
    made.op = op
    for parent in parents if mode.record else ():
        if parent.requires_grad:
            made.requires_grad, made.parents, made.rules = True, parents, rules
            break
    else:
        made.requires_grad, made.parents, made.rules = False, (), ()
    for watcher in mode.watchers:
        made = watcher.result(made, parents)
    return made


def unbroadcast(gradient, shape):
    """Undo broadcasting: add up what went to every copy of a number.

    Parameters
    ----------
    gradient : numpy.ndarray
        In the shape that broadcasting gave.
    shape : tuple of int
        The shape before.

    Returns
    -------
    numpy.ndarray

    Examples
    --------
    >>> unbroadcast(np.ones((2, 3)), (3,))
    array([2., 2., 2.])
    >>> unbroadcast(np.ones((2, 3)), (2, 1))
    array([[3.],
           [3.]])
    """
    added = gradient.ndim - len(shape)
    stretched = (i for i, n in enumerate(shape, added) if n == 1 and gradient.shape[i] != 1)
    return total(gradient, (*range(added), *stretched), keepdims=True).reshape(shape)


def operation(name):
    """Make a function of tensors a method of Tensor too, under this name: `exp(x)` is `x.exp()`."""

    def add(function):
        setattr(Tensor, name, function)
        return function

    return add


@contextmanager
def no_grad():
    """Compute without remembering: results made inside have no parents, and cost no memory for a walk back.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> with no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """
    before, mode.record = mode.record, False
    try:
        yield
    finally:
        mode.record = before


@contextmanager
def detect_anomaly():
    """Stop at the first nan, in a result or in a gradient, and name the operation that it came from.

    Every array is looked through, so computing takes longer inside.

    Raises
    ------
    FloatingPointError
        At the first nan.

    Examples
    --------
    >>> x = Tensor([0.0], requires_grad=True)
    >>> with detect_anomaly():
    ...     (x.sqrt() * 0.0).sum().backward()
    Traceback (most recent call last):
    FloatingPointError: the gradient that sqrt passes back, of shape (1,), has a nan at [0]
    """
    with np.errstate(all="ignore"), watching((_LooksForNan(), *mode.watchers)):
        yield


class _LooksForNan(Watcher):
    """Stops at the first nan."""

    def result(self, made, parents):
        _look_for_nan(made.data, f"the result of {made.op}")
        return made

    def gradient(self, op, share):
        _look_for_nan(share, f"the gradient that {op} passes back")
        return share


def _look_for_nan(array, what):
    if np.isnan(array).any():
        where = [int(i) for i in np.argwhere(np.isnan(array))[0]]
        raise FloatingPointError(f"{what}, of shape {array.shape}, has a nan at {where}")


def _floats(data, dtype):
    """Copy what is given into an array of floats."""
    try:
        dtype = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype: expected float32 or float64, got {dtype!r}") from None
    if dtype not in FLOATS:
        raise TypeError(
            f"dtype: expected float32 or float64, got {dtype}: only floats have slopes; "
            "labels and indices stay plain arrays of integers"
        )
    try:
        array = np.array(data)
    except ValueError:
        raise ValueError(f"Tensor: the lists are not all of one length: {data!r:.60}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"Tensor: expected numbers, got {array.dtype} from {data!r:.60}")
    return array.astype(dtype, copy=False)
