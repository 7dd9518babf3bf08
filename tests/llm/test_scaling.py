"""The scaling laws of `docs/experiments/what-does-more-buy.py`: what they were fitted to, and what the fit can find.

What stands in the notebook has to be what `make_scaling.py` recorded.
"""

import json
import math
import sysconfig

import numpy as np
import pytest

from microlearn.llm import GPTConfig, parameter_count
from tests.llm.make_scaling import FIFTH, RECORD, definitions, runs


@pytest.fixture(scope="module")
def notebook():
    return definitions()


@pytest.fixture(scope="module")
def record():
    return {tuple(run[:4]): run[4] for run in json.loads(RECORD.read_text())["runs"]}


def rows(literal):
    """Read the numbers of a table below its head."""
    return [[float(word) for word in line.split()] for line in literal.strip().split("\n")[1:]]


# The record


@pytest.mark.parametrize("part", ["rates", "grid", "fifth"])
def test_every_run_was_made_and_no_other(record, part):
    assert [run for run in runs(part) if run not in record] == []
    assert record.keys() <= {run for part in ("rates", "grid", "fifth") for run in runs(part)}


def test_the_notebook_holds_the_record(notebook, record):
    table = rows(notebook["RECORD"])
    held = {(n, steps, seed, 0.3): loss for n, steps, *losses in table for seed, loss in enumerate(losses)}
    assert held == {run: record[run] for run in runs("grid")}
    assert [row[:2] for row in table] == [[n, steps] for steps in (1000, 2500, 6250) for n in (2, 3, 4, 5)]


def test_the_notebook_holds_the_rates_that_were_tried(notebook, record):
    held = {
        (n, 1000, 0, rate): loss
        for n, *losses in rows(notebook["RATES"])
        for rate, loss in zip((0.15, 0.3, 0.6), losses, strict=True)
    }
    assert held == {run: record[run] for run in runs("rates")}


def test_the_notebook_holds_what_became_of_the_fifth(notebook, record):
    assert notebook["FIFTH"] == [record[run] for run in runs("fifth")]


def test_the_notebook_holds_what_was_foretold(notebook):
    assert notebook["FORETOLD"] == json.loads(RECORD.read_text())["foretold"]


def test_the_fifth_is_larger_than_the_others_and_reads_more():
    assert FIFTH[0] > max(n for n, *_ in runs("grid"))
    assert FIFTH[1] > max(steps for _, steps, *_ in runs("grid"))


def test_more_of_either_was_always_better(notebook):
    losses = np.array([row[2:] for row in rows(notebook["RECORD"])]).mean(1).reshape(3, 4)
    assert (np.diff(losses, axis=0) < 0).all()
    assert (np.diff(losses, axis=1) < 0).all()


@pytest.mark.parametrize("n", [2, 3, 7])
def test_its_parameters_are_those_of_the_blocks(notebook, n):
    parts = parameter_count(GPTConfig(64, 96, n, n, 16 * n, bias=False))
    blocks = sum(count for part, count in parts.items() if "embeddings" not in part and part != "layer norms")
    assert notebook["share"](n) * 1e6 == pytest.approx(blocks)


# The fit

TRUE = {"hoffmann": (0.2, 0.5, 0.35, 0.3, 0.6), "kaplan": (0.9, 1.5, 0.12, 0.3)}


def grid(notebook):
    """Return the sizes and lengths of the record's cells."""
    cells = np.array([row[:2] for row in rows(notebook["RECORD"])])
    return notebook["share"](cells[:, 0]), notebook["read"](cells[:, 1])


@pytest.mark.parametrize("name", TRUE)
def test_the_fit_finds_the_constants_that_made_up_losses_came_from(notebook, name):
    N, D = grid(notebook)
    found = notebook["fit"](notebook[name], N, D, notebook[name](TRUE[name], N, D))
    assert found == pytest.approx(TRUE[name], rel=1e-3)


@pytest.mark.parametrize(("name", "within"), [("hoffmann", 0.12), ("kaplan", 0.03)])
def test_the_fit_finds_the_exponents_through_the_noise_of_the_seeds(notebook, name, within):
    N, D = grid(notebook)
    law, rng = notebook[name], np.random.default_rng(0)
    clean = law(TRUE[name], N, D)
    found = [notebook["fit"](law, N, D, clean * np.exp(rng.normal(0, 0.003, 12)))[2:4] for _ in range(20)]
    assert np.abs(np.array(found) - TRUE[name][2:4]).max() < within
    assert np.median(found, axis=0) == pytest.approx(TRUE[name][2:4], abs=within / 3)


def test_hoffmann_s_law_adds_and_kaplan_s_takes_about_the_larger(notebook):
    hoffmann, kaplan = notebook["hoffmann"], notebook["kaplan"]
    assert hoffmann((2, 3, 0.5, 1, 1), 4.0, 3.0) == pytest.approx(1 + 1 + 1)
    assert kaplan((2, 3, 0.5, 1), 4.0, 3.0) == pytest.approx(1 + 1)  # with b = 1 it adds, too
    assert kaplan((2, 3, 0.5, 0.01), 4.0, 2.0) == pytest.approx(3 / 2**0.01, rel=1e-6)
    assert kaplan((0.9, 1.5, 0.12, 0.3), 1e9, 2.0) == pytest.approx(1.5 / 2**0.3, rel=1e-3)


# The method


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A standard library of our own."""
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))

    def write(**files):
        for path, text in files.items():
            file = tmp_path / f"{path.replace('__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())

    return write


def test_the_text_is_whole_files_each_once(notebook, library):
    library(**{f"m{i:03}": f"file = {i}\n" for i in range(200)}, z="file = 7\n", test__x="no", a__idlelib__x="no")
    text, aside = ([*notebook["LETTERS"].decode(part).split("\n\n")] for part in notebook["corpus"]())
    found = [*text, *aside]
    assert sorted(line.strip() for line in found) == sorted(f"file = {i}" for i in range(200))
    assert 2 <= len(aside) <= 20


def test_what_is_set_aside_depends_on_the_names_alone(notebook, library):
    names = [f"m{i:03}" for i in range(200)]

    def aside(say):
        library(**{name: f"{name} {say}\n" for name in names})
        return notebook["LETTERS"].decode(notebook["corpus"]()[1]).replace(say, "")

    before = aside("one thing")
    names.append("another")
    assert before and set(before.split()) <= set(aside("something else").split()) <= {*before.split(), "another"}


def test_the_text_has_the_letters_of_the_vocabulary_alone(notebook, library):
    library(**{f"m{i:03}": f"a\tb\r\n# {i}: \N{SNOWMAN}\f\u00e9~\n" for i in range(50)})
    text, _ = notebook["corpus"]()
    assert notebook["LETTERS"].decode(text).startswith("ab\n# ")
    assert notebook["LETTERS"].vocab_size == 96


class Read(list):
    """A text that notes which of its places are read."""

    def __init__(self, ids):
        self.ids, self.places = ids, []

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, at):
        self.places.append(at)
        return self.ids[at]


def test_no_letter_is_learned_from_twice(notebook):
    text = Read(np.arange(64 * 45, dtype=np.uint8) % 96)
    notebook["learn"](1, 5, 0, 0.3, text)
    asked = np.concatenate([at[:, 1:].reshape(-1) for at in text.places])
    assert len(text.places) == 5
    assert len(asked) == len(set(asked.tolist())) == 5 * 8 * 64


def test_a_text_too_short_for_the_steps_is_refused(notebook):
    with pytest.raises(ValueError):
        notebook["learn"](1, 6, 0, 0.3, np.zeros(64 * 45, np.uint8))


def test_a_seed_is_a_training(notebook):
    text = np.arange(64 * 200, dtype=np.uint8) % 96
    losses = [notebook["evaluate"](notebook["learn"](1, 20, seed, 0.3, text), text) for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]
    assert max(losses) < math.log(96)


def test_a_seed_chooses_the_weights_and_the_order(notebook):
    texts = [Read(np.arange(64 * 40, dtype=np.uint8) % 96) for _ in range(2)]
    first, other = (next(notebook["learn"](1, 1, seed, 0.0, text).parameters()).data for seed, text in enumerate(texts))
    assert np.abs(first - other).mean() > 0.05
    assert (texts[0].places[0] != texts[1].places[0]).any()


@pytest.mark.parametrize("n", [1, 2])
def test_the_learning_rate_is_over_the_width(notebook, n):
    """Adam's first step moves each number by the rate, and the weights of norms begin at 1 and do not decay."""
    model = notebook["learn"](n, 1, 0, 0.32, np.arange(64 * 10, dtype=np.uint8) % 96)
    moved = np.abs(model.transformer.ln_f.weight.data - 1)
    assert moved == pytest.approx(0.32 / (16 * n), rel=0.01)


def test_the_smallest_cell_s_first_steps_lead_where_the_record_goes_on(notebook, record):
    """A twentieth of the smallest cell, live: far below a model that knows nothing, and above the whole cell."""
    text, aside = notebook["corpus"]()
    loss = notebook["evaluate"](notebook["learn"](2, 50, 0, 0.3, text), aside, windows=128)
    assert record[2, 1000, 0, 0.3] + 0.3 < loss < math.log(96) - 1
