"""The table that `Value` is held against: formulas with a name, and the numbers to put into them.

Each formula works on Values and on PyTorch's float64 tensors alike, so that `make_vectors.py` can
store what PyTorch says, `test_value.py` compare with the store, and `live_torch.py` with PyTorch itself.
A new operation is a new line here; then run `make_vectors.py`.
"""

import pytest

from microlearn import Value


def larger(a, b):
    """Choose the larger of two; `torch.max` over a stacked pair sends a tie to the first, as `Value.max` does."""
    return a.max(b) if isinstance(a, Value) else _stacked(a, b).max(dim=0).values


def smaller(a, b):
    """Choose the smaller of two, a tie going to the first."""
    return a.min(b) if isinstance(a, Value) else _stacked(a, b).min(dim=0).values


def _stacked(a, b):
    import torch  # only where tensors are given: the other tests run without it

    return torch.stack([a, b])


def squares_reused(x):
    square = x * x
    return square * square


def diamond(x):
    top = x.tanh()
    left, right = top * 3, top.exp()
    return left * right + top


def neuron(w1, w2, b, x1, x2):
    return (w1 * x1 + w2 * x2 + b).tanh()


def micrograd_readme(a, b):
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g


def relu_on_and_off(x):
    """Go through a relu that is on and one that is off, both fed by numbers used again later."""
    scaled = 3 + x * 2 - x
    on = (scaled * scaled).relu()
    return on + scaled.relu() * x + on * x


def augmented(a, b):
    """Assign in place with every operator. PyTorch allows it only where no slope needs the old number."""
    total = a * b
    total += a + total
    total -= b**2 / 3
    total *= 0.5
    total /= 4
    return total * a + (a - b).relu()


def value_says(function, inputs):
    """Return the value of a formula and its derivative by each input, as the engine has them."""
    leaves = [Value(x) for x in inputs]
    result = function(*leaves)
    result.backward()
    return {"value": result.data, "grads": [leaf.grad for leaf in leaves]}


def assert_agree(name, inputs, ours, theirs, rel=1e-9, abs=1e-12):
    """Compare two results of a formula: its value, then its derivative by each input."""
    names = ["the value", *(f"the derivative by input {i}" for i in range(len(inputs)))]
    pairs = zip([ours["value"], *ours["grads"]], [theirs["value"], *theirs["grads"]], strict=True)
    for what, (our, their) in zip(names, pairs, strict=True):
        assert our == pytest.approx(their, rel=rel, abs=abs), f"{name} at {inputs}: {what} is {our}, expected {their}"


TABLE = {
    # Every operator: two Values, then a whole number and a float on either side.
    "a + b": (lambda a, b: a + b, (2.0, -3.5)),
    "a + 3": (lambda a: a + 3, (2.0,)),
    "a + 0.5": (lambda a: a + 0.5, (2.0,)),
    "3 + a": (lambda a: 3 + a, (2.0,)),
    "0.5 + a": (lambda a: 0.5 + a, (2.0,)),
    "a - b": (lambda a, b: a - b, (2.0, -3.5)),
    "a - 3": (lambda a: a - 3, (2.0,)),
    "a - 0.5": (lambda a: a - 0.5, (2.0,)),
    "3 - a": (lambda a: 3 - a, (2.0,)),
    "0.5 - a": (lambda a: 0.5 - a, (2.0,)),
    "a * b": (lambda a, b: a * b, (2.0, -3.5)),
    "a * 3": (lambda a: a * 3, (2.0,)),
    "a * 0.5": (lambda a: a * 0.5, (2.0,)),
    "3 * a": (lambda a: 3 * a, (2.0,)),
    "0.5 * a": (lambda a: 0.5 * a, (2.0,)),
    "a / b": (lambda a, b: a / b, (2.0, -3.5)),
    "a / 3": (lambda a: a / 3, (2.0,)),
    "a / 0.5": (lambda a: a / 0.5, (2.0,)),
    "3 / a": (lambda a: 3 / a, (2.0,)),
    "0.5 / a": (lambda a: 0.5 / a, (2.0,)),
    "0 / a": (lambda a: 0 / a, (2.0,)),
    "a ** b": (lambda a, b: a**b, (2.0, -3.5)),
    "a ** 3": (lambda a: a**3, (2.0,)),
    "a ** 0.5": (lambda a: a**0.5, (2.0,)),
    "3 ** a": (lambda a: 3**a, (2.0,)),
    "0.5 ** a": (lambda a: 0.5**a, (2.0,)),
    "-a": (lambda a: -a, (2.0,)),
    # Powers: what the exponent's sign, size and kind change.
    "a ** 0": (lambda a: a**0, (-2.0,)),
    "a ** 1": (lambda a: a**1, (-2.0,)),
    "a ** -2": (lambda a: a**-2, (-2.0,)),
    "a ** 2, a below zero": (lambda a: a**2, (-2.0,)),
    "a ** 3.0, a below zero": (lambda a: a**3.0, (-2.0,)),
    "a ** -1.5": (lambda a: a**-1.5, (2.0,)),
    "0 ** 0": (lambda a: a**0, (0.0,)),
    "0 ** 1": (lambda a: a**1, (0.0,)),
    "0 ** 2": (lambda a: a**2, (0.0,)),
    "0 ** 1.5": (lambda a: a**1.5, (0.0,)),
    "a ** a": (lambda a: a**a, (1.7,)),
    "a ** b, a below one": (lambda a, b: a**b, (0.3, 2.0)),
    # Every function, on both sides of zero and far out.
    "exp(a)": (lambda a: a.exp(), (1.3,)),
    "exp(-1000)": (lambda a: a.exp(), (-1000.0,)),
    "log(a)": (lambda a: a.log(), (1.3,)),
    "log of a tiny number": (lambda a: a.log(), (1e-300,)),
    "tanh(a)": (lambda a: a.tanh(), (0.7,)),
    "tanh(-a)": (lambda a: a.tanh(), (-0.7,)),
    "tanh(1000)": (lambda a: a.tanh(), (1000.0,)),
    "sigmoid(a)": (lambda a: a.sigmoid(), (0.7,)),
    "sigmoid(-a)": (lambda a: a.sigmoid(), (-0.7,)),
    "sigmoid(1000)": (lambda a: a.sigmoid(), (1000.0,)),
    "sigmoid(-1000)": (lambda a: a.sigmoid(), (-1000.0,)),
    "relu, on": (lambda a: a.relu(), (1.3,)),
    "relu, off": (lambda a: a.relu(), (-1.3,)),
    "abs(a)": (lambda a: abs(a), (1.3,)),
    "abs(-a)": (lambda a: abs(a), (-1.3,)),
    "max, the first": (larger, (3.0, -2.0)),
    "max, the second": (larger, (-2.0, 3.0)),
    "min, the first": (smaller, (-2.0, 3.0)),
    "min, the second": (smaller, (3.0, -2.0)),
    # Corners: two slopes meet, and PyTorch has chosen one.
    "relu(0)": (lambda a: a.relu(), (0.0,)),
    "abs(0)": (lambda a: abs(a), (0.0,)),
    "max, a tie": (larger, (2.0, 2.0)),
    "min, a tie": (smaller, (2.0, 2.0)),
    "max of a and a": (lambda a: larger(a, a), (2.0,)),
    # A number used more than once: a leaf, then an interior node. `=` for `+=` in the engine breaks these.
    "a + a": (lambda a: a + a, (3.0,)),
    "a - a": (lambda a: a - a, (3.0,)),
    "a * a": (lambda a: a * a, (3.0,)),
    "a / a": (lambda a: a / a, (3.0,)),
    "a ** 4 by squares used twice": (squares_reused, (2.0,)),
    "a leaf beside what was made of it": (lambda a: a.exp() * a - a**2, (0.4,)),
    "one-parent nodes that share a parent": (lambda a: (a * 2).exp() + abs(a * 2) + (a * 2) ** 2, (-0.4,)),
    "functions of one interior node": (lambda a, b: (s := a * b).exp() + s.tanh() + s.sigmoid() + s**2, (0.4, -1.1)),
    "diamond": (diamond, (0.6,)),
    "diamond under a diamond": (lambda a: diamond(diamond(a) * 0.1), (0.6,)),
    "sum of a list": (lambda a, b: sum([a, b, a * b, 2, a]), (1.5, -2.5)),
    # Whole formulas.
    "neuron": (neuron, (-3.0, 1.0, 6.88, 2.0, 0.5)),
    "softmax by hand": (lambda a, b: a.exp() / (a.exp() + b.exp()), (0.3, 1.2)),
    "log of a sigmoid": (lambda a: -((a * 3).sigmoid().log()), (-0.8,)),
    "distance": (lambda a, b: (a**2 + b**2) ** 0.5, (3.0, -4.0)),
    "relu, on and off, a at -4": (relu_on_and_off, (-4.0,)),
    "relu, on and off, a at 1.5": (relu_on_and_off, (1.5,)),
    "augmented assignment": (augmented, (2.5, -0.5)),
    "micrograd's README": (micrograd_readme, (-4.0, 2.0)),
}
