"""Schedules: PyTorch's rates, a warm-up by its formula, and going on after a stop."""

import math
import re
from itertools import pairwise

import pytest

from microlearn import deep
from microlearn.deep import SGD, AdamW, CosineAnnealingLR, Parameter, StepLR, WarmupCosine
from tests.deep.cases import SCHEDULES, STEPS, stored


def optimizer(lr=0.2):
    return SGD([Parameter([0.0])], lr=lr)


def rates(schedule, steps=STEPS):
    found = schedule.get_last_lr()
    for _ in range(steps):
        schedule.step()
        found += schedule.get_last_lr()
    return found


@pytest.mark.parametrize("name", SCHEDULES)
def test_as_pytorch(name):
    kind, settings = SCHEDULES[name]
    assert rates(getattr(deep, kind)(optimizer(), **settings)) == pytest.approx(
        stored()["schedules"][name], rel=1e-12, abs=1e-15
    )


def test_a_warm_up_climbs_in_a_line_and_sinks_in_a_wave():
    found = rates(WarmupCosine(optimizer(1.0), warmup_steps=4, total_steps=14, eta_min=0.1), 20)
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert found[9] == pytest.approx(0.55) and found[14] == pytest.approx(0.1)
    assert found[14:] == [pytest.approx(0.1)] * 7
    assert all(a > b for a, b in pairwise(found[4:15]))


def test_without_a_warm_up_it_is_the_wave_alone():
    wave = rates(CosineAnnealingLR(optimizer(), 10, 0.01), 10)
    assert rates(WarmupCosine(optimizer(), 0, 10, 0.01), 10) == pytest.approx(wave)


def test_a_second_schedule_scales_the_rate_from_before_the_first():
    moving = optimizer(0.2)
    StepLR(moving, 1).step()
    assert StepLR(moving, 5).get_last_lr() == [0.2]


def test_every_group_keeps_its_share():
    groups = [{"params": [Parameter([0.0])]}, {"params": [Parameter([0.0])], "lr": 0.02}]
    schedule = StepLR(AdamW(groups, lr=0.2), 1, 0.5)
    schedule.step()
    assert schedule.get_last_lr() == pytest.approx([0.1, 0.01])


@pytest.mark.parametrize(
    "made", [lambda o: StepLR(o, 3), lambda o: CosineAnnealingLR(o, 9), lambda o: WarmupCosine(o, 3, 9)]
)
def test_it_goes_on_after_a_stop(made):
    whole = made(optimizer())
    found = rates(whole, 8)
    half, other = made(optimizer()), made(optimizer(55.0))
    rates(half, 4)
    other.load_state_dict(half.state_dict())
    assert rates(other, 4) == found[4:]
    assert math.isfinite(found[-1])


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ("step_size: expected a whole number above zero, got 0", lambda: StepLR(optimizer(), 0)),
        ("T_max: expected a whole number above zero, got 0", lambda: CosineAnnealingLR(optimizer(), 0)),
        ("warmup_steps: expected fewer than the 5 in all, got 5", lambda: WarmupCosine(optimizer(), 5, 5)),
    ],
)
def test_bad_input_is_named(message, wrong):
    with pytest.raises(ValueError, match=re.escape(message)):
        wrong()
