"""Every loss against PyTorch's stored word, against its own composition, and what it refuses."""

import json
import math
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microlearn import Value
from microlearn.autograd import gradcheck
from microlearn.networks import binary_cross_entropy, cross_entropy, hinge, mse
from tests.networks.trainings import LOSSES

SAID = json.loads(pathlib.Path(__file__).with_name("vectors.json").read_text())["losses"]


def flat(outputs):
    return [one for some in outputs for one in (some if isinstance(some, list) else [some])]


def as_values(outputs):
    return [[Value(x) for x in some] if isinstance(some, list) else Value(some) for some in outputs]


def says(loss, outputs, targets):
    outputs = as_values(outputs)
    lost = loss(outputs, targets)
    lost.backward()
    return {"loss": lost.data, "grads": [output.grad for output in flat(outputs)]}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient_are_pytorch_s(name):
    assert set(SAID) == set(LOSSES)
    ours, theirs = says(*LOSSES[name]), SAID[name]
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-14)
    assert ours["grads"] == pytest.approx(theirs["grads"], rel=1e-13, abs=1e-300)


def composed_mse(outputs, targets):
    return sum((output - target) ** 2 for output, target in zip(outputs, targets, strict=True)) / len(outputs)


def composed_hinge(outputs, targets):
    sides = [2 * target - 1 for target in targets]
    return sum((1 - side * output).relu() for side, output in zip(sides, outputs, strict=True)) / len(outputs)


def composed_binary_cross_entropy(outputs, targets):
    chances = [output.sigmoid() for output in outputs]
    return -sum((p if t else 1 - p).log() for p, t in zip(chances, targets, strict=True)) / len(outputs)


def composed_cross_entropy(outputs, targets):
    chances = [s[t].exp() / sum(score.exp() for score in s) for s, t in zip(outputs, targets, strict=True)]
    return -sum(chance.log() for chance in chances) / len(outputs)


scores = st.floats(-8, 8)
POINTS = {
    (mse, composed_mse): st.tuples(scores, st.floats(-5, 5)),
    (hinge, composed_hinge): st.tuples(scores, st.sampled_from([0, 1])),
    (binary_cross_entropy, composed_binary_cross_entropy): st.tuples(scores, st.sampled_from([0, 1])),
    (cross_entropy, composed_cross_entropy): st.tuples(st.lists(scores, min_size=3, max_size=3), st.integers(0, 2)),
}


@pytest.mark.parametrize(("loss", "composed"), POINTS, ids=lambda function: function.__name__)
@given(data=st.data())
def test_one_node_is_the_composition(loss, composed, data):
    points = data.draw(st.lists(POINTS[loss, composed], min_size=1, max_size=5))
    outputs, targets = [list(column) for column in zip(*points, strict=True)]
    one, many = says(loss, outputs, targets), says(composed, outputs, targets)
    assert one["loss"] == pytest.approx(many["loss"], rel=1e-9, abs=1e-9)
    assert one["grads"] == pytest.approx(many["grads"], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("loss", "op"), [(mse, "mse"), (hinge, "hinge"), (binary_cross_entropy, "binary_cross_entropy")]
)
def test_a_loss_is_one_node_over_all_outputs(loss, op):
    outputs = as_values([0.25, -0.5, 2.0])
    lost = loss(outputs, [1, 0, 1])
    assert lost.parents == tuple(outputs)
    assert lost.op == op
    assert gradcheck(lambda *outputs: loss(outputs, [1, 0, 1]), 0.25, -0.5, 2.0)


def test_cross_entropy_is_one_node_over_all_scores():
    outputs = as_values([[0.5, 1.0], [2.0, -1.0]])
    lost = cross_entropy(outputs, [0, 1])
    assert lost.parents == tuple(flat(outputs))
    assert lost.op == "cross_entropy"


def test_the_slope_at_a_score_of_zero_is_half_way():
    """Composed of relu and abs, whose corners lie there, it would be 0 or 1."""
    assert says(binary_cross_entropy, [0.0], [1])["grads"] == [-0.5]
    assert says(binary_cross_entropy, [0.0], [0])["grads"] == [0.5]


def test_a_score_without_doubt_costs_what_it_is_wrong_by():
    assert says(binary_cross_entropy, [1e300], [0]) == {"loss": 1e300, "grads": [1.0]}
    assert says(cross_entropy, [[-1e300, 0.0]], [0]) == {"loss": 1e300, "grads": [-1.0, 1.0]}


@pytest.mark.parametrize("loss", [mse, hinge, binary_cross_entropy])
def test_what_is_no_number_is_not_hidden(loss):
    assert math.isnan(loss([Value(math.nan)], [1]).data)
    assert math.isnan(cross_entropy([[Value(math.nan), Value(0.0)]], [0]).data)
    assert math.isnan(cross_entropy([[Value(0.0), Value(math.nan)]], [0]).data)


def test_plain_numbers_can_be_judged_too():
    assert mse([1.0, 3.0], [0.0, 0.0]).data == 5.0


ONE, TWO = [Value(0.5)], [[Value(0.5), Value(1.0)]]
REFUSED = [
    (lambda: mse([], []), ValueError, "outputs: expected at least one, got an empty list"),
    (lambda: hinge(ONE, [0, 1]), ValueError, "targets: expected one for each of the 1 outputs, got 2"),
    (lambda: mse(ONE[0], [1.0]), TypeError, "outputs: expected a list with one entry for each point, got Value"),
    (lambda: mse(ONE, 1.0), TypeError, "targets: expected a list with one entry for each point, got float"),
    (lambda: mse(ONE, [math.nan]), ValueError, r"targets\[0\]: expected a finite number, got nan"),
    (lambda: mse(ONE, [None]), ValueError, r"targets\[0\]: expected a finite number, got None"),
    (lambda: mse([[]], [[]]), ValueError, r"targets\[0\]: expected the shape of outputs\[0\]"),
    (lambda: mse([1.0, [1.0]], [1, [1]]), ValueError, r"targets\[0\]: expected the shape of outputs\[0\]"),
    (
        lambda: mse(TWO * 2, [[0, 1], [0, math.nan]]),
        ValueError,
        r"targets\[1\]\[1\]: expected a finite number, got nan",
    ),
    (lambda: mse(ONE, [10**400]), ValueError, r"targets\[0\]: expected a finite number"),
    (lambda: mse(ONE, "1"), TypeError, "targets: expected a list with one entry for each point, got str"),
    (lambda: hinge(ONE, [[1]]), ValueError, r"targets\[0\]: hinge expected the labels 0 and 1, got \[1\]"),
    (
        lambda: cross_entropy([*TWO, [1.0, 2.0, 3.0]], [0, 2]),
        ValueError,
        r"outputs\[1\]: expected 2 scores, as in .* got 3",
    ),
    (lambda: mse(TWO, [1.0]), ValueError, r"targets\[0\]: expected the shape of outputs\[0\], got 1.0"),
    (lambda: mse(TWO, [[1.0, 2.0, 3.0]]), ValueError, r"targets\[0\]: expected the shape of outputs\[0\]"),
    (lambda: hinge(ONE, [-1]), ValueError, r"targets\[0\]: hinge expected the labels 0 and 1, got -1"),
    (lambda: binary_cross_entropy(ONE, [2]), ValueError, r"targets\[0\]: .* labels 0 and 1, got 2; .* cross_entropy"),
    (lambda: binary_cross_entropy(ONE, [0.5]), ValueError, r"targets\[0\]: .* labels 0 and 1, got 0.5"),
    (lambda: binary_cross_entropy(TWO, [1]), TypeError, r"outputs\[0\]: .* one score for each point, got a list of 2"),
    (
        lambda: cross_entropy(ONE, [0]),
        TypeError,
        r"outputs\[0\]: .* for one score a point there is binary_cross_entropy",
    ),
    (lambda: cross_entropy([ONE], [0]), TypeError, r"outputs\[0\]: .* two or more classes"),
    (lambda: cross_entropy(TWO, [2]), ValueError, r"targets\[0\]: expected the number of a class, 0 to 1, got 2"),
    (lambda: cross_entropy(TWO, [-1]), ValueError, r"targets\[0\]: expected the number of a class, 0 to 1, got -1"),
    (lambda: cross_entropy(TWO, [1.0]), ValueError, r"targets\[0\]: expected the number of a class, 0 to 1, got 1.0"),
    (lambda: cross_entropy(TWO * 2, [0, "a"]), ValueError, r"targets\[1\]: expected the number of a class"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED)
def test_a_refusal_names_the_place_and_what_is_accepted(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_last_digits_of_a_small_loss_are_kept():
    assert binary_cross_entropy([40.0], [1]).data == pytest.approx(math.exp(-40), rel=1e-12, abs=0)
    assert cross_entropy([[1e3, 990.0]], [0]).data == pytest.approx(math.log1p(math.exp(-10)), rel=1e-10)


def test_numpy_s_labels_are_taken_and_plain_numbers_come_out():
    for loss, outputs, targets in (
        (mse, [Value(1.0)], np.array([0.5], "float32")),
        (hinge, [Value(0.5)], np.array([1])),
        (binary_cross_entropy, [Value(0.5)], np.array([1.0], "float32")),
        (cross_entropy, TWO, np.array([1])),
    ):
        lost = loss(outputs, targets)
        assert type(lost.data) is float
        assert {type(slope) for slope in lost.slopes} == {float}
