"""The GPT against PyTorch's and Hugging Face's, live: a published model's files, gradients, a training, and sampling.

Run by `.ci/run` where both are installed; they are no dependencies of the project.
"""

import copy
import json
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from microlearn.deep import SGD, AdamW, Tensor, cross_entropy, gelu, linear
from microlearn.llm import (
    GradScaler,
    autocast,
    causal_attention,
    generate,
    load_gpt2,
    next_token_probabilities,
    parameter_groups,
    precision_of,
    recompute,
    round_to,
    scaled_dot_product_attention,
)

VOCABULARY = 300
SIZES = {"one layer": (1, 1, 8, 16), "three layers": (3, 4, 32, 24)}


@pytest.fixture(scope="module", params=SIZES)
def both(request, tmp_path_factory):
    """A random GPT-2 of Hugging Face's, and what load_gpt2 makes of its files."""
    n_layer, n_head, n_embd, block_size = SIZES[request.param]
    folder = tmp_path_factory.mktemp("gpt2")
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=block_size, n_embd=n_embd, n_layer=n_layer, n_head=n_head,
        initializer_range=0.2, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=None,
    )  # fmt: skip
    theirs = GPT2LMHeadModel(config)
    with torch.no_grad():
        for parameter in theirs.parameters():  # biases and norms begin as 0 and 1, which would hide a mix-up
            if parameter.ndim == 1:
                parameter += 0.1 * torch.randn_like(parameter)
    theirs.save_pretrained(folder)
    _write_tokenizer(folder)
    model, _ = load_gpt2(folder)
    return model, theirs


def _write_tokenizer(folder):
    """Write the two files of a tokenizer as GPT-2's are: 256 bytes, and merges of neighbours up to the model's size."""
    letters = sorted(ByteLevel.alphabet())
    pairs = list(pairwise(letters))[: VOCABULARY - len(letters)]
    tokens = [*letters, *(a + b for a, b in pairs)]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("".join(["#version: 0.2\n", *(f"{a} {b}\n" for a, b in pairs)]))


def batch(model, seed, size=3):
    rng = np.random.default_rng(seed)
    return rng.integers(0, VOCABULARY, (2, size, model.config.block_size))


def theirs_named_as_ours(theirs):
    """Yield Hugging Face's parameters under our names; theirs are (in, out) in the four layers of a block."""
    for name, parameter in theirs.named_parameters():
        turned = any(part in name for part in ("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        yield name, parameter, turned


def test_logits_and_loss_are_theirs(both):
    model, theirs = both
    for seed in range(3):
        idx, targets = batch(model, seed)
        logits, loss = model(idx, targets)
        with torch.no_grad():
            wanted = theirs(torch.tensor(idx)).logits
        assert np.abs(logits.numpy() - wanted.numpy()).max() < 1e-4
        wanted_loss = F.cross_entropy(wanted.reshape(-1, VOCABULARY), torch.tensor(targets).reshape(-1))
        assert loss.item() == pytest.approx(wanted_loss.item(), rel=1e-4)


def test_every_gradient_is_theirs(both):
    model, theirs = both
    idx, targets = batch(model, 7)
    model.zero_grad()
    model(idx, targets)[1].backward()
    theirs.zero_grad()
    F.cross_entropy(
        theirs(torch.tensor(idx)).logits.reshape(-1, VOCABULARY), torch.tensor(targets).reshape(-1)
    ).backward()
    own = dict(model.named_parameters())
    seen = set()
    for name, parameter, turned in theirs_named_as_ours(theirs):
        wanted = parameter.grad.T.numpy() if turned else parameter.grad.numpy()
        assert np.abs(own[name].grad - wanted).max() <= 1e-4 * np.abs(wanted).max(), name
        seen.add(name)
    assert seen == set(own)


def test_greedy_tokens_are_theirs(both):
    model, theirs = both
    for prompt in ([5], [1, 2, 3], [250, 7, 7, 19, 3]):
        many = model.config.block_size - len(prompt)
        wanted = theirs.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=many, do_sample=False, pad_token_id=0,
        )[0, len(prompt):].tolist()  # fmt: skip
        assert generate(model, prompt, many, temperature=0) == wanted
        assert generate(model, prompt, many, temperature=0, use_cache=False) == wanted


def test_twenty_steps_of_adamw_follow_theirs(both):
    model, theirs = both
    settings_of_both = {"lr": 1e-3, "betas": (0.9, 0.99)}
    ours = AdamW(parameter_groups(model, 0.1), **settings_of_both)
    matrices = [parameter for parameter in theirs.parameters() if parameter.ndim >= 2]
    others = [parameter for parameter in theirs.parameters() if parameter.ndim < 2]
    peer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], **settings_of_both
    )
    for step in range(20):
        idx, targets = batch(model, 100 + step)
        _, loss = model(idx, targets)
        ours.zero_grad()
        loss.backward()
        ours.step()
        wanted = F.cross_entropy(
            theirs(torch.tensor(idx)).logits.reshape(-1, VOCABULARY), torch.tensor(targets).reshape(-1)
        )
        peer.zero_grad()
        wanted.backward()
        peer.step()
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-4), f"at step {step}"
    own = dict(model.named_parameters())
    for name, parameter, turned in theirs_named_as_ours(theirs):
        apart = np.abs(own[name].data - (parameter.T if turned else parameter).detach().numpy())
        if name.endswith(
            "c_attn.bias"
        ):  # softmax does not feel a key's bias: its gradient is rounding, which Adam scales up
            apart = np.delete(apart, np.s_[len(apart) // 3 : 2 * len(apart) // 3])
        assert apart.max() < 2e-4, name


@settings(deadline=None, max_examples=40)
@given(
    b=st.integers(1, 3), t=st.integers(1, 9), heads=st.integers(1, 4), d=st.integers(1, 9), seed=st.integers(0, 99),
    dtype=st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_attention_is_theirs(b, t, heads, d, seed, dtype):
    rng = np.random.default_rng(seed)
    given_qkv, g = rng.normal(size=(b, t, 3 * heads * d)), rng.normal(size=(b, t, heads * d))
    ours = Tensor(given_qkv, requires_grad=True, dtype=dtype)
    (causal_attention(ours, heads) * Tensor(g, dtype=dtype)).sum().backward()
    theirs = torch.tensor(given_qkv.astype(dtype), requires_grad=True)
    q, k, v = (part.view(b, t, heads, d).transpose(1, 2) for part in theirs.split(heads * d, dim=2))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, heads * d)
    (y * torch.tensor(g.astype(dtype))).sum().backward()
    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    scale = 1.0 + theirs.grad.abs().max().item()
    assert np.abs(causal_attention(ours, heads).numpy() - y.detach().numpy()).max() <= tolerance * 4
    assert np.abs(ours.grad - theirs.grad.numpy()).max() <= tolerance * scale


@settings(deadline=None, max_examples=30)
@given(t=st.integers(1, 6), s=st.integers(1, 6), d=st.integers(1, 5), seed=st.integers(0, 99), causal=st.booleans())
def test_attention_out_of_parts_is_theirs(t, s, d, seed, causal):
    s = t if causal else s
    rng = np.random.default_rng(seed)
    q, k, v = rng.normal(size=(2, t, d)), rng.normal(size=(2, s, d)), rng.normal(size=(2, s, d))
    ours = scaled_dot_product_attention(*(Tensor(x, dtype=np.float64) for x in (q, k, v)), is_causal=causal)
    theirs = F.scaled_dot_product_attention(*(torch.tensor(x) for x in (q, k, v)), is_causal=causal)
    assert np.abs(ours.numpy() - theirs.numpy()).max() < 1e-12


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 10**6), size=st.integers(1, 40), temperature=st.floats(0.05, 5.0),
    top_k=st.none() | st.integers(1, 45), top_p=st.none() | st.floats(0.01, 1.0),
    min_p=st.none() | st.floats(0.0, 1.0), penalty=st.just(1.0) | st.floats(0.2, 3.0),
)  # fmt: skip
def test_what_is_left_to_draw_from_is_theirs(seed, size, temperature, top_k, top_p, min_p, penalty):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=size) * 3
    previous = rng.integers(0, size, rng.integers(1, 6))
    chain = [RepetitionPenaltyLogitsProcessor(penalty), TemperatureLogitsWarper(temperature)]
    for warper, setting in ((TopKLogitsWarper, top_k), (TopPLogitsWarper, top_p), (MinPLogitsWarper, min_p)):
        if setting is not None:
            chain.append(warper(setting))
    scores = torch.tensor(logits)[None]
    for one in chain:
        scores = one(torch.tensor(previous)[None], scores)
    wanted = torch.softmax(scores, -1)[0].numpy()
    ours = next_token_probabilities(logits, previous, temperature, top_k, top_p, min_p, penalty)
    edge = min_p is not None and np.isclose(wanted[wanted > 0].min() / wanted.max(), min_p, rtol=1e-6)
    if not edge:
        np.testing.assert_allclose(ours, wanted, atol=1e-9)


# Sixteen bits: -k precision

PRECISIONS = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def same_bits(ours, theirs):
    """Compare to the sign of zero; a nan is a nan."""
    nan = np.isnan(ours)
    return np.array_equal(nan, np.isnan(theirs)) and np.array_equal(ours[~nan].view("u4"), theirs[~nan].view("u4"))


@pytest.mark.parametrize("name", PRECISIONS)
def test_precision_every_kind_of_number_is_rounded_as_theirs(name):
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 2**32, 2**20, dtype=np.uint32)  # every kind there is
    heads = np.arange(2**16, dtype=np.uint32)
    beside = [(heads << 16) + np.uint32(tail) for tail in (0, 1, 2**15 - 1, 2**15, 2**15 + 1, 2**16 - 1)]
    halves = heads.astype(np.uint16).view(np.float16).astype(np.float32).view(np.uint32)
    beside += [halves + np.uint32(tail) for tail in (0, 1, 2**12 - 1, 2**12, 2**12 + 1, 2**13 - 1)]
    small = (rng.normal(size=2**16) * 2.0 ** rng.integers(-30, -10, 2**16)).astype(np.float32).view(np.uint32)
    numbers = np.concatenate([drawn, small, *beside]).view(np.float32)
    wanted = torch.from_numpy(numbers).to(PRECISIONS[name]).float().numpy()
    assert same_bits(round_to(numbers, name), wanted)


@settings(deadline=None, max_examples=300)
@given(numbers=st.lists(st.floats(width=32), min_size=1, max_size=9), name=st.sampled_from(sorted(PRECISIONS)))
def test_precision_drawn_numbers_are_rounded_as_theirs(numbers, name):
    numbers = np.array(numbers, dtype=np.float32)
    assert same_bits(round_to(numbers, name), torch.from_numpy(numbers).to(PRECISIONS[name]).float().numpy())


@settings(deadline=None, max_examples=100)
@given(
    grads=st.lists(st.sampled_from([1.0, 0.5, -3.0, np.inf, -np.inf, np.nan]) | st.just(1.0), min_size=1, max_size=40),
    interval=st.integers(1, 4), init=st.sampled_from([65536.0, 1.0, 1e-3, 2.0**126]),
    growth=st.sampled_from([2.0, 1.3, 8.0]), backoff=st.sampled_from([0.5, 0.9, 0.1]),
)  # fmt: skip
def test_precision_the_scale_goes_as_theirs(grads, interval, init, growth, backoff):
    chosen = {"init_scale": init, "growth_factor": growth, "backoff_factor": backoff, "growth_interval": interval}
    ours, theirs = GradScaler(**chosen), torch.amp.GradScaler("cpu", **chosen)
    w, v = Tensor([1.0, 2.0], requires_grad=True), torch.tensor([1.0, 2.0], requires_grad=True)
    sgd, peer = SGD([w], lr=0.1), torch.optim.SGD([v], lr=0.1)
    for grad in grads:
        weigh = np.array([grad, 1.0], dtype=np.float32)
        sgd.zero_grad()
        peer.zero_grad()
        with np.errstate(all="ignore"):
            ours.scale((w * weigh).sum()).backward()
        theirs.scale((v * torch.from_numpy(weigh)).sum()).backward()
        assert same_bits(w.grad, v.grad.numpy())
        ours.unscale_(sgd)
        theirs.unscale_(peer)
        assert same_bits(w.grad, v.grad.numpy())
        for scaler, optimizer in ((ours, sgd), (theirs, peer)):
            scaler.step(optimizer)
            scaler.update()
        assert ours.get_scale() == theirs.get_scale()
        np.testing.assert_allclose(w.numpy(), v.detach().numpy(), rtol=1e-6, atol=1e-6)
    wanted = theirs.state_dict()
    assert ours.state_dict() == wanted
    again = GradScaler()
    again.load_state_dict(wanted)  # a checkpoint of theirs
    assert again.state_dict() == wanted


@pytest.mark.parametrize("name", PRECISIONS)
@pytest.mark.parametrize("seed", range(5))
def test_precision_an_autocast_network_is_theirs(name, seed):
    """Two layers, a residual and a loss: the same numbers but for the last bit of 16, from another order of sums."""
    rng = np.random.default_rng(seed)
    x, targets = rng.normal(size=(16, 8)).astype(np.float32), rng.integers(0, 5, 16)
    weights = [rng.normal(size=shape).astype(np.float32) / 3 for shape in ((8, 8), (8,), (5, 8))]
    own = [Tensor(weight, requires_grad=True) for weight in weights]
    theirs = [torch.tensor(weight, requires_grad=True) for weight in weights]
    with autocast(name):
        hidden = linear(Tensor(x), own[0], own[1])
        stream = gelu(hidden) + Tensor(x)
        logits = linear(stream, own[2])
        loss = cross_entropy(logits, targets)
    with torch.autocast("cpu", dtype=PRECISIONS[name]):
        their_hidden = F.linear(torch.tensor(x), theirs[0], theirs[1])
        their_stream = F.gelu(their_hidden) + torch.tensor(x)
        their_logits = F.linear(their_stream, theirs[2])
        their_loss = F.cross_entropy(their_logits, torch.tensor(targets))
    for a, b in ((hidden, their_hidden), (stream, their_stream), (logits, their_logits), (loss, their_loss)):
        assert precision_of(a) == str(b.dtype).removeprefix("torch.")
    (loss * 256.0).backward()
    (their_loss * 256.0).backward()
    last = 2.0**-9 if name == "float16" else 2.0**-6
    pairs = [(logits.numpy(), their_logits.detach().float().numpy())]
    pairs += [(a.grad, b.grad.numpy()) for a, b in zip(own, theirs, strict=True)]
    for ours, wanted in pairs:
        assert wanted.dtype == np.float32 and np.abs(ours - wanted).max() <= last * np.abs(wanted).max()
        assert (ours == wanted).mean() > 0.5


def test_recompute_a_gpt_gets_the_gradients_of_theirs_with_checkpoints(both):
    """Both forget what the blocks compute, and compute it twice."""
    model, theirs = both
    ours, peer, runs = copy.deepcopy(model), copy.deepcopy(theirs), []
    ours.zero_grad()  # tests before this one walked back too
    peer.zero_grad()
    ours.transformer.recompute = True
    getattr(peer, "activation_checkpointing_enable", peer.gradient_checkpointing_enable)()  # a newer name, an older one
    peer.train()  # nothing is dropped; without, it keeps everything
    for block in peer.transformer.h:
        block.attn.register_forward_pre_hook(lambda *_: runs.append("theirs"))
    idx, targets = batch(model, 11)
    logits, loss = ours(idx, targets)
    loss.backward()
    their_logits = peer(torch.tensor(idx), use_cache=False).logits
    their_loss = F.cross_entropy(their_logits.reshape(-1, VOCABULARY), torch.tensor(targets).reshape(-1))
    their_loss.backward()
    assert len(runs) == 2 * model.config.n_layer
    assert np.abs(logits.numpy() - their_logits.detach().numpy()).max() < 1e-4
    own = dict(ours.named_parameters())
    for name, parameter, turned in theirs_named_as_ours(peer):
        wanted = parameter.grad.T.numpy() if turned else parameter.grad.numpy()
        assert np.abs(own[name].grad - wanted).max() <= 1e-4 * np.abs(wanted).max(), name


@pytest.mark.parametrize("use_reentrant", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_recompute_in_one_another_with_shared_inputs_is_theirs(use_reentrant, seed):
    """Two inputs that are used outside as well, one without a gradient, a weight that is shared, and two walks."""
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((5, 4), (5, 4), (4, 4), (5, 4))]

    def build(x, y, weight, fixed, way, tanh):
        def inner(x, y):
            return tanh(x @ weight) * y

        def outer(x, fixed, y):
            return way(inner, x, y) + fixed * x @ weight

        a, b = x * 0.5, y * 2.0
        return (way(outer, a, fixed, b) * a + way(inner, b, a)).sum()

    own = [Tensor(array, requires_grad=i < 3) for i, array in enumerate(arrays)]
    theirs = [torch.tensor(array, requires_grad=i < 3) for i, array in enumerate(arrays)]

    def checkpoint(function, *inputs):
        return torch.utils.checkpoint.checkpoint(function, *inputs, use_reentrant=use_reentrant)

    ours, peer = build(*own, recompute, Tensor.tanh), build(*theirs, checkpoint, torch.tanh)
    for again in range(2):
        ours.backward()
        peer.backward(retain_graph=not use_reentrant or not again)
        for one, wanted in zip(own[:3], theirs[:3], strict=True):
            np.testing.assert_allclose(one.grad, wanted.grad.numpy(), rtol=1e-4, atol=1e-4)
    assert own[3].grad is None
