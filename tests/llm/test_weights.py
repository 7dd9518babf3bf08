"""A GPT-2 comes out of a folder as it went in, in every form in which such folders are published; the rest is named."""

import builtins
import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from microlearn.deep import manual_seed, no_grad
from microlearn.llm import GPT, BPETokenizer, GPTConfig, load_gpt2

CONFIG = {"model_type": "gpt2", "vocab_size": 258, "n_positions": 8, "n_layer": 2, "n_head": 2, "n_embd": 4}
IDX = np.array([[0, 257, 3, 9, 100]])


def small_model(seed=0):
    """Draw a model in which no two parameters are equal, biases and norms included."""
    manual_seed(seed)
    model = GPT(GPTConfig(vocab_size=258, block_size=8, n_layer=2, n_head=2, n_embd=4))
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data[...] = rng.normal(size=parameter.shape)
    return model


def published(model):
    """Name and turn the tensors as GPT-2's are, without a prefix."""
    turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    return {
        name.removeprefix("transformer."): np.ascontiguousarray(p.data.T if name.endswith(turned) else p.data)
        for name, p in model.named_parameters()
    }


def bfloat16(tensors):
    """Make the file by hand: a length, a header, and the upper half of each float32."""
    header, parts, end = {}, [], 0
    for name, array in tensors.items():
        parts.append((array.view(np.uint32) >> 16).astype("<u2").tobytes())
        header[name] = {"dtype": "BF16", "shape": array.shape, "data_offsets": [end, end + len(parts[-1])]}
        end += len(parts[-1])
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


@pytest.fixture
def model():
    return small_model()


@pytest.fixture
def folder(tmp_path, model):
    """Write a folder as it is published."""
    tokenizer = BPETokenizer().train("low lower lowest", 258)
    state = tokenizer._state()
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "vocab.json").write_text(json.dumps(state["vocab"]))
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *state["merges"], ""]))
    save_file(published(model), tmp_path / "model.safetensors")
    return tmp_path


def configure(folder, **changes):
    config = {name: value for name, value in {**CONFIG, **changes}.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(config))


def assert_equal(loaded, model):
    for (name, a), (_, b) in zip(loaded.named_tensors(), model.named_tensors(), strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a.data, b.data, err_msg=name)
    with no_grad():
        np.testing.assert_array_equal(loaded(IDX)[0].data, model(IDX)[0].data)


# As they are published


def test_every_number_comes_back_and_so_does_the_tokenizer(folder, model):
    loaded, tokenizer = load_gpt2(str(folder))
    assert_equal(loaded, model)
    assert loaded.config == model.config
    assert tokenizer.encode("slow") == [115, 257]
    assert tokenizer.decode([115, 257]) == "slow"


def test_what_is_loaded_is_tied_and_trains(folder):
    loaded, _ = load_gpt2(folder)
    assert loaded.lm_head.weight is loaded.transformer.wte.weight
    loaded(IDX, IDX)[1].backward()
    assert all(parameter.grad is not None for parameter in loaded.parameters())


def test_with_a_prefix_with_the_old_buffers_and_with_the_tied_weight_written_down(folder, model):
    tensors = {f"transformer.{name}": array for name, array in published(model).items()}
    for i in range(2):
        tensors[f"transformer.h.{i}.attn.bias"] = np.tril(np.ones((1, 1, 8, 8), np.float32))
        tensors[f"transformer.h.{i}.attn.masked_bias"] = np.array(-1e4, np.float32)
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"].copy()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert_equal(load_gpt2(folder)[0], model)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_become_float32(folder, model, dtype):
    tensors = {name: array.astype(dtype) for name, array in published(model).items()}
    save_file(tensors, folder / "model.safetensors")
    for parameter in model.parameters():
        parameter.data[...] = parameter.data.astype(dtype)
    assert_equal(load_gpt2(folder)[0], model)


def test_bfloat16_becomes_float32(folder, model):
    (folder / "model.safetensors").write_bytes(bfloat16(published(model)))
    for parameter in model.parameters():
        parameter.data.view(np.uint32)[...] &= 0xFFFF0000
    assert_equal(load_gpt2(folder)[0], model)


def test_weights_in_several_files(folder, model):
    tensors = published(model)
    (folder / "model.safetensors").unlink()
    for i in (1, 2, 3):
        part = {name: tensors[name] for name in list(tensors)[i - 1 :: 3]}
        save_file(part, folder / f"model-0000{i}-of-00003.safetensors")
    assert_equal(load_gpt2(folder)[0], model)
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(ValueError, match="is missing") as refused:
        load_gpt2(folder)
    assert str(refused.value).count("is missing") == len(list(tensors)[1::3])


def test_of_one_file_and_several_the_one_is_read(folder, model):
    save_file(published(small_model(seed=1)), folder / "model-00001-of-00001.safetensors")
    assert_equal(load_gpt2(folder)[0], model)


@pytest.mark.parametrize("name", ["gelu_new", "gelu_pytorch_tanh", "gelu_fast"])
def test_old_configs_and_other_names_of_the_same_formula(folder, model, name):
    configure(folder, n_positions=..., n_ctx=8, activation_function=name, n_inner=16)
    assert_equal(load_gpt2(folder)[0], model)


def test_what_is_loaded_drops_nothing(folder):
    configure(folder, resid_pdrop=0.1, embd_pdrop=0.1, attn_pdrop=0.1)  # as GPT-2's own says
    loaded, _ = load_gpt2(folder)
    assert loaded.config.dropout == 0.0 and loaded.training
    with no_grad():
        assert (loaded(IDX)[0].data == loaded(IDX)[0].data).all()


def test_a_vocabulary_that_was_padded(folder, model):
    tensors = published(model)
    tensors["wte.weight"] = np.pad(tensors["wte.weight"], ((0, 6), (0, 0)))
    configure(folder, vocab_size=264)
    save_file(tensors, folder / "model.safetensors")
    loaded, tokenizer = load_gpt2(folder)
    assert loaded.config.vocab_size == 264
    assert tokenizer.vocab_size == 258


# Every fault is named


def test_every_tensor_that_does_not_fit_is_named_at_once(folder, model):
    tensors = published(model)
    del tensors["h.0.ln_1.bias"], tensors["wpe.weight"]
    tensors["h.2.ln_1.bias"] = np.zeros(4, np.float32)
    tensors["score.weight"] = np.zeros((2, 4), np.float32)
    tensors["h.1.attn.c_attn.weight"] = tensors["h.1.attn.c_attn.weight"].T.copy()
    tensors["ln_f.weight"] = np.ones(4, np.int64)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ValueError) as refused:
        load_gpt2(folder)
    start, _, faults = str(refused.value).partition("config.json: ")
    assert start == f"{folder}: these weights do not make the model of "
    assert set(faults.split("; ")) == {
        "h.0.ln_1.bias is missing",
        "wpe.weight is missing",
        "h.2.ln_1.bias is not in this model",
        "score.weight is not in this model",
        "h.1.attn.c_attn.weight has shape (12, 4), and config.json means (4, 12)",
        "ln_f.weight holds I64, and weights are F64, F32, F16, BF16",
    }


def test_an_untied_head_and_a_name_that_stands_twice(folder, model):
    tensors = published(model)
    save_file({**tensors, "lm_head.weight": tensors["wte.weight"] + 1}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"lm_head\.weight differs from wte\.weight"):
        load_gpt2(folder)
    save_file({**tensors, "lm_head.weight": tensors["wte.weight"][:9]}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"lm_head\.weight has shape \(9, 4\), and config.json means \(258, 4\)"):
        load_gpt2(folder)
    save_file({**tensors, "transformer.wte.weight": tensors["wte.weight"]}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"config.json: wte\.weight is there twice$"):
        load_gpt2(folder)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model_type": "llama"}, "expected a model_type of 'gpt2', got 'llama'"),
        ({"model_type": ...}, "expected a model_type of 'gpt2', got None"),
        ({"activation_function": "relu"}, "activation_function is 'relu', and"),
        ({"activation_function": "gelu"}, "activation_function is 'gelu', and"),  # the exact one
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06, and this GPT-2 computes with 1e-05 only"),
        ({"scale_attn_weights": False}, "scale_attn_weights is False, and this GPT-2 computes with True only"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
        ({"add_cross_attention": True}, "add_cross_attention is True"),
        ({"n_inner": 8}, "n_inner is 8, and this GPT-2 computes with 16 only"),
        ({"n_layer": ...}, "n_layer: expected a whole number"),
        ({"n_positions": "8"}, "n_positions: expected a whole number"),
        ({"n_head": 3}, "n_head: a width of 4 does not divide into 3 heads"),
    ],
)
def test_a_config_that_our_gpt_would_compute_in_another_way(folder, changes, message):
    configure(folder, **changes)
    with pytest.raises(ValueError, match=re.escape(f"{folder / 'config.json'}: {message}")):
        load_gpt2(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.json", "merges.txt"])
def test_a_file_that_is_missing(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(f"{folder}: there is no {name}")):
        load_gpt2(folder)


def test_no_folder_and_an_empty_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        load_gpt2(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no config\.json and no model\.safetensors and no vocab\.json and"):
        load_gpt2(tmp_path)


def test_a_pickle_is_not_opened(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"pytorch_model\.bin is a pickle"):
        load_gpt2(folder)


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_weights_that_are_cut_off(folder, kept):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:kept])
    with pytest.raises(ValueError, match=r"model\.safetensors: it is cut off, damaged, or no safetensors file"):
        load_gpt2(folder)


def test_a_pointer_of_git_lfs(folder):
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    with pytest.raises(ValueError, match="git left a pointer here, not the file: git lfs pull"):
        load_gpt2(folder)


@pytest.mark.parametrize("name", ["config.json", "vocab.json"])
def test_json_that_is_none(folder, name):
    (folder / name).write_text('{"model_type": "gp')
    with pytest.raises(ValueError, match=re.escape(str(folder / name))):
        load_gpt2(folder)


def test_a_tokenizer_of_another_model(folder):
    configure(folder, vocab_size=200)
    with pytest.raises(ValueError, match=r"vocab\.json has 258 tokens, and config\.json a vocab_size of 200"):
        load_gpt2(folder)


def test_without_the_library(folder, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith("safetensors"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install microlearn\[weights\]"):
        load_gpt2(folder)
