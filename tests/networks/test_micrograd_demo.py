"""Our engine goes micrograd's way, step for step; the benchmark does the same over all hundred points."""

from itertools import islice

import pytest

from microlearn.networks import moons
from tests.networks import micrograd_demo


@pytest.mark.parametrize(("points", "steps"), [(100, 4), (6, 100)])  # micrograd takes a second for a hundred points
def test_the_demo_has_the_same_losses_at_every_step(points, steps):
    X, y = moons(points, seed=1)
    theirs = list(islice(micrograd_demo.micrograd(X, y), steps))
    ours = list(islice(micrograd_demo.ours(X, y), steps))
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)
    assert len(theirs) == steps
    assert len(set(theirs)) == steps  # it trains
