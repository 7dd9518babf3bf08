"""The command: what it makes, how it goes on after a stop, and what it says to whatever cannot be done."""

import csv
import errno
import importlib
import json
import math
import os
import pathlib
import pty
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
import tomllib
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy

from microlearn import cli
from microlearn.deep import _checkpoint, manual_seed
from microlearn.llm import GPT, BPETokenizer, CharTokenizer, GPTConfig, train, training, transformer
from microlearn.llm.training import Evaluation, History

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEXT = "".join(f"{i} bottles of water on the wall,\n{i} bottles of water.\n" for i in range(150, 0, -1))
TINY = "--n-layer 1 --n-head 2 --n-embd 16 --block-size 8 --max-iters 40 --eval-interval 10 --eval-iters 2 --lr 0.01"
TINY = [*TINY.split(), "--dropout", "0.1", "--sample", "5"]
COMMAND = [sys.executable, "-m", "microlearn"]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    file = tmp_path_factory.mktemp("text") / "song.txt"
    file.write_text(TEXT)
    return file


@pytest.fixture(scope="module")
def trained(text, tmp_path_factory):
    """A folder that nobody may change."""
    folder = tmp_path_factory.mktemp("models") / "song"
    assert cli.main(["train", str(text), "--out", str(folder), *TINY, "--quiet"]) == 0
    return folder


@pytest.fixture
def model(trained, tmp_path):
    """A copy of it."""
    return shutil.copytree(trained, tmp_path / "song")


def run(capsys, *arguments):
    """Run the command; return its status, what it showed, and what it complained about."""
    capsys.readouterr()
    status = cli.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def refused(capsys, *arguments):
    """Run what has to be refused, in one sentence; return the sentence."""
    status, shown, said = run(capsys, *arguments)
    assert status in (1, 2) and (arguments[0] == "train" or not shown)
    assert said.startswith("microlearn: ") and said.count("\n") == 1 and len(said) > 30, said
    return said


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def losses(folder):
    with (folder / "log.csv").open() as file:
        return [(row["step"], row["train_loss"], row["val_loss"]) for row in csv.DictReader(file)]


def assert_same_training(folder, other):
    """The parameters, and what the optimizer remembers, are equal to the last bit, and so are all losses."""
    for name in ("model.npz", "checkpoint.npz"):
        with np.load(folder / name) as one, np.load(other / name) as two:
            assert one.files == two.files
            for part in one.files:
                if part != "training of a language model":  # that holds seconds
                    np.testing.assert_array_equal(one[part], two[part], err_msg=part)
    assert losses(folder) == losses(other)


# The command


def test_the_console_script_and_the_module_are_one_command(capsys):
    target = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["microlearn"]
    module, name = target.split(":")
    assert getattr(importlib.import_module(module), name) is cli.main
    as_module = importlib.import_module("microlearn.__main__")
    assert as_module.main is cli.main
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    help_text = capsys.readouterr().out
    assert run(capsys) == (0, help_text, "")
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == help_text.split()


def test_help_and_mistakes_are_answered_without_numpy():
    code = (
        "import sys, microlearn; from microlearn.cli import main; main([]); main(['trian']);"
        "sys.exit('numpy' in sys.modules or 'tqdm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0
    assert done.stderr == "microlearn: there is no command trian, did you mean train?\n"


@pytest.mark.parametrize("command", ["train", "generate"])
def test_help_names_every_setting_its_default_and_an_example(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    settings = cli.CHOICE if command == "generate" else {k: v for s in cli.SETTINGS.values() for k, v in s.items()}
    for name, (default, _, what) in settings.items():
        option = "--" + name.replace("_", "-")
        assert option in shown and what in shown
        shown_default = f"{default:g}" if isinstance(default, float) else default
        assert default is None or default is False or f"{what} (default: {shown_default})" in shown
    assert f"example: microlearn {command} " in shown


def test_the_settings_are_nanogpt_s_for_a_cpu():
    assert cli._settings({}) == {
        **{"n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": 64, "dropout": 0.0, "bias": False},
        **{"tokenizer": "char", "vocab_size": 1024, "max_iters": 2000, "batch_size": 12, "accumulation": 1},
        **{"lr": 1e-3, "min_lr": 1e-4, "warmup": 100, "beta2": 0.99, "weight_decay": 0.1, "grad_clip": 1.0},
        **{"seed": 0, "eval_interval": 250, "eval_iters": 50},
    }


def test_the_recipe_on_the_page_is_the_default():
    page = (ROOT / "docs" / "llm" / "training.md").read_text().replace("\\\n", " ")  # a line that goes on
    commands = re.findall(r"^\$ (microlearn train .*)$", page, flags=re.MULTILINE)
    (recipe,) = (shlex.split(command) for command in commands if "--n-layer" in command)
    options = cli._parser().parse_args(recipe[1:])
    given = {name: getattr(options, name) for name in cli.DEFAULTS if getattr(options, name) is not None}
    assert len(given) == sum(word.startswith("--") for word in recipe) - 1  # --out
    assert cli._settings(given) == cli._settings({})


# Training

OTHER = {
    **{"n_layer": 2, "n_head": 2, "n_embd": 16, "block_size": 8, "dropout": 0.2, "bias": True},
    **{"tokenizer": "bpe", "vocab_size": 300, "max_iters": 12, "batch_size": 3, "accumulation": 2},
    **{"lr": 0.01, "min_lr": 0.002, "warmup": 3, "beta2": 0.9, "weight_decay": 0.3, "grad_clip": 0.05},
    **{"seed": 7, "eval_interval": 5, "eval_iters": 2},
}


def typed(settings):
    """Write settings as they are typed."""
    words = (
        ["--" + name.replace("_", "-"), *([] if value is True else [str(value)])] for name, value in settings.items()
    )
    return [word for pair in words for word in pair]


def test_every_option_reaches_the_training(text, tmp_path, capsys):
    assert OTHER.keys() == cli.DEFAULTS.keys() and all(OTHER[name] != cli.DEFAULTS[name] for name in OTHER)
    folder = tmp_path / "m"
    assert run(capsys, "train", text, "--out", folder, *typed(OTHER), "--quiet") == (0, "", "")

    tokenizer = BPETokenizer().train(TEXT[: round(len(TEXT) * 0.9)], 300)
    manual_seed(7)
    config = {"n_layer": 2, "n_head": 2, "n_embd": 16, "block_size": 8, "dropout": 0.2, "bias": True}
    by_hand = GPT(GPTConfig(vocab_size=tokenizer.vocab_size, **config))
    plan = {"lr": 0.01, "min_lr": 0.002, "warmup": 3, "beta2": 0.9, "weight_decay": 0.3, "max_norm": 0.05}
    sizes = {"batch_size": 3, "accumulation": 2, "eval_interval": 5, "eval_iters": 2}
    history = train(by_hand, tokenizer.encode(TEXT), 12, validation=0.1, seed=7, **plan, **sizes)

    with np.load(folder / "model.npz") as saved:
        state = by_hand.state_dict()
        assert saved.files == list(state)
        for name in state:
            np.testing.assert_array_equal(saved[name], state[name], err_msg=name)
    with np.load(folder / "checkpoint.npz") as saved:
        measured = json.loads(str(saved["training of a language model"]))["evaluations"]
    for name in ("step", "train_loss", "val_loss"):
        assert [evaluation[name] for evaluation in measured] == getattr(history, name)

    assert run(capsys, "train", text, "--out", tmp_path / "n", *typed(OTHER | {"seed": 8}), "--quiet") == (0, "", "")
    with np.load(tmp_path / "n" / "model.npz") as other:
        assert all((other[name] != state[name]).any() for name in state)


def test_a_training_leaves_a_model_its_tokenizer_and_a_log(trained):
    assert {file.name for file in trained.iterdir()} == set(cli.FILES)
    lines = (trained / "log.csv").read_text().splitlines()
    assert lines[0] == "step,train_loss,val_loss,seconds,tokens_per_second"
    rows = list(csv.DictReader(lines))
    assert [row["step"] for row in rows] == ["0", "10", "20", "30", "40"]
    assert float(rows[-1]["val_loss"]) < float(rows[0]["val_loss"]) - 0.5
    assert float(rows[-1]["seconds"]) > 0.0 and float(rows[-1]["tokens_per_second"]) > 0.0
    config = json.loads((trained / "config.json").read_text())
    assert config.pop("training")["max_iters"] == 40
    model = GPT(GPTConfig(**config)).load(trained / "model.npz")
    assert model.config.n_embd == 16 and model.config.vocab_size == len(set(TEXT))
    assert CharTokenizer().load(trained / "tokenizer.json").decode([0]) == "\n"


def test_a_training_shows_losses_and_samples_and_what_to_do_next(text, tmp_path, capsys):
    folder = tmp_path / "a folder" / "deep"
    status, shown, said = run(capsys, "train", text, "--out", folder, *TINY)
    assert (status, said) == (0, "")
    assert f"{len(TEXT):,} characters" in shown and "parameters" in shown
    assert "step 40 of 40: training loss" in shown and "tokens/s" in shown and "\n  | " in shown
    assert f"microlearn generate '{folder}'" in shown
    samples = re.findall(r"^  \| (.*)$", shown, flags=re.MULTILINE)
    assert 5 <= sum(map(len, samples)) <= 5 * 5  # characters of five samples; a new line is one too
    assert run(capsys, "train", text, "--out", tmp_path / "quiet", *TINY, "--quiet") == (0, "", "")


def test_a_sample_does_not_change_the_training(text, trained, tmp_path, capsys):
    run(capsys, "train", text, "--out", tmp_path / "other", *TINY)
    assert_same_training(tmp_path / "other", trained)


def test_words_are_learned_from_the_training_part_alone(tmp_path, capsys):
    text = tmp_path / "two parts.txt"
    text.write_text("la la la land " * 400 + "quokka " * 80)
    bpe = ["--tokenizer", "bpe", "--vocab-size", "300"]
    assert run(capsys, "train", text, "--out", tmp_path / "m", *TINY, *bpe)[0] == 0
    tokenizer = json.loads((tmp_path / "m" / "tokenizer.json").read_text())
    assert any("land" in merge.replace(" ", "") for merge in tokenizer["merges"])
    assert not any("qu" in merge.replace(" ", "") for merge in tokenizer["merges"])
    status, written, _ = run(capsys, "generate", tmp_path / "m", "--prompt", "é 文", "--seed", 1, "--max-new-tokens", 9)
    assert status == 0 and written.startswith("é 文")


def test_a_mark_at_the_beginning_of_a_file_is_no_text(tmp_path, capsys):
    file = tmp_path / "windows.txt"
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert run(capsys, "train", file, "--out", tmp_path / "m", *TINY, "--quiet") == (0, "", "")
    assert "\ufeff" not in (tmp_path / "m" / "tokenizer.json").read_text()


# Going on


def interrupting(monkeypatch, at, number=signal.SIGINT):
    """Send a signal when a training is measured at one of these steps."""
    plain = cli._Show.evaluation

    def evaluation(self, history, model):
        plain(self, history, model)
        if history.step[-1] == at:
            signal.raise_signal(number)

    monkeypatch.setattr(cli._Show, "evaluation", evaluation)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_the_training_goes_on_bit_for_bit(number, text, trained, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "song"
    with monkeypatch.context() as patched:
        interrupting(patched, 20, number)
        status, shown, said = run(capsys, "train", text, "--out", folder, *TINY)
    assert (status, said) == (130, "")
    assert f"microlearn train {text} --out {folder} --resume" in shown
    assert [row[0] for row in losses(folder)] == ["0", "10", "20"]
    assert run(capsys, "train", text, "--out", folder, "--resume", "--quiet") == (0, "", "")
    assert_same_training(folder, trained)


def test_a_training_that_is_killed_goes_on_bit_for_bit(text, tmp_path, capsys):
    settings = [*TINY, "--max-iters", "150", "--eval-interval", "20", "--quiet"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    training = subprocess.Popen([*COMMAND, "train", str(text), "--out", str(killed), *settings])
    try:
        begun = time.monotonic()
        while not (killed / "log.csv").exists() or len(losses(killed)) < 3:
            assert training.poll() is None and time.monotonic() < begun + 300
            time.sleep(0.01)
    finally:
        training.kill()
        training.wait()
    assert len(losses(killed)) < 9
    assert run(capsys, "train", text, "--out", killed, "--resume", "--quiet") == (0, "", "")
    assert run(capsys, "train", text, "--out", whole, *settings) == (0, "", "")
    assert_same_training(killed, whole)


def test_what_is_killed_before_its_first_checkpoint_begins_again(text, model, trained, capsys, monkeypatch):
    for name in ("checkpoint.npz", "model.npz", "log.csv"):
        (model / name).unlink()
    with monkeypatch.context() as patched:
        fill_up(patched, 2)
        said = refused(capsys, "train", text, "--out", model, "--resume")
    assert "what was there before is still there" in said
    assert run(capsys, "train", text, "--out", model, "--resume", "--quiet") == (0, "", "")
    assert_same_training(model, trained)


def test_a_log_that_is_ahead_of_the_checkpoint_is_put_right(text, trained, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "song"
    with monkeypatch.context() as patched:
        interrupting(patched, 20)
        run(capsys, "train", text, "--out", folder, *TINY, "--quiet")
    with (folder / "log.csv").open("a") as log:
        log.write("30,9.9,9.9,1,1\n40,9.")
    run(capsys, "train", text, "--out", folder, "--resume", "--quiet")
    assert_same_training(folder, trained)


def test_going_on_with_what_is_done_changes_nothing(text, model, capsys):
    before = contents(model)
    status, shown, _ = run(capsys, "train", text, "--out", model, "--resume")
    assert status == 0 and "Done" in shown
    assert contents(model) == before


def test_a_training_may_be_made_longer(text, model, trained, capsys):
    assert run(capsys, "train", text, "--out", model, "--resume", "--max-iters", 60, "--quiet") == (0, "", "")
    assert losses(model)[:5] == losses(trained) and losses(model)[-1][0] == "60"
    before = contents(model)
    run(capsys, "train", text, "--out", model, "--resume", "--quiet")  # it remembers how long
    assert contents(model) == before


# What cannot be done

WRONG = {
    "train {text}": "--out",
    "train --out {out}": "FILE",
    "train {text} --out {out} --n_layer 6": "did you mean --n-layer?",
    "train {text} --out {out} --n-layers=6": "did you mean --n-layer?",
    "train {text} --ouput {out}": "did you mean --out?",
    "train {text} --out {out} --max-iter 6": "did you mean --max-iters?",
    "train {text} --out {out} --zzz": "there is no option --zzz; `microlearn train --help`",
    "train {text} {text} --out {out}": "unrecognized arguments",
    "train {text} --out {out} --lr fast": "--lr: expected a number of 0 or more, got 'fast'",
    "train {text} --out {out} --lr nan": "--lr: expected",
    "train {text} --out {out} --n-layer 0": "--n-layer: expected a whole number above 0, got '0'",
    "train {text} --out {out} --n-layer 2.5": "--n-layer: expected a whole number",
    "train {text} --out {out} --n-layer": "--n-layer: expected one argument",
    "train {text} --out {out} --dropout 1.5": "--dropout: expected a number from 0 to below 1",
    "train {text} --out {out} --dropout 1": "--dropout: expected a number from 0 to below 1",
    "train {text} --out {out} --beta2 1": "--beta2: expected a number from 0 to below 1",
    "train {text} --out {out} --tokenizer word": "--tokenizer: invalid choice: 'word'",
    "train {text} --out {out} --tokenizer bpe --vocab-size 100": "--vocab-size: expected a whole number of 256",
    "train {text} --out {out} --vocab-size 300": "--vocab-size: characters count themselves",
    "train {text} --out {out} --n-head 3": "--n-head: a width of 128 does not divide into 3 heads",
    "train {text} --out {out} --max-iters 50 --warmup 100": "--warmup: its 100 steps are not fewer than the 50 in all",
    "train {text} --out {out} --block-size 5000": "take a longer text or a smaller --block-size",
    "train {nothing} --out {out}": "there is no text in this file",
    "train {blank} --out {out}": "there is no text in this file",
    "train {short} --out {out}": "needs 65",
    "train {nul} --out {out}": "this is no text in UTF-8",
    "train {latin} --out {out}": "this is no text in UTF-8",
    "train {folder} --out {out}": "Is a directory",
    "train {away} --out {out}": "away.txt: No such file",
    "train {text} --out {text}": "this is a file, and --out expects a folder",
    "train {text} --out {text}/deeper": "Not a directory",
    "train {text} --out ''": "--out: expected a text, got ''",
    "train {text} --out {out} --lr inf": "--lr: expected a number of 0 or more, got 'inf'",
    "train {text} --out {out} --resume": "there is no such folder",
    "train {text} --out {folder} --resume": "there is no config.json in it",
    "generate": "DIR",
    "generate {out}": "there is no such folder",
    "generate {text}": "this is a file",
    "generate {folder}": "there is no config.json in it",
    "generate {out} --tempreature 1": "did you mean --temperature?",
    "generate {out} --top-k 0": "--top-k: expected a whole number above 0, got '0'; `microlearn generate --help`",
    "generate {out} --top-p 1.5": "--top-p: expected a number above 0, at most 1, got '1.5'",
    "generate {out} --top-p 0": "--top-p: expected a number above 0, at most 1, got '0'; `microlearn generate --help`",
    "generate {out} --min-p 1.5": "--min-p: expected a number from 0 to 1, got '1.5'; `microlearn generate --help`",
    "generate {out} --temperature -1": "--temperature: expected a number of 0 or more, got '-1'",
    "generate {out} --repetition-penalty 0": "--repetition-penalty: expected a number above 0, got '0'; `microlearn g",
    "generate {out} --stop=": "--stop: expected a text, got ''; `microlearn generate --help`",
    "--version": "there is no option --version",
    "trian {text}": "there is no command trian, did you mean train?",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_typed_wrong_is_refused_in_one_sentence(words, text, tmp_path, capsys):
    places = {"text": text, "out": tmp_path / "out", "folder": tmp_path, "away": tmp_path / "away.txt"}
    data = {
        "nothing": b"",
        "blank": b" \n\n",
        "short": b"Once upon a time",
        "nul": b"PK\0\1" * 99,
        "latin": b"\xe9" * 999,
    }
    for name, content in data.items():
        places[name] = tmp_path / f"{name}.txt"
        places[name].write_bytes(content)
    before = sorted(tmp_path.iterdir())
    assert WRONG[words] in refused(capsys, *(word.format(**places) for word in shlex.split(words)))
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_cannot_be_written_is_named(text, tmp_path, capsys, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "out" / ".tokenizer.json"))

    monkeypatch.setattr(_checkpoint.tempfile, "mkstemp", refuse)  # root may write where modes say no
    assert "Permission denied" in refused(capsys, "train", text, "--out", tmp_path / "out", *TINY)


@pytest.mark.parametrize("left", [*cli.FILES, None])
def test_a_model_is_not_overwritten_by_accident(left, text, model, tmp_path, capsys):
    for name in cli.FILES:
        if left and name != left:
            (model / name).unlink()
    before = contents(model)
    said = refused(capsys, "train", text, "--out", model, *TINY)
    assert f"there is a model already ({left or ', '.join(cli.FILES)}); --resume goes on with it, --overwrite" in said
    empty = tmp_path / "empty.txt"
    empty.touch()
    refused(capsys, "train", empty, "--out", model, "--overwrite")
    refused(capsys, "train", text, "--out", model, "--overwrite", "--block-size", 5000)
    assert contents(model) == before
    assert run(capsys, "train", text, "--out", model, *TINY, "--overwrite", "--seed", 1, "--quiet") == (0, "", "")
    assert set(contents(model)) == set(cli.FILES) and contents(model) != before


def test_a_config_that_is_not_ours_is_not_given_up(text, tmp_path, capsys):
    file = tmp_path / "config.json"
    file.write_text('{"my": "project"}')
    said = refused(capsys, "train", text, "--out", tmp_path, *TINY, "--overwrite")
    assert "this is no model of `microlearn train`" in said and contents(tmp_path) == {
        "config.json": b'{"my": "project"}'
    }


def test_a_resume_that_is_refused_changes_nothing(text, tmp_path, capsys):
    folder = tmp_path / "m"
    run(capsys, "train", text, "--out", folder, *TINY, "--warmup", 30)
    before = contents(folder)
    said = refused(capsys, "train", text, "--out", folder, "--resume", "--max-iters", 20)
    assert "--warmup: its 30 steps are not fewer than the 20 in all" in said and contents(folder) == before


def test_what_a_kill_left_half_written_is_cleared_away(text, model, capsys):
    half, note = model / ".checkpoint.npz.a1b2", model / ".notes"
    half.touch()
    note.touch()
    assert run(capsys, "train", text, "--out", model, "--resume", "--quiet") == (0, "", "")
    assert not half.exists() and note.exists()


def test_with_a_closed_output_it_trains(text, tmp_path):
    closed = f"{sys.executable} -m microlearn train {text} --out {tmp_path / 'm'} {' '.join(TINY)} >&-"
    done = subprocess.run(closed, shell=True, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "") and set(contents(tmp_path / "m")) == set(cli.FILES)


@pytest.mark.parametrize(("losses", "said"), [([3.0, 1.0, 2.0], True), ([3.0, 2.0, 1.0], False), ([0.0] * 3, False)])
def test_a_training_that_was_too_long_is_named(losses, said, tmp_path, capsys):
    history = History()
    history.evaluations = [Evaluation(10 * i, loss, loss, 0.0, 0.0) for i, loss in enumerate(losses)]
    show = cli._Show(SimpleNamespace(quiet=False, file="f", out="m"), tmp_path, 20, None)
    show.ending(history)
    assert ("The validation loss was lowest at step 10" in capsys.readouterr().out) == said


def test_what_else_is_in_the_folder_is_left_alone(text, model, capsys):
    (model / "notes.md").write_text("mine")
    run(capsys, "train", text, "--out", model, *TINY, "--overwrite", "--quiet")
    assert (model / "notes.md").read_text() == "mine"


@pytest.mark.parametrize(
    "option, said",
    [
        ("--n-layer 2", "--n-layer: {} was begun with 1, and now it is to be 2; leave --n-layer out to go on"),
        ("--batch-size 3", "--batch-size: {} was begun with 12, and now it is to be 3"),
        ("--lr 0.5", "--lr: {} was begun with 0.01, and now it is to be 0.5"),
        ("--tokenizer bpe", "--tokenizer: {} was begun with char"),
        ("--bias", "--bias: {} was begun with False"),
        ("--overwrite", "--overwrite: not allowed with argument --resume"),
    ],
)
def test_a_training_does_not_go_on_with_other_settings(option, said, text, model, capsys):
    before = contents(model)
    assert said.format(model) in refused(capsys, "train", text, "--out", model, "--resume", *option.split())
    assert contents(model) == before


def test_a_training_does_not_go_on_with_another_text(text, model, tmp_path, capsys):
    other, before = tmp_path / "other.txt", contents(model)
    for end in ("", "?", "\N{SNOWMAN}"):
        other.write_text(TEXT[:-1] + end)
        assert "this is another text than the one that" in refused(capsys, "train", other, "--out", model, "--resume")
    assert contents(model) == before


DAMAGES = {
    "config.json": [
        (None, "there is no config.json in it"),
        (b'{"n_layer": ', "config.json: this is damaged"),
        (b"[1, 2]", "config.json: settings are missing"),
        (b'{"n_layer": 1}', "config.json: settings are missing"),
        (b"\xff\xfe", "config.json: this is damaged"),
    ],
    "tokenizer.json": [
        (None, "tokenizer.json is missing, so this is no whole model"),
        (b"{", "tokenizer.json"),
        (b'{"kind": "bpe"}', "tokenizer.json: expected a tokenizer of kind 'char'"),
        (b'{"kind": "char", "characters": "ab"}', "tokenizer.json and config.json are not of one model"),
    ],
    "model.npz": [
        (None, "model.npz is missing, so this is no whole model"),
        (b"", "model.npz: this is not a checkpoint"),
        (b"PK\3\4 and so on", "model.npz: it begins as a checkpoint but is cut off or damaged"),
    ],
}
DAMAGED = [(name, data, said) for name, damages in DAMAGES.items() for data, said in damages]


@pytest.mark.parametrize("name, data, said", DAMAGED)
def test_a_folder_that_is_not_a_whole_model_is_named_with_what_is_wrong(name, data, said, model, capsys):
    if data is None:
        (model / name).unlink()
    else:
        (model / name).write_bytes(data)
    assert said in refused(capsys, "generate", model, "--prompt", "1")


def test_a_model_that_is_cut_off_or_of_another_shape_is_refused(text, model, capsys):
    whole = (model / "model.npz").read_bytes()
    (model / "model.npz").write_bytes(whole[: len(whole) // 2])
    assert "cut off or damaged" in refused(capsys, "generate", model)
    (model / "model.npz").write_bytes(whole)
    config = json.loads((model / "config.json").read_text())
    for change, said in (
        ({"n_embd": 32}, "transformer.wte.weight has shape"),
        ({"n_layer": 30}, "transformer.h.1.ln_1.weight is missing"),
        ({"n_head": 3}, "a width of 16 does not divide into 3 heads"),
        ({"n_head": "two"}, "n_head: expected a whole number above zero, got 'two'"),
        ({"training": 7}, "config.json: settings are missing"),
    ):
        (model / "config.json").write_text(json.dumps(config | change))
        assert said in refused(capsys, "generate", model)


def test_a_checkpoint_that_is_cut_off_is_refused(text, model, capsys):
    whole = (model / "checkpoint.npz").read_bytes()
    (model / "checkpoint.npz").write_bytes(whole[: len(whole) // 2])
    before = contents(model)
    assert "cut off or damaged" in refused(capsys, "train", text, "--out", model, "--resume")
    assert contents(model) == before


def test_a_training_that_diverges_says_so(text, tmp_path, capsys):
    out = tmp_path / "wild"
    said = refused(capsys, "train", text, "--out", out, *TINY, "--lr", "1e30", "--warmup", 0, "--grad-clip", 0)
    assert "the loss became" in said and "learning rate" in said


def fill_up(monkeypatch, writes):
    """Let the disk be full after so many files."""
    plain, left = os.fsync, writes

    def fsync(descriptor):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(descriptor)

    monkeypatch.setattr(_checkpoint.os, "fsync", fsync)


@pytest.mark.parametrize("writes", [0, 1, 2, 3, 4, 5])
def test_a_full_disk_loses_nothing_that_was_kept(writes, text, model, trained, capsys, monkeypatch):
    with monkeypatch.context() as patched:
        fill_up(patched, writes)
        said = refused(capsys, "train", text, "--out", model, "--resume", "--max-iters", 60)
    assert "No space left on device" in said and "--resume goes on" in said
    assert set(contents(model)) == set(cli.FILES)
    run(capsys, "generate", model, "--max-new-tokens", 1)
    assert run(capsys, "train", text, "--out", model, "--resume", "--max-iters", 60, "--quiet") == (0, "", "")
    assert losses(model)[:5] == losses(trained) and losses(model)[-1][0] == "60"


def test_a_file_that_may_not_become_so_large_loses_nothing(text, model):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    before = contents(model)
    command = [*COMMAND, "train", str(text), "--out", str(model), "--resume", "--max-iters", "60", "--quiet"]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1) and "--resume goes on" in done.stderr
    after = contents(model)
    assert set(after) == set(cli.FILES)
    assert all(after[name] == before[name] for name in ("checkpoint.npz", "model.npz", "tokenizer.json"))


FIRST = ("tokenizer.json", "config.json", "log.csv", "model.npz", "checkpoint.npz")  # in the order of their writing


@pytest.mark.parametrize("writes", range(len(FIRST)), ids=FIRST)
def test_a_new_training_on_a_full_disk_leaves_no_trace(writes, text, trained, tmp_path, capsys, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.md").write_text("mine")
    for folder, left in ((tmp_path / "deep" / "deeper", None), (mine, {"notes.md": b"mine"})):
        with monkeypatch.context() as patched:
            fill_up(patched, writes)
            said = refused(capsys, "train", text, "--out", folder, *TINY)
        assert said == f"microlearn: {folder}: No space left on device; nothing was kept\n"
        assert not (tmp_path / "deep").exists() if left is None else contents(folder) == left
        assert run(capsys, "train", text, "--out", folder, *TINY, "--quiet") == (0, "", "")
        assert_same_training(folder, trained)


@pytest.mark.parametrize("writes", range(len(FIRST)), ids=FIRST)
def test_a_model_is_given_up_for_a_checkpoint_only(writes, text, model, capsys, monkeypatch):
    before, again = contents(model), ["train", text, "--out", model, *TINY, "--overwrite", "--seed", 1]
    with monkeypatch.context() as patched:
        fill_up(patched, writes)
        said = refused(capsys, *again)
    assert said == f"microlearn: {model}: No space left on device; what was there before is still there\n"
    assert contents(model) == before
    with monkeypatch.context() as patched:
        fill_up(patched, len(FIRST))
        assert "the last checkpoint is whole, and --resume goes on" in refused(capsys, *again)
    assert set(contents(model)) == set(cli.FILES) and all(contents(model)[name] != before[name] for name in FIRST[1:])


def test_ctrl_c_before_the_first_checkpoint_leaves_all_as_it_was(text, model, tmp_path, capsys, monkeypatch):
    def press(*args):
        signal.raise_signal(signal.SIGINT)

    before = contents(model)
    monkeypatch.setattr(cli._Show, "beginning", press)
    assert run(capsys, "train", text, "--out", model, *TINY, "--overwrite") == (130, "", "")
    assert run(capsys, "train", text, "--out", tmp_path / "new", *TINY) == (130, "", "")
    assert contents(model) == before and not (tmp_path / "new").exists()


class Killed(BaseException):
    """Stands for the end of a process."""


def at_step(monkeypatch, number, error, for_good):
    """Raise an error where files are changed for the so-maniest time, or from then on."""
    calls = 0

    def counted(plain):
        def call(*args, **options):
            nonlocal calls
            calls += 1
            if calls == number or (for_good and calls > number):
                raise error
            return plain(*args, **options)

        return call

    for name in ("mkdir", "replace", "rename", "unlink", "rmdir"):
        monkeypatch.setattr(pathlib.Path, name, counted(getattr(pathlib.Path, name)))
    monkeypatch.setattr(_checkpoint.os, "fsync", counted(os.fsync))
    monkeypatch.setattr(cli.shutil, "rmtree", counted(shutil.rmtree))


STEPS = (
    2 + len(FIRST) + 1 + 2 * len(FIRST)
)  # two folders are made, all is set aside, five files are written and renamed


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_wherever_a_new_training_fails_or_is_killed_the_old_model_is_not_lost(
    step, text, trained, model, tmp_path, capsys, monkeypatch
):
    before, new = contents(model), [*TINY, "--max-iters", "10", "--seed", "1", "--quiet"]
    again = ["train", text, "--out", model, *new, "--overwrite"]
    with monkeypatch.context() as patched:
        at_step(patched, step, OSError(errno.EIO, "Input/output error"), for_good=False)
        assert "what was there before is still there" in refused(capsys, *again)
    assert contents(model) == before

    with monkeypatch.context() as patched, pytest.raises(Killed):
        at_step(patched, step, Killed(), for_good=True)
        run(capsys, *again)
    killed = shutil.copytree(model, tmp_path / "killed")
    status, _, said = run(capsys, "generate", model, "--max-new-tokens", 1)
    assert status == 0 or "has no checkpoint yet; `microlearn train` with --resume goes on" in said
    assert "there is a model already" in refused(capsys, "train", text, "--out", model, *new)
    with monkeypatch.context() as patched:
        fill_up(patched, 0)
        assert "what was there before is still there" in refused(capsys, *again)
    assert {name: data for name, data in contents(model).items() if name in cli.FILES} == before

    begun = (killed / cli.ASIDE).exists() and (killed / "config.json").exists()
    assert run(capsys, "train", text, "--out", killed, "--resume", "--quiet") == (0, "", "")
    if begun:
        assert run(capsys, "train", text, "--out", tmp_path / "new", *new) == (0, "", "")
    assert_same_training(killed, tmp_path / "new" if begun else trained)
    assert not list(killed.glob(f"{cli.ASIDE}*"))


@pytest.mark.parametrize("step", range(1, 2 * len(FIRST) + 3))
def test_an_old_model_that_was_half_put_back_is_put_back(step, model, capsys, monkeypatch):
    before = contents(model)
    cli._make_room(model)
    for name in FIRST[:-1]:
        (model / name).write_text("new")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        at_step(patched, step, Killed(), for_good=True)
        cli._settle(model)
    status, _, said = run(capsys, "generate", model, "--max-new-tokens", 1)
    assert status == 0 or "has no checkpoint yet; `microlearn train` with --resume goes on" in said
    cli._settle(model)
    assert contents(model) == before


def test_wherever_a_first_training_is_killed_there_is_a_way_on(text, trained, tmp_path, capsys, monkeypatch):
    for step in range(1, STEPS - len(FIRST) + 1):  # nothing is there to set aside
        one, two = tmp_path / f"{step}", tmp_path / f"{step} again"
        with monkeypatch.context() as patched, pytest.raises(Killed):
            at_step(patched, step, Killed(), for_good=True)
            run(capsys, "train", text, "--out", one, *TINY, "--quiet")
        if one.exists():
            shutil.copytree(one, two)
        if (one / "config.json").exists():
            with monkeypatch.context() as patched:
                fill_up(patched, 1)
                assert "nothing was kept" in refused(capsys, "train", text, "--out", two, "--resume")
            assert run(capsys, "train", text, "--out", one, "--resume", "--quiet") == (0, "", "")
            assert_same_training(one, trained)
        assert run(capsys, "train", text, "--out", two, *TINY, "--quiet", "--overwrite") == (0, "", "")
        assert_same_training(two, trained)


def test_a_kill_after_the_first_checkpoint_leaves_the_new_training(text, model, tmp_path, capsys, monkeypatch):
    new = [*TINY, "--seed", "1", "--quiet"]
    again = ["train", text, "--out", model, *new, "--overwrite"]
    assert run(capsys, "train", text, "--out", tmp_path / "new", *new) == (0, "", "")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        at_step(patched, STEPS + 1, Killed(), for_good=True)
        run(capsys, *again)
    (model / cli.ASIDE / "config.json").unlink()  # where the kill came while it was given up
    kept = {name: (model / name).read_bytes() for name in cli.FILES}
    assert run(capsys, "generate", model, "--max-new-tokens", 1)[0] == 0
    killed = shutil.copytree(model, tmp_path / "killed")
    with monkeypatch.context() as patched:
        fill_up(patched, 0)
        assert "what was there before is still there" in refused(capsys, *again)
    assert {name: data for name, data in contents(model).items() if name in cli.FILES} == kept
    assert run(capsys, "train", text, "--out", killed, "--resume", "--quiet") == (0, "", "")
    assert_same_training(killed, tmp_path / "new")
    assert not (killed / cli.ASIDE).exists()


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_standard_output_that_is_full_is_named(text, trained, tmp_path):
    folder = tmp_path / "m"
    for command, left in (
        (["train", text, "--out", folder, *TINY], "; nothing was kept"),
        (["generate", trained], ""),
    ):
        with pathlib.Path("/dev/full").open("w") as full:
            command = [*COMMAND, *map(str, command)]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
        assert done.stderr == f"microlearn: the standard output: No space left on device{left}\n"
        assert done.returncode == 1
    assert not folder.exists()


# Writing


def test_a_model_writes_on_from_a_prompt(trained, capsys):
    ask = ["generate", trained, "--prompt", "12 bot", "--max-new-tokens", 20]
    status, written, said = run(capsys, *ask, "--seed", 1)
    assert (status, said) == (0, "")
    assert written.startswith("12 bot") and len(written) == len("12 bot") + 20 + 1
    assert run(capsys, *ask, "--seed", 1)[1] == written
    assert run(capsys, *ask, "--seed", 2)[1] != written
    greedy = run(capsys, *ask, "--temperature", 0)[1]
    assert run(capsys, *ask, "--top-k", 1)[1] == greedy and run(capsys, *ask, "--min-p", 1)[1] == greedy
    assert run(capsys, *ask, "--top-p", 1e-9)[1] == greedy
    assert run(capsys, *ask, "--temperature", 0, "--repetition-penalty", 9)[1] != greedy
    stop = greedy[9:11]
    stopped = run(capsys, *ask, "--temperature", 0, "--stop", stop, "--stop", "never")[1]
    assert stopped == "12 bot" + greedy[6:].partition(stop)[0] + "\n"
    assert len(run(capsys, "generate", trained, "--max-new-tokens", 7)[1]) == 8


def test_a_gpt_2_as_it_was_published_writes_too(tmp_path, capsys):
    model = GPT(GPTConfig(block_size=32, vocab_size=256, n_layer=1, n_head=2, n_embd=8))
    tensors = {
        name.removeprefix("transformer."): np.ascontiguousarray(held.data.T if ".h." in name else held.data)
        for name, held in model.named_parameters()
    }
    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 8, "n_positions": 32, "vocab_size": 256, "model_type": "gpt2"}
    (tmp_path / "config.json").write_text(json.dumps(sizes))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    (tmp_path / "vocab.json").write_text(json.dumps(BPETokenizer()._state()["vocab"]))
    safetensors.numpy.save_file(tensors, tmp_path / "model.safetensors")
    status, written, said = run(capsys, "generate", tmp_path, "--prompt", "Ünder", "--seed", 0)
    assert (status, said) == (0, "") and written.startswith("Ünder") and len(written) > 20
    (tmp_path / "vocab.json").unlink()
    assert "there is no vocab.json" in refused(capsys, "generate", tmp_path)


def test_a_prompt_of_characters_that_were_never_seen_is_refused(trained, capsys):
    said = refused(capsys, "generate", trained, "--prompt", "12 \N{SNOWMAN}")
    assert "'\N{SNOWMAN}'" in said and "none of the" in said


def test_text_appears_as_it_is_chosen_and_a_closed_pipe_ends_it_quietly(trained):
    command = [*COMMAND, "generate", str(trained), "--prompt", "12 bottles", "--max-new-tokens", "10000000"]
    writing = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert writing.stdout.read(200).startswith(b"12 bottles")  # of ten million tokens
        writing.stdout.close()
        assert writing.wait(timeout=300) == 0
        assert writing.stderr.read() == b""
    finally:
        writing.kill()
        writing.stderr.close()


def test_a_terminal_shows_a_bar_with_loss_and_speed(text, tmp_path):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    command = [*COMMAND, "train", str(text), "--out", str(tmp_path / "m"), *TINY]
    training = subprocess.Popen(command, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while True:
            shown += os.read(ours, 4096)
    except OSError:  # the other end is closed
        pass
    assert training.wait(timeout=300) == 0
    os.close(ours)
    assert b"40/40" in shown and b"step 40 of 40: " in shown
    bars = re.findall(rb"loss ([\d.]+), ([\d,]+) tokens/s\]", shown)
    assert bars
    for loss, speed in bars:
        assert 0.0 < float(loss) < math.log(len(set(TEXT))) + 1.0 and int(speed.replace(b",", b"")) > 0


# What it says and hands on, to the letter


def test_the_first_lines_count_the_text_and_name_what_to_know_nothing_costs(text, tmp_path, capsys):
    shown = run(capsys, "train", text, "--out", tmp_path / "m", *TINY)[1]
    aside, kinds = round(len(TEXT) / 10), len(set(TEXT))
    assert f"{len(TEXT):,} characters, {len(TEXT) - aside:,} tokens to train on, {aside:,} to validate with" in shown
    assert f"{kinds} kinds of token costs {math.log(kinds):.2f}" in shown


def test_a_line_of_a_step_holds_the_seconds_and_the_speed_of_the_log(text, tmp_path, capsys):
    shown = run(capsys, "train", text, "--out", tmp_path / "m", *TINY)[1]
    with (tmp_path / "m" / "log.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert f"{float(last['seconds']):.0f} s, {float(last['tokens_per_second']):,.0f} tokens/s" in shown


@pytest.mark.parametrize("first", [True, False])
def test_every_stop_counts(first, trained, capsys):
    asked = ["generate", trained, "--prompt", "1 bottles", "--temperature", 0]
    written = run(capsys, *asked)[1].removeprefix("1 bottles")
    stop = written[5:8]
    stops = [stop, "never there"] if first else ["never there", stop]
    shown = run(capsys, *asked, *(word for stop in stops for word in ("--stop", stop)))[1]
    assert stop in written and shown == "1 bottles" + written[: written.index(stop)] + "\n"


@pytest.mark.parametrize(("typed", "asked"), [("", "\n"), (" ", " ")])
def test_no_prompt_is_a_new_line_and_a_blank_is_a_blank(typed, asked, trained, capsys, monkeypatch):
    prompts = []
    monkeypatch.setattr(
        "microlearn.llm.stream_text", lambda model, tokenizer, prompt, *_, **__: prompts.append(prompt) or iter([""])
    )
    run(capsys, "generate", trained, "--prompt", typed)
    assert prompts == [asked]


def test_ctrl_c_while_a_file_is_read_is_130(text, tmp_path, capsys, monkeypatch):
    def press(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_text", press)
    assert run(capsys, "train", text, "--out", tmp_path / "m") == (130, "", "")


def test_signals_mean_again_what_they_meant_and_a_thread_can_train(text, tmp_path, capsys):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    run(capsys, "train", text, "--out", tmp_path / "one", *TINY, "--quiet")
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    status = []
    arguments = ["train", str(text), "--out", str(tmp_path / "two"), *TINY, "--quiet"]
    thread = threading.Thread(target=lambda: status.append(cli.main(arguments)))
    thread.start()
    thread.join()
    assert status == [0]


def test_a_name_with_a_new_line_in_it_is_still_one_sentence(tmp_path, capsys):
    assert "a b.txt: No such file" in refused(capsys, "train", tmp_path / "a\nb.txt", "--out", tmp_path / "m")


def test_blocks_are_computed_twice_where_asked_and_the_model_is_the_same(trained, text, tmp_path, monkeypatch):
    asked, recompute = [], transformer.recompute
    monkeypatch.setattr(transformer, "recompute", lambda block, x: asked.append(1) or recompute(block, x))
    assert cli.main(["train", str(text), "--out", str(tmp_path), *TINY, "--quiet", "--recompute"]) == 0
    assert asked
    assert (tmp_path / "model.npz").read_bytes() == (trained / "model.npz").read_bytes()
    asked.clear()
    assert cli.main(["train", str(text), "--out", str(tmp_path), *TINY, "--quiet", "--overwrite"]) == 0
    assert not asked


def test_the_optimizer_is_shared_where_asked_and_the_model_is_the_same(trained, text, tmp_path, monkeypatch):
    made, kind = [], training.ZeroRedundancyOptimizer
    monkeypatch.setattr(training, "ZeroRedundancyOptimizer", lambda *a, **k: made.append(1) or kind(*a, **k))
    assert cli.main(["train", str(text), "--out", str(tmp_path), *TINY, "--quiet", "--shard-optimizer"]) == 0
    assert made
    assert (tmp_path / "model.npz").read_bytes() == (trained / "model.npz").read_bytes()
