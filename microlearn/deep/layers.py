"""What has parameters: a `Module`, and the layers that are made of arrays where `networks` had neurons.

Names, arguments and defaults are those of `torch.nn`. The lesson is `docs/deep/layers.md`.
"""

import numpy as np

from microlearn.deep import activations, elementwise, fused
from microlearn.deep._checkpoint import read, write
from microlearn.deep._checks import constant, integers
from microlearn.deep.initialization import kaiming_uniform_, normal_, uniform_
from microlearn.deep.tensor import Tensor
from microlearn.networks._checks import finite, whole


class Parameter(Tensor):
    """A tensor that training may change. A module finds those that are its attributes.

    Parameters
    ----------
    data : array_like
    requires_grad : bool, optional
        False freezes it.
    dtype : dtype, optional
    """

    __slots__ = ()

    def __init__(self, data, requires_grad=True, dtype=np.float32):
        super().__init__(data, requires_grad, dtype)


class Module:
    """A part of a network. Its parameters are those that it holds as attributes, and those of the modules it holds.

    A subclass sets attributes in `__init__` and computes in `forward`. An attribute that is a Tensor and no Parameter
    is kept and saved with the rest, but not trained; a list of modules counts as modules.

    Attributes
    ----------
    training : bool
        Whether layers that behave differently in training (Dropout, BatchNorm1d) do so.

    Examples
    --------
    >>> class Twice(Module):
    ...     def __init__(self):
    ...         self.inner = Linear(2, 2)
    ...
    ...     def forward(self, x):
    ...         return self.inner(self.inner(x))
    >>> [name for name, parameter in Twice().named_parameters()]
    ['inner.weight', 'inner.bias']
    """

    training = True

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def forward(self, x):
        """Compute the output; every subclass has its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(self, x)")

    def named_children(self):
        """Yield the modules that this one holds, with the names of their attributes."""
        for name, held in vars(self).items():
            if isinstance(held, Module):
                yield name, held
            elif isinstance(held, list | tuple):
                yield from ((f"{name}.{i}", one) for i, one in enumerate(held) if isinstance(one, Module))

    def modules(self):
        """Yield this module and all that it is made of."""
        yield self
        for _, child in self.named_children():
            yield from child.modules()

    def named_tensors(self):
        """Yield every tensor held here or below, by its full name, such as `0.weight`."""
        for name, held in vars(self).items():
            if isinstance(held, Tensor) and not held.parents:  # what was computed is no part of the model
                yield name, held
        for prefix, child in self.named_children():
            yield from ((f"{prefix}.{name}", held) for name, held in child.named_tensors())

    def named_parameters(self):
        """Yield what training may change, by name; a parameter that has two names, by the first."""
        seen = set()
        for name, held in self.named_tensors():
            if isinstance(held, Parameter) and held not in seen:
                seen.add(held)
                yield name, held

    def parameters(self):
        """Yield what training may change."""
        return (parameter for _, parameter in self.named_parameters())

    def zero_grad(self):
        """Forget all gradients, because `backward` only ever adds."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode=True):
        """Behave as in training, here and below; return this module."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self):
        """Behave as after training; return this module."""
        return self.train(False)

    def state_dict(self):
        """Return a copy of every tensor, by name, as arrays.

        (PyTorch returns the tensors themselves, which go on changing while you train.)
        """
        return {name: held.data.copy() for name, held in self.named_tensors()}

    def load_state_dict(self, state):
        """Take over the numbers of a `state_dict`. Either all of them fit, or nothing changes.

        Raises
        ------
        ValueError
            If names are missing or unexpected, or shapes differ; each is named.
        """
        if not isinstance(state, dict):
            raise TypeError(
                f"load_state_dict: expected arrays by name, got {state!r:.60}; a file is read by load(path)"
            )
        own = dict(self.named_tensors())
        faults = [f"{name} is missing" for name in own if name not in state]
        faults += [f"{name} is not in this model" for name in state if name not in own]
        faults += [
            f"{name} has shape {np.shape(state[name])}, and here {held.shape}"
            for name, held in own.items()
            if name in state and np.shape(state[name]) != held.shape
        ]
        if faults:
            raise ValueError(f"load_state_dict: this is the state of another model: {'; '.join(faults)}")
        arrays = {name: np.asarray(state[name], dtype=held.dtype) for name, held in own.items()}
        for name, held in own.items():
            held.data[...] = arrays[name]

    def save(self, path):
        """Write the state to a file, all of it or nothing: `numpy.load` can read it."""
        write(path, self.state_dict())

    def load(self, path):
        """Take over the state that `save` wrote; return this module.

        Raises
        ------
        ValueError
            If the file is cut off, holds something else, or is of another model.
        """
        arrays = read(path)
        if "training" in arrays:
            raise ValueError(
                f"{path}: this is the checkpoint of a training: fit(..., checkpoint, resume=True) reads it"
            )
        try:
            self.load_state_dict(arrays)
        except ValueError as error:
            raise ValueError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from None
        return self

    def extra_repr(self):
        """Say what a layer was made with, for its repr."""
        return ""

    def __repr__(self):
        children = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        inside = "\n  " + "\n  ".join(children) + "\n" if children else self.extra_repr()
        return f"{type(self).__name__}({inside})"


class Linear(Module):
    """A layer of neurons: `x @ weight.T + bias`.

    Parameters
    ----------
    in_features, out_features : int
        How many numbers it reads, and how many neurons it has.
    bias : bool, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight : Parameter
        (out_features, in_features), drawn between -1 and 1 over the square root of `in_features`, as PyTorch does.
    bias : Parameter or None
        (out_features,), drawn likewise.
    """

    def __init__(self, in_features, out_features, bias=True, dtype=np.float32):
        self.in_features, self.out_features = whole("in_features", in_features), whole("out_features", out_features)
        self.weight = kaiming_uniform_(Parameter(np.zeros((out_features, in_features)), dtype=dtype), a=5**0.5)
        reach = in_features**-0.5
        self.bias = uniform_(Parameter(np.zeros(out_features), dtype=dtype), -reach, reach) if bias else None

    def forward(self, x):
        """Map (..., in_features) to (..., out_features)."""
        return fused.linear(x, self.weight, self.bias)

    def extra_repr(self):
        """Say the sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Embedding(Module):
    """A table: the vector of every number from 0 to `num_embeddings - 1`, looked up.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        How many vectors, and how long each is.
    dtype : dtype, optional

    Attributes
    ----------
    weight : Parameter
        (num_embeddings, embedding_dim), drawn from a normal distribution.
    """

    def __init__(self, num_embeddings, embedding_dim, dtype=np.float32):
        self.num_embeddings = whole("num_embeddings", num_embeddings)
        self.embedding_dim = whole("embedding_dim", embedding_dim)
        self.weight = normal_(Parameter(np.zeros((num_embeddings, embedding_dim)), dtype=dtype))

    def forward(self, ids):
        """Map whole numbers (...) to vectors (..., embedding_dim)."""
        ids = integers("Embedding", ids)
        if ids.size and not 0 <= ids.min() <= ids.max() < self.num_embeddings:
            wrong = ids[(ids < 0) | (ids >= self.num_embeddings)][0]
            raise IndexError(f"Embedding: {wrong} is not from 0 to {self.num_embeddings - 1}")
        return self.weight[ids]

    def extra_repr(self):
        """Say the sizes."""
        return f"{self.num_embeddings}, {self.embedding_dim}"


class Sequential(Module):
    """Modules one behind the other. `model[0]` is the first, and a slice is a shorter model of the same modules.

    Parameters
    ----------
    *modules : Module

    Examples
    --------
    >>> model = Sequential(Linear(2, 16), Tanh(), Linear(16, 1))
    >>> model([[0.5, -1.0]]).shape
    (1, 1)
    """

    def __init__(self, *modules):
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: expected modules, got {module!r} at place {i}")
            setattr(self, str(i), module)

    def forward(self, x):
        """Send x through one module after the other."""
        for module in self:
            x = module(x)
        return x

    def __iter__(self):
        return (child for _, child in self.named_children())

    def __len__(self):
        return len(list(iter(self)))

    def __getitem__(self, place):
        chosen = list(self)[place]
        return Sequential(*chosen) if isinstance(place, slice) else chosen


class ReLU(Module):
    """`relu` as a layer."""

    def forward(self, x):
        """Bend every number."""
        return activations.relu(constant("ReLU", x))


class LeakyReLU(Module):
    """`leaky_relu` as a layer."""

    def __init__(self, negative_slope=0.01):
        self.negative_slope = finite("negative_slope", negative_slope)

    def forward(self, x):
        """Bend every number."""
        return activations.leaky_relu(constant("LeakyReLU", x), self.negative_slope)

    def extra_repr(self):
        """Say the slope."""
        return f"negative_slope={self.negative_slope}"


class GELU(Module):
    """`gelu` as a layer."""

    def __init__(self, approximate="none"):
        self.approximate = approximate

    def forward(self, x):
        """Bend every number."""
        return fused.gelu(constant("GELU", x), self.approximate)

    def extra_repr(self):
        """Say whether it is exact."""
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """`silu` as a layer."""

    def forward(self, x):
        """Bend every number."""
        return activations.silu(constant("SiLU", x))


class Tanh(Module):
    """`tanh` as a layer."""

    def forward(self, x):
        """Bend every number."""
        return elementwise.tanh(constant("Tanh", x))


class Sigmoid(Module):
    """`sigmoid` as a layer."""

    def forward(self, x):
        """Bend every number."""
        return activations.sigmoid(constant("Sigmoid", x))


class Softmax(Module):
    """`softmax` as a layer. (PyTorch's has no axis of its own unless told, as `dim`.)"""

    def __init__(self, axis=-1):
        self.axis = axis

    def forward(self, x):
        """Bend every number."""
        return activations.softmax(constant("Softmax", x), self.axis)

    def extra_repr(self):
        """Say the axis."""
        return f"axis={self.axis}"
