"""How a model writes: score what could come next, choose, and ask again with what was chosen.

It works for any model that answers `model(idx)` with logits, (B, T, vocab_size), and something else. The lesson is
`docs/llm/generation.md`.
"""

import codecs
import inspect
import math

import numpy as np

from microlearn.deep import Module, no_grad
from microlearn.deep._checks import integers
from microlearn.deep._loop import behaving
from microlearn.deep.tensor import node
from microlearn.llm.attention import attention_weights
from microlearn.networks._checks import finite, whole


class KVCache:
    """The keys and values of all tokens so far, so that each new token costs one position and not all of them.

    What is computed with it has no gradient.

    Parameters
    ----------
    config : GPTConfig
    batch_size : int, optional
        How many texts go side by side. They may differ in length.
    dtype : dtype, optional

    Attributes
    ----------
    lengths : numpy.ndarray of int
        (batch_size,): how many tokens of each text are in here.
    """

    def __init__(self, config, batch_size=1, dtype=np.float32):
        size = config.n_embd // config.n_head
        shape = (config.n_layer, 2, batch_size, config.n_head, config.block_size, size)
        self.kept = np.zeros(shape, dtype=dtype)
        self.lengths = np.zeros(batch_size, dtype=np.int64)

    def positions(self, t):
        """Return the positions of t more tokens, (B, t)."""
        return self.lengths[:, None] + np.arange(t)

    def layer(self, i):
        """Return the part of one block."""
        return _Layer(self, *self.kept[i])

    def keep(self, texts):
        """Go on with some of the texts, by their places."""
        self.kept, self.lengths = self.kept[:, :, texts], self.lengths[texts]


class _Layer:
    """What one block remembers."""

    def __init__(self, cache, keys, values):
        self.cache, self.keys, self.values = cache, keys, values

    def attend(self, qkv, n_head):
        """Add the keys and values of new tokens, (B, t, 3 * C), and attend to all; return a Tensor (B, t, C)."""
        b, t, _ = qkv.shape
        q, k, v = qkv.data.reshape(b, t, 3, n_head, -1).transpose(2, 0, 3, 1, 4)
        places = self.cache.positions(t)
        texts = np.arange(b)[:, None]
        self.keys[texts, :, places] = k.transpose(0, 2, 1, 3)
        self.values[texts, :, places] = v.transpose(0, 2, 1, 3)
        filled = places.max() + 1
        mask = np.where(np.arange(filled) > places[:, None, :, None], q.dtype.type(-np.inf), q.dtype.type(0.0))
        y = attention_weights(q, self.keys[:, :, :filled], mask) @ self.values[:, :, :filled]
        return node(y.transpose(0, 2, 1, 3).reshape(b, t, -1), (), (), "attention")


def next_token_probabilities(
    logits, previous=(), temperature=1.0, top_k=None, top_p=None, min_p=None, repetition_penalty=1.0
):
    """Turn scores into the probabilities that a token is drawn from.

    The settings apply in this order: repetition penalty, temperature, top-k, top-p, min-p.

    Parameters
    ----------
    logits : array_like
        (vocab_size,)
    previous : iterable of int, optional
        The tokens so far, for the repetition penalty.
    temperature : float, optional
        Scores are divided by it: below 1 the likely becomes likelier. 0 leaves the best token alone.
    top_k : int, optional
        Keep the k best tokens (Fan, Lewis and Dauphin, 2018, https://arxiv.org/abs/1805.04833), and what ties with the
        last of them.
    top_p : float, optional
        Keep the fewest tokens that together have this probability (Holtzman et al., 2019,
        https://arxiv.org/abs/1904.09751).
    min_p : float, optional
        Keep tokens that have at least this fraction of the best one's probability (Nguyen et al., 2024,
        https://arxiv.org/abs/2407.01082).
    repetition_penalty : float, optional
        Scores of tokens that were there are divided by it, negative ones multiplied (Keskar et al., 2019,
        https://arxiv.org/abs/1909.05858).

    Returns
    -------
    numpy.ndarray
        (vocab_size,), in float64, adding up to 1.

    Raises
    ------
    TypeError, ValueError
        If a setting makes no sense, a score is nan or infinite, or all are minus infinity.

    Examples
    --------
    >>> next_token_probabilities([2.0, 1.0, 0.0], top_k=2).round(2).tolist()
    [0.73, 0.27, 0.0]
    """
    _check(temperature, top_k, top_p, min_p, repetition_penalty)
    scores = np.array(logits, dtype=np.float64)
    if not np.isfinite(scores.max()):  # nan, infinity, or nothing that is possible
        raise ValueError(
            f"logits: the best of them is {scores.max()}: the model's parameters are damaged, or a training diverged"
        )
    if repetition_penalty != 1.0 and len(seen := np.unique(np.asarray(previous, dtype=np.int64))):
        scores[seen] = np.where(
            scores[seen] > 0.0, scores[seen] / repetition_penalty, scores[seen] * repetition_penalty
        )
    scores -= scores.max()
    if temperature == 0.0:
        best = np.zeros_like(scores)
        best[scores.argmax()] = 1.0
        return best
    with np.errstate(over="ignore"):  # at a tiny temperature, all but the best are minus infinity
        scores /= temperature
    if top_k is not None and top_k < len(scores):
        scores[scores < np.partition(scores, -top_k)[-top_k]] = -np.inf
    probabilities = np.exp(scores)
    probabilities /= probabilities.sum()
    if top_p is not None and top_p < 1.0:
        order = np.argsort(-scores, kind="stable")  # scores differ where probabilities are rounded to a tie
        before = np.cumsum(probabilities[order]) - probabilities[order]
        probabilities[order[before >= top_p]] = 0.0
    if min_p is not None:
        probabilities[probabilities < min_p * probabilities.max()] = 0.0
    return probabilities / probabilities.sum()


def stream(
    model,
    ids,
    max_new_tokens,
    temperature=1.0,
    top_k=None,
    top_p=None,
    stop=None,
    seed=None,
    use_cache=True,
    min_p=None,
    repetition_penalty=1.0,
    logprobs=False,
):
    """Yield new tokens as they are chosen. The arguments are those of `generate`, for one prompt.

    Tokens that may be the beginning of a stop sequence are held back until it is clear that they are none.

    Yields
    ------
    int, or tuple of int and float
        With `logprobs`, the token and its log-probability.
    """
    stops, held = _stops(stop), []
    settings = (temperature, top_k, top_p, min_p, repetition_penalty)
    for _, token, logprob in _choices(model, [_prompt(ids)], max_new_tokens, settings, stops, seed, use_cache):
        held.append((token, logprob))
        tokens = [token for token, _ in held]
        if any(tokens[-len(stop) :] == stop for stop in stops):
            held = held[: _without(tokens, stops)]
            break
        for one in held[: len(held) - _beginning(tokens, stops)]:
            yield one if logprobs else one[0]
        held = held[len(held) - _beginning(tokens, stops) :]
    yield from (one if logprobs else one[0] for one in held)


def generate(
    model,
    ids,
    max_new_tokens,
    temperature=1.0,
    top_k=None,
    top_p=None,
    stop=None,
    seed=None,
    use_cache=True,
    min_p=None,
    repetition_penalty=1.0,
    logprobs=False,
):
    """Let a model write on.

    Parameters
    ----------
    model : callable
        `model(idx)` returns logits and something else. It is asked as after `eval()`.
    ids : list of int, or list of lists of int
        The prompt; or several, of any lengths, which go side by side. Each is answered as if it was alone; where tokens
        are drawn, the second and those after it have luck of their own, so that equal prompts get different answers.
    max_new_tokens : int
        How many tokens to write at most. The model sees the last `block_size` of all.
    temperature, top_k, top_p : optional
        As for `next_token_probabilities`. A temperature of 0 is greedy.
    stop : int, list of int, or list of lists of int, optional
        The token, the sequence, or the sequences that end a text. They are not part of what is returned.
    seed : int, optional
        The same seed chooses the same tokens for the same prompts.
    use_cache : bool, optional
        Keep keys and values, if the model can. The tokens are the same.
    min_p, repetition_penalty : optional
        As for `next_token_probabilities`.
    logprobs : bool, optional
        Return the log-probability of each token too: what the model gave it, before any of the settings.

    Returns
    -------
    list of int
        The new tokens; a list of lists for several prompts. With `logprobs` a pair: the tokens, and the
        log-probabilities in the same form.

    Raises
    ------
    TypeError, ValueError
        If a prompt is empty, a token is unknown to the model, or a setting makes no sense.

    Examples
    --------
    >>> from microlearn.deep import manual_seed
    >>> from microlearn.llm import GPT, GPTConfig
    >>> manual_seed(0)
    >>> model = GPT(GPTConfig(block_size=8, vocab_size=5, n_layer=1, n_head=1, n_embd=8))
    >>> len(generate(model, [0, 1], max_new_tokens=10, seed=0))
    10
    """
    several = len(ids) > 0 and hasattr(ids[0], "__len__")
    prompts = [_prompt(one) for one in (ids if several else [ids])]
    stops = _stops(stop)
    settings = (temperature, top_k, top_p, min_p, repetition_penalty)
    tokens, likely = [[] for _ in prompts], [[] for _ in prompts]
    for text, token, logprob in _choices(model, prompts, max_new_tokens, settings, stops, seed, use_cache):
        tokens[text].append(token)
        likely[text].append(logprob)
    ends = [_without(new, stops) for new in tokens]
    tokens = [new[:end] for new, end in zip(tokens, ends, strict=True)]
    likely = [new[:end] for new, end in zip(likely, ends, strict=True)]
    if not several:
        tokens, likely = tokens[0], likely[0]
    return (tokens, likely) if logprobs else tokens


def stream_text(model, tokenizer, prompt, max_new_tokens, stop=None, **settings):
    """Yield what a model writes on as pieces of text, whole characters each.

    Parameters
    ----------
    model, max_new_tokens
        As for `generate`.
    tokenizer : CharTokenizer or BPETokenizer
    prompt : str
    stop : str or list of str, optional
        Texts that end it, wherever tokens begin and end. They are not yielded.
    **settings
        As for `stream`.

    Yields
    ------
    str
    """
    stops = [stop] if isinstance(stop, str) else list(stop or ())
    if not all(isinstance(stop, str) and stop for stop in stops):
        raise ValueError(f"stop: expected a text, or a list of texts, got {stop!r}")
    decoder, held = codecs.getincrementaldecoder("utf-8")("replace"), ""
    for token in stream(model, tokenizer.encode(prompt), max_new_tokens, **settings):
        held += decoder.decode(tokenizer.decode_bytes([token]))
        found = [at for at in map(held.find, stops) if at >= 0]
        if found:
            yield held[: min(found)]
            return
        sure = len(held) - _beginning(held, stops)
        if sure:
            yield held[:sure]
        held = held[sure:]
    yield held + decoder.decode(b"", final=True)


def logprobs(model, ids):
    """Return the log-probability that a model gives to each token of a text but the first, from those before it.

    Parameters
    ----------
    model : callable
    ids : list of int
        (T,), at most `block_size` and one of them.

    Returns
    -------
    numpy.ndarray
        (T - 1,). Minus their mean is the loss; the power of e of that, the perplexity.
    """
    ids = np.array(_prompt(ids))
    with no_grad(), behaving(model, training=False):
        scores = np.asarray(model(ids[None, :-1])[0], dtype=np.float64)[0]
    return _log_softmax(scores)[np.arange(len(ids) - 1), ids[1:]]


def _choices(model, prompts, max_new_tokens, settings, stops, seed, use_cache):
    """Yield (which text, token, log-probability), in rounds of a token for each text that has not ended."""
    whole("max_new_tokens", max_new_tokens, 0)
    _check(*settings)
    if seed is not None:
        seed = whole("seed", seed, 0)
    rngs = [np.random.default_rng(None if seed is None else [seed, i]) for i in range(len(prompts))]
    texts, going, cache = [list(prompt) for prompt in prompts], list(range(len(prompts))), None
    has_cache = isinstance(model, Module) and "cache" in inspect.signature(model.forward).parameters
    for _ in range(max_new_tokens):
        with no_grad(), behaving(model, training=False):
            logits, cache = _next_logits(model, [texts[i] for i in going], cache, use_cache and has_cache)
        ended = []
        for place, (i, scores) in enumerate(zip(going, logits, strict=True)):
            chances = np.cumsum(next_token_probabilities(scores, texts[i], *settings))
            token = int(np.searchsorted(chances, rngs[i].random() * chances[-1], side="right"))
            texts[i].append(token)
            yield i, token, float(_log_softmax(scores)[token])
            new = len(texts[i]) - len(prompts[i])
            if any(len(stop) <= new and texts[i][-len(stop) :] == stop for stop in stops):
                ended.append(place)
        if ended:
            staying = [place for place in range(len(going)) if place not in ended]
            going = [going[place] for place in staying]
            if not going:
                return
            if cache is not None:
                cache.keep(staying)


def _next_logits(model, texts, cache, use_cache):
    """Return the logits after each text, (B, vocab_size), and the cache to go on with: None where it would be full."""
    longest = max(len(text) for text in texts)
    block_size = getattr(getattr(model, "config", model), "block_size", longest + 1)
    if cache is not None and longest <= block_size:
        return np.asarray(model(np.array([text[-1:] for text in texts]), cache=cache)[0])[:, -1], cache
    texts = [text[-block_size:] for text in texts]
    lengths = np.array([len(text) for text in texts])
    idx = np.zeros((len(texts), lengths.max()), dtype=np.int64)  # what stands behind the end of a text reaches nobody
    for row, text in zip(idx, texts, strict=True):
        row[: len(text)] = text
    if use_cache and longest < block_size:
        cache = KVCache(model.config, len(texts), next(model.parameters()).dtype)
        logits = model(idx, cache=cache)[0]
        cache.lengths[:] = lengths
    else:
        cache, logits = None, model(idx)[0]
    return np.asarray(logits)[np.arange(len(texts)), lengths - 1], cache


def _log_softmax(scores):
    scores = scores.astype(np.float64) - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def _prompt(ids):
    ids = integers("ids", ids)
    if ids.ndim != 1 or not len(ids):
        raise ValueError(f"ids: expected at least one token to go on from, got shape {ids.shape}")
    return ids.tolist()


def _stops(stop):
    """Read what ends a text as a list of lists of tokens."""
    if stop is None:
        return []
    if not hasattr(stop, "__len__"):
        stop = [[stop]]
    elif not len(stop) or not hasattr(stop[0], "__len__"):
        stop = [stop]
    stops = [integers("stop", one).tolist() for one in stop]
    if not all(stops):
        raise ValueError("stop: an empty sequence would end every text at once")
    return stops


def _without(tokens, stops):
    """Return how long a text is without the stop sequence at its end."""
    return len(tokens) - max((len(stop) for stop in stops if tokens[-len(stop) :] == stop), default=0)


def _beginning(text, stops):
    """Return how many tokens or characters at the end of a text may be the beginning of a stop sequence."""
    lengths = (n for stop in stops for n in range(1, len(stop)) if text[-n:] == stop[:n])
    return max(lengths, default=0)


def _check(temperature, top_k, top_p, min_p, repetition_penalty):
    """Refuse settings that make no sense."""
    above_zero, above_one = math.ulp(0.0), math.nextafter(1.0, 2.0)
    finite("temperature", temperature, least=0.0, expected="a number of 0 or more")
    if top_k is not None:
        whole("top_k", top_k)
    if top_p is not None:
        finite("top_p", top_p, above_zero, above_one, "a probability above 0 and at most 1")
    if min_p is not None:
        finite("min_p", min_p, 0.0, above_one, "a fraction from 0 to 1")
    finite("repetition_penalty", repetition_penalty, above_zero, expected="a number above 0")
