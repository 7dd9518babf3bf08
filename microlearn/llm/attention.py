"""How a token looks back: every position asks, and gets a weighted average of what the positions before it hold.

First out of operations that are there already, then as one operation with the gradient written out. The lesson is
`docs/llm/attention.md`.
"""

import functools
import math

import numpy as np

from microlearn.deep import Dropout, Linear, Module, generator, softmax, where
from microlearn.deep._watch import operands
from microlearn.deep.tensor import node


def scaled_dot_product_attention(q, k, v, is_causal=False):
    """Compute `softmax(q @ k.T / sqrt(d)) @ v`, out of operations that are there already.

    Vaswani et al., *Attention is all you need*, 2017 (https://arxiv.org/abs/1706.03762).

    Parameters
    ----------
    q : Tensor
        (..., T, d): what each position asks for.
    k : Tensor
        (..., S, d): what each position offers to be found by.
    v : Tensor
        (..., S, e): what is handed over.
    is_causal : bool, optional
        Whether position t sees only the positions up to t.

    Returns
    -------
    Tensor
        (..., T, e)

    Examples
    --------
    >>> from microlearn import Tensor
    >>> q = k = v = Tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> scaled_dot_product_attention(q, k, v, is_causal=True).tolist()[0]
    [1.0, 0.0]
    """
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    if is_causal:
        past = np.tri(*scores.shape[-2:]) > 0
        scores = where(past, scores, -np.inf)
    return softmax(scores) @ v


def causal_attention(qkv, n_head, dropout=0.0):
    """Let each head of each position attend to the positions up to it: the same numbers, as one operation.

    Queries, keys and values stay where the layer before wrote them, side by side, and their gradients are written
    side by side too: nothing is copied. Only the weights are kept for the walk back.

    Parameters
    ----------
    qkv : Tensor
        (B, T, 3 * C): for each position its queries, keys and values, head after head.
    n_head : int
        C is a multiple of it.
    dropout : float, optional
        The fraction of the weights to drop, drawn from the generator of the layers.

    Returns
    -------
    Tensor
        (B, T, C)

    Raises
    ------
    ValueError
        If the last axis does not divide into three times `n_head` parts.
    """
    b, t, width = qkv.shape
    if width % (3 * n_head):
        raise ValueError(f"causal_attention: {width} is not three times a multiple of {n_head} heads")
    size = width // (3 * n_head)
    (qkv,) = operands("causal_attention", qkv)
    q, k, v = qkv.data.reshape(b, t, 3, n_head, size).transpose(2, 0, 3, 1, 4)  # (B, H, T, size), without copying
    scale = 1.0 / math.sqrt(size)
    weights = attention_weights(q, k, causal_mask(t))
    dropped = weights
    if dropout:
        kept = (generator().random(weights.shape, dtype=np.float32) >= dropout) / qkv.dtype.type(1.0 - dropout)
        dropped = weights * kept
    y = np.empty((b, t, n_head, size), dtype=qkv.dtype)
    by_head = y.transpose(0, 2, 1, 3)
    np.matmul(dropped, v, out=by_head)

    def rule(g):
        g = g.reshape(y.shape).transpose(0, 2, 1, 3)
        back = np.empty((b, t, 3, n_head, size), dtype=g.dtype)
        towards_q, towards_k, towards_v = back.transpose(2, 0, 3, 1, 4)
        np.matmul(dropped.swapaxes(-1, -2), g, out=towards_v)
        scores = g @ v.swapaxes(-1, -2)
        if dropout:
            scores *= kept
        # softmax takes the mean pull away, and that is the gradient times the output, row by row
        scores -= np.einsum("bhtd,bhtd->bht", g, by_head)[..., None]
        scores *= weights
        scores *= scale
        np.matmul(scores, k, out=towards_q)
        np.matmul(scores.swapaxes(-1, -2), q, out=towards_k)
        return back.reshape(qkv.shape)

    return node(y.reshape(b, t, n_head * size), (qkv,), (rule,), "causal_attention")


def attention_weights(q, k, mask):
    """Compute how much each query takes from each key, on plain arrays.

    Parameters
    ----------
    q : numpy.ndarray
        (B, H, T, d)
    k : numpy.ndarray
        (B, H, S, d)
    mask : numpy.ndarray
        (T, S), or (B, 1, T, S): 0 where a query may look, and minus infinity where it may not.

    Returns
    -------
    numpy.ndarray
        (B, H, T, S). Each row adds up to 1.
    """
    weights = q @ k.swapaxes(-1, -2)
    weights *= 1.0 / math.sqrt(q.shape[-1])
    weights += mask
    weights -= weights.max(axis=-1, keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


@functools.lru_cache(8)
def causal_mask(t):
    """Return the mask (t, t) that hides from each position those after it."""
    return np.triu(np.full((t, t), -np.inf, dtype=np.float32), 1)


class CausalSelfAttention(Module):
    """Many heads that look back, each in its own way, and a layer that mixes what they found.

    The parameters are named as in GPT-2.

    Parameters
    ----------
    config : GPTConfig
        `n_embd`, `n_head`, `bias` and `dropout` are read.
    """

    def __init__(self, config):
        self.n_head = config.n_head
        self.c_attn = Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.dropout = config.dropout
        self.resid_dropout = Dropout(config.dropout)

    def forward(self, x, cache=None):
        """Map (B, T, C) to (B, T, C). With a cache, x is what is new, and what came before is remembered there."""
        qkv = self.c_attn(x)
        if cache is None:
            y = causal_attention(qkv, self.n_head, self.dropout if self.training else 0.0)
        else:
            y = cache.attend(qkv, self.n_head)
        return self.resid_dropout(self.c_proj(y))

    def weights(self, x):
        """Return the attention maps, (B, n_head, T, T) as an array: row t says where position t looks."""
        b, t, _ = x.shape
        q, k, _ = self.c_attn(x).data.reshape(b, t, 3, self.n_head, -1).transpose(2, 0, 3, 1, 4)
        return attention_weights(q, k, causal_mask(t))
