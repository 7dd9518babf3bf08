"""What holds for a sound language model whatever it has learned: a kit of checks to point at your own.

A loss that falls proves little: most mistakes leave a model that trains. The lesson is `docs/llm/invariants.md`.
"""

import copy
import functools
import html
import inspect
import math
from dataclasses import dataclass

import numpy as np

from microlearn.autograd import topological_order
from microlearn.deep import AdamW, Module, Parameter, Tensor, generator, no_grad
from microlearn.deep._checks import integers
from microlearn.llm.attention import scaled_dot_product_attention
from microlearn.llm.generation import KVCache, generate
from microlearn.networks._checks import whole

TOLERANCE = 1e-5  # what rounding may do, as a part of the spread of the logits
LENGTH = 8  # how many tokens a text of the kit has at most
CLOSE = 0.3  # nats that an untrained model may be away from knowing nothing
LEARNED = 0.02  # nats a token, and a batch of 32 is known by heart: one token at even odds would cost ln(2) / 32

INVARIANTS = {}  # by name: what is claimed, what is usually wrong, where to look, and the function that looks


@dataclass(frozen=True)
class Finding:
    """What was found about one invariant.

    Attributes
    ----------
    name : str
    claim : str
        What holds for a sound model.
    verdict : {"holds", "broken", "not looked at"}
    measured, expected : str
        What was seen, and what should be seen. Where it was not looked at, `measured` says why.
    usually, where : str
        What is wrong in most cases where it is broken, and where to look.
    """

    name: str
    claim: str
    verdict: str
    measured: str
    expected: str
    usually: str
    where: str

    def __str__(self):
        line = f"{self.verdict:13} {self.name}: {self.claim}: {self.measured}"
        if self.verdict != "broken":
            return line
        return f"{line}, should be {self.expected}; usually {self.usually}; look at {self.where}"


class Report:
    """What was found: true where nothing is broken. Its text has a line for each invariant.

    Attributes
    ----------
    findings : list of Finding
    """

    def __init__(self, findings):
        self.findings = findings

    def __bool__(self):
        return not self.broken

    def __getitem__(self, name):
        return {finding.name: finding for finding in self.findings}[name]

    @property
    def broken(self):
        """The names of the invariants that do not hold."""
        return [finding.name for finding in self.findings if finding.verdict == "broken"]

    def __repr__(self):
        return "\n".join(map(str, self.findings))

    def _repr_html_(self):
        rows = []
        for found in self.findings:
            said = [f"{found.claim}: {found.measured}"]
            if found.verdict == "broken":
                said += [f"should be {found.expected}", f"usually {found.usually}", f"look at {found.where}"]
            words = "<br>".join(html.escape(one) for one in said)
            name = html.escape(found.name)
            rows.append(f"<tr><td><strong>{found.verdict}</strong><br>{name}</td><td>{words}</td></tr>")
        heading = "<tr><th>invariant</th><th>what was seen</th></tr>"
        return f"<table><thead>{heading}</thead><tbody>{''.join(rows)}</tbody></table>"


def check_model(
    model,
    only=None,
    fresh=False,
    batch=None,
    accumulate=None,
    cache=None,
    tied=None,
    vocab_size=None,
    block_size=None,
    steps=500,
    lr=3e-3,
    seed=0,
):
    """Check what holds for every sound language model, trained or not.

    Copies of the model are asked, trained and taken apart, always as after `eval()`; the model stays as it is. Where
    any parameters should do, the copy's are shaken first, so that nothing hides behind a layer that begins at zero.

    Parameters
    ----------
    model : Module
        `model(idx, targets)` returns logits (B, T, vocab_size) and the loss.
    only : list of str, optional
        The names of the invariants to look at; all of them unless given.
    fresh : bool, optional
        Whether it was never trained: then its loss must be that of knowing nothing.
    batch : tuple of array_like of int, optional
        `idx, targets`, (B, T) each, as your training makes them.
    accumulate : callable, optional
        `accumulate(model, idx, targets, parts)` adds up the gradients of a batch in parts, as your training does.
    cache : callable, optional
        `cache(model)` returns a new cache for one text; `KVCache` unless given.
    tied : tuple of str, optional
        The names of two tensors that are meant to be one; unless given, two that are equal are meant to stay equal.
    vocab_size, block_size : int, optional
        Where the model does not say them itself, as `model.config.vocab_size` or `model.vocab_size`.
    steps : int, optional
        How many steps it may take to learn one batch by heart; 0 leaves that out.
    lr : float, optional
        The learning rate for it.
    seed : int, optional
        Draws the tokens.

    Returns
    -------
    Report
        True where nothing that was looked at is broken.

    Raises
    ------
    TypeError, ValueError
        If there is no such model, no such invariant, or the model's answer is no logits and loss, or not finite.

    Examples
    --------
    >>> from microlearn.deep import manual_seed
    >>> from microlearn.llm import GPT, GPTConfig
    >>> manual_seed(0)
    >>> model = GPT(GPTConfig(block_size=8, vocab_size=20, n_layer=2, n_head=2, n_embd=16))
    >>> report = check_model(model, only=["future", "cache"])
    >>> bool(report), report["cache"].verdict
    (True, 'holds')
    """
    names = list(INVARIANTS) if only is None else [only] if isinstance(only, str) else list(only)
    for name in names:
        if name not in INVARIANTS:
            raise ValueError(f"only: there is no invariant {name!r}; there are {', '.join(INVARIANTS)}")
    before = copy.deepcopy(generator().bit_generator.state)
    try:
        with np.errstate(all="ignore"):
            case = _Case(model, fresh, batch, accumulate, cache, tied, vocab_size, block_size, steps, lr, seed)
            first = _look("repeatable", case)
            if first.verdict != "broken":
                return Report([first if name == "repeatable" else _look(name, case) for name in names])
            excuse = "equal questions get different answers: mend that first"
            return Report([first, *(_finding(name, excuse) for name in names if name != "repeatable")])
    finally:
        generator().bit_generator.state = before


def _look(name, case):
    try:
        return _finding(name, INVARIANTS[name][3](case))
    except Exception as error:  # a part that cannot even be computed
        return _finding(name, (False, f"it raised {type(error).__name__}: {error}", "an answer"))


def _finding(name, seen):
    """Write down what a look has seen: whether it holds, what was measured, what should be; or why it was none."""
    claim, usually, where, _ = INVARIANTS[name]
    holds, measured, expected = (None, seen, "") if isinstance(seen, str) else seen
    verdict = "not looked at" if holds is None else "holds" if holds else "broken"
    return Finding(name, claim, verdict, measured, expected, usually, where)


class _Case:
    """A model to be looked at: copies of it, and texts to ask them about."""

    def __init__(self, model, fresh, batch, accumulate, cache, tied, vocab_size, block_size, steps, lr, seed):
        if not isinstance(model, Module):
            raise TypeError(f"model: expected a Module, such as GPT(GPTConfig(...)), got {model!r:.60}")
        self.given, self.fresh, self.accumulate, self.cache, self.tied = model, fresh, accumulate, cache, tied
        self.vocab_size = whole("vocab_size", _size(model, "vocab_size", vocab_size), 2)
        self.block_size = whole("block_size", _size(model, "block_size", block_size))
        self.steps, self.lr, self.rng = whole("steps", steps, 0), lr, np.random.default_rng(whole("seed", seed, 0))
        self.length = min(LENGTH, self.block_size)
        self.batch = None if batch is None else _batch(batch)
        for name, function in (("accumulate", accumulate), ("cache", cache)):
            if function is not None and not callable(function):
                raise TypeError(f"{name}: expected a function, got {function!r:.60}")
        for name in tied or ():
            if name not in (known := dict(model.named_tensors())):
                raise ValueError(f"tied: there is no tensor {name!r}; there are {_some(list(known))}")
        idx = self.texts(4)[:, :-1]
        with no_grad():
            answer = self.copy()(idx, idx)
        if not (isinstance(answer, tuple) and len(answer) == 2 and all(isinstance(one, Tensor) for one in answer)):
            kinds = [type(one).__name__ for one in (answer if isinstance(answer, tuple) else [answer])]
            raise TypeError(
                f"model: expected model(idx, targets) to return two Tensors, logits and loss, got {', '.join(kinds)}"
            )
        logits, loss = answer
        expected = (*idx.shape, self.vocab_size)
        if logits.shape != expected or loss.size != 1:
            raise ValueError(
                f"model: expected logits {expected} and one number as loss, got {logits.shape} and {loss.shape}"
            )
        if not (np.isfinite(logits.data).all() and np.isfinite(loss.data).all()):
            raise ValueError("model: it answers with nan or infinity: its parameters are damaged, or it diverged")

    def copy(self, shaken=False):
        """Return a copy, as after `eval()`; shaken, every parameter is moved by a little noise."""
        return copy.deepcopy(self.shaken if shaken else self.given).eval()

    @functools.cached_property
    def shaken(self):
        model = self.copy()
        for parameter in model.parameters():
            if parameter.requires_grad:
                size = 0.5 / math.sqrt(parameter.shape[-1]) if parameter.ndim > 1 else 0.1
                parameter.data += size * self.rng.standard_normal(parameter.shape, dtype=np.float32)
        return model

    def texts(self, n):
        """Draw n texts, (n, length + 1). The first tokens differ while there are enough, so each can be learned."""
        ids = self.rng.integers(0, self.vocab_size, (n, self.length + 1))
        differ = self.rng.permutation(self.vocab_size)[:n]
        ids[: len(differ), 0] = differ
        return ids

    def inputs(self, width, like):
        """Draw vectors for a layer, (2, length, width)."""
        return Tensor(2.0 * self.rng.normal(size=(2, self.length, width)), dtype=like.dtype)


def _size(model, name, given):
    found = getattr(getattr(model, "config", model), name, None) if given is None else given
    if found is None:
        raise ValueError(f"{name}: this model does not say it; give it here")
    return found


def _batch(batch):
    if not isinstance(batch, list | tuple) or len(batch) != 2:
        raise TypeError(f"batch: expected idx and targets, two arrays (B, T), got {batch!r:.60}")
    idx, targets = (integers("batch", one) for one in batch)
    if idx.ndim != 2 or idx.shape != targets.shape or idx.shape[1] < 2:
        raise ValueError(
            f"batch: expected idx and targets (B, T), T at least 2, got shapes {idx.shape} and {targets.shape}"
        )
    return idx, targets


def _ask(model, idx, **more):
    with no_grad():
        return model(idx, **more)[0].data.astype(np.float64)


def _apart(one, other):
    """Measure how far two answers are apart, as a part of what the second spreads over."""
    return float(np.abs(one - other).max() / max(np.ptp(other, axis=-1).max(), 1e-12))


def _same(apart):
    return apart <= TOLERANCE, f"{apart:.1e} of the spread apart", f"at most {TOLERANCE:.0e}"


def _blocks(model):
    """Find the module that holds a list of blocks, and the name of that list."""
    for module in model.modules():
        for name, held in vars(module).items():
            if isinstance(held, list | tuple) and held and all(isinstance(one, Module) for one in held):
                return module, name
    return None, None


def _positions(model):
    """Find the table of positions."""
    return next((held for name, held in model.named_parameters() if name.endswith("wpe.weight")), None)


def _invariant(name, claim, usually, where):
    def written_down(look):
        INVARIANTS[name] = claim, usually, where, look
        return look

    return written_down


@_invariant(
    "repeatable",
    "after eval(), equal questions get equal answers",
    "dropout is left on",
    "what reads self.training, and what calls dropout without it",
)
def _repeatable(case):
    model, idx = case.copy(shaken=True), case.texts(4)[:, :-1]
    return _same(_apart(_ask(model, idx), _ask(model, idx)))


@_invariant(
    "initial loss",
    "an untrained model knows nothing: its loss is ln(vocabulary)",
    "the first weights are too large, so it is sure of something at random; or the loss is a sum",
    "the initialization of the embeddings and of the last layer",
)
def _initial_loss(case):
    if not case.fresh:
        return "only an untrained model knows nothing: fresh=True if it is one"
    ids = case.texts(16)
    with no_grad():
        loss = case.copy()(ids[:, :-1], ids[:, 1:])[1].item()
    unsure = math.log(case.vocab_size)
    return abs(loss - unsure) <= CLOSE, f"{loss:.2f} nats", f"{unsure:.2f}, within {CLOSE}"


@_invariant(
    "loss",
    "the loss is the mean surprise of logits[t] at targets[t]",
    "the model shifts targets that were shifted already, or adds up where it should average",
    "where forward computes the loss",
)
def _loss(case):
    ids, model = case.texts(4), case.copy()
    with no_grad():
        logits, loss = model(ids[:, :-1], ids[:, 1:])
    scores = logits.data.astype(np.float64)
    scores -= scores.max(axis=-1, keepdims=True)
    surprise = np.log(np.exp(scores).sum(axis=-1)) - np.take_along_axis(scores, ids[:, 1:, None], axis=-1)[..., 0]
    expected = surprise.mean()
    close = abs(loss.item() - expected) <= TOLERANCE * max(1.0, expected)
    return close, f"{loss.item():.4f} nats", f"{expected:.4f}, computed from the logits"


@_invariant(
    "targets",
    "targets are the tokens one place later",
    "the slice begins one too early or too late",
    "where your training cuts its batches",
)
def _targets(case):
    if case.batch is None:
        return "no batch of your training was given: batch=(idx, targets)"
    idx, targets = case.batch
    t = idx.shape[1]
    fits = {
        shift: np.mean(idx[:, max(shift, 0) : t + min(shift, 0)] == targets[:, max(-shift, 0) : t - max(shift, 0)])
        for shift in range(-min(3, t - 1), min(3, t - 1) + 1)
    }
    best = max(fits, key=lambda shift: (fits[shift], shift == 1))
    measured = f"{fits[1]:.0%} are"
    if fits[1] < 1.0 and fits[best] == 1.0:
        measured += f"; all are the tokens {best} places later"
    return fits[1] == 1.0, measured, "100%"


@_invariant(
    "batch",
    "a text gets the same answer alone and in company",
    "a norm or a softmax runs over the axis of the batch",
    "the axis of every mean, sum and softmax",
)
def _company(case):
    model, idx = case.copy(shaken=True), case.texts(4)[:, :-1]
    return _same(_apart(_ask(model, idx)[:1], _ask(model, idx[:1])))


@_invariant(
    "future",
    "the future does not leak: what comes later moves no logit",
    "the mask is missing, flipped or off by one, or a norm runs over the axis of time",
    "the mask, before the softmax",
)
def _future(case):
    if case.length < 2:
        return "it sees one token at a time: there is no future"
    model, text = case.copy(shaken=True), case.texts(1)[:, :-1]
    told = np.repeat(text, case.length, axis=0)
    places = np.arange(case.length)
    told[places, places] = (told[places, places] + 1) % case.vocab_size  # row t has another token at t
    logits = _ask(model, np.concatenate([text, told]))
    moved = np.abs(logits[1:] - logits[0]).max(axis=-1) / max(np.ptp(logits[0], axis=-1).max(), 1e-12)
    if moved.max() <= TOLERANCE:
        return "no token moves any logit: it is deaf"
    early = np.tril(moved, -1)  # row: which token was changed; column: whose logits
    token, place = np.unravel_index(early.argmax(), early.shape)
    holds, measured, expected = _same(early.max())
    return holds, measured if holds else f"token {token} moves the logits of place {place}: {measured}", expected


@_invariant(
    "order",
    "the order of the tokens counts",
    "positions are not added, or attention sees nothing but the token itself",
    "where positions are added to the embeddings; the mask",
)
def _order(case):
    if case.length < 3:
        return f"it takes three tokens to see, and this model sees {case.length}"
    model, text = case.copy(shaken=True), case.texts(1)[:, :-1]
    holder, name = _blocks(model)
    if holder is not None:  # from the second block on, the causal mask gives the order away
        setattr(holder, name, getattr(holder, name)[:1])
    text[0, -3:-1] = 0, 1
    other = text.copy()
    other[0, -3:-1] = 1, 0
    moved = _apart(_ask(model, other)[:, -1], _ask(model, text)[:, -1])
    return moved > TOLERANCE, f"two tokens swapped move the last logits by {moved:.1e} of the spread", "more than that"


@_invariant(
    "no positions",
    "without positions, a block does not see the order of the past",
    "the softmax runs over the queries, or the mask cuts off a part of the past",
    "the axis of the softmax, and the mask",
)
def _no_positions(case):
    model = case.copy(shaken=True)
    holder, name = _blocks(model)
    table = _positions(model)
    if holder is None or table is None:
        return "it has no blocks, or no table of positions, that the kit knows"
    if case.length < 3:
        return f"it takes three tokens to see, and this model sees {case.length}"
    table.data[...] = 0.0
    text = case.texts(1)[:, :-1]
    text[0, :2] = 0, 1
    other = text.copy()
    other[0, :-1] = text[0, -2::-1]
    worst = 0.0
    for block in getattr(holder, name):
        setattr(holder, name, [block])
        worst = max(worst, _apart(_ask(model, other)[:, -1], _ask(model, text)[:, -1]))
    return _same(worst)


@_invariant(
    "equal tokens",
    "without positions, equal tokens get equal logits: an average of equals is that equal",
    "the weights of attention do not add up to 1 in each row",
    "the axis of the softmax, and whether the mask comes before it",
)
def _equal_tokens(case):
    model = case.copy(shaken=True)
    table = _positions(model)
    if table is None:
        return "it has no table of positions that the kit knows"
    table.data[...] = 0.0
    logits = _ask(model, np.ones((1, case.length), dtype=np.int64))
    return _same(_apart(logits, logits[:, :1]))


@_invariant(
    "attention",
    "attention equals softmax(q @ k.T / sqrt(d)) @ v, out of parts",
    "the division by sqrt(d) is missing, or by the wrong d; else the mask or the axis",
    "the line that computes the scores",
)
def _attention(case):
    worst, seen = 0.0, 0
    for module in case.copy(shaken=True).modules():
        if all(hasattr(module, name) for name in ("c_attn", "c_proj", "n_head")):
            x = case.inputs(module.c_attn.in_features, module.c_attn.weight)
            with no_grad():
                qkv = module.c_attn(x).reshape(2, case.length, 3, module.n_head, -1).transpose(2, 0, 3, 1, 4)
                q, k, v = qkv
                y = scaled_dot_product_attention(q, k, v, is_causal=True)
                parts = module.c_proj(y.transpose(0, 2, 1, 3).reshape(2, case.length, -1))
                worst, seen = max(worst, _apart(module(x).data, parts.data)), seen + 1
    return _same(worst) if seen else "it has no attention with the names of GPT-2 (c_attn, c_proj, n_head)"


@_invariant(
    "residual",
    "a block whose branches are silent passes the stream on",
    "x = f(x) where x = x + f(x) is meant, or a norm stands on the stream itself",
    "the block's forward",
)
def _residual(case):
    model = case.copy(shaken=True)
    holder, name = _blocks(model)
    worst, seen = 0.0, 0
    for block in getattr(holder, name) if holder is not None else ():
        last = [held for full, held in block.named_parameters() if "c_proj" in full]
        for parameter in last:
            parameter.data[...] = 0.0
        if last:
            x = case.inputs(last[0].shape[0], last[0])
            with no_grad():
                worst, seen = max(worst, _apart(block(x).data, x.data)), seen + 1
    return _same(worst) if seen else "it has no blocks with the names of GPT-2 (c_proj)"


@_invariant(
    "cache",
    "with a cache the logits are the same, token by token",
    "positions begin at 0 again, new keys are not kept, or those of the text before are still there",
    "what is written into the cache, at which place, and when it is emptied",
)
def _cache(case):
    if "cache" not in inspect.signature(case.given.forward).parameters:
        return "it takes no cache"
    model = case.copy(shaken=True)
    if case.cache is None and not hasattr(model, "config"):
        return "it has no config to make a KVCache from: give cache"
    dtype = next(model.parameters()).dtype
    make = case.cache or (lambda model: KVCache(model.config, 1, dtype))
    half = case.length // 2
    # the second text comes while a cache that was not emptied would still have room
    for pieces in ([1] * max(half, 1), [case.length - half] + [1] * half, [1] * case.length):
        text, cache = case.texts(1)[:, : sum(pieces)], make(model)
        there = _ask(model, text)
        for end, size in zip(np.cumsum(pieces), pieces, strict=True):
            new = _ask(model, text[:, end - size : end], cache=cache)
            found = holds, measured, expected = _same(_apart(new, there[:, end - size : end]))
            if not holds:
                return holds, f"at token {end - size}, {measured}", expected
    return found


@_invariant(
    "accumulation",
    "gradients added up over parts of a batch equal those of the whole",
    "the loss of a part is not divided by the number of parts",
    "the loop that calls backward more than once before a step",
)
def _accumulation(case):
    model, ids, sides = case.copy(shaken=True), case.texts(4), []
    for way, parts in ((_accumulate, 1), (case.accumulate or _accumulate, 4)):
        model.zero_grad()
        way(model, ids[:, :-1], ids[:, 1:], parts)
        grads = [p.grad if p.grad is not None else np.zeros(p.shape) for p in model.parameters()]
        sides.append(np.concatenate([grad.ravel() for grad in grads]).astype(np.float64))
    whole, added = sides
    length = np.linalg.norm(whole)
    if length == 0.0:
        return "no gradient reaches any parameter"
    apart, times = np.linalg.norm(added - whole) / length, np.linalg.norm(added) / length
    measured = f"{times:.2f} times as long, {apart:.1e} of the length apart"
    if case.accumulate is None:
        measured += " (added up by the kit: give accumulate to look at your loop)"
    return apart <= TOLERANCE, measured, f"at most {TOLERANCE:.0e}"


def _accumulate(model, idx, targets, parts):
    for rows in np.split(np.arange(len(idx)), parts):
        (model(idx[rows], targets[rows])[1] / parts).backward()


@_invariant(
    "tied",
    "what is tied is tied after a step",
    "the numbers were copied, where the parameter itself should be shared",
    "where the weight of the last layer is set",
)
def _tied(case):
    model, ids = case.copy(), case.texts(4)
    held = dict(model.named_tensors())
    pairs = [case.tied] if case.tied is not None else _equals(held)
    if not pairs:
        return "no two tensors are equal: tied=(name, name) if two are meant to be"
    optimizer = AdamW(model.parameters(), lr=1e-2)
    model(ids[:, :-1], ids[:, 1:])[1].backward()
    optimizer.step()
    one, other = pairs[0]
    apart = float(np.abs(held[one].data - held[other].data).max())
    return apart == 0.0, f"{one} and {other} are {apart:.2g} apart", "0"


def _equals(held):
    """Find the pairs of matrices that hold the same numbers, and not all the same number."""
    matrices = [name for name, one in held.items() if isinstance(one, Parameter) and one.ndim > 1 and np.ptp(one.data)]
    return [
        (one, other)
        for i, one in enumerate(matrices)
        for other in matrices[i + 1 :]
        if np.array_equal(held[one].data, held[other].data)
    ]


@_invariant(
    "gradients",
    "every parameter gets a gradient, and what gets one is a parameter of the model",
    "forward takes a parameter's numbers out of the graph, or parts stand where the model does not find them",
    "every .data and .detach() on the way to the loss; modules in a dict, and tensors that are no Parameter",
)
def _gradients(case):
    model, ids = case.copy(shaken=True), case.texts(4)
    model.zero_grad()
    loss = model(ids[:, :-1], ids[:, 1:])[1]
    loss.backward()
    own = {held: name for name, held in model.named_parameters() if held.requires_grad}
    parents = (parent for node in topological_order(loss) for parent in node.parents)
    reached = {leaf for leaf in parents if leaf.requires_grad and not leaf.parents}
    without = [name for held, name in own.items() if held not in reached]
    strange = [str(held.shape) for held in reached if held not in own]
    said = [f"{_some(without)} without one"] * bool(without) + [f"strangers of shape {_some(strange)}"] * bool(strange)
    return not said, "; ".join(said) or f"all {len(own)} get one", f"no such among {len(own)}"


def _some(names):
    return ", ".join(names[:3]) + f" and {len(names) - 3} others" * (len(names) > 3)


@_invariant(
    "overfit",
    "one small batch can be learned by heart, and recited",
    "nothing learns (see the others); if the loss is near 0 but nothing is recited, targets are not the next token",
    "the loss, the targets, the optimizer; a larger lr or more steps",
)
def _overfit(case):
    if not case.steps:
        return "steps=0"
    model, ids = case.copy(), case.texts(min(4, case.vocab_size))
    optimizer = AdamW(model.parameters(), lr=case.lr, weight_decay=0.0)
    for step in range(case.steps + 1):
        loss = model(ids[:, :-1], ids[:, 1:])[1]
        if loss.item() < LEARNED or not math.isfinite(loss.item()) or step == case.steps:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    recited = sum(
        generate(model, row[:1], case.length, temperature=0, use_cache=False) == row[1:].tolist() for row in ids
    )
    measured = f"{loss.item():.2f} nats after {step} steps, {recited} of {len(ids)} texts recited"
    return loss.item() < LEARNED and recited == len(ids), measured, f"below {LEARNED}, and {len(ids)} recited"
