"""Neurons side by side make a layer, layers one behind the other a network: the multi-layer perceptron.

Its lesson is `docs/networks/mlp.md`.
"""

from itertools import pairwise

from microlearn.networks._checks import is_list, random_source, values, whole
from microlearn.networks.neuron import ACTIVATIONS, Module, Neuron, known, weighted_sum


class Layer(Module):
    """Neurons that all look at the same numbers.

    Parameters
    ----------
    nin, nout : int
        How many numbers it takes, and how many neurons it has.
    activation, seed, label
        As for a `Neuron`; the neurons draw their weights one after the other from the same source.

    Attributes
    ----------
    neurons : list of Neuron

    Raises
    ------
    TypeError, ValueError
        If `nin` or `nout` is not a whole number above zero, or the activation is unknown.

    Examples
    --------
    >>> layer = Layer(2, 3)
    >>> len(layer([0.5, -1.0])), len(layer.parameters())
    (3, 9)
    """

    def __init__(self, nin, nout, activation="tanh", seed=0, label=""):
        rng = random_source(seed)
        self.neurons = [Neuron(nin, activation, rng, f"{label}neuron{i}.") for i in range(whole("nout", nout))]

    def __call__(self, x):
        """Answer `nin` numbers or Values with `nout` Values in a list; with a Value where `nout` is 1."""
        return _through([self], x)

    def __repr__(self):
        nin, activation = len(self.neurons[0].weights), self.neurons[0].activation
        return f"Layer({nin}, {len(self.neurons)}, activation={activation!r})"

    def parameters(self):
        """List what training may change, neuron by neuron."""
        return [parameter for neuron in self.neurons for parameter in neuron.parameters()]


class MLP(Module):
    """A multi-layer perceptron: each layer reads the outputs of the one before. The last layer is linear.

    Parameters
    ----------
    nin : int
        How many numbers it takes.
    nouts : list of int
        How many neurons each layer has; the last number is how many outputs there are.
    activation : {"tanh", "relu", "sigmoid", "linear"}, optional
        What bends the sums of all layers but the last.
    seed : int or random.Random, optional
        Where the first weights come from.

    Attributes
    ----------
    layers : list of Layer

    Raises
    ------
    TypeError, ValueError
        If there is no layer, a size is not a whole number above zero, or the activation is unknown.

    Examples
    --------
    >>> model = MLP(2, [16, 16, 1])
    >>> model
    MLP(2, [16, 16, 1], activation='tanh'): 337 parameters
    >>> model.parameters()[-1].label
    'layer2.neuron0.b'
    """

    def __init__(self, nin, nouts, activation="tanh", seed=0):
        if not is_list(nouts):
            raise TypeError(f"nouts: expected a list with the size of each layer, such as [16, 1], got {nouts!r}")
        if len(nouts) == 0:
            raise ValueError("nouts: expected the size of at least one layer, such as [16, 1], got an empty list")
        sizes = [whole("nin", nin), *(whole(f"nouts[{i}]", nout) for i, nout in enumerate(nouts))]
        bends = [known(activation)] * (len(nouts) - 1) + ["linear"]
        rng = random_source(seed)
        self.activation = activation
        self.layers = [
            Layer(nin, nout, bend, rng, f"layer{i}.")
            for i, ((nin, nout), bend) in enumerate(zip(pairwise(sizes), bends, strict=True))
        ]

    def __call__(self, x):
        """Answer `nin` numbers or Values with a list of Values; with a Value where the last layer has one neuron."""
        return _through(self.layers, x)

    def __repr__(self):
        nin, nouts = len(self.layers[0].neurons[0].weights), [len(layer.neurons) for layer in self.layers]
        return f"MLP({nin}, {nouts}, activation={self.activation!r}): {len(self.parameters())} parameters"

    def parameters(self):
        """List what training may change, layer by layer, neuron by neuron: its weights and then its bias."""
        return [parameter for layer in self.layers for parameter in layer.parameters()]


def _through(layers, x):
    """Send one point through layers; what it is made of is checked once, at the door."""
    x = values(x, len(layers[0].neurons[0].weights))
    for layer in layers:
        x = [ACTIVATIONS[neuron.activation](weighted_sum(neuron.weights, x, neuron.bias)) for neuron in layer.neurons]
    return x[0] if len(x) == 1 else x
