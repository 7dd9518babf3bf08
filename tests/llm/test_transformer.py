"""The GPT: its names, its first numbers, its count, and what it refuses. Hugging Face's is compared in live_llm.py."""

import inspect
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microlearn import Tensor
from microlearn.autograd import gradcheck
from microlearn.deep import AdamW, LayerNorm, gelu, manual_seed, no_grad
from microlearn.llm import GPT, GPTConfig, parameter_count

SMALL = {"block_size": 6, "vocab_size": 11, "n_layer": 2, "n_head": 2, "n_embd": 8}


def small(**changes):
    manual_seed(0)
    return GPT(GPTConfig(**SMALL | changes))


def test_unless_told_otherwise_the_sizes_are_those_of_the_smallest_gpt_2():
    assert {name: one.default for name, one in inspect.signature(GPTConfig).parameters.items()} == {
        "block_size": 1024, "vocab_size": 50257, "n_layer": 12, "n_head": 12, "n_embd": 768, "dropout": 0.0,
        "bias": True,
    }  # fmt: skip


def test_a_model_says_its_sizes():
    sizes = "block_size=6, vocab_size=11, n_layer=2, n_head=2, n_embd=8, dropout=0.25, bias=False"
    assert small(dropout=0.25, bias=False).extra_repr() == f"GPTConfig({sizes})"


def test_the_names_are_gpt_2_s():
    block = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
    wanted = ["transformer.wte.weight", "transformer.wpe.weight"]
    wanted += [f"transformer.h.{i}.{part}.{kind}" for i in range(2) for part in block for kind in ("weight", "bias")]
    wanted += ["transformer.ln_f.weight", "transformer.ln_f.bias"]
    model = small()
    assert [name for name, _ in model.named_parameters()] == wanted
    assert set(model.state_dict()) == {*wanted, "lm_head.weight"}


def test_without_bias_there_is_none():
    assert not [name for name, _ in small(bias=False).named_parameters() if "bias" in name]


def test_it_is_the_formula():
    """One text through the blocks as they stand in the paper, in plain numpy."""
    model = small(dropout=0.5).eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * np.random.default_rng(parameter.size).normal(size=parameter.shape)
    p = {name: array.astype(np.float64) for name, array in model.state_dict().items()}
    ids = [3, 1, 4, 1, 5]

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(x, name):
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    x = p["transformer.wte.weight"][ids] + p["transformer.wpe.weight"][: len(ids)]
    for block in ("transformer.h.0", "transformer.h.1"):
        q, k, v = np.split(linear(norm(x, f"{block}.ln_1"), f"{block}.attn.c_attn"), 3, axis=1)
        found = []
        for h in (slice(0, 4), slice(4, 8)):
            scores = q[:, h] @ k[:, h].T / 2.0
            scores[np.triu_indices(len(ids), 1)] = -np.inf
            weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
            found.append(weights @ v[:, h])
        x = x + linear(np.concatenate(found, axis=1), f"{block}.attn.c_proj")
        hidden = Tensor(linear(norm(x, f"{block}.ln_2"), f"{block}.mlp.c_fc"), dtype=np.float64)
        x = x + linear(gelu(hidden, approximate="tanh").numpy(), f"{block}.mlp.c_proj")
    wanted = norm(x, "transformer.ln_f") @ p["transformer.wte.weight"].T
    logits, loss = model([ids], targets=[[1, 4, 1, 5, 9]])
    np.testing.assert_allclose(logits.numpy()[0], wanted, atol=2e-4)
    chances = np.exp(wanted) / np.exp(wanted).sum(axis=1, keepdims=True)
    assert loss.item() == pytest.approx(-np.log(chances[range(5), [1, 4, 1, 5, 9]]).mean(), rel=1e-5)


def test_gradcheck_of_every_parameter():
    model = small(n_layer=1, n_embd=4, vocab_size=5, block_size=3)
    for parameter in model.parameters():
        parameter.data = parameter.data.astype(np.float64)
        parameter.data += 0.1 * np.random.default_rng(parameter.size).normal(size=parameter.shape)

    def loss_with(owner, kind, tensor):
        setattr(owner, kind, tensor)
        model.lm_head.weight = model.transformer.wte.weight
        return model([[0, 3, 1]], [[3, 1, 4]])[1]

    for module in model.modules():
        for kind in ("weight", "bias"):
            parameter = vars(module).get(kind)
            if parameter is not None and module is not model.lm_head:
                assert gradcheck(partial(loss_with, module, kind), parameter), (module, kind)
                setattr(module, kind, parameter)


def test_tied_before_and_after_a_step():
    model = small()
    assert model.lm_head.weight is model.transformer.wte.weight
    model([[1, 2]], [[2, 3]])[1].backward()
    AdamW(model.parameters()).step()
    assert model.lm_head.weight is model.transformer.wte.weight
    assert (model.lm_head.weight.data == model.transformer.wte.weight.data).all()


def test_the_first_numbers_are_gpt_2_s():
    model = small(n_embd=64, vocab_size=500, n_layer=8)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.data.any(), name
        elif parameter.ndim == 1:
            assert (parameter.data == 1.0).all(), name
        else:
            wanted = 0.02 / math.sqrt(16) if "c_proj" in name else 0.02
            assert parameter.data.std() == pytest.approx(wanted, rel=0.05), name
            assert abs(parameter.data.mean()) < 0.1 * wanted, name


def test_a_fresh_model_knows_nothing():
    idx = np.random.default_rng(0).integers(0, 11, (40, 6))
    assert small()(idx, idx[:, ::-1])[1].item() == pytest.approx(math.log(11), abs=0.05)


@settings(deadline=None, max_examples=30)
@given(
    block_size=st.integers(1, 9), vocab_size=st.integers(1, 20), n_layer=st.integers(1, 3), n_head=st.integers(1, 3),
    size=st.integers(1, 4), bias=st.booleans(),
)  # fmt: skip
def test_the_formula_counts_what_is_there(block_size, vocab_size, n_layer, n_head, size, bias):
    config = GPTConfig(block_size, vocab_size, n_layer, n_head, n_head * size, bias=bias)
    counted = sum(parameter.size for parameter in GPT(config).parameters())
    assert sum(parameter_count(config).values()) == counted


def test_each_part_is_counted_right():
    model = small()
    parts = {
        "token embeddings": "wte", "position embeddings": "wpe", "queries, keys, values": "c_attn.weight",
        "attention's output": "attn.c_proj.weight", "MLP, up": "c_fc.weight", "MLP, down": "mlp.c_proj.weight",
    }  # fmt: skip
    count = parameter_count(model.config)
    for part, name in parts.items():
        held = (parameter.size for full, parameter in model.named_parameters() if name in full)
        assert count[part] == sum(held), part
    norms = (p.size for module in model.modules() if isinstance(module, LayerNorm) for p in module.parameters())
    assert count["layer norms"] == sum(norms)


def test_gpt_2_and_gpt_3_by_formula():
    sizes = {(12, 12, 768): 124_439_808, (24, 16, 1024): 354_823_168, (48, 25, 1600): 1_557_611_200}
    for (n_layer, n_head, n_embd), wanted in sizes.items():
        assert sum(parameter_count(GPTConfig(n_layer=n_layer, n_head=n_head, n_embd=n_embd)).values()) == wanted
    parts = parameter_count(GPTConfig(2048, 50257, 96, 96, 12288))
    matrices = sum(n for part, n in parts.items() if part not in ("position embeddings", "biases", "layer norms"))
    assert matrices + parts["token embeddings"] == 175_181_291_520  # 3Blue1Brown's tally: no tying, matrices alone


def test_every_dropout_is_in_its_place():
    model = small(dropout=0.5)
    drops = [module for module in model.modules() if hasattr(module, "p")] + [
        block.attn for block in model.transformer.h
    ]
    assert len(drops) == 1 + 2 * 3
    with no_grad():
        sound = model.eval()([[1, 2, 3, 4]])[0].numpy()
        for alone in drops:
            model.train()
            for module in drops:
                name = "p" if hasattr(module, "p") else "dropout"
                setattr(module, name, 0.5 if module is alone else 0.0)
            assert (model([[1, 2, 3, 4]])[0].numpy() != sound).any(), alone


def test_attention_maps_are_those_that_it_computes_with():
    model = small().eval()
    idx = [[1, 2, 3, 4, 5, 6]]
    maps = model.attention_maps(idx)
    assert [one.shape for one in maps] == [(1, 2, 6, 6)] * 2
    for one in maps:
        np.testing.assert_allclose(one.sum(axis=-1), 1.0, rtol=1e-5)
    x = model.transformer.wte(idx) + model.transformer.wpe(np.arange(6))
    x = model.transformer.h[0](x)
    np.testing.assert_array_equal(maps[1], model.transformer.h[1].attn.weights(model.transformer.h[1].ln_1(x)))


def test_attention_maps_are_those_after_eval_and_the_model_stays_in_training():
    model, idx = small(dropout=0.5), [[1, 2, 3, 4, 5, 6]]
    maps = model.attention_maps(idx)
    assert all(module.training for module in model.modules())
    np.testing.assert_array_equal(maps, model.eval().attention_maps(idx))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"n_head": 3}, "n_head: a width of 8 does not divide into 3 heads"),
        ({"n_layer": 0}, "n_layer: expected a whole number above zero, got 0"),
        ({"vocab_size": -5}, "vocab_size: expected a whole number above zero, got -5"),
        ({"block_size": 2.5}, "block_size: expected a whole number above zero, got 2.5"),
        ({"dropout": 1.0}, "dropout: expected a fraction from 0 to below 1, got 1.0"),
        ({"dropout": -0.1}, "dropout: expected a fraction from 0 to below 1, got -0.1"),
    ],
)
def test_sizes_that_make_no_sense(changes, error):
    with pytest.raises((TypeError, ValueError)) as caught:
        GPTConfig(**SMALL | changes)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("idx", "targets", "error"),
    [
        ([1, 2], None, "idx: expected token ids (B, T), got shape (2,): one text is idx[None]"),
        ([[]], None, "idx: expected token ids (B, T), got shape (1, 0): one text is idx[None]"),
        ([[1] * 7], None, "idx: 7 tokens are more than the block_size of 6"),
        ([[1, 11]], None, "Embedding: 11 is not from 0 to 10"),
        ([[-1]], None, "Embedding: -1 is not from 0 to 10"),
        ([[1.5]], None, "idx: expected whole numbers, got float64; for whole numbers kept as floats, x.astype(int)"),
        ([[1, 2]], [[1]], "targets: expected one for each token, shape (1, 2), got (1, 1)"),
        ([[1, 2]], [1, 2], "targets: expected one for each token, shape (1, 2), got (2,)"),
    ],
)
def test_what_is_no_text(idx, targets, error):
    with pytest.raises((IndexError, TypeError, ValueError)) as caught:
        small()(idx, targets)
    assert str(caught.value) == error


def test_a_target_beyond_the_vocabulary_is_refused():
    with pytest.raises((IndexError, ValueError), match="11"):
        small()([[1, 2]], [[2, 11]])


def test_save_and_load(tmp_path):
    model, other = small(), small()
    model.transformer.wte.weight.data += 1.0
    model.save(tmp_path / "model.npz")
    other.load(tmp_path / "model.npz")
    assert other.lm_head.weight is other.transformer.wte.weight
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, other.state_dict()[name])
    with pytest.raises(ValueError, match=r"transformer\.wte\.weight has shape \(11, 8\), and here \(12, 8\)"):
        small(vocab_size=12).load(tmp_path / "model.npz")
