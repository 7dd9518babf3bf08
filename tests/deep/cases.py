"""What the tensor engine is held against PyTorch with: for every operation an expression in either language.

`make_vectors.py` stores what PyTorch comes to; the tests beside this file compare with the store, and
`tests/live_deep.py` compares with PyTorch itself, over shapes that nobody chose.
"""

import functools
import json
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from microlearn import deep
from microlearn.autograd import gradcheck
from microlearn.deep import Tensor

VECTORS = Path(__file__).with_name("vectors.json")
DTYPES = {"float32": 1e-5, "float64": 1e-12}  # how far apart two numbers may be, relative to their size
ROUNDING = {dtype: 16 * float(np.finfo(dtype).eps) for dtype in DTYPES}  # and relative to the numbers they are made of


class Case(NamedTuple):
    """One operation: in our words, in PyTorch's, and the shapes of x, y and z."""

    ours: str
    theirs: str
    shapes: tuple = ((2, 3),)
    above: float | None = None  # inputs are this much above zero, where the operation needs it


def same(expression, *shapes, above=None):
    return Case(expression, expression, shapes or ((2, 3),), above)


ELEMENTWISE = {
    "add": same("x + y", (2, 3), (2, 3)),
    "add, a row": same("x + y", (2, 3), (3,)),
    "add, a column and a row": same("x + y", (2, 1), (1, 3)),
    "add, a number": same("2.5 + x + 1.5"),
    "add, nothing": same("x + y", (0, 3), (1, 3)),
    "sub": same("x - y", (2, 3), (2, 1)),
    "sub, from a number": same("1.0 - x"),
    "mul": same("x * y", (4, 2, 3), (2, 1)),
    "mul, with itself": same("x * x * x"),
    "div": same("x / y", (2, 3), (3,), above=0.5),
    "div, a number by it": same("2.0 / x", above=0.5),
    "pow, a square": same("x ** 2"),
    "pow, 0": same("x ** 0"),
    "pow, a cube": same("x ** 3.0"),
    "pow, a root": same("x ** 0.5", above=0.5),
    "pow, a tensor": same("x ** y", (2, 3), (3,), above=0.5),
    "pow, of 0": same("(x - x.detach()) ** y", (2, 3), (3,), above=1.5),
    "pow, 0 to the 0": same("(x - x.detach()) ** (0.0 * y)", (2, 3), (3,), above=0.5),
    "pow, to the 0": same("x ** (0.0 * y)", (2, 3), (3,), above=0.5),
    "pow, a number to it": same("2.0 ** x"),
    "neg": same("-x"),
    "abs": Case("x.abs() + abs(x)", "x.abs() + abs(x)"),
    "exp": same("x.exp()"),
    "log": same("x.log()", above=0.1),
    "sqrt": same("x.sqrt()", above=0.1),
    "tanh": same("x.tanh()", (2, 3)),
    "maximum": Case("deep.maximum(x, y)", "torch.maximum(x, y)", ((2, 3), (3,))),
    "maximum, ties": Case(
        "deep.maximum(x, x.detach() + 0.0 * y)", "torch.maximum(x, x.detach() + 0.0 * y)", ((2, 3), (2, 3))
    ),
    "minimum": Case("deep.minimum(x, y)", "torch.minimum(x, y)", ((2, 3), (2, 1))),
    "where": Case("deep.where(x > 0, x, y)", "torch.where(x > 0, x, y)", ((2, 3), (3,))),
    "where, a number": Case("deep.where(x > 0, x, 0.0)", "torch.where(x > 0, x, 0.0)"),
}
REDUCTIONS = {
    "sum": same("x.sum()"),
    "sum, axis": Case("x.sum(axis=1)", "x.sum(dim=1)", ((2, 3, 4),)),
    "sum, two axes": Case("x.sum(axis=(0, -1), keepdims=True)", "x.sum(dim=(0, -1), keepdim=True)", ((2, 3, 4),)),
    "sum, of nothing": Case("x.sum(axis=0)", "x.sum(dim=0)", ((0, 3),)),
    "mean": same("x.mean()"),
    "mean, axis": Case("x.mean(axis=-1)", "x.mean(dim=-1)", ((2, 3, 4),)),
    "mean, kept": Case("x - x.mean(axis=1, keepdims=True)", "x - x.mean(dim=1, keepdim=True)", ((2, 3, 4),)),
    "max": same("x.max()"),
    "max, axis": Case("x.max(axis=1)", "x.amax(dim=1)", ((2, 3, 4),)),
    "max, ties": Case("(x - x.detach()).max(axis=1, keepdims=True)", "(x - x.detach()).amax(dim=1, keepdim=True)"),
    "matmul": same("x @ y", (2, 3), (3, 4)),
    "matmul, a batch": same("x @ y", (5, 2, 3), (5, 3, 4)),
    "matmul, broadcast": same("x @ y", (5, 1, 2, 3), (4, 3, 2)),
    "matmul, a row": same("x @ y", (3,), (3, 4)),
    "matmul, a column": same("x @ y", (2, 3), (3,)),
    "matmul, two lists": same("x @ y", (3,), (3,)),
    "matmul, a row and a batch": same("x @ y", (3,), (5, 3, 4)),
    "matmul, a batch and a column": same("x @ y", (5, 2, 3), (3,)),
    "matmul, nothing": same("x @ y", (2, 0), (0, 4)),
}
SHAPING = {
    "reshape": same("x.reshape(3, 2) * 1.0", (2, 3)),
    "reshape, what is left": same("x.reshape((-1, 2)).exp()", (2, 3)),
    "transpose": Case("x.transpose().exp()", "x.T.exp()"),
    "T": same("(x.T @ x)"),
    "transpose, axes": Case("x.transpose(2, 0, 1) * 2.0", "x.permute(2, 0, 1) * 2.0", ((2, 3, 4),)),
    "transpose, axes from the end": Case("x.transpose(-1, 0, 1) * 2.0", "x.permute(-1, 0, 1) * 2.0", ((2, 3, 4),)),
    "swapaxes": same("x.swapaxes(1, -1) * 2.0", (2, 3, 4)),
    "index, a row": same("x[1] * 2.0"),
    "index, a slice": same("x[:, 1:3] * 2.0", (2, 4)),
    "index, from the end": same("x[..., -1] * 2.0", (2, 4)),
    "index, a new axis": same("x[:, None] * 2.0", (2, 4)),
    "index, a list, twice": same("x[[1, 0, 1]] * 2.0", (3, 2)),
    "index, rows twice": same("x[ids] * 2.0", (3, 2)),
    "index, places twice": same("x[ids, ids] * 2.0", (3, 3)),
    "index, a mask": same("x[x > 0] * 2.0", (3, 3)),
    "gather": Case("deep.gather(x, 1, ids.reshape(2, 2))", "x.gather(1, ids.reshape(2, 2))", ((3, 3),)),
    "gather, axis 0": Case("deep.gather(x, 0, ids.reshape(2, 2))", "x.gather(0, ids.reshape(2, 2))", ((3, 3),)),
    "concatenate": Case("deep.concatenate([x, y])", "torch.cat([x, y])", ((2, 3), (1, 3))),
    "concatenate, axis": Case("deep.concatenate([x, y, x], axis=-1)", "torch.cat([x, y, x], dim=-1)", ((2, 3), (2, 2))),
    "stack": Case("deep.stack([x, y])", "torch.stack([x, y])", ((2, 3), (2, 3))),
    "stack, axis": Case("deep.stack([x, y, x], axis=-1)", "torch.stack([x, y, x], dim=-1)", ((2, 3), (2, 3))),
}
ACTIVATIONS = {
    "relu": same("x.relu()"),
    "relu, at 0": same("(x - x.detach()).relu()"),
    "leaky_relu, at 0": Case("deep.leaky_relu(x - x.detach())", "F.leaky_relu(x - x.detach())"),
    "relu, under a root": same("(x.relu() + 0.0).sqrt().relu()", above=0.5),
    "leaky_relu": Case("deep.leaky_relu(x)", "F.leaky_relu(x)"),
    "leaky_relu, slope": Case("deep.leaky_relu(x, 0.2)", "F.leaky_relu(x, 0.2)"),
    "sigmoid": same("x.sigmoid()"),
    "sigmoid, of large numbers": same("(x * 300.0).sigmoid() + x"),
    "silu": Case("deep.silu(x * 3.0)", "F.silu(x * 3.0)"),
    "softmax": Case("deep.softmax(x)", "F.softmax(x, dim=-1)"),
    "softmax, axis": Case("deep.softmax(x, axis=1)", "F.softmax(x, dim=1)", ((2, 3, 4),)),
    "softmax, of large numbers": Case("deep.softmax(x * 500.0) + x", "F.softmax(x * 500.0, dim=-1) + x"),
    "log_softmax": Case("deep.log_softmax(x)", "F.log_softmax(x, dim=-1)"),
    "log_softmax, of large numbers": Case("deep.log_softmax(x * 500.0, 0)", "F.log_softmax(x * 500.0, dim=0)"),
}
FUSED = {
    "linear": Case("deep.linear(x, y, z)", "F.linear(x, y, z)", ((5, 3), (4, 3), (4,))),
    "linear, no bias": Case("deep.linear(x, y)", "F.linear(x, y)", ((5, 3), (4, 3))),
    "linear, one item": Case("deep.linear(x, y, z)", "F.linear(x, y, z)", ((3,), (4, 3), (4,))),
    "linear, a batch of batches": Case("deep.linear(x, y, z)", "F.linear(x, y, z)", ((2, 5, 3), (4, 3), (4,))),
    "gelu": Case("deep.gelu(x * 2.0)", "F.gelu(x * 2.0)", ((4, 5),)),
    "gelu, tanh": Case("deep.gelu(x * 2.0, 'tanh')", "F.gelu(x * 2.0, approximate='tanh')", ((4, 5),)),
    "layer_norm": Case("deep.layer_norm(x, 4, y, z)", "F.layer_norm(x, (4,), y, z)", ((2, 3, 4), (4,), (4,))),
    "layer_norm, two axes": Case(
        "deep.layer_norm(x, (3, 4), y, z)", "F.layer_norm(x, (3, 4), y, z)", ((2, 3, 4), (3, 4), (3, 4))
    ),
    "layer_norm, plain": Case("deep.layer_norm(x, 4)", "F.layer_norm(x, (4,))", ((2, 4),)),
    "rms_norm": Case("deep.rms_norm(x, 4, y)", "F.rms_norm(x, (4,), y)", ((2, 3, 4), (4,))),
    "rms_norm, eps": Case("deep.rms_norm(x, 4, y, 0.1)", "F.rms_norm(x, (4,), y, 0.1)", ((2, 3, 4), (4,))),
    "softmax_cross_entropy, of scores far below 0": Case(
        "fused.softmax_cross_entropy(x - 500.0, ids)", "F.cross_entropy(x - 500.0, ids, reduction='none')", ((4, 3),)
    ),
    "softmax_cross_entropy": Case(
        "fused.softmax_cross_entropy(x, ids)", "F.cross_entropy(x, ids, reduction='none')", ((4, 3),)
    ),
}
LOSSES = {
    "mse_loss": Case("deep.mse_loss(x, y)", "F.mse_loss(x, y)", ((4, 3), (4, 3))),
    "mse_loss, sum": Case("deep.mse_loss(x, y, 'sum')", "F.mse_loss(x, y, reduction='sum')", ((4, 3), (4, 3))),
    "mse_loss, none": Case("deep.mse_loss(x, y, 'none')", "F.mse_loss(x, y, reduction='none')", ((4, 3), (4, 3))),
    "cross_entropy": Case("deep.cross_entropy(x, ids)", "F.cross_entropy(x, ids)", ((4, 3),)),
    "cross_entropy, sum": Case(
        "deep.cross_entropy(x, ids, 'sum')", "F.cross_entropy(x, ids, reduction='sum')", ((4, 3),)
    ),
    "cross_entropy, of large numbers": Case(
        "deep.cross_entropy(x * 1000.0, ids)", "F.cross_entropy(x * 1000.0, ids)", ((4, 3),)
    ),
    "binary_cross_entropy_with_logits": Case(
        "deep.binary_cross_entropy_with_logits(x, y.sigmoid())",
        "F.binary_cross_entropy_with_logits(x, y.sigmoid())",
        ((4,), (4,)),
    ),
    "binary_cross_entropy_with_logits, of large numbers": Case(
        "deep.binary_cross_entropy_with_logits(x * 1000.0, y.sigmoid(), 'none')",
        "F.binary_cross_entropy_with_logits(x * 1000.0, y.sigmoid(), reduction='none')",
        ((4,), (4,)),
    ),
}
TABLES = {
    "elementwise": ELEMENTWISE,
    "reductions": REDUCTIONS,
    "shaping": SHAPING,
    "activations": ACTIVATIONS,
    "fused": FUSED,
    "losses": LOSSES,
}
IDS = [2, 0, 2, 1]


def inputs(name, case):
    """Draw the numbers of a case; the name is the seed, so that each case stays what it is when others come."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    # Of 15 bits, so that float32 holds them, and their products with some hundreds, to the last one.
    drawn = [(np.floor(rng.normal(size=shape) * 4096) + 0.5) / 4096 for shape in case.shapes]
    return [np.abs(numbers) + case.above for numbers in drawn] if case.above is not None else drawn


def pulls(name, shape):
    """Draw by how much each number of the result counts in the one number that is differentiated."""
    return np.random.default_rng(zlib.crc32(name.encode()) + 1).normal(size=shape)


def says(name, case, arrays, dtype="float64"):
    """Return what our engine comes to: the result, and the gradient of each input."""
    tensors = [Tensor(array, requires_grad=True, dtype=dtype) for array in arrays]
    names = {"deep": deep, "fused": deep.fused, "ids": np.array(IDS), **dict(zip("xyz", tensors, strict=False))}
    result = eval(case.ours, names)
    assert result.dtype == dtype, f"{name}: {dtype} became {result.dtype}"
    (result * pulls(name, result.shape)).sum().backward()
    for given in tensors:
        assert given.grad is None or given.grad.dtype == dtype, f"{name}: the gradient became {given.grad.dtype}"
    return {"value": result.data, "grads": [given.grad for given in tensors]}


def assert_close(what, ours, theirs, dtype="float64"):
    """Compare arrays, each number relative to itself, and to the last digits of the largest one."""
    theirs = np.asarray(theirs)
    assert np.shape(ours) == theirs.shape, f"{what}: shape {np.shape(ours)}, PyTorch's is {theirs.shape}"
    atol = ROUNDING[dtype] * np.abs(theirs).max(initial=0.0)
    np.testing.assert_allclose(ours, theirs, rtol=DTYPES[dtype], atol=atol, err_msg=what)


def assert_agree(name, ours, theirs, dtype="float64"):
    """Compare a result and its gradients; what nothing depends on is None in both."""
    assert_close(f"{name}: the result", ours["value"], theirs["value"], dtype)
    assert len(ours["grads"]) == len(theirs["grads"])
    for letter, mine, other in zip("xyz", ours["grads"], theirs["grads"], strict=False):
        assert (mine is None) == (other is None), f"{name}: the gradient of {letter}: {mine} and {other}"
        if other is not None:
            assert_close(f"{name}: the gradient of {letter}", mine, other, dtype)


@functools.cache
def stored():
    return json.loads(VECTORS.read_text())


def assert_as_stored(part, name, dtype):
    """Compare one operation with what PyTorch was seen to come to."""
    case, said = TABLES[part][name], stored()[part][name]
    theirs = {
        "value": np.array(said["value"]).reshape(said["shape"]),
        "grads": [
            None if grad is None else np.array(grad).reshape(shape)
            for grad, shape in zip(said["grads"], case.shapes, strict=True)
        ],
    }
    assert_agree(name, says(name, case, inputs(name, case), dtype), theirs, dtype)


CORNERS = {"maximum, ties", "max, ties", "relu, at 0", "leaky_relu, at 0"}  # where there is no slope to compare with


def assert_gradients(part, name):
    """Compare the gradients of one operation with slopes found by nudging, in float64."""
    case = TABLES[part][name]

    def total(*tensors):
        names = {"deep": deep, "fused": deep.fused, "ids": np.array(IDS), **dict(zip("xyz", tensors, strict=False))}
        result = eval(case.ours, names)
        return (result * pulls(name, result.shape)).sum()

    report = gradcheck(total, *(Tensor(array, dtype="float64") for array in inputs(name, case)), tolerance=1e-5)
    assert report.rows or 0 in case.shapes[0], f"{name}: nothing was checked"
    assert report, f"{name}: {report}"


# Optimizers: each moves the same small network for twenty steps.

STEPS = 20
OPTIMIZERS = {
    "SGD": ("SGD", {"lr": 0.1}),
    "SGD, defaults": ("SGD", {}),
    "SGD, momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "SGD, dampening and decay": ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    "SGD, Nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "RMSprop": ("RMSprop", {}),
    "RMSprop, all of it": (
        "RMSprop",
        {"lr": 0.01, "alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.1, "eps": 1e-3},
    ),
    "Adam": ("Adam", {}),
    "Adam, decay": ("Adam", {"lr": 0.01, "betas": (0.8, 0.99), "weight_decay": 0.1, "eps": 1e-4}),
    "AdamW": ("AdamW", {}),
    "AdamW, decay": ("AdamW", {"lr": 0.02, "betas": (0.9, 0.95), "weight_decay": 0.3}),
}
SCHEDULES = {
    "StepLR": ("StepLR", {"step_size": 4, "gamma": 0.5}),
    "StepLR, defaults": ("StepLR", {"step_size": 3}),
    "CosineAnnealingLR": ("CosineAnnealingLR", {"T_max": 10}),
    "CosineAnnealingLR, a floor": ("CosineAnnealingLR", {"T_max": 8, "eta_min": 0.01}),
}


def start():
    """Draw data and the parameters of a 3-4-2 network, and which of them have no gradient at which step."""
    rng = np.random.default_rng(5)
    return {
        "X": rng.normal(size=(6, 3)),
        "y": rng.normal(size=(6, 2)),
        "parameters": [rng.normal(size=shape) for shape in ((4, 3), (4,), (2, 4), (2,))],
    }


def trajectory(name, dtype="float64", schedule=None):
    """Train with one of our optimizers; return all parameters after the first step and after the last."""
    begin, (kind, settings) = start(), OPTIMIZERS[name]
    X, y = (Tensor(begin[letter], dtype=dtype) for letter in "Xy")
    parameters = [deep.Parameter(numbers, dtype=dtype) for numbers in begin["parameters"]]
    optimizer = getattr(deep, kind)(parameters, **settings)
    after = []
    for _ in range(STEPS):
        hidden = deep.linear(X, *parameters[:2]).tanh()
        optimizer.zero_grad()
        deep.mse_loss(deep.linear(hidden, *parameters[2:]), y).backward()
        optimizer.step()
        after.append(np.concatenate([parameter.data.reshape(-1) for parameter in parameters]))
    return {"first": after[0], "last": after[-1]}


# Modules: everything that has parameters, its numbers copied over.

MODULES = {
    "Linear": ("Linear(3, 4)", (5, 3)),
    "Linear, no bias": ("Linear(3, 4, bias=False)", (5, 3)),
    "Embedding": ("Embedding(3, 4)", None),
    "LayerNorm": ("LayerNorm(4)", (5, 4)),
    "LayerNorm, no bias": ("LayerNorm(4, bias=False)", (5, 4)),
    "LayerNorm, plain": ("LayerNorm((3, 4), elementwise_affine=False)", (5, 3, 4)),
    "RMSNorm": ("RMSNorm(4)", (5, 4)),
    "BatchNorm1d": ("BatchNorm1d(4)", (5, 4)),
    "BatchNorm1d, plain": ("BatchNorm1d(4, affine=False, momentum=0.3, eps=0.01)", (5, 4)),
    "ReLU": ("ReLU()", (5, 4)),
    "LeakyReLU": ("LeakyReLU()", (5, 4)),
    "LeakyReLU, slope": ("LeakyReLU(0.3)", (5, 4)),
    "GELU": ("GELU()", (5, 4)),
    "GELU, tanh": ("GELU(approximate='tanh')", (5, 4)),
    "SiLU": ("SiLU()", (5, 4)),
    "Tanh": ("Tanh()", (5, 4)),
    "Sigmoid": ("Sigmoid()", (5, 4)),
    "Softmax": ("Softmax(-1)", (5, 4)),
    "Dropout, of nothing": ("Dropout(0.0)", (5, 4)),
    "Sequential": ("Sequential(Linear(3, 4, bias=False), BatchNorm1d(4), GELU(), Linear(4, 2))", (5, 3)),
}


def module_inputs(name, shape):
    return np.array(IDS) if shape is None else np.random.default_rng(zlib.crc32(name.encode())).normal(size=shape)


def fill(name, state):
    """Draw a number for everything that a module holds; variances above zero."""
    rng = np.random.default_rng(zlib.crc32(name.encode()) + 2)
    return {key: np.abs(rng.normal(size=shape)) + 0.2 for key, shape in sorted(state.items())}


def module_says(name, dtype="float64"):
    """Return what a module of ours comes to: in training, its gradients, what it remembers, and then after eval()."""
    expression, shape = MODULES[name]
    module = eval(expression, vars(deep))
    for _, held in list(module.named_tensors()):  # the same numbers in another dtype
        held.data = held.data.astype(dtype)
    module.load_state_dict(fill(name, {key: held.shape for key, held in module.named_tensors()}))
    x = module_inputs(name, shape)
    x = x if shape is None else Tensor(x, requires_grad=True, dtype=dtype)
    result = module(x)
    (result * pulls(name, result.shape)).sum().backward()
    said = {"value": result.data, "grads": {key: p.grad for key, p in sorted(module.named_parameters())}}
    if shape is not None:
        said["grads"]["x"] = x.grad
    said["held"] = {key: held.data for key, held in sorted(module.named_tensors())}
    said["eval"] = module.eval()(x).data
    return said


def assert_module_as_stored(name, dtype):
    """Compare a module with what PyTorch's was seen to come to."""
    assert_module_agrees(name, module_says(name, dtype), stored()["modules"][name], dtype)


def assert_module_agrees(name, ours, theirs, dtype="float64"):
    for part in ("value", "eval"):
        assert_close(f"{name}: {part}", ours[part], theirs[part], dtype)
    for part in ("grads", "held"):
        assert list(ours[part]) == list(theirs[part]), f"{name}: {part} have other names"
        for key, numbers in theirs[part].items():
            assert_close(f"{name}: {part} of {key}", ours[part][key], numbers, dtype)
