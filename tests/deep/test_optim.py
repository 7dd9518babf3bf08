# ruff: noqa: E501 (a case a line)
"""Optimizers: PyTorch's trajectories, gradients that are missing, arrays that were replaced, and a limit on gradients."""

import math
import re

import numpy as np
import pytest

from microlearn import Tensor
from microlearn.deep import SGD, Adam, AdamW, Linear, Parameter, RMSprop, clip_grad_norm_
from tests.deep.cases import DTYPES, OPTIMIZERS, assert_close, stored, trajectory

ALL = [SGD, RMSprop, Adam, AdamW]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_step_and_twenty_are_pytorch_s(name, dtype):
    ours, theirs = trajectory(name, dtype), stored()["optimizers"][name]
    assert_close(f"{name}: the first step", ours["first"], theirs["first"], dtype)
    assert_close(f"{name}: the last step", ours["last"], theirs["last"], dtype)
    assert not np.allclose(theirs["first"], theirs["last"])


def pair(numbers=((1.0, 2.0), (3.0,))):
    return [Parameter(list(part), dtype="float64") for part in numbers]


def pull(parameters, *grads):
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = None if grad is None else np.array(grad, dtype=float)


@pytest.mark.parametrize("kind", ALL)
def test_parameters_move_as_if_each_had_an_optimizer_of_its_own(kind):
    together, apart = pair(), pair()
    optimizers = [kind(together, lr=0.1)], [kind([parameter], lr=0.1) for parameter in apart]
    for grads in (([1.0, -1.0], [0.5]), ([2.0, 0.0], None), ([0.5, 0.1], None), (None, None), ([1.0, 1.0], [1.0])):
        for parameters, own in zip((together, apart), optimizers, strict=True):
            pull(parameters, *grads)
            for optimizer in own:
                optimizer.step()
    for one, other in zip(together, apart, strict=True):
        assert one.data.tolist() == other.data.tolist()


@pytest.mark.parametrize("kind", ALL)
def test_a_gradient_is_left_as_it_was(kind):
    parameters = pair()
    pull(parameters, [1.0, -1.0], [0.5])
    kind(parameters, lr=0.1, weight_decay=0.1).step()
    assert [parameter.grad.tolist() for parameter in parameters] == [[1.0, -1.0], [0.5]]


def test_an_array_that_was_put_in_its_place_is_moved_from_where_it_is():
    (parameter,) = parameters = pair([(1.0, 2.0)])
    optimizer = SGD(parameters, lr=1.0)
    pull(parameters, [1.0, 1.0])
    optimizer.step()
    parameter.data = np.array([10.0, 20.0])
    optimizer.step()
    assert parameter.data.tolist() == [9.0, 19.0]


@pytest.mark.parametrize(
    ("made", "kept"),
    [
        (lambda p: SGD(p), 0),
        (lambda p: SGD(p, momentum=0.9), 1),
        (lambda p: RMSprop(p), 1),
        (lambda p: RMSprop(p, momentum=0.9, centered=True), 3),
        (lambda p: AdamW(p), 2),
    ],
)
def test_nothing_is_kept_that_is_not_used(made, kept):
    state = made(pair()).state_dict()
    assert sum(array.shape == (3,) for array in state.values()) == kept


@pytest.mark.parametrize("kind", ALL)
def test_a_copy_of_model_and_optimizer_goes_on_by_itself(kind):
    import copy

    model = Linear(2, 1)
    optimizer = kind(model.parameters(), lr=0.1)
    other, moving = copy.deepcopy((model, optimizer))
    for one, mover in ((model, optimizer), (other, moving)):
        one([[1.0, 2.0]]).sum().backward()
        before = one.weight.data.copy()
        mover.step()
        assert (one.weight.data != before).all()
    assert (model.weight.data == other.weight.data).all()


def test_a_nan_makes_all_gradients_nan_when_they_are_clipped():
    parameters = pair()
    pull(parameters, [math.nan, 1.0], [1.0])
    clip_grad_norm_(parameters, 1.0)
    assert all(np.isnan(parameter.grad).all() for parameter in parameters)


def test_two_optimizers_may_share_parameters():
    parameters = pair([(1.0, 2.0)])
    first, second = SGD(parameters, lr=1.0), SGD(parameters, lr=0.5)
    pull(parameters, [1.0, 1.0])
    first.step()
    second.step()
    first.step()
    assert parameters[0].data.tolist() == [-1.5, -0.5]


def test_groups_have_settings_of_their_own():
    a, b = pair([(1.0,), (1.0,)])
    optimizer = AdamW([{"params": [a], "weight_decay": 0.5}, {"params": b, "lr": 0.0}], lr=0.1, weight_decay=0.0)
    pull([a, b], [0.0], [5.0])
    optimizer.step()
    assert a.data.tolist() == [0.95] and b.data.tolist() == [1.0]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]


@pytest.mark.parametrize("kind", ALL)
def test_a_state_continues_bit_for_bit(kind):
    def steps(parameters, optimizer, grads):
        for grad in grads:
            pull(parameters, [grad, -grad], [grad * grad])
            optimizer.step()

    settings = {"momentum": 0.9} if kind in (SGD, RMSprop) else {}
    whole, half = pair(), pair()
    steps(whole, kind(whole, lr=0.1, **settings), [1.0, 2.0, -0.3, 0.7])
    before = kind(half, lr=0.1, **settings)
    steps(half, before, [1.0, 2.0])
    again = [Parameter(parameter.data, dtype="float64") for parameter in half]
    after = kind(again, lr=123.0, **settings)
    after.load_state_dict(before.state_dict())
    steps(again, after, [-0.3, 0.7])
    assert [parameter.data.tolist() for parameter in again] == [parameter.data.tolist() for parameter in whole]


def test_the_state_of_another_optimizer_is_refused():
    with pytest.raises(ValueError, match="state of another optimizer"):
        Adam(pair()).load_state_dict(SGD(pair()).state_dict())
    with pytest.raises(ValueError, match=re.escape("0.exp_avg has shape (2,), and here (3,)")):
        Adam(pair()).load_state_dict(Adam(pair([(1.0, 2.0)])).state_dict())


def test_clipping_scales_all_gradients_together():
    parameters = pair()
    pull(parameters, [3.0, 0.0], [4.0])
    assert clip_grad_norm_(parameters, 1.0) == 5.0
    np.testing.assert_allclose(np.concatenate([p.grad for p in parameters]), [0.6, 0.0, 0.8], rtol=1e-6)
    assert clip_grad_norm_(parameters, 10.0) == pytest.approx(1.0)
    np.testing.assert_allclose(np.concatenate([p.grad for p in parameters]), [0.6, 0.0, 0.8], rtol=1e-6)
    pull(parameters, [-3.0, 0.0], [1.0])
    assert clip_grad_norm_(parameters, 100.0, math.inf) == 3.0
    assert clip_grad_norm_(parameters, 100.0, 1.0) == 4.0
    assert clip_grad_norm_(Linear(2, 2).parameters(), 1.0) == 0.0


@pytest.mark.parametrize(
    ("error", "message", "wrong"),
    [
        (ValueError, "params: there is nothing to train", lambda: SGD([])),
        (TypeError, "params: expected tensors, such as model.parameters(), got 3.0", lambda: SGD([3.0])),
        (ValueError, "params: a parameter appears twice", lambda: SGD(pair()[:1] * 2)),
        (ValueError, "params: only a leaf can be moved", lambda: SGD([Tensor([1.0], requires_grad=True) * 2.0])),
        (ValueError, "params: SGD has no setting betas", lambda: SGD([{"params": pair(), "betas": (0.9, 0.9)}])),
        (ValueError, "lr: expected a number of 0 or more, got -1", lambda: Adam(pair(), lr=-1)),
        (ValueError, "betas: expected a number from 0 to below 1, got (0.9, 1.0)", lambda: Adam(pair(), betas=(0.9, 1.0))),
        (ValueError, "nesterov: it needs a momentum", lambda: SGD(pair(), nesterov=True)),
        (ValueError, "max_norm: expected a number above zero, got 0", lambda: clip_grad_norm_(pair(), 0)),
        (TypeError, "have one dtype", lambda: SGD([Parameter([1.0]), *pair()])),
    ],
)  # fmt: skip
def test_bad_input_is_named(error, message, wrong):
    with pytest.raises(error, match=re.escape(message)):
        wrong()


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("piece", [1, 2, 3, 4])
def test_steps_in_pieces_are_steps_at_once(kind, piece, monkeypatch):
    """Parameters are longer than a piece and shorter, and one of them has no gradient now and then."""
    sizes, rng = (5, 1, 3, 4), np.random.default_rng(0)
    begin = [rng.normal(size=size) for size in sizes]
    pulls = [[None if (i + step) % 4 == 0 else rng.normal(size=n) for i, n in enumerate(sizes)] for step in range(5)]
    found = []
    for size in (2**15, piece):
        monkeypatch.setattr("microlearn.deep.optim.PIECE", size)
        parameters = pair(begin)
        optimizer = kind(parameters, lr=0.1)
        for grads in pulls:
            pull(parameters, *grads)
            optimizer.step()
        found.append([parameter.data.tolist() for parameter in parameters])
    assert found[0] == found[1] and all((np.array(a) != b).all() for a, b in zip(found[0], begin, strict=True))
