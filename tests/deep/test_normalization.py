"""Layers that normalize: as PyTorch has them, with what they remember, and what they promise."""

import re

import numpy as np
import pytest

from microlearn import Tensor
from microlearn.deep import BatchNorm1d, LayerNorm, RMSNorm
from tests.deep.cases import DTYPES, MODULES, assert_module_as_stored
from tests.deep.test_layers import NORMS


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith(NORMS)])
def test_as_pytorch(name, dtype):
    assert_module_as_stored(name, dtype)


def numbers(*shape):
    return np.random.default_rng(3).normal(2.0, 5.0, size=shape)


@pytest.mark.parametrize("layer", [LayerNorm(8, dtype="float64"), BatchNorm1d(8, dtype="float64")], ids=repr)
def test_mean_0_and_variance_1(layer):
    result = layer(Tensor(numbers(20, 8), dtype="float64")).data
    axis = 1 if isinstance(layer, LayerNorm) else 0
    np.testing.assert_allclose(result.mean(axis=axis), 0.0, atol=1e-12)
    np.testing.assert_allclose(result.var(axis=axis), 1.0, rtol=1e-4)


@pytest.mark.parametrize("layer", [LayerNorm(8, eps=0.0), RMSNorm(8, eps=0.0)], ids=repr)
def test_the_scale_of_an_item_does_not_matter(layer):
    x = numbers(5, 8)
    np.testing.assert_allclose(layer(x).data, layer(1000.0 * x).data, rtol=1e-4, atol=1e-4)


def test_batch_norm_answers_by_the_neighbours_in_training_and_by_itself_afterwards():
    layer, item, others = BatchNorm1d(2), [[1.0, 2.0]], [[5.0, -3.0]]
    assert not np.allclose(layer(item + others).data[0], layer(item + item + others).data[0])
    layer.eval()
    assert (layer(item + others).data[0] == layer(item).data[0]).all()


def test_eval_changes_no_running_average():
    layer = BatchNorm1d(3).eval()
    before = layer.state_dict()
    layer(numbers(4, 3))
    assert all((array == before[name]).all() for name, array in layer.state_dict().items())


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ("BatchNorm1d: a batch of 1 has no variance", lambda: BatchNorm1d(3)(numbers(1, 3))),
        ("BatchNorm1d: expected shape (N, 3), got (4, 2)", lambda: BatchNorm1d(3)(numbers(4, 2))),
        ("layer_norm: expected the last axes to be (3,), got shape (4, 2)", lambda: LayerNorm(3)(numbers(4, 2))),
        ("rms_norm: expected the last axes to be (4, 3), got shape (3,)", lambda: RMSNorm((4, 3))(numbers(3))),
    ],
)
def test_bad_shapes_are_named(message, wrong):
    with pytest.raises(ValueError, match=re.escape(message)):
        wrong()
