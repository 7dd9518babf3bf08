"""Several operations as one: as PyTorch has it, as nudging has it, and as the composition of plain ones has it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microlearn import Tensor
from microlearn.deep import fused, gather
from tests.deep.cases import CORNERS, DTYPES, FUSED, assert_as_stored, assert_gradients

DRAWN = settings(max_examples=40, deadline=None, derandomize=True)
sides = st.integers(1, 5)
leads = st.lists(st.integers(0, 3), max_size=2).map(tuple)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUSED)
def test_as_pytorch(name, dtype):
    assert_as_stored("fused", name, dtype)


@pytest.mark.parametrize("name", [name for name in FUSED if name not in CORNERS])
def test_the_gradients_are_what_nudging_says(name):
    assert_gradients("fused", name)


def assert_equal(one, composed, seed, *wanted):
    """Compute both on numbers drawn in these shapes; compare results and gradients, in float64."""
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=shape) for shape in wanted]
    said = []
    for function in (one, composed):
        tensors = [Tensor(array, requires_grad=True, dtype="float64") for array in arrays]
        result = function(*tensors)
        (result * np.random.default_rng(1).normal(size=result.shape)).sum().backward()
        said.append([result.data, *(tensor.grad for tensor in tensors)])
    for ours, plain in zip(*said, strict=True):
        largest = max(1.0, np.abs(plain).max(initial=0.0))
        assert ours.shape == plain.shape
        np.testing.assert_allclose(ours, plain, rtol=1e-12, atol=1e-12 * largest)


@given(seed=st.integers(0, 999), lead=leads, n=sides, m=sides, bias=st.booleans())
@DRAWN
def test_linear_is_its_composition(seed, lead, n, m, bias):
    wanted = [(*lead, n), (m, n), (m,)]
    assert_equal(fused.linear, lambda x, w, b=0.0: x @ w.T + b, seed, *wanted[: 2 + bias])


NODES, SHARES = np.polynomial.legendre.leggauss(24)


def phi(x):
    """Integrate the bell from 0 to x, by Gauss and Legendre, as x times its mean along the way."""
    bell = sum(share * (-0.125 * (x * (1.0 + at)) ** 2).exp() for at, share in zip(NODES, SHARES, strict=True))
    return 0.5 + x * bell / math.sqrt(8.0 * math.pi)


@given(seed=st.integers(0, 999), shape=st.lists(st.integers(0, 4), max_size=3).map(tuple))
@DRAWN
def test_gelu_is_its_composition(seed, shape):
    assert_equal(fused.gelu, lambda x: x * phi(x), seed, shape)
    assert_equal(
        lambda x: fused.gelu(x, "tanh"),
        lambda x: 0.5 * x * (1.0 + (math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)).tanh()),
        seed,
        shape,
    )


def scaled(normal, weight=None, bias=None):
    normal = normal if weight is None else normal * weight
    return normal if bias is None else normal + bias


@given(
    seed=st.integers(0, 999),
    lead=leads,
    own=st.lists(sides, min_size=1, max_size=2).map(tuple),
    affine=st.integers(0, 2),
    eps=st.sampled_from([1e-5, 0.1]),
)
@DRAWN
def test_normalizations_are_their_compositions(seed, lead, own, affine, eps):
    """Over one axis or two; without a weight, with one, and with a bias as well."""
    axes, wanted = tuple(range(-len(own), 0)), [(*lead, *own), own, own]

    def layer(x, *affine):
        away = x - x.mean(axes, keepdims=True)
        return scaled(away / ((away * away).mean(axes, keepdims=True) + eps).sqrt(), *affine)

    def rms(x, *affine):
        return scaled(x / ((x * x).mean(axes, keepdims=True) + eps).sqrt(), *affine)

    assert_equal(lambda x, w=None, b=None: fused.layer_norm(x, own, w, b, eps), layer, seed, *wanted[: 1 + affine])
    affine = min(affine, 1)
    assert_equal(lambda x, w=None: fused.rms_norm(x, own, w, eps), rms, seed, *wanted[: 1 + affine])


@given(data=st.data(), seed=st.integers(0, 999), n=st.integers(0, 5), classes=sides)
@DRAWN
def test_softmax_cross_entropy_is_its_composition(data, seed, n, classes):
    targets = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)), dtype=int)

    def plain(scores):
        return scores.exp().sum(1).log() - gather(scores, 1, targets[:, None])[:, 0]

    assert_equal(lambda scores: fused.softmax_cross_entropy(scores, targets), plain, seed, (n, classes))
