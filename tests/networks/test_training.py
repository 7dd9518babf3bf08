"""The loop against PyTorch's stored word, its batches and endings, its memory, and what it refuses."""

import ast
import gc
import json
import math
import os
import pathlib
import pty
import random
import signal
import subprocess
import sys
import termios
import textwrap
import tracemalloc

import numpy as np
import pytest

from microlearn import Value
from microlearn.networks import (
    MLP,
    Diverged,
    Neuron,
    accuracy,
    binary_cross_entropy,
    cross_entropy,
    fit,
    hinge,
    moons,
    mse,
    spiral,
    weighted_sum,
    xor,
)
from tests.networks.trainings import STEPS, TRAININGS

SAID = json.loads(pathlib.Path(__file__).with_name("vectors.json").read_text())["trainings"]


def numbers_of(model):
    return [parameter.data for parameter in model.parameters()]


# The same steps as PyTorch's


@pytest.mark.parametrize("name", TRAININGS)
def test_one_step_and_twenty_are_pytorch_s(name):
    assert set(SAID) == set(TRAININGS)
    training, said = TRAININGS[name], SAID[name]
    for epochs, expected in ((1, said["first"]), (STEPS, said["last"])):
        model = training.model()
        begun = numbers_of(model)
        history = fit(model, *training.data, loss=training.loss, lr=training.lr, epochs=epochs)
        assert history.loss == pytest.approx(said["losses"][:epochs], rel=1e-9)
        assert numbers_of(model) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert numbers_of(model) != pytest.approx(begun, rel=1e-3)


# What a step is


class Line:
    """A model of one weight, whose mean squared error by the points can be followed on paper."""

    def __init__(self, w=0.0):
        self.w = Value(w)

    def __call__(self, x):
        return self.w * x[0]

    def parameters(self):
        return [self.w]

    def zero_grad(self):
        self.w.grad = 0.0


POINTS, TARGETS = [[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0]


def test_a_full_batch_takes_one_step_an_epoch_against_the_mean_gradient():
    model = Line()
    history = fit(model, POINTS, TARGETS, loss=mse, lr=0.1, epochs=2)
    w, losses = 0.0, []
    for _ in range(2):
        losses.append(sum((w * x - y) ** 2 for (x,), y in zip(POINTS, TARGETS, strict=True)) / 3)
        w -= 0.1 * sum(2 * (w * x - y) * x for (x,), y in zip(POINTS, TARGETS, strict=True)) / 3
    assert model.w.data == pytest.approx(w)
    assert history.loss == pytest.approx(losses)
    assert history.accuracy == []


def asked(**settings):
    """Return the batches of a training, each as the list of its targets."""
    batches = []

    def loss(outputs, targets):
        batches.append(list(targets))
        return mse(outputs, targets)

    X = [[i / 10] for i in range(10)]
    fit(Line(), X, [float(i) for i in range(10)], loss=loss, lr=0.01, **settings)
    return batches[1:-1]  # the first is a look at the targets, the last one at what the last step has led to


def test_every_epoch_asks_every_point_once_in_batches():
    batches = asked(epochs=3, batch_size=4)
    assert [len(batch) for batch in batches] == [4, 4, 2] * 3
    epochs = [[*batches[i], *batches[i + 1], *batches[i + 2]] for i in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_the_same_seed_shuffles_alike():
    assert asked(epochs=2, batch_size=3, seed=1) == asked(epochs=2, batch_size=3, seed=1)
    assert asked(epochs=2, batch_size=3, seed=1) != asked(epochs=2, batch_size=3, seed=2)


@pytest.mark.parametrize("batch_size", [None, 10, 99])
def test_a_full_batch_keeps_the_order(batch_size):
    assert asked(epochs=1, batch_size=batch_size) == [list(range(10))]


def test_the_loss_of_an_epoch_is_the_mean_over_its_points_not_over_its_batches():
    X, y = [[0.0], [0.0], [0.0]], [1.0, 1.0, 4.0]
    assert fit(Line(), X, y, loss=mse, epochs=1, batch_size=2).loss == pytest.approx([18 / 3])


def test_the_learning_rate_may_depend_on_the_epoch():
    rates = {0: 0.1, 1: 0.0, 2: 0.05}
    model, expected = Line(), 0.0
    fit(model, [[1.0]], [1.0], loss=mse, lr=rates.get, epochs=3)
    for rate in rates.values():
        expected -= rate * 2 * (expected - 1.0)
    assert model.w.data == pytest.approx(expected)


def test_old_gradients_play_no_part():
    fresh, used = MLP(2, [3, 1]), MLP(2, [3, 1])
    used([1.0, 1.0]).backward()
    for model in (fresh, used):
        fit(model, *xor(8), epochs=3)
    assert numbers_of(fresh) == numbers_of(used)


class Lazy(Line):
    """A model that lists its parameters as PyTorch's do: once."""

    def parameters(self):
        yield self.w


def test_parameters_may_come_one_by_one():
    lazy, plain = Lazy(), Line()
    for model in (lazy, plain):
        fit(model, POINTS, TARGETS, loss=mse, lr=0.01, epochs=3)
    assert lazy.w.data == plain.w.data != 0.0


def test_numpy_s_numbers_leave_no_trace_in_the_model():
    (X, y), models = moons(20), (MLP(2, [3, 1]), MLP(2, [3, 1]))
    fit(models[0], X, y, epochs=np.int64(3), seed=np.int64(1), batch_size=np.int64(6))
    fit(models[1], np.array(X), np.array(y, "float32"), epochs=3, seed=1, batch_size=6)
    assert numbers_of(models[0]) == numbers_of(models[1])
    assert {type(number) for number in numbers_of(models[1])} == {float}


def test_the_settings_that_stand_where_none_is_given():
    (X, y), models = moons(10), (MLP(2, [3, 1]), MLP(2, [3, 1]))
    plain = fit(models[0], X, y)
    told = fit(models[1], X, y, binary_cross_entropy, 0.5, 100, None, 0)
    assert plain.loss == told.loss
    assert len(plain.loss) == 100


def test_each_epoch_goes_on_shuffling_where_the_last_one_ended():
    order, rng, expected = list(range(10)), random.Random(3), []
    for _ in range(2):
        rng.shuffle(order)
        expected += order
    assert [int(target) for batch in asked(epochs=2, batch_size=3, seed=3) for target in batch] == expected


def test_no_epochs_change_nothing():
    model = MLP(2, [3, 1])
    begun = numbers_of(model)
    assert fit(model, *xor(8), epochs=0).loss == []
    assert numbers_of(model) == begun


def test_a_single_neuron_can_be_trained():
    X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    neuron = Neuron(2, "linear")
    assert fit(neuron, X, [0, 0, 0, 1], epochs=200, target_accuracy=1.0).ending == "target reached"
    assert accuracy(neuron, X, [0, 0, 0, 1]) == 1.0


# Accuracy


def test_accuracy_counts_right_answers():
    X = [[-2.0], [0.0], [1.0], [3.0]]
    assert accuracy(lambda x: x[0], X, [0, 0, 1, 1]) == 1.0  # a score of exactly zero is not above it
    assert accuracy(lambda x: Value(x[0]), X, [0, 1, 1, 0]) == 0.5
    assert accuracy(lambda x: x[0], X, [0, 0, 0, 1], boundary=1.0) == 1.0
    assert accuracy(lambda x: [0.5, Value(x[0]), 2.0], X, [2, 2, 2, 1]) == 1.0


def test_the_accuracy_of_an_epoch_is_that_of_the_answers_its_loss_is_about():
    X, y = moons(20)
    model = MLP(2, [4, 1])
    expected = accuracy(model, X, y)
    assert fit(model, X, y, epochs=1).accuracy == [expected]
    X, y = spiral(21, classes=3)
    model = MLP(2, [4, 3])
    expected = accuracy(model, X, y)
    assert fit(model, X, y, loss=cross_entropy, epochs=1).accuracy == [expected]


def test_mse_on_labels_has_its_boundary_half_way():
    X, y = [[0.0], [1.0]], [0, 1]
    history = fit(Line(0.6), X, y, loss=mse, lr=0.0, epochs=1)
    assert history.accuracy == [1.0]
    assert fit(Line(0.4), X, y, loss=mse, lr=0.0, epochs=1).accuracy == [0.5]
    assert accuracy(Line(0.4), X, y) == 1.0


def test_the_boundary_can_be_told_to_a_loss_of_one_s_own():
    def mine(outputs, targets):
        return mse(outputs, targets) * 1.0

    X, y = [[0.0], [1.0]], [0, 1]
    assert fit(Line(0.4), X, y, loss=mine, lr=0.0, epochs=1).accuracy == [1.0]
    assert fit(Line(0.4), X, y, loss=mine, lr=0.0, epochs=1, boundary=0.5).accuracy == [0.5]
    assert fit(Line(0.4), X, y, loss=mse, lr=0.0, epochs=1, boundary=0.0).accuracy == [1.0]


def test_a_class_is_right_only_if_it_is_the_one_and_a_tie_goes_to_the_first():
    assert accuracy(lambda x: [0.0, 1.0, 0.0], [[0.0]], [2]) == 0.0
    assert accuracy(lambda x: [1.0, 1.0], [[0.0]], [0]) == 1.0
    assert accuracy(lambda x: (0.0, 1.0), [[0.0]], [1]) == 1.0
    said = accuracy(lambda x: np.array([x[0], 1.0]), np.array([[0.0], [2.0]]), np.array([1, 1]))
    assert (said, type(said)) == (0.5, float)


# Endings


@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("target", [{"target_accuracy": 1.0}, {"target_loss": 0.1}], ids=str)
def test_it_ends_where_the_model_as_it_is_reaches_the_target(target, batch_size):
    (X, y), model = moons(30, seed=1), MLP(2, [8, 1])
    history = fit(model, X, y, lr=1.0, epochs=500, batch_size=batch_size, **target)
    assert history.ending == "target reached"
    assert len(history.loss) == len(history.accuracy) < 500
    if "target_accuracy" in target:
        assert accuracy(model, X, y) == history.accuracy[-1] == 1.0
    else:
        assert binary_cross_entropy([model(x) for x in X], y).data <= 0.1
        assert history.loss[-1] <= 0.1 < history.loss[0]


@pytest.mark.parametrize("goal", [0.25, 0.2499])
def test_a_target_is_reached_by_equality(goal):
    history = fit(Line(0.5), [[1.0]], [1.0], loss=mse, lr=0.0, epochs=2, target_loss=goal)
    assert history.ending == ("target reached" if goal == 0.25 else "all epochs")


def test_a_network_that_answers_nan_has_reached_nothing():
    model = MLP(2, [4, 4, 1], "relu", seed=2)
    with pytest.raises(Diverged):
        fit(model, moons(20)[0], [0] * 20, loss=hinge, lr=1e200, epochs=5, target_accuracy=1.0)


def test_an_explosion_in_the_last_epoch_is_noticed():
    (X, y), model = moons(20), MLP(2, [4, 4, 1], "relu")
    begun = numbers_of(model)
    with pytest.raises(Diverged, match="the loss became inf at epoch 1; lr = 1e\\+160 is likely too large") as error:
        fit(model, X, y, loss=mse, lr=1e160, epochs=1)
    assert numbers_of(model) == begun
    assert len(error.value.history.loss) == 1


def test_a_step_in_the_first_epoch_can_be_the_one_too_many():
    (X, y), model = moons(20), MLP(2, [4, 4, 1], "relu")
    with pytest.raises(Diverged, match="at epoch 0; lr = 1e\\+160 is likely too large"):
        fit(model, X, y, loss=mse, lr=1e160, batch_size=1)


def test_a_loss_that_cannot_be_computed_any_more_is_an_explosion_too():
    def composed(outputs, targets):
        chances = [output.sigmoid() for output in outputs]
        return -sum((p if t else 1 - p).log() for p, t in zip(chances, targets, strict=True)) / len(outputs)

    with pytest.raises(Diverged, match=r"could not be computed \(log\(0.0\).*\) at epoch \d+; lr = 10000") as error:
        fit(MLP(2, [4, 1]), *moons(20), loss=composed, lr=1e4, epochs=50)
    assert error.value.__suppress_context__  # one traceback is enough


def test_an_error_in_the_plan_of_rates_is_not_taken_for_an_explosion():
    model = Line()
    with pytest.raises(OverflowError, match="math range error"):
        fit(model, POINTS, TARGETS, loss=mse, lr=lambda epoch: math.exp(1000 * epoch) / 100, epochs=3)
    expected = Line()
    fit(expected, POINTS, TARGETS, loss=mse, lr=0.01, epochs=1)
    assert model.w.data == expected.w.data


def test_both_targets_have_to_be_reached():
    (X, y), model = moons(30, seed=1), MLP(2, [8, 1])
    history = fit(model, X, y, lr=1.0, epochs=500, target_accuracy=0.5, target_loss=0.1)
    assert binary_cross_entropy([model(x) for x in X], y).data <= 0.1
    assert history.accuracy[0] >= 0.5


def test_a_target_that_only_the_answers_on_the_way_reached_does_not_end_it():
    """The step after them makes the model worse again."""
    flat = fit(
        Line(0.5), [[1.0]], [1.0], loss=mse, lr=lambda epoch: 100.0 if epoch == 0 else 0.0, epochs=3, target_loss=0.3
    )
    assert flat.loss[0] <= 0.3 < flat.loss[1]
    assert flat.ending == "all epochs"


def test_its_words():
    (X, y), model = moons(30, seed=1), MLP(2, [8, 1])
    history = fit(model, X, y, epochs=2)
    assert repr(history).startswith(f"<History: 2 epochs, all epochs, loss {history.loss[0]:.4g} to ")
    assert repr(history).endswith(f", accuracy {history.accuracy[0]:.1%} to {history.accuracy[1]:.1%}>")
    assert repr(fit(model, X, y, epochs=0)) == "<History: 0 epochs, all epochs>"


@pytest.mark.parametrize(
    ("activation", "loss", "lr"), [("relu", mse, 50.0), ("relu", hinge, 1e200), ("tanh", mse, 1e4)]
)
def test_a_learning_rate_that_explodes_is_noticed_and_said(activation, loss, lr):
    (X, y), model = moons(20), MLP(2, [4, 4, 1], activation)
    with pytest.raises(
        Diverged, match=r"the loss became (nan|inf) at epoch \d+; lr = \S+ is likely too large"
    ) as error:
        fit(model, X, y, loss=loss, lr=lr, epochs=1000)
    history = error.value.history
    assert history.ending == "diverged"
    assert f"at epoch {len(history.loss)};" in str(error.value)
    assert all(map(math.isfinite, history.loss))
    assert loss([model(x) for x in X], y).data == history.loss[-1]  # the last sound weights


def test_an_overflow_inside_of_a_loss_is_noticed_too():
    def cubes(outputs, targets):
        return sum((output - target) ** 4 for output, target in zip(outputs, targets, strict=True)) / len(outputs)

    with pytest.raises(
        Diverged,
        match=r"could not be computed \(.* the result is too large for a float\) at epoch \d+; lr = 10 is likely",
    ):
        fit(Line(), POINTS, TARGETS, loss=cubes, lr=10.0, epochs=100)


def test_a_model_that_is_broken_before_the_first_step_is_not_blamed_on_the_learning_rate():
    model = MLP(2, [3, 1])
    model.parameters()[-1].data = math.nan
    with pytest.raises(Diverged, match="the loss became nan at epoch 0; no step was made yet: look at the parameters"):
        fit(model, *moons(10))


def interrupting(call):
    """Make a loss during whose so-many-th call Ctrl-C is pressed."""
    calls = []

    def loss(outputs, targets):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return mse(outputs, targets)

    return loss


def test_ctrl_c_keeps_what_was_learned():
    interrupted, shorter = Line(), Line()
    history = fit(interrupted, POINTS, TARGETS, loss=interrupting(5), lr=0.01, epochs=100)
    fit(shorter, POINTS, TARGETS, loss=mse, lr=0.01, epochs=3)
    assert history.ending == "interrupted"
    assert len(history.loss) == 3
    assert interrupted.w.data == shorter.w.data


def test_ctrl_c_in_the_middle_of_a_step_completes_it():
    class Slow(Value):
        """A parameter; while it is moved for the second time, Ctrl-C is pressed."""

        moves = 0

        @property
        def data(self):
            return self.now

        @data.setter
        def data(self, number):
            self.moves += 1
            if self.moves == 3:  # 1 is its beginning
                raise KeyboardInterrupt
            self.now = number

    class Pair(Line):
        def __init__(self, kind):
            self.w, self.b = Value(0.0), kind(0.0)

        def __call__(self, x):
            return weighted_sum([self.w], [Value(x[0])], self.b)

        def parameters(self):
            return [self.w, self.b]

        def zero_grad(self):
            self.w.grad = self.b.grad = 0.0

    interrupted, shorter = Pair(Slow), Pair(Value)
    assert fit(interrupted, POINTS, TARGETS, loss=mse, lr=0.01, epochs=9).ending == "interrupted"
    fit(shorter, POINTS, TARGETS, loss=mse, lr=0.01, epochs=2)
    assert numbers_of(interrupted) == numbers_of(shorter)


# On a terminal

SCRIPT = """
    import signal
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever this test was started by may ignore it
    signal.alarm(60)
    from microlearn.networks import MLP, fit, moons
    print("begins", flush=True)
    history = fit(MLP(2, [8, 1]), *moons(40), epochs={epochs}, progress={progress})
    print([history.ending, len(history.loss)], flush=True)
"""


def on_a_terminal(epochs, progress, interrupt=False):
    """Run a training whose standard error is a terminal; return what it printed and what the terminal showed."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    code = textwrap.dedent(SCRIPT.format(epochs=epochs, progress=progress))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
            if interrupt and b"loss=" in shown:
                process.send_signal(signal.SIGINT)
                interrupt = False
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    printed, _ = process.communicate(timeout=60)
    os.close(ours)
    return ast.literal_eval(printed.split("\n")[1]), shown.decode()


def test_a_bar_stands_on_a_terminal_and_nowhere_else(capfd):
    ended, shown = on_a_terminal(epochs=5, progress=None)
    assert ended == ["all epochs", 5]
    assert "5/5" in shown
    history = fit(MLP(2, [8, 1]), *moons(40), epochs=5)
    assert f"loss={history.loss[-1]:.4g}" in shown
    assert on_a_terminal(epochs=5, progress=False)[1] == ""
    fit(MLP(2, [3, 1]), *moons(10), epochs=2)
    assert capfd.readouterr().err == ""
    fit(MLP(2, [3, 1]), *moons(10), epochs=2, progress=True)
    assert "2/2" in capfd.readouterr().err


def test_the_real_ctrl_c():
    (ending, epochs), shown = on_a_terminal(epochs=10**6, progress=None, interrupt=True)
    assert ending == "interrupted"
    assert 0 < epochs < 10**6
    assert "Traceback" not in shown


# Memory


def test_a_thousand_steps_keep_memory_flat_without_the_garbage_collector():
    X, y = moons(6)
    model = MLP(2, [3, 1])
    fit(model, X, y, epochs=50)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        fit(model, X, y, epochs=200)
        before, _ = tracemalloc.get_traced_memory()
        fit(model, X, y, epochs=1000)
        after, _ = tracemalloc.get_traced_memory()
        assert after - before < 10_000  # one step makes some 20 KB of nodes, a thousand 20 MB
        assert gc.collect() < 100
    finally:
        tracemalloc.stop()
        gc.enable()


# Refusals

GOOD = [[0.0, 1.0], [1.0, 0.0]]


class Numbers(Line):
    def __call__(self, x):
        return super().__call__(x).data


class Empty(Line):
    def parameters(self):
        return []


def trained(X=GOOD, y=(0, 1), model=None, **settings):
    return fit(model or MLP(2, [2, 1]), X, list(y), **settings)


REFUSED = [
    (lambda: trained(X=[], y=[]), ValueError, "X: expected at least one point, got none"),
    (lambda: trained(y=[0]), ValueError, "y: expected one entry for each of the 2 points in X, got 1"),
    (lambda: trained(X=5.0), TypeError, "X: expected a list with one entry for each point, got float"),
    (lambda: fit(MLP(2, [1]), GOOD, 1), TypeError, "y: expected a list with one entry for each point, got int"),
    (lambda: trained(X=[1.0, 2.0]), TypeError, r"X\[0\]: expected a list of numbers, got 1.0"),
    (lambda: trained(X=[[0.0, 1.0], [1.0]]), ValueError, r"X\[1\]: expected 2 numbers, as in X\[0\], got 1"),
    (lambda: trained(X=[[0.0, 1.0], [1.0, math.nan]]), ValueError, r"X\[1\]\[1\]: expected a finite number, got nan"),
    (lambda: trained(X=[[0.0, "1"], [1.0, 0.0]]), ValueError, r"X\[0\]\[1\]: expected a finite number, got '1'"),
    (lambda: trained(y=[0, math.inf]), ValueError, r"y\[1\]: expected a finite number, got inf"),
    (lambda: trained(X=[[0.0] * 3] * 2), ValueError, "x: expected 2 numbers, got 3"),
    (lambda: trained(y=[0, 2]), ValueError, r"targets\[1\]: binary_cross_entropy expected the labels 0 and 1, got 2"),
    (lambda: trained(y=[0, 1], model=MLP(2, [2])), TypeError, "there is cross_entropy"),
    (lambda: trained(loss=cross_entropy), TypeError, "there is binary_cross_entropy"),
    (lambda: trained(target_accuracy=95), ValueError, "target_accuracy: expected a fraction from 0 to 1, got 95"),
    (
        lambda: trained(target_accuracy=math.nan),
        ValueError,
        "target_accuracy: expected a fraction from 0 to 1, got nan",
    ),
    (lambda: trained(target_loss="a"), ValueError, "target_loss: expected a finite number, got 'a'"),
    (lambda: trained(loss=lambda o, t: 1.0), TypeError, "loss: expected a function that returns a Value, .* 1.0"),
    (
        lambda: trained(model=MLP),
        TypeError,
        r"model: expected one with parameters, such as MLP\(2, \[8, 1\]\), got <class",
    ),
    (lambda: trained(model=Numbers()), TypeError, "model: expected it to answer with Values, .* got 0.0"),
    (lambda: trained(model=Empty()), TypeError, r"model: expected its parameters to be Values, got \[\]"),
    (lambda: trained(X=[[10**400, 1.0]] * 2), ValueError, r"X\[0\]\[0\]: expected a finite number"),
    (lambda: accuracy(None, GOOD, [0, 1]), TypeError, "model: expected a function of a point, .* got None"),
    (lambda: accuracy(MLP, GOOD, [0, 1]), TypeError, "model: expected a function of a point, .* got <class"),
    (lambda: trained(lr=-1.0), ValueError, "lr: expected a number of 0 or more, .* got -1.0"),
    (lambda: trained(lr=math.nan), ValueError, "lr: expected a number of 0 or more, .* got nan"),
    (lambda: trained(lr="0.1"), ValueError, "lr: expected a number of 0 or more, .* got '0.1'"),
    (lambda: trained(lr=10**400), ValueError, "lr: expected a number of 0 or more"),
    (lambda: trained(lr=lambda epoch: None), ValueError, "lr: .* a function that returns one, got None"),
    (lambda: trained(epochs=-1), ValueError, "epochs: expected a whole number of 0 or more, got -1"),
    (lambda: trained(epochs=1.5), TypeError, "epochs: expected a whole number of 0 or more, got 1.5"),
    (lambda: trained(batch_size=0), ValueError, "batch_size: expected a whole number above zero, got 0"),
    (lambda: trained(batch_size=2.5), TypeError, "batch_size: expected a whole number above zero, got 2.5"),
    (lambda: trained(y=[0.3, 0.7], loss=mse, target_accuracy=1.0), ValueError, "target_accuracy: .* use target_loss"),
    (
        lambda: trained(loss="mse"),
        TypeError,
        "loss: expected a function of outputs and targets, such as mse, got 'mse'",
    ),
    (lambda: trained(model=lambda x: x), TypeError, "model: expected .* parameters"),
    (lambda: accuracy(MLP(2, [1]), [], []), ValueError, "X: expected at least one point, got none"),
    (lambda: accuracy(MLP(2, [1]), GOOD, [-1, 1]), ValueError, r"y: expected the labels 0 and 1 .* got \[-1, 1\]"),
    (lambda: accuracy(MLP(2, [2]), GOOD, [0, 2]), ValueError, r"y: expected .* class numbers .* got \[0, 2\]"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED)
def test_a_refusal_names_the_argument_and_what_it_accepts(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_label_that_is_refused_is_named_by_its_place_in_y_whatever_the_batches():
    X, y = moons(20)
    y[13] = 3
    model = MLP(2, [3, 1])
    begun = numbers_of(model)
    with pytest.raises(ValueError, match=r"targets\[13\]"):
        fit(model, X, y, batch_size=4)
    assert numbers_of(model) == begun
