"""Which way and how far every parameter moves, given its gradient: SGD, RMSprop, Adam, AdamW, and a limit on gradients.

Names, arguments, defaults and formulas are those of `torch.optim`. All parameters of a group are one flat array, of
which each is a view: a step is a few passes over that array, not a few for every parameter. The lesson is
`docs/deep/optim.md`.
"""

import bisect
import math
from collections.abc import Iterable, Mapping

import numpy as np

from microlearn.deep._checks import tensors
from microlearn.deep.tensor import Tensor
from microlearn.networks._checks import is_list

PIECE = 2**15  # so many numbers, their gradients and their state fit into a processor's cache together
OWN = {"params", "initial_lr"}  # what a group holds besides settings; a schedule puts the second there


class Optimizer:
    """What every optimizer does: keep the parameters, and what it remembers for each of them.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to move; or groups, each a dict with "params" and whatever shall differ from the defaults.
    **defaults
        The settings of a group, such as `lr`.

    Attributes
    ----------
    param_groups : list of dict
        "params" and the settings of each group. Schedules change "lr" here.

    Raises
    ------
    TypeError, ValueError
        If there are no parameters, one is not a tensor, one appears twice, or a setting makes no sense.
    """

    remembers: tuple[str, ...] = ()  # for each number of a parameter, these numbers

    def __init__(self, params, **defaults):
        params = list(params) if isinstance(params, Iterable) and not isinstance(params, Tensor) else [params]
        if not params:
            raise ValueError("params: there is nothing to train: give model.parameters()")
        groups = params if isinstance(params[0], dict) else [{"params": params}]
        self.param_groups, self._flats = [], []
        for group in groups:
            if not isinstance(group, dict) or "params" not in group:
                raise TypeError(f"params: expected each group to be a dict with 'params', got {group!r:.60}")
            unknown = group.keys() - defaults.keys() - {"params"}
            if unknown:
                raise ValueError(f"params: {type(self).__name__} has no setting {', '.join(sorted(unknown))}")
            held = tensors("params", group["params"])
            self.param_groups.append({**defaults, **group, "params": held})
            _check(self.param_groups[-1])
            self._flats.append(_Flat(held, [name for name in self.remembers if self.uses(name, self.param_groups[-1])]))
        everything = [parameter for group in self.param_groups for parameter in group["params"]]
        if len(set(everything)) < len(everything):
            raise ValueError("params: a parameter appears twice: it would be moved twice")

    def zero_grad(self):
        """Forget all gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def step(self):
        """Move every parameter that has a gradient."""
        for group, flat in zip(self.param_groups, self._flats, strict=True):
            for data, grad, state, steps in flat.stretches():
                self.update(data, grad, state, steps, group)

    def uses(self, name, group):
        """Say whether a group's settings need one of the things that are remembered."""
        return True

    def update(self, data, grad, state, steps, group):
        """Move a stretch of parameters in place; every optimizer has its own formula.

        Parameters
        ----------
        data, grad : numpy.ndarray
            (n,). Both may be changed: this gradient is a copy.
        state : dict of numpy.ndarray
            (n,) each: what the optimizer remembers, at first zeros.
        steps : int
            How many times these were moved, this one included.
        group : dict
            The settings.
        """
        raise NotImplementedError

    def state_dict(self):
        """Return copies of all that is remembered, as arrays and numbers by name; for a checkpoint."""
        state = {}
        for i, (group, flat) in enumerate(zip(self.param_groups, self._flats, strict=True)):
            state |= {f"{i}.{name}": np.asarray(value) for name, value in group.items() if name not in OWN}
            state |= {f"{i}.{name}": remembered.copy() for name, remembered in flat.state.items()}
            state[f"{i}.step"] = np.array(flat.steps)
        return state

    def load_state_dict(self, state):
        """Go on from what `state_dict` returned.

        Raises
        ------
        ValueError
            If it is that of another optimizer, or of other parameters.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"load_state_dict: expected arrays by name, got {state!r:.60}")
        own = self.state_dict()
        faults = [f"{name} is missing" for name in own if name not in state]
        faults += [f"{name} is unexpected" for name in state if name not in own]
        faults += [
            f"{name} has shape {np.shape(state[name])}, and here {own[name].shape}"
            for name in own
            if name in state and np.shape(state[name]) != own[name].shape
        ]
        if faults:
            raise ValueError(f"load_state_dict: this is the state of another optimizer: {'; '.join(faults)}")
        for i, (group, flat) in enumerate(zip(self.param_groups, self._flats, strict=True)):
            for name in group.keys() - OWN:
                group[name] = np.asarray(state[f"{i}.{name}"]).tolist()
            for name, remembered in flat.state.items():
                remembered[...] = state[f"{i}.{name}"]
            flat.steps = np.asarray(state[f"{i}.step"]).tolist()

    def __repr__(self):
        settings = ", ".join(f"{name}={value}" for name, value in self.param_groups[0].items() if name not in OWN)
        return f"{type(self).__name__}({settings})"


class SGD(Optimizer):
    """Gradient descent, if you like with momentum: a velocity that remembers the gradients before.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
    lr : float, optional
        How far a parameter moves for each unit of its gradient.
    momentum : float, optional
        How much of the velocity is left after a step.
    dampening : float, optional
        How much of a gradient the velocity does not take in.
    weight_decay : float, optional
        How hard each number is pulled towards 0: this times the number is added to its gradient.
    nesterov : bool, optional
        Look one step ahead along the velocity (Sutskever, Martens, Dahl and Hinton, *On the importance of
        initialization and momentum in deep learning*, 2013).
    """

    remembers = ("momentum_buffer",)

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
        if nesterov and (not momentum or dampening):
            raise ValueError("nesterov: it needs a momentum, and no dampening")
        super().__init__(
            params, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov
        )

    def uses(self, name, group):
        """Remember a velocity only where there is momentum."""
        return bool(group["momentum"])

    def update(self, data, grad, state, steps, group):
        """Compute `v = momentum * v + grad; data -= lr * v`."""
        momentum = group["momentum"]
        if group["weight_decay"]:
            grad += group["weight_decay"] * data
        if momentum:
            velocity = state["momentum_buffer"]
            velocity *= momentum
            velocity += grad if steps == 1 else (1.0 - group["dampening"]) * grad
            grad = grad + momentum * velocity if group["nesterov"] else velocity
        data -= group["lr"] * grad


class RMSprop(Optimizer):
    """Divide each gradient by the root of its recent mean square: every parameter gets a rate of its own.

    Tieleman and Hinton, *Neural networks for machine learning*, lecture 6e, 2012.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
    lr : float, optional
    alpha : float, optional
        How much of the mean square is left after a step.
    eps : float, optional
        Added to the root.
    weight_decay, momentum : float, optional
        As for `SGD`.
    centered : bool, optional
        Take the variance and not the mean square.
    """

    remembers = ("square_avg", "grad_avg", "momentum_buffer")

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
        super().__init__(
            params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered
        )

    def uses(self, name, group):
        """Remember the mean and a velocity only where they are asked for."""
        return bool({"grad_avg": group["centered"], "momentum_buffer": group["momentum"]}.get(name, True))

    def update(self, data, grad, state, steps, group):
        """Compute `s = alpha * s + (1 - alpha) * grad**2; data -= lr * grad / (sqrt(s) + eps)`."""
        alpha = group["alpha"]
        if group["weight_decay"]:
            grad += group["weight_decay"] * data
        square = state["square_avg"]
        square *= alpha
        square += (1.0 - alpha) * grad * grad
        if group["centered"]:
            mean = state["grad_avg"]
            mean += (1.0 - alpha) * (grad - mean)
            square = square - mean * mean
        move = grad / (np.sqrt(square) + group["eps"])
        if group["momentum"]:
            velocity = state["momentum_buffer"]
            velocity *= group["momentum"]
            velocity += move
            move = velocity
        data -= group["lr"] * move


class Adam(Optimizer):
    """Momentum over the root of the mean square, both corrected for having started from zero.

    Kingma and Ba, *Adam*, 2014 (https://arxiv.org/abs/1412.6980).

    Parameters
    ----------
    params : iterable of Tensor, or of dict
    lr : float, optional
        About how far a parameter moves in a step.
    betas : tuple of float, optional
        How much is left after a step of the mean, and of the mean square.
    eps : float, optional
        Added to the root.
    weight_decay : float, optional
        As for `SGD`: it is added to the gradient, and divided as the gradient is.
    """

    remembers = ("exp_avg", "exp_avg_sq")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def update(self, data, grad, state, steps, group):
        """Compute `m = b1*m + (1-b1)*grad; v = b2*v + (1-b2)*grad**2; data -= lr * m / (sqrt(v) + eps)`, corrected."""
        if group["weight_decay"]:
            grad += group["weight_decay"] * data
        self.adapt(data, grad, state, steps, group)

    @staticmethod
    def adapt(data, grad, state, steps, group):
        """Move by the mean of the gradients over the root of their mean square."""
        first, second = group["betas"]
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        mean *= first
        mean += (1.0 - first) * grad
        square *= second
        grad *= grad
        grad *= 1.0 - second
        square += grad
        root = np.sqrt(square, out=grad)
        root *= 1.0 / math.sqrt(1.0 - second**steps)
        root += group["eps"]
        move = np.divide(mean, root, out=root)
        move *= group["lr"] / (1.0 - first**steps)
        data -= move


class AdamW(Adam):
    """Adam whose weight decay is not divided: every number shrinks at the same rate, whatever its gradients were.

    Loshchilov and Hutter, *Decoupled weight decay regularization*, 2017 (https://arxiv.org/abs/1711.05101).

    Parameters
    ----------
    params, lr, betas, eps
        As for `Adam`.
    weight_decay : float, optional
        Each step takes `lr * weight_decay` of every number away.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, data, grad, state, steps, group):
        """Shrink, then do as Adam does."""
        data *= 1.0 - group["lr"] * group["weight_decay"]
        self.adapt(data, grad, state, steps, group)


def clip_grad_norm_(parameters, max_norm, norm_type=2.0):
    """Scale all gradients down together, so that their norm is at most `max_norm`.

    Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural networks*, 2012
    (https://arxiv.org/abs/1211.5063).

    Parameters
    ----------
    parameters : iterable of Tensor
    max_norm : float
    norm_type : float, optional
        2 is the length of the arrow that all gradients together are; `inf` is the largest of them.

    Returns
    -------
    float
        The norm before.
    """
    for name, number in (("max_norm", max_norm), ("norm_type", norm_type)):
        if not (isinstance(number, int | float | np.number) and number > 0.0):
            raise ValueError(f"{name}: expected a number above zero, got {number!r}")
    grads = [parameter.grad for parameter in tensors("parameters", parameters) if parameter.grad is not None]
    if norm_type == math.inf:
        norm = max((float(np.abs(grad).max(initial=0.0)) for grad in grads), default=0.0)
    elif norm_type == 2.0:
        norm = math.sqrt(sum(float(np.vdot(grad, grad)) for grad in grads))
    else:
        norm = sum(float((np.abs(grad) ** norm_type).sum()) for grad in grads) ** (1.0 / norm_type)
    if not norm <= max_norm:  # also where it is nan
        for grad in grads:
            grad *= max_norm / (norm + 1e-6)
    return norm


class _Flat:
    """The parameters of a group as one array, of which each of them is a view, and their state likewise."""

    def __init__(self, parameters, remembers):
        self.parameters, self.steps = parameters, [0] * len(parameters)
        self.ends = np.cumsum([parameter.size for parameter in parameters]).tolist()
        self.starts = [end - parameter.size for end, parameter in zip(self.ends, parameters, strict=True)]
        self.data = np.empty(self.ends[-1], dtype=parameters[0].dtype)
        self.grad = np.empty(min(PIECE, self.ends[-1]), dtype=self.data.dtype)
        self.state = {name: np.zeros_like(self.data) for name in remembers}
        self._make_views()

    def __setstate__(self, state):
        """Come out of a copy or a pickle, which make arrays of what was a view."""
        self.__dict__.update(state)
        self._make_views()

    def _make_views(self):
        self.views = [
            self.data[start:end].reshape(parameter.shape)
            for start, end, parameter in zip(self.starts, self.ends, self.parameters, strict=True)
        ]
        self.gather()

    def gather(self):
        """Make each parameter a view of the array: at first, and since someone put another array in its place."""
        for parameter, view in zip(self.parameters, self.views, strict=True):
            if parameter.data is not view:
                view[...] = parameter.data
                parameter.data = view

    def stretches(self):
        """Yield data, gradient, state and steps of neighbours that have a gradient and moved equally often."""
        self.gather()
        for i, parameter in enumerate(self.parameters):
            self.steps[i] += parameter.grad is not None
        first = 0
        while first < len(self.parameters):
            last = first
            while last < len(self.parameters) and self._together(first, last):
                last += 1
            if last == first:
                first += 1
                continue
            end = self.ends[last - 1]
            for at in range(self.starts[first], end, PIECE):
                part = slice(at, min(at + PIECE, end))
                state = {name: array[part] for name, array in self.state.items()}
                yield self.data[part], self._gradient(part), state, self.steps[first]
            first = last

    def _gradient(self, part):
        """Copy the gradients of a part of the array side by side."""
        i = bisect.bisect(self.ends, part.start)
        at = part.start
        while at < part.stop:
            end = min(part.stop, self.ends[i])
            grad = self.parameters[i].grad.reshape(-1)[at - self.starts[i] : end - self.starts[i]]
            self.grad[at - part.start : end - part.start] = grad
            i, at = i + 1, end
        return self.grad[: part.stop - part.start]

    def _together(self, first, i):
        return self.parameters[i].grad is not None and self.steps[i] == self.steps[first]


def _check(group):
    """Refuse a group that cannot be trained."""
    if not group["params"]:
        raise ValueError("params: a group has no parameters")
    for parameter in group["params"]:
        if parameter.parents:
            raise ValueError("params: only a leaf can be moved, and this tensor was computed from others")
        if parameter.dtype != group["params"][0].dtype:
            raise TypeError(
                "params: the tensors of a group have one dtype; put float32 and float64 in groups of their own"
            )
    for name, value in group.items():
        if name not in ("params", "nesterov", "centered"):
            if name == "betas" and not (is_list(value) and len(value) == 2):
                raise TypeError(f"betas: expected a pair of numbers, such as (0.9, 0.999), got {value!r}")
            most, bounds = (1.0, "from 0 to below 1") if name in ("betas", "alpha") else (math.inf, "of 0 or more")
            for number in value if name == "betas" else [value]:
                if not (isinstance(number, int | float | np.number) and 0.0 <= number < most):
                    raise ValueError(f"{name}: expected a number {bounds}, got {value!r}")
