"""How a language model trains: its batches, its steps, its stops."""

import inspect
import math
import os
import signal
import subprocess
import sys
import textwrap
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from microlearn.deep import AdamW, Diverged, WarmupCosine, clip_grad_norm_, manual_seed
from microlearn.llm import (
    GPT,
    GPTConfig,
    MLPLanguageModel,
    NGram,
    evaluate,
    get_batch,
    parameter_groups,
    split,
    train,
)

IDS = np.random.default_rng(0).integers(0, 7, 400)
SETTINGS = {
    "max_iters": 12,
    "batch_size": 3,
    "lr": 1e-2,
    "min_lr": 1e-3,
    "warmup": 3,
    "eval_interval": 5,
    "eval_iters": 2,
}


def small(dropout=0.0):
    manual_seed(0)
    return GPT(GPTConfig(block_size=5, vocab_size=7, n_layer=1, n_head=2, n_embd=8, dropout=dropout))


def weights(model):
    return model.state_dict()


def assert_same(a, b):
    for name, array in a.items():
        assert (array == b[name]).all(), name


def test_a_batch_is_windows_and_what_came_after_each_token():
    ids = np.arange(100)
    idx, targets = get_batch(ids, 8, 500, np.random.default_rng(0))
    assert idx.shape == targets.shape == (500, 8)
    assert (targets == idx + 1).all() and (np.diff(idx) == 1).all()
    assert idx.min() == 0 and targets.max() == 99  # the first token and the last are seen


def test_the_shortest_text_has_one_window():
    idx, targets = get_batch(np.arange(5), 4, 3, np.random.default_rng(0))
    assert idx.tolist() == [[0, 1, 2, 3]] * 3 and targets.tolist() == [[1, 2, 3, 4]] * 3


def test_the_end_of_a_text_is_set_aside():
    kept, aside = split(np.arange(100), 0.1, 5)
    assert kept.tolist() == list(range(90)) and aside.tolist() == list(range(90, 100))
    kept, aside = split(range(20), [1, 2, 3], 2)
    assert len(kept) == 20 and aside.tolist() == [1, 2, 3]


@pytest.mark.parametrize(("length", "aside"), [(14, 1), (16, 2), (24, 2), (27, 3)])
def test_the_part_set_aside_is_rounded_to_the_nearest(length, aside):
    assert [len(part) for part in split(range(length), 0.1, 0)] == [length - aside, aside]


def test_every_token_but_the_first_is_judged_once():
    """A model that is surprised at each token by that token's own number."""

    asked = []

    class Surprised(GPT):
        def forward(self, idx, targets=None, cache=None):
            assert (np.asarray(targets) == np.asarray(idx) + 1).all()
            assert not self.training
            asked.append(idx)
            return None, np.mean(targets)

    model = Surprised(GPTConfig(8, 7, 1, 1, 4))
    for length in (2, 8, 9, 10, 17, 100):
        assert evaluate(model, range(length), batch_size=3) == pytest.approx(np.arange(1, length).mean())
    assert model.training
    asked.clear()
    assert evaluate(model, range(801), windows=10) == pytest.approx(400.5)
    assert np.concatenate(asked)[:, 0].tolist() == [0, 88, 176, 264, 352, 440, 528, 616, 704, 792]
    assert evaluate(model, range(801), windows=100) == pytest.approx(400.5)
    asked.clear()
    evaluate(model, range(25), windows=3)
    evaluate(model, range(30), windows=3)  # what is left over would be a fourth
    assert [idx.shape for idx in asked] == [(3, 8)] * 2


def test_matrices_decay_and_nothing_else():
    model = small()
    decaying, others = parameter_groups(model, 0.3)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(p)] for p in others["params"]} == {n for n in names.values() if "ln_" in n or n.endswith("bias")}
    assert len(decaying["params"]) + len(others["params"]) == len(names)
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.3, 0.0)


def test_the_graph_of_a_part_is_gone_before_the_next_is_built():
    model, alive = small(), []
    whole = model.forward

    def forward(*inputs):
        assert all(loss() is None for loss in alive)
        logits, loss = whole(*inputs)
        alive.append(weakref.ref(loss))
        return logits, loss

    model.forward = forward
    train(model, IDS, **SETTINGS | {"max_iters": 4, "accumulation": 3}, progress=False)
    assert len(alive) >= 6


def test_the_settings_unless_told_otherwise():
    parameters = inspect.signature(train).parameters.values()
    assert {one.name: one.default for one in parameters if one.default is not one.empty} == {
        "batch_size": 12, "lr": 1e-3, "min_lr": 1e-4, "warmup": None, "beta2": 0.99, "weight_decay": 0.1,
        "max_norm": 1.0, "accumulation": 1, "block_size": None, "validation": 0.1, "eval_interval": 250,
        "eval_iters": 50, "seed": 0, "checkpoint": None, "resume": False, "on_evaluation": None, "progress": None,
        "group": None, "shard_optimizer": False,
    }  # fmt: skip
    asked = inspect.signature(evaluate).parameters
    assert [asked[name].default for name in ("block_size", "windows", "batch_size")] == [None, None, 32]


def test_a_twentieth_of_the_steps_is_warmup_unless_told_otherwise():
    model, wanted = small(), small()
    train(model, IDS, 40, batch_size=2, eval_iters=1)
    train(wanted, IDS, 40, batch_size=2, eval_iters=1, warmup=2)
    assert_same(weights(model), weights(wanted))


@pytest.mark.parametrize(("accumulation", "dropout"), [(1, 0.0), (3, 0.0), (1, 0.2)])
def test_it_is_the_loop_by_hand(accumulation, dropout):
    model = small(dropout)
    train(model, IDS, **SETTINGS, accumulation=accumulation, max_norm=0.5, weight_decay=0.2, beta2=0.95)
    wanted = small(dropout)  # made here, so that what it drops is drawn anew
    optimizer = AdamW(parameter_groups(wanted, 0.2), lr=1e-2, betas=(0.9, 0.95))
    schedule = WarmupCosine(optimizer, 3, 12, 1e-3)
    for step in range(12):
        idx, targets = get_batch(IDS[:360], 5, 3 * accumulation, np.random.default_rng([0, step]))
        optimizer.zero_grad()
        wanted(idx, targets)[1].backward()  # all batches of a step at once
        clip_grad_norm_(wanted.parameters(), 0.5)
        optimizer.step()
        schedule.step()
    for name, array in weights(model).items():
        np.testing.assert_allclose(array, weights(wanted)[name], atol=2e-5 if accumulation > 1 else 0, err_msg=name)


def test_what_is_measured():
    model = small()
    history = train(model, IDS, **SETTINGS)
    assert history.step == [0, 5, 10, 12] and history.ending == "all steps"
    assert history.val_loss[0] == pytest.approx(math.log(7), abs=0.05)
    assert history.val_loss[-1] == evaluate(model, IDS[360:], windows=6)
    assert history.train_loss[-1] == evaluate(model, IDS[:360], windows=6)
    assert history.seconds == sorted(history.seconds) and history.seconds[0] == 0.0 < history.seconds[1]
    assert history.tokens_per_second[0] == 0.0
    for before, after in zip(history.evaluations, history.evaluations[1:], strict=False):
        tokens = (after.step - before.step) * 3 * 5
        assert after.tokens_per_second == pytest.approx(tokens / (after.seconds - before.seconds))
    assert repr(history).startswith("<History: 12 steps, all steps, validation loss 1.9")
    with pytest.raises(AttributeError):
        _ = history.accuracy


@pytest.fixture
def clock(monkeypatch):
    """A clock by which each step takes a second, and each text that is judged a hundred."""
    now = [1000.0]

    def taking(seconds, function):
        def called(*given):
            now[0] += seconds
            return function(*given)

        return called

    monkeypatch.setattr("microlearn.llm.training.time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr("microlearn.llm.training.evaluate", taking(100.0, evaluate))
    monkeypatch.setattr(AdamW, "step", taking(1.0, AdamW.step))


def test_the_clock_counts_steps_alone_and_goes_on_after_a_stop(clock, tmp_path):
    settings = {**SETTINGS, "accumulation": 2, "checkpoint": tmp_path / "c.npz"}
    history = train(small(), IDS, **settings)
    assert history.seconds == [0.0, 5.0, 10.0, 12.0]
    assert history.tokens_per_second == [0.0, 30.0, 30.0, 30.0]
    history = train(small(), IDS, **settings | {"max_iters": 15}, resume=True)
    assert history.seconds == [0.0, 5.0, 10.0, 12.0, 15.0]
    assert history.tokens_per_second == [0.0, 30.0, 30.0, 30.0, 30.0]


def test_the_bar_says_how_far_it_is_where_it_is_asked_for(tmp_path, capsys):
    settings = {**SETTINGS, "checkpoint": tmp_path / "c.npz"}
    train(small(), IDS, **settings)
    train(small(), IDS, **settings, progress=False)
    assert capsys.readouterr().err == ""  # this is no terminal
    train(small(), IDS, **settings | {"max_iters": 14}, resume=True, progress=True)
    shown = capsys.readouterr().err
    assert "12/14 [" in shown and "14/14 [" in shown


def test_the_bar_shows_the_mean_loss_of_all_batches_of_a_step(capsys):
    train(small(), IDS, **SETTINGS | {"max_iters": 1, "warmup": 0}, accumulation=3, progress=True)
    loss = small()(*get_batch(IDS[:360], 5, 9, np.random.default_rng([0, 0])))[1].item()
    assert f"loss {loss:.3f}, " in capsys.readouterr().err


def test_it_learns_what_can_be_learned():
    text = [0, 1, 2, 3, 4, 5, 6] * 60
    history = train(small(), text, 150, batch_size=8, lr=1e-2)
    assert history.val_loss[-1] < 0.05


def test_other_models_train_too():
    manual_seed(0)
    window = MLPLanguageModel(7, 3, 4, 16)
    history = train(window, [0, 1, 2, 3, 4, 5, 6] * 60, 150, batch_size=8, lr=1e-2, block_size=5)
    assert history.val_loss[-1] < 0.3
    assert evaluate(NGram(7, n=2).fit([0, 1, 2] * 50), [0, 1, 2, 0, 1], block_size=4) < 0.2


def test_no_steps_is_a_measurement():
    model = small()
    before = weights(model)
    assert train(model, IDS, 0).step == [0]
    assert_same(weights(model), before)


class Stop(Exception):
    pass


@pytest.mark.parametrize("stop", range(12))
def test_stopped_at_any_step_it_goes_on_as_if_it_had_not(stop, tmp_path, monkeypatch):
    settings = {**SETTINGS, "accumulation": 2, "seed": 4}
    whole = small(dropout=0.2)
    wanted = train(whole, IDS, **settings)
    model, file = small(dropout=0.2), tmp_path / "checkpoint.npz"

    def press(steps=[0]):  # noqa: B006
        steps[0] += 1
        if steps[0] == stop:
            os.kill(os.getpid(), signal.SIGINT)

    step = AdamW.step
    monkeypatch.setattr(AdamW, "step", lambda self: (step(self), press()))
    history = train(model, IDS, **settings, checkpoint=file)
    assert history.ending == ("interrupted" if stop else "all steps")
    monkeypatch.undo()
    manual_seed(99)
    other = GPT(GPTConfig(block_size=5, vocab_size=7, n_layer=1, n_head=2, n_embd=8, dropout=0.2))
    history = train(other, IDS, **settings, checkpoint=file, resume=True)
    assert history.ending == "all steps" and history.step == wanted.step
    assert history.val_loss == wanted.val_loss and history.train_loss == wanted.train_loss
    assert_same(weights(other), weights(whole))


def test_killed_it_goes_on_from_the_last_checkpoint(tmp_path):
    whole = small(dropout=0.2)
    train(whole, IDS, **SETTINGS)
    script = f"""
        import os, signal
        from tests.llm import test_training as t
        from microlearn.llm import train
        at = []
        def kill(history):
            if history.step[-1] == 10:
                os.kill(os.getpid(), signal.SIGKILL)
        train(t.small(dropout=0.2), t.IDS, **t.SETTINGS, checkpoint={str(tmp_path / "c.npz")!r}, on_evaluation=kill)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    model = small(dropout=0.2)
    assert train(model, IDS, **SETTINGS, checkpoint=tmp_path / "c.npz", resume=True).step == [0, 5, 10, 12]
    assert_same(weights(model), weights(whole))


def test_a_training_may_be_made_longer(tmp_path):
    file = tmp_path / "c.npz"
    train(small(), IDS, **SETTINGS, checkpoint=file)
    history = train(small(), IDS, **{**SETTINGS, "max_iters": 20, "lr": 1e-3}, checkpoint=file, resume=True)
    assert history.step == [0, 5, 10, 12, 15, 20]


def test_what_is_set_anew_is_used_and_not_what_was(tmp_path):
    file, moved = tmp_path / "c.npz", []
    train(small(), IDS, **SETTINGS, checkpoint=file)
    for changes in ({}, {"lr": 1.0, "min_lr": 1.0}, {"beta2": 0.5}, {"weight_decay": 0.9}, {"max_norm": 1e-3}):
        model = small()
        train(model, IDS, **{**SETTINGS, "max_iters": 14} | changes, checkpoint=file, resume=True)
        moved.append(model.transformer.wte.weight.data.sum())
        train(small(), IDS, **SETTINGS, checkpoint=file)
    assert len(set(moved)) == len(moved)


def test_the_caller_hears_of_every_evaluation():
    seen = []
    train(small(), IDS, **SETTINGS, on_evaluation=lambda history: seen.append(history.step[-1]))
    assert seen == [0, 5, 10, 12]


def test_a_checkpoint_is_written_after_the_caller_has_heard(tmp_path):
    file, there = tmp_path / "c.npz", []
    train(small(), IDS, **SETTINGS, checkpoint=file, on_evaluation=lambda history: there.append(file.exists()))
    assert there == [False, True, True, True]


@pytest.mark.parametrize(("stop", "ending"), [(5, "interrupted"), (12, "all steps")])
def test_ctrl_c_interrupts_a_training_that_has_steps_left(stop, ending):
    def press(history):
        if history.step[-1] == stop:
            os.kill(os.getpid(), signal.SIGINT)

    history = train(small(), IDS, **SETTINGS, on_evaluation=press)
    assert (history.ending, history.step[-1]) == (ending, stop)


def test_a_loss_that_explodes_is_noticed():
    model = small()
    with pytest.raises(
        Diverged, match=r"the loss became (nan|inf) at step \d+; a learning rate of 1e\+20 is likely too large"
    ) as caught:
        train(model, IDS, 300, lr=1e20, min_lr=1e20, warmup=0, max_norm=None)
    assert (caught.value.history.ending, caught.value.history.step) == ("diverged", [0])


def test_broken_weights_are_not_blamed_on_the_learning_rate():
    model = small()
    model.transformer.wte.weight.data[:] = math.nan
    with pytest.raises(Diverged, match="at step 0; look at the parameters"):
        train(model, IDS, 10)


def test_the_model_is_left_in_the_mode_that_it_was_in():
    model = small().eval()
    train(model, IDS, **SETTINGS)
    assert not any(module.training for module in model.modules())


TOO_SHORT = ", and a block of 5 needs 6: take a longer text or a smaller block_size"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"model": 3}, "model: expected a Module, such as GPT(GPTConfig(...)), got 3"),
        ({"ids": [[1, 2]]}, "ids: expected one stream of tokens, got shape (1, 2)"),
        (
            {"ids": [0.5] * 99},
            "ids: expected whole numbers, got float64; for whole numbers kept as floats, x.astype(int)",
        ),
        (
            {"ids": [1, 2, 3, 4, 5]},
            "ids: there are 5 tokens to train on" + TOO_SHORT,
        ),
        (
            {"ids": [1] * 40},
            "ids: there are 4 tokens to validate with" + TOO_SHORT,
        ),
        ({"validation": 1.0}, "validation: expected a fraction between 0 and 1, or tokens, got 1.0"),
        ({"max_iters": -1}, "max_iters: expected a whole number of 0 or more, got -1"),
        ({"batch_size": 0}, "batch_size: expected a whole number above zero, got 0"),
        ({"accumulation": 0}, "accumulation: expected a whole number above zero, got 0"),
        ({"eval_interval": 0}, "eval_interval: expected a whole number above zero, got 0"),
        ({"eval_iters": 0}, "eval_iters: expected a whole number above zero, got 0"),
        ({"warmup": 12}, "warmup: expected fewer steps than the 12 of max_iters, got 12"),
        ({"resume": True}, "checkpoint: expected the path of the training to go on with"),
        ({"checkpoint": "nowhere/at/all.npz"}, "checkpoint: there is no folder nowhere/at"),
        ({"max_norm": 0.0}, "max_norm: expected a number above zero, got 0.0"),
        ({"lr": -1.0}, "lr: expected a number of 0 or more, got -1.0"),
        ({"seed": -1}, "seed: expected a whole number of 0 or more, got -1"),
        ({"seed": 0.5}, "seed: expected a whole number of 0 or more, got 0.5"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, error):
    arguments = {"model": small(), "ids": IDS, **SETTINGS} | changes
    with pytest.raises((TypeError, ValueError, FileNotFoundError)) as caught:
        train(**arguments)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"seed": 1}, "seed is 0 there, and 1 here"),
        ({"batch_size": 4}, "batch_size is 3 there, and 4 here"),
        ({"block_size": 4}, "block_size is 5 there, and 4 here"),
        ({"accumulation": 2}, "accumulation is 1 there, and 2 here"),
        ({"ids": IDS[:300]}, "checksum of the text is"),
        ({"model": MLPLanguageModel(7, 5, 4, 8)}, "load_state_dict: this is the state of another model"),
    ],
)
def test_the_checkpoint_of_another_training_changes_nothing(changes, error, tmp_path):
    file = tmp_path / "c.npz"
    train(small(), IDS, **SETTINGS, checkpoint=file)
    arguments = {"model": small(), "ids": IDS, **SETTINGS} | changes
    before = weights(arguments["model"])
    with pytest.raises(ValueError) as caught:
        train(**arguments, checkpoint=file, resume=True)
    assert str(caught.value).startswith(f"{file}: {error}")
    assert_same(weights(arguments["model"]), before)


def test_a_checkpoint_whose_optimizer_is_refused_changes_nothing(tmp_path):
    file = tmp_path / "c.npz"
    train(small(), IDS, **SETTINGS, checkpoint=file)
    with np.load(file) as stored:
        arrays = {name: array for name, array in stored.items() if not name.startswith("optimizer.")}
    np.savez(file, **arrays)
    model = small()
    before = weights(model)
    with pytest.raises(ValueError, match="load_state_dict: "):
        train(model, IDS, **SETTINGS, checkpoint=file, resume=True)
    assert_same(weights(model), before)


def test_the_same_text_is_the_same_however_its_numbers_are_kept(tmp_path):
    file = tmp_path / "c.npz"
    train(small(), IDS, **SETTINGS, checkpoint=file)
    again = train(small(), np.array(IDS, dtype=np.uint8), **SETTINGS, checkpoint=file, resume=True)
    assert again.step[-1] == SETTINGS["max_iters"]


def test_no_checkpoint_of_a_language_model(tmp_path):
    file = tmp_path / "c.npz"
    small().save(file)
    with pytest.raises(ValueError, match="this is not the checkpoint of a language model's training"):
        train(small(), IDS, **SETTINGS, checkpoint=file, resume=True)
    with pytest.raises(FileNotFoundError):
        train(small(), IDS, **SETTINGS, checkpoint=tmp_path / "none.npz", resume=True)


@pytest.mark.parametrize("ids", [[], [1]])
def test_nothing_to_judge(ids):
    with pytest.raises((TypeError, ValueError), match="ids: expected"):
        evaluate(small(), ids)
    with pytest.raises(ValueError, match="batch_size: expected a whole number above zero, got 0"):
        evaluate(small(), IDS, batch_size=0)


def test_a_model_that_does_not_say_how_much_it_sees():
    with pytest.raises(ValueError, match="block_size: this model does not say how many tokens it sees"):
        evaluate(lambda idx, targets: None, [1, 2, 3])
