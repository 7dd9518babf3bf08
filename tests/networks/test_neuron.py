"""A neuron against its own composition, what it is called, and what it refuses."""

import pickle
import random
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microlearn import Value
from microlearn.autograd import gradcheck, topological_order, trace
from microlearn.networks import ACTIVATIONS, Neuron, weighted_sum

numbers = st.floats(-10, 10)


def composed(weights, inputs, bias):
    return sum((w * x for w, x in zip(weights, inputs, strict=True)), bias)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=6), numbers)
def test_one_node_is_the_composition(pairs, bias):
    said = []
    for function in (weighted_sum, composed):
        leaves = [[Value(x) for x in column] for column in zip(*pairs, strict=True)] + [Value(bias)]
        result = function(*leaves)
        result.backward()
        said.append([result.data, *(leaf.grad for column in leaves[:2] for leaf in column), leaves[2].grad])
    assert said[0] == pytest.approx(said[1], rel=1e-12, abs=1e-12)


def test_it_saves_all_nodes_but_one():
    columns = [[Value(float(i)) for i in range(8)] for _ in range(2)]
    assert len(topological_order(weighted_sum(*columns, Value(1.0)))) == 1
    assert len(topological_order(composed(*columns, Value(1.0)))) == 16


def test_a_number_may_be_weight_and_input_at_once():
    a = Value(3.0)
    weighted_sum([a, a], [a, Value(2.0)], a).backward()
    assert a.grad == 2 * 3.0 + 2.0 + 1.0


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_bends_the_sum_and_passes_gradcheck(activation):
    neuron = Neuron(2, activation, seed=4)
    neuron.bias.data = 0.25
    total = sum(w.data * x for w, x in zip(neuron.weights, (1.5, -0.5), strict=True)) + 0.25
    assert neuron([1.5, -0.5]).data == pytest.approx(ACTIVATIONS[activation](Value(total)).data)
    assert gradcheck(lambda x0, x1: neuron([x0, x1]), 1.5, -0.5)


def test_numbers_and_values_are_inputs_alike():
    neuron, x = Neuron(2), [Value(0.5), Value(-1.0)]
    result = neuron(x)
    assert result.data == neuron([0.5, -1.0]).data == neuron((0.5, -1)).data
    result.backward()
    assert [value.grad for value in x] == [
        pytest.approx((1 - result.data**2) * weight.data) for weight in neuron.weights
    ]


def test_parameters_are_named_weights_then_bias():
    neuron = Neuron(3, label="neuron7.")
    assert [p.label for p in neuron.parameters()] == ["neuron7.w0", "neuron7.w1", "neuron7.w2", "neuron7.b"]
    assert neuron.parameters() == [*neuron.weights, neuron.bias]
    assert repr(Neuron(3, "relu")) == "Neuron(3, activation='relu')"


def test_a_trace_reads_as_it_would_be_typed():
    neuron = Neuron(2, "tanh")
    rows = trace(neuron([Value(1.0, "x0"), Value(2.0, "x1")])).forward
    assert [row.expression for row in rows][-2:] == ["w0 * x0 + w1 * x1 + b", "v1.tanh()"]
    names = {row.name: row.value for row in rows[:-2]}
    assert eval(rows[-2].expression, names) == pytest.approx(rows[-2].value)


def test_zero_grad_makes_backward_begin_again():
    neuron = Neuron(2)
    for expected in (1, 2):
        neuron([1.0, 1.0]).backward()
        assert neuron.bias.grad == pytest.approx(expected * (1 - neuron([1.0, 1.0]).data ** 2))
    neuron.zero_grad()
    assert [p.grad for p in neuron.parameters()] == [0.0, 0.0, 0.0]


def test_the_same_seed_makes_the_same_neuron():
    def weights(seed):
        return [weight.data for weight in Neuron(4, seed=seed).weights]

    assert weights(1) == weights(1) == weights(random.Random(1)) != weights(2)
    source = random.Random(1)
    assert weights(source) != weights(source)  # a source goes on where it is


@pytest.mark.parametrize("nin", [1, 4, 64])
def test_the_first_sum_varies_as_much_as_one_input(nin):
    source = random.Random(0)
    sums = [Neuron(nin, "linear", source)([source.gauss(0, 1) for _ in range(nin)]).data for _ in range(2000)]
    assert statistics.pvariance(sums) == pytest.approx(1.0, rel=0.15)
    assert max(abs(weight.data) for weight in Neuron(nin).weights) <= (3 / nin) ** 0.5
    assert Neuron(nin).bias.data == 0.0


REFUSED = [
    (lambda: Neuron(0), ValueError, "nin: expected a whole number above zero, got 0"),
    (lambda: Neuron(2.0), TypeError, "nin: expected a whole number above zero, got 2.0"),
    (lambda: Neuron([2]), TypeError, r"nin: expected a whole number above zero, got \[2\]"),
    (lambda: Neuron(2, "gelu"), ValueError, "activation: expected one of tanh, relu, sigmoid, linear, got 'gelu'"),
    (lambda: Neuron(2, None), ValueError, "activation: expected one of tanh, relu, sigmoid, linear, got None"),
    (lambda: Neuron(2, ["tanh"]), ValueError, r"activation: expected one of .*, got \['tanh'\]"),
    (lambda: Neuron(2)([1.0]), ValueError, "x: expected 2 numbers, got 1"),
    (lambda: Neuron(2)(1.0), TypeError, "x: expected a list of 2 numbers, got float: 1.0"),
    (lambda: Neuron(2)(Value(1.0)), TypeError, "x: expected a list of 2 numbers, got Value"),
    (lambda: Neuron(1)([]), ValueError, "x: expected 1 number, got 0"),
    (lambda: Neuron(2)([[1.0, 2.0]] * 3), TypeError, r"x\[0\]: .* one point at a time: \[model\(x\) for x in X\]"),
    (lambda: Neuron(2)([[1.0, 2.0]] * 2), TypeError, r"x\[0\]: .* one point at a time: \[model\(x\) for x in X\]"),
    (lambda: Neuron(2)([1.0, "a"]), TypeError, r"x\[1\]: expected a number, got 'a'"),
    (lambda: weighted_sum([Value(1.0)], [], Value(0.0)), ValueError, "weights and inputs"),
    (lambda: weighted_sum([1.0], [2.0], 0.5), TypeError, "weighted_sum: expected Values, and Value"),
    (lambda: Neuron(2, seed=1.5), TypeError, "seed: expected a whole number, got 1.5"),
    (lambda: Neuron(2)(np.array(1.0)), TypeError, "x: expected a list of 2 numbers, got ndarray"),
    (lambda: Neuron(2, np.array(["tanh"])), ValueError, "activation: expected one of tanh"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED)
def test_a_refusal_names_the_argument_and_what_it_accepts(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_what_it_is_told_to_be_is_what_it_computes():
    neuron = Neuron(2)
    neuron.activation = "linear"
    assert neuron([1.0, 1.0]).data == sum(weight.data for weight in neuron.weights)
    assert repr(neuron) == "Neuron(2, activation='linear')"


def test_the_settings_that_stand_where_none_is_given():
    plain, told = Neuron(2), Neuron(2, "tanh", 0)
    assert [p.data for p in plain.parameters()] == [p.data for p in told.parameters()]
    assert plain.activation == told.activation
    assert [p.data for p in Neuron(2, seed=np.int64(0)).parameters()] == [p.data for p in plain.parameters()]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_can_be_sent_to_another_process(activation):
    neuron = Neuron(2, activation, seed=3)
    assert pickle.loads(pickle.dumps(neuron))([1.0, -1.0]).data == neuron([1.0, -1.0]).data
