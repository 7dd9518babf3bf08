"""What counting can do: how often each token followed the ones before it, and what to say where nothing was counted.

The counts of every length are a table of their own. A context is found token by token, the latest first, so the walk
passes every shorter context on its way. The lesson is `docs/llm/ngram.md`.
"""

import math
import numbers

import numpy as np

from microlearn.deep import Tensor
from microlearn.deep._checks import integers
from microlearn.networks._checks import whole

SMOOTHINGS = ("kneser-ney", "witten-bell", "add-k")


class NGram:
    """A language model that counts: the next token by what followed the last `n - 1` tokens in the training text.

    Parameters
    ----------
    vocab_size : int
        How many different tokens there are.
    n : int, optional
        How many tokens are counted together, the predicted one among them. 1 looks at nothing, 2 at the last token.
    smoothing : {"kneser-ney", "witten-bell", "add-k"}, optional
        How what was never counted gets a share. The first two mix every context with the next shorter one, down to
        none, which is mixed with equal shares for all tokens.

        - "kneser-ney": every count gives up the same `discount`; what is mixed in asks how *many contexts* a token
          has followed, not how often (Kneser and Ney, 1995; interpolated, as in Chen and Goodman, 1998).
        - "witten-bell": a context that was followed by many different tokens mixes in more (Witten and Bell, 1991).
        - "add-k": `k` is added to every count of the longest context, and nothing is mixed.
    k : float, optional
        What "add-k" adds.
    discount : float, optional
        What "kneser-ney" takes, above 0 and at most 1. Unless given, each table's own n1 / (n1 + 2 n2), from how many
        counts are 1 and how many are 2; 0.5 where none is 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these.

    Examples
    --------
    >>> model = NGram(vocab_size=2, n=2, smoothing="add-k", k=1.0).fit([0, 1, 0, 1, 0])
    >>> model.probabilities([1]).round(2).tolist()  # 0 followed twice: (2 + 1) / (2 + 2) and (0 + 1) / (2 + 2)
    [0.75, 0.25]
    """

    def __init__(self, vocab_size, n=5, smoothing="kneser-ney", k=1.0, discount=None):
        self.vocab_size, self.n = whole("vocab_size", vocab_size), whole("n", n)
        if smoothing not in SMOOTHINGS:
            raise ValueError(f"smoothing: expected one of {', '.join(SMOOTHINGS)}, got {smoothing!r}")
        self.smoothing = smoothing
        self.k = _above_zero("k", k, math.inf)
        self.discount = None if discount is None else _above_zero("discount", discount, 1.0)
        self.tables = []

    def __repr__(self):
        return f"NGram(vocab_size={self.vocab_size}, n={self.n}, smoothing={self.smoothing!r})"

    def fit(self, ids):
        """Count a text anew, and return the model.

        Parameters
        ----------
        ids : array_like of int
            (N,): the training text, token by token.

        Raises
        ------
        IndexError, TypeError, ValueError
            If there are no tokens, or one is not from 0 to `vocab_size - 1`.
        """
        ids = self._checked("fit", ids, least=1)
        context = np.zeros(len(ids), dtype=np.int64)  # for every token the number of the context it stands in
        contexts, tables = np.zeros(1, dtype=np.int64), []
        for length in range(min(self.n, len(ids))):
            tables.append(_Table(contexts, context * self.vocab_size + ids[length:], self.vocab_size))
            if length:
                tables[-2].count_continuations(tables[-1])
            older = ids[: len(ids) - length - 1]
            contexts, context = np.unique(context[1:] * self.vocab_size + older, return_inverse=True)
        self.tables = tables
        return self

    def probabilities(self, context):
        """Return the probability of every token after a context; they add up to 1.

        Parameters
        ----------
        context : array_like of int
            (T,): only its last `n - 1` tokens count. Where there are fewer, the model does what a smaller `n` would.

        Returns
        -------
        numpy.ndarray
            (vocab_size,)
        """
        context = self._checked("context", context)
        return self._shares(context[None], np.arange(self.vocab_size), first=len(context))[0, 0]

    def loss(self, ids):
        """Return the mean surprise at the tokens of a text, in nats a token.

        The first token is not asked for, because nothing stands before it. The next few are, from as much as stands
        before them: `model(ids[None, :-1], ids[None, 1:])` has the same loss, and a GPT's loss on these tokens is
        comparable.

        Parameters
        ----------
        ids : array_like of int
            (N,), two tokens or more.
        """
        ids = self._checked("loss", ids, least=2)
        return float(-np.log(self._shares(ids[None, :-1], ids[None, 1:, None])).mean())

    def __call__(self, idx, targets=None):
        """Answer as a GPT does, so that whatever samples from a GPT can sample from counts.

        Parameters
        ----------
        idx : array_like of int
            (B, T)
        targets : array_like of int, optional
            (B, T): the token that really came next.

        Returns
        -------
        logits : Tensor
            (B, T, vocab_size): the logarithms of the probabilities.
        loss : Tensor or None
            The mean surprise at the targets, in nats a token.
        """
        idx = self._checked("idx", idx, least=1, ndim=2)
        logprobs = np.log(self._shares(idx, np.arange(self.vocab_size)))
        if targets is None:
            return Tensor(logprobs), None
        targets = self._checked("targets", targets, ndim=2)
        if targets.shape != idx.shape:
            raise ValueError(f"targets: expected one for each token, shape {idx.shape}, got {targets.shape}")
        return Tensor(logprobs), Tensor(-np.take_along_axis(logprobs, targets[..., None], -1).mean())

    def _shares(self, idx, tokens, first=1):
        """Compute the probability of tokens (..., C) at places first, ..., T of idx (B, T): (B, T + 1 - first, C)."""
        if not self.tables:
            raise ValueError("NGram: nothing was counted yet: call fit(ids) first")
        places = np.arange(first, idx.shape[1] + 1)
        padded = np.pad(idx, ((0, 0), (len(self.tables), 0)), constant_values=-1)
        context = np.zeros((len(idx), len(places)), dtype=np.int64)
        p = np.full((1, 1, 1), 1.0 / self.vocab_size)
        for length, table in enumerate(self.tables):
            if length:
                older = padded[:, places + len(self.tables) - length]
                context = _find(table.contexts, np.where(older >= 0, context * self.vocab_size + older, -1))
            longest = (length == np.minimum(places, self.n - 1))[:, None]  # the context is not cut off any shorter
            kind = np.where(longest | (self.smoothing != "kneser-ney"), 0, 1)
            found = context[..., None]
            gram = _find(table.grams, found * self.vocab_size + tokens)  # below 0, and in no table, after an unseen one
            count = np.where(gram >= 0, table.counts[kind, gram], 0)
            total = np.where(found >= 0, table.totals[kind, found], 0)
            types = np.where(found >= 0, table.types[kind, found], 0)
            d = table.discounts[kind] if self.discount is None else self.discount
            p = np.where(longest | (self.smoothing != "add-k"), self._mixed(count, total, types, d, p), p)
        return p

    def _mixed(self, count, total, types, discount, shorter):
        """Turn the counts after a context into probabilities, with those after the next shorter context mixed in."""
        if self.smoothing == "add-k":
            return (count + self.k) / (total + self.k * self.vocab_size)
        if self.smoothing == "witten-bell":
            mixed = (count + types * shorter) / np.maximum(total + types, 1)
        else:
            mixed = (np.maximum(count - discount, 0.0) + discount * types * shorter) / np.maximum(total, 1)
        return np.where(total, mixed, shorter)

    def _checked(self, name, ids, least=0, ndim=1):
        ids = integers(name, ids)
        if ids.ndim != ndim or ids.size < least:
            shape = "a list of token ids" if ndim == 1 else "token ids (B, T)"
            raise ValueError(f"{name}: expected {shape}{f', {least} or more' * bool(least)}, got shape {ids.shape}")
        if ids.size and not 0 <= ids.min() <= ids.max() < self.vocab_size:
            wrong = ids[(ids < 0) | (ids >= self.vocab_size)][0]
            raise IndexError(f"{name}: {wrong} is not a token id from 0 to {self.vocab_size - 1}")
        return ids.astype(np.int64)


class _Table:
    """What followed the contexts of one length.

    `contexts` are sorted keys: the number of the context without its oldest token, times the size of the vocabulary,
    plus that token. `grams` are the number of a context, times the size of the vocabulary, plus what followed. In
    `counts`, `totals`, `types` and `discounts`, row 0 counts how often; row 1 counts after how many different older
    tokens.
    """

    def __init__(self, contexts, grams, vocab_size):
        self.contexts, self.vocab_size = contexts, vocab_size
        self.grams, counts = np.unique(grams, return_counts=True)
        self._hold(np.stack([counts, np.zeros_like(counts)]))

    def count_continuations(self, longer):
        """Count, in the table of contexts that are one token longer, how many of them each gram goes on from."""
        shorter = longer.contexts[longer.grams // self.vocab_size] // self.vocab_size
        grams = np.searchsorted(self.grams, shorter * self.vocab_size + longer.grams % self.vocab_size)
        self._hold(np.stack([self.counts[0], np.bincount(grams, minlength=len(self.grams))]))

    def _hold(self, counts):
        context, size = self.grams // self.vocab_size, len(self.contexts)
        self.counts = counts
        self.totals = np.stack([np.bincount(context, row, size) for row in counts])
        self.types = np.stack([np.bincount(context, row > 0, size) for row in counts])
        ones, twos = (counts == 1).sum(axis=1), (counts == 2).sum(axis=1)
        self.discounts = np.where(ones, ones / np.maximum(ones + 2 * twos, 1), 0.5)


def _find(keys, wanted):
    """Find the places of keys in a sorted array; -1 for those that are not there."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)


def _above_zero(name, number, most):
    if isinstance(number, numbers.Real) and 0.0 < float(number) <= most and math.isfinite(number):
        return float(number)
    bound = "" if most == math.inf else f" and at most {most:g}"
    raise ValueError(f"{name}: expected a number above 0{bound}, got {number!r}")
