"""gradcheck: no false alarm where the curve is smooth, no wrong slope missed, and corners refused in words."""

import itertools
import math
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microlearn import Value
from microlearn.autograd import gradcheck, value
from microlearn.autograd.derivative import STEP
from tests.autograd.expressions import TABLE
from tests.autograd.random_formulas import DOMAIN_ERRORS, FLOATS, OBJECTS, REPEATABLE, formulas, results_of, total_of

CORNERS = {"relu(0)", "abs(0)", "max, a tie", "min, a tie"}
EDGES = {"0 ** 1.5", "log of a tiny number"}  # a nudge to the left, and there is no value
SMOOTH = [name for name in TABLE if name not in CORNERS | EDGES]


def only(report):
    """Return the one row of a report about one input."""
    (row,) = report.rows
    return row


def wrong_slopes(monkeypatch, op, change):
    """Let every node of this operation remember changed slopes."""
    right = value.node

    def node(data, parents, slopes, made_by):
        return right(data, parents, tuple(map(change, slopes)) if made_by == op else slopes, made_by)

    monkeypatch.setattr(value, "node", node)


# No false alarm.


@pytest.mark.parametrize("name", SMOOTH)
def test_a_right_gradient_passes(name):
    f, inputs = TABLE[name]
    report = gradcheck(f, *inputs)
    assert report, report
    assert len(report.rows) == len(inputs)
    assert str(report).startswith("every gradient agrees\n  ")


@given(formulas())
@REPEATABLE
def test_no_random_formula_gives_a_false_alarm(formula):
    inputs, steps = formula
    try:
        results_of(steps, inputs, FLOATS)  # leaves out what is near a corner
        report = gradcheck(total_of(steps, OBJECTS), *inputs)
    except DOMAIN_ERRORS:
        return
    assert report, (formula, report)


@pytest.mark.parametrize("x", [-30.0, -1.0, 0.0, 2e-3, 1.0, 30.0])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: x**2,
        lambda x: x**3,
        lambda x: x**4,
        lambda x: x**21,
        lambda x: (20 * x).exp(),
        lambda x: 1e-5 * (20 * x).exp() + 1,
        lambda x: (1000 * x).tanh(),
        lambda x: (1000 * x).sigmoid(),
        lambda x: (1 + (20 * x).exp()).log(),
        lambda x: x * 1e6,
        lambda x: x * 1e150,
        lambda x: x * 1e-150,
        lambda x: (x + 1e8) - 1e8,
        lambda x: x,
        lambda x: x * 0,
    ],
)
def test_curves_that_are_steep_flat_large_or_rounded_pass(f, x):
    report = gradcheck(f, x)
    assert report, report


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_where_only_the_bend_sets_in_there_is_no_corner(sign):
    """The slope of relu(x)**2 has no jump at 0: what is wrong with nudging shrinks with the step, not its square."""
    report = gradcheck(lambda x, y: (sign * x).relu() ** 2 + y, 0.0, 1.0)
    assert report, report


def test_nearly_a_corner_is_none():
    for x in (-0.002, -1e-5, 0.0, 1e-6, 0.003):
        assert gradcheck(lambda x: (1 + (100 * x).exp()).log(), x)  # softplus, nearly a relu
        assert gradcheck(lambda x: (x * x + 1e-6) ** 0.5, x)  # nearly abs


def test_a_perfect_fit_passes():
    """Where the loss is all rounding, so are both slopes."""
    for target in (0.3, 0.7, 1e5 / 3):
        report = gradcheck(lambda w, target=target: (w * 0.1 - target) ** 2, target / 0.1)
        assert report, report


@pytest.mark.parametrize("size", [1e6, 1e100, 1e150])
def test_large_inputs_pass(size):
    assert gradcheck(lambda x: x * x, size)
    assert gradcheck(lambda a, b: a / b, size, -size)
    assert gradcheck(lambda x: x.log(), size)


# No wrong slope is missed.


def last_operation(name):
    """Tell which operation a formula ends with; nothing where its slopes do not matter."""
    f, inputs = TABLE[name]
    leaves = [Value(x) for x in inputs]
    result = f(*leaves)
    result.backward()
    return result.op if any(leaf.grad for leaf in leaves) else None


ENDING = [(name, op) for name in SMOOTH if (op := last_operation(name))]


@pytest.mark.parametrize("change", [1 + 1e-4, 0.5, 2.0, -1.0, 0.0])
@pytest.mark.parametrize(("name", "op"), ENDING)
def test_a_wrong_slope_is_caught_and_named(monkeypatch, name, op, change):
    f, inputs = TABLE[name]
    right = gradcheck(f, *inputs)
    wrong_slopes(monkeypatch, op, lambda slope: slope * change)
    report = gradcheck(f, *inputs)
    wrong = [
        after.name
        for before, after in zip(right.rows, report.rows, strict=True)
        if abs(before.backward - after.backward) > 2e-5 * abs(before.backward)
    ]
    if not wrong:
        assert change == -1.0  # turned twice, in a product of squares
        return
    found = re.findall(r"^  (\S.*) = .*: backward (\S+), nudged (\S+)\n    \S+ apart", str(report), re.MULTILINE)
    assert not report
    assert [name for name, _, _ in found] == wrong
    assert str(report).startswith(f"{len(wrong)} of {len(inputs)} gradients disagree")
    assert all(backward != nudged for _, backward, nudged in found)


@given(st.floats(0.1, 3), st.sampled_from([1 + 1e-5, 1 - 1e-5, 1 + 1e-4, 1.1, -1.0]), st.booleans())
@REPEATABLE
def test_a_wrong_rule_is_caught_anywhere(x, change, left):
    def cube(x):
        return value.node(x.data**3, (x,), (3 * x.data**2 * change,), "cube")

    report = gradcheck(lambda a, b: cube(a) + b**3, -x if left else x, 2.0)
    assert [row.verdict for row in report.rows] == ["disagrees", "agrees"]


def test_tiny_gradients_are_compared_too():
    assert gradcheck(lambda x: x * 1e-9, 1.0)
    assert gradcheck(lambda x: x * 1e-9 + 1, 1.0)

    def twice(factor, offset):
        return lambda x: value.node(factor * x.data + offset, (x,), (2 * factor,), "wrong")

    for report in gradcheck(twice(1e-9, 0.0), 1.0), gradcheck(twice(1e-9, 1.0), 1.0), gradcheck(twice(1e-150, 0.0), 1):
        assert not report
        assert only(report).verdict == "disagrees"


def test_an_assignment_for_an_addition_is_caught(monkeypatch):
    def assign(self):
        for parent, slope in zip(self.parents, self.slopes, strict=True):
            parent.grad = slope * self.grad

    monkeypatch.setattr(Value, "pass_gradient_on", assign)
    assert gradcheck(lambda a, b: a * b, 3.0, 2.0)
    assert not gradcheck(lambda a: a * a, 3.0)
    assert not gradcheck(lambda a: (s := a * 2) * s, 3.0)  # an interior node used twice


def test_a_graph_that_was_cut_is_caught():
    report = gradcheck(lambda x: Value(math.tanh(x.data)), 0.5)
    assert str(report) == (
        "1 of 1 gradients disagree\n  x = 0.5: backward 0, nudged 0.786447733\n    0.7864 apart, 1 of the larger"
    )


def test_only_the_wrong_input_is_named():
    report = gradcheck(lambda a, b: a * b.data, 2.0, 3.0)
    assert [row.verdict for row in report.rows] == ["agrees", "disagrees"]
    assert str(report).split("\n")[:3] == [
        "1 of 2 gradients disagree",
        "  a = 2: backward 3, nudged 3",
        "  b = 3: backward 0, nudged 2",
    ]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_no_number_is_none(wrong):
    report = gradcheck(lambda x: value.node(x.data, (x,), (wrong,), "wrong"), 1.0)
    assert not report
    assert "no number to compare" in str(report)
    report = gradcheck(lambda a, b: value.node(a.data + b.data, (a, b), (1.0, wrong), "wrong").tanh(), 1.0, 2.0)
    assert not report


@pytest.mark.parametrize(
    ("f", "x", "found"),
    [
        (lambda x: x * 1e308 * 10, 1.0, "it is inf at 0.999994"),
        (lambda x: x * math.nan, 1.0, "it is nan at 0.999994"),
        (lambda x: x * 1e308, 1.797693134862, "it is inf at 1.7977"),  # the input is just inside
        (lambda x: x * x, 1.3407807e154, "it is inf at 1.34079e+154"),
    ],
)
def test_a_result_that_is_no_number_cannot_be_compared(f, x, found):
    with pytest.raises(ValueError, match=rf"f has no value within .* of it, .* \({re.escape(found)}\)$"):
        gradcheck(f, x)


@pytest.mark.parametrize("height", [0.0, 2.0])  # infinity times it is nan, or infinity
def test_a_gradient_that_is_infinite_only_on_the_way_hides_what_there_is_to_see(height):
    """Somewhere within the nudge a slope stands upright: no bound on rounding can be computed there."""

    def f(x):
        level = value.node(height, (x,), (0.0,), "level")
        upright = math.inf if x.data < 1.0 else 1.0
        return value.node(x.data + level.data, (x, level), (1.0, upright), "sum")

    report = gradcheck(f, 1.0)
    assert not report
    assert str(report) == (
        "1 of 1 cannot be checked\n  x = 1: backward 1, nudged 1 (give or take inf)\n"
        "    rounding or the step hides this slope:\n    check a smaller part of f, or another step"
    )


# Corners are refused in words.

BENT = {
    "relu": lambda x: x.relu(),
    "-relu": lambda x: -x.relu(),
    "relu of -x": lambda x: (-x).relu() * 7,
    "leaky relu": lambda x: x.max(x * 0.1),
    "abs": abs,
    "min": lambda x: (x * 3).min(x * 2),
    "a bend in a slope": lambda x: 2 * x + 0.3 * x.relu(),
    "a bend in a curve": lambda x: x.tanh() + x.relu() * x.sigmoid() + abs(x),
}
FAR = [t / 20 for t in range(-19, 20)]


@pytest.mark.parametrize("x", [0.0, 0.1, -2.5, 1e3, 1e9])
@pytest.mark.parametrize("bent", BENT)
def test_a_corner_within_a_nudge_is_refused(bent, x):
    for far in [*FAR, 1 / 3, 1 / 6, 2 / 9, -1 / 3, -1 / 6]:
        corner = x + far * STEP * max(1.0, abs(x))
        report = gradcheck(lambda x, corner=corner: BENT[bent](x - corner), x)
        assert only(report).verdict == "corner", (far, report)
        assert not report


@pytest.mark.parametrize("far", [-40, -1.1, 1.1, 40])
@pytest.mark.parametrize("bent", BENT)
def test_a_corner_further_away_does_no_harm(bent, far):
    assert gradcheck(lambda x: BENT[bent](x - far * STEP), 0.0)


@pytest.mark.parametrize("bend", [10.0**-n for n in range(1, 20)])
def test_a_bend_too_slight_for_a_corner_is_no_disagreement(bend):
    for slope, far in itertools.product((0.0, 1.0), FAR):
        report = gradcheck(lambda x: slope * x + bend * (x - far * STEP).relu(), 0.0)  # noqa: B023
        assert only(report).verdict in ("corner", "agrees"), (far, report)


def test_a_smaller_step_gets_past_a_corner_nearby():
    def f(x):
        return (x - 1e-6).relu()

    assert not gradcheck(f, 0.0)
    assert gradcheck(f, 0.0, step=1e-7)


@pytest.mark.parametrize("name", sorted(CORNERS))
def test_a_corner_is_refused_in_words(name):
    f, inputs = TABLE[name]
    report = gradcheck(f, *inputs)
    assert not report
    assert str(report).startswith(f"{len(inputs)} of {len(inputs)} cannot be checked\n  a = ")
    assert "to the left" in str(report) and "a corner" in str(report)


@pytest.mark.parametrize("far", [t / 20 for t in range(-9, 10)])
@pytest.mark.parametrize("size", [-3.0, 1e-6, 1.0])
def test_a_jump_is_told_from_a_corner(far, size):
    edge = 2.0 + far * 2.0 * STEP

    def f(x):
        return x * x + size if x > edge else x * x

    report = gradcheck(f, 2.0)
    assert not report
    assert re.fullmatch(
        r"1 of 1 cannot be checked\n  x = 2: slope .* to the left, .* to the right\n"
        r"    a jump \(or a climb as steep\) within 1\.2e-05",
        str(report),
    )


def test_a_corner_and_a_mistake_are_counted_apart():
    report = gradcheck(lambda a, b, c: a.relu() + b.data * c, 0.0, 1.0, 2.0)
    assert str(report).startswith("1 of 3 gradients disagree, 1 of 3 cannot be checked\n")


def test_the_corner_of_a_square_root_of_a_square_has_no_gradient():
    assert only(gradcheck(lambda x: (x * x) ** 0.5, 0.0)).verdict == "corner"  # backward says nan


# What cannot be asked.


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: x.log(), 1e-7),
        (lambda x: x.log(), 1e-300),
        (lambda x: x**0.5, 0.0),
        (lambda x: 1 / x, STEP),
        (lambda x: x.exp(), 709.78),
    ],
)
def test_at_an_edge_the_error_says_what_to_do(f, x):
    with pytest.raises(ValueError, match=r"^x = .*: f has no value within .* of it, move x, or give a smaller step \("):
        gradcheck(f, x)


def test_the_advice_at_an_edge_helps():
    assert gradcheck(lambda x: x.log(), 1e-7, step=1e-12)
    assert gradcheck(lambda x: x.log(), 1e-300, step=1e-306)


@pytest.mark.parametrize("step", [0, 0.0, -1e-6, 1e-17, math.nan])
def test_a_step_that_does_not_move_is_refused(step):
    with pytest.raises(ValueError, match="does not move x = 2: give a larger step"):
        gradcheck(lambda x: x * x, 2.0, step=step)


@pytest.mark.parametrize("tolerance", [math.nan, math.inf, -1e-9, "1e-6", None])
def test_a_tolerance_is_a_number_from_zero_on(tolerance):
    said = f"tolerance: expected a finite number of 0 or more, got {tolerance!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        gradcheck(lambda x: x * x, 2.0, tolerance=tolerance)
    assert gradcheck(lambda x: x * x, 2.0, tolerance=0)


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf])
def test_an_input_has_to_be_finite(x):
    with pytest.raises(ValueError, match=f"b = {x}: a slope needs a finite number to stand on"):
        gradcheck(lambda a, b: a + b, 1.0, x)


def test_a_value_in_place_of_a_function():
    x = Value(2.0)
    with pytest.raises(TypeError, match="takes the function itself, then its inputs"):
        gradcheck(x * x, x)


def test_nothing_to_check():
    with pytest.raises(TypeError, match="give the inputs after the function"):
        gradcheck(lambda: Value(2.0))


@pytest.mark.parametrize("result", [None, 2.0, [Value(2.0)]])
def test_f_has_to_return_a_value(result):
    with pytest.raises(TypeError, match=r"f returned .*: build the result from the Values"):
        gradcheck(lambda x: result, 2.0)


def test_an_input_has_to_be_a_number():
    with pytest.raises(TypeError, match="expected a real number, got str"):
        gradcheck(lambda x: x, "2")


def test_a_function_that_uses_none_of_its_inputs_is_no_success():
    w = Value(3.0)
    for f in (lambda a: w * w, lambda a: w, lambda a, b=w: a.data * 0 + b * b):
        with pytest.raises(ValueError, match="f uses none of its inputs: build the result from the Values it is given"):
            gradcheck(f, w)
    assert gradcheck(lambda a, b: a, w, w)  # the result may be an input, and one of two may be left out
    assert gradcheck(lambda a: a * 0 + w, w)


def test_an_error_of_f_stays_an_error_of_f():
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        gradcheck(lambda a, b: a + b, 1.0)
    with pytest.raises(ValueError, match=r"^log\(-1.0\)"):
        gradcheck(lambda x: x.log(), -1.0)


def test_what_is_random_is_refused():
    rng = random.Random(0)
    with pytest.raises(ValueError, match=r"f gives .* and then .* at the same point: take out what is random"):
        gradcheck(lambda x: x * rng.random(), 2.0)


# Inputs.


def test_values_are_copied_and_lend_their_labels():
    a, b = Value(2.0, label="weight"), Value(-3.0)
    (a * b).backward()
    report = gradcheck(lambda x, y: x * y, a, b)
    assert [(row.name, row.x) for row in report.rows] == [("weight", 2.0), ("y", -3.0)]
    assert (a.data, a.grad, b.data, b.grad) == (2.0, -3.0, -3.0, 2.0)


def test_nothing_behind_an_input_takes_part():
    """A copy is a leaf: neither the numbers that an input was made of, nor what it holds, are touched or walked."""
    a = Value(2.0)
    square = a * a
    square.grad = 7.0
    seen = []

    def f(x):
        seen.append(x)
        return x * x

    assert gradcheck(f, square)
    assert (square.grad, a.grad) == (7.0, 0.0)
    assert all(x is not square and x.parents == () for x in seen)


def test_one_value_given_twice_is_two_inputs():
    a = Value(3.0, label="a")
    report = gradcheck(lambda x, y: x * y**2, a, a)
    assert [(row.name, row.backward) for row in report.rows] == [("a", 9.0), ("a_2", 18.0)]


def test_names_come_from_labels_parameters_or_places():
    assert [row.name for row in gradcheck(lambda *x: sum(x), 1, 2, Value(3, label="c")).rows] == [
        "input 1",
        "input 2",
        "c",
    ]
    assert [row.name for row in gradcheck(lambda first, *rest: first + rest[0], 1, 2).rows] == ["first", "input 2"]
    assert [row.name for row in gradcheck(lambda a, b=2.0: a * b, 1).rows] == ["a"]
    assert [row.name for row in gradcheck(max, 1.0, 2.0).rows] == ["input 1", "input 2"]  # C, without a signature


def test_an_input_that_does_nothing_has_gradient_zero():
    report = gradcheck(lambda a, b: a * a, 2.0, 3.0)
    assert report
    assert report.rows[1].backward == report.rows[1].nudged == 0.0


# How well it could see.


def test_a_slope_that_rounding_hides_has_not_passed():
    report = gradcheck(lambda a, b: (a * a * 1e10 - a * a * 1e10) + b.data, 3.0, 2.0)
    assert not report
    assert str(report) == (
        "1 of 2 cannot be checked\n"
        "  a = 3: backward 0, nudged 0 (give or take 4)\n"
        "  b = 2: backward 0, nudged 1 (give or take 7)\n"
        "    rounding or the step hides this slope:\n"
        "    check a smaller part of f, or another step"
    )
    report = gradcheck(lambda x: x + 1e12, 1.0)
    assert only(report).verdict == "blurred"
    assert "(give or take 4e+01)" in str(report)
    assert gradcheck(lambda x: x + 1e12, 1.0, step=1e3)  # the advice helps


def test_a_slope_that_the_step_hides_has_not_passed():
    assert only(gradcheck(lambda x: x * x * x, 1.0, step=10.0)).verdict == "blurred"
    assert gradcheck(lambda x: x * x * x, 1.0)


@pytest.mark.parametrize(("step", "blur"), [(0.1, "0.02"), (1e-13, "0.02")])
def test_a_poor_step_that_still_sees_most_of_the_slope_passes_and_says_how_much(step, blur):
    report = gradcheck(lambda x: x * x * x, 1.1, step=step)
    assert report, report
    assert str(report).endswith(f" (give or take {blur})")
    assert "give or take" not in str(gradcheck(lambda x: x * x + 1, 1.0))


def test_whoever_accepts_more_is_not_told_that_it_is_hidden():
    assert gradcheck(lambda x: x * x * x, 1.0, step=1.0, tolerance=0.3)
    assert only(gradcheck(lambda x: x * x * x, 1.0, step=1.0)).verdict == "blurred"


def test_what_cannot_be_checked_is_counted_whatever_the_reason():
    def f(a, b, c, d):
        return a.relu() + ((b * 1e10 - b * 1e10) + c.data) + 1e9 * d.data

    assert str(gradcheck(f, 0.0, 3.0, 1.0, 1.0)).startswith("1 of 4 gradients disagree, 2 of 4 cannot be checked\n")


def test_each_input_is_looked_at_seven_times():
    calls = 0

    def f(a, b):
        nonlocal calls
        calls += 1
        return a * b

    gradcheck(f, 2.0, 3.0)
    assert calls == 2 + 2 * 7  # once for backward, once for what is random, and seven for each input
