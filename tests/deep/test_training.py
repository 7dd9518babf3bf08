# ruff: noqa: E501 (a case a line)
"""Training: what it measures, when it ends, how it goes on after a stop, and what it refuses."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from microlearn import Tensor
from microlearn.deep import (
    SGD,
    Adam,
    AdamW,
    BatchNorm1d,
    Diverged,
    Dropout,
    EarlyStopping,
    Embedding,
    Linear,
    ReLU,
    Sequential,
    Tanh,
    WarmupCosine,
    accuracy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    evaluate,
    fit,
    manual_seed,
    mse_loss,
    train_validation_split,
    training,
)
from microlearn.deep._loop import behaving, ctrl_c
from microlearn.networks import moons
from tests.networks import test_training as scalar

X, Y = moons(60, noise=0.1, seed=1)


def network(seed=0):
    manual_seed(seed)
    return Sequential(Linear(2, 8), BatchNorm1d(8), Tanh(), Dropout(0.1), Linear(8, 2))


def settings(model, epochs=4):
    """Choose settings that use all there is to remember: momentum, a schedule, dropout, running averages, patience."""
    optimizer = AdamW(model.parameters(), lr=0.02)
    return {
        "optimizer": optimizer,
        "scheduler": WarmupCosine(optimizer, 5, 40),
        "epochs": epochs,
        "batch_size": 16,
        "validation": 0.2,
        "max_norm": 1.0,
        "early_stopping": EarlyStopping(patience=50),
    }


def numbers(model):
    return np.concatenate([array.reshape(-1) for array in model.state_dict().values()])


class Stop(Exception):
    pass


def loss_that_stops(after):
    """Make a loss that raises at its n-th training step, as a crash would."""
    steps = []

    def loss(outputs, targets):
        if outputs.requires_grad:
            steps.append(1)
            if len(steps) > after:
                raise Stop
        return cross_entropy(outputs, targets)

    return loss


@pytest.mark.parametrize("after", range(0, 13))
def test_stopped_at_any_step_and_resumed_it_is_the_same_training(tmp_path, after):
    path, whole, stopped, resumed = tmp_path / "training.npz", network(), network(), network()
    manual_seed(9)
    history = fit(whole, X, Y, **settings(whole))
    manual_seed(9)
    try:
        fit(stopped, X, Y, loss_that_stops(after), **settings(stopped), checkpoint=path, checkpoint_every=1)
    except Stop:
        pass
    else:
        assert after >= 12
    if after == 0:
        assert not path.exists()
        return
    manual_seed(1234)
    again = fit(resumed, X, Y, **settings(resumed), checkpoint=path, resume=True)
    assert (numbers(resumed) == numbers(whole)).all()
    assert vars(again) == vars(history)


def test_it_goes_on_from_the_last_checkpoint_where_not_every_step_has_one(tmp_path):
    path, whole, stopped, resumed = tmp_path / "training.npz", network(), network(), network()
    manual_seed(9)
    fit(whole, X, Y, **settings(whole))
    manual_seed(9)
    with pytest.raises(Stop):
        fit(stopped, X, Y, loss_that_stops(8), **settings(stopped), checkpoint=path)  # the third epoch is lost
    fit(resumed, X, Y, **settings(resumed), checkpoint=path, resume=True)
    assert (numbers(resumed) == numbers(whole)).all()


def test_more_epochs_later_are_as_if_they_had_been_asked_for_at_once(tmp_path):
    path, whole, parts = tmp_path / "training.npz", network(), network()
    manual_seed(9)
    fit(whole, X, Y, **settings(whole, 5))
    manual_seed(9)
    fit(parts, X, Y, **settings(parts, 2), checkpoint=path)
    parts = network(7)
    history = fit(parts, X, Y, **settings(parts, 5), checkpoint=path, resume=True)
    assert len(history.loss) == 5 and (numbers(parts) == numbers(whole)).all()


@pytest.mark.parametrize("left_out", ["optimizer.", "best.", "model."])
def test_a_checkpoint_with_a_part_missing_is_refused(tmp_path, left_out):
    path, model = tmp_path / "training.npz", network()
    fit(model, X, Y, **settings(model), checkpoint=path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if not name.startswith(left_out)}
    assert len(arrays) > 3
    np.savez(path, **arrays)
    model = network()
    before = numbers(model)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        fit(model, X, Y, **settings(model), checkpoint=path, resume=True)
    assert (numbers(model) == before).all()


def test_ctrl_c_ends_after_the_step_and_keeps_a_checkpoint_to_go_on_from(tmp_path):
    path, whole, stopped, resumed = tmp_path / "training.npz", network(), network(), network()
    manual_seed(9)
    fit(whole, X, Y, **settings(whole))
    steps = []

    def loss(outputs, targets):
        steps.append(outputs.requires_grad)
        if steps.count(True) == 5 and outputs.requires_grad:
            os.kill(os.getpid(), signal.SIGINT)  # in the middle of the fifth step
        return cross_entropy(outputs, targets)

    manual_seed(9)
    history = fit(stopped, X, Y, loss, **settings(stopped), checkpoint=path)
    assert history.ending == "interrupted" and len(history.loss) == 1 and steps.count(True) == 5
    fit(resumed, X, Y, **settings(resumed), checkpoint=path, resume=True)
    assert (numbers(resumed) == numbers(whole)).all()
    with pytest.raises(KeyboardInterrupt):  # the usual meaning is back
        os.kill(os.getpid(), signal.SIGINT)


def test_a_second_ctrl_c_interrupts_at_once():
    def loss(outputs, targets):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return cross_entropy(outputs, targets)

    with pytest.raises(KeyboardInterrupt):
        fit(network(), X, Y, loss, epochs=1)


def test_what_is_measured():
    model = Sequential(Linear(2, 2))
    before = evaluate(model, X, Y)
    history = fit(model, X, Y, optimizer=SGD(model.parameters(), lr=0.5), epochs=3, batch_size=None, validation=(X, Y))
    assert (history.loss[0], history.accuracy[0]) == pytest.approx(before, rel=1e-6)
    assert history.validation_loss[0] == pytest.approx(history.loss[1], rel=1e-6)
    assert history.validation_loss[-1] == pytest.approx(evaluate(model, X, Y)[0], rel=1e-6)
    assert history.lr == [0.5] * 3 and history.ending == "all epochs"
    assert accuracy(model, X, Y) == history.validation_accuracy[-1]
    assert repr(history).startswith("<History: 3 epochs, all epochs, loss 0.")


def test_one_step_is_the_loop_written_out():
    model, by_hand = Sequential(Linear(2, 2)), Sequential(Linear(2, 2))
    by_hand.load_state_dict(model.state_dict())
    fit(model, X, Y, optimizer=SGD(model.parameters(), lr=0.5), epochs=2, batch_size=None)
    optimizer = SGD(by_hand.parameters(), lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        cross_entropy(by_hand(Tensor(X)), Y).backward()
        optimizer.step()
    assert (numbers(model) == numbers(by_hand)).all()


def test_batches_are_shuffled_by_the_seed_and_every_point_is_asked_once():
    class Notes(Linear):
        def forward(self, x):
            seen.append(x.data[:, 0].tolist())
            return super().forward(x)

    points, orders = [[float(i), 0.0] for i in range(10)], []
    for seed in (1, 1, 2):
        seen = []
        fit(Notes(2, 2), points, [0] * 10, epochs=2, batch_size=4, seed=seed)
        assert [len(batch) for batch in seen] == [4, 4, 2] * 2
        assert all(sorted(itertools.chain(*epoch)) == list(range(10)) for epoch in (seen[:3], seen[3:]))
        assert seen[:3] != seen[3:]
        orders.append(seen)
    assert orders[0] == orders[1] != orders[2]


def test_a_column_of_scores_is_compared_with_a_list_of_labels():
    manual_seed(0)
    model = Sequential(Linear(2, 16), Tanh(), Linear(16, 1))
    fit(model, X, Y, loss=binary_cross_entropy_with_logits, optimizer=Adam(model.parameters(), lr=0.05), epochs=80)
    assert accuracy(model, X, Y) > 0.95


def test_quantities_have_no_accuracy():
    model = Linear(1, 1)
    history = fit(
        model, [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], loss=mse_loss, optimizer=SGD(model.parameters(), 0.1), epochs=300
    )
    assert history.accuracy == [] and history.loss[-1] < 1e-4
    assert model.weight.item() == pytest.approx(2.0, abs=0.05)
    with pytest.raises(ValueError, match="y: expected class numbers"):
        accuracy(model, [[0.0], [1.0]], [1.0, 3.0])


def test_points_are_turned_into_what_the_model_computes_in():
    model = Linear(2, 2, dtype="float64")
    fit(model, X, Y, epochs=1)
    assert model.weight.dtype == np.float64 and evaluate(model, X, Y)[0] > 0.0


def test_whole_numbers_go_to_an_embedding():
    manual_seed(0)

    class Words(Sequential):
        def forward(self, ids):
            return self[1](self[0](ids).mean(axis=1))

    model = Words(Embedding(4, 6), Linear(6, 2))
    ids = [[0, 1], [2, 3], [0, 0], [3, 3]]
    fit(model, ids, [0, 1, 0, 1], optimizer=Adam(model.parameters(), lr=0.1), epochs=40)
    assert accuracy(model, ids, [0, 1, 0, 1]) == 1.0


def test_a_training_that_was_stopped_early_is_over_when_it_is_resumed(tmp_path):
    path, whole, again = tmp_path / "training.npz", Sequential(Linear(2, 2)), Sequential(Linear(2, 2))

    def train(model, **options):
        optimizer = SGD(model.parameters(), lr=2.0)
        watch = EarlyStopping(1)
        return fit(model, X, Y, optimizer=optimizer, epochs=40, early_stopping=watch, checkpoint=path, **options)

    first = train(whole)
    second = train(again, resume=True)
    assert first.ending == second.ending == "no better" and vars(first) == vars(second)
    assert (numbers(again) == numbers(whole)).all()


def settings_that_stop(model):
    """Choose a rate so high that the validation loss soon gets no better."""
    optimizer = SGD(model.parameters(), lr=3.0)
    return {"optimizer": optimizer, "epochs": 40, "validation": 0.2, "early_stopping": EarlyStopping(3)}


@pytest.mark.parametrize("after", [3, 5, 8])
def test_a_watch_goes_on_waiting_where_it_was(tmp_path, after):
    path, whole, stopped, resumed = tmp_path / "training.npz", network(), network(), network()
    manual_seed(9)
    history = fit(whole, X, Y, **settings_that_stop(whole))
    assert history.ending == "no better" and 4 < len(history.loss) < 40
    manual_seed(9)
    with pytest.raises(Stop):
        fit(stopped, X, Y, loss_that_stops(after), **settings_that_stop(stopped), checkpoint=path, checkpoint_every=1)
    again = fit(resumed, X, Y, **settings_that_stop(resumed), checkpoint=path, resume=True)
    assert vars(again) == vars(history) and (numbers(resumed) == numbers(whole)).all()


@pytest.mark.parametrize("kept", [{}, {"checkpoint": "training.npz"}], ids=["in memory", "in a file"])
def test_an_interrupted_model_keeps_its_last_parameters_not_its_best(tmp_path, monkeypatch, kept):
    monkeypatch.chdir(tmp_path)
    model, losses, seen = Sequential(Linear(2, 2)), iter([0.1, 0.2, 0.3]), []

    def loss(outputs, targets):
        if outputs.requires_grad:
            return cross_entropy(outputs, targets)
        seen.append(numbers(model))
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return Tensor(next(losses))

    optimizer = SGD(model.parameters(), lr=0.5)
    watched = {"validation": (X, Y), "early_stopping": EarlyStopping(9)}
    assert fit(model, X, Y, loss, optimizer, epochs=9, **watched, **kept).ending == "interrupted"
    assert (numbers(model) == seen[2]).all() and (seen[0] != seen[2]).any()


def test_a_checkpoint_is_written_every_so_many_steps(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(
        training, "write", lambda path, arrays: written.append(json.loads(str(arrays["training"]))["steps"])
    )
    model = network()
    fit(model, X, Y, epochs=2, batch_size=10, checkpoint=tmp_path / "training.npz", checkpoint_every=4)
    assert written == [4, 6, 8, 12, 12]  # and after each epoch of six


def test_ctrl_c_while_it_validates_is_an_interruption(tmp_path):
    path, model = tmp_path / "training.npz", network()

    def loss(outputs, targets):
        if not outputs.requires_grad and path.exists():
            os.kill(os.getpid(), signal.SIGINT)
        return cross_entropy(outputs, targets)

    history = fit(model, X, Y, loss, **settings(model), checkpoint=path)
    assert history.ending == "interrupted" and len(history.loss) == 2


def test_other_points_are_refused(tmp_path):
    path, model = tmp_path / "training.npz", network()
    fit(model, X, Y, **settings(model), checkpoint=path)
    with pytest.raises(ValueError, match="checksum of X and y"):
        fit(model, np.array(X) + 1.0, Y, **settings(model), checkpoint=path, resume=True)
    with pytest.raises(ValueError, match="checkpoint of a training"):
        model.load(path)


def test_parts_that_were_in_eval_stay_so():
    model = network()
    model[1].eval()
    evaluate(model, X, Y)
    assert not model[1].training and model[0].training


def test_a_watch_can_be_used_again():
    watch = EarlyStopping(2)
    for _ in range(2):
        model = Sequential(Linear(2, 2))
        assert len(fit(model, X, Y, epochs=5, early_stopping=watch).loss) == 5


def test_early_stopping_gives_back_the_best_parameters():
    model = Sequential(Linear(2, 2))
    losses = iter([0.5, 0.3, 0.4, 0.35, 0.1])
    kept = []

    def loss(outputs, targets):
        if outputs.requires_grad:
            return cross_entropy(outputs, targets)
        kept.append(numbers(model))
        return Tensor(next(losses))

    history = fit(
        model, X, Y, loss, SGD(model.parameters(), lr=0.5), epochs=9, validation=(X, Y), early_stopping=EarlyStopping(2)
    )
    assert history.ending == "no better" and len(history.loss) == 4
    assert (numbers(model) == kept[1]).all()


def test_a_rate_that_explodes_is_said_and_the_parameters_are_finite():
    model = Sequential(Linear(2, 16), ReLU(), Linear(16, 1))
    with pytest.raises(
        Diverged, match=r"the loss became (nan|inf) at epoch \d+, step \d+; lr = 1e\+06 is likely too large"
    ) as error:
        fit(model, X, [float(y) for y in Y], mse_loss, SGD(model.parameters(), lr=1e6), epochs=50)
    assert error.value.history.ending == "diverged"


def test_the_model_is_left_in_the_mode_it_came_in():
    model = network().eval()
    fit(model, X, Y, epochs=1)
    assert not any(module.training for module in model.modules())
    model.train()
    evaluate(model, X, Y)
    assert all(module.training for module in model.modules())


def test_evaluate_builds_no_graph_and_does_not_mind_batches():
    model = network()
    small, whole = evaluate(model, X, Y, batch_size=7), evaluate(model, X, Y)
    assert small == pytest.approx(whole, rel=1e-6)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_split_sets_aside_its_share_once():
    points = np.arange(20.0).reshape(-1, 1)
    train_X, validation_X, train_y, validation_y = train_validation_split(points, list(range(20)), 0.3, seed=2)
    assert len(validation_X) == 6 and sorted([*train_y, *validation_y]) == list(range(20))
    assert train_X[:, 0].tolist() == train_y.tolist() and validation_X[:, 0].tolist() == validation_y.tolist()
    assert train_validation_split(points, points, 0.3, seed=2)[1].tolist() == validation_X.tolist()
    assert train_validation_split(points, points, 0.3, seed=3)[1].tolist() != validation_X.tolist()


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, "X: expected at least one point, got none", {"X": np.zeros((0, 2)), "y": []}),
        (ValueError, "y: expected one entry for each of the 60 points in X, got 2", {"y": [0, 1]}),
        (ValueError, "X[1, 0]: expected a finite number, got nan", {"X": [[0.0, 1.0], [np.nan, 1.0]], "y": [0, 1]}),
        (ValueError, "X: expected points of one shape", {"X": [[0.0, 1.0], [1.0]], "y": [0, 1]}),
        (TypeError, "X: expected numbers", {"X": "moons"}),
        (TypeError, "model: expected a Module", {"model": lambda x: x}),
        (TypeError, "loss: expected a function of outputs and targets", {"loss": "mse"}),
        (TypeError, "loss: expected a function that returns a Tensor of one number", {"loss": lambda o, t: 1.0}),
        (TypeError, "optimizer: expected one, such as Adam(model.parameters())", {"optimizer": 0.1}),
        (ValueError, "optimizer: it moves none of this model's parameters", {"optimizer": Adam(Linear(2, 2).parameters())}),
        (ValueError, "epochs: expected a whole number of 0 or more, got -1", {"epochs": -1}),
        (ValueError, "batch_size: expected a whole number above zero, got 0", {"batch_size": 0}),
        (ValueError, "fraction: expected a number between 0 and 1, got 1.5", {"validation": 1.5}),
        (ValueError, "fraction: 0.001 of 60 points leaves nothing on one side", {"validation": 0.001}),
        (ValueError, "checkpoint: expected a path", {"resume": True}),
        (ValueError, "scheduler: it was made for another optimizer", {"scheduler": WarmupCosine(SGD(Linear(2, 2).parameters()), 1, 9)}),
        (TypeError, "validation: expected a pair (X, y), or a fraction", {"validation": 1}),
        (FileNotFoundError, "checkpoint: there is no folder", {"checkpoint": "/nowhere/at/all.npz"}),
        (ValueError, "cross_entropy: target 2 is not the number of a class", {"y": [2] * 60}),
        (ValueError, "linear: shapes (32, 3) and (8, 2) do not fit", {"X": np.ones((60, 3))}),
    ],
)  # fmt: skip
def test_bad_input_is_named(error, message, change):
    given = {"model": network(), "X": X, "y": Y, "epochs": 1, **change}
    with pytest.raises(error, match=re.escape(message)):
        fit(given.pop("model"), given.pop("X"), given.pop("y"), **given)


def test_what_a_training_cannot_be_resumed_from(tmp_path):
    path, model = tmp_path / "training.npz", network()
    with pytest.raises(FileNotFoundError):
        fit(model, X, Y, **settings(model), checkpoint=path, resume=True)
    model.save(path)
    with pytest.raises(ValueError, match="this holds a model, not a training"):
        fit(model, X, Y, **settings(model), checkpoint=path, resume=True)
    fit(model, X, Y, **settings(model), checkpoint=path)
    whole = path.read_bytes()
    for changes, message in [
        ({"batch_size": 8}, "batch_size is 16 there, and 8 here"),
        ({"seed": 3}, "seed is 0 there, and 3 here"),
        ({"optimizer": SGD(model.parameters()), "scheduler": None}, "scheduler is WarmupCosine there, and None here"),
        ({"scheduler": None}, "scheduler is WarmupCosine there, and None here"),
        ({"early_stopping": None}, "that training was with early stopping"),
        ({"validation": 0.5}, "points is 48 there, and 30 here"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            fit(model, X, Y, **{**settings(model), **changes}, checkpoint=path, resume=True)
    other = Sequential(Linear(2, 3))
    with pytest.raises(ValueError, match="this is the state of another model"):
        fit(other, X, Y, **settings(other), checkpoint=path, resume=True)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is cut off or damaged"):
        fit(model, X, Y, **settings(model), checkpoint=path, resume=True)


def test_killed_while_it_writes_there_is_always_a_whole_checkpoint(tmp_path):
    """A process that is killed without a word, again and again, ends where the undisturbed one does."""
    program = """
import sys
from tests.deep.test_training import X, Y, fit, manual_seed, network, numbers, settings
model, path = network(), sys.argv[1]
manual_seed(9)
resume = len(sys.argv) > 2
fit(model, X, Y, **settings(model, 40), checkpoint=path, checkpoint_every=1, resume=resume, progress=False)
numbers(model).tofile(sys.argv[1] + ".numbers")
"""
    path = tmp_path / "training.npz"
    command = [sys.executable, "-c", program, str(path)]
    subprocess.run(command, check=True, timeout=120)
    whole = np.fromfile(f"{path}.numbers")
    path.unlink()
    killed = 0
    for _ in range(4):
        running = subprocess.Popen(command + ["resume"] * path.exists())
        before = path.stat().st_mtime_ns if path.exists() else 0
        while running.poll() is None and (not path.exists() or path.stat().st_mtime_ns == before):
            time.sleep(0.01)
        running.kill()
        killed += running.wait() == -signal.SIGKILL
    assert killed, "it was never caught in the middle"
    subprocess.run([*command, "resume"], check=True, timeout=120)
    assert (np.fromfile(f"{path}.numbers") == whole).all()


def test_a_checkpoint_is_plain_arrays_and_words(tmp_path):
    path, model = tmp_path / "training.npz", network()
    fit(model, X, Y, **settings(model), checkpoint=path)
    with np.load(path, allow_pickle=False) as file:
        words = json.loads(str(file["training"]))
        assert file["model.0.weight"].shape == (8, 2)
    assert words["epoch"] == 4 and len(words["history"]["validation_loss"]) == 4


SCRIPT = """
    from tests.deep.test_training import X, Y, Linear, Sequential, fit
    print("begins", flush=True)
    history = fit(Sequential(Linear(2, 2)), X, Y, epochs={epochs}, progress={progress})
    print([history.ending, len(history.loss)], flush=True)
"""


@pytest.mark.parametrize(("progress", "seen"), [(True, True), (False, False), (None, True)])
def test_the_bar_is_on_a_terminal(monkeypatch, progress, seen):
    monkeypatch.setattr(scalar, "SCRIPT", SCRIPT)  # the terminal of the loop in networks, and this loop
    ended, shown = scalar.on_a_terminal(epochs=2, progress=progress)
    assert ended == ["all epochs", 2]
    assert ("2/2" in shown) == bool(shown) == seen


@pytest.mark.parametrize(("progress", "seen"), [(True, True), (False, False), (None, False)])
def test_elsewhere_the_bar_is_where_it_is_asked_for(capsys, progress, seen):
    fit(Sequential(Linear(2, 2)), X, Y, epochs=2, progress=progress)
    assert ("2/2" in capsys.readouterr().err) == seen


def test_an_error_leaves_the_modules_in_their_mode():
    model = Sequential(Linear(2, 2)).eval()
    with pytest.raises(ZeroDivisionError), behaving(model, training=True):
        assert model.training
        1 / 0  # noqa: B018
    assert not any(module.training for module in model.modules())


def test_ctrl_c_means_again_what_it_meant():
    pressed, before = [], signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, lambda *_: pressed.append("by hand"))
    try:
        with ctrl_c() as noted:
            signal.raise_signal(signal.SIGINT)
            assert noted and not pressed
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == ["by hand"] * 2
