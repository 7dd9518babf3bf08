"""The engine against PyTorch itself, in an environment that has it; from the repository's root:

    python -m pytest -c /dev/null --rootdir . -p no:cacheprovider tests/live_torch.py

The name keeps it out of the ordinary run, which compares with stored results and needs no PyTorch.
"""

import json
import pathlib
import re

import pytest
import torch
from hypothesis import assume, given

from microlearn import Value
from tests.autograd.expressions import TABLE, assert_agree, value_says
from tests.autograd.make_vectors import VECTORS, all_vectors, torch_says
from tests.autograd.random_formulas import DOMAIN_ERRORS, OBJECTS, REPEATABLE, formulas, results_of, total_of


@pytest.mark.parametrize("name", TABLE)
def test_the_table_agrees(name):
    function, inputs = TABLE[name]
    assert_agree(name, inputs, value_says(function, inputs), torch_says(function, inputs))


def test_the_stored_vectors_are_what_pytorch_says_now():
    stored, now = json.loads(VECTORS.read_text()), all_vectors()
    assert list(stored) == list(now)
    for name, (_, inputs) in TABLE.items():
        assert_agree(name, inputs, stored[name], now[name], rel=1e-13, abs=0.0)  # processors differ in the last digit


def largest_number(steps, inputs):
    """Compute a formula in Values and return its largest value or gradient, a measure of how rounding can grow."""
    results = results_of(steps, [Value(x) for x in inputs], OBJECTS)
    sum(results).backward()
    return max(abs(number) for result in results for number in (result.data, result.grad))


@given(formulas())
@REPEATABLE
def test_random_formulas_agree(formula):
    inputs, steps = formula
    try:
        largest = largest_number(steps, inputs)
    except DOMAIN_ERRORS:  # where PyTorch goes on with inf or nan
        assume(False)
    assume(largest < 1e4)
    function = total_of(steps, OBJECTS)
    ours, theirs = value_says(function, inputs), torch_says(function, inputs)
    assert_agree(steps, inputs, ours, theirs, abs=1e-9 * max(1.0, largest))


@pytest.mark.parametrize("name", TABLE)
def test_a_second_backward_accumulates_as_with_retain_graph(name):
    function, inputs = TABLE[name]
    values = [Value(x) for x in inputs]
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    ours, theirs = function(*values), function(*tensors)
    for _ in range(2):
        ours.backward()
        theirs.backward(retain_graph=True)
    assert_agree(
        name,
        inputs,
        {"value": ours.data, "grads": [leaf.grad for leaf in values]},
        {"value": theirs.item(), "grads": [leaf.grad.item() for leaf in tensors]},
    )


def test_the_cheat_sheet_names_pytorch_rightly():
    root = pathlib.Path(__file__).resolve().parents[1]
    sheet = (root / "docs/reference/autograd-cheat-sheet.md").read_text().split("## In PyTorch\n")[1]
    a, b = (torch.tensor(3.0, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.SGD([a, b], lr=0.1)
    names = {"torch": torch, "a": a, "b": b, "f": lambda a, b: a * b, "optimizer": optimizer}
    rows = re.findall(r"^\| `?[^-].*? \| (`.*`) \|$", sheet, re.MULTILINE)
    assert len(rows) == 5
    for expression in re.findall(r"`(.+?)`", "\n".join(rows)):
        eval(expression, names)
    same = re.search(r"^(`data`.*) have the same names\s+there", sheet, re.MULTILINE | re.DOTALL)[1]
    for name in re.findall(r"`(\w+)", same):
        assert name == "abs" or hasattr(a, name)
    assert "A tie in `torch.maximum` is halved." in sheet
    torch.maximum(a, b).backward()
    assert a.grad == b.grad == 0.5
