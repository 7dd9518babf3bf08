# ruff: noqa: E501 (a case a line)
"""The tensor itself: the same machine as Value's, what it remembers, what it refuses, and where a nan came from."""

import contextlib
import gc
import re
import threading
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

import microlearn
from microlearn import Tensor, Value
from microlearn.autograd import gradcheck
from microlearn.autograd.backward import backward
from microlearn.deep import (
    SGD,
    Linear,
    Parameter,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    binary_cross_entropy_with_logits,
    cross_entropy,
    detect_anomaly,
    linear,
    mse_loss,
    no_grad,
)
from microlearn.deep import tensor as module
from microlearn.deep._watch import Watcher, watching
from microlearn.networks import ACTIVATIONS, MLP, binary_cross_entropy, hinge, mse
from microlearn.networks import cross_entropy as scalar_cross_entropy

# The scalar and the tensor engine are the same machine


BENDS = {"tanh": Tanh, "relu": ReLU, "sigmoid": Sigmoid, "linear": Sequential}  # an empty one leaves all as it is
LOSSES = {  # of one output, and of several: Values' loss, Tensors', and targets for seven points
    "one": [
        (mse, mse_loss, lambda rng: rng.normal(size=7)),
        (binary_cross_entropy, binary_cross_entropy_with_logits, lambda rng: rng.integers(0, 2, 7)),
        (
            hinge,
            lambda scores, labels: (1.0 - (2.0 * labels - 1.0) * scores).relu().mean(),
            lambda rng: rng.integers(0, 2, 7),
        ),
    ],
    "several": [
        (mse, mse_loss, lambda rng: rng.normal(size=(7, 3))),
        (scalar_cross_entropy, cross_entropy, lambda rng: rng.integers(0, 3, 7)),
    ],
}


def twins(sizes, activation, seed):
    """Build a network of Values, and one of Tensors that has its numbers."""
    scalar = MLP(sizes[0], sizes[1:], activation, seed)
    layers = [Linear(nin, nout, dtype="float64") for nin, nout in pairwise(sizes)]
    for layer, own in zip(scalar.layers, layers, strict=True):
        own.weight.data[...] = [[weight.data for weight in neuron.weights] for neuron in layer.neurons]
        own.bias.data[...] = [neuron.bias.data for neuron in layer.neurons]
    return scalar, Sequential(*[part for layer in layers for part in (layer, BENDS[activation]())][:-1])


def flat(scalar):
    """List the parameters of a network of Values in the order of the tensors'."""
    numbers = []
    for layer in scalar.layers:
        numbers += [weight for neuron in layer.neurons for weight in neuron.weights]
        numbers += [neuron.bias for neuron in layer.neurons]
    return numbers


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("outputs", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_scalar_and_the_tensor_engine_are_the_same_machine(activation, outputs, seed):
    rng = np.random.default_rng(seed)
    sizes = [int(size) for size in rng.integers(1, 6, size=rng.integers(2, 5))] + [1 if outputs == "one" else 3]
    scalar, deep = twins(sizes, activation, seed)
    X = rng.normal(size=(7, sizes[0]))
    losses = [(lost, ours, targets(rng)) for lost, ours, targets in LOSSES[outputs]]
    x, shape = Tensor(X, dtype="float64"), (7,) if outputs == "one" else (7, 3)
    said = np.reshape([scalar(point) for point in X.tolist()], shape)
    np.testing.assert_allclose([one.data for one in said.flat], deep(x).data.reshape(-1), rtol=1e-12, atol=1e-14)

    optimizer = SGD(deep.parameters(), lr=0.1)
    for step in range(20):
        scalar_loss, loss, targets = losses[step % len(losses)]
        lost = scalar_loss([scalar(point) for point in X.tolist()], targets.tolist())
        ours = loss(deep(x).reshape(shape), targets)
        assert ours.item() == pytest.approx(lost.data, rel=1e-12)
        scalar.zero_grad()
        lost.backward()
        optimizer.zero_grad()
        ours.backward()
        grads = np.concatenate([parameter.grad.reshape(-1) for parameter in deep.parameters()])
        np.testing.assert_allclose([one.grad for one in flat(scalar)], grads, rtol=1e-10, atol=1e-14)
        for one in flat(scalar):
            one.data -= 0.1 * one.grad
        optimizer.step()
    after = np.concatenate([parameter.data.reshape(-1) for parameter in deep.parameters()])
    np.testing.assert_allclose([one.data for one in flat(scalar)], after, rtol=1e-11, atol=1e-13)


def test_the_walk_back_is_value_s_own():
    assert module.backward is backward
    a, b = Tensor(3.0, requires_grad=True), Value(3.0)
    for x in (a, b):
        y = x * x
        backward(y * y + y)  # a leaf and an interior node are used twice
    assert a.grad.item() == b.grad == 4 * 27 + 6


def test_a_chain_of_a_hundred_thousand():
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = -y
    y.backward()
    assert x.grad.item() == 1.0


# The check of Phase 1 looks at tensors too


def test_gradcheck_names_the_number_whose_gradient_is_wrong():
    def careless(x):
        return module.node(x.data * 3.0, (x,), (lambda g: g * np.array([3.0, 2.0]),), "careless")

    report = gradcheck(lambda x: careless(x).sum(), Tensor([1.0, 1.0], dtype="float64"))
    assert not report
    assert [row.verdict for row in report.rows] == ["agrees", "disagrees"]
    assert "1 of 2 gradients disagree" in str(report) and "x[1] = 1: backward 2, nudged 3" in str(report)


def test_gradcheck_takes_values_and_tensors_and_leaves_them_as_they_are():
    x, w = Tensor([[1.0, -2.0]], requires_grad=True, dtype="float64"), Tensor(0.5, dtype="float64")
    report = gradcheck(lambda x, w: (x * w).tanh().sum(), x, w)
    assert report and [row.name for row in report.rows] == ["x[0, 0]", "x[0, 1]", "w"]
    assert x.grad is None and x.tolist() == [[1.0, -2.0]] and not w.requires_grad


@pytest.mark.parametrize(
    ("error", "message", "f", "x"),
    [
        (ValueError, "x: expected float64, got float32", lambda x: x.sum(), Tensor([1.0])),
        (ValueError, "f returned numbers of shape (2,): add them up", lambda x: x, Tensor([1.0, 2.0], dtype="float64")),
        (TypeError, "build the result from the Tensors it is given", lambda x: x.item(), Tensor(1.0, dtype="float64")),
        (ValueError, "x[1] = nan: a slope needs", lambda x: x.sum(), Tensor([1.0, np.nan], dtype="float64")),
        (ValueError, "f uses none of its inputs", lambda x: Tensor(1.0, True, "float64") * 2.0, Tensor([1.0], dtype="float64")),
    ],
)  # fmt: skip
def test_gradcheck_says_what_it_cannot_look_at(error, message, f, x):
    with pytest.raises(error, match=re.escape(message)):
        gradcheck(f, x)


# What a tensor remembers


def test_a_second_backward_accumulates_in_the_leaves():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    total = y.sum()
    total.backward()
    total.backward()
    assert x.grad.tolist() == [4.0, 8.0] and y.grad.tolist() == [1.0, 1.0] and total.grad.item() == 1.0


def test_no_two_gradients_share_memory():
    a, b = (Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    c = a + b
    (c + a.reshape(2)).sum().backward()
    before = b.grad.copy()
    a.grad *= 100.0
    assert (b.grad == before).all() and (c.grad == before).all()
    assert a.grad.flags.writeable and b.grad.flags.writeable


def test_a_sum_gives_a_gradient_that_can_be_written_to():
    x = Tensor([1.0, 2.0], requires_grad=True)
    x.sum().backward()
    x.grad += 1.0
    assert x.grad.tolist() == [2.0, 2.0]


def test_what_requires_nothing_remembers_nothing():
    x = Tensor([1.0]) * 2.0 + 1.0
    assert not x.requires_grad and x.parents == () and x.rules == ()
    y = Tensor([1.0], requires_grad=True)
    z = (x * y).sum()
    z.backward()
    assert x.grad is None and y.grad.tolist() == [3.0]


def test_no_grad_ends_and_nests_also_after_an_error():
    x = Tensor([1.0], requires_grad=True)
    with pytest.raises(KeyError), no_grad():
        with no_grad():
            pass
        assert not (x * 2).requires_grad
        raise KeyError
    assert (x * 2).requires_grad


def test_detach_shares_the_numbers_and_forgets():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = (x * 2).detach()
    assert y.data is not x.data and not y.requires_grad
    assert x.detach().data is x.data


def test_a_tensor_copies_what_it_is_given():
    array = np.array([1.0, 2.0], dtype=np.float32)
    x = Tensor(array)
    array[0] = 5.0
    assert x.tolist() == [1.0, 2.0]
    assert x.numpy() is x.data


def test_only_a_graph_that_someone_holds_stays_in_memory():
    model = Sequential(Linear(20, 50), Tanh(), Linear(50, 5))
    optimizer, x, y = SGD(model.parameters(), lr=0.01), Tensor(np.ones((100, 20))), [0] * 100

    def steps(n):
        for _ in range(n):
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            optimizer.step()

    steps(3)
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        steps(10)
        before = tracemalloc.get_traced_memory()[0]
        steps(200)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < 50_000  # one graph has some 100,000 bytes, and there were 200


def test_a_masked_number_gets_no_gradient_however_large_the_gradient_is():
    for masked in (
        lambda x: x.relu(),
        lambda x: microlearn.deep.where(x > 0, x, 0.0),
        lambda x: microlearn.deep.maximum(x, 0.0),
    ):
        x = Tensor([-1.0, 4.0], requires_grad=True)
        with np.errstate(all="ignore"):
            masked(x).sqrt().sum().backward()
        assert x.grad.tolist() == [0.0, 0.25]


def test_a_thread_that_records_nothing_does_not_keep_others_from_it():
    inside, done = threading.Event(), threading.Event()

    def other():
        with no_grad():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    assert (Tensor([1.0], requires_grad=True) * 2).requires_grad
    done.set()
    thread.join()


def test_float32_sums_of_many_numbers_keep_their_digits():
    x = Tensor(np.full((400_000, 2), 0.1), requires_grad=True)
    assert x.mean(axis=0).data == pytest.approx(0.1, rel=1e-6)
    bias = Tensor([0.0, 0.0], requires_grad=True)
    ((x + bias) * 0.1).sum().backward()
    assert bias.grad == pytest.approx(40_000, rel=1e-6)


def test_what_chose_is_copied():
    x, key = Tensor([1.0, 2.0, 3.0], requires_grad=True), np.array([0, 1])
    y = x[key].sum()
    key[...] = 2
    y.backward()
    assert x.grad.tolist() == [1.0, 1.0, 0.0]


# Types and conversions


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_operation_changes_the_dtype(dtype):
    x = Tensor([[1.0, 2.0]], dtype=dtype)
    for y in (x + 1, 2 - x, x * np.float64(2.0), x / np.array([3.0, 4.0]), x**2, x @ [[1.0], [2.0]], np.ones(2) * x):
        assert y.dtype == dtype
    assert x.sum().dtype == dtype and type(x.sum().data) is np.ndarray


def test_an_array_on_the_left_asks_the_tensor():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = np.array([10.0, 20.0]) - x
    assert isinstance(y, Tensor) and y.tolist() == [9.0, 18.0]
    assert isinstance(np.array([[1.0, 1.0]]) @ x, Tensor)


def test_it_reads_as_numbers_where_there_is_one():
    x = Tensor(2.5)
    assert float(x) == x.item() == 2.5 and f"{x:.1f}" == "2.5" and bool(x)
    assert np.asarray(Tensor([1.0, 2.0])).tolist() == [1.0, 2.0]
    assert len(Tensor([1.0, 2.0])) == 2 and [one.item() for one in Tensor([1.0, 2.0])] == [1.0, 2.0]


def test_a_model_can_be_copied_and_pickled():
    import copy
    import pickle

    model = Sequential(Linear(2, 3), Tanh())
    SGD(model.parameters())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert (other[0].weight.data == model[0].weight.data).all()
        other[0].weight.data += 1.0
        assert (other[0].weight.data != model[0].weight.data).all()


def test_order_compares_numbers_and_equality_is_identity():
    x = Tensor([1.0, 2.0, 3.0])
    assert (x > 1.5).tolist() == [False, True, True] and (x <= Tensor([1.0, 1.0, 5.0])).tolist() == [True, False, True]
    assert x != Tensor([1.0, 2.0, 3.0]) and len({x, x}) == 1


def test_astype_passes_the_gradient_back_in_the_dtype_it_came_from():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x.astype("float64")
    (y * Tensor([3.0, 4.0], dtype="float64")).sum().backward()
    assert x.grad.dtype == np.float32 and x.grad.tolist() == [3.0, 4.0]


def test_astype_has_the_slope_that_nudging_finds():
    """Of numbers, and with nudges, that float32 holds: it would round others away."""
    x, pulls = Tensor([[1.5, -0.25], [3.0, 0.0]], dtype="float64"), Tensor([[0.5, -2.0], [1.0, 4.0]])
    assert gradcheck(lambda x: (x.astype("float32") * pulls).astype("float64").sum(), x, step=2**-6, tolerance=0.0)


def test_what_it_says_of_itself():
    assert repr(Tensor([1.0, 2.5])) == "Tensor([1. , 2.5])"
    assert repr(Tensor(1.0, requires_grad=True, dtype="float64")) == "Tensor(1., dtype=float64, requires_grad=True)"
    assert repr(Parameter([1.0])) == "Parameter([1.], requires_grad=True)"


def test_importing_the_package_brings_no_numpy():
    import subprocess
    import sys

    code = "import sys, microlearn; assert 'numpy' not in sys.modules; microlearn.Tensor; assert 'numpy' in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    with pytest.raises(AttributeError, match="module 'microlearn' has no attribute 'Tensr'"):
        _ = microlearn.Tensr


# What it refuses


def leaf(*shape):
    return Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("error", "message", "wrong"),
    [
        (ValueError, "backward: expected a result of one number, got one of shape (2,): add its numbers up first", lambda: leaf(2).backward()),
        (ValueError, "backward: nothing that this was made of requires a gradient", lambda: Tensor(1.0).backward()),
        (ValueError, "item: expected one number, got shape (2,)", lambda: leaf(2).item()),
        (TypeError, "len: a tensor of shape () is one number", lambda: len(leaf())),
        (TypeError, "len: a tensor of shape () is one number", lambda: list(leaf())),
        (ValueError, "Tensor: the lists are not all of one length", lambda: Tensor([[1.0], [1.0, 2.0]])),
        (TypeError, "Tensor: expected numbers, got", lambda: Tensor(["a"])),
        (TypeError, "Tensor: expected numbers, got", lambda: Tensor(None)),
        (TypeError, "Tensor: expected numbers, got complex", lambda: Tensor([1j])),
        (TypeError, "dtype: expected float32 or float64, got int64: only floats have slopes", lambda: Tensor([1], dtype="int64")),
        (TypeError, "Tensor: expected numbers, got <U1", lambda: leaf(2) ** "2"),
        (TypeError, "dtype: expected float32 or float64, got 'float33'", lambda: Tensor([1], dtype="float33")),
        (TypeError, "add: a tensor of float32 and one of float64 do not mix: convert one, x.astype('float32')", lambda: leaf(2) + Tensor([1.0, 2.0], dtype="float64")),
        (ValueError, "add: shapes (2, 3) and (2,) do not fit: a column for each row needs shape (2, 1), x.reshape(-1, 1)", lambda: leaf(2, 3) + leaf(2)),
        (ValueError, "mul: shapes (2, 3) and (4, 3) do not fit: counted from the last axis", lambda: leaf(2, 3) * leaf(4, 3)),
        (ValueError, "where: shapes (2,), (2,) and (3,) do not fit", lambda: microlearn.deep.where([True, False], leaf(2), leaf(3))),
        (ValueError, "matmul: shapes (2, 3) and (4, 3) do not fit: 3 and 4 must be equal; they would be with the second one transposed, b.T", lambda: leaf(2, 3) @ leaf(4, 3)),
        (ValueError, "matmul: shapes (3, 2) and (3, 4) do not fit: 2 and 3 must be equal; they would be with the first one transposed, a.T", lambda: leaf(3, 2) @ leaf(3, 4)),
        (ValueError, "matmul: shapes (2, 3) and (4,) do not fit: 3 (the last axis of the first) and 4", lambda: leaf(2, 3) @ leaf(4)),
        (ValueError, "matmul: shapes (2, 3) and () do not fit: a single number is multiplied with *", lambda: leaf(2, 3) @ 2.0),
        (ValueError, "matmul: shapes (5, 2, 3) and (4, 3, 2) do not fit: the axes before the last two must be equal", lambda: leaf(5, 2, 3) @ leaf(4, 3, 2)),
        (ValueError, "sum: axis 2 is not one of the 2 of shape (2, 3)", lambda: leaf(2, 3).sum(axis=2)),
        (ValueError, "sum: axis (0, -2) names an axis of shape (2, 3) twice", lambda: leaf(2, 3).sum(axis=(0, -2))),
        (ValueError, "mean: there is nothing to average in shape (0, 3), along axis (0,)", lambda: leaf(0, 3).mean(axis=0)),
        (ValueError, "max: there is nothing to choose from in shape (0, 3)", lambda: leaf(0, 3).max(axis=0)),
        (ValueError, "reshape: the 6 numbers of shape (2, 3) do not go into shape (4, 2)", lambda: leaf(2, 3).reshape(4, 2)),
        (ValueError, "transpose: (1, 2) does not name each of the 3 axes of shape (2, 3, 4) once", lambda: leaf(2, 3, 4).transpose(1, 2)),
        (ValueError, "swapaxes: 1 or 5 is not one of the 3 axes", lambda: leaf(2, 3, 4).swapaxes(1, 5)),
        (IndexError, "index: no such place in shape (2, 3)", lambda: leaf(2, 3)[5]),
        (TypeError, "index: a tensor holds floats: index with integers", lambda: leaf(2, 3)[Tensor(1.0)]),
        (ValueError, "gather: shape (2, 3) has 2 axes and the indices' (2,) has 1", lambda: microlearn.deep.gather(leaf(2, 3), 1, [0, 1])),
        (TypeError, "gather: expected whole numbers, got float64", lambda: microlearn.deep.gather(leaf(2, 3), 1, [[0.5]])),
        (ValueError, "concatenate: shapes (2, 3), (2, 2) may differ only along axis 0", lambda: microlearn.deep.concatenate([leaf(2, 3), leaf(2, 2)])),
        (ValueError, "concatenate: expected a list of one tensor or more, got []", lambda: microlearn.deep.concatenate([])),
        (ValueError, "stack: shapes (2,), (3,) must all be the same", lambda: microlearn.deep.stack([leaf(2), leaf(3)])),
        (ValueError, "softmax: axis 1 is not one of the 1 of shape (3,)", lambda: leaf(3).softmax(1)),
        (ValueError, "approximate: expected 'none' or 'tanh', got 'fast'", lambda: leaf(3).gelu("fast")),
        (ValueError, "mse_loss: shapes (3, 1) and (3,) differ: give one the shape of the other", lambda: mse_loss(leaf(3, 1), [1.0, 2.0, 3.0])),
        (ValueError, "cross_entropy: expected a target for each of the 2 rows, got shape (3,)", lambda: cross_entropy(leaf(2, 3), [0, 1, 2])),
        (ValueError, "cross_entropy: target 3 is not the number of a class, from 0 to 2", lambda: cross_entropy(leaf(2, 3), [0, 3])),
        (ValueError, "cross_entropy: target -1 is not the number of a class", lambda: cross_entropy(leaf(2, 3), [0, -1])),
        (TypeError, "cross_entropy: the targets: expected whole numbers, got float64", lambda: cross_entropy(leaf(2, 3), [0.0, 1.0])),
        (ValueError, "cross_entropy: expected scores of shape (N, classes), got (2, 3, 4): give logits.reshape(-1, 4)", lambda: cross_entropy(leaf(2, 3, 4), [[0] * 3] * 2)),
        (ValueError, "cross_entropy: reduction: expected one of mean, sum, none, got 'avg'", lambda: cross_entropy(leaf(2, 3), [0, 1], "avg")),
        (ValueError, "binary_cross_entropy_with_logits: expected targets from 0 to 1, got some from 0 to 2", lambda: microlearn.deep.binary_cross_entropy_with_logits(leaf(2), [0.0, 2.0])),
    ],
)  # fmt: skip
def test_bad_input_is_named(error, message, wrong):
    with pytest.raises(error, match=re.escape(message)):
        wrong()


# Where a nan came from


def test_looking_for_nans_ends_and_nests():
    x = Tensor([-1.0])
    with detect_anomaly():
        with detect_anomaly():
            pass
        with pytest.raises(FloatingPointError):
            x.log()
    with np.errstate(all="ignore"):
        x.log()


def test_the_first_nan_is_named_on_the_way_forward_and_back():
    x = Tensor([[1.0, -1.0]], requires_grad=True)
    place = re.escape("the result of log, of shape (1, 2), has a nan at [0, 1]")
    with pytest.raises(FloatingPointError, match=place), detect_anomaly():
        (x.log() * 2).sum()
    zero = Tensor([0.0], requires_grad=True)
    with pytest.raises(FloatingPointError, match="the gradient that sqrt passes back"), detect_anomaly():
        (zero.sqrt() * 0.0).sum().backward()
    with np.errstate(all="ignore"):
        assert np.isnan(x.log().sum().item())  # outside, nobody looks


def test_gradients_in_between_can_be_given_up():
    x = Tensor([1.0, 2.0], requires_grad=True)
    between = x * 3.0
    result = (between * between + between).sum()
    result.backward()
    wanted, seen = x.grad.copy(), between.grad
    assert seen.tolist() == [7.0, 13.0]
    x.grad = None
    result.backward(retain_grads=False)
    assert between.grad is None and result.grad is None and x.grad.tolist() == wanted.tolist()
    result.backward()
    assert between.grad.tolist() == [7.0, 13.0] and x.grad.tolist() == (2.0 * wanted).tolist()


def test_two_leaves_of_a_sum_have_a_gradient_each():
    x, y = (Tensor([number], requires_grad=True) for number in (1.0, 2.0))
    (x + y).backward()
    assert not np.shares_memory(x.grad, y.grad)
    (x * 1.0).backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([2.0], [1.0])


@pytest.mark.parametrize("fails", [False, True])
def test_that_gradients_in_between_are_given_up_holds_for_one_walk(fails):
    x = Tensor(0.0, requires_grad=True)
    root = x.sqrt() if fails else x.exp()
    with contextlib.suppress(FloatingPointError), np.errstate(all="ignore"), detect_anomaly():
        (root * 0.0).backward(retain_grads=False)
    between = x * 2.0
    backward(between * 3.0)  # the walk itself, which sets nothing
    assert between.grad == 3.0


# Who looks on


class Notes(Watcher):
    """Writes down what it sees, and adds a number to results and gradients."""

    def __init__(self, more=0.0):
        self.more, self.seen = more, []

    def operands(self, op, tensors):
        self.seen.append(("operands", op, len(tensors)))
        return tensors

    def result(self, made, parents):
        self.seen.append(("result", made.op, len(parents)))
        made.data = made.data + self.more
        return made

    def gradient(self, op, share):
        self.seen.append(("gradient", op, share.tolist()))
        return share + self.more


def test_a_watcher_sees_results_and_gradients_and_what_it_returns_goes_on():
    x, notes = Tensor([1.0, 2.0], requires_grad=True), Notes(1.0)
    with watching([notes]):
        y = (x * 3.0).sum()
        y.backward()
    assert y.item() == 4.0 + 7.0 + 1.0 and x.grad.tolist() == [7.0, 7.0]
    assert notes.seen == [
        ("result", "mul", 2), ("result", "sum", 1), ("gradient", "sum", [1.0, 1.0]), ("gradient", "mul", [6.0, 6.0]),
    ]  # fmt: skip


def test_a_watcher_sees_what_products_read_and_looks_on_where_nothing_is_remembered():
    x, notes = Tensor([[1.0, 2.0]]), Notes()
    with no_grad(), watching([notes]):
        x @ x.T
        linear(x, x)
        linear(x, x, Tensor([1.0]))
    asked = [what for what in notes.seen if what[0] == "operands"]
    assert asked == [("operands", "matmul", 2), ("operands", "linear", 3), ("operands", "linear", 3)]


def test_watchers_see_in_their_order_until_the_end_and_in_their_thread():
    x, first, second, found = Tensor([1.0]), Notes(1.0), Notes(10.0), []
    with pytest.raises(ZeroDivisionError), watching([first, second]):
        assert (x * 2.0).item() == 13.0
        thread = threading.Thread(target=lambda: found.append((x * 2.0).item()))
        thread.start()
        thread.join()
        with watching([]):
            assert (x * 2.0).item() == 2.0
        assert (x * 2.0).item() == 13.0
        raise ZeroDivisionError
    assert found == [2.0] and (x * 2.0).item() == 2.0
    assert len(first.seen) == len(second.seen) == 2


def test_looking_for_nans_comes_before_whoever_changes_something():
    class Covers(Watcher):
        def result(self, made, parents):
            made.data = np.zeros_like(made.data)
            return made

    x = Tensor([-1.0])
    with pytest.raises(FloatingPointError, match="the result of log"), watching([Covers()]), detect_anomaly():
        x.log()
