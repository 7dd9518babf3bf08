"""The tensor engine against PyTorch itself, over shapes that nobody chose; from the repository's root:

    python -m pytest -c /dev/null --rootdir . -p no:cacheprovider tests/live_deep.py

The name keeps it out of the ordinary run, which compares with stored results and needs no PyTorch.
"""

import contextlib
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
    TABLES,
    VECTORS,
    assert_agree,
    assert_as_stored,
    assert_close,
    assert_module_agrees,
    inputs,
    module_says,
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
                    assert_close(what, np.array(mine).reshape(theirs.shape), theirs, 1e-12)
        else:
            other = np.asarray(other)
            assert_close(what, np.array(one).reshape(other.shape), other, 1e-12)

    for part in stored:
        for name in stored[part]:
            compare(f"{part}, {name}", stored[part][name], now[part][name])


@pytest.mark.parametrize(("part", "name"), [(part, name) for part in TABLES for name in TABLES[part]])
def test_the_tables_agree_in_float64(part, name):
    assert_as_stored(part, name, "float64")
    case = TABLES[part][name]
    theirs = make_vectors.case_says(name, case, inputs(name, case), torch.float32)
    assert theirs["value"].dtype == np.float32


@pytest.mark.parametrize("name", MODULES)
def test_modules_agree(name):
    assert_module_agrees(name, module_says(name), make_vectors.module_says(name), 1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_trajectories_agree(name):
    ours, theirs = trajectory(name), make_vectors.trajectory_says(name)
    for when in ("first", "last"):
        assert_close(f"{name}: {when}", ours[when], theirs[when], 1e-12)


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
    # In float32, what is compared is relative to the numbers that went in as well: they cancel differently.
    values = {"value": result.data, "grads": [one.grad for one in mine]}
    torch_values = {
        "value": expected.detach().numpy(),
        "grads": [None if one.grad is None else one.grad.numpy() for one in other],
    }
    floor = max([1.0, *(float(np.abs(array).max(initial=0.0)) for array in (*arrays, torch_values["value"]))])
    for one, two in zip(
        [values["value"], *values["grads"]], [torch_values["value"], *torch_values["grads"]], strict=True
    ):
        assert (one is None) == (two is None)
        if one is not None:
            assert one.shape == two.shape
            largest = max(floor, float(np.abs(two).max(initial=0.0)))
            np.testing.assert_allclose(one, two, rtol=DTYPES[dtype], atol=DTYPES[dtype] * largest)


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
        (deep.xavier_uniform_, torch.nn.init.xavier_uniform_),
        (deep.xavier_normal_, torch.nn.init.xavier_normal_),
        (deep.kaiming_uniform_, torch.nn.init.kaiming_uniform_),
        (deep.kaiming_normal_, torch.nn.init.kaiming_normal_),
    ],
)
def test_initial_weights_are_spread_as_pytorch_s(ours, theirs):
    mine = ours(Tensor(np.zeros((400, 300)))).data
    other = theirs(torch.zeros(400, 300)).numpy()
    assert mine.std() == pytest.approx(other.std(), rel=0.01)
    assert np.abs(mine).max() == pytest.approx(np.abs(other).max(), rel=0.2)


def test_agree_can_fail():
    """The comparison itself: a wrong value, a wrong gradient and a missing one are seen."""

    class Fixed:
        def draw(self, strategy):
            return "float64"

    x = np.array([1.0, 2.0])
    for wrong in (lambda t: t * 1.000001, lambda t: t + 0.0 * t.detach() + (t.detach() - t), lambda t: t.detach()):
        with pytest.raises(AssertionError):
            agree(Fixed(), lambda t: t * 1.0, wrong, x)
    assert_agree("the same", {"value": x, "grads": []}, {"value": x, "grads": []}, 1e-12)


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
