"""A GPT: a stream of vectors, one for each token, to which blocks of attention and of neurons add, one after the other.

The architecture is that of GPT-2 (Radford et al., *Language models are unsupervised multitask learners*, 2019), and
so are the names of the parameters. The lesson is `docs/llm/transformer.md`.
"""

import math
from dataclasses import dataclass

import numpy as np

from microlearn.deep import Dropout, Embedding, LayerNorm, Linear, Module, cross_entropy, gelu, no_grad, normal_, zeros_
from microlearn.deep._checks import integers
from microlearn.deep._loop import behaving
from microlearn.llm.attention import CausalSelfAttention
from microlearn.llm.recompute import recompute
from microlearn.networks._checks import whole


@dataclass
class GPTConfig:
    """The sizes of a GPT, under nanoGPT's names. Unless told otherwise, those of the smallest GPT-2.

    Parameters
    ----------
    block_size : int
        How many tokens it sees at most: the context window.
    vocab_size : int
        How many different tokens there are.
    n_layer : int
        How many blocks.
    n_head : int
        How many heads each attention has. They share the width.
    n_embd : int
        The width: how many numbers stand for a token.
    dropout : float, optional
        The fraction of numbers that are dropped in training.
    bias : bool, optional
        Whether linear layers and norms have a bias.

    Raises
    ------
    TypeError, ValueError
        If a size is no whole number above zero, or the heads do not divide the width.
    """

    block_size: int = 1024
    vocab_size: int = 50257
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.0
    bias: bool = True

    def __post_init__(self):
        for name in ("block_size", "vocab_size", "n_layer", "n_head", "n_embd"):
            setattr(self, name, whole(name, getattr(self, name)))
        if self.n_embd % self.n_head:
            raise ValueError(f"n_head: a width of {self.n_embd} does not divide into {self.n_head} heads")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout: expected a fraction from 0 to below 1, got {self.dropout!r}")


class MLP(Module):
    """Four times as many neurons as the stream is wide, and the way back: what a token works out by itself.

    Parameters
    ----------
    config : GPTConfig
    """

    def __init__(self, config):
        self.c_fc = Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.c_proj = Linear(4 * config.n_embd, config.n_embd, bias=config.bias)
        self.dropout = Dropout(config.dropout)

    def forward(self, x):
        """Map (B, T, C) to (B, T, C)."""
        return self.dropout(self.c_proj(gelu(self.c_fc(x), approximate="tanh")))


class Block(Module):
    """One attention and one MLP. Each reads a normalized copy of the stream, and adds what it found to the stream.

    Parameters
    ----------
    config : GPTConfig
    """

    def __init__(self, config):
        self.ln_1 = LayerNorm(config.n_embd, bias=config.bias)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = LayerNorm(config.n_embd, bias=config.bias)
        self.mlp = MLP(config)

    def forward(self, x, cache=None):
        """Map (B, T, C) to (B, T, C)."""
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))


class Transformer(Module):
    """From tokens to the vectors of the stream at its end: everything of a GPT but the last layer.

    Parameters
    ----------
    config : GPTConfig

    Attributes
    ----------
    recompute : bool
        Whether blocks forget what they compute, and compute it again on the way back; see `microlearn.llm.recompute`.
        False unless set: it says how to train, and is no part of the architecture.
    """

    recompute = False

    def __init__(self, config):
        self.wte = Embedding(config.vocab_size, config.n_embd)
        self.wpe = Embedding(config.block_size, config.n_embd)
        self.drop = Dropout(config.dropout)
        self.h = [Block(config) for _ in range(config.n_layer)]
        self.ln_f = LayerNorm(config.n_embd, bias=config.bias)

    def forward(self, idx, cache=None):
        """Map token ids (B, T) to (B, T, C)."""
        positions = np.arange(idx.shape[1]) if cache is None else cache.positions(idx.shape[1])
        x = self.drop(self.wte(idx) + self.wpe(positions))
        for i, block in enumerate(self.h):
            if self.recompute and cache is None:
                x = recompute(block, x)
            else:
                x = block(x, None if cache is None else cache.layer(i))
        if cache is not None:
            cache.lengths += idx.shape[1]
        return self.ln_f(x)


class GPT(Module):
    """A GPT-2 of any size. The last layer's weight is the table of token embeddings itself: they are tied.

    Parameters
    ----------
    config : GPTConfig

    Examples
    --------
    >>> from microlearn.deep import manual_seed
    >>> manual_seed(0)
    >>> model = GPT(GPTConfig(block_size=8, vocab_size=65, n_layer=2, n_head=2, n_embd=16))
    >>> logits, loss = model([[1, 2, 3]], targets=[[2, 3, 4]])
    >>> logits.shape, abs(loss.item() - math.log(65)) < 0.1
    ((1, 3, 65), True)
    """

    def __init__(self, config):
        self.config = config
        self.transformer = Transformer(config)
        self.lm_head = Linear(config.n_embd, config.vocab_size, bias=False)
        self.lm_head.weight = self.transformer.wte.weight
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                zeros_(parameter)
            elif parameter.ndim == 2:
                # every block adds twice to the stream: the smaller parts add up to the same size
                normal_(parameter, std=0.02 / math.sqrt(2 * config.n_layer) if "c_proj" in name else 0.02)

    def forward(self, idx, targets=None, cache=None):
        """Score what comes next, at every position.

        Parameters
        ----------
        idx : array_like of int
            (B, T): token ids, T at most `block_size`.
        targets : array_like of int, optional
            (B, T): the token that really came next.
        cache : KVCache, optional
            What was computed for the tokens before these; see `microlearn.llm.generation`.

        Returns
        -------
        logits : Tensor
            (B, T, vocab_size)
        loss : Tensor or None
            The mean surprise at the targets, in nats a token.

        Raises
        ------
        IndexError, TypeError, ValueError
            If ids are no token ids of this model, there are more than `block_size` of them, or targets do not fit.
        """
        idx = integers("idx", idx)
        if idx.ndim != 2 or not idx.size:
            raise ValueError(f"idx: expected token ids (B, T), got shape {idx.shape}: one text is idx[None]")
        seen = idx.shape[1] + (0 if cache is None else cache.lengths.max())
        if seen > self.config.block_size:
            raise ValueError(f"idx: {seen} tokens are more than the block_size of {self.config.block_size}")
        logits = self.lm_head(self.transformer(idx, cache))
        if targets is None:
            return logits, None
        targets = integers("targets", targets)
        if targets.shape != idx.shape:
            raise ValueError(f"targets: expected one for each token, shape {idx.shape}, got {targets.shape}")
        return logits, cross_entropy(logits.reshape(-1, self.config.vocab_size), targets.reshape(-1))

    def attention_maps(self, idx):
        """Return where each head looks, as after `eval()`: for every block an array (B, n_head, T, T)."""
        maps = []
        with no_grad(), behaving(self, training=False):
            x = self.transformer.wte(idx) + self.transformer.wpe(np.arange(np.shape(idx)[1]))
            for block in self.transformer.h:
                maps.append(block.attn.weights(block.ln_1(x)))
                x = block(x)
        return maps

    def extra_repr(self):
        """Say the sizes."""
        return str(self.config)


def parameter_count(config):
    """Count the parameters of a GPT part by part, by formula.

    Parameters
    ----------
    config : GPTConfig

    Returns
    -------
    dict of int
        The parts by name, in the order in which a token meets them. `sum(parts.values())` is the whole.

    Examples
    --------
    >>> sum(parameter_count(GPTConfig()).values())
    124439808
    """
    v, t, n, c = config.vocab_size, config.block_size, config.n_layer, config.n_embd
    b = int(config.bias)
    return {
        "token embeddings": v * c,
        "position embeddings": t * c,
        "queries, keys, values": n * 3 * c * c,
        "attention's output": n * c * c,
        "MLP, up": n * 4 * c * c,
        "MLP, down": n * 4 * c * c,
        "biases": b * n * 9 * c,
        "layer norms": (1 + b) * (2 * n + 1) * c,
    }
