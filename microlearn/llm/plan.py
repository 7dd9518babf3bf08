"""What a training costs, before it begins: parameters, arithmetic, memory, time and money, from the sizes alone.

Every formula is held against what the engine really does, or against what others published. The lesson is
`docs/llm/plan.md`.
"""

import difflib
import math
from dataclasses import dataclass
from pathlib import Path

from microlearn.autograd.backward import topological_order
from microlearn.llm.tokenizers import _read_json
from microlearn.llm.transformer import GPTConfig
from microlearn.networks._checks import finite, whole

BYTES = {  # of a parameter, by kind: Rajbhandari et al., *ZeRO*, 2019, https://arxiv.org/abs/1910.02054
    "mixed": {"weights": 2, "gradients": 2, "optimizer": 12},  # weights once more in float32, and two means
    "float32": {"weights": 4, "gradients": 4, "optimizer": 8},
}
RECOMPUTE = ("none", "attention", "blocks")
MACHINE = 8  # how many devices one machine has; beyond it is a network
LARGEST = 10**9
BIASES = ("qkv", "out", "mlp", "norm")

# What published models call our sizes: those that a file has to give, and those that it may leave out
_GPT2 = {name: name for name in ("n_layer", "n_head", "n_embd", "vocab_size")} | {"block_size": "n_positions"}
_LLAMA = {
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_embd": "hidden_size",
    "vocab_size": "vocab_size",
    "block_size": "max_position_embeddings",
    "n_inner": "intermediate_size",
}
_SHARED, _SIZE = {"n_kv_head": "num_key_value_heads"}, {"head_size": "head_dim"}
_EXPERTS = {"n_expert": "num_local_experts", "n_active": "num_experts_per_tok"}
PUBLISHED: dict[str, tuple[dict, dict]] = {
    "gpt2": (_GPT2, {"n_inner": "n_inner"}),
    "llama": (_LLAMA, _SHARED | _SIZE),
    "mistral": (_LLAMA | _SHARED, _SIZE),
    "mixtral": (_LLAMA | _SHARED | _EXPERTS, _SIZE),
    "qwen2": (_LLAMA | _SHARED, _SIZE),
}
_OURS = ("block_size", "vocab_size", "n_layer", "n_head", "n_embd", "dropout", "bias")


@dataclass(frozen=True)
class Architecture:
    """The sizes of a transformer that writes, general enough for the published ones.

    Unless told otherwise it is a GPT-2. `Architecture.of` reads the sizes from a config.

    Parameters
    ----------
    n_layer, n_head, n_embd, vocab_size, block_size : int
        As in `GPTConfig`.
    n_kv_head : int, optional
        How many heads of keys and values there are; `n_head` is a multiple of it (Ainslie et al., *GQA*, 2023,
        https://arxiv.org/abs/2305.13245). As many as `n_head` unless given.
    head_size : int, optional
        The width of a head; `n_embd / n_head` unless given.
    n_inner : int, optional
        How many neurons the MLP has; four times `n_embd` unless given.
    n_expert, n_active : int, optional
        How many MLPs a block has, and how many of them a token meets.
    gated : bool, optional
        Whether a third matrix in the MLP says how much of each neuron counts (Shazeer, *GLU variants improve
        transformer*, 2020, https://arxiv.org/abs/2002.05202).
    tied : bool, optional
        Whether the last layer is the table of token embeddings.
    learned_positions : bool, optional
        Whether there is a table of positions.
    biases : tuple of str, optional
        Where there are biases: "qkv", "out" (attention's output), "mlp", "norm".
    window : int, optional
        How many tokens attention looks back at most, where that is fewer than `block_size`.
    dropout : bool, optional
        Whether it is trained with dropout, whose masks are kept.
    model_type : str, optional
        Whose it is: "microlearn", or the name of a published kind.

    Raises
    ------
    TypeError, ValueError
        If no such model can exist.
    """

    n_layer: int
    n_head: int
    n_embd: int
    vocab_size: int
    block_size: int
    n_kv_head: int = 0
    head_size: int = 0
    n_inner: int = 0
    n_expert: int = 1
    n_active: int = 1
    gated: bool = False
    tied: bool = True
    learned_positions: bool = True
    biases: tuple = BIASES
    window: int | None = None
    dropout: bool = False
    model_type: str = "microlearn"

    def __post_init__(self):
        for name in ("n_layer", "n_head", "n_embd", "vocab_size", "block_size", "n_expert", "n_active"):
            _size(name, getattr(self, name))
        if self.window is not None:
            _size("window", self.window)
        if not self.head_size and self.n_embd % self.n_head:
            raise ValueError(f"n_head: a width of {self.n_embd} does not divide into {self.n_head} heads")
        implied = {"n_kv_head": self.n_head, "head_size": self.n_embd // self.n_head, "n_inner": 4 * self.n_embd}
        for name, value in implied.items():
            object.__setattr__(self, name, _size(name, getattr(self, name) or value))
        if self.n_head % self.n_kv_head:
            raise ValueError(
                f"n_kv_head: {self.n_head} heads cannot share {self.n_kv_head} heads of keys and values evenly"
            )
        if self.n_active > self.n_expert:
            there = f"are {self.n_expert}" if self.n_expert > 1 else "is 1"
            raise ValueError(f"n_active: a token cannot meet {self.n_active} experts where there {there}")
        for where in self.biases:
            _one_of("biases", where, BIASES)

    @classmethod
    def of(cls, config):
        """Read the sizes of a model.

        Parameters
        ----------
        config : Architecture, GPTConfig, dict or path
            A `config.json`, as read or as a file, or the folder that it is in: one of `microlearn train`, or that of
            a published model of type gpt2, llama, mistral, mixtral or qwen2.

        Returns
        -------
        Architecture

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If the file is damaged, of another type, lacks a size, or no such model can exist.

        Examples
        --------
        >>> sum(Architecture.of(GPTConfig()).parameters().values())
        124439808
        """
        if isinstance(config, Architecture):
            return config
        if isinstance(config, GPTConfig):
            sizes = {name: getattr(config, name) for name in _GPT2}
            return cls(**sizes, biases=BIASES * config.bias, dropout=config.dropout > 0.0)
        if isinstance(config, dict):
            return _published(config, "config")
        path = Path(config)
        if path.is_dir():
            if not (path / "config.json").is_file():
                raise ValueError(f"{path}: there is no config.json in this folder, so it is no model's")
            path = path / "config.json"
        return _published(_read_json(path), path)

    def parameters(self, active=False):
        """Count the parameters part by part.

        Parameters
        ----------
        active : bool, optional
            Count of the experts those alone that a token meets.

        Returns
        -------
        dict of int
            The parts that there are, in the order in which a token meets them.
        """
        c, n, neurons = self.n_embd, self.n_layer, self.n_inner
        asked, held = self.n_head * self.head_size, self.n_kv_head * self.head_size
        experts = self.n_active if active else self.n_expert
        biases = {"qkv": asked + 2 * held, "out": c, "mlp": experts * ((1 + self.gated) * neurons + c), "norm": 0}
        parts = {
            "token embeddings": self.vocab_size * c,
            "position embeddings": self.learned_positions * self.block_size * c,
            "queries, keys, values": n * c * (asked + 2 * held),
            "attention's output": n * asked * c,
            "choice of experts": (self.n_expert > 1) * n * c * self.n_expert,
            "MLP, gate": self.gated * n * experts * c * neurons,
            "MLP, up": n * experts * c * neurons,
            "MLP, down": n * experts * neurons * c,
            "biases": n * sum(biases[where] for where in self.biases),
            "layer norms": (1 + ("norm" in self.biases)) * (2 * n + 1) * c,
            "last layer": (not self.tied) * self.vocab_size * c,
        }
        return {part: count for part, count in parts.items() if count}

    def forward_flops(self, block_size=None):
        """Count the additions and multiplications of matrix products for one token on its way through.

        A token meets each entry of a matrix once: one multiplication, one addition. In attention its query meets
        every key, and its weights meet every value, those of later tokens included: they are computed, then hidden.

        Parameters
        ----------
        block_size : int, optional
            How many tokens are read at once; the model's own unless given.

        Returns
        -------
        dict of int
        """
        matrices = ("queries, keys, values", "attention's output", "choice of experts", "MLP, gate", "MLP, up")
        met = self.parameters(active=True)
        flops = {part: 2 * met[part] for part in (*matrices, "MLP, down") if part in met}
        seen = min(block_size or self.block_size, self.window or math.inf)
        flops["attention"] = 2 * 2 * self.n_layer * seen * self.n_head * self.head_size
        flops["last layer"] = 2 * self.vocab_size * self.n_embd
        return flops

    def training_flops(self, block_size=None, recompute="none"):
        """Count them for one token in training: the way back costs twice the way there.

        Each product has two gradients, one for either factor, and each is a product of the same size. What is
        recomputed is computed once more.

        Returns
        -------
        int
        """
        forward = self.forward_flops(block_size)
        whole = sum(forward.values())
        again = {"none": 0, "attention": forward["attention"], "blocks": whole - forward["last layer"]}
        return 3 * whole + again[_one_of("recompute", recompute, RECOMPUTE)]

    def activation_bytes(self, batch_size=1, block_size=None, precision="mixed", recompute="none"):
        """Add up what the forward pass keeps for the way back.

        For "mixed", after Korthikanti et al., *Reducing activation recomputation in large transformer models*, 2022
        (https://arxiv.org/abs/2205.05198): numbers of 2 bytes, masks of dropout of 1, scores of the last layer of 4.
        A GPT keeps `34 * C + 5 * n_head * T` bytes a token and block. For "float32" and a model of this engine, what
        the engine keeps, to the byte.

        Parameters
        ----------
        batch_size, block_size : int, optional
            How many texts there are, and how many tokens each has.
        precision : {"mixed", "float32"}, optional
        recompute : {"none", "attention", "blocks"}, optional
            What is given up and computed again on the way back: nothing; attention's T x T weights, which fused
            attention never writes down; or all of a block but its input. Then one block at a time is whole.

        Returns
        -------
        int
        """
        t, c, n, mask = block_size or self.block_size, self.n_embd, self.n_layer, int(self.dropout)
        tokens, size = batch_size * t, BYTES[_one_of("precision", precision, BYTES)]["weights"]
        if self.model_type == "microlearn" and precision == "float32":
            block = 4 * tokens * ((24 + 4 * mask) * c + 2)
            maps = 4 * tokens * (1 + 2 * mask) * self.n_head * t
            ends = 4 * (tokens * ((4 + 2 * mask) * c + 2 * self.vocab_size + 7) + t * (c + 2) + 1)
            again = block + maps
        else:
            heads, inner = (self.n_head + self.n_kv_head) * self.head_size, self.n_active * self.n_inner
            numbers = 4 * c + 2 * heads + (4 if self.gated else 2) * inner
            block = tokens * (size * numbers + 2 * mask * c)
            maps = tokens * (size + mask * (1 + size)) * self.n_head * t
            ends = tokens * ((2 * size + mask) * c + 4 * self.vocab_size)
            again = block
        kept = {"none": n * (block + maps), "attention": n * block, "blocks": n * size * tokens * c + again}
        return kept[_one_of("recompute", recompute, RECOMPUTE)] + ends

    def cache_bytes(self, tokens, size=2):
        """Add up the keys and values that writing on from so many tokens keeps, in numbers of `size` bytes."""
        return 2 * self.n_layer * self.n_kv_head * self.head_size * min(tokens, self.window or math.inf) * size


def _size(name, given):
    """Return a whole number that something could have."""
    if whole(name, given) > LARGEST:
        raise ValueError(f"{name}: expected at most {LARGEST:,}, got {given}")
    return given


def _above_zero(name, given):
    finite(name, given, math.nextafter(0.0, 1.0), expected="a number above 0")


def _one_of(name, given, known):
    if given not in known:
        near = difflib.get_close_matches(str(given), known, n=1)
        meant = f", did you mean {near[0]}?" if near else f": expected one of {', '.join(known)}"
        raise ValueError(f"{name}: there is no {given}{meant}")
    return given


@dataclass(frozen=True)
class Hardware:
    """A device to train on.

    Parameters
    ----------
    name : str
    memory : float
        In bytes.
    peak : float
        What it computes at most, in FLOP a second, with numbers of 16 bits, dense.
    peak_float32 : float, optional
    link : float, optional
        To other devices of its machine, in bytes a second each way.
    """

    name: str
    memory: float
    peak: float
    peak_float32: float | None = None
    link: float | None = None

    def __post_init__(self):
        for name in ("memory", "peak", "peak_float32", "link"):
            if getattr(self, name) is not None:
                _above_zero(name, getattr(self, name))


# NVIDIA's datasheets of V100 (2020), A100 (2021) and H100 (2023), SXM. They give links as both ways together, and the
# H100's peak with "sparsity", which is twice what a dense product gets.
HARDWARE = {
    device.name: device
    for device in (
        Hardware("V100-16GB", 16e9, 125e12, 15.7e12, 150e9),
        Hardware("V100-32GB", 32e9, 125e12, 15.7e12, 150e9),
        Hardware("A100-40GB", 40e9, 312e12, 19.5e12, 300e9),
        Hardware("A100-80GB", 80e9, 312e12, 19.5e12, 300e9),
        Hardware("H100-80GB", 80e9, 989.4e12, 66.9e12, 450e9),
    )
}


@dataclass(frozen=True)
class Plan:
    """A training that was not begun: what it takes. Printed, it is a table.

    Parameters
    ----------
    architecture : Architecture
        Or whatever `Architecture.of` reads.
    tokens : float, optional
        To train on, in all.
    hardware : Hardware or str, optional
        One of `HARDWARE`, by name, or your own.
    devices : int, optional
        How many work side by side, each on texts of its own.
    utilisation : float, optional
        The part of the peak that the products get, recomputed ones included.
    price : float, optional
        Of a device, an hour. Prices move, so no table has them.
    batch_size, block_size : int, optional
        How many texts a device reads at each step, and how many tokens each has.
    precision : {"mixed", "float32"}, optional
        Unless given, what a model of this engine is trained in is float32, and others mixed.
    recompute : {"none", "attention", "blocks"}, optional
        See `Architecture.activation_bytes`. Unless given, attention in mixed precision, nothing in float32.
    link : float, optional
        Between devices, in bytes a second each way. Unless given, the hardware's own, up to 8 devices.

    Raises
    ------
    TypeError, ValueError
        If something makes no sense; and from a method, if what it needs is not known.
    """

    architecture: Architecture
    tokens: float | None = None
    hardware: Hardware | str | None = None
    devices: int = 1
    utilisation: float = 0.4
    price: float | None = None
    batch_size: int = 1
    block_size: int = 0
    precision: str = ""
    recompute: str = ""
    link: float | None = None

    def __post_init__(self):
        model = Architecture.of(self.architecture)
        made = {"architecture": model, "block_size": self.block_size or model.block_size}
        made["precision"] = self.precision or ("float32" if model.model_type == "microlearn" else "mixed")
        made["recompute"] = self.recompute or ("attention" if made["precision"] == "mixed" else "none")
        _one_of("precision", made["precision"], BYTES)
        _one_of("recompute", made["recompute"], RECOMPUTE)
        if isinstance(self.hardware, str):
            made["hardware"] = HARDWARE[_one_of("hardware", self.hardware, HARDWARE)]
        elif not isinstance(self.hardware, Hardware | None):
            raise TypeError(f"hardware: expected a name or a Hardware, got {self.hardware!r:.60}")
        for name, value in made.items():
            object.__setattr__(self, name, value)
        for name in ("devices", "batch_size", "block_size"):
            _size(name, getattr(self, name))
        for name in ("tokens", "price", "link", "utilisation"):
            if getattr(self, name) is not None:
                _above_zero(name, getattr(self, name))
        if self.utilisation > 1.0:
            raise ValueError(f"utilisation: expected a part of the peak, at most 1, got {self.utilisation!r}")
        if model.learned_positions and self.block_size > model.block_size:
            raise ValueError(
                f"block_size: {self.block_size} tokens are more than the {model.block_size} places that the model knows"
            )

    def flops(self):
        """Count the arithmetic of the whole training."""
        if self.tokens is None:
            raise ValueError("tokens: unknown: give how many to train on")
        return self.tokens * self.architecture.training_flops(self.block_size, self.recompute)

    def seconds(self):
        """Say how long it takes: the arithmetic, by what all devices get done in a second."""
        return self.flops() / (self.devices * self._speed())

    def device_hours(self):
        """Say how many hours of a device that is."""
        return self.seconds() * self.devices / 3600

    def cost(self):
        """Say what these hours cost."""
        if self.price is None:
            raise ValueError("price: unknown: give a device hour's: prices move")
        return self.device_hours() * self.price

    def memory(self, devices=1):
        """Add up the bytes that a device needs, by kind.

        Parameters
        ----------
        devices : int, optional
            Among how many the optimizer's part is divided, as ZeRO-1 does.

        Returns
        -------
        dict of float
        """
        count = sum(self.architecture.parameters().values())
        kinds = {kind: size * count for kind, size in BYTES[self.precision].items()}
        kinds["optimizer"] /= devices
        sizes = self.batch_size, self.block_size, self.precision, self.recompute
        return kinds | {"activations": self.architecture.activation_bytes(*sizes)}

    def serving_bytes(self):
        """Add up what writing takes: the weights, and keys and values of one text of `block_size` tokens."""
        size = BYTES[self.precision]["weights"]
        count = sum(self.architecture.parameters().values())
        return size * count + self.architecture.cache_bytes(self.block_size, size)

    def fits(self, hardware):
        """Say on how many devices a training fits, where ZeRO-1 divides the optimizer's part among them.

        Parameters
        ----------
        hardware : Hardware

        Returns
        -------
        int or None
            1 where a single device is enough; None where no number of them is.
        """
        need = self.memory()
        left = hardware.memory - (sum(need.values()) - need["optimizer"])
        return math.ceil(need["optimizer"] / left) if left > 0 else None

    def step_seconds(self):
        """Say how long a device computes at each step."""
        tokens = self.batch_size * self.block_size
        return tokens * self.architecture.training_flops(self.block_size, self.recompute) / self._speed()

    def all_reduce_bytes(self):
        """Add up what each device sends at each step, so that all have the mean of their gradients.

        In a ring of n, each sends `2 * (n - 1) / n` times the gradient (Patarasuk and Yuan, *Bandwidth optimal
        all-reduce algorithms for clusters of workstations*, 2009, https://doi.org/10.1016/j.jpdc.2008.09.002).
        """
        return 2 * (self.devices - 1) / self.devices * self.memory()["gradients"]

    def all_reduce_seconds(self):
        """Say how long that takes on the link, if nothing is computed meanwhile."""
        link = self.link
        if link is None and self.devices <= MACHINE:
            link = self._device().link
        if link is None:
            raise ValueError("link: unknown: give your network's bytes a second")
        return self.all_reduce_bytes() / link

    def _device(self):
        if self.hardware is None:
            raise ValueError(f"hardware: unknown: give a name, such as {next(reversed(HARDWARE))}")
        return self.hardware

    def _speed(self):
        """Return what a device gets done, in FLOP a second."""
        device = self._device()
        peak = device.peak if self.precision == "mixed" else device.peak_float32
        if peak is None:
            raise ValueError("hardware: unknown: give its peak_float32")
        return peak * self.utilisation

    def __str__(self):
        rows = []
        for label, *rest in _table(self):
            value, note = rest or ("", "")
            rows.append(f"{label:<26}{value:>15}  {note}".rstrip() if rest else f"\n{label}")
        return "\n".join(rows).strip()


def graph_flops(root):
    """Count the additions and multiplications of matrix products that made a tensor: those of a real graph.

    Parameters
    ----------
    root : Tensor
        Such as a loss. What it was made of is walked through, as `backward` would; what is recomputed has no graph yet
        and does not count.

    Returns
    -------
    int

    Examples
    --------
    >>> from microlearn.llm import GPT
    >>> config = GPTConfig(block_size=8, vocab_size=5, n_layer=2, n_head=2, n_embd=4)
    >>> logits, loss = GPT(config)([[1, 2, 3]], [[2, 3, 4]])
    >>> graph_flops(loss) == 3 * sum(Architecture.of(config).forward_flops(3).values())
    True
    """
    flops = 0
    for node in topological_order(root):
        if node.op in ("linear", "matmul"):  # each number of the result is a row times a column
            flops += 2 * node.data.size * node.parents[0].shape[-1]
        elif node.op == "causal_attention":  # (B, T, C): queries by keys, weights by values
            flops += 2 * 2 * node.data.size * node.shape[1]
    return flops


def _published(found, place):
    """Make an architecture of what a config.json says; refuse one that we do not know, or that no model has."""
    kind = found.get("model_type")
    ours = kind is None and "block_size" in found
    if not ours and kind not in list(PUBLISHED):  # a list has no hash
        raise ValueError(
            f"{place}: a model_type of {kind!r} is not known here: "
            f"expected {', '.join(PUBLISHED)}, or what `microlearn train` writes"
        )
    needed, optional = ({name: name for name in _OURS}, {}) if ours else PUBLISHED[kind]
    found = {"n_positions": found.get("n_ctx")} | found  # older files of GPT-2 have the other name
    missing = [theirs for theirs in needed.values() if found.get(theirs) is None]
    if missing:
        raise ValueError(f"{place}: there is no {' and no '.join(missing)}, and without it no size can be told")
    names = needed | optional
    sizes = {name: found[theirs] for name, theirs in names.items() if found.get(theirs) is not None}
    try:
        if ours:
            return Architecture.of(GPTConfig(**sizes))
        for name, size in sizes.items():
            whole(name, size)
        return Architecture(**sizes, **_traits(kind, found), model_type=kind)
    except (TypeError, ValueError) as error:
        name, _, rest = str(error).partition(": ")
        raise ValueError(f"{place}: {names.get(name, name)}: {rest}") from None


def _traits(kind, found):
    """Say how a kind of published model differs from a GPT-2, beside its sizes."""
    if kind == "gpt2":
        return {"tied": found.get("tie_word_embeddings", True), "dropout": bool(found.get("resid_pdrop", 0.1))}
    biases = ("qkv", "out") * bool(found.get("attention_bias")) + ("mlp",) * bool(found.get("mlp_bias"))
    looks_back = found.get("sliding_window") if found.get("use_sliding_window", True) else None
    return {
        "gated": True,
        "tied": found.get("tie_word_embeddings", False),
        "learned_positions": False,
        "biases": ("qkv",) if kind == "qwen2" else biases if kind == "llama" else (),
        "window": None if kind == "llama" else looks_back,
    }


def _table(plan):
    """Yield the rows of a plan: label, value and note, or a title alone."""
    model, device, parts = plan.architecture, plan.hardware, plan.architecture.parameters()
    count, active = sum(parts.values()), sum(model.parameters(active=True).values())
    yield (f"{model.model_type}: {model.n_layer} blocks, width {model.n_embd:,}, context {model.block_size:,}",)
    for part, size in parts.items():
        yield f"  {part}", f"{size:,}", f"{size / count:6.1%}"
    yield "  parameters", f"{count:,}", ""
    if active < count:
        yield "  that one token meets", f"{active:,}", f"{active / count:6.1%}"

    yield (f"arithmetic for one token, in windows of {plan.block_size:,}",)
    forward = model.forward_flops(plan.block_size)
    there, together = sum(forward.values()), model.training_flops(plan.block_size, plan.recompute)
    yield "  there", _short(there, "FLOP"), f"attention's T x T: {forward['attention'] / there:.1%}"
    yield "  back", _short(2 * there, "FLOP"), ""
    if plan.recompute != "none":
        yield "  computed again", _short(together - 3 * there, "FLOP"), plan.recompute
    yield "  together", _short(together, "FLOP"), f"the rule of 6 N: {_short(6 * active, 'FLOP')}"

    yield (f"memory of one device, {plan.precision}, {plan.batch_size} x {plan.block_size:,} tokens",)
    memory = plan.memory()
    for kind, size in memory.items():
        yield f"  {kind}", _short(size, "B"), f"recomputed: {plan.recompute}" if kind == "activations" else ""
    yield "  together", _short(sum(memory.values()), "B"), ""
    if plan.devices > 1:
        shared = sum(plan.memory(plan.devices).values())
        yield "  together, shared", _short(shared, "B"), f"the optimizer: ZeRO-1, {plan.devices:,} x"
    for other in (choice for choice in RECOMPUTE if choice != plan.recompute):
        size = model.activation_bytes(plan.batch_size, plan.block_size, plan.precision, other)
        yield "  activations, otherwise", _short(size, "B"), f"recomputed: {other}"

    yield ("the training",)
    if plan.tokens is None:
        yield "  tokens", "unknown", f"20 a parameter would be {_short(20 * active)}"
    else:
        yield "  tokens", _short(plan.tokens), f"{plan.tokens / active:,.3g} a parameter"
    yield _known("  arithmetic", plan.flops, lambda flops: f"{flops:.2e} FLOP".replace("e+", "e"))
    if device is not None:
        peak = device.peak if plan.precision == "mixed" else device.peak_float32
        note = f"{plan.utilisation:.0%} of {_short(peak, 'FLOP/s')}" if peak else "in float32 unknown"
        yield f"  on {plan.devices:,} x", device.name, note
    yield _known("  time", plan.seconds, _duration)
    yield _known(
        "  hours of a device", plan.device_hours, lambda hours: f"{hours:,.0f}" if hours > 10 else f"{hours:.2g}"
    )
    yield _known("  cost", plan.cost, lambda cost: f"${cost:,.0f}" if cost > 10 else f"${cost:.2f}")

    yield ("each step",)
    yield "  tokens", f"{plan.devices * plan.batch_size * plan.block_size:,}", ""
    yield _known("  computing", plan.step_seconds, _duration)
    if plan.devices > 1:
        yield "  all-reduce", _short(plan.all_reduce_bytes(), "B"), "sent by each device"
        yield _known("  takes, alone", plan.all_reduce_seconds, _duration)

    yield ("where it fits: a training on at least so many devices (ZeRO-1), and writing",)
    for one in [*HARDWARE.values()] + [device] * (device is not None and device not in HARDWARE.values()):
        least = plan.fits(one)
        fits = "none" if least is None else f"{least:,} device{'s' * (least > 1)}"
        writes = "writes on one" if plan.serving_bytes() <= one.memory else "does not write on one"
        yield f"  {one.name}", fits, writes


def _known(label, compute, form):
    """Make a row of what is computed, or of why it cannot be."""
    try:
        return label, form(compute()), ""
    except ValueError as error:
        return label, "unknown", str(error).partition("unknown: ")[2]


def _short(number, unit=""):
    """Write a number with three digits and a prefix: 312 TFLOP, 80 GB."""
    prefixes, step = ("", "k", "M", "G", "T", "P", "E", "Z"), 0
    while number >= 999.5 and step < 7:
        number, step = number / 1000, step + 1
    return f"{number:.3g} {prefixes[step]}{unit}".rstrip()


def _duration(seconds):
    """Write a time in the largest unit that it fills."""
    for unit, size in (("years", 365 * 86400), ("days", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= size:
            return f"{seconds / size:,.3g} {unit}"
    return f"{seconds * 1000:.3g} ms"
