"""The derivative of plain numbers: against closed forms, from both sides, and what it costs."""

import functools
import math
import re
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from microlearn import Value
from microlearn.autograd import derivative, gradient, slope
from microlearn.autograd.derivative import STEP

CLOSED = {
    "constant": (lambda x: 7.0, lambda x: 0.0),
    "line": (lambda x: 3 * x - 2, lambda x: 3.0),
    "square": (lambda x: x**2, lambda x: 2 * x),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "reciprocal": (lambda x: 1 / x, lambda x: -1 / x**2),
    "root": (math.sqrt, lambda x: 0.5 / math.sqrt(x)),
    "exp": (math.exp, math.exp),
    "log": (math.log, lambda x: 1 / x),
    "sin": (math.sin, math.cos),
    "tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "logistic": (lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
    "cache": (lambda ttl: 300 / ttl + 3 * ttl, lambda ttl: 3 - 300 / ttl**2),
}
ABOVE_ZERO = {"reciprocal", "root", "log", "cache"}
ordinary = st.floats(-10, 10)


class Counted:
    """A function that remembers where it was called."""

    def __init__(self, f):
        self.f, self.calls = f, []

    def __call__(self, *point):
        self.calls.append(point)
        return self.f(*point)


@pytest.mark.parametrize("name", CLOSED)
@given(x=st.floats(0.1, 10), sign=st.sampled_from([1, -1]))
def test_the_derivative_is_the_one_in_the_book(name, x, sign):
    f, by_hand = CLOSED[name]
    x = x if name in ABOVE_ZERO else sign * x
    assert derivative(f, x) == pytest.approx(by_hand(x), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3, 1e6, 1e12])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_nudge_grows_with_x(scale, sign):
    x = sign * 3 * scale
    assert derivative(lambda x: x**2, x) == pytest.approx(2 * x, rel=1e-8, abs=1e-9)
    calls = Counted(lambda x: x)
    derivative(calls, x)
    (left,), (right,) = sorted(calls.calls)
    assert (right - left) / 2 == pytest.approx(STEP * max(1.0, abs(x)), rel=1e-6)


@given(ordinary, st.floats(1e-3, 2.0))
def test_a_slope_is_rise_over_run_to_either_side(x, nudge):
    assert slope(lambda x: x**2, x, nudge) == pytest.approx(2 * x + nudge, rel=1e-9, abs=1e-9)
    assert slope(lambda x: x**2, x, -nudge) == pytest.approx(2 * x - nudge, rel=1e-9, abs=1e-9)


@given(ordinary, st.floats(1e-12, 1e-3))
def test_the_run_is_the_distance_that_rounding_left(x, nudge):
    """On a straight line through zero no nudge is too small: what moved is what is divided by."""
    assume(x + nudge != x)
    assert slope(lambda x: x, x, nudge) == 1.0


@given(ordinary, st.floats(1e-3, 1.0))
def test_both_sides_at_once_are_the_mean_of_each(x, step):
    both = derivative(math.exp, x, step)
    nudge = step * max(1.0, abs(x))
    assert both == pytest.approx((slope(math.exp, x, nudge) + slope(math.exp, x, -nudge)) / 2, rel=1e-9)


def test_what_is_wrong_shrinks_with_the_square_of_the_step():
    wrong = {step: abs(derivative(math.exp, 0.5, step) - math.exp(0.5)) for step in (0.1, 0.01, 0.001)}
    assert wrong[0.1] / wrong[0.01] == pytest.approx(100, rel=0.01)
    assert wrong[0.01] / wrong[0.001] == pytest.approx(100, rel=0.01)


def test_at_a_corner_the_sides_differ_and_the_derivative_is_their_mean():
    assert (slope(abs, 0.0, -1e-3), slope(abs, 0.0, 1e-3), derivative(abs, 0.0)) == (-1.0, 1.0, 0.0)


@given(ordinary, ordinary, ordinary)
def test_a_gradient_is_in_the_order_of_the_inputs(a, b, c):
    found = gradient(lambda a, b, c: a * b + c**2, a, b, c)
    assert found == pytest.approx([b, a, 2 * c], rel=1e-6, abs=1e-7)


def test_one_knob_moves_and_the_others_stay_where_they_are():
    point = (1.0, -20.0, 300.0)
    f = Counted(lambda *knobs: math.fsum(knobs))
    gradient(f, *point)
    for i, pair in enumerate(zip(f.calls[::2], f.calls[1::2], strict=True)):
        for called in pair:
            moved = [j for j, (x, still) in enumerate(zip(called, point, strict=True)) if x != still]
            assert moved == [i]
        assert sum(called[i] for called in pair) / 2 == pytest.approx(point[i])


@pytest.mark.parametrize("knobs", [0, 1, 2, 7])
def test_each_knob_costs_two_runs(knobs):
    f = Counted(lambda *point: math.fsum(point))
    assert gradient(f, *[0.5] * knobs) == pytest.approx([1.0] * knobs)
    assert len(f.calls) == 2 * knobs


def test_a_gradient_takes_the_step_it_is_given():
    assert gradient(lambda x, y: x**3 + y, 0.0, 5.0, step=0.5) == [0.25, 1.0]


@given(ordinary)
def test_the_chain_multiplies_and_two_uses_add(x):
    inner, outer = (lambda x: x**2 + 1), math.sin
    chained = derivative(lambda x: outer(inner(x)), x)
    assert chained == pytest.approx(derivative(outer, inner(x)) * derivative(inner, x), rel=1e-5, abs=1e-5)
    twice = derivative(lambda x: outer(x) * inner(x), x)
    by_place = gradient(lambda a, b: outer(a) * inner(b), x, x)
    assert twice == pytest.approx(by_place[0] + by_place[1], rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("nudge", [1e-17, -1e-17, 0.0])
def test_a_nudge_that_moves_nothing_is_refused(nudge):
    with pytest.raises(ValueError, match=r"leaves 3\.0 where it is: take a larger one"):
        slope(lambda x: x**2, 3.0, nudge)


@pytest.mark.parametrize("find", [derivative, gradient])
def test_a_step_that_moves_nothing_is_refused(find):
    with pytest.raises(ValueError, match=r"a nudge of 6e-17 leaves 3\.0 where it is"):
        find(lambda x: x**2, 3.0, step=1e-17)


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("find", [derivative, gradient, functools.partial(slope, nudge=0.1)])
def test_there_is_no_slope_where_there_is_no_number(find, x):
    f = Counted(abs)
    with pytest.raises(ValueError, match=rf"^(x|point\[0\]): expected a finite number, got {x}$"):
        find(f, x)
    assert not f.calls


@pytest.mark.parametrize("nudge", [1.7e308, math.nan, math.inf])
def test_a_nudge_does_not_leave_the_floats(nudge):
    with pytest.raises(ValueError, match="leads nowhere: take a smaller, finite one"):
        slope(abs, 1.7e308, nudge)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: gradient(3.0), "f: expected a function, got 3.0"),
        (lambda: derivative(9.0, 3.0), "f: expected a function, got 9.0"),
        (lambda: gradient(max, 1.0, [2.0]), "point[1]: expected a number, got list: [2.0]"),
        (lambda: derivative(abs, Value(3.0)), "x: expected a number, got Value: Value(data=3.0, grad=0.0)"),
        (lambda: slope(abs, "3", 0.5), "x: expected a number, got str: '3'"),
        (lambda: slope(print, 3, 0.5), "f: expected a function that returns a number, got None at 3.5"),
        (
            lambda: slope(Value, 3, 0.5),
            "f: expected a function that returns a number, got Value(data=3.5, grad=0.0) at",
        ),
    ],
)
def test_what_is_given_is_refused_by_name(call, said):
    with pytest.raises(TypeError, match=f"^{re.escape(said)}"):
        call()


def test_every_kind_of_real_number_will_do():
    assert derivative(lambda x: x * Fraction(1, 2), True) == slope(lambda x: x / 2, Fraction(3), 1) == 0.5


def test_what_the_function_makes_of_a_number_is_its_own_affair():
    assert math.isnan(derivative(lambda x: math.nan, 1.0))
    with pytest.raises(ValueError, match="math domain"):
        derivative(math.sqrt, -1.0)
