"""Dropout, penalties and early stopping."""

import re

import numpy as np
import pytest

from microlearn import Tensor
from microlearn.autograd import gradcheck
from microlearn.deep import SGD, Dropout, EarlyStopping, Linear, Parameter, l1_penalty, l2_penalty, manual_seed


def test_dropout_keeps_the_mean_and_drops_its_share():
    manual_seed(0)
    result = Dropout(0.3)(np.ones((200, 200))).data
    assert (result == 0.0).mean() == pytest.approx(0.3, abs=0.02)
    assert result.mean() == pytest.approx(1.0, abs=0.02)
    assert set(np.unique(result)) == {np.float32(0.0), np.float32(1.0) * np.float32(1 / 0.7)}


def test_a_gradient_goes_back_only_where_a_number_went_through():
    manual_seed(0)
    x = Tensor(np.ones((20, 20)), requires_grad=True)
    result = Dropout(0.5)(x)
    result.sum().backward()
    assert (x.grad == result.data).all() and 0 < (x.grad == 0).sum() < 400


@pytest.mark.parametrize("p", [0.3, 0.5, 1.0])
def test_dropout_has_the_slopes_that_nudging_finds(p):
    def dropped(x):
        manual_seed(2)  # the same zeros for every nudge
        return (Dropout(p)(x) * pulls).sum()

    x, pulls = np.random.default_rng(0).normal(size=(2, 3, 4))
    report = gradcheck(dropped, Tensor(x, dtype="float64"))
    assert report, str(report)
    kept = sum(row.backward != 0.0 for row in report.rows)
    assert 0 < kept < x.size if p < 1.0 else kept == 0


def test_after_eval_dropout_does_nothing():
    x = Tensor([1.0, 2.0])
    assert Dropout(0.9).eval()(x) is x and Dropout(0.0)(x) is x
    assert Dropout(1.0)(x).tolist() == [0.0, 0.0]


def test_the_same_seed_drops_the_same():
    manual_seed(4)
    first = Dropout()(np.ones(50)).tolist()
    second = Dropout()(np.ones(50)).tolist()
    manual_seed(4)
    assert Dropout()(np.ones(50)).tolist() == first != second


def test_penalties_and_their_gradients():
    parameters = [Parameter([[1.0, -2.0]]), Parameter([3.0])]
    l1_penalty(parameters).backward()
    assert [parameter.grad.tolist() for parameter in parameters] == [[[1.0, -1.0]], [1.0]]
    for parameter in parameters:
        parameter.grad = None
    assert l2_penalty(iter(parameters)).item() == 14.0
    l2_penalty(parameters).backward()
    assert [parameter.grad.tolist() for parameter in parameters] == [[[2.0, -4.0]], [6.0]]


def test_weight_decay_is_half_the_l2_penalty():
    decayed, penalized = Linear(3, 2), Linear(3, 2)
    penalized.load_state_dict(decayed.state_dict())
    x = np.random.default_rng(0).normal(size=(4, 3))
    decayed(x).sum().backward()
    (penalized(x).sum() + 0.1 / 2 * l2_penalty(penalized.parameters())).backward()
    SGD(decayed.parameters(), lr=0.1, weight_decay=0.1).step()
    SGD(penalized.parameters(), lr=0.1).step()
    np.testing.assert_allclose(decayed.weight.data, penalized.weight.data, rtol=1e-6)


def test_early_stopping_waits_and_starts_again_after_a_better_one():
    watch = EarlyStopping(patience=2, min_delta=0.1)
    said = [watch.should_stop(loss) for loss in (1.0, 0.95, 0.8, 0.75, 0.71, 0.0)]
    assert said == [False, False, False, False, True, False]
    assert watch.best == 0.0


def test_nan_is_never_better():
    watch = EarlyStopping(patience=1)
    assert not watch.should_stop(1.0) and watch.should_stop(float("nan"))


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ("p: expected a probability from 0 to 1, got 1.5", lambda: Dropout(1.5)),
        ("p: expected a probability from 0 to 1, got -0.1", lambda: Dropout(-0.1)),
        ("patience: expected a whole number above zero, got 0", lambda: EarlyStopping(0)),
    ],
)
def test_bad_input_is_named(message, wrong):
    with pytest.raises(ValueError, match=re.escape(message)):
        wrong()
