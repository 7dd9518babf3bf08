"""Values against stored PyTorch results, against plain floats, and against whatever may stand beside them."""

import json
import math
import operator
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given

from microlearn import Value
from tests.autograd.expressions import TABLE, assert_agree, value_says
from tests.autograd.random_formulas import DOMAIN_ERRORS, FLOATS, OBJECTS, REPEATABLE, formulas, results_of, total_of

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())
NUMBERS = [2, True, Fraction(1, 4), np.float64(2), np.float32(0.5), np.int64(2)]
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge]
inf, nan = math.inf, math.nan


# Against PyTorch.


@pytest.mark.parametrize("name", TABLE)
def test_agrees_with_pytorch(name):
    function, inputs = TABLE[name]
    assert_agree(name, inputs, value_says(function, inputs), VECTORS[name])


def test_every_vector_has_its_formula():
    assert list(VECTORS) == list(TABLE)


# Against floats and central differences.


def central_difference(function, inputs, i, h):
    """Measure how fast the function moves with input i, from a step to either side."""
    above, below = (function(*inputs[:i], inputs[i] + step, *inputs[i + 1 :]) for step in (h, -h))
    return (above - below) / (2 * h)


def measured_slope(function, inputs, i):
    """Measure a slope where the measurement has settled: two step sizes must give the same."""
    try:
        coarse, fine = (central_difference(function, inputs, i, h) for h in (2e-4, 1e-4))
    except DOMAIN_ERRORS:
        assume(False)
    assume(abs(coarse - fine) <= 1e-6 * (1 + abs(fine)))
    return fine


@given(formulas())
@REPEATABLE
def test_a_random_formula_agrees_with_floats(formula):
    inputs, steps = formula
    ours, floats = total_of(steps, OBJECTS), total_of(steps, FLOATS)
    try:
        results = results_of(steps, inputs, FLOATS)
    except DOMAIN_ERRORS:
        with pytest.raises(DOMAIN_ERRORS):
            value_says(ours, inputs)
        return
    assume(all(abs(result) < 50 for result in results))
    slopes = [measured_slope(floats, inputs, i) for i in range(len(inputs))]
    assert_agree(steps, inputs, value_says(ours, inputs), {"value": sum(results), "grads": slopes}, rel=1e-5, abs=1e-5)


# What is refused, and in which words.


@pytest.mark.parametrize(
    ("formula", "error", "message"),
    [
        (lambda: Value(3) / 0, ZeroDivisionError, "3.0 / 0.0: division by zero"),
        (lambda: Value(3) / Value(0), ZeroDivisionError, "3.0 / 0.0: division by zero"),
        (lambda: 3 / Value(0), ZeroDivisionError, "3.0 / 0.0: division by zero"),
        (lambda: Value(0).log(), ValueError, "log(0.0): a logarithm needs a number above zero"),
        (lambda: Value(-2).log(), ValueError, "log(-2.0): a logarithm needs a number above zero"),
        (lambda: Value(-2) ** 0.5, ValueError, "-2.0 ** 0.5: a negative base needs a whole number as exponent"),
        (lambda: Value(0) ** -1, ZeroDivisionError, "0.0 ** -1.0: zero has no negative power"),
        (
            lambda: Value(-2) ** Value(3),
            ValueError,
            "-2.0 ** Value(3.0): with a Value as exponent, the base must be above zero",
        ),
        (
            lambda: Value(0) ** Value(3),
            ValueError,
            "0.0 ** Value(3.0): with a Value as exponent, the base must be above zero",
        ),
        (
            lambda: (-2) ** Value(3),
            ValueError,
            "-2.0 ** Value(3.0): with a Value as exponent, the base must be above zero",
        ),
        (lambda: Value(1000).exp(), OverflowError, "exp(1000.0): the result is too large for a float"),
        (lambda: Value(10) ** 400, OverflowError, "10.0 ** 400.0: the result is too large for a float"),
        (lambda: Value(10) ** Value(400), OverflowError, "10.0 ** 400.0: the result is too large for a float"),
        (lambda: Value(10**400), OverflowError, "Value: this int is too large for a float"),
        (lambda: Value(1) + 10**400, OverflowError, "Value: this int is too large for a float"),
        (lambda: Value(2) ** 10**400, OverflowError, "Value: this int is too large for a float"),
        (lambda: Value(Fraction(10**400)), OverflowError, "Value: this Fraction is too large for a float"),
        (lambda: Value("3"), TypeError, "Value('3'): expected a real number, got str"),
        (lambda: Value(None), TypeError, "Value(None): expected a real number, got NoneType"),
        (lambda: Value(1j), TypeError, "Value(1j): expected a real number, got complex"),
        (lambda: Value([1]), TypeError, "Value([1]): expected a real number, got list"),
        (lambda: Value(np.ones(1)), TypeError, "Value(array([1.])): expected a real number, got ndarray"),
        (lambda: Value(2).max("3"), TypeError, "Value('3'): expected a real number, got str"),
        (lambda: Value(2).min(None), TypeError, "Value(None): expected a real number, got NoneType"),
    ],
)
def test_refuses_by_name(formula, error, message):
    with pytest.raises(error) as refusal:
        formula()
    assert str(refusal.value) == message


@pytest.mark.parametrize("operation", OPERATORS + COMPARISONS)
@pytest.mark.parametrize("stranger", ["3", None, 1j, [1], object()], ids=lambda thing: type(thing).__name__)
def test_python_refuses_strangers_on_both_sides(operation, stranger):
    with pytest.raises(TypeError):
        operation(Value(2), stranger)
    with pytest.raises(TypeError):
        operation(stranger, Value(2))


# What may stand beside a Value.


class Polite:
    """A type of somebody else's that knows what to do with a Value."""

    def answer(self, other):
        return "asked"

    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __lt__ = __le__ = __gt__ = __ge__ = answer


@pytest.mark.parametrize("operation", OPERATORS + COMPARISONS)
def test_another_type_is_asked(operation):
    assert operation(Value(2), Polite()) == "asked"


@pytest.mark.parametrize("operation", OPERATORS)
@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_real_numbers_of_every_kind_on_both_sides(operation, number):
    result, reflected = operation(Value(3), number), operation(number, Value(3))
    assert (type(result), type(reflected)) == (Value, Value)
    assert result.data == pytest.approx(operation(3.0, float(number)))
    assert reflected.data == pytest.approx(operation(float(number), 3.0))


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_data_is_a_float(number):
    assert type(Value(number).data) is float and Value(number).data == number


@pytest.mark.parametrize("operation", OPERATORS)
def test_an_array_takes_a_value_to_each_of_its_elements(operation):
    array = np.array([1.0, 2.0])
    assert [v.data for v in operation(Value(3), array)] == list(operation(3.0, array))
    assert [v.data for v in operation(array, Value(3))] == list(operation(array, 3.0))


def test_a_subclass_of_value_is_a_value():
    class Weight(Value):
        __slots__ = ()

    weight = Weight(3.0)
    (2 * weight + Value(1.0) * weight).backward()
    assert weight.grad == 3.0


@pytest.mark.parametrize(
    ("formula", "value", "slope"),
    [
        (lambda a: a.max(3), 3.0, 0.0),
        (lambda a: a.max(-1.5), 2.0, 1.0),
        (lambda a: a.min(3), 2.0, 1.0),
        (lambda a: a.min(-1.5), -1.5, 0.0),
    ],
)
def test_max_and_min_take_a_number(formula, value, slope):
    assert value_says(formula, [2.0]) == {"value": value, "grads": [slope]}


# Numbers at the edge.


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (lambda: Value(inf) + 1, inf),
        (lambda: Value(inf) - inf, nan),
        (lambda: Value(inf) * 0, nan),
        (lambda: 1 / Value(-inf), -0.0),
        (lambda: Value(inf) / inf, nan),
        (lambda: Value(1e300) * 1e300, inf),
        (lambda: Value(inf) ** -1, 0.0),
        (lambda: Value(10) ** -400, 0.0),
        (lambda: Value(nan) ** 0, 1.0),
        (lambda: Value(inf).exp(), inf),
        (lambda: Value(-inf).exp(), 0.0),
        (lambda: Value(inf).log(), inf),
        (lambda: Value(-inf).tanh(), -1.0),
        (lambda: Value(-inf).sigmoid(), 0.0),
        (lambda: Value(inf).sigmoid(), 1.0),
        (lambda: Value(-inf).relu(), 0.0),
        (lambda: Value(inf).relu(), inf),
        (lambda: abs(Value(-inf)), inf),
        (lambda: Value(inf).max(1), inf),
        *(
            (lambda pick=pick, a=a, b=b: pick(Value(a), b), nan)
            for pick in (Value.max, Value.min)
            for a, b in [(1, nan), (nan, 1)]
        ),
        (lambda: Value(-inf).min(1), -inf),
        *((lambda name=name: getattr(Value(nan), name)(), nan) for name in ("exp", "log", "tanh", "sigmoid", "relu")),
        (lambda: abs(Value(nan)), nan),
        (lambda: -Value(nan), nan),
    ],
)
def test_infinities_and_nan_pass_as_in_floats(formula, expected):
    assert formula().data == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("formula", "x", "slope"),
    [
        (lambda a: a**0.5, 0.0, inf),  # the curve stands upright
        (lambda a: a**-2, 1e-154, -inf),  # the power fits into a float, its slope does not
        (lambda a: a**-2, -1e-154, inf),
        (lambda a: a**-1, -1e-160, -inf),
        (lambda a: a / 1e-200 / 1e-100, 1e-300, pytest.approx(1e300)),
        (lambda a: 1e-300 / a, 1e-200, pytest.approx(-1e100)),  # a * a underflows to zero
        (lambda a: a.sigmoid(), 40.0, pytest.approx(0.0, abs=1e-15)),
        (lambda a: a.exp(), -745.0, 5e-324),
    ],
)
def test_slopes_of_extreme_numbers(formula, x, slope):
    assert value_says(formula, [x])["grads"] == [slope]


# Order and identity.


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize(("x", "y"), [(1.0, 2.0), (2.0, 1.0), (2.0, 2.0), (nan, 1.0), (-inf, inf)])
def test_order_compares_the_numbers(compare, x, y):
    assert compare(Value(x), Value(y)) is compare(Value(x), y) is compare(x, Value(y)) is compare(x, y)


def test_equality_is_identity():
    a, b = Value(2.0), Value(2.0)
    assert a == a and a != b and a != 2.0 and a != None  # noqa: E711
    assert len({a, b, a}) == 2 and a in {a} and b not in {a}


def test_builtin_max_and_min_pick_a_value():
    a, b, c = Value(2.0), Value(-1.0), Value(5.0)
    assert max(a, b, c) is c and min([a, b, c]) is b and sorted([a, b, c]) == [b, a, c]


# What a node tells of itself.


@pytest.mark.parametrize(
    ("formula", "op", "slopes"),
    [
        (lambda a, b: a + b, "+", (1.0, 1.0)),
        (lambda a, b: a - b, "-", (1.0, -1.0)),
        (lambda a, b: a * b, "*", (4.0, 2.0)),
        (lambda a, b: a / b, "/", (0.25, -0.125)),
        (lambda a, b: a**b, "**", (32.0, 16.0 * math.log(2.0))),
        (lambda a, b: a.max(b), "max", (0.0, 1.0)),
        (lambda a, b: a.min(b), "min", (1.0, 0.0)),
        (lambda a, b: a**3, "**3", (12.0,)),
        (lambda a, b: a**-0.5, "**-0.5", (-0.5 * 2.0**-1.5,)),
        (lambda a, b: -a, "neg", (-1.0,)),
        (lambda a, b: abs(a), "abs", (1.0,)),
        (lambda a, b: a.exp(), "exp", (math.exp(2.0),)),
        (lambda a, b: a.log(), "log", (0.5,)),
        (lambda a, b: a.tanh(), "tanh", (1 - math.tanh(2.0) ** 2,)),
        (lambda a, b: a.sigmoid(), "sigmoid", (pytest.approx(math.exp(-2) / (1 + math.exp(-2)) ** 2),)),
        (lambda a, b: a.relu(), "relu", (1.0,)),
    ],
)
def test_a_node_knows_its_op_its_parents_and_its_slopes(formula, op, slopes):
    a, b = Value(2.0), Value(4.0)
    node = formula(a, b)
    assert (node.op, node.slopes) == (op, slopes)
    assert node.parents == (a, b)[: len(slopes)]


def test_a_leaf_has_no_history():
    leaf = Value(2, label="x")
    assert (leaf.data, leaf.grad, leaf.label, leaf.op, leaf.parents, leaf.slopes) == (2.0, 0.0, "x", "", (), ())


def test_repr_shows_number_gradient_and_name():
    assert repr(Value(2)) == "Value(data=2.0, grad=0.0)"
    assert repr(Value(-0.5, label="w1")) == "Value(data=-0.5, grad=0.0, label='w1')"


def test_importing_microlearn_does_not_import_numpy():
    subprocess.run([sys.executable, "-c", "import sys, microlearn; sys.exit('numpy' in sys.modules)"], check=True)


def test_a_number_set_by_hand_can_be_compared():
    value = Value(1.0)
    value.data = 2
    assert value < 3 and value >= 2
