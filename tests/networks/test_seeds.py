"""The promise of the experiment "How lucky is seed 1?", with all of its seeds; its own cell says what is promised."""

import pathlib

import jupytext
import pytest

NOTEBOOK = pathlib.Path(__file__).parents[2] / "docs" / "experiments" / "how-lucky-is-seed-1.py"


def promised():
    """Run the notebook's imports and the cell that holds its promises, and return what they define."""
    names = {}
    for cell in jupytext.read(NOTEBOOK).cells:
        if "PROMISES = {" in cell.source or "def train(" in cell.source:
            exec(compile(cell.source, NOTEBOOK, "exec"), names)
    return names


NAMES = promised()


@pytest.mark.parametrize("name", ["moons", "circles", "spiral"])
def test_at_least_45_of_50_seeds_learn_every_point(name):
    promise = NAMES["PROMISES"][name]
    missed = [seed for seed in range(50) if NAMES["keep"](promise, seed) is None]
    assert len(missed) <= 5, f"{name}: the seeds {missed} did not arrive in {promise['epochs']} epochs"


def test_the_promise_is_the_one_on_the_page():
    assert NAMES["GOAL"] == 45
    assert list(NAMES["PROMISES"]) == ["moons", "circles", "spiral"]
    X, y = NAMES["PROMISES"]["moons"]["data"](0)
    assert (X, y) == NAMES["moons"](n=100, noise=0.1, seed=0)


@pytest.mark.parametrize("name", ["moons", "circles", "spiral"])
def test_without_a_bend_no_seed_keeps_it(name):
    promise = NAMES["PROMISES"][name]
    nouts, _ = promise["network"]
    straight = promise | {"network": (nouts, "linear"), "epochs": 20}
    assert [NAMES["keep"](straight, seed) for seed in range(2)] == [None, None]
