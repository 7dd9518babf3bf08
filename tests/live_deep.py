"""The tensor engine against PyTorch itself, over shapes that nobody chose; from the repository's root:

    python -m pytest -c /dev/null --rootdir . -p no:cacheprovider tests/live_deep.py

The name keeps it out of the ordinary run, which compares with stored results and needs no PyTorch.
"""

import contextlib
import functools
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as shapes

from microlearn import Tensor, deep
from microlearn.deep import fused
from tests.deep import make_vectors
from tests.deep.cases import (
    DTYPES,
    MODULES,
    OPTIMIZERS,
    ROUNDING,
    STEPS,
    TABLES,
    VECTORS,
    assert_agree,
    assert_close,
    assert_module_agrees,
    inputs,
    module_says,
    says,
    trajectory,
)

torch.set_num_threads(1)
DRAWN = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
SIDES = {"min_side": 0, "max_side": 4}
anything = shapes.array_shapes(min_dims=0, max_dims=4, **SIDES)
dtypes = st.sampled_from(sorted(DTYPES))


def test_the_stored_vectors_are_what_pytorch_says_now():
    stored, now = json.loads(VECTORS.read_text()), make_vectors.all_vectors()
    assert {part: list(table) for part, table in stored.items()} == {part: list(now[part]) for part in now}

    def compare(what, one, other):
        if isinstance(one, dict):
            assert list(one) == list(other)
            for key in one:
                compare(f"{what}: {key}", one[key], other[key])
        elif what.endswith("grads"):
            for mine, theirs in zip(one, other, strict=True):
                assert (mine is None) == (theirs is None)
                if mine is not None:
                    assert_close(what, np.array(mine).reshape(theirs.shape), theirs)
        else:
            other = np.asarray(other)
            assert_close(what, np.array(one).reshape(other.shape), other)

    for part in stored:
        for name in stored[part]:
            compare(f"{part}, {name}", stored[part][name], now[part][name])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("part", "name"), [(part, name) for part in TABLES for name in TABLES[part]])
def test_the_tables_agree(part, name, dtype):
    """The dtype of a result and of its gradients, too, which the store does not tell."""
    case = TABLES[part][name]
    ours = says(name, case, inputs(name, case), dtype)
    theirs = make_vectors.case_says(name, case, inputs(name, case), getattr(torch, dtype))
    assert_agree(name, ours, theirs, dtype)
    for mine, other in zip([ours["value"], *ours["grads"]], [theirs["value"], *theirs["grads"]], strict=True):
        assert other is None or mine.dtype == other.dtype


@pytest.mark.parametrize("name", MODULES)
def test_modules_agree(name):
    assert_module_agrees(name, module_says(name), make_vectors.module_says(name))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_trajectories_agree(name):
    ours, theirs = trajectory(name), make_vectors.trajectory_says(name)
    for when in ("first", "last"):
        assert_close(f"{name}: {when}", ours[when], theirs[when])


def draw(data, *wanted, above=None):
    """Draw arrays of the given shapes; of 15 bits a number, so that float32 holds them exactly."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    drawn = [(np.floor(rng.normal(size=shape) * 4096) + 0.5) / 4096 for shape in wanted]
    return [np.abs(array) + above for array in drawn] if above is not None else drawn


def agree(data, ours, theirs, *arrays):
    """Compute on the same numbers in both engines and both dtypes; compare results and gradients."""
    dtype = data.draw(dtypes)
    mine = [Tensor(array, requires_grad=True, dtype=dtype) for array in arrays]
    other = [torch.tensor(array, dtype=getattr(torch, dtype), requires_grad=True) for array in arrays]
    result, expected = ours(*mine), theirs(*other)
    assert result.dtype == dtype and result.shape == tuple(expected.shape)
    pulls = np.random.default_rng(1).normal(size=result.shape)
    if result.requires_grad:
        (result * pulls).sum().backward()
    if expected.requires_grad:
        (expected * torch.tensor(pulls, dtype=expected.dtype)).sum().backward()
    assert_as_near_as_rounding("the result", result.data, expected.detach().numpy(), 1.0)
    for i, (one, two) in enumerate(zip(mine, other, strict=True)):
        assert (one.grad is None) == (two.grad is None)
        if two.grad is not None:
            assert_as_near_as_rounding(f"gradient {i}", one.grad, two.grad.numpy(), np.abs(pulls).max(initial=0.0))


def assert_as_near_as_rounding(what, ours, theirs, entered):
    """Compare arrays to the last digits of the largest number, or of what entered: a 1, as in `1 - p`, or a pull."""
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    largest = max(float(entered), float(np.abs(theirs).max(initial=0.0)))
    digits = max(ROUNDING[theirs.dtype.name], DTYPES["float64"])  # our erf has 13 of them, where float64 has 16
    np.testing.assert_allclose(ours, theirs, rtol=0.0, atol=digits * largest, err_msg=what)


UNARY = {
    "neg": (lambda x: -x, None),
    "exp": (lambda x: x.exp(), None),
    "log": (lambda x: x.log(), 0.1),
    "sqrt": (lambda x: x.sqrt(), 0.1),
    "tanh": (lambda x: x.tanh(), None),
    "abs": (lambda x: x.abs(), None),
    "relu": (lambda x: x.relu(), None),
    "sigmoid": (lambda x: x.sigmoid(), None),
    "a cube": (lambda x: x**3, None),
    "a root": (lambda x: x**0.5, 0.1),
    "all of it": (lambda x: (x * x + 1.0).log() / (x.tanh() + 2.0) - x.sigmoid(), None),
}
OTHER_UNARY = {
    "silu": (deep.silu, F.silu),
    "leaky_relu": (deep.leaky_relu, F.leaky_relu),
    "gelu": (deep.gelu, F.gelu),
    "gelu, tanh": (lambda x: deep.gelu(x, "tanh"), lambda x: F.gelu(x, approximate="tanh")),
}


@pytest.mark.parametrize("name", UNARY)
@given(data=st.data(), shape=anything)
@DRAWN
def test_each_number(name, data, shape):
    function, above = UNARY[name]
    agree(data, function, function, *draw(data, shape, above=above))


@pytest.mark.parametrize("name", OTHER_UNARY)
@given(data=st.data(), shape=anything)
@DRAWN
def test_each_number_under_another_name(name, data, shape):
    ours, theirs = OTHER_UNARY[name]
    agree(data, ours, theirs, *(4.0 * array for array in draw(data, shape)))


BINARY = {
    "add": (lambda x, y: x + y, None),
    "sub": (lambda x, y: x - y, None),
    "mul": (lambda x, y: x * y, None),
    "div": (lambda x, y: x / y, 0.5),
    "pow": (lambda x, y: x**y, 0.5),
    "several uses": (lambda x, y: x * y + x * x - (x + y) * y, None),
}
OTHER_BINARY = {
    "maximum": (deep.maximum, torch.maximum),
    "minimum": (deep.minimum, torch.minimum),
    "where": (lambda x, y: deep.where(x > y, x, y), lambda x, y: torch.where(x > y, x, y)),
}


@pytest.mark.parametrize("name", [*BINARY, *OTHER_BINARY])
@given(data=st.data(), pair=shapes.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, **SIDES))
@DRAWN
def test_each_pair_with_broadcasting(name, data, pair):
    if name in BINARY:
        function, above = BINARY[name]
        agree(data, function, function, *draw(data, *pair.input_shapes, above=above))
    else:
        agree(data, *OTHER_BINARY[name], *draw(data, *pair.input_shapes))


@pytest.mark.parametrize("name", ["sum", "mean", "max"])
@given(data=st.data(), shape=shapes.array_shapes(min_dims=1, max_dims=4, **SIDES), keepdims=st.booleans())
@DRAWN
def test_reductions(name, data, shape, keepdims):
    axis = data.draw(st.one_of(st.none(), shapes.valid_tuple_axes(len(shape), min_size=1)))
    reduced = range(len(shape)) if axis is None else axis
    if name != "sum":
        assume(all(shape[i] for i in reduced))
    theirs = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax}[name]
    dims = tuple(range(len(shape))) if axis is None else axis
    agree(
        data,
        lambda x: getattr(x, name)(axis=axis, keepdims=keepdims),
        lambda x: theirs(x, dim=dims, keepdim=keepdims),
        *draw(data, shape),
    )


@given(
    data=st.data(),
    pair=shapes.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, min_side=0, max_side=4),
)
@DRAWN
def test_matmul(data, pair):
    agree(data, lambda x, y: x @ y, lambda x, y: x @ y, *draw(data, *pair.input_shapes))


@given(data=st.data(), shape=shapes.array_shapes(min_dims=1, max_dims=4, **SIDES))
@DRAWN
def test_shapes_and_places(data, shape):
    order = data.draw(st.permutations(range(len(shape))))
    agree(data, lambda x: x.transpose(*order), lambda x: x.permute(*order), *draw(data, shape))
    agree(data, lambda x: x.reshape(math.prod(shape), 1), lambda x: x.reshape(math.prod(shape), 1), *draw(data, shape))
    a, b = data.draw(st.tuples(*[st.integers(-len(shape), len(shape) - 1)] * 2))
    agree(data, lambda x: x.swapaxes(a, b), lambda x: x.swapaxes(a, b), *draw(data, shape))
    key = data.draw(shapes.basic_indices(shape, allow_newaxis=True))
    parts = key if isinstance(key, tuple) else (key,)
    if all(not isinstance(one, slice) or one.step is None or one.step > 0 for one in parts):  # PyTorch has no others
        agree(data, lambda x: x[key] * 1.0, lambda x: x[key] * 1.0, *draw(data, shape))


@given(data=st.data(), rows=st.integers(1, 5), width=st.integers(0, 3), n=st.lists(st.integers(0, 3), max_size=2))
@DRAWN
def test_rows_chosen_by_number(data, rows, width, n):
    ids = data.draw(shapes.arrays(np.int64, tuple(n), elements=st.integers(-rows, rows - 1)))
    agree(data, lambda x: x[ids] * 1.0, lambda x: x[torch.tensor(ids)] * 1.0, *draw(data, (rows, width)))
    table = deep.Embedding(rows, width + 1)
    assert table(ids % rows).shape == (*n, width + 1)


@given(data=st.data(), shape=shapes.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
@DRAWN
def test_gather(data, shape):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    wanted = [data.draw(st.integers(0, n)) for n in shape]
    ids = data.draw(shapes.arrays(np.int64, tuple(wanted), elements=st.integers(0, shape[axis] - 1)))
    theirs = torch.tensor(ids)
    agree(data, lambda x: deep.gather(x, axis, ids) * 1.0, lambda x: x.gather(axis, theirs) * 1.0, *draw(data, shape))


@given(data=st.data(), shape=shapes.array_shapes(min_dims=1, max_dims=3, **SIDES), n=st.integers(1, 3))
@DRAWN
def test_joining(data, shape, n):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    others = [
        tuple(data.draw(st.integers(0, 3)) if i == axis % len(shape) else side for i, side in enumerate(shape))
        for _ in range(n)
    ]
    agree(
        data,
        lambda *xs: deep.concatenate(list(xs), axis=axis),
        lambda *xs: torch.cat(xs, dim=axis),
        *draw(data, *others),
    )
    agree(
        data,
        lambda *xs: deep.stack(list(xs), axis=axis),
        lambda *xs: torch.stack(xs, dim=axis),
        *draw(data, *[shape] * n),
    )


@given(data=st.data(), shape=shapes.array_shapes(min_dims=1, max_dims=4, **SIDES), scale=st.sampled_from([1.0, 64.0]))
@DRAWN
def test_softmax(data, shape, scale):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    (x,) = draw(data, shape)
    agree(data, lambda x: deep.softmax(x, axis), lambda x: F.softmax(x, dim=axis), scale * x)
    agree(data, lambda x: deep.log_softmax(x, axis), lambda x: F.log_softmax(x, dim=axis), scale * x)


@given(data=st.data(), lead=st.lists(st.integers(0, 3), max_size=3), n=st.integers(1, 4), m=st.integers(1, 4))
@DRAWN
def test_layers(data, lead, n, m):
    lead = tuple(lead)
    agree(data, deep.linear, F.linear, *draw(data, (*lead, n), (m, n), (m,)))
    agree(data, deep.linear, F.linear, *draw(data, (*lead, n), (m, n)))


@given(data=st.data(), lead=st.lists(st.integers(0, 3), max_size=2), n=st.integers(2, 5))
@DRAWN
def test_normalizations(data, lead, n):
    """With an eps of a size that keeps the slopes of nearly equal numbers within what float32 holds."""
    lead = tuple(lead)
    agree(
        data,
        lambda x, w, b: deep.layer_norm(x, n, w, b, 0.1),
        lambda x, w, b: F.layer_norm(x, (n,), w, b, 0.1),
        *draw(data, (*lead, n), (n,), (n,)),
    )
    agree(
        data,
        lambda x, w: deep.rms_norm(x, n, w, 0.1),
        lambda x, w: F.rms_norm(x, (n,), w, 0.1),
        *draw(data, (*lead, n), (n,)),
    )


@given(data=st.data(), n=st.integers(0, 5), classes=st.integers(1, 5), scale=st.sampled_from([1.0, 100.0, 1000.0]))
@DRAWN
def test_losses(data, n, classes, scale):
    reduction = (
        data.draw(st.sampled_from(["mean", "sum", "none"])) if n else data.draw(st.sampled_from(["sum", "none"]))
    )
    targets = data.draw(shapes.arrays(np.int64, (n,), elements=st.integers(0, classes - 1)))
    (scores,) = draw(data, (n, classes))
    agree(
        data,
        lambda x: deep.cross_entropy(x, targets, reduction),
        lambda x: F.cross_entropy(x, torch.tensor(targets), reduction=reduction),
        scale * scores,
    )
    agree(
        data,
        lambda x: fused.softmax_cross_entropy(x, targets),
        lambda x: F.cross_entropy(x, torch.tensor(targets), reduction="none"),
        scale * scores,
    )
    agree(
        data,
        lambda x, y: deep.mse_loss(x, y, reduction),
        lambda x, y: F.mse_loss(x, y, reduction=reduction),
        *draw(data, (n, classes), (n, classes)),
    )
    labels = targets % 2
    agree(
        data,
        lambda x: deep.binary_cross_entropy_with_logits(x, labels, reduction),
        lambda x: F.binary_cross_entropy_with_logits(x, torch.tensor(labels, dtype=x.dtype), reduction=reduction),
        scale * draw(data, (n,))[0],
    )


@given(
    data=st.data(),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    norm=st.sampled_from([1.0, 2.0, math.inf]),
)
@DRAWN
def test_clipping(data, sizes, norm):
    grads, limit = draw(data, *[(n,) for n in sizes]), data.draw(st.floats(0.01, 10.0))
    ours = [deep.Parameter(np.zeros_like(grad), dtype="float64") for grad in grads]
    theirs = [torch.zeros(grad.shape, dtype=torch.float64, requires_grad=True) for grad in grads]
    for mine, other, grad in zip(ours, theirs, grads, strict=True):
        mine.grad, other.grad = grad.copy(), torch.tensor(grad)
    total = deep.clip_grad_norm_(ours, limit, norm)
    assert total == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, limit, norm).item(), rel=1e-12)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-12)


share, rate = st.floats(0.0, 0.95), st.floats(1e-3, 0.3)  # of what was before; of learning
SETTINGS = {
    "SGD": {"momentum": share, "dampening": share},
    "SGD, Nesterov": {"momentum": st.floats(0.1, 0.95), "nesterov": st.just(True)},
    "RMSprop": {"alpha": st.floats(0.1, 0.99), "momentum": share, "centered": st.booleans()},
    "Adam": {"betas": st.tuples(share, share)},
    "AdamW": {"betas": st.tuples(share, share)},
}
FEW = settings(DRAWN, max_examples=20)


@pytest.mark.parametrize("name", SETTINGS)
@given(data=st.data(), sizes=st.lists(shapes.array_shapes(min_dims=0, max_dims=2, **SIDES), min_size=1, max_size=4))
@FEW
def test_twenty_steps_agree(name, data, sizes):
    """Two groups with settings of their own, and gradients that are missing now and then."""
    kind, own = name.split(",")[0], {"lr": rate, "weight_decay": share, **SETTINGS[name]}
    if kind != "SGD":
        own["eps"] = st.sampled_from([1e-8, 1e-3])
    first, second = (data.draw(st.fixed_dictionaries(own)) for _ in range(2))
    rng, cut = np.random.default_rng(data.draw(st.integers(0, 999))), data.draw(st.integers(0, len(sizes) - 1))
    begin = [rng.normal(size=size) for size in sizes]
    ours = [deep.Parameter(numbers, dtype="float64") for numbers in begin]
    theirs = [torch.tensor(numbers, requires_grad=True) for numbers in begin]

    def optimizer(library, held):
        groups = [{"params": held[:cut], **second}, {"params": held[cut:]}]
        return getattr(library, kind)([group for group in groups if group["params"]], **first)

    moving = [optimizer(deep, ours), optimizer(torch.optim, theirs)]
    for _ in range(STEPS):
        for mine, other in zip(ours, theirs, strict=True):
            grad = rng.normal(size=mine.shape)
            mine.grad, other.grad = (grad, torch.tensor(grad)) if rng.random() < 0.8 else (None, None)
        for mover in moving:
            mover.step()
    for i, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        assert_close(f"{name}: parameter {i}", mine.data, other.detach().numpy())


def warm_up_and_cosine(optimizer, warmup_steps, total_steps, eta_min):
    """Put together out of PyTorch's parts what our WarmupCosine is."""
    parts = torch.optim.lr_scheduler
    climb = parts.LinearLR(optimizer, 1.0 / (warmup_steps + 1), total_iters=warmup_steps)
    wave = parts.CosineAnnealingLR(optimizer, total_steps - warmup_steps, eta_min)
    return parts.SequentialLR(optimizer, [climb, wave], [warmup_steps])


WAVES = {
    "StepLR": (torch.optim.lr_scheduler.StepLR, {"step_size": st.integers(1, 8), "gamma": st.floats(0.01, 1.5)}),
    "CosineAnnealingLR": (
        torch.optim.lr_scheduler.CosineAnnealingLR,
        {"T_max": st.integers(1, 25), "eta_min": st.floats(0.0, 0.1)},
    ),
    "WarmupCosine": (
        warm_up_and_cosine,
        {"warmup_steps": st.integers(1, 10), "total_steps": st.integers(11, 25), "eta_min": st.floats(0.0, 0.1)},
    ),
}


@pytest.mark.parametrize("name", WAVES)
@given(data=st.data(), lrs=st.lists(rate, min_size=2, max_size=2))
@FEW
def test_rates_agree(name, data, lrs):
    made, own = WAVES[name]
    drawn = data.draw(st.fixed_dictionaries(own))
    ours = deep.SGD([{"params": deep.Parameter([0.0]), "lr": lr} for lr in lrs])
    theirs = torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in lrs])
    mine, other = getattr(deep, name)(ours, **drawn), made(theirs, **drawn)
    for t in range(STEPS):
        arrived = name == "WarmupCosine" and t > drawn["total_steps"]  # ours stays there, and PyTorch's climbs again
        wanted = [drawn["eta_min"]] * 2 if arrived else other.get_last_lr()
        assert mine.get_last_lr() == pytest.approx(wanted, rel=1e-12, abs=1e-15)
        for schedule in (theirs, mine, other):
            schedule.step()


@pytest.mark.parametrize("module", ["Linear(5, 3)", "Embedding(7, 2)", "LayerNorm(4)", "RMSNorm(4)", "BatchNorm1d(4)"])
def test_a_new_module_has_pytorch_s_shapes_and_constants(module):
    ours, theirs = eval(module, vars(deep)), eval(module, vars(torch.nn))
    for name, held in ours.state_dict().items():
        other = theirs.state_dict()[name]
        assert held.shape == tuple(other.shape)
        if other.min() == other.max():  # ones and zeros; the rest is drawn
            assert (held == other.numpy()).all()


@pytest.mark.parametrize("kind", ["SGD", "RMSprop", "Adam", "AdamW"])
def test_the_defaults_are_pytorch_s(kind):
    ours = getattr(deep, kind)([deep.Parameter([0.0])]).param_groups[0]
    theirs = getattr(torch.optim, kind)([torch.zeros(1, requires_grad=True)]).param_groups[0]
    for name in ours.keys() - {"params"}:
        assert ours[name] == theirs[name], name


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        *(
            (f"deep.{name}(Tensor(np.zeros((400, 300)))).data", f"torch.nn.init.{name}(torch.zeros(400, 300)).numpy()")
            for name in ("xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_")
        ),
        *(
            (f"deep.{part}.data", f"torch.nn.{part}.detach().numpy()")
            for part in ("Linear(300, 400).weight", "Linear(7, 120_000).bias", "Embedding(400, 300).weight")
        ),
    ],
)
def test_initial_numbers_are_spread_as_pytorch_s(ours, theirs):
    deep.manual_seed(0)
    torch.manual_seed(0)
    mine, other = eval(ours).reshape(-1), eval(theirs).reshape(-1)
    assert mine.std() == pytest.approx(other.std(), rel=0.01)
    at = [0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999]  # a box and a bell of one width differ here
    np.testing.assert_allclose(np.quantile(mine, at), np.quantile(other, at), rtol=0.0, atol=0.1 * other.std())
    if np.abs(other).max() < 2.0 * other.std():  # a box has edges
        assert np.abs(mine).max() == pytest.approx(np.abs(other).max(), rel=1e-3)


class Fixed:
    """What hypothesis draws from, where there is nothing to draw."""

    def __init__(self, dtype):
        self.dtype = dtype

    def draw(self, strategy):
        return self.dtype


def test_agree_can_fail():
    """The comparison itself: a wrong value, a wrong gradient and a missing one are seen."""

    x = np.array([1.0, 2.0])
    for wrong in (lambda t: t * 1.00001, lambda t: t + 0.0 * t.detach() + (t.detach() - t), lambda t: t.detach()):
        for dtype in DTYPES:
            with pytest.raises(AssertionError):
                agree(Fixed(dtype), lambda t: t * 1.0, wrong, x)
    assert_agree("the same", {"value": x, "grads": []}, {"value": x, "grads": []})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0])
def test_a_slope_that_is_off_by_a_thousandth_is_seen_at_every_scale(scale, dtype):
    def ours(x, off=0.0):
        lost = deep.cross_entropy(x, targets)
        return lost + off * (lost - lost.detach())  # the value is right, and each slope 1 + off times what it should be

    def theirs(x):
        return F.cross_entropy(x, torch.tensor(targets))

    scores, targets = scale * np.array([[0.5, 1.5, -1.0], [2.0, -0.25, 0.75]]), np.array([0, 2])
    for off in (0.0, 1e-3, -1e-3):
        with pytest.raises(AssertionError, match="gradient 0") if off else contextlib.nullcontext():
            agree(Fixed(dtype), functools.partial(ours, off=off), theirs, scores)


def test_the_page_s_pytorch_prints_what_our_own_blocks_print(monkeypatch):
    """`docs/questions/what-pytorch-calls-this.md`: block after block, in one session."""
    text = (Path(__file__).parents[1] / "docs/questions/what-pytorch-calls-this.md").read_text()
    outputs = re.findall(r"^```output\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```python notest\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == len(outputs) == 3
    names = {}
    for block, output in zip(blocks, outputs, strict=True):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(block, names)
        assert printed.getvalue() == output


def test_the_page_s_table_names_pytorch_rightly(tmp_path, monkeypatch):
    """Both sides of each row are computed, and equal where they are numbers."""
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[1] / "docs/questions/what-pytorch-calls-this.md").read_text()
    rows = re.findall(r"^- `([^`]*)` is\s+`([^`]*)`", text, re.MULTILINE)
    assert len(rows) == 14
    numbers, ids = np.random.default_rng(0).normal(size=(2, 3, 4)), np.zeros((2, 3, 4), dtype=int)

    def names(library, x, ids):
        x.sum().backward()
        model = (deep if library is deep else torch.nn).Linear(2, 2)
        optimizer = (deep if library is deep else torch.optim).SGD(model.parameters(), lr=0.1)
        own = vars(deep) if library is deep else {"torch": torch, "LambdaLR": torch.optim.lr_scheduler.LambdaLR}
        return {**own, "x": x, "ids": ids, "numbers": numbers, "model": model, "optimizer": optimizer}

    ours = names(deep, Tensor(numbers, requires_grad=True), ids)
    theirs = names(torch, torch.tensor(numbers, dtype=torch.float32, requires_grad=True), torch.tensor(ids))
    compared = 0
    for mine, other in rows:
        one, two = eval(mine, ours), eval(other, theirs)
        if isinstance(two, torch.Tensor | np.ndarray | int):
            two = two.detach().numpy() if isinstance(two, torch.Tensor) else np.asarray(two)
            np.testing.assert_allclose(np.asarray(one), two, rtol=1e-6, err_msg=mine)
            compared += 1
    assert compared == 10
