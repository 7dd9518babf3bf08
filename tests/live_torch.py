"""The engine against PyTorch itself, in an environment that has it; from the repository's root:

    python -m pytest -c /dev/null --rootdir . -p no:cacheprovider tests/live_torch.py

The name keeps it out of the ordinary run, which compares with stored results and needs no PyTorch.
"""

import json
import pathlib
import re

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from microlearn import Value
from microlearn.networks import ACTIVATIONS, MLP
from tests.autograd.expressions import TABLE, assert_agree, value_says
from tests.autograd.make_vectors import VECTORS, all_vectors, torch_says
from tests.autograd.random_formulas import DOMAIN_ERRORS, OBJECTS, REPEATABLE, formulas, results_of, total_of
from tests.networks import make_vectors as networks
from tests.networks.test_losses import says
from tests.networks.trainings import LOSSES, TRAININGS


@pytest.mark.parametrize("name", TABLE)
def test_the_table_agrees(name):
    function, inputs = TABLE[name]
    assert_agree(name, inputs, value_says(function, inputs), torch_says(function, inputs))


def test_the_stored_vectors_are_what_pytorch_says_now():
    stored, now = json.loads(VECTORS.read_text()), all_vectors()
    assert list(stored) == list(now)
    for name, (_, inputs) in TABLE.items():
        assert_agree(name, inputs, stored[name], now[name], rel=1e-13, abs=0.0)  # processors differ in the last digit


def largest_number(steps, inputs):
    """Compute a formula in Values and return its largest value or gradient, a measure of how rounding can grow."""
    results = results_of(steps, [Value(x) for x in inputs], OBJECTS)
    sum(results).backward()
    return max(abs(number) for result in results for number in (result.data, result.grad))


@given(formulas())
@REPEATABLE
def test_random_formulas_agree(formula):
    inputs, steps = formula
    try:
        largest = largest_number(steps, inputs)
    except DOMAIN_ERRORS:  # where PyTorch goes on with inf or nan
        assume(False)
    assume(largest < 1e4)
    function = total_of(steps, OBJECTS)
    ours, theirs = value_says(function, inputs), torch_says(function, inputs)
    assert_agree(steps, inputs, ours, theirs, abs=1e-9 * max(1.0, largest))


@pytest.mark.parametrize("name", TABLE)
def test_a_second_backward_accumulates_as_with_retain_graph(name):
    function, inputs = TABLE[name]
    values = [Value(x) for x in inputs]
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    ours, theirs = function(*values), function(*tensors)
    for _ in range(2):
        ours.backward()
        theirs.backward(retain_graph=True)
    assert_agree(
        name,
        inputs,
        {"value": ours.data, "grads": [leaf.grad for leaf in values]},
        {"value": theirs.item(), "grads": [leaf.grad.item() for leaf in tensors]},
    )


def test_the_cheat_sheet_names_pytorch_rightly():
    root = pathlib.Path(__file__).resolve().parents[1]
    sheet = (root / "docs/reference/autograd-cheat-sheet.md").read_text().split("## In PyTorch\n")[1]
    a, b = (torch.tensor(3.0, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.SGD([a, b], lr=0.1)
    names = {"torch": torch, "a": a, "b": b, "f": lambda a, b: a * b, "optimizer": optimizer}
    rows = re.findall(r"^\| `?[^-].*? \| (`.*`) \|$", sheet, re.MULTILINE)
    assert len(rows) == 5
    for expression in re.findall(r"`(.+?)`", "\n".join(rows)):
        eval(expression, names)
    same = re.search(r"^(`data`.*) have the same names\s+there", sheet, re.MULTILINE | re.DOTALL)[1]
    for name in re.findall(r"`(\w+)", same):
        assert name == "abs" or hasattr(a, name)
    assert "A tie in `torch.maximum` is halved." in sheet
    torch.maximum(a, b).backward()
    assert a.grad == b.grad == 0.5


# Networks


def test_the_stored_losses_and_trainings_are_what_pytorch_says_now():
    stored, now = json.loads(networks.VECTORS.read_text()), networks.all_vectors()
    assert list(stored["losses"]) == list(now["losses"]) == list(LOSSES)
    assert list(stored["trainings"]) == list(now["trainings"]) == list(TRAININGS)
    for part in stored:
        for name, said in stored[part].items():
            for key, numbers in said.items():
                assert numbers == pytest.approx(now[part][name][key], rel=1e-12, abs=1e-14), f"{part}, {name}: {key}"


@pytest.mark.parametrize("loss", networks.PEERS, ids=lambda loss: loss.__name__)
@given(data=st.data())
@REPEATABLE
def test_a_loss_of_random_scores_agrees(loss, data):
    classes = data.draw(st.integers(2, 5))
    score, label = st.floats(-1000, 1000), st.integers(0, 1)
    one, target = {
        "mse": (score, score),
        "cross_entropy": (st.lists(score, min_size=classes, max_size=classes), st.integers(0, classes - 1)),
    }.get(loss.__name__, (score, label))
    points = data.draw(st.lists(st.tuples(one, target), min_size=1, max_size=6))
    outputs, targets = [list(column) for column in zip(*points, strict=True)]
    ours, theirs = says(loss, outputs, targets), networks.loss_says(loss, outputs, targets)
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-12, abs=1e-12)
    assert ours["grads"] == pytest.approx(theirs["grads"], rel=1e-12, abs=1e-12)


@given(
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    activation=st.sampled_from(list(ACTIVATIONS)),
    seed=st.integers(0, 99),
    data=st.data(),
)
@REPEATABLE
def test_a_random_network_and_its_gradients_agree(sizes, activation, seed, data):
    """The same network made of PyTorch's own modules, the weights copied over."""
    nin, *nouts = sizes
    x = data.draw(st.lists(st.floats(-3, 3), min_size=nin, max_size=nin))
    model = MLP(nin, nouts, activation, seed)
    bend = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid, "linear": torch.nn.Identity}
    peer = torch.nn.Sequential()
    for place, layer in enumerate(model.layers):
        linear = torch.nn.Linear(len(layer.neurons[0].weights), len(layer.neurons), dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(networks.double([[w.data for w in neuron.weights] for neuron in layer.neurons]))
            linear.bias.copy_(networks.double([neuron.bias.data for neuron in layer.neurons]))
        peer.append(linear)
        if place < len(model.layers) - 1:
            peer.append(bend[activation]())
    answer = model(x)
    answers = answer if isinstance(answer, list) else [answer]
    said = peer(networks.double(x))
    assert [one.data for one in answers] == pytest.approx(said.tolist(), rel=1e-9, abs=1e-12)
    sum(answers).backward()
    said.sum().backward()
    theirs = []
    for linear in (module for module in peer if isinstance(module, torch.nn.Linear)):
        for row, bias in zip(linear.weight.grad, linear.bias.grad, strict=True):
            theirs += [*row.tolist(), bias.item()]
    assert [parameter.grad for parameter in model.parameters()] == pytest.approx(theirs, rel=1e-9, abs=1e-12)
    assert len(model.parameters()) == sum(parameter.numel() for parameter in peer.parameters())
