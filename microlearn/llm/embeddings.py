"""Vectors for tokens, and the first network that learned them: a fixed window, looked up, joined and bent once.

The lesson is `docs/llm/embeddings.md`.
"""

import numpy as np

from microlearn.deep import Embedding, Linear, Module, cross_entropy, tanh
from microlearn.deep._checks import integers
from microlearn.networks._checks import whole


class MLPLanguageModel(Module):
    """Predict the next token from the last `block_size` ones: look them up, join their vectors, one hidden layer.

    Bengio, Ducharme, Vincent, Jauvin, *A neural probabilistic language model*, 2003
    (https://www.jmlr.org/papers/v3/bengio03a.html), without its optional direct connections.

    Each place in the window has weights of its own in the hidden layer. Where the window begins before the text does,
    it holds a token of its own, number `vocab_size`, whose vector is learned like any other.

    Parameters
    ----------
    vocab_size : int
        How many different tokens there are.
    block_size : int
        How many tokens the window holds.
    n_embd : int
        How many numbers stand for a token.
    n_hidden : int
        How many neurons the hidden layer has.

    Examples
    --------
    >>> import math
    >>> from microlearn.deep import manual_seed
    >>> manual_seed(0)
    >>> model = MLPLanguageModel(vocab_size=27, block_size=3, n_embd=8, n_hidden=32)
    >>> logits, loss = model([[1, 2, 3, 4]], targets=[[2, 3, 4, 5]])
    >>> logits.shape, abs(loss.item() - math.log(27)) < 0.3
    ((1, 4, 27), True)
    """

    def __init__(self, vocab_size, block_size, n_embd, n_hidden):
        self.vocab_size, self.block_size = whole("vocab_size", vocab_size), whole("block_size", block_size)
        n_embd = whole("n_embd", n_embd)
        self.wte = Embedding(vocab_size + 1, n_embd)
        self.hidden = Linear(block_size * n_embd, whole("n_hidden", n_hidden))
        self.lm_head = Linear(n_hidden, vocab_size)

    def forward(self, idx, targets=None):
        """Score what comes next, at every position, from the `block_size` tokens up to it.

        Parameters
        ----------
        idx : array_like of int
            (B, T): token ids, as many as you like.
        targets : array_like of int, optional
            (B, T): the token that really came next.

        Returns
        -------
        logits : Tensor
            (B, T, vocab_size)
        loss : Tensor or None
            The mean surprise at the targets, in nats a token.

        Raises
        ------
        IndexError, TypeError, ValueError
            If ids are no token ids of this model, or targets do not fit.
        """
        idx = integers("idx", idx)
        if idx.ndim != 2 or not idx.size:
            raise ValueError(f"idx: expected token ids (B, T), got shape {idx.shape}: one text is idx[None]")
        if not 0 <= idx.min() <= idx.max() < self.vocab_size:  # the table has a row more, for what is not there
            wrong = idx[(idx < 0) | (idx >= self.vocab_size)][0]
            raise IndexError(f"idx: {wrong} is not a token id from 0 to {self.vocab_size - 1}")
        padded = np.pad(idx, ((0, 0), (self.block_size - 1, 0)), constant_values=self.vocab_size)
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.block_size, axis=1)
        x = self.wte(windows)  # (B, T, block_size, n_embd)
        logits = self.lm_head(tanh(self.hidden(x.reshape(*idx.shape, -1))))
        if targets is None:
            return logits, None
        targets = integers("targets", targets)
        if targets.shape != idx.shape:
            raise ValueError(f"targets: expected one for each token, shape {idx.shape}, got {targets.shape}")
        return logits, cross_entropy(logits.reshape(-1, self.vocab_size), targets.reshape(-1))


def nearest(vectors, id, n=5):
    """Find the rows of a table that point most nearly the way that one row does.

    Parameters
    ----------
    vectors : Tensor or array_like
        (N, C)
    id : int
        The row that is asked about; it is left out of the answer.
    n : int, optional
        How many to return at most.

    Returns
    -------
    list of (int, float)
        Rows and their cosine similarities, from -1 to 1, the highest first. A row of zeros points nowhere: 0.

    Raises
    ------
    IndexError, TypeError, ValueError
        If `vectors` is no table, or has no such row.

    Examples
    --------
    >>> nearest([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]], 1, n=1)
    [(2, 0.707...)]
    """
    table = np.asarray(vectors, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"nearest: expected a table of vectors (N, C), got shape {table.shape}")
    id = whole("id", id, least=0)
    if id >= len(table):
        raise IndexError(f"nearest: there is no row {id} in a table of {len(table)}")
    lengths = np.linalg.norm(table, axis=1)
    unit = table / np.where(lengths > 0.0, lengths, 1.0)[:, None]
    similar = unit @ unit[id]
    order = [int(i) for i in np.argsort(-similar, kind="stable") if i != id]
    return [(i, float(similar[i])) for i in order[: whole("n", n)]]
