"""Layers and networks: the sums of their neurons, their names, and what they refuse."""

import math
import random

import pytest

from microlearn import Value
from microlearn.autograd import gradcheck, trace
from microlearn.networks import MLP, Layer, Neuron


def by_hand(model, x, bend):
    """Compute what a network answers without any of its code."""
    for place, layer in enumerate(model.layers):
        sums = [sum(w.data * s for w, s in zip(n.weights, x, strict=True)) + n.bias.data for n in layer.neurons]
        x = sums if place == len(model.layers) - 1 else list(map(bend, sums))
    return x


BENDS = {
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "linear": lambda x: x,
}


@pytest.mark.parametrize("activation", BENDS)
@pytest.mark.parametrize("nouts", [[1], [3], [4, 1], [5, 4, 3]], ids=str)
def test_a_network_is_its_neurons_one_behind_the_other(nouts, activation):
    model, x = MLP(3, nouts, activation, seed=2), [0.5, -1.25, 2.0]
    answer = model(x)
    assert isinstance(answer, Value if nouts[-1] == 1 else list)
    answers = answer if isinstance(answer, list) else [answer]
    assert [one.data for one in answers] == pytest.approx(by_hand(model, x, BENDS[activation]))


def test_the_last_layer_is_linear_and_all_others_bend():
    assert [layer.neurons[0].activation for layer in MLP(2, [3, 3, 1], "relu").layers] == ["relu", "relu", "linear"]


def test_a_network_passes_gradcheck_by_its_inputs_and_by_its_parameters():
    model = MLP(2, [3, 2], seed=1)
    assert gradcheck(lambda x0, x1: model([x0, x1])[0] * model([x0, x1])[1], 0.3, -0.7)

    def by_parameters(*numbers):
        model = MLP(2, [2, 1], seed=1)
        for layer in model.layers:
            for neuron in layer.neurons:
                count = len(neuron.weights)
                neuron.weights, neuron.bias, numbers = list(numbers[:count]), numbers[count], numbers[count + 1 :]
        return model([0.3, -0.7])

    assert gradcheck(by_parameters, *(0.1 * i for i in range(9)))


def test_parameters_go_layer_by_layer_neuron_by_neuron_weights_then_bias():
    model = MLP(2, [2, 1])
    assert [parameter.label for parameter in model.parameters()] == [
        "layer0.neuron0.w0",
        "layer0.neuron0.w1",
        "layer0.neuron0.b",
        "layer0.neuron1.w0",
        "layer0.neuron1.w1",
        "layer0.neuron1.b",
        "layer1.neuron0.w0",
        "layer1.neuron0.w1",
        "layer1.neuron0.b",
    ]
    assert len(set(model.parameters())) == 9
    labels = [parameter.label for parameter in Layer(1, 2).parameters()]
    assert labels == ["neuron0.w0", "neuron0.b", "neuron1.w0", "neuron1.b"]


@pytest.mark.parametrize(("nin", "nouts"), [(2, [16, 16, 1]), (4, [8, 3]), (1, [1])])
def test_the_number_of_parameters(nin, nouts):
    count = sum((before + 1) * after for before, after in zip([nin, *nouts], nouts, strict=False))
    model = MLP(nin, nouts)
    assert len(model.parameters()) == count
    assert repr(model) == f"MLP({nin}, {nouts}, activation='tanh'): {count} parameters"


def test_a_trace_names_every_parameter():
    model = MLP(2, [2, 1])
    names = trace(model([1.0, 2.0])).names
    assert {parameter.label for parameter in model.parameters()} <= set(names)


def test_a_layer_answers_with_a_list_and_a_lone_neuron_with_a_value():
    layer = Layer(2, 3, "relu", seed=5)
    assert [value.data for value in layer([1.0, 2.0])] == [neuron([1.0, 2.0]).data for neuron in layer.neurons]
    assert isinstance(Layer(2, 1)([1.0, 2.0]), Value)
    assert repr(layer) == "Layer(2, 3, activation='relu')"


def test_neurons_differ_and_seeds_repeat():
    first, second = ([p.data for p in MLP(3, [4, 2], seed=seed).parameters()] for seed in (0, 1))
    assert first == [p.data for p in MLP(3, [4, 2]).parameters()] == [p.data for p in MLP(3, (4, 2)).parameters()]
    assert first != second
    drawn = [number for number in first if number]
    assert len(set(drawn)) == len(drawn) == 3 * 4 + 4 * 2
    source = random.Random(0)
    expected = [weight.data for nin in (3, 3, 3, 3, 4, 4) for weight in Neuron(nin, seed=source).weights]
    assert drawn == expected
    assert len({neuron.weights[0].data for neuron in Layer(2, 3).neurons}) == 3
    assert repr(Layer(2, 3)) == "Layer(2, 3, activation='tanh')"


def test_zero_grad_reaches_every_parameter():
    model = MLP(2, [3, 1])
    model([1.0, -1.0]).backward()
    assert any(parameter.grad for parameter in model.parameters())
    model.zero_grad()
    assert not any(parameter.grad for parameter in model.parameters())


REFUSED = [
    (lambda: MLP(2, []), ValueError, "nouts: expected the size of at least one layer, such as .*, got an empty list"),
    (lambda: MLP(2, 16), TypeError, r"nouts: expected a list with the size of each layer, such as \[16, 1\], got 16"),
    (lambda: MLP(2, {16, 1}), TypeError, r"nouts: expected a list with the size of each layer"),
    (lambda: MLP(2, "16"), TypeError, r"nouts: expected a list with the size of each layer"),
    (lambda: MLP(2, [16, 0]), ValueError, r"nouts\[1\]: expected a whole number above zero, got 0"),
    (lambda: MLP(2, [16.0, 1]), TypeError, r"nouts\[0\]: expected a whole number above zero, got 16.0"),
    (lambda: MLP(0, [1]), ValueError, "nin: expected a whole number above zero, got 0"),
    (lambda: MLP(2, [1], "swish"), ValueError, "activation: expected one of tanh, relu, sigmoid, linear, got 'swish'"),
    (lambda: MLP(2, [1])([1.0, 2.0, 3.0]), ValueError, "x: expected 2 numbers, got 3"),
    (lambda: MLP(2, [1])([[1.0, 2.0]]), TypeError, r"\[model\(x\) for x in X\]"),
    (lambda: Layer(2, 0), ValueError, "nout: expected a whole number above zero, got 0"),
    (lambda: Layer(2, 2)([1.0]), ValueError, "x: expected 2 numbers, got 1"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED)
def test_a_refusal_names_the_argument_and_what_it_accepts(call, error, words):
    with pytest.raises(error, match=words):
        call()
