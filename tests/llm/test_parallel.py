"""Several processes that train one model: run under `mpiexec`, as a reader would."""

import contextlib
import csv
import importlib.util
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from microlearn import Tensor, cli
from microlearn.deep import SGD, Adam, AdamW, RMSprop, manual_seed
from microlearn.llm import GPT, GPTConfig, Group, ZeroRedundancyOptimizer, parameter_groups, world
from microlearn.llm import training as llm_training
from microlearn.llm.parallel import _engine

ROOT = pathlib.Path(__file__).resolve().parents[2]
MPIEXEC = shutil.which("mpiexec", path=f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
FOUND = MPIEXEC and importlib.util.find_spec("mpi4py")
needs_mpi = pytest.mark.skipif(
    not FOUND and "MPI_REQUIRED" not in os.environ,
    reason="several processes need MPI: pip install microlearn[distributed]",
)
TEXT = "".join(f"{i} bottles of water on the wall,\n{i} bottles of water.\n" for i in range(150, 0, -1))
TINY = "--n-layer 1 --n-head 2 --n-embd 16 --block-size 8 --batch-size 8 --lr 0.01 --eval-interval 10 --eval-iters 2"
TINY = [*TINY.split(), "--sample", "0"]
TRAIN = [sys.executable, "-m", "microlearn", "train"]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    file = tmp_path_factory.mktemp("text") / "song.txt"
    file.write_text(TEXT)
    return str(file)


def start(n, *command, **settings):
    """Start a command on n processes."""
    assert FOUND, "MPI_REQUIRED is set, and there is no mpiexec or no mpi4py"
    return subprocess.Popen(
        [MPIEXEC, "-n", str(n), *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        **settings,
    )


def finish(started, status=0):
    """Wait for it; return what it printed, and what it said on the standard error."""
    try:
        out, err = started.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        started.kill()
        raise
    assert started.returncode == status, out + err
    return out, err


def run(n, *command, status=0):
    return finish(start(n, *command), status)


def wait_for(started, folder, rows):
    """Wait until so many evaluations are written, or it has ended."""
    while started.poll() is None and not ((folder / "log.csv").exists() and len(losses(folder)) >= rows):
        time.sleep(0.02)


def program(n, code):
    """Run a program that has a `group`; return the lines that it printed, sorted."""
    beginning = """
import sys
import numpy as np
from microlearn.llm import *
group = world()
def print(*parts):  # in one piece: the lines of several processes would mix
    sys.stdout.write(" ".join(map(str, parts)) + "\\n")
"""
    out, _ = run(n, sys.executable, "-c", beginning + textwrap.dedent(code))
    return sorted(out.splitlines())


def sentences(err):
    return [line for line in err.splitlines() if line.startswith("microlearn: ")]


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def losses(folder):
    with (pathlib.Path(folder) / "log.csv").open() as file:
        return [[float(row[name]) for name in ("step", "train_loss", "val_loss")] for row in csv.DictReader(file)]


# The same curve


@pytest.fixture(scope="module")
def alone(text, tmp_path_factory):
    """A training by one process that nobody interrupted."""
    folder = tmp_path_factory.mktemp("alone") / "song"
    assert cli.main(["train", text, "--out", str(folder), *TINY, "--max-iters", "60", "--quiet"]) == 0
    return folder


@needs_mpi
@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize(
    "more", [[], ["--accumulation", "2", "--batch-size", "4", "--eval-iters", "4"], ["--shard-optimizer"]]
)
def test_the_curve_is_that_of_one_process(n, more, text, alone, tmp_path):
    out, _ = run(n, *TRAIN, text, "--out", tmp_path / "song", *TINY, "--max-iters", 60, *more)
    np.testing.assert_allclose(losses(tmp_path / "song"), losses(alone), rtol=2e-5)
    here, there = (llm_training.read(folder / "model.npz") for folder in (tmp_path / "song", alone))
    for name in there:
        np.testing.assert_allclose(here[name], there[name], atol=2e-3)
    assert out.count("step 60 of 60") == 1  # one of them speaks
    assert names(tmp_path / "song") == names(alone)


@needs_mpi
@pytest.mark.parametrize(
    ("told", "whom", "n", "more"),
    [
        (signal.SIGINT, "all", 1, []),
        (signal.SIGTERM, "all", 4, ["--shard-optimizer"]),  # as a machine that is about to be taken away
        (signal.SIGTERM, "one", 2, []),  # and then both stop
    ],
)
def test_stopped_on_two_it_goes_on_with_any_number_as_if_it_had_not_stopped(told, whom, n, more, text, alone, tmp_path):
    started = start(2, *TRAIN, text, "--out", tmp_path, *TINY, "--max-iters", 60)
    wait_for(started, tmp_path, 3)
    victims = workers(started.pid)
    if whom == "all":
        started.send_signal(told)
    elif len(victims) > 1:
        os.kill(victims[1], told)
    out, _ = started.communicate(timeout=240)
    if started.returncode == 130:  # else it was through before
        assert f"mpiexec -n 2 microlearn train {text} --out {tmp_path} --resume" in out
        run(n, *TRAIN, text, "--out", tmp_path, "--resume", "--sample", 0, *more)
    np.testing.assert_allclose(losses(tmp_path), losses(alone), rtol=2e-5)
    kept, expected = (llm_training.read(folder / "checkpoint.npz") for folder in (tmp_path, alone))
    assert {name: array.shape for name, array in kept.items()} == {
        name: array.shape for name, array in expected.items()
    }


@needs_mpi
def test_the_process_of_rank_0_alone_writes(text, tmp_path):
    mine = [*TRAIN, text, "--out", tmp_path / "first", "--sample", 0, "--max-iters"]
    other = [*TRAIN, text, "--out", tmp_path / "second", "--sample", 0, "--max-iters"]
    run(1, *mine, 10, *TINY, ":", "-n", 1, *other, 10, *TINY)
    run(1, *mine, 20, "--resume", ":", "-n", 1, *other, 20, "--resume")  # and reads
    assert names(tmp_path) == ["first"]
    assert losses(tmp_path / "first")[-1][0] == 20


@needs_mpi
def test_dropout_draws_another_thing_on_each_process_and_models_stay_the_same():
    lines = program(
        2,
        """
        from microlearn.deep import generator, manual_seed
        manual_seed(0)
        model = GPT(GPTConfig(8, 7, 1, 2, 16, dropout=0.5))
        ids = np.random.default_rng(0).integers(0, 7, 400)
        train(model, ids, 5, batch_size=4, group=group, progress=False, eval_interval=2)
        weights = sum(float(np.abs(p.data).sum()) for p in model.parameters())
        print("weights", weights)
        print("next", generator().random())
        """,
    )
    assert len({line for line in lines if line.startswith("weights")}) == 1
    assert len({line for line in lines if line.startswith("next")}) == 2


@needs_mpi
def test_models_that_drift_apart_are_found_at_the_next_evaluation():
    lines = program(
        2,
        """
        model = GPT(GPTConfig(8, 7, 1, 2, 16))
        for parameter in model.parameters():
            parameter.data[...] = 0.5
        model.lm_head.weight.data[0, 0] += group.rank * 1e-6
        try:
            train(model, np.arange(400) % 7, 5, batch_size=4, group=group, progress=False)
        except ValueError as error:
            print(str(error)[:48])
        """,
    )
    assert lines == ["process 1 of 2 has another model than process 0:"[:48]] * 2


# What ends


@needs_mpi
def test_killed_at_random_moments_it_loses_nothing(text, alone, tmp_path):
    dice, folder, killed = random.Random(0), tmp_path / "song", 0
    for more_rows in (3, 0, 5, 2, 0, 4):
        begun = (folder / "checkpoint.npz").exists()
        more = ["--resume", "--sample", 0] if begun else [*TINY, "--overwrite", "--max-iters", 60]
        started = start(2, *TRAIN, text, "--out", folder, *more, "--eval-interval", 2)
        while started.poll() is None and len(workers(started.pid)) < 2:
            time.sleep(0.01)
        if more_rows:  # else it is killed while it begins
            wait_for(started, folder, (len(losses(folder)) if begun else 0) + more_rows)
        time.sleep(dice.uniform(0.0, 0.1))
        with contextlib.suppress(IndexError, ProcessLookupError):  # it was through before
            os.kill(dice.choice(workers(started.pid)), signal.SIGKILL)
        _, err = started.communicate(timeout=240)
        if started.returncode == 0:
            break
        killed += 1
        told = sentences(err)
        if told:  # else it had not begun
            assert len(told) == 1 and "a process of the training died" in told[0], err
        if (folder / "checkpoint.npz").exists():
            assert not told or "the last checkpoint" in told[0]
            llm_training.read(folder / "checkpoint.npz")  # it is whole
        else:
            assert not told or "there was no checkpoint yet" in told[0]
    assert killed > 2
    more = ["--resume", "--sample", 0] if (folder / "checkpoint.npz").exists() else [*TINY, "--overwrite"]
    run(2, *TRAIN, text, "--out", folder, *more, "--max-iters", 60)
    ours = {row[0]: row[1:] for row in losses(folder)}
    for step, *expected in losses(alone):
        np.testing.assert_allclose(ours[step], expected, rtol=2e-5)


def workers(pid):
    """Return the processes that mpiexec started, a generation below the one that it starts them with."""
    children = {}
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            child, rest = status.parent.name, status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(rest[1]), []).append(int(child))
    return [worker for proxy in children.get(pid, []) for worker in children.get(proxy, [])]


@needs_mpi
def test_whoever_dies_the_sentence_says_what_is_left(text, tmp_path):
    started = start(2, *TRAIN, text, "--out", tmp_path, *TINY, "--max-iters", 100000)
    wait_for(started, tmp_path, 2)
    os.kill(workers(started.pid)[1], signal.SIGKILL)
    _, err = started.communicate(timeout=240)
    assert started.returncode == 9
    assert sentences(err) == [
        f"microlearn: a process of the training died, and so it ended; the last checkpoint in {tmp_path} is whole; "
        f"to go on: mpiexec -n 2 microlearn train {text} --out {tmp_path} --resume"
    ]


@needs_mpi
def test_a_process_that_cannot_go_on_takes_the_others_along(text, tmp_path):
    started = start(2, *TRAIN, text, "--out", tmp_path, *TINY, "--max-iters", 100000)
    wait_for(started, tmp_path, 2)
    while not (tmp_path / "log.csv").is_dir():
        (tmp_path / "log.csv").unlink(missing_ok=True)
        with contextlib.suppress(FileExistsError):  # it was written once more in between
            (tmp_path / "log.csv").mkdir()
    _, err = started.communicate(timeout=240)
    assert started.returncode == 2
    assert "log.csv: expected the name of a file" in sentences(err)[0]


@needs_mpi
def test_a_loss_that_bursts_is_one_sentence(text, tmp_path):
    _, err = run(2, *TRAIN, text, "--out", tmp_path, *TINY, "--max-iters", 60, "--lr", 1e30, "--quiet", status=1)
    (told,) = sentences(err)
    assert re.fullmatch(
        r"microlearn: the loss became (inf|nan) at step \d+; a learning rate of .* is likely too large", told
    )


# What cannot be


@needs_mpi
@pytest.mark.parametrize(
    ("n", "more", "sentence"),
    [
        (3, [], "--batch-size: 8 windows do not divide among 3 processes; take a multiple, such as 9"),
        (2, ["--n-head", "3"], "--n-head: a width of 16 does not divide into 3 heads; "),
        (2, ["--block-size", "9999"], "song.txt: there are "),
        (2, ["--bach-size", "8"], "there is no option --bach-size, did you mean --batch-size?"),
        (2, ["--resume"], "there is no such folder"),
    ],
)
def test_what_cannot_be_is_said_once(n, more, sentence, text, tmp_path):
    _, err = run(n, *TRAIN, text, "--out", tmp_path / "song", *TINY, *more, status=2)
    (told,) = sentences(err)
    assert sentence in told
    assert not (tmp_path / "song").exists()


@needs_mpi
def test_another_file_and_a_missing_one_are_named_with_the_process(text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text(TEXT + "no more bottles")
    for file, sentence in (
        (other, "process 1 of 2 has another text file than process 0: "),
        (tmp_path / "none.txt", f"process 1 of 2: {tmp_path}/none.txt: No such file"),
    ):
        mine, its = ([*TRAIN, one, "--out", tmp_path / "song", *TINY] for one in (text, file))
        _, err = run(1, *mine, ":", "-n", 1, *its, status=2)
        (told,) = sentences(err)
        assert told.startswith(f"microlearn: {sentence}")
    assert not (tmp_path / "song").exists()


@needs_mpi
def test_another_version_of_the_engine_is_named(text, tmp_path):
    shutil.copytree(ROOT / "microlearn", tmp_path / "microlearn", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "microlearn" / "deep" / "optim.py").open("a") as file:
        file.write("# a newer version\n")
    command = [*TRAIN, text, "--out", tmp_path / "song", *TINY]
    other = ["env", "-C", tmp_path, f"PYTHONPATH={tmp_path}", *command]
    _, err = run(1, *command, ":", "-n", 1, *other, status=2)
    (told,) = sentences(err)
    assert told.startswith("microlearn: process 1 of 2 has another engine than process 0: ")
    assert _engine() in told


@needs_mpi
def test_what_is_not_training_is_done_once(alone):
    out, _ = run(2, sys.executable, "-m", "microlearn", "generate", alone, "--prompt", "9", "--max-new-tokens", 0)
    assert out == "9\n"
    assert run(2, sys.executable, "-m", "microlearn", "--help")[0].count("example:") == 1


def test_without_the_library_mpiexec_gets_a_sentence(monkeypatch, capsys):
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    for name in cli.THREADS:
        monkeypatch.setenv(name, "1")
    assert cli.main(["--help"]) == 2
    assert (
        capsys.readouterr().err
        == "microlearn: mpiexec needs the library mpi4py here: pip install microlearn[distributed]\n"
    )


# The parts


def test_alone_a_group_changes_nothing():
    group = world()
    assert (group.rank, group.size) == (0, 1)
    weight = Tensor([1.0, 2.0], requires_grad=True)
    (weight * weight).sum().backward()
    before = weight.grad
    assert group.average_gradients([weight], 3.0, 4.0) == [3.0, 4.0] and weight.grad is before
    assert group.sum(1, 2.0) == [1, 2.0]
    assert group.first(lambda: 7) == group.each(lambda: 7) == 7
    group.agree(anything=1)
    with pytest.raises(KeyError):
        group.each(lambda: {}["a"])


@needs_mpi
def test_what_a_group_says_and_does():
    lines = program(
        3,
        """
        from microlearn import Tensor
        r = group.rank
        print("share", group.share(6))
        a, b, c = Tensor([1.0, 2.0]), Tensor([[3.0]]), Tensor([4.0])
        a.grad = np.array([r, 2.0 * r], dtype=np.float32)
        b.grad = np.array([[6.0]], dtype=np.float32) if r == 1 else None
        numbers = group.average_gradients(iter([a, b, c]), r, 9)
        print("mean", a.grad.tolist(), b.grad.tolist(), c.grad.tolist(), numbers, a.grad.dtype)
        print("sum", group.sum(r, 1.5))
        whole = np.full(5, r)
        group._all_gather(whole, [0, 1, 1, 5])
        print("gather", whole.tolist())
        called = []
        print("first", group.first(lambda: called.append(r) or ("from", r)), called == [0] * (r == 0))
        print("each", group.each(lambda: r) == r)
        group.agree(a=1, b="x")

        def attempt(what, function):
            try:
                function()
            except Exception as error:
                print(what, type(error).__name__, error, error.everywhere)

        def fail(rank):
            if rank in (r, "all"):
                raise OSError(2, "gone", "some.txt")

        attempt("error at first", lambda: group.first(lambda: fail(0)))
        attempt("error at one", lambda: group.each(lambda: fail(2)))
        attempt("error at all", lambda: group.each(lambda: fail("all")))
        attempt("disagree", lambda: group.agree(same=1, the_text=min(r, 1)))
        try:
            group.share(7)
        except ValueError as error:
            print("odd", error)
        """,
    )
    assert lines == sorted(
        [f"share slice({2 * r}, {2 * r + 2}, None)" for r in range(3)]
        + ["mean [1.0, 2.0] [[2.0]] [0.0] [1.0, 9.0] float32"] * 3
        + ["sum [3.0, 4.5]"] * 3
        + ["gather [0, 2, 2, 2, 2]"] * 3
        + ["first ('from', 0) True"] * 3
        + ["each True"] * 3
        + ["error at first FileNotFoundError [Errno 2] gone: 'some.txt' True"] * 3
        + ["error at one ValueError process 2 of 3: some.txt: gone True"] * 3
        + ["error at all FileNotFoundError [Errno 2] gone: 'some.txt' True"] * 3
        + [
            "disagree ValueError process 1 of 3 has another the text than process 0: 1 and 0; "
            "it has to be the same everywhere True"
        ]
        * 3
        + ["odd batch_size: 7 windows do not divide among 3 processes; take a multiple, such as 9"] * 3
    )


@needs_mpi
def test_each_process_has_its_part_of_the_cores():
    code = "import os; from microlearn import cli; cli._group(); "
    code += "os.write(1, ' '.join(os.environ[name] for name in (*cli.THREADS, 'PMI_SIZE')).encode() + b'\\n')"
    cores = len(os.sched_getaffinity(0))
    out, _ = run(2, "env", *(f"-u{name}" for name in cli.THREADS), sys.executable, "-c", code)
    assert out.splitlines() == [" ".join([str(max(1, cores // 2))] * 4 + ["2"])] * 2


# The optimizer that is shared


OPTIMIZERS = [(AdamW, {"lr": 0.1}), (Adam, {"lr": 0.1}), (SGD, {"lr": 0.1, "momentum": 0.9}), (RMSprop, {"lr": 0.1})]


def small():
    manual_seed(0)
    model = GPT(GPTConfig(block_size=4, vocab_size=5, n_layer=1, n_head=1, n_embd=3))
    return model, parameter_groups(model, 0.1)


@pytest.mark.parametrize(("kind", "settings"), OPTIMIZERS)
def test_alone_it_is_the_optimizer_that_it_is_made_of(kind, settings):
    (model, groups), (other, same) = small(), small()
    ours, theirs = ZeroRedundancyOptimizer(groups, kind, Group(), **settings), kind(same, **settings)
    for _ in range(3):
        for one, optimizer in ((model, ours), (other, theirs)):
            optimizer.zero_grad()
            one([[0, 1, 2, 3]], [[1, 2, 3, 4]])[1].backward()
            optimizer.step()
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert (a.data == b.data).all()
    state, expected = ours.state_dict(), theirs.state_dict()
    assert state.keys() == expected.keys()
    for name in state:
        assert np.array_equal(state[name], expected[name]), name
    ours.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())


@needs_mpi
@pytest.mark.parametrize("n", [2, 3])
def test_shared_it_moves_as_the_whole_would_and_remembers_a_part(n):
    lines = program(
        n,
        """
        from microlearn.deep import AdamW, SGD, manual_seed
        def small():
            manual_seed(0)
            model = GPT(GPTConfig(block_size=4, vocab_size=5, n_layer=1, n_head=1, n_embd=3))
            return model, parameter_groups(model, 0.1)
        for kind, settings in ((AdamW, {}), (SGD, {"momentum": 0.9})):
            (model, groups), (other, same) = small(), small()
            ours = ZeroRedundancyOptimizer(groups, kind, group, lr=0.1, **settings)
            theirs = kind(same, lr=0.1, **settings)
            for step in range(4):
                if step == 2:  # through a checkpoint, with and without sharing
                    kept, whole = ours.state_dict(), theirs.state_dict()
                    assert kept.keys() == whole.keys() and all(np.array_equal(kept[k], whole[k]) for k in kept)
                    ours = ZeroRedundancyOptimizer(groups, kind, group, lr=0.7, **settings)
                    ours.load_state_dict(whole)
                for one, optimizer in ((model, ours), (other, theirs)):
                    optimizer.zero_grad()
                    one([[0, 1, 2, 3]], [[1, 2, 3, 4]])[1].backward()
                    optimizer.step()
            pairs = zip(model.parameters(), other.parameters(), strict=True)
            print(kind.__name__, all((a.data == b.data).all() for a, b in pairs))
            held = sum(array.size for flat in ours.inner._flats for array in flat.state.values())
            every = sum(array.size for flat in theirs._flats for array in flat.state.values())
            assert group.sum(held) == [every] and abs(held - every / group.size) < 10
        """,
    )
    assert lines == ["AdamW True"] * n + ["SGD True"] * n


def test_a_parameter_without_a_gradient_counts_as_one_of_zeros():
    a, b = Tensor([1.0], requires_grad=True), Tensor([2.0], requires_grad=True)
    optimizer = ZeroRedundancyOptimizer([a, b], SGD, Group(), lr=1.0)
    (a * 3.0).sum().backward()
    optimizer.step()
    assert (a.tolist(), b.tolist()) == ([-2.0], [2.0])


def test_numbers_of_64_bits_are_moved_in_64_bits():
    moved = []
    for optimizer in (lambda w: ZeroRedundancyOptimizer([w], AdamW, Group(), lr=0.1), lambda w: AdamW([w], lr=0.1)):
        w = Tensor([1 / 3, -2 / 3], requires_grad=True, dtype=np.float64)
        one = optimizer(w)
        (w * w * w).sum().backward()
        one.step()
        moved.append(w.data)
    assert moved[0].dtype == np.float64 and (moved[0] == moved[1]).all()


def test_weights_that_were_loaded_in_between_are_what_it_moves():
    a = Tensor([1.0], requires_grad=True)
    optimizer = ZeroRedundancyOptimizer([a], SGD, Group(), lr=1.0)
    a.data = np.array([10.0], dtype=np.float32)
    (a * 3.0).sum().backward()
    optimizer.step()
    assert a.tolist() == [7.0]


def test_the_state_of_another_optimizer_is_refused():
    _, groups = small()
    ours = ZeroRedundancyOptimizer(groups, AdamW, Group())
    state = ours.state_dict()
    for wrong, sentence in (
        ({**state, "0.exp_avg": state["0.exp_avg"][1:]}, r"0.exp_avg has shape \(\d+,\), and here \(\d+,\)"),
        ({name: array for name, array in state.items() if name != "1.step"}, "1.step is missing"),
        (SGD(small()[1], momentum=0.9).state_dict(), "is missing"),
    ):
        with pytest.raises(ValueError, match=sentence):
            ours.load_state_dict(wrong)
