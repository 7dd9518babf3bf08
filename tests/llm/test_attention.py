"""Attention: by hand, out of parts, and as one operation."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microlearn import Tensor
from microlearn.autograd import gradcheck
from microlearn.deep import concatenate, manual_seed, no_grad
from microlearn.llm import CausalSelfAttention, GPTConfig, causal_attention, scaled_dot_product_attention
from microlearn.llm.attention import attention_weights, causal_mask


def by_hand(q, k, v, causal):
    """Attend in loops: for each query, the scores, their softmax, and the average."""
    result = np.zeros((len(q), v.shape[1]))
    for t, query in enumerate(q):
        seen = range(min(t + 1, len(k)) if causal else len(k))
        scores = [math.exp(sum(a * b for a, b in zip(query, k[s], strict=True)) / math.sqrt(len(query))) for s in seen]
        for score, s in zip(scores, seen, strict=True):
            result[t] += score / sum(scores) * v[s]
    return result


def out_of_parts(qkv, n_head):
    """Split, attend head by head with the composition, and join."""
    width = qkv.shape[-1] // 3
    size = width // n_head
    heads = []
    for h in range(n_head):
        q, k, v = (qkv[:, :, part * width + h * size : part * width + (h + 1) * size] for part in range(3))
        heads.append(scaled_dot_product_attention(q, k, v, is_causal=True))
    return concatenate(heads, axis=-1)


@settings(deadline=None, max_examples=40)
@example(t=2, s=5, d=3, causal=True, seed=0)
@example(t=5, s=2, d=3, causal=True, seed=0)
@given(t=st.integers(1, 6), s=st.integers(1, 6), d=st.integers(1, 4), causal=st.booleans(), seed=st.integers(0, 999))
def test_it_is_a_weighted_average(t, s, d, causal, seed):
    rng = np.random.default_rng(seed)
    q, k, v = rng.normal(size=(t, d)), rng.normal(size=(s, d)), rng.normal(size=(s, d + 1))
    got = scaled_dot_product_attention(*(Tensor(x, dtype=np.float64) for x in (q, k, v)), is_causal=causal)
    np.testing.assert_allclose(got.numpy(), by_hand(q, k, v, causal), atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(b=st.integers(1, 3), t=st.integers(1, 6), h=st.integers(1, 3), d=st.integers(1, 4), seed=st.integers(0, 999))
def test_the_fused_one_is_the_composition(b, t, h, d, seed):
    rng = np.random.default_rng(seed)
    data, weight = rng.normal(size=(b, t, 3 * h * d)), rng.normal(size=(b, t, h * d))
    results = []
    for attend in (causal_attention, out_of_parts):
        qkv = Tensor(data, requires_grad=True, dtype=np.float64)
        y = attend(qkv, h)
        (y * weight).sum().backward()
        results.append((y.numpy(), qkv.grad))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-12)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-12)


def test_gradcheck():
    qkv = Tensor(np.random.default_rng(0).normal(size=(2, 3, 12)), requires_grad=True, dtype=np.float64)
    weight = np.random.default_rng(1).normal(size=(2, 3, 4))
    assert gradcheck(lambda x: (causal_attention(x, 2) * weight).sum(), qkv)


def test_gradcheck_with_dropout():
    qkv = Tensor(np.random.default_rng(0).normal(size=(2, 3, 12)), requires_grad=True, dtype=np.float64)
    weight = np.random.default_rng(1).normal(size=(2, 3, 4))

    def f(x):
        manual_seed(3)  # the same weights are dropped whenever it is asked
        return (causal_attention(x, 2, dropout=0.4) * weight).sum()

    assert gradcheck(f, qkv)


def test_dropout_keeps_the_mean():
    manual_seed(0)
    qkv = Tensor(np.random.default_rng(0).normal(size=(1, 6, 12)))
    sound = causal_attention(qkv, 2).numpy()
    mean = np.mean([causal_attention(qkv, 2, dropout=0.5).numpy() for _ in range(3000)], axis=0)
    assert np.abs(mean - sound).max() < 0.15
    assert np.abs(causal_attention(qkv, 2, dropout=0.5).numpy() - sound).max() > 0.15


def test_scores_beyond_all_floats_are_no_nan():
    qkv = Tensor(np.full((1, 3, 3), 1e4))
    assert causal_attention(qkv, 1).numpy().ravel().tolist() == [1e4] * 3


def test_no_texts_are_no_error():
    qkv = Tensor(np.zeros((0, 2, 6)), requires_grad=True)
    y = causal_attention(qkv, 1)
    y.sum().backward()
    assert y.shape == (0, 2, 2) and qkv.grad.shape == (0, 2, 6)


def test_each_row_of_weights_adds_up_to_one_and_looks_back_alone():
    rng = np.random.default_rng(0)
    q, k = rng.normal(size=(2, 2, 3, 5, 4)).astype(np.float32)
    weights = attention_weights(q, k, causal_mask(5))
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-6)
    assert not np.triu(weights, 1).any() and (np.tril(weights) + np.triu(np.ones((5, 5)), 1) > 0.0).all()


def test_the_wrong_width_is_named():
    with pytest.raises(ValueError, match="causal_attention: 8 is not three times a multiple of 2 heads"):
        causal_attention(Tensor(np.zeros((1, 2, 8))), 2)


def test_the_layer_is_its_parts():
    manual_seed(0)
    layer = CausalSelfAttention(GPTConfig(block_size=5, vocab_size=3, n_layer=1, n_head=2, n_embd=6))
    x = Tensor(np.random.default_rng(0).normal(size=(2, 5, 6)))
    wanted = layer.c_proj(out_of_parts(layer.c_attn(x), 2)).numpy()
    np.testing.assert_allclose(layer(x).numpy(), wanted, atol=1e-6)
    maps = layer.weights(x)
    v = layer.c_attn(x).numpy()[:, :, 12:].reshape(2, 5, 2, 3).transpose(0, 2, 1, 3)
    by_maps = (maps @ v).transpose(0, 2, 1, 3).reshape(2, 5, 6)
    np.testing.assert_allclose(layer.c_proj(Tensor(by_maps)).numpy(), wanted, atol=1e-6)


def test_dropout_is_of_training_alone():
    manual_seed(0)
    layer = CausalSelfAttention(GPTConfig(block_size=5, vocab_size=3, n_layer=1, n_head=2, n_embd=6, dropout=0.5))
    x = Tensor(np.random.default_rng(0).normal(size=(2, 5, 6)))
    with no_grad():
        assert (layer(x).numpy() != layer(x).numpy()).any()
        layer.eval()
        assert (layer(x).numpy() == layer(x).numpy()).all()


def test_both_dropouts_are_there():
    """One drops weights inside, the other what the layer adds: with one made certain to keep, the other still drops."""
    manual_seed(0)
    layer = CausalSelfAttention(GPTConfig(block_size=5, vocab_size=3, n_layer=1, n_head=2, n_embd=6, dropout=0.5))
    x = Tensor(np.random.default_rng(0).normal(size=(2, 5, 6)))
    layer.dropout = 0.0
    assert (layer(x).numpy() == 0.0).any()
    layer.dropout, layer.resid_dropout.p = 0.5, 0.0
    assert (layer(x).numpy() != layer(x).numpy()).any() and (layer(x).numpy() != 0.0).all()
