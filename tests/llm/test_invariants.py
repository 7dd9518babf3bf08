"""The kit of invariants: sound models pass, and every planted bug is caught, by the invariants that it breaks."""

import inspect
import math

import numpy as np
import pytest

from microlearn.deep import (
    Dropout,
    Embedding,
    Linear,
    Module,
    Parameter,
    Tensor,
    cross_entropy,
    generator,
    manual_seed,
    softmax,
    where,
)
from microlearn.llm import (
    GPT,
    Block,
    CausalSelfAttention,
    GPTConfig,
    KVCache,
    MLPLanguageModel,
    check_model,
    get_batch,
    train,
)
from microlearn.llm.invariants import INVARIANTS, Finding, Report

# Bugs that people really write, planted in our own GPT: each trains, or seems to, and each is wrong

SIZES = {"block_size": 8, "vocab_size": 11, "n_layer": 2, "n_head": 2, "n_embd": 16}


def sound(**sizes):
    return GPT(GPTConfig(**SIZES | sizes))


class PartsAttention(CausalSelfAttention):
    """Attention out of parts, with a switch for each mistake."""

    scale, axis, mask_first = True, -1, True

    def visible(self, t):
        return np.tri(t) > 0

    def heads(self, x):
        b, t, _ = x.shape
        return self.c_attn(x).reshape(b, t, 3, self.n_head, -1).transpose(2, 0, 3, 1, 4)

    def hide(self, scores, visible):
        return where(visible, scores, -np.inf)

    def join(self, y, shape):
        return y.transpose(0, 2, 1, 3).reshape(*shape)

    def forward(self, x, cache=None):
        if cache is not None:
            return super().forward(x, cache)
        q, k, v = self.heads(x)
        scores = q @ k.swapaxes(-1, -2)
        if self.scale:
            scores = scores / math.sqrt(q.shape[-1])
        visible = self.visible(x.shape[1])
        if self.mask_first:
            weights = softmax(self.hide(scores, visible), axis=self.axis)
        else:
            weights = where(visible, softmax(scores, axis=self.axis), 0.0)
        return self.c_proj(self.join(weights @ v, x.shape))


class Flipped(PartsAttention):
    """The mask hides the past and shows the future."""

    def visible(self, t):
        return np.tri(t).T > 0


class OneAhead(PartsAttention):
    """The mask lets a token see the one after it."""

    def visible(self, t):
        return np.tri(t, k=1) > 0


class NoMask(PartsAttention):
    """Everybody sees everybody."""

    def visible(self, t):
        return np.ones((t, t), dtype=bool)


class OnlyItself(PartsAttention):
    """The mask leaves a token nothing but itself."""

    def visible(self, t):
        return np.eye(t) > 0


class WrongAxis(PartsAttention):
    """The softmax runs over those who ask."""

    axis = -2


class MaskAfter(PartsAttention):
    """The future is set to zero after the softmax, so that rows no longer add up to 1."""

    mask_first = False


class Unscaled(PartsAttention):
    """The division by sqrt(d) is missing."""

    scale = False


class SoftMask(PartsAttention):
    """The future gets a penalty of 10 where it should get minus infinity."""

    def hide(self, scores, visible):
        return scores + np.where(visible, 0.0, -10.0)


class MixedHeads(PartsAttention):
    """Heads are cut by a reshape alone, so that each takes some of the tokens and not some of the numbers."""

    def heads(self, x):
        b, t, c = x.shape
        return self.c_attn(x).reshape(b, t, 3, c).transpose(2, 0, 1, 3).reshape(3, b, self.n_head, t, -1)

    def join(self, y, shape):
        return y.reshape(*shape)


class PastItsParameters(PartsAttention):
    """Its first layer computes with the numbers of its weight, and the weight is not in the graph."""

    def heads(self, x):
        b, t, _ = x.shape
        qkv = x @ self.c_attn.weight.data.T + self.c_attn.bias.data
        return qkv.reshape(b, t, 3, self.n_head, -1).transpose(2, 0, 3, 1, 4)


class FrozenMask(PartsAttention):
    """Sound: its mask is a parameter that nobody trains."""

    def hide(self, scores, visible):
        t = len(visible)
        return scores + (self.seen[:t, :t] - 1.0) * 1e6


def with_frozen_parts():
    """Return a sound GPT whose masks and positions are frozen."""
    model = with_attention(FrozenMask)
    for block in model.transformer.h:
        block.attn.seen = Parameter(np.tri(SIZES["block_size"]), requires_grad=False)
    model.transformer.wpe.weight.requires_grad = False
    return model


def with_attention(kind, **sizes):
    """Return a GPT whose attention is of another kind."""
    model = sound(**sizes)
    for block in model.transformer.h:
        block.attn.__class__ = kind
    return model


class NoResidual(Block):
    """The MLP's result replaces the stream."""

    def forward(self, x, cache=None):
        x = x + self.attn(self.ln_1(x), cache)
        return self.mlp(self.ln_2(x))


def no_residual(**sizes):
    model = sound(**sizes)
    for block in model.transformer.h:
        block.__class__ = NoResidual
    return model


class NormOverAxis(Module):
    """A layer norm along another axis than that of the vector."""

    def __init__(self, width, axis):
        self.weight, self.bias, self.axis = Parameter(np.ones(width)), Parameter(np.zeros(width)), axis

    def forward(self, x):
        away = x - x.mean(axis=self.axis, keepdims=True)
        spread = ((away * away).mean(axis=self.axis, keepdims=True) + 1e-5) ** 0.5
        return away / spread * self.weight + self.bias


def norm_over(axis):
    def make(**sizes):
        model = sound(**sizes)
        model.transformer.ln_f = NormOverAxis(model.config.n_embd, axis)
        return model

    return make


def copied(**sizes):
    """Weights that are copied where they should be tied."""
    model = sound(**sizes)
    model.lm_head.weight = Parameter(model.transformer.wte.weight.data.copy())
    return model


class AlwaysDrops(Dropout):
    """Dropout that does not know that the training is over."""

    def forward(self, x):
        self.training = True
        return super().forward(x)


def dropout_left_on(**sizes):
    model = sound(dropout=0.1, **sizes)
    model.transformer.drop.__class__ = AlwaysDrops
    return model


class ShiftsAgain(GPT):
    """It shifts targets that were shifted already."""

    def forward(self, idx, targets=None, cache=None):
        logits, loss = super().forward(idx, cache=cache)
        if targets is not None:
            v = self.config.vocab_size
            loss = cross_entropy(logits[:, :-1].reshape(-1, v), np.asarray(targets)[:, 1:].reshape(-1))
        return logits, loss


class AddsUp(GPT):
    """Its loss is the sum over all tokens."""

    def forward(self, idx, targets=None, cache=None):
        logits, loss = super().forward(idx, targets, cache)
        return logits, loss if loss is None else loss * np.size(idx)


class NoPositions(GPT):
    """Positions are never added."""

    def forward(self, idx, targets=None, cache=None):
        self.transformer.wpe.weight.data[...] = 0.0
        return super().forward(idx, targets, cache)


class StandsStill(GPT):
    """The cached path takes every piece for the beginning of its text."""

    def forward(self, idx, targets=None, cache=None):
        if cache is None:
            return super().forward(idx, targets)
        x = self.transformer.wte(np.asarray(idx)) + self.transformer.wpe(np.arange(np.shape(idx)[1]))
        for i, block in enumerate(self.transformer.h):
            x = block(x, cache.layer(i))
        cache.lengths += np.shape(idx)[1]
        return self.lm_head(self.transformer.ln_f(x)), None


class Stale(GPT):
    """It keeps its cache from one text to the next, and empties it only when it is full."""

    def forward(self, idx, targets=None, cache=None):
        if cache is not None:
            cache = vars(self).setdefault("kept", cache)
            if cache.lengths.max() + np.shape(idx)[1] > self.config.block_size:
                cache.lengths[:] = 0
        return super().forward(idx, targets, cache)


class CountsPieces(GPT):
    """Its cache takes every piece for one token."""

    def forward(self, idx, targets=None, cache=None):
        answer = super().forward(idx, targets, cache)
        if cache is not None:
            cache.lengths -= np.shape(idx)[1] - 1
        return answer


class Bursts(GPT):
    """Its loss is nan from the third time on."""

    asked = 0

    def forward(self, idx, targets=None, cache=None):
        logits, loss = super().forward(idx, targets, cache)
        if targets is not None:
            self.asked += 1
            loss = loss * (math.nan if self.asked > 2 else 1.0)
        return logits, loss


class NoNewKeys(KVCache):
    """What is appended is written to the first place."""

    def positions(self, t):
        return np.arange(t)[None] + np.zeros_like(self.lengths)[:, None]


class Hidden(GPT):
    """Its blocks are kept in a dict, where the model does not find them."""

    def __init__(self, config):
        super().__init__(config)
        self.transformer.kept = {"blocks": vars(self.transformer).pop("h")}

    def forward(self, idx, targets=None, cache=None):
        x = self.transformer.wte(np.asarray(idx)) + self.transformer.wpe(np.arange(np.shape(idx)[1]))
        for block in self.transformer.kept["blocks"]:
            x = block(x)
        logits = self.lm_head(self.transformer.ln_f(x))
        if targets is None:
            return logits, None
        return logits, cross_entropy(logits.reshape(-1, logits.shape[-1]), np.asarray(targets).reshape(-1))


class Deaf(GPT):
    """It does not listen: every token is the same to it."""

    def forward(self, idx, targets=None, cache=None):
        return super().forward(np.zeros_like(idx), targets, cache)


def unscaled_embeddings(**sizes):
    """The table of embeddings begins as a layer of its own would: fifty times too large."""
    model = sound(**sizes)
    model.transformer.wte.weight.data[...] = Embedding(model.config.vocab_size, model.config.n_embd).weight.data
    return model


def frozen_halfway(**sizes):
    """The stream is detached between the blocks."""
    model = sound(**sizes)
    model.transformer.h[0].__class__ = Detaches
    return model


class Detaches(Block):
    def forward(self, x, cache=None):
        return super().forward(x, cache).detach()


def undivided(model, idx, targets, parts):
    """Accumulation without the division."""
    for rows in np.split(np.arange(len(idx)), parts):
        model(idx[rows], targets[rows])[1].backward()


def last_part_only(model, idx, targets, parts):
    """Gradients are forgotten between the parts."""
    for rows in np.split(np.arange(len(idx)), parts):
        model.zero_grad()
        (model(idx[rows], targets[rows])[1] / parts).backward()


def of(kind):
    return lambda **sizes: kind(GPTConfig(**SIZES | sizes))


def attending(kind):
    return lambda **sizes: with_attention(kind, **sizes)


MODELS = {  # the bug, and which invariants it breaks
    "flipped mask": (attending(Flipped), {"future", "order", "attention", "cache", "overfit"}),
    "no mask": (attending(NoMask), {"future", "attention", "cache", "overfit"}),
    "sees one ahead": (attending(OneAhead), {"future", "attention", "cache", "overfit"}),
    "soft mask": (attending(SoftMask), {"future", "attention", "cache"}),
    "sees only itself": (attending(OnlyItself), {"order", "attention", "cache", "overfit"}),
    "softmax over the wrong axis": (
        attending(WrongAxis),
        {"future", "no positions", "equal tokens", "attention", "cache", "overfit"},
    ),
    "mask after softmax": (attending(MaskAfter), {"future", "equal tokens", "attention", "cache", "overfit"}),
    "missing 1/sqrt(d)": (attending(Unscaled), {"attention", "cache"}),
    "heads mixed with time": (
        attending(MixedHeads),
        {"no positions", "equal tokens", "attention", "cache"},
    ),
    "past its parameters": (attending(PastItsParameters), {"gradients"}),
    "detached halfway": (frozen_halfway, {"gradients"}),
    "blocks in a dict": (of(Hidden), {"gradients"}),
    "residual missing": (no_residual, {"residual"}),
    "layer norm over time": (norm_over(1), {"future", "no positions", "equal tokens", "cache", "overfit"}),
    "layer norm over the batch": (norm_over(0), {"batch", "accumulation"}),
    "copied, not tied": (copied, {"tied"}),
    "dropout left on": (dropout_left_on, {"repeatable"}),
    "targets shifted twice": (of(ShiftsAgain), {"loss", "overfit"}),
    "loss is a sum": (of(AddsUp), {"initial loss", "loss", "accumulation"}),
    "no positions": (of(NoPositions), {"order"}),
    "no positions in the cached path": (of(StandsStill), {"cache"}),
    "stale cache": (of(Stale), {"cache"}),
    "embeddings too large": (unscaled_embeddings, {"initial loss"}),
    "deaf": (of(Deaf), {"order", "overfit"}),
}


def checked(make, seed=0, **options):
    manual_seed(seed)
    return check_model(make(), fresh=True, seed=seed, **options)


def tokens(n, vocab_size=SIZES["vocab_size"], seed=0):
    return np.random.default_rng(seed).integers(0, vocab_size, n)


@pytest.mark.parametrize("bug", MODELS)
def test_every_bug_is_caught_by_the_invariants_that_it_breaks(bug):
    make, breaks = MODELS[bug]
    report = checked(make, steps=300 if "overfit" in breaks else 0, lr=1e-2)
    assert not report
    assert breaks <= set(report.broken), report
    assert len(report.broken) <= len(breaks) + 2, report  # and what holds is not called broken


def test_the_settings_unless_told_otherwise():
    parameters = inspect.signature(check_model).parameters.values()
    assert {one.name: one.default for one in parameters if one.default is not one.empty} == {
        "only": None, "fresh": False, "batch": None, "accumulate": None, "cache": None, "tied": None,
        "vocab_size": None, "block_size": None, "steps": 500, "lr": 3e-3, "seed": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "breaks"),
    [
        (OnlyItself, {"order", "attention"}),
        (WrongAxis, {"no positions", "equal tokens", "attention"}),
        (Unscaled, {"attention"}),
        (NoResidual, {"residual"}),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bug_in_one_block_is_caught_whichever_it_is(kind, breaks, place):
    manual_seed(0)
    model = sound(n_layer=3)
    block = model.transformer.h[place]
    (block if kind is NoResidual else block.attn).__class__ = kind
    report = check_model(model, steps=0)
    assert breaks - ({"order"} if place else set()) <= set(report.broken), report  # order looks at the first alone


@pytest.mark.parametrize("seed", range(3))
def test_a_cache_that_was_not_emptied_breaks_nothing_else(seed):
    assert checked(of(Stale), seed, steps=0).broken == ["cache"]


def test_a_cache_that_counts_pieces_is_caught_after_the_first_of_several_tokens():
    report = checked(of(CountsPieces), only="cache")
    assert report.broken == ["cache"] and report["cache"].measured.startswith("at token 4, ")


def test_the_cache_of_the_kit_is_as_exact_as_the_model():
    manual_seed(0)
    model = sound()
    for parameter in model.parameters():
        parameter.data = parameter.data.astype(np.float64)
    apart = check_model(model, only="cache")["cache"].measured
    assert float(apart.removesuffix(" of the spread apart")) < 1e-12


def test_whether_the_future_leaks_cannot_be_seen_where_no_token_counts():
    assert checked(of(Deaf), only="future")["future"].verdict == "not looked at"


def test_what_is_frozen_is_not_shaken_and_needs_no_gradient():
    report = checked(with_frozen_parts, steps=0)
    assert report, report


def test_learning_by_heart_ends_where_the_loss_is_nan():
    found = checked(of(Bursts), only="overfit")["overfit"]
    assert found.verdict == "broken" and found.measured.startswith("nan nats after 2 steps")


@pytest.mark.parametrize("bug", MODELS)
@pytest.mark.parametrize("seed", [1, 2])
def test_it_takes_no_luck_to_catch_it(bug, seed):
    make, breaks = MODELS[bug]
    assert breaks - {"overfit"} <= set(checked(make, seed, steps=0).broken)


def test_every_invariant_is_broken_by_some_bug():
    caught = set().union(*(breaks for _, breaks in MODELS.values()))
    assert caught | {"targets"} == set(INVARIANTS)  # targets are the training's, not the model's


def test_parts_without_a_mistake_are_sound():
    assert not checked(attending(PartsAttention), steps=0).broken


@pytest.mark.parametrize("loop", [undivided, last_part_only])
def test_a_training_that_accumulates_wrongly_is_caught(loop):
    report = checked(sound, only="accumulation", accumulate=loop)
    assert report.broken == ["accumulation"]
    assert ("4.00 times as long" in report["accumulation"].measured) == (loop is undivided)


@pytest.mark.parametrize("shift", range(-3, 4))
def test_targets_off_by_one_are_caught_in_the_batches_of_a_training(shift):
    ids = tokens(60)
    cut = ids[np.arange(4)[:, None] * 10 + np.arange(8) + 5]
    targets = ids[np.arange(4)[:, None] * 10 + np.arange(8) + 5 + shift]
    report = checked(sound, only="targets", batch=(cut, targets))
    assert bool(report) == (shift == 1)
    if shift != 1:
        assert f"all are the tokens {shift} places later" in report["targets"].measured


def test_targets_that_are_of_another_text_are_broken_and_those_of_get_batch_hold():
    ids, rng = tokens(200), np.random.default_rng(0)
    assert checked(sound, only="targets", batch=get_batch(ids, 8, 4, rng))
    found = checked(sound, only="targets", batch=(get_batch(ids, 8, 4, rng)[0], tokens(32, seed=1).reshape(4, 8)))
    assert found.broken == ["targets"] and "places later" not in found["targets"].measured


def test_a_text_of_one_letter_fits_every_shift_and_the_right_one_is_among_them():
    assert checked(sound, only="targets", batch=(np.zeros((2, 4), int), np.zeros((2, 4), int)))


def test_a_cache_of_ones_own_is_looked_at():
    def no_new_keys(model):
        return NoNewKeys(model.config)

    assert checked(sound, only="cache", cache=no_new_keys).broken == ["cache"]
    assert checked(sound, only="cache", cache=lambda model: KVCache(model.config))


def test_two_tables_that_came_apart_are_only_known_by_name():
    model = copied()
    model.lm_head.weight.data += 0.1
    assert check_model(model, only="tied")["tied"].verdict == "not looked at"
    assert check_model(model, only="tied", tied=("lm_head.weight", "transformer.wte.weight")).broken == ["tied"]


SOUND = {
    "smallest": {"n_layer": 1, "n_head": 1, "n_embd": 4},
    "wide": {"n_embd": 48, "n_head": 6},
    "deep": {"n_layer": 6},
    "dropout": {"dropout": 0.2},
    "no bias": {"bias": False},
    "short": {"block_size": 2},
    "one token": {"block_size": 1},
    "long": {"block_size": 64},
    "coin": {"vocab_size": 2},
    "many": {"vocab_size": 500},
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sizes", SOUND.values(), ids=SOUND)
def test_sound_models_pass(sizes, seed):
    report = checked(lambda: sound(**sizes), seed, steps=0)
    assert report, report
    open_ones = {finding.name for finding in report.findings if finding.verdict == "not looked at"}
    if sizes.get("block_size", 8) > 2:
        assert open_ones == {"targets", "overfit"}


@pytest.mark.parametrize("sizes", [{}, SOUND["wide"], SOUND["short"], SOUND["coin"], {"n_layer": 4}])
def test_sound_models_learn_a_batch_by_heart_and_recite_it(sizes):
    assert checked(lambda: sound(**sizes), only="overfit", lr=1e-2)


@pytest.mark.parametrize("block_size", [1, 2, 4, 12])
def test_the_fixed_window_passes_where_it_applies(block_size):
    report = checked(lambda: MLPLanguageModel(11, block_size, 8, 64), lr=1e-2)
    assert report, report
    verdicts = {finding.name: finding.verdict for finding in report.findings}
    for name in ("no positions", "equal tokens", "attention", "residual", "cache", "tied", "targets"):
        assert verdicts[name] == "not looked at"
    for name in ("repeatable", "initial loss", "loss", "batch", "accumulation", "gradients", "overfit"):
        assert verdicts[name] == "holds"
    assert verdicts["order"] == ("holds" if block_size > 2 else "not looked at")


@pytest.mark.parametrize("make", [sound, lambda: sound(dropout=0.1), lambda: MLPLanguageModel(11, 8, 8, 32)])
def test_trained_models_pass(make):
    manual_seed(0)
    model = make()
    train(model, np.tile(tokens(7), 40), max_iters=80, lr=1e-2, eval_interval=80)
    report = check_model(model, lr=1e-2)
    assert report, report
    assert report["initial loss"].verdict == "not looked at"


def test_nothing_hides_behind_layers_that_begin_at_zero():
    def silent(kind):
        model = with_attention(kind)
        for block in model.transformer.h:
            block.attn.c_proj.weight.data[...] = 0.0
        return model

    assert checked(lambda: silent(PartsAttention), steps=0)
    assert "future" in checked(lambda: silent(Flipped), steps=0).broken


def test_the_model_stays_as_it_is():
    manual_seed(3)
    model = sound(dropout=0.1)
    model(tokens(8)[None], tokens(8)[None])[1].backward()
    model.transformer.h[0].eval()
    state, grads = model.state_dict(), {name: p.grad.copy() for name, p in model.named_parameters()}
    modes, chance = [module.training for module in model.modules()], generator().bit_generator.state
    ids = [id(held) for _, held in model.named_tensors()]
    check_model(model, steps=3)
    assert [id(held) for _, held in model.named_tensors()] == ids
    assert all((model.state_dict()[name] == array).all() for name, array in state.items())
    assert all((p.grad == grads[name]).all() for name, p in model.named_parameters())
    assert [module.training for module in model.modules()] == modes
    assert generator().bit_generator.state == chance


def test_a_part_that_raises_is_broken_and_the_others_are_looked_at():
    report = checked(attending(Breaks), only=["cache", "future"])
    assert report.broken == ["cache"] and "it raised RuntimeError: no room" in report["cache"].measured


def test_chance_goes_on_as_if_nothing_had_been_looked_at_even_where_it_is_refused():
    manual_seed(0)
    model = sound(dropout=0.5)
    chance = generator().bit_generator.state
    model.forward = lambda idx, targets: (GPT.forward(model.train(), idx, targets)[0], None)
    with pytest.raises(TypeError):
        check_model(model)
    assert generator().bit_generator.state == chance


class Breaks(CausalSelfAttention):
    def forward(self, x, cache=None):
        if cache is not None:
            raise RuntimeError("no room")
        return super().forward(x)


def test_the_same_seed_says_the_same():
    assert repr(checked(sound, only=["order", "loss"])) == repr(checked(sound, only=["order", "loss"]))


def test_a_report_is_a_line_for_each_invariant_and_a_table():
    manual_seed(0)
    report = check_model(with_attention(Flipped), only=["future", "cache", "tied"], tied=None)
    lines = repr(report).split("\n")
    assert [line.split()[0] for line in lines] == ["broken", "broken", "holds"]
    assert "should be" in lines[0] and "usually" in lines[0] and "look at" in lines[0]
    assert "should be" not in lines[2]
    assert [finding.name for finding in report.findings] == ["future", "cache", "tied"]
    html = report._repr_html_()
    assert html.count("<tr>") == 4 and html.count("<strong>broken</strong>") == 2
    odd = Report([Finding("a", "x < y", "broken", "<b>", "", "", "")])
    assert "<b>" not in odd._repr_html_() and "x &lt; y" in odd._repr_html_()


class TellsLittle(Module):
    """A table of what follows what: it says neither how many tokens there are nor how many it sees."""

    def __init__(self):
        self.table = Linear(7, 7, bias=False)

    def forward(self, idx, targets=None):
        logits = self.table(np.eye(7, dtype=np.float32)[idx])
        if targets is None:
            return logits, None
        return logits, cross_entropy(logits.reshape(-1, 7), np.asarray(targets).reshape(-1))


def test_any_module_that_answers_with_logits_and_loss_can_be_looked_at():
    report = check_model(TellsLittle(), vocab_size=7, block_size=1, fresh=True, lr=1e-1)
    assert report, report
    assert report["overfit"].verdict == "holds"


class Answers(Module):
    def __init__(self, answer):
        self.vocab_size, self.block_size, self.answer = 3, 4, answer

    def forward(self, idx, targets=None):
        return self.answer(np.shape(idx))


@pytest.mark.parametrize("away", [-0.31, -0.29, 0.29, 0.31])
def test_a_fresh_model_may_be_a_little_away_from_knowing_nothing(away):
    model = Answers(lambda shape: (Tensor(np.zeros((*shape, 3))), Tensor(math.log(3) + away)))
    assert bool(check_model(model, only="initial loss", fresh=True)) == (abs(away) < 0.3)


@pytest.mark.parametrize(
    ("given", "options", "error", "says"),
    [
        (GPT, {}, TypeError, "model: expected a Module, such as GPT"),
        (None, {}, TypeError, "model: expected a Module"),
        (TellsLittle(), {}, ValueError, "vocab_size: this model does not say it; give it here"),
        (TellsLittle(), {"vocab_size": 7}, ValueError, "block_size: this model does not say it; give it here"),
        (TellsLittle(), {"vocab_size": 1, "block_size": 1}, ValueError, "vocab_size: expected a whole number of 2"),
        (TellsLittle(), {"vocab_size": 6, "block_size": 1}, ValueError, "model: expected logits"),
        (Answers(lambda shape: 3), {}, TypeError, "to return two Tensors, logits and loss, got int"),
        (
            Answers(lambda shape: (Tensor(np.zeros((*shape, 3))), None)),
            {},
            TypeError,
            "logits and loss, got Tensor, NoneType",
        ),
        (
            Answers(lambda shape: (Tensor(np.full((*shape, 3), np.nan)), Tensor(1.0))),
            {},
            ValueError,
            "it answers with nan or infinity",
        ),
        (sound(), {"only": ["futur"]}, ValueError, "only: there is no invariant 'futur'; there are repeatable"),
        (sound(), {"batch": tokens(8)}, TypeError, "batch: expected idx and targets"),
        (sound(), {"batch": (tokens(8), tokens(8))}, ValueError, "batch: expected idx and targets (B, T)"),
        (sound(), {"batch": (np.zeros((1, 4)), np.zeros((1, 4)))}, TypeError, "batch: expected whole numbers"),
        (sound(), {"tied": ("lm_head.weight", "wte.weight")}, ValueError, "tied: there is no tensor 'wte.weight'"),
        (sound(), {"steps": 1.5}, TypeError, "steps: expected a whole number"),
        (sound(), {"seed": -1}, ValueError, "seed: expected a whole number"),
        (sound(), {"accumulate": 4}, TypeError, "accumulate: expected a function"),
        (sound(), {"cache": KVCache(sound().config)}, TypeError, "cache: expected a function"),
    ],
)
def test_what_is_no_model_or_no_setting_is_refused_in_one_sentence(given, options, error, says):
    with pytest.raises(error) as caught:
        check_model(given, **options)
    assert says in str(caught.value) and "\n" not in str(caught.value)
