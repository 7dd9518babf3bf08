"""Memory against time: keep what a part of a network reads, forget what it computes, and compute that again later.

PyTorch has it as `torch.utils.checkpoint.checkpoint`, JAX as `jax.checkpoint` or `remat`, Megatron as activation
recomputation. Chen, Xu, Zhang and Guestrin, *Training deep nets with sublinear memory cost*, 2016
(https://arxiv.org/abs/1604.06174). The lesson is `docs/llm/recompute.md`.
"""

import gc
import weakref

import numpy as np

from microlearn.autograd import backward, topological_order
from microlearn.deep import Tensor, generator
from microlearn.deep._watch import mode, watching
from microlearn.deep.tensor import node

TOLERANCE = 1e-5  # what rounding may change between two runs, as a part of the largest number


def recompute(function, *inputs):
    """Compute `function(*inputs)` and keep nothing of the way there: the way back calls `function` once more.

    Values and gradients are those of the plain call, bit for bit. Dropout draws the same zeros both times, and the
    generator of the layers stands where the plain call would have left it. Where nothing is recorded, as under
    `no_grad()`, this is the plain call.

    Parameters
    ----------
    function : callable
        Returns one Tensor, always the same for the same inputs; a module, for instance. Its parameters get their
        gradients. What else it changes, such as the running mean of a BatchNorm1d, it changes twice.
    *inputs
        What it is called with: tensors, of which any or none require a gradient, and anything else. They are kept.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        If `function` cannot be called, or returns something else than one Tensor.
    ValueError
        If it uses a tensor that was computed outside and is no input.
    RuntimeError
        On the way back, if the second run comes to another result than the first.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> recompute(lambda x: (x * x).exp(), x).sum().backward()
    >>> x.grad.round(2).tolist()
    [5.440000057220459, 218.38999938964844]
    """
    if not callable(function):
        raise TypeError(
            f"recompute: expected a function and then its inputs, got {function!r:.60}: "
            "recompute(block, x), not recompute(block(x))"
        )
    if not mode.record:
        return _one_tensor(function, function(*inputs))
    around = generator().bit_generator.state, mode.watchers
    stand_ins, given = _stand_ins(inputs)
    result = _one_tensor(function, function(*given))
    if not result.parents:  # it handed an input through, or needs no gradient
        return next((x for x, stand_in in stand_ins.items() if stand_in is result), result)
    inside = topological_order(result)
    leaves = {leaf: None for one in inside for leaf in one.parents if leaf.requires_grad and not leaf.parents}
    for stand_in in stand_ins.values():
        leaves.pop(stand_in, None)
    made = Recomputed(result, (*stand_ins, *leaves), function, inputs, around)
    there = [(weakref.ref(one), one.op, one.shape) for one in inside]
    del result, inside  # here the memory is given back: nobody else should have a way to the graph
    if any(one() is not None for one, _, _ in there):
        gc.collect()  # unless it only waits in a circle of references
    outlived = [(op, shape) for one, op, shape in there if one() is not None]
    if outlived:
        op, shape = outlived[-1]
        raise ValueError(
            f"recompute: the result of {op}, of shape {shape}, outlives {_name(function)}: what was computed outside "
            "has to be an input, recompute(function, x, y), and what is kept from inside detached"
        )
    return made


class Recomputed(Tensor):
    """A tensor that remembers what to call again, where others remember what was computed. `recompute` makes it.

    Its parents are the inputs and the parameters that were used inside, so that a walk finds both.
    """

    __slots__ = ("around", "function", "inputs")

    def __init__(self, result, parents, function, inputs, around):
        self.data, self.grad, self.requires_grad, self.parents, self.rules = result.data, None, True, parents, ()
        self.op, self.function, self.inputs, self.around = "recompute", function, inputs, around
        _mark_half(self, result)

    def pass_gradient_on(self):
        """Call the function again, walk back through what it computes now, and forget it again."""
        if type(self.grad) is float:  # the walk begins with 1.0
            self.grad = np.full_like(self.data, self.grad)
        stand_ins, given = _stand_ins(self.inputs)
        for x, stand_in in stand_ins.items():
            if stand_in is not x and isinstance(x.grad, np.ndarray):  # what other paths brought: add to it, in order
                stand_in.grad = x.grad.copy()
        before = mode.record, mode.retain_grads
        mode.record, mode.retain_grads = True, False
        try:
            result = self._run_again(given)
            # a number whose slope towards the result is the gradient that arrived here
            backward(node(np.zeros((), dtype=result.dtype), (result,), (lambda one: self.grad,), "recompute"))
        finally:
            mode.record, mode.retain_grads = before
        for x, stand_in in stand_ins.items():
            if stand_in is not x and stand_in.grad is not None:
                x.grad = stand_in.grad
        if not mode.retain_grads:
            self.grad = None

    def _run_again(self, given):
        """Call the function with the random numbers of the first time; leave the generator as it is now."""
        state, watchers = self.around
        now = generator().bit_generator.state
        generator().bit_generator.state = state
        try:
            with watching(watchers):
                result = _one_tensor(self.function, self.function(*given))
        finally:
            generator().bit_generator.state = now
        if not _same(result.data, self.data):
            raise RuntimeError(
                f"recompute: the second run of {_name(self.function)} came to another result than the first: "
                "does it draw from a generator of its own, or were parameters, inputs or train() changed in between?"
            )
        return result


def _stand_ins(inputs):
    """Give every computed tensor a leaf of the same memory to stand in for it, at which a walk inside will end.

    Returns
    -------
    dict of Tensor to Tensor, list
        By the tensor among the inputs, what stands for it: a leaf is its own. And the inputs to call with.
    """
    stand_ins = {}
    for x in inputs:
        if isinstance(x, Tensor):
            stand_ins[x] = x
            if x.parents:
                stand_ins[x] = x.detach()
                stand_ins[x].requires_grad = x.requires_grad
                _mark_half(stand_ins[x], x)
    return stand_ins, [stand_ins[x] if isinstance(x, Tensor) else x for x in inputs]


def _mark_half(tensor, like):
    """Let a tensor say, where another does, that `autocast` has rounded it."""
    if hasattr(like, "half"):
        tensor.half = like.half


def _one_tensor(function, result):
    if not isinstance(result, Tensor):
        raise TypeError(f"recompute: {_name(function)} has to return one Tensor, and returned {result!r:.60}")
    return result


def _name(function):
    return getattr(function, "__name__", type(function).__name__)


def _same(a, b):
    """Compare two runs; rounding may differ where a library splits its work in another way."""
    if a.shape != b.shape or np.array_equal(a, b):
        return a.shape == b.shape
    reach = TOLERANCE * np.abs(b).max(where=np.isfinite(b), initial=0.0)
    return np.allclose(a, b, rtol=TOLERANCE, atol=reach, equal_nan=True)
