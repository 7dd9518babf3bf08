"""First weights: their spread by formula and by measurement, and the same ones from the same seed."""

import math
import re

import numpy as np
import pytest

from microlearn import Tensor
from microlearn.deep import (
    Linear,
    generator,
    kaiming_normal_,
    kaiming_uniform_,
    manual_seed,
    normal_,
    uniform_,
    xavier_normal_,
    xavier_uniform_,
    zeros_,
)
from microlearn.deep.initialization import calculate_gain, fans


def blank(*shape):
    return Tensor(np.zeros(shape), dtype="float64")


SPREADS = {
    "normal": (lambda: normal_(blank(300, 200), 1.0, 0.5), 0.5, 1.0),
    "uniform": (lambda: uniform_(blank(300, 200), -1.0, 3.0), 4 / math.sqrt(12), 1.0),
    "xavier, uniform": (lambda: xavier_uniform_(blank(300, 200), 1.5), 1.5 * math.sqrt(2 / 500), 0.0),
    "xavier, normal": (lambda: xavier_normal_(blank(300, 200)), math.sqrt(2 / 500), 0.0),
    "kaiming, uniform": (lambda: kaiming_uniform_(blank(300, 200), nonlinearity="relu"), math.sqrt(2 / 200), 0.0),
    "kaiming, normal": (lambda: kaiming_normal_(blank(300, 200), mode="fan_out"), math.sqrt(2 / 300), 0.0),
    "kaiming, leaky": (lambda: kaiming_normal_(blank(300, 200), a=math.sqrt(5)), math.sqrt(1 / 3 / 200), 0.0),
    "a layer": (lambda: Linear(200, 300, dtype="float64").weight, math.sqrt(1 / 3 / 200), 0.0),
}


@pytest.mark.parametrize("name", SPREADS)
def test_the_spread_is_the_formula_s(name):
    manual_seed(7)
    made, std, mean = SPREADS[name]
    drawn = made().data
    assert drawn.std() == pytest.approx(std, rel=0.02)
    assert abs(drawn.mean() - mean) < 4 * std / math.sqrt(drawn.size)


@pytest.mark.parametrize("made", [xavier_uniform_, kaiming_uniform_])
def test_a_uniform_one_stays_within_its_reach(made):
    drawn = made(blank(300, 200)).data
    assert np.abs(drawn).max() <= math.sqrt(3) * drawn.std() * 1.02


@pytest.mark.parametrize(("bend", "gain"), [(np.tanh, "tanh"), (lambda x: np.maximum(x, 0.0), "relu")])
def test_a_signal_keeps_its_size_through_many_layers(bend, gain):
    manual_seed(0)
    x = generator().normal(size=(100, 300))
    first = np.sqrt((x * x).mean())
    for _ in range(10):
        weight = normal_(blank(300, 300), 0.0, calculate_gain(gain) / math.sqrt(300)).data
        x = bend(x @ weight.T)
    assert 0.3 < np.sqrt((x * x).mean()) / first < 1.5


def test_fans_are_in_and_out():
    assert fans(Linear(2, 16).weight) == (2, 16)


def test_the_same_seed_gives_the_same_layers():
    manual_seed(3)
    first = Linear(4, 4).state_dict()
    again = Linear(4, 4).state_dict()
    manual_seed(3)
    third = Linear(4, 4).state_dict()
    assert (first["weight"] == third["weight"]).all() and (first["bias"] == third["bias"]).all()
    assert (first["weight"] != again["weight"]).any()


def test_zeros_are_in_place():
    tensor = normal_(blank(2, 2))
    assert zeros_(tensor) is tensor and not tensor.data.any()


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ("fans: expected a weight of shape (out, in), got (3,)", lambda: xavier_normal_(blank(3))),
        ("mode: expected 'fan_in' or 'fan_out', got 'fan'", lambda: kaiming_normal_(blank(3, 2), mode="fan")),
        ("nonlinearity: expected one of linear", lambda: kaiming_normal_(blank(3, 2), nonlinearity="gelu")),
        ("seed: expected a whole number of 0 or more, got -1", lambda: manual_seed(-1)),
        ("seed: expected a whole number of 0 or more, got 'a'", lambda: manual_seed("a")),
    ],
)
def test_bad_input_is_named(message, wrong):
    with pytest.raises(ValueError, match=re.escape(message)):
        wrong()
