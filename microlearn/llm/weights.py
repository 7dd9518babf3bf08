"""Weights that others trained: a GPT-2 from the files in which such models are published.

The lesson is `docs/llm/weights.md`.
"""

from functools import partial
from pathlib import Path

import numpy as np

from microlearn.llm.tokenizers import BPETokenizer, _read_json
from microlearn.llm.transformer import GPT, GPTConfig

# What a config may say beside the sizes, where our GPT knows one way; where it is silent, the first is meant
COMPUTED = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh", "gelu_fast"),  # three names of one formula
    "layer_norm_epsilon": (1e-5,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}
BUFFERS = (".attn.bias", ".attn.masked_bias")  # the causal mask, which old versions wrote down
FLOATS = ("F64", "F32", "F16", "BF16")


def load_gpt2(folder):
    """Read a model and its tokenizer from a folder, as GPT-2's were published.

    That is `config.json`, `model.safetensors` (or its parts, `model-00001-of-00002.safetensors` and so on),
    `vocab.json` and `merges.txt`. Weights become float32, whatever they are stored as. Dropout is 0.

    Parameters
    ----------
    folder : path

    Returns
    -------
    model : GPT
    tokenizer : BPETokenizer

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or a file is missing.
    ValueError
        If a file is damaged, the config is that of another kind of model, or tensors are missing, unexpected or have
        another shape; each is named.
    ImportError
        If the library safetensors is not there.
    """
    folder = Path(folder)
    files = _files(folder)
    config = _config(folder / "config.json")
    tokenizer = BPETokenizer.from_files(folder / "vocab.json", folder / "merges.txt")
    if tokenizer.vocab_size > config.vocab_size:
        raise ValueError(
            f"{folder}: vocab.json has {tokenizer.vocab_size} tokens, and config.json a vocab_size of "
            f"{config.vocab_size}: they are of two models"
        )
    model = GPT(config)
    _fill(model, files)
    return model, tokenizer


def _files(folder):
    """Return the files that hold the weights; refuse a folder where something is missing."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder")
    names = ["config.json", "model.safetensors", "vocab.json", "merges.txt"]
    parts = sorted(folder.glob("model-*-of-*.safetensors"))
    missing = [name for name in names if not (folder / name).is_file()]
    if parts and "model.safetensors" in missing:
        missing.remove("model.safetensors")
    else:
        parts = [folder / "model.safetensors"]
    if missing:
        why = f"{folder}: there is no {' and no '.join(missing)}"
        if "model.safetensors" in missing and (folder / "pytorch_model.bin").exists():
            why += "; pytorch_model.bin is a pickle, which can run code when it is opened, and is not read"
        raise FileNotFoundError(why)
    return parts


def _config(path):
    """Read the sizes; refuse a model that our GPT would compute in another way."""
    found = _read_json(path)
    if found.get("model_type") != "gpt2":
        raise ValueError(f"{path}: expected a model_type of 'gpt2', got {found.get('model_type')!r}")
    sizes = {name: found.get(name) for name in ("vocab_size", "n_layer", "n_head", "n_embd")}
    sizes["block_size"] = found.get("n_positions", found.get("n_ctx"))
    try:
        config = GPTConfig(**sizes)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {str(error).replace('block_size', 'n_positions')}") from None
    for name, known in {**COMPUTED, "n_inner": (4 * config.n_embd, None)}.items():
        if found.get(name, known[0]) not in known:
            raise ValueError(f"{path}: {name} is {found[name]!r}, and this GPT-2 computes with {known[0]!r} only")
    return config


def _fill(model, files):
    """Write the tensors of the files into a model; refuse them if they are not exactly those that it needs."""
    own = {name.removeprefix("transformer."): parameter for name, parameter in model.named_parameters()}
    faults, seen, head = [], set(), None
    for file in files:
        for name, kind, shape, array in _tensors(file):
            name = name.removeprefix("transformer.")
            parameter = own.get("wte.weight" if name == "lm_head.weight" else name)
            if parameter is None:
                faults.append(f"{name} is not in this model")
                continue
            # Conv1D, GPT-2's linear layer, keeps (in, out)
            turned = name.startswith("h.") and parameter.ndim == 2
            expected = parameter.shape[::-1] if turned else parameter.shape
            if name in seen:
                faults.append(f"{name} is there twice")
            elif shape != expected:
                faults.append(f"{name} has shape {shape}, and config.json means {expected}")
            elif kind not in FLOATS:
                faults.append(f"{name} holds {kind}, and weights are {', '.join(FLOATS)}")
            elif name == "lm_head.weight":
                head = array()
            else:
                parameter.data[...] = array().T if turned else array()
            seen.add(name)
    faults += [f"{name} is missing" for name in own if name not in seen]
    if not faults and head is not None and not np.array_equal(head, own["wte.weight"].data):
        faults.append("lm_head.weight differs from wte.weight, and here they are one: they are tied")
    if faults:
        raise ValueError(f"{files[0].parent}: these weights do not make the model of config.json: {'; '.join(faults)}")


def _tensors(path):
    """Yield the name, the kind, the shape of each tensor of a file, and a function that reads it as float32."""
    try:
        from safetensors import SafetensorError, deserialize, safe_open
    except ImportError:
        raise ImportError("load_gpt2 reads with the library safetensors: pip install microlearn[weights]") from None

    try:
        with safe_open(path, framework="np") as stored:
            parts = {name: stored.get_slice(name) for name in stored.keys()}  # noqa: SIM118
            kinds = {name: part.get_dtype() for name, part in parts.items()}
            # numpy has no bfloat16, so these come as bytes: each is the upper half of a float32
            halves = dict(deserialize(path.read_bytes())) if "BF16" in kinds.values() else {}

            def read(name):
                if kinds[name] != "BF16":
                    return stored.get_tensor(name).astype(np.float32, copy=False)
                upper = np.frombuffer(halves[name]["data"], "<u2").astype("<u4")
                return (upper << 16).view("<f4").reshape(halves[name]["shape"])

            for name, part in parts.items():
                if not name.endswith(BUFFERS):
                    yield name, kinds[name], tuple(part.get_shape()), partial(read, name)
    except SafetensorError as error:
        with path.open("rb") as file:
            if file.read(20).startswith(b"version https://git"):
                raise ValueError(f"{path}: git left a pointer here, not the file: git lfs pull") from None
        raise ValueError(f"{path}: it is cut off, damaged, or no safetensors file ({error})") from None
