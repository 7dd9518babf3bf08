"""A neuron: a weighted sum of numbers, bent by an activation function. Both halves are Values, so it can learn.

Its lesson is `docs/networks/neuron.md`.
"""

import operator

from microlearn.autograd.value import Value, node
from microlearn.networks._checks import random_source, values, whole


def _linear(value):
    """Leave a sum as it is: no bend at all."""
    return value


ACTIVATIONS = {"tanh": Value.tanh, "relu": Value.relu, "sigmoid": Value.sigmoid, "linear": _linear}


def known(activation):
    """Refuse the name of an activation function that there is not."""
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    return activation


def weighted_sum(weights, inputs, bias):
    """Compute `w0 * x0 + w1 * x1 + ... + bias` as one node of the graph.

    Built from `*` and `+` it would be two nodes for each input. The numbers and the gradients are the same.

    Parameters
    ----------
    weights, inputs : sequence of Value
        As many of one as of the other.
    bias : Value

    Returns
    -------
    Value
        Its parents are the weights, then the inputs, then the bias. The slope towards a weight is its input, and
        towards an input its weight.

    Raises
    ------
    TypeError, ValueError
        If one of them is not a Value, or there are not as many weights as inputs.

    Examples
    --------
    >>> weights, inputs = [Value(2.0), Value(-1.0)], [Value(3.0), Value(4.0)]
    >>> weighted_sum(weights, inputs, Value(0.5)).data
    2.5
    """
    if len(weights) != len(inputs):
        raise ValueError(f"weights and inputs: expected as many of both, got {len(weights)} and {len(inputs)}")
    try:
        w, x = [weight.data for weight in weights], [value.data for value in inputs]
        start = bias.data
    except AttributeError as error:
        raise TypeError(f"weighted_sum: expected Values, and Value(2.0) makes one of a number ({error})") from None
    return node(sum(map(operator.mul, w, x), start), (*weights, *inputs, bias), (*x, *w, 1.0), "Σ")


class Module:
    """Whatever has parameters: a neuron, a layer of them, a network of layers."""

    def parameters(self):
        """List what training may change."""
        raise NotImplementedError

    def zero_grad(self):
        """Set the gradient of every parameter back to zero, because `backward` only ever adds."""
        for parameter in self.parameters():
            parameter.grad = 0.0


class Neuron(Module):
    """A weighted sum and an activation function.

    Parameters
    ----------
    nin : int
        How many numbers it takes.
    activation : {"tanh", "relu", "sigmoid", "linear"}, optional
        What bends the sum; "linear" leaves it as it is.
    seed : int or random.Random, optional
        Where the first weights come from: the same seed, the same weights.
    label : str, optional
        What the names of its parameters begin with: after "neuron3." the first weight is `neuron3.w0`.

    Attributes
    ----------
    weights : list of Value
        One for each input. They are drawn between -sqrt(3 / nin) and sqrt(3 / nin): then the sum varies about as
        much as a single input does, however many there are (LeCun, Bottou, Orr and Müller, *Efficient BackProp*,
        1998, section 4.6).
    bias : Value
        What is added to the sum, at first 0.
    activation : str
        The name of the activation function.

    Raises
    ------
    TypeError, ValueError
        If `nin` is not a whole number above zero, or the activation is not one of the four.

    Examples
    --------
    >>> neuron = Neuron(2, activation="relu")
    >>> [parameter.label for parameter in neuron.parameters()]
    ['w0', 'w1', 'b']
    >>> neuron.weights[0].data, neuron.weights[1].data = 0.5, -1.0
    >>> neuron([3.0, 2.0])
    Value(data=0.0, grad=0.0)
    """

    def __init__(self, nin, activation="tanh", seed=0, label=""):
        nin, rng = whole("nin", nin), random_source(seed)
        reach = (3.0 / nin) ** 0.5
        self.weights = [Value(rng.uniform(-reach, reach), f"{label}w{i}") for i in range(nin)]
        self.bias = Value(0.0, f"{label}b")
        self.activation = known(activation)

    def __call__(self, x):
        """Answer `nin` numbers or Values with one Value."""
        return ACTIVATIONS[self.activation](weighted_sum(self.weights, values(x, len(self.weights)), self.bias))

    def __repr__(self):
        return f"Neuron({len(self.weights)}, activation={self.activation!r})"

    def parameters(self):
        """List what training may change: the weights, then the bias."""
        return [*self.weights, self.bias]
