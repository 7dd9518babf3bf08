"""The bends: as PyTorch has it, and as nudging has it."""

import pytest

from tests.deep.cases import ACTIVATIONS, CORNERS, DTYPES, assert_as_stored, assert_gradients


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_as_pytorch(name, dtype):
    assert_as_stored("activations", name, dtype)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name not in CORNERS])
def test_the_gradients_are_what_nudging_says(name):
    assert_gradients("activations", name)
