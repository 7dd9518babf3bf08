"""What a training costs: the formulas against the engine's own counts, and against figures that others published."""

import contextlib
import gc
import json
import shlex
import tracemalloc
import typing
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microlearn import Tensor, cli
from microlearn.autograd.backward import topological_order
from microlearn.deep import AdamW, manual_seed, tensor
from microlearn.llm import (
    GPT,
    Architecture,
    GPTConfig,
    Hardware,
    KVCache,
    Plan,
    graph_flops,
    parameter_count,
    scaled_dot_product_attention,
)
from microlearn.llm.plan import BYTES, HARDWARE, RECOMPUTE

# Sizes of models of this engine, and how many texts of how many tokens they read
DOZEN = [
    (GPTConfig(t, v, n, h, c, dropout, bias), b, t - less)
    for n, h, c, v, t, bias, dropout, b, less in [
        (1, 1, 4, 5, 3, True, 0.0, 1, 0),
        (1, 1, 4, 5, 3, False, 0.0, 1, 0),
        (2, 2, 8, 11, 6, True, 0.0, 3, 0),
        (2, 2, 8, 11, 6, True, 0.2, 3, 2),
        (3, 4, 16, 30, 16, False, 0.1, 2, 0),
        (4, 1, 8, 7, 64, True, 0.0, 1, 0),
        (4, 8, 8, 7, 64, False, 0.0, 2, 31),
        (2, 4, 64, 65, 32, True, 0.0, 4, 0),
        (2, 16, 64, 65, 32, True, 0.0, 4, 1),
        (1, 3, 48, 300, 100, False, 0.0, 2, 0),
        (6, 4, 32, 65, 24, False, 0.0, 2, 0),
        (2, 2, 96, 1000, 10, True, 0.3, 5, 3),
    ]
]
every_config = pytest.mark.parametrize(("config", "batch", "block"), DOZEN)


def ids_for(config, batch, block):
    return np.random.default_rng(0).integers(0, config.vocab_size, (batch, block))


# Against the engine


@settings(deadline=None, max_examples=60)
@given(
    block_size=st.integers(1, 9), vocab_size=st.integers(1, 20), n_layer=st.integers(1, 3), n_head=st.integers(1, 3),
    size=st.integers(1, 4), bias=st.booleans(),
)  # fmt: skip
def test_of_a_gpt_it_counts_the_parts_that_parameter_count_counts(block_size, vocab_size, n_layer, n_head, size, bias):
    config = GPTConfig(block_size, vocab_size, n_layer, n_head, n_head * size, bias=bias)
    wanted = {part: count for part, count in parameter_count(config).items() if count}
    assert Architecture.of(config).parameters() == Architecture.of(config).parameters(active=True) == wanted


class Counted(np.ndarray):
    """An array that notes every matrix product it takes part in, as numpy carries it out."""

    products: typing.ClassVar[list] = []

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        plain = [one.view(np.ndarray) if isinstance(one, Counted) else one for one in inputs]
        if out is not None:
            options["out"] = tuple(one.view(np.ndarray) if isinstance(one, Counted) else one for one in out)
        made = getattr(ufunc, method)(*plain, **options)
        if ufunc is np.matmul:
            self.products.append(2 * made.size * plain[0].shape[-1])
        if out is not None:
            return out[0]
        return made.view(Counted) if isinstance(made, np.ndarray) else made


@pytest.fixture
def products(monkeypatch):
    """A list of the matrix products that numpy really carries out, in additions and multiplications."""

    class Numpy(SimpleNamespace):
        ndarray = Counted

        @staticmethod
        def asarray(array):
            return np.asarray(array).view(Counted)

        def __getattr__(self, name):
            return getattr(np, name)

    monkeypatch.setattr(tensor, "np", Numpy())  # so that every node holds such arrays
    monkeypatch.setattr(Counted, "products", [])
    return Counted.products


@every_config
def test_the_products_are_those_that_numpy_carries_out(config, batch, block, products):
    model = GPT(config)
    for parameter in model.parameters():
        parameter.data = parameter.data.view(Counted)
    ids = ids_for(config, batch, block)
    loss = model(ids, ids)[1]
    forward = sum(products)
    loss.backward()
    architecture, tokens = Architecture.of(config), batch * block
    assert len(products) == 3 * (6 * config.n_layer + 1)
    assert forward == graph_flops(loss) == tokens * sum(architecture.forward_flops(block).values())
    assert sum(products) == tokens * architecture.training_flops(block)


def test_each_part_of_the_way_there_is_what_its_layer_multiplies():
    config = GPTConfig(block_size=6, vocab_size=11, n_layer=2, n_head=2, n_embd=8)
    loss = GPT(config)([[1, 2, 3, 4]], [[1, 2, 3, 4]])[1]
    found = {}
    for node in topological_order(loss):
        if node.op in ("linear", "causal_attention"):
            name = str(node.parents[1].shape) if node.op == "linear" else "attention"
            found[name] = found.get(name, 0) + graph_flops(node) - sum(graph_flops(p) for p in node.parents)
    counted = {part: 4 * flops for part, flops in Architecture.of(config).forward_flops(4).items()}
    assert list(counted.values()) == [
        found["(24, 8)"], found["(8, 8)"], found["(32, 8)"], found["(8, 32)"], found["attention"], found["(11, 8)"],
    ]  # fmt: skip


def test_products_that_are_written_out_count_as_those_of_the_fused_operations():
    q, k, v = (Tensor(np.ones((2, 3, 5, 4)), requires_grad=True) for _ in range(3))
    y = scaled_dot_product_attention(q, k, v, is_causal=True)
    assert graph_flops(y) == 2 * 2 * (2 * 3 * 5) * 5 * 4
    assert graph_flops(y.reshape(-1, 4) @ np.ones((4, 7))) == graph_flops(y) + 2 * 30 * 4 * 7
    assert graph_flops(q) == 0


def kept(root):
    """List the arrays, each once, that a graph keeps for the way back beside the parameters."""

    def own(array):
        return own(array.base) if isinstance(array.base, np.ndarray) else array

    def inside(function):
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):  # a name that was never given a value
                held = cell.cell_contents
                yield from inside(held) if hasattr(held, "__closure__") else [held]

    nodes = topological_order(root)
    arrays = [node.data for node in nodes] + [held for node in nodes for rule in node.rules for held in inside(rule)]
    found = {id(own(array)): own(array) for array in arrays if isinstance(array, np.ndarray)}
    for node in nodes:
        for parent in node.parents:
            if not parent.parents:
                found.pop(id(own(parent.data)), None)
    return list(found.values())


@every_config
def test_the_activations_are_those_that_the_graph_keeps_to_the_byte(config, batch, block):
    ids = ids_for(config, batch, block)
    targets = ids + 0
    loss = GPT(config)(ids, targets)[1]
    found = sum(array.nbytes for array in kept(loss) if array is not targets)
    assert Architecture.of(config).activation_bytes(batch, block, "float32") == found


@every_config
def test_with_blocks_recomputed_the_graph_keeps_their_inputs(config, batch, block):
    model, ids = GPT(config), ids_for(config, batch, block)
    targets = ids + 0
    model.transformer.recompute = True
    found = sum(array.nbytes for array in kept(model(ids, targets)[1]) if array is not targets)
    one, more = Architecture.of(config), replace(Architecture.of(config), n_layer=config.n_layer + 1)
    rebuilt = more.activation_bytes(batch, block, "float32") - one.activation_bytes(batch, block, "float32")
    assert one.activation_bytes(batch, block, "float32", "blocks") == found + rebuilt


@pytest.mark.parametrize(
    ("n_head", "bias", "dropout", "batch"), [(2, True, 0.0, 8), (8, False, 0.0, 2), (2, True, 0.1, 4)]
)
def test_the_activations_weigh_what_the_process_takes_for_them(n_head, bias, dropout, batch):
    config = GPTConfig(64, 200, 2, n_head, 64, dropout, bias)
    model, ids = GPT(config), ids_for(config, batch, 64)
    model(ids, ids)  # what is made once and kept, such as the mask
    gc.collect()
    tracemalloc.start()
    loss = model(ids, ids)[1]
    weighed = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    planned = Architecture.of(config).activation_bytes(batch, 64, "float32")
    assert loss.requires_grad and planned <= weighed <= 1.02 * planned  # a node is an object too


def test_a_parameter_takes_sixteen_bytes_in_a_training():
    manual_seed(0)
    model = GPT(GPTConfig(block_size=4, vocab_size=9, n_layer=1, n_head=1, n_embd=8))
    adam = AdamW(model.parameters())
    model([[1, 2]], [[2, 3]])[1].backward()
    adam.step()
    memory = Plan(model.config, block_size=2).memory()
    assert memory["weights"] == sum(p.data.nbytes for p in model.parameters())
    assert memory["gradients"] == sum(p.grad.nbytes for p in model.parameters())
    assert memory["optimizer"] == sum(a.nbytes for name, a in adam.state_dict().items() if "exp_avg" in name)


def test_the_cache_of_the_engine_has_the_size_that_is_planned():
    config = GPTConfig(block_size=16, vocab_size=9, n_layer=3, n_head=2, n_embd=8)
    cache = KVCache(config)
    held = sum(
        array.nbytes for array in vars(cache).values() if isinstance(array, np.ndarray) and array.dtype == np.float32
    )
    assert Architecture.of(config).cache_bytes(16, size=4) == held


# Against published figures. Sizes are those of the published config.json, or of the table of the paper.


def gpt2(n_layer, n_head, n_embd, n_positions=1024):
    """Radford et al., Language models are unsupervised multitask learners, 2019."""
    sizes = {"n_layer": n_layer, "n_head": n_head, "n_embd": n_embd, "n_positions": n_positions, "vocab_size": 50257}
    return {"model_type": "gpt2", **sizes}


def llama(width, inner, layers, heads, **others):
    """Touvron et al., LLaMA, 2023, https://arxiv.org/abs/2302.13971."""
    sizes = {
        "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
        "vocab_size": 32000, "max_position_embeddings": 2048, "tie_word_embeddings": False,
    }  # fmt: skip
    return {"model_type": "llama", **sizes, **others}


LLAMA = {
    "7B": llama(4096, 11008, 32, 32),
    "13B": llama(5120, 13824, 40, 40),
    "33B": llama(6656, 17920, 60, 52),
    "65B": llama(8192, 22016, 80, 64),
}
LLAMA_2_70B = llama(8192, 28672, 80, 64, num_key_value_heads=8, max_position_embeddings=4096)
LLAMA_3_405B = llama(16384, 53248, 126, 128, num_key_value_heads=8, vocab_size=128256, max_position_embeddings=131072)
MISTRAL = llama(4096, 14336, 32, 32, num_key_value_heads=8, max_position_embeddings=32768) | {"model_type": "mistral"}
MIXTRAL = MISTRAL | {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": None}
QWEN2 = llama(3584, 18944, 28, 28, num_key_value_heads=4, vocab_size=152064, max_position_embeddings=32768)
QWEN2 |= {"model_type": "qwen2", "use_sliding_window": False, "sliding_window": 131072}
SMALL_QWEN2 = QWEN2 | {
    "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
    "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip


def count(config, active=False):
    return sum(Architecture.of(config).parameters(active).values())


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (gpt2(12, 12, 768), 124_439_808),
        (gpt2(24, 16, 1024), 354_823_168),
        (gpt2(36, 20, 1280), 774_030_080),
        (gpt2(48, 25, 1600), 1_557_611_200),
        (LLAMA["7B"], 6_738_415_616),
        (LLAMA["13B"], 13_015_864_320),
        (LLAMA["33B"], 32_528_943_616),
        (LLAMA["65B"], 65_285_660_672),
        (LLAMA_2_70B, 68_976_648_192),
        (LLAMA_3_405B, 405_853_388_800),  # the paper says 405B: cut, not rounded, as the 65.2B of the first Llama are
        (MISTRAL, 7_241_732_096),
        (MIXTRAL, 46_702_792_704),
        (QWEN2, 7_615_616_512),
        (SMALL_QWEN2, 494_032_768),
    ],
)
def test_the_parameters_of_published_models_to_the_last_one(config, parameters):
    assert count(config) == parameters


def test_the_sizes_that_the_papers_round_to():
    assert [round(count(LLAMA[name]) / 1e9, 1) for name in LLAMA] == [6.7, 13.0, 32.5, 65.3]  # table 2 says 65.2
    assert round(count(MIXTRAL) / 1e9, 1) == 46.7  # Jiang et al., Mixtral of experts, 2024
    assert round(count(MIXTRAL, active=True) / 1e9, 1) == 12.9
    assert count(QWEN2, active=True) == count(QWEN2)


# Brown et al., Language models are few-shot learners, 2020, https://arxiv.org/abs/2005.14165: table D.1, and the sizes
# of table 2.1. Two of its rows cannot be built: 24 heads do not divide 2048, and 40 do not divide 5140; with 16 heads
# and a width of 5120, the counts are those of table D.1.
GPT3 = [
    (gpt2(12, 12, 768, 2048), 125, "2.25e+20"),
    (gpt2(24, 16, 1024, 2048), 356, "6.41e+20"),
    (gpt2(24, 16, 1536, 2048), 760, "1.37e+21"),
    (gpt2(24, 16, 2048, 2048), 1_320, "2.38e+21"),
    (gpt2(32, 32, 2560, 2048), 2_650, "4.77e+21"),
    (gpt2(32, 32, 4096, 2048), 6_660, "1.20e+22"),
    (gpt2(40, 40, 5120, 2048), 12_850, "2.31e+22"),
    (gpt2(96, 96, 12288, 2048), 174_600, "3.14e+23"),
]


@pytest.mark.parametrize(("config", "millions", "flops"), GPT3)
def test_table_d_1_of_gpt_3(config, millions, flops):
    wanted = float(flops)
    least = 10 ** (len(str(millions)) - len(str(millions).rstrip("0")))  # what it was rounded to
    assert count(config) / 1e6 == pytest.approx(millions, abs=max(least, 1) / 2 + 0.5)
    assert f"{6 * millions * 1e6 * 300e9:.2e}" == flops  # its N is that of all parameters
    assert 6 * count(config) * 300e9 == pytest.approx(wanted, rel=0.005)
    exact = Architecture.of(config).training_flops() * 300e9
    assert 1.0 < exact / wanted < 1.3  # attention, which the table leaves out
    if millions == 174_600:
        assert round(wanted / 1e15 / 86400, -1) == 3.63e3  # it says 3.64e3 PF-days, from more digits
        assert f"{6 * 174.6e9 * 300e9 / 1e15 / 86400:.2e}" == "3.64e+03"
        assert exact / wanted == pytest.approx(1.028, abs=0.001)


@pytest.mark.parametrize(("heads", "width"), [(24, 2048), (40, 5140)])
def test_two_rows_of_its_table_2_1_are_models_that_cannot_exist(heads, width):
    with pytest.raises(ValueError, match=f"config: n_head: a width of {width} does not divide into {heads} heads"):
        Architecture.of(gpt2(24, heads, width))


def test_chinchilla():
    """Hoffmann et al., 2022, https://arxiv.org/abs/2203.15556: 70B parameters, 1.4T tokens, a budget of 5.76e23."""
    assert pytest.approx(5.76e23, rel=0.021) == 6 * 70e9 * 1.4e12


def test_the_formula_of_megatron():
    """Narayanan et al., 2021, https://arxiv.org/abs/2104.04473: 96Bslh^2(1 + s/6h + V/16lh)."""
    n, c, v, t = 24, 2304, 51200, 2048
    model = Architecture(n, 24, c, v, t)
    assert model.training_flops(recompute="blocks") == pytest.approx(
        96 * n * c * c * (1 + t / (6 * c) + v / (16 * n * c))
    )
    assert model.training_flops() == pytest.approx(72 * n * c * c * (1 + t / (6 * c) + v / (12 * n * c)))


def test_the_formula_of_palm():
    """Chowdhery et al., 2022, https://arxiv.org/abs/2204.02311: 6N + 12LHQT, N without what is only looked up."""
    model = Architecture.of(LLAMA["65B"])
    parts = model.parameters()
    multiplied = sum(parts.values()) - parts["token embeddings"] - parts["layer norms"]
    assert model.training_flops(1024) == 6 * multiplied + 12 * 80 * 64 * 128 * 1024


@pytest.mark.parametrize(("s", "b", "h", "a", "layers"), [(2048, 4, 6144, 64, 48), (2048, 1, 12288, 96, 96)])
def test_the_activations_of_korthikanti(s, b, h, a, layers):
    """Their equations 2 and 6, and 2sbh for a block that keeps its input alone, https://arxiv.org/abs/2205.05198."""
    model = Architecture(layers, a, h, 51200, s, dropout=True)
    ends = 5 * s * b * h + 4 * s * b * 51200
    kept = {choice: model.activation_bytes(b, recompute=choice) - ends for choice in RECOMPUTE}
    assert kept["none"] == pytest.approx(s * b * h * layers * (34 + 5 * a * s / h), rel=1e-12)
    assert kept["attention"] == s * b * h * layers * 34
    assert kept["blocks"] == s * b * h * (2 * layers + 34)


def test_without_dropout_there_are_no_masks_and_in_float32_numbers_are_twice_as_long():
    sizes = (2, 4, 32, 100, 16)
    one = Architecture(*sizes, model_type="gpt2").activation_bytes(recompute="attention")
    assert one == 16 * (2 * 32 * 32 + 4 * 32 + 4 * 100)
    two = Architecture(*sizes, model_type="gpt2").activation_bytes(precision="float32", recompute="attention")
    assert two - 16 * 4 * 100 == 2 * (one - 16 * 4 * 100)
    with_maps = Architecture(*sizes, dropout=True).activation_bytes()
    without = Architecture(*sizes, dropout=True).activation_bytes(recompute="attention")
    assert with_maps - without == 2 * 5 * 4 * 16 * 16


def test_what_a_gated_mlp_and_shared_heads_keep():
    model = Architecture(1, 8, 64, 10, 4, n_kv_head=2, n_inner=100, gated=True, n_expert=4, n_active=2)
    numbers = 4 * 64 + 2 * 64 + 2 * 16 + 4 * 2 * 100
    assert model.activation_bytes(recompute="attention") == 4 * (2 * numbers + 4 * 64 + 4 * 10)


def test_llama_s_hours_and_what_was_reached():
    """LLaMA, 2023: 380 tokens a second and GPU, 2048 A100-80GB, about 21 days for 1.4T tokens; table 15's hours."""
    plan = Plan(LLAMA["65B"], 1.4e12, "A100-80GB", 2048, recompute="none")
    reached = 380 * plan.flops() / plan.tokens / HARDWARE["A100-80GB"].peak
    assert reached == pytest.approx(0.495, abs=0.001)
    plan = Plan(LLAMA["65B"], 1.4e12, "A100-80GB", 2048, reached, recompute="none")
    assert round(plan.seconds() / 86400) == 21
    assert plan.device_hours() == pytest.approx(1_022_362, rel=0.002)
    assert plan.device_hours() == pytest.approx(1.4e12 / 380 / 3600)
    small = Plan(LLAMA["7B"], 1.0e12, "A100-80GB", utilisation=1.0, recompute="none")
    assert small.device_hours() / 82_432 == pytest.approx(0.463, abs=0.001)


def test_llama_2_and_3():
    """Llama 2, https://arxiv.org/abs/2307.09288, table 2; Llama 3, https://arxiv.org/abs/2407.21783, and its card."""
    second = Plan(LLAMA_2_70B, 2e12, "A100-80GB", utilisation=1.0, recompute="none")
    assert second.device_hours() / 1_720_320 == pytest.approx(0.460, abs=0.001)
    assert f"{6 * count(LLAMA_3_405B) * 15.6e12:.1e}" == "3.8e+25"
    third = Plan(LLAMA_3_405B, 15.6e12, "H100-80GB", utilisation=1.0, block_size=8192, recompute="none")
    # 38 to 43 % while it runs; the hours of the card have the standstills in them too
    assert 0.34 < third.device_hours() / 30.84e6 < 0.38


# A plan


def test_time_cost_and_hours():
    model = Architecture(2, 2, 8, 11, 6)
    plan = Plan(model, 1e9, Hardware("mine", 1e9, 1e12, 2e11), 4, 0.5, 3.0, precision="mixed", recompute="none")
    flops = 1e9 * model.training_flops()
    assert plan.flops() == flops
    assert plan.seconds() == flops / (4 * 0.5 * 1e12)
    assert plan.device_hours() == pytest.approx(flops / 0.5e12 / 3600)
    assert plan.cost() == pytest.approx(3.0 * plan.device_hours())
    slow = Plan(model, 1e9, plan.hardware, 4, 0.5, precision="float32", recompute="none")
    assert slow.seconds() == pytest.approx(5 * plan.seconds())
    assert plan.step_seconds() == pytest.approx(6 * model.training_flops() / 0.5e12)
    more = Plan(model, None, plan.hardware, 4, 0.5, batch_size=3, precision="mixed", recompute="none")
    assert more.step_seconds() == pytest.approx(3 * plan.step_seconds())
    again = Plan(model, 1e9, plan.hardware, 4, 0.5, precision="mixed", recompute="blocks")
    blocks = sum(flops for part, flops in model.forward_flops().items() if part != "last layer")
    assert again.flops() - plan.flops() == 1e9 * blocks


def test_what_a_ring_sends():
    plan = Plan(LLAMA["7B"], hardware="A100-80GB", devices=8)
    assert plan.all_reduce_bytes() == pytest.approx(2 * 7 / 8 * 2 * 6_738_415_616)
    assert plan.all_reduce_seconds() == pytest.approx(plan.all_reduce_bytes() / 300e9)
    assert Plan(LLAMA["7B"]).all_reduce_bytes() == 0
    assert Plan(LLAMA["7B"], devices=2048, link=25e9).all_reduce_seconds() == pytest.approx(
        2 * 2047 / 2048 * 2 * 6_738_415_616 / 25e9
    )
    assert Plan(LLAMA["7B"], devices=2, precision="float32").all_reduce_bytes() == 4 * 6_738_415_616


def test_the_hardware_is_that_of_the_data_sheets():
    """TFLOP/s of dense products in 16 and 32 bits, and GB/s of NVLink both ways together: V100, A100, H100, SXM."""
    sheets = {"V100": (125, 15.7, 300), "A100": (312, 19.5, 600), "H100": (1978.9 / 2, 66.9, 900)}
    for name, device in HARDWARE.items():
        chip, memory = name.split("-")
        wanted = [*sheets[chip], int(memory.removesuffix("GB"))]
        found = [device.peak / 1e12, device.peak_float32 / 1e12, 2 * device.link / 1e9, device.memory / 1e9]
        assert found == pytest.approx(wanted, rel=1e-4), name


def test_zero_divides_the_optimizer_s_part():
    plan = Plan(LLAMA["7B"], block_size=1024)
    one, many = plan.memory(), plan.memory(devices=12)
    assert many.pop("optimizer") == 6_738_415_616 == one.pop("optimizer") / 12
    assert one == many


@pytest.mark.parametrize("precision", BYTES)
def test_sixteen_bytes_a_parameter_in_either_precision(precision):
    memory = Plan(LLAMA["7B"], precision=precision).memory()
    assert sum(memory.values()) - memory["activations"] == 16 * 6_738_415_616


def test_where_it_fits():
    plan = Plan(LLAMA["7B"], recompute="blocks")
    found = {name: plan.fits(device) for name, device in HARDWARE.items()}
    assert found["V100-16GB"] is None  # its weights and gradients alone are 27 GB
    for name, devices in found.items():
        if devices is not None:
            assert sum(plan.memory(devices).values()) <= HARDWARE[name].memory
            assert sum(plan.memory(devices - 1).values()) > HARDWARE[name].memory
    assert found["A100-80GB"] == found["H100-80GB"] < found["A100-40GB"]
    assert Plan(gpt2(12, 12, 768)).fits(HARDWARE["V100-16GB"]) == 1
    full = sum(plan.memory().values())
    assert plan.fits(Hardware("exact", full, 1.0)) == 1
    assert plan.fits(Hardware("exact", full - 1, 1.0)) == 2
    undivided = full - plan.memory()["optimizer"]
    assert plan.fits(Hardware("exact", undivided, 1.0)) is None


def test_writing_needs_weights_and_the_cache():
    """Llama 2 70B shares keys and values: 8 heads, not 64, are an eighth of the cache."""
    model = Architecture.of(LLAMA_2_70B)
    assert model.cache_bytes(4096) == 2 * 80 * 8 * 128 * 4096 * 2
    assert Plan(LLAMA_2_70B).serving_bytes() == 2 * 68_976_648_192 + model.cache_bytes(4096)
    assert Architecture.of(MISTRAL | {"sliding_window": 4096}).cache_bytes(32768) == 2 * 32 * 8 * 128 * 4096 * 2


def test_a_window_bounds_attention():
    seen = Architecture.of(MISTRAL | {"sliding_window": 4096})
    assert seen.forward_flops(32768)["attention"] == Architecture.of(MISTRAL).forward_flops(4096)["attention"]
    assert seen.forward_flops(1024) == Architecture.of(MISTRAL).forward_flops(1024)
    assert Architecture.of(QWEN2).window is None
    assert Architecture.of(LLAMA["7B"] | {"sliding_window": 4}).window is None
    assert Architecture.of(QWEN2 | {"use_sliding_window": True}).window == 131072


def test_biases_where_each_kind_has_them():
    width, held = 4096, 1024
    plain = llama(width, 14336, 32, 32, num_key_value_heads=8)
    for none in (plain, MISTRAL | {"attention_bias": True}):
        assert "biases" not in Architecture.of(none).parameters()
    both = Architecture.of(plain | {"attention_bias": True, "mlp_bias": True}).parameters()
    assert both["biases"] == 32 * ((width + 2 * held) + width + (2 * 14336 + width))
    assert Architecture.of(QWEN2).parameters()["biases"] == 28 * (3584 + 2 * 512)


def test_a_width_of_heads_of_its_own():
    model = Architecture.of(llama(5120, 14336, 40, 32, num_key_value_heads=8, head_dim=128))  # Mistral NeMo's
    parts = model.parameters()
    assert model.forward_flops(100)["attention"] == 40 * 4 * 100 * 4096
    assert parts["queries, keys, values"] == 40 * 5120 * (4096 + 2048)
    assert parts["attention's output"] == 40 * 4096 * 5120


# What is read, and what is refused


def test_it_is_read_from_wherever_it_stands(tmp_path):
    wanted = Architecture.of(LLAMA["7B"])
    (tmp_path / "config.json").write_text(json.dumps(LLAMA["7B"]))
    for given_as in (tmp_path, str(tmp_path), tmp_path / "config.json", wanted):
        assert Architecture.of(given_as) == wanted
    small = GPTConfig(8, 5, 1, 2, 4, 0.1, False)
    ours = vars(small) | {"training": {"tokenizer": "char"}}
    assert Architecture.of(ours) == Architecture.of(small)
    assert Architecture.of(ours).dropout and not Architecture.of(ours).biases
    old = {name: size for name, size in gpt2(12, 12, 768).items() if name != "n_positions"} | {"n_ctx": 512}
    assert Architecture.of(old).block_size == 512
    assert Architecture.of(gpt2(12, 12, 768)).dropout
    assert not Architecture.of(gpt2(12, 12, 768) | {"resid_pdrop": 0.0}).dropout
    assert count(gpt2(2, 2, 8) | {"n_inner": 10}) < count(gpt2(2, 2, 8) | {"n_inner": None})
    assert count(gpt2(2, 2, 8) | {"tie_word_embeddings": False}) == count(gpt2(2, 2, 8)) + 50257 * 8


OURS = {"block_size": 8, "vocab_size": 5, "n_layer": 1, "n_head": 1, "n_embd": 4, "dropout": 0.0, "bias": True}


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"model_type": "bert"}, "config: a model_type of 'bert' is not known here: expected gpt2, llama, mistral, "),
        ({}, "config: a model_type of None is not known here: expected gpt2, llama, mistral, mixtral, qwen2, or what "),
        ({"model_type": ["llama"]}, "config: a model_type of ['llama'] is not known here"),
        ({"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 4}, "there is no vocab_size and no n_positions, "),
        ({k: v for k, v in MISTRAL.items() if k != "num_key_value_heads"}, "config: there is no num_key_value_heads"),
        (MISTRAL | {"model_type": "mixtral"}, "there is no num_local_experts and no num_experts_per_tok, and "),
        (LLAMA["7B"] | {"hidden_size": 4097}, "num_attention_heads: a width of 4097 does not divide into 32 heads"),
        (LLAMA_2_70B | {"num_key_value_heads": 7}, "num_key_value_heads: 64 heads cannot share 7 heads of keys and "),
        (LLAMA_2_70B | {"num_key_value_heads": 0}, "config: num_key_value_heads: expected a whole number above zero"),
        (LLAMA["7B"] | {"num_hidden_layers": "32"}, "num_hidden_layers: expected a whole number above zero, got '32'"),
        (LLAMA["7B"] | {"vocab_size": -1}, "config: vocab_size: expected a whole number above zero, got -1"),
        (LLAMA["7B"] | {"intermediate_size": 2.5}, "config: intermediate_size: expected a whole number above zero"),
        (MIXTRAL | {"num_experts_per_tok": 9}, "num_experts_per_tok: a token cannot meet 9 experts where there are 8"),
        (OURS | {"n_head": 3}, "config: n_head: a width of 4 does not divide into 3 heads"),
        ({k: v for k, v in OURS.items() if k != "bias"}, "config: there is no bias, and without it no size can be "),
    ],
)
def test_a_config_of_no_model_is_refused_by_name(config, error):
    with pytest.raises(ValueError) as caught:
        Architecture.of(config)
    assert error in str(caught.value) and str(caught.value).startswith("config: ")


def test_a_file_that_is_no_config_is_refused_by_name(tmp_path):
    (tmp_path / "cut.json").write_text('{"model_type": "ll')
    (tmp_path / "list.json").write_text("[1, 2]")
    for name, error in [("cut.json", "expected JSON, and it is damaged"), ("list.json", "expected a JSON object")]:
        with pytest.raises(ValueError, match=error) as caught:
            Architecture.of(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(ValueError, match=r"there is no config\.json in this folder"):
        Architecture.of(tmp_path)
    with pytest.raises(FileNotFoundError):
        Architecture.of(tmp_path / "away.json")
    with pytest.raises(TypeError):
        Architecture.of(3)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"n_layer": 0}, "n_layer: expected a whole number above zero, got 0"),
        ({"n_head": 3}, "n_head: a width of 8 does not divide into 3 heads"),
        ({"n_kv_head": 3}, "n_kv_head: 2 heads cannot share 3 heads of keys and values evenly"),
        ({"n_active": 2}, "n_active: a token cannot meet 2 experts where there is 1"),
        ({"n_inner": -4}, "n_inner: expected a whole number above zero, got -4"),
        ({"biases": ("qvk",)}, "biases: there is no qvk, did you mean qkv?"),
        ({"window": 0}, "window: expected a whole number above zero, got 0"),
        ({"vocab_size": 10**9 + 1}, "vocab_size: expected at most 1,000,000,000, got 1000000001"),
        ({"n_inner": 10**400}, f"n_inner: expected at most 1,000,000,000, got {10**400}"),
    ],
)
def test_a_model_that_cannot_exist(change, error):
    with pytest.raises(ValueError) as caught:
        Architecture(**{"n_layer": 1, "n_head": 2, "n_embd": 8, "vocab_size": 5, "block_size": 4} | change)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"hardware": "A100"}, "hardware: there is no A100, did you mean A100-80GB?"),
        ({"hardware": "abacus"}, "hardware: there is no abacus: expected one of V100-16GB, V100-32GB, A100-40GB, "),
        ({"precision": "half"}, "precision: there is no half: expected one of mixed, float32"),
        ({"recompute": "block"}, "recompute: there is no block, did you mean blocks?"),
        ({"tokens": 0}, "tokens: expected a number above 0, got 0"),
        ({"tokens": float("nan")}, "tokens: expected a number above 0, got nan"),
        ({"price": -1.0}, "price: expected a number above 0, got -1.0"),
        ({"utilisation": 40}, "utilisation: expected a part of the peak, at most 1, got 40"),
        ({"utilisation": 0.0}, "utilisation: expected a number above 0, got 0.0"),
        ({"devices": 0}, "devices: expected a whole number above zero, got 0"),
        ({"batch_size": -2}, "batch_size: expected a whole number above zero, got -2"),
        ({"block_size": 7}, "block_size: 7 tokens are more than the 6 places that the model knows"),
        ({"link": 0.0}, "link: expected a number above 0, got 0.0"),
        ({"devices": 10**400}, "devices: expected at most 1,000,000,000, got 1000"),
    ],
)
def test_a_plan_that_makes_no_sense(change, error):
    with pytest.raises(ValueError) as caught:
        Plan(Architecture(1, 1, 4, 5, 6), **change)
    assert str(caught.value).startswith(error)


@pytest.mark.parametrize("numbers", [(0.0, 1.0), (1.0, -1.0), (1.0, 1.0, 0.0), (1.0, 1.0, None, float("inf"))])
def test_hardware_that_cannot_be(numbers):
    with pytest.raises(ValueError, match="expected a number above 0"):
        Hardware("none", *numbers)


def test_hardware_has_a_name_or_is_hardware():
    with pytest.raises(TypeError, match="hardware: expected a name or a Hardware, got 5"):
        Plan(LLAMA["7B"], hardware=5)


def test_positions_that_are_not_learned_may_be_more_than_those_of_the_config():
    assert Plan(LLAMA["7B"], block_size=4096).memory()["activations"] > 0


@pytest.mark.parametrize(
    ("settings", "method", "error"),
    [
        ({}, "flops", "tokens: unknown: give how many to train on"),
        ({"tokens": 1e9}, "seconds", "hardware: unknown: give a name, such as H100-80GB"),
        ({"tokens": 1e9}, "device_hours", "hardware: unknown: give a name, such as H100-80GB"),
        ({"tokens": 1e9, "hardware": "A100-80GB"}, "cost", "price: unknown: give a device hour's: prices move"),
        ({}, "step_seconds", "hardware: unknown: give a name, such as H100-80GB"),
        ({"devices": 8}, "all_reduce_seconds", "hardware: unknown: give a name, such as H100-80GB"),
        (
            {"devices": 9, "hardware": "A100-80GB"},
            "all_reduce_seconds",
            "link: unknown: give your network's",
        ),
        ({"devices": 2, "hardware": Hardware("x", 1e9, 1e9)}, "all_reduce_seconds", "link: unknown: give"),
        (
            {"hardware": Hardware("x", 1e9, 1e9), "precision": "float32"},
            "step_seconds",
            "hardware: unknown: give its peak_float32",
        ),
    ],
)
def test_what_is_not_known_is_said_in_one_sentence_and_in_the_table(settings, method, error):
    plan = Plan(LLAMA["7B"], **settings)
    with pytest.raises(ValueError) as caught:
        getattr(plan, method)()
    assert str(caught.value).startswith(error)
    assert "unknown  " + error.partition("unknown: ")[2] in str(plan)


EVERY_PLAN = [
    Plan(LLAMA["65B"], 1.4e12, "A100-80GB", 2048, price=2.0, link=25e9),
    Plan(LLAMA_3_405B, 15.6e12, "H100-80GB", 16384, 0.4, 3.0),
    Plan(MIXTRAL),
    Plan(GPTConfig(), 1e6, Hardware("a name that is longer", 1e6, 1e9)),
    Plan(GPTConfig(4, 5, 1, 1, 4), 10, "V100-16GB", 8, price=0.01, precision="mixed"),
]


@pytest.mark.parametrize("plan", EVERY_PLAN)
def test_the_table_fits_a_terminal(plan):
    assert all(len(line) <= 80 for line in str(plan).splitlines())


def test_the_largest_numbers_that_may_be_typed_are_shown():
    big = 10**9
    plan = Plan(
        Architecture(big, 1, 10**8, big, big), 1e300, Hardware("x", 1e-300, 1e-300), big, price=1e300, batch_size=big
    )
    assert "inf FLOP" in str(plan)
    assert "e+" in str(plan)


def row(text, label):
    (found,) = [line for line in text.splitlines() if line.startswith(f"  {label} ")]
    return " ".join(found.split()[len(label.split()) :])


def test_the_table_says_what_the_plan_computes():
    text = str(EVERY_PLAN[0])
    assert text.startswith("llama: 80 blocks, width 8,192, context 2,048\n")
    assert row(text, "MLP, gate") == "14,428,405,760 22.1%"
    assert row(text, "parameters") == "65,285,660,672"
    assert row(text, "there") == "135 GFLOP attention's T x T: 4.0%"
    assert row(text, "back") == "271 GFLOP"
    assert row(text, "computed again") == "5.37 GFLOP attention"
    assert row(text, "weights") == row(text, "gradients") == "131 GB"
    assert row(text, "optimizer") == "783 GB"
    assert "1.4 T  21.4 a parameter" in text
    assert row(text, "on 2,048 x") == "A100-80GB 40% of 312 TFLOP/s"
    assert row(text, "arithmetic") == "5.76e23 FLOP"
    assert row(text, "time") == "26.1 days"
    assert row(text, "cost") == f"${EVERY_PLAN[0].cost():,.0f}"
    assert row(text, "takes, alone") == "10.4 s"
    assert row(text, "A100-80GB") == "none does not write on one"
    assert "  that one token meets     12,879,925,248   27.6%" in str(EVERY_PLAN[2])
    assert "unknown  20 a parameter would be 258 G" in str(EVERY_PLAN[2])
    assert "the rule of 6 N: 77.3 GFLOP" in str(EVERY_PLAN[2])
    assert "258 G  20 a parameter" in str(Plan(MIXTRAL, 258e9))
    nearly = Hardware("nearly", 1e9, 999.7e12)
    assert row(str(Plan(MIXTRAL, hardware=nearly)), "on 1 x") == "nearly 40% of 1 PFLOP/s"
    assert row(str(EVERY_PLAN[3]), "a name that is longer") == "none does not write on one"
    assert "in float32 unknown" in str(EVERY_PLAN[3])
    assert row(str(EVERY_PLAN[4]), "V100-16GB") == "1 device writes on one"


# The command


def run(capsys, *arguments):
    capsys.readouterr()
    status = cli.main(["plan", *(str(argument) for argument in arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(LLAMA["7B"]))
    return file


def test_the_command_prints_the_plan(config, capsys):
    assert run(capsys, config) == (0, f"{Plan(LLAMA['7B'])}\n", "")
    assert run(capsys, config.parent)[1] == f"{Plan(LLAMA['7B'])}\n"


def test_every_option_reaches_the_plan(config, capsys):
    typed = "--tokens 1e12 --hardware A100-40GB --devices 64 --utilisation 0.5 --price 1.5 --batch-size 4 "
    typed += "--block-size 1024 --precision float32 --recompute blocks --link 25"
    settings = {
        "tokens": 1e12, "hardware": "A100-40GB", "devices": 64, "utilisation": 0.5, "price": 1.5, "batch_size": 4,
        "block_size": 1024, "precision": "float32", "recompute": "blocks", "link": 25e9,
    }  # fmt: skip
    wanted = str(Plan(LLAMA["7B"], **settings))
    assert run(capsys, config, *typed.split()) == (0, wanted + "\n", "")
    for name, value in settings.items():  # and none of them is without an effect
        if name != "price":
            others = {k: v for k, v in settings.items() if k != name}
            assert str(Plan(LLAMA["7B"], **others)) != wanted, (name, value)


def test_sizes_of_our_own(capsys):
    typed = shlex.split("--n-layer 2 --n-head 2 --n-embd 8")
    wanted = Plan(GPTConfig(1024, 50257, 2, 2, 8, bias=False))
    assert run(capsys, *typed) == (0, f"{wanted}\n", "")
    wanted = Plan(GPTConfig(16, 65, 2, 2, 8, bias=True))
    assert run(capsys, *typed, *shlex.split("--vocab-size 65 --block-size 16 --bias"))[1] == f"{wanted}\n"


def test_hardware_of_our_own(config, capsys):
    own = Hardware("your own", 12e9, 5e12, 5e12)
    wanted = Plan(LLAMA["7B"], 1e9, own)
    assert run(capsys, config, *shlex.split("--tokens 1e9 --peak 5 --memory 12")) == (0, f"{wanted}\n", "")


def test_a_folder_of_microlearn_train(tmp_path, capsys):
    text = tmp_path / "song.txt"
    text.write_text("99 bottles of water on the wall\n" * 40)
    sizes = shlex.split("--n-layer 1 --n-head 2 --n-embd 8 --block-size 8 --max-iters 1 --eval-iters 1 --quiet")
    assert cli.main(["train", str(text), "--out", str(tmp_path / "song"), *sizes]) == 0
    with np.load(tmp_path / "song" / "model.npz") as arrays:
        there = sum(arrays[name].size for name in arrays.files if name != "lm_head.weight")
    shown = run(capsys, tmp_path / "song")[1]
    assert row(shown, "parameters") == f"{there:,}"
    assert "memory of one device, float32" in shown


WRONG = {
    "": "--n-layer, --n-head, --n-embd: give the sizes of a model, or a FILE that holds them",
    "--n-layer 2 --n-embd 8": "--n-head: give the sizes of a model",
    "{config} --n-layer 2": "--n-layer: the sizes are those of {config}; leave one of the two out",
    "{config} --bias": "--bias: the sizes are those of {config}",
    "--n-layer 2 --n-head 3 --n-embd 8": "--n-head: a width of 8 does not divide into 3 heads",
    "--n-layer two": "--n-layer: expected a whole number above 0, got 'two'",
    "{config} --tokens 0": "--tokens: expected a number above 0, got '0'",
    "{config} --tokens many": "--tokens: expected a number above 0, got 'many'",
    "{config} --utilisation 40": "--utilisation: expected a number above 0, at most 1, got '40'",
    "{config} --utilization 0.4": "there is no option --utilization, did you mean --utilisation?",
    "{config} --hardware A100": "--hardware: there is no A100, did you mean A100-80GB?",
    "{config} --hardware abacus": "--hardware: there is no abacus: expected one of V100-16GB",
    "{config} --price 2": "--price: a cost needs --tokens and --hardware too",
    "{config} --price 2 --tokens 1e9": "--price: a cost needs --tokens and --hardware too",
    "{config} --peak 5": "--peak: hardware of your own has --peak and --memory, and no --hardware",
    "{config} --memory 5": "--peak: hardware of your own has --peak and --memory",
    "{config} --peak 5 --memory 5 --hardware A100-80GB": "--peak: hardware of your own has --peak and --memory",
    "{config} --precision half": "--precision: invalid choice: 'half'",
    "{config} --recompute all": "--recompute: invalid choice: 'all'",
    "{config} --devices 0": "--devices: expected a whole number above 0, got '0'",
    "{gpt2} --block-size 2048": "--block-size: 2048 tokens are more than the 1024 places that the model knows",
    "{away}": "away.json: No such file or directory",
    "{empty}": "there is no config.json in this folder, so it is no model's",
    "{cut}": "cut.json: expected JSON, and it is damaged or something else",
    "{bert}": "bert.json: a model_type of 'bert' is not known here: expected gpt2",
    "{odd}": "odd.json: num_attention_heads: a width of 4096 does not divide into 33 heads",
    "plans": "plans: No such file or directory",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_cannot_be_planned_is_refused_in_one_sentence(words, config, tmp_path, capsys):
    files = {
        "gpt2": json.dumps(gpt2(12, 12, 768)),
        "cut": "{",
        "bert": '{"model_type": "bert"}',
        "odd": json.dumps(LLAMA["7B"] | {"num_attention_heads": 33}),
    }
    places = {"config": config, "away": tmp_path / "away.json", "empty": tmp_path / "empty"}
    places["empty"].mkdir()
    for name, text in files.items():
        places[name] = tmp_path / f"{name}.json"
        places[name].write_text(text)
    status, shown, said = run(capsys, *words.format(**places).split())
    assert status in (1, 2) and not shown
    assert WRONG[words].format(**places) in said
    assert said.startswith("microlearn: ") and said.count("\n") == 1


def test_help_names_the_hardware_and_every_choice(capsys):
    with pytest.raises(SystemExit):
        cli.main(["plan", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert all(name in shown for name in HARDWARE)
    assert "|".join(RECOMPUTE) in shown and "|".join(BYTES) in shown
    assert "example: microlearn plan " in shown


def test_the_table_says_what_a_device_holds_where_the_optimizer_is_shared():
    alone, many = (str(Plan(GPTConfig(), devices=n)).splitlines() for n in (1, 64))
    assert not any(line.startswith("  together, shared") for line in alone)
    (line,) = (line for line in many if line.startswith("  together, shared"))
    held = sum(Plan(GPTConfig()).memory(64).values())
    assert f"{held / 1e9:.2f} GB" in line and line.endswith("ZeRO-1, 64 x")
