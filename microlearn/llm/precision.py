"""Half the bytes for each number: what float16 and bfloat16 keep, what they lose, and how a training lives with it.

Arrays stay float32 here. What is rounded are the numbers in them, at every place where PyTorch's mixed precision has a
number of 16 bits. The lesson is `docs/llm/precision.md`.
"""

import math
from collections.abc import Mapping
from contextlib import contextmanager

import numpy as np

from microlearn.deep._watch import Watcher, mode, watching
from microlearn.deep.tensor import node
from microlearn.networks._checks import finite, whole

HALF = ("float16", "bfloat16")

# Which operations take which numbers: PyTorch's lists for graphics cards, as far as there are such operations here.
# All others go with what they read: 16 bits if everything has 16 bits, else 32.
IN_HALF = {"linear", "matmul", "causal_attention", "attention"}
IN_FLOAT32 = {
    "exp", "log", "pow", "sum", "softmax", "log_softmax", "layer_norm", "rms_norm", "softmax_cross_entropy",
    "binary_cross_entropy_with_logits",
}  # fmt: skip

# what a scale and its factors may be, for `finite`: the least, and what is too much
SCALES = 2.0**-149, math.nextafter(float(np.finfo(np.float32).max), math.inf)
ABOVE_1, BELOW_1 = (math.nextafter(1.0, 2.0), math.inf), (math.ulp(0.0), 1.0)
STATE = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")  # of a GradScaler


def round_to(numbers, dtype):
    """Round numbers to what a float of 16 bits can hold, to the nearest, and of two as near to the even one.

    Parameters
    ----------
    numbers : array_like
        Read as float32.
    dtype : {"float16", "bfloat16"}
        float16 has 5 bits of exponent and 10 behind the point, bfloat16 8 and 7. float32 has 8 and 23.

    Returns
    -------
    numpy.ndarray
        A new array in float32. What is too large becomes infinite, what is too small 0; nan stays nan.

    Examples
    --------
    >>> round_to([0.1, 70000.0, 1e-8], "float16").tolist()
    [0.0999755859375, inf, 0.0]
    >>> round_to([0.1, 70000.0, 1e-8], "bfloat16").tolist()
    [0.10009765625, 70144.0, 1.0011717677116394e-08]
    """
    _known(dtype)
    with np.errstate(all="ignore"):
        wide = np.asarray(numbers, dtype=np.float32)
        kept = _without(wide, 13 if dtype == "float16" else 16)
        if dtype == "float16":  # its exponent has fewer bits
            size = np.abs(wide)
            np.copyto(kept, np.rint(wide * np.float32(2.0**24)) * np.float32(2.0**-24), where=size < 2.0**-14)
            np.copyto(kept, wide * np.float32(np.inf), where=size >= 65520.0)  # half a step beyond the largest
        np.copyto(kept, wide, where=np.isnan(wide))  # the bits of a nan carry over into something else
    return kept


def _without(wide, n):
    """Round the last n bits of float32 away. The bits of a float count in the order of its size, so this is a sum."""
    bits = wide.view(np.uint32)
    kept = np.right_shift(bits, np.uint32(n), out=np.empty_like(bits))
    kept &= np.uint32(1)
    kept += np.uint32(2 ** (n - 1) - 1)  # half of what is kept, less a hair where the bit before is 0: ties to even
    kept += bits
    kept &= np.uint32(2**32 - 2**n)
    return kept.view(np.float32)


def precision_of(tensor):
    """Name the type that a tensor would have in PyTorch: that of its array, or what `autocast` has rounded it to.

    Returns
    -------
    {"float16", "bfloat16", "float32", "float64"}
    """
    return getattr(tensor, "half", tensor.dtype.name)


@contextmanager
def autocast(dtype, enabled=True):
    """Compute products of matrices with 16 bits inside, and what needs more digits with 32: `torch.autocast`.

    What goes into a `linear`, a `matmul` or an attention is rounded, weights and all, and so is what comes out.
    Inside, products are added up in float32, as the hardware does. The exponentials, sums, norms and losses of
    `IN_FLOAT32` are computed in float32. Everything else goes with what it reads. Each rounding is an operation of its
    own, and rounds the gradient on the way back too, even when `backward` is called outside. The parameters stay in
    float32, and so does what their gradients are added up in.

    Micikevicius et al., *Mixed precision training*, 2017 (https://arxiv.org/abs/1710.03740).

    Parameters
    ----------
    dtype : {"float16", "bfloat16"}
    enabled : bool, optional
        Without, it computes as if there was no autocast, also inside of another one.

    Examples
    --------
    >>> from microlearn import Tensor
    >>> x = Tensor([[0.1, 0.2]])
    >>> with autocast("float16"):
    ...     y = x @ x.T
    >>> precision_of(y), precision_of(y.softmax()), y.item()
    ('float16', 'float32', 0.04998779296875)
    """
    _known(dtype)
    others = [watcher for watcher in mode.watchers if not isinstance(watcher, _Casts)]
    with watching([*others, _Casts(dtype)] if enabled else others):
        yield


class _Casts(Watcher):
    """Puts a cast before and behind what is computed with 16 bits, and in between what goes on with them."""

    def __init__(self, dtype):
        self.dtype = dtype

    def operands(self, op, tensors):
        return tuple(x if x is None or precision_of(x) == "float64" else _cast(x, self.dtype) for x in tensors)

    def result(self, made, parents):
        op = made.op.partition(" ")[0]  # "pow 2" is a pow
        if op == "to" or op in IN_FLOAT32 or made.dtype != np.float32:
            return made
        if op in IN_HALF:
            return _cast(made, self.dtype)
        read = {precision_of(x) for x in parents if x.ndim or not made.ndim}  # a lone number goes with the array
        return _cast(made, *read) if read in ({"float16"}, {"bfloat16"}) else made


def _cast(x, dtype):
    """Round a tensor, and on the way back its gradient."""
    if precision_of(x) == dtype:
        return x
    made = node(round_to(x.data, dtype), (x,), (lambda g: round_to(g, dtype),), f"to {dtype}")
    made.half = dtype
    return made


class GradScaler:
    """Multiply the loss, so that small gradients survive float16; divide again before the step: `torch.amp.GradScaler`.

    A step whose gradients have become infinite or nan is left out, and the scale is halved. After
    `growth_interval` good steps in a row it is doubled.

    Parameters
    ----------
    init_scale : float, optional
        What the loss is multiplied by at first.
    growth_factor, backoff_factor : float, optional
        What the scale is multiplied by after good steps, and after a bad one.
    growth_interval : int, optional
        After how many good steps in a row it grows.
    enabled : bool, optional
        Without, `step` is the optimizer's own, and nothing is scaled.

    Examples
    --------
    >>> from microlearn.deep import SGD, Tensor
    >>> w = Tensor([1.0], requires_grad=True)
    >>> sgd, scaler = SGD([w], lr=0.1), GradScaler()
    >>> scaler.scale((w * 2.0).sum()).backward()
    >>> w.grad.item()
    131072.0
    >>> scaler.step(sgd)
    >>> scaler.update()
    >>> round(w.item(), 3), scaler.get_scale()
    (0.8, 65536.0)
    """

    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
        self._scale = _float32(finite("init_scale", init_scale, *SCALES, "a number above 0"))
        self._growth_factor = finite("growth_factor", growth_factor, *ABOVE_1, "a number above 1")
        self._backoff_factor = finite("backoff_factor", backoff_factor, *BELOW_1, "a number between 0 and 1")
        self._growth_interval = whole("growth_interval", growth_interval)
        self._growth_tracker = 0  # good steps in a row
        self._enabled = bool(enabled)
        self._overflowed = {}  # for each optimizer since the last update: whether a gradient was infinite or nan
        self._stepped = set()

    def scale(self, loss):
        """Return the loss, multiplied."""
        return loss * self._scale if self._enabled else loss

    def unscale_(self, optimizer):
        """Divide the gradients of an optimizer's parameters in place: before `clip_grad_norm_`, if you clip.

        Raises
        ------
        RuntimeError
            If that was done already since the last `update`, or there are no gradients.
        """
        if not self._enabled:
            return
        if id(optimizer) in self._overflowed:
            raise RuntimeError("unscale_: these gradients are divided already: call it once, then step and update")
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not grads:
            raise RuntimeError("unscale_: no parameter has a gradient: call scaler.scale(loss).backward() before")
        self._overflowed[id(optimizer)] = not all(np.isfinite(grad).all() for grad in grads)
        for grad in grads:
            grad *= np.float32(1.0 / self._scale)

    def step(self, optimizer):
        """Divide the gradients, unless that is done, and let the optimizer step, unless one of them is not finite.

        Raises
        ------
        RuntimeError
            If it is the second time since the last `update`, or there are no gradients.
        """
        if not self._enabled:
            optimizer.step()
            return
        if id(optimizer) in self._stepped:
            raise RuntimeError("step: this optimizer has stepped already: call update after each step")
        if id(optimizer) not in self._overflowed:
            self.unscale_(optimizer)
        if not self._overflowed[id(optimizer)]:
            optimizer.step()
        self._stepped.add(id(optimizer))

    def update(self):
        """Make the scale smaller after an overflow, larger after enough good steps; once after each step.

        Raises
        ------
        FloatingPointError
            If gradients are infinite or nan however small the scale: then it is not float16 that is too small.
        RuntimeError
            If no gradients were looked at since the last time.
        """
        if not self._enabled:
            return
        if not self._overflowed:
            raise RuntimeError("update: no gradients were looked at since the last time: call step before")
        self._growth_tracker += 1
        if any(self._overflowed.values()):
            self._scale, self._growth_tracker = _float32(self._scale * self._backoff_factor), 0
        elif self._growth_tracker == self._growth_interval:
            larger = _float32(self._scale * self._growth_factor)
            self._scale, self._growth_tracker = larger if math.isfinite(larger) else self._scale, 0
        self._overflowed, self._stepped = {}, set()
        if self._scale == 0.0:
            raise FloatingPointError(
                "update: gradients are infinite or nan at every scale, so no scale helps: "
                "look for the first nan with detect_anomaly()"
            )

    def get_scale(self):
        """Return what losses are multiplied by now."""
        return self._scale if self._enabled else 1.0

    def state_dict(self):
        """Return the scale, the settings, and how many good steps there were in a row, by PyTorch's names."""
        return {name: getattr(self, f"_{name.lstrip('_')}") for name in STATE} if self._enabled else {}

    def load_state_dict(self, state):
        """Go on from what `state_dict` returned.

        Raises
        ------
        TypeError, ValueError
            If it is not the state of a scaler.
        """
        if not self._enabled:
            return
        if not isinstance(state, Mapping) or set(state) != set(STATE):
            held = sorted(state) if isinstance(state, Mapping) else type(state).__name__
            raise ValueError(f"load_state_dict: expected {', '.join(STATE)}, got {held}")
        numbers = [np.asarray(state[name]).item() for name in STATE]  # a checkpoint makes arrays of them
        loaded = GradScaler(*numbers[:4])
        loaded._growth_tracker = whole("_growth_tracker", numbers[4], 0)
        self.__dict__.update(loaded.__dict__)


def _float32(number):
    """Round to the nearest number of float32, as PyTorch keeps its scale."""
    with np.errstate(over="ignore"):
        return float(np.float32(number))


def _known(dtype):
    if dtype not in HALF:
        raise ValueError(f"dtype: expected 'float16' or 'bfloat16', got {dtype!r}")
