"""What the phase takes at its doors, and how a model's answer is read as a label.

What is refused is named, with its place, with what would be accepted, and with what came instead.
"""

import math
import numbers
import operator
import random

from microlearn.autograd.value import Value


def is_list(given):
    """Tell a list, a tuple or an array from a lone number, a text and what has no order."""
    indexed = hasattr(given, "__len__") and hasattr(given, "__getitem__") and not isinstance(given, str | dict)
    return indexed and getattr(given, "shape", None) != ()


def whole(name, number, least=1):
    """Return a whole number as an int; refuse what is none, or too small."""
    expected = (
        f"{name}: expected a whole number {'above zero' if least == 1 else f'of {least} or more'}, got {number!r}"
    )
    try:
        number = operator.index(number)
    except TypeError:
        raise TypeError(expected) from None
    if number < least:
        raise ValueError(expected)
    return number


def finite(name, number, least=-math.inf, below=math.inf, expected="a finite number"):
    """Return a number as a float; refuse what is none, is nan or infinite, or lies outside of its bounds."""
    try:
        if isinstance(number, numbers.Real) and math.isfinite(number) and least <= float(number) < below:
            return float(number)
    except OverflowError:  # a whole number beyond all floats
        pass
    raise ValueError(f"{name}: expected {expected}, got {number!r}")


def random_source(seed):
    """Continue with a source of random numbers that is given, or begin one from a seed."""
    if isinstance(seed, random.Random):
        return seed
    try:
        return random.Random(operator.index(seed))
    except TypeError:
        raise TypeError(f"seed: expected a whole number, got {seed!r}") from None


def values(x, nin):
    """Turn what a model is given, the numbers of one point, into Values; refuse it unless there are `nin` of them."""
    if not is_list(x):
        raise TypeError(f"x: expected a list of {nin} numbers, got {type(x).__name__}: {x!r}")
    for i, number in enumerate(x):
        if not isinstance(number, Value | numbers.Real):
            advice = "; a model takes one point at a time: [model(x) for x in X]" if is_list(number) else ""
            raise TypeError(f"x[{i}]: expected a number, got {number!r}{advice}")
    if len(x) != nin:
        raise ValueError(f"x: expected {nin} number{'s' * (nin != 1)}, got {len(x)}: {x!r}")
    return [number if isinstance(number, Value) else Value(number) for number in x]


def points(X, y):
    """Return points as lists of floats, and what belongs to them as a list; refuse what nobody could learn from."""
    for name, given in (("X", X), ("y", y)):
        if not is_list(given):
            raise TypeError(f"{name}: expected a list with one entry for each point, got {type(given).__name__}")
    if len(X) == 0:
        raise ValueError("X: expected at least one point, got none")
    if len(X) != len(y):
        raise ValueError(f"y: expected one entry for each of the {len(X)} points in X, got {len(y)}")
    for i, point in enumerate(X):
        if not is_list(point):
            raise TypeError(f"X[{i}]: expected a list of numbers, got {point!r}")
        if len(point) != len(X[0]):
            raise ValueError(f"X[{i}]: expected {len(X[0])} numbers, as in X[0], got {len(point)}")
    for i, target in enumerate(y):
        if isinstance(target, numbers.Real):
            finite(f"y[{i}]", target)
    return [[finite(f"X[{i}][{j}]", x) for j, x in enumerate(point)] for i, point in enumerate(X)], list(y)


def asked(model):
    """Refuse what cannot be asked about a point."""
    if isinstance(model, type) or not callable(model):
        raise TypeError(f"model: expected a function of a point, such as MLP(2, [8, 1]), got {model!r}")
    return model


def trainable(model):
    """Refuse what is no model that a loss could change."""
    if isinstance(model, type) or not (
        callable(model) and hasattr(model, "parameters") and hasattr(model, "zero_grad")
    ):
        raise TypeError(f"model: expected one with parameters, such as MLP(2, [8, 1]), got {model!r}")
    parameters = list(model.parameters())
    if not parameters or not all(isinstance(parameter, Value) for parameter in parameters):
        raise TypeError(f"model: expected its parameters to be Values, got {parameters[:3]!r}")
    return parameters


def scores(output, boundary=0.0):
    """Read what a model answers as a number for each label; a lone one speaks for label 1, against the boundary."""
    given = [one.data if isinstance(one, Value) else one for one in (output if is_list(output) else [output])]
    for number in given:
        if not isinstance(number, numbers.Real):
            raise TypeError(f"model: expected it to answer with a number, or with a list of numbers, got {output!r}")
    return [float(number) for number in given] if len(given) > 1 else [0.0, float(given[0]) - boundary]


def answer(output, boundary=0.0):
    """Read the label that a model answers with: that of its highest score, the first where several are highest."""
    read = scores(output, boundary)
    return read.index(max(read))


def are_labels(y, output):
    """Tell labels from quantities: 0 and 1 where a model has one output, class numbers where it has several."""
    possible = range(len(output)) if is_list(output) else (0, 1)
    return all(isinstance(label, numbers.Real) and label in possible for label in y)
