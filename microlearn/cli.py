"""The command: train a GPT on a text file, go on after a stop, and let it write.

What is heavy is imported where it is used, so that help and a mistyped option are answered at once. Whatever goes
wrong is one sentence on the standard error, and no file that was whole is given up for one that is not.
"""

import argparse
import difflib
import itertools
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import traceback
import zlib
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

FILES = ("checkpoint.npz", "config.json", "log.csv", "model.npz", "tokenizer.json")
ASIDE, MOVING = ".replaced", ".replaced.part"  # in DIR: what a new training is to replace; a part of it, on its way
OUTPUT = "the standard output"
COLUMNS = ("step", "train_loss", "val_loss", "seconds", "tokens_per_second")
MODEL = ("n_layer", "n_head", "n_embd", "block_size", "dropout", "bias")  # the settings that GPTConfig knows
TEXT = ("tokenizer", "vocab_size")
MAY_CHANGE = ("max_iters", "eval_interval", "eval_iters")  # when a training goes on
VALIDATION = 0.1  # of the text, at its end
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
BELOW_ONE, ABOVE_ZERO = math.nextafter(1.0, 0.0), math.nextafter(0.0, 1.0)


class Refused(Exception):
    """What was typed cannot be done; the message is one sentence for whoever typed it."""


def main(arguments=None):
    """Run a command.

    Parameters
    ----------
    arguments : list of str, optional
        What was typed after `microlearn`.

    Returns
    -------
    int
        0; 2 where what was typed or found cannot be used, 1 where something failed on the way, 130 after Ctrl-C.
    """
    group = None
    try:
        group = _group()
        if sys.stdout is None or (group and group.rank):  # it was closed, or the process of rank 0 speaks
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a character shows a question mark
        arguments = sys.argv[1:] if arguments is None else list(arguments)
        options = group.each(lambda: _options(arguments)) if group else _options(arguments)
        if options is None or (group and group.rank and options.run is not _train):
            return 0
        options.group = group
        return options.run(options)
    except (Exception, KeyboardInterrupt) as error:
        together = not group or isinstance(error, FloatingPointError) or hasattr(error, "everywhere")
        status, sentence = _judged(error)
        if sentence and not (together and group and group.rank):
            print(f"microlearn: {textwrap.shorten(sentence, 500, placeholder=' ...')}", file=sys.stderr)
        if group and not together:  # the others do not know
            group.comm.Abort(status)
        return status


def _options(arguments):
    """Read what was typed; show the help, where nothing was."""
    parser = _parser()
    if not arguments:
        return parser.print_help()
    if not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        parser.unknown("command", arguments[0], COMMANDS)
    return parser.parse_args(arguments)


def _judged(error):
    """Return the status that a command ends with, and the sentence for whoever typed it."""
    match error:
        case BrokenPipeError():  # who reads has seen enough, as `| head` does
            return 0, ""
        case KeyboardInterrupt():
            return 130, ""
        case Refused() | ValueError() | TypeError() | IndexError() | ImportError():
            return 2, str(error)
        case OSError():
            return 1, f"{error.filename}: {error.strerror}" if error.filename else str(error)
        case FloatingPointError() | MemoryError():
            return 1, str(error) or "there is not enough memory for a model of this size"
    traceback.print_exception(error)
    return 1, "this is a fault of microlearn; the lines above say where"


def _group():
    """Return the processes that `mpiexec` started this one with; None, where it is alone."""
    several = [os.environ[name] for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE") if os.environ.get(name, "1") != "1"]
    if not several:
        return None
    here = os.environ.get("MPI_LOCALNRANKS") or os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE") or several[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for name in THREADS:  # before numpy is there; more threads than cores wait for each other
        os.environ.setdefault(name, str(max(1, cores // int(here))))
    from microlearn.llm.parallel import world

    return world()


@contextmanager
def _output():
    """Name the standard output where it cannot be written to."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python tries again at its end
        raise OSError(error.errno, error.strerror, OUTPUT) from None  # a broken pipe, by its number, stays one


# What may be typed


class _Parser(argparse.ArgumentParser):
    """A parser that guesses what was meant by an option that it does not know, and answers in one sentence."""

    def parse_known_args(self, args=None, namespace=None):
        known = self._option_string_actions
        for word in args:
            if word == "--" or (self._subparsers and not word.startswith("-")):
                break  # what comes after a command is its own
            name = word.partition("=")[0]
            if re.match(r"-[^\d.\s]", name) and " " not in name and name not in known:
                self.unknown("option", name, known)
        return super().parse_known_args(args, namespace)

    def unknown(self, kind, name, known):
        near = difflib.get_close_matches(name.replace("_", "-"), known, n=1)
        self.error(f"there is no {kind} {name}{f', did you mean {near[0]}?' if near else ''}")

    def error(self, message):
        message = message.removeprefix("argument ")
        raise Refused(message if message.endswith("?") else f"{message}; `{self.prog} --help` shows what there is")


def _whole(least):
    def read(text):
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            expected = "above 0" if least == 1 else f"of {least} or more"
            raise argparse.ArgumentTypeError(f"expected a whole number {expected}, got {text!r}")
        return number

    return read


def _number(least, most=math.inf):
    if most == math.inf:
        expected = "above 0" if least else "of 0 or more"
    else:
        expected = "above 0, at most 1" if least else "from 0 to below 1" if most < 1.0 else "from 0 to 1"

    def read(text):
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and least <= number <= most):
            raise argparse.ArgumentTypeError(f"expected a number {expected}, got {text!r}")
        return number

    return read


def _some(text):
    if not text:
        raise argparse.ArgumentTypeError(f"expected a text, got {text!r}")
    return text


# each setting has a default, a kind (None for a switch), and what it is
SETTINGS: dict[str, dict[str, tuple]] = {
    "the model": {
        "n_layer": (4, _whole(1), "blocks, one after the other"),
        "n_head": (4, _whole(1), "heads in each attention"),
        "n_embd": (128, _whole(1), "width: numbers that stand for a token; the heads share it evenly"),
        "block_size": (64, _whole(1), "context window, in tokens"),
        "dropout": (0.0, _number(0.0, BELOW_ONE), "fraction of the numbers that is dropped in training"),
        "bias": (False, None, "give linear layers and norms a bias, as GPT-2 does"),
    },
    "the text": {
        "tokenizer": ("char", ("char", "bpe"), "every character is a token, or pieces of words are, learned first"),
        "vocab_size": (1024, _whole(256), "tokens that bpe may have: 256 bytes, and what it learns"),
    },
    "the training": {
        "max_iters": (2000, _whole(1), "steps in all"),
        "batch_size": (12, _whole(1), "windows of the text asked at once"),
        "accumulation": (1, _whole(1), "batches for each step"),
        "lr": (1e-3, _number(0.0), "the highest learning rate"),
        "min_lr": (1e-4, _number(0.0), "the learning rate at the end"),
        "warmup": (None, _whole(0), "steps in which the learning rate climbs (default: a twentieth, 100 of 2000)"),
        "beta2": (0.99, _number(0.0, BELOW_ONE), "AdamW's memory of squares of gradients"),
        "weight_decay": (0.1, _number(0.0), "how hard matrices are pulled towards 0"),
        "grad_clip": (1.0, _number(0.0), "the longest a gradient may be; 0 sets no limit"),
        "seed": (0, _whole(0), "of first weights, dropout and the choice of windows"),
    },
    "what is shown and kept": {
        "eval_interval": (250, _whole(1), "steps from one evaluation, sample and checkpoint to the next"),
        "eval_iters": (50, _whole(1), "batches that an evaluation looks at"),
    },
}
DEFAULTS = {name: default for settings in SETTINGS.values() for name, (default, _, _) in settings.items()}
CHOICE = {
    "temperature": (0.8, _number(0.0), "0 takes the likeliest, 1 draws as the model says, more is wilder"),
    "top_k": (None, _whole(1), "draw among the N likeliest"),
    "top_p": (None, _number(ABOVE_ZERO, 1.0), "draw among the likeliest that together have this probability"),
    "min_p": (None, _number(0.0, 1.0), "draw among those that have this part of the likeliest one's"),
    "repetition_penalty": (1.0, _number(ABOVE_ZERO), "above 1, tokens that were there are less likely"),
    "seed": (None, _whole(0), "the same seed writes the same text"),
}


def _parser():
    form = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        "microlearn",
        formatter_class=form,
        allow_abbrev=False,
        description="Train a small GPT on any text file, and let it write.",
        epilog="example:\n"
        "  microlearn train story.txt --out story       two minutes on two cores\n"
        '  microlearn generate story --prompt "Once"    as often as you like\n'
        "  microlearn plan story                        what a training costs, before it begins\n",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (add, run, what) in COMMANDS.items():
        command = commands.add_parser(name, help=what, formatter_class=form, allow_abbrev=False)
        command.set_defaults(run=run)
        add(command)
    return parser


def _add_train(parser):
    parser.usage = "microlearn train FILE --out DIR [options]"
    parser.description = (
        "Train a GPT on a text file. The last tenth of the text is set aside to validate with.\n"
        "Unless told otherwise, the settings are those of nanoGPT for a computer without a GPU."
    )
    parser.epilog = (
        "example:\n"
        "  microlearn train story.txt --out story\n"
        "  microlearn train story.txt --out story --resume     after Ctrl-C, or a power cut\n"
        "  mpiexec -n 2 microlearn train story.txt --out story   on two processes, which share each batch\n"
    )
    group = parser.add_argument_group("files")
    group.add_argument("file", metavar="FILE", help="a text file in UTF-8")
    group.add_argument(
        "--out",
        metavar="DIR",
        type=_some,
        required=True,
        help="the folder for model.npz, config.json, tokenizer.json, log.csv, and checkpoint.npz, which --resume needs",
    )
    either = group.add_mutually_exclusive_group()
    either.add_argument("--resume", action="store_true", help="go on with the training in DIR as if it had not ended")
    either.add_argument("--overwrite", action="store_true", help="give up the model that is in DIR")
    for title, settings in SETTINGS.items():
        group = parser.add_argument_group(title)
        for name, (default, kind, what) in settings.items():
            form = {"action": "store_const", "const": True} if kind is None else {"metavar": "N", "type": kind}
            if isinstance(kind, tuple):
                form = {"metavar": "|".join(kind), "choices": kind}
            if default is not None and default is not False:
                what += f" (default: {default:g})" if isinstance(default, float) else f" (default: {default})"
            group.add_argument(_option(name), **form, help=what)  # None where it is not given
    group.add_argument("--sample", metavar="N", type=_whole(0), default=120, help="tokens of a sample (default: 120)")
    group.add_argument("--quiet", action="store_true", help="nothing but errors")
    group = parser.add_argument_group("memory")
    group.add_argument("--recompute", action="store_true", help="compute blocks twice, and keep less in memory")
    what = "under mpiexec, let each process keep a part of what AdamW remembers"
    group.add_argument("--shard-optimizer", action="store_true", help=what)


def _add_generate(parser):
    parser.usage = "microlearn generate DIR [options]"
    parser.description = (
        "Let a trained GPT write on. Text appears as it is chosen.\n"
        "DIR is what `microlearn train --out DIR` made, or holds a GPT-2 as it was published."
    )
    parser.epilog = 'example:\n  microlearn generate story --prompt "Once upon" --temperature 0.8 --top-p 0.95\n'
    group = parser.add_argument_group("what to write")
    group.add_argument("folder", metavar="DIR", help="the folder of the model")
    group.add_argument("--prompt", metavar="TEXT", default="", help="what to go on from (default: a new line)")
    group.add_argument("--max-new-tokens", metavar="N", type=_whole(0), default=200, help="at most (default: 200)")
    what = "end before this text; may be given repeatedly"
    group.add_argument("--stop", metavar="TEXT", type=_some, action="append", help=what)
    group = parser.add_argument_group("how a token is chosen")
    for name, (default, kind, what) in CHOICE.items():
        shown = "" if default is None else f" (default: {default:g})"
        group.add_argument(_option(name), metavar="N", type=kind, default=default, help=what + shown)


SIZES = {
    "n_layer": "blocks, one after the other",
    "n_head": "heads in each attention",
    "n_embd": "width: numbers that stand for a token",
    "vocab_size": "kinds of token (default: GPT-2's 50257)",
}


def _add_plan(parser):
    parser.usage = "microlearn plan [FILE] [options]"
    parser.description = (
        "Say what a training would cost: parameters, arithmetic, memory, time, money.\n"
        "Nothing is trained. What is not known is said to be unknown."
    )
    parser.epilog = (
        "example:\n"
        "  microlearn plan config.json --tokens 1e12 --hardware A100-80GB --devices 1024 --price 2\n"
        "  microlearn plan --n-layer 12 --n-head 12 --n-embd 768 --tokens 2.5e9\n"
    )
    group = parser.add_argument_group("the model")
    what = "a published config.json (gpt2, llama, mistral, mixtral, qwen2), or one of `microlearn train`, or its folder"
    group.add_argument("file", metavar="FILE", nargs="?", help=what)
    for name, what in SIZES.items():
        group.add_argument(_option(name), metavar="N", type=_whole(1), help=f"without FILE: {what}")
    group.add_argument("--bias", action="store_true", default=None, help="without FILE: as GPT-2 has them")
    group = parser.add_argument_group("the training")
    above = _number(ABOVE_ZERO)
    group.add_argument("--tokens", metavar="N", type=above, help="tokens to train on, in all")
    what = "windows that a device reads at each step (default: 1)"
    group.add_argument("--batch-size", metavar="N", type=_whole(1), default=1, help=what)
    what = "tokens in each (default: the model's context window; without FILE, 1024)"
    group.add_argument("--block-size", metavar="N", type=_whole(1), help=what)
    what = "numbers of 16 bits where they may be, or of 32 (default: mixed; float32 for a model of microlearn)"
    group.add_argument("--precision", metavar="mixed|float32", choices=("mixed", "float32"), default="", help=what)
    what = "what is not kept for the way back (default: attention in mixed precision, none in float32)"
    choices = ("none", "attention", "blocks")
    group.add_argument("--recompute", metavar="|".join(choices), choices=choices, default="", help=what)
    group = parser.add_argument_group("the hardware")
    what = "V100-16GB, V100-32GB, A100-40GB, A100-80GB or H100-80GB"
    group.add_argument("--hardware", metavar="NAME", help=what)
    group.add_argument("--peak", metavar="N", type=above, help="or your own: TFLOP a second at most, with --memory")
    group.add_argument("--memory", metavar="N", type=above, help="and its memory in GB")
    group.add_argument("--devices", metavar="N", type=_whole(1), default=1, help="how many (default: 1)")
    what = "part of the peak that is reached (default: 0.4; well-run trainings report 0.35 to 0.5)"
    group.add_argument("--utilisation", metavar="N", type=_number(ABOVE_ZERO, 1.0), default=0.4, help=what)
    what = "GB a second between devices, each way (default: that of one machine, up to 8 devices)"
    group.add_argument("--link", metavar="N", type=above, help=what)
    group.add_argument("--price", metavar="N", type=above, help="dollars an hour of a device; prices move")


def _option(name):
    return "--" + name.replace("_", "-")


# Training


def _train(options):
    from microlearn.llm import Group, train

    group, folder = options.group or Group(), Path(options.out)
    text = group.each(lambda: _text(options.file))
    checksum = zlib.crc32(text.encode())
    group.agree(text_file=f"{checksum:08x}")
    settings = group.first(lambda: _settings_of(options, folder, checksum, group))
    tokenizer = group.first(lambda: _tokenizer(settings, text, folder if options.resume else None))
    model, ids, aside = group.each(lambda: _model(options, settings, tokenizer, text))
    checkpoint, show = folder / "checkpoint.npz", _Show(options, folder, settings["max_iters"], tokenizer)
    of_the_loop = DEFAULTS.keys() - {*MODEL, *TEXT, "grad_clip"}
    keeping = _nothing_lost(folder, options.resume) if group.rank == 0 else nullcontext()
    with keeping, _ended_politely(), _watched(options, checkpoint):
        if group.rank == 0:
            if not options.resume:
                _make_room(folder)
                tokenizer.save(folder / "tokenizer.json")
            _write_config(folder, model.config, settings)
            show.beginning(text, ids, aside, model)
        history = train(
            model,
            ids,
            validation=aside,
            max_norm=settings["grad_clip"] or None,
            checkpoint=checkpoint,
            resume=group.first(checkpoint.exists),  # a training may have ended before its first
            on_evaluation=lambda history: show.evaluation(history, model),
            progress=False if options.quiet else None,
            group=group,
            shard_optimizer=options.shard_optimizer,
            **{name: settings[name] for name in of_the_loop},
        )
        if group.rank == 0:
            model.save(folder / "model.npz")
    show.ending(history)
    return 130 if history.ending == "interrupted" else 0


def _settings_of(options, folder, checksum, group):
    """Return all settings of a training that begins or goes on; refuse those that cannot be."""
    given = {name: getattr(options, name) for name in DEFAULTS if getattr(options, name) is not None}
    if options.resume:
        settings = _settings_to_resume(folder, given)
    else:
        _refuse_to_overwrite(folder, options.overwrite)
        settings = _settings(given)
    if settings.setdefault("text", checksum) != checksum:
        raise Refused(f"{options.file}: this is another text than the one that {folder} was trained on")
    try:
        group.share(settings["batch_size"])
    except ValueError as error:
        raise Refused(f"--batch-size{str(error).removeprefix('batch_size')}") from None
    return settings


def _tokenizer(settings, text, folder):
    """Return the tokenizer that is in a folder; one that learns from the text, where there is none yet."""
    tokenizer = _empty_tokenizer(settings["tokenizer"])
    if folder:
        return tokenizer.load(folder / "tokenizer.json")
    if settings["tokenizer"] == "char":
        return tokenizer.train(text)
    # what is set aside is not read, not even for its words
    return tokenizer.train(text[: round(len(text) * (1.0 - VALIDATION))], settings["vocab_size"])


def _model(options, settings, tokenizer, text):
    """Return a model with its first weights, and the tokens to train it on and to validate with."""
    from microlearn.deep import manual_seed
    from microlearn.llm import GPT, GPTConfig, split

    config = GPTConfig(vocab_size=tokenizer.vocab_size, **{name: settings[name] for name in MODEL})
    try:
        ids, aside = split(tokenizer.encode(text), VALIDATION, config.block_size)
    except ValueError as error:
        said = str(error).removeprefix("ids: ").replace("block_size", "--block-size")
        raise Refused(f"{options.file}: {said}") from None
    manual_seed(settings["seed"])
    model = GPT(config)
    model.transformer.recompute = options.recompute
    return model, ids, aside


def _text(name):
    """Read a text file; refuse what is none."""
    data = Path(name).read_bytes()
    if not data.strip():
        raise Refused(f"{name}: there is no text in this file")
    try:
        if b"\0" not in data:
            return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    raise Refused(f"{name}: this is no text in UTF-8: it looks like a binary file, or text in another encoding")


def _settings(given):
    """Return all settings of a new training; refuse those that contradict each other."""
    settings = DEFAULTS | given
    if settings["n_embd"] % settings["n_head"]:
        raise Refused(
            f"--n-head: a width of {settings['n_embd']} does not divide into {settings['n_head']} heads; "
            "--n-embd has to be a multiple of --n-head"
        )
    if "vocab_size" in given and settings["tokenizer"] == "char":
        raise Refused("--vocab-size: characters count themselves; it goes with --tokenizer bpe")
    if settings["warmup"] is None:
        settings["warmup"] = settings["max_iters"] // 20
    return _warmed_up(settings)


def _warmed_up(settings):
    """Refuse a training that would end before its learning rate is at the top."""
    if settings["warmup"] >= settings["max_iters"]:
        raise Refused(f"--warmup: its {settings['warmup']} steps are not fewer than the {settings['max_iters']} in all")
    return settings


def _settings_to_resume(folder, given):
    """Return the settings that a training was begun with; refuse others."""
    if not ((folder / ASIDE).exists() and (folder / "config.json").exists()):
        _settle(folder)  # a kill came before a new training had its settings; with them, it begins again
    saved = _config(folder)
    settings = saved["training"] | {name: saved[name] for name in MODEL}
    for name, value in given.items():
        if name not in MAY_CHANGE and settings[name] != value:
            option = _option(name)
            raise Refused(
                f"{option}: {folder} was begun with {settings[name]}, and now it is to be {value}; "
                f"leave {option} out to go on, or train into another folder"
            )
    return _warmed_up(settings | given)


def _refuse_to_overwrite(folder, overwrite):
    if folder.exists() and not folder.is_dir():
        raise Refused(f"{folder}: this is a file, and --out expects a folder")
    places = (folder, folder / ASIDE, folder / MOVING)
    found = [name for name in FILES if any((place / name).exists() for place in places)]
    if found and not overwrite:
        raise Refused(
            f"{folder}: there is a model already ({', '.join(found)}); "
            "--resume goes on with it, --overwrite gives it up, and another --out leaves it alone"
        )
    if (folder / "config.json").exists():
        _config(folder)  # refuses what is not ours to give up


def _make_room(folder):
    """Make the folder of a new model, and keep aside what is in it of an old one, until `_settle`."""
    folder.mkdir(parents=True, exist_ok=True)
    _settle(folder)
    moving = folder / MOVING
    moving.mkdir()
    for name in FILES:
        with suppress(FileNotFoundError):
            (folder / name).replace(moving / name)
    moving.rename(folder / ASIDE)  # wherever this name is found, all that is old is there


def _settle(folder):
    """Give up what a new training replaces, if that has a checkpoint; put it back, if it has none."""
    aside, moving = folder / ASIDE, folder / MOVING
    for half in itertools.chain.from_iterable(folder.glob(f".{name}.*") for name in FILES):
        half.unlink()  # a kill came while it was written
    if aside.exists() and (folder / "checkpoint.npz").exists():
        shutil.rmtree(aside)
    elif aside.exists():
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        aside.rename(moving)
    if moving.exists():
        for file in sorted(moving.iterdir(), reverse=True):  # the checkpoint goes first and comes back last
            file.replace(folder / file.name)
        moving.rmdir()


def _write_config(folder, config, settings):
    from dataclasses import asdict

    training = {name: value for name, value in settings.items() if name not in MODEL}
    _write(folder / "config.json", json.dumps(asdict(config) | {"training": training}, indent=1) + "\n")


def _write(path, text):
    """Write a file so that whoever looks finds the old one or the new one."""
    from microlearn.deep._checkpoint import replacing

    with replacing(path) as file:
        file.write(text.encode())


@contextmanager
def _nothing_lost(folder, resume):
    """Leave all as it was where there is no checkpoint yet; say what is left where a file cannot be written."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        try:
            yield
        finally:
            whole = (folder / "checkpoint.npz").exists() and (resume or (folder / ASIDE).exists())  # not the old one
            _settle(folder)
            with suppress(OSError):  # a folder that is not empty stays
                for place in made:
                    place.rmdir()
    except BrokenPipeError:
        raise
    except OSError as error:
        if whole:
            left = "the last checkpoint is whole, and --resume goes on from it"
        else:
            old = any((folder / name).exists() for name in FILES)
            left = "what was there before is still there" if old else "nothing was kept"
        where = OUTPUT if error.filename == OUTPUT else str(folder)
        raise OSError(error.errno, f"{error.strerror or error}; {left}", where) from None


@contextmanager
def _ended_politely():
    """Take SIGTERM, by which a machine asks a process to end, for Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# Ends when the process does that started it, however that ends; and speaks, unless it was told that all is well.
WATCHER = """
import os, sys
if not sys.stdin.read():
    print("microlearn: " + sys.argv[2 if os.path.exists(sys.argv[1]) else 3], file=sys.stderr)
"""


@contextmanager
def _watched(options, checkpoint):
    """Leave somebody behind to say what is left, where a process dies: MPI then ends all others before they can."""
    if not options.group or options.group.rank:
        yield
        return
    died, again = "a process of the training died, and so it ended;", _command(options)
    kept = f"{died} the last checkpoint in {options.out} is whole; to go on: {again} --resume"
    none = f"{died} there was no checkpoint yet; to begin again: {again}"
    orders = [sys.executable, "-S", "-E", "-c", WATCHER, str(checkpoint), kept, none]
    with _error_of_mpiexec() as error:
        watcher = subprocess.Popen(orders, stdin=subprocess.PIPE, stderr=error, start_new_session=True)
    try:
        yield
    finally:
        watcher.communicate(b"all is well")


@contextmanager
def _error_of_mpiexec():
    """Open the standard error of mpiexec, which passes ours on, but may end before it has; None, where that fails."""
    above, file = os.getppid(), None
    for _ in range(2):  # MPICH has somebody in between
        with suppress(OSError, ValueError):
            name, _, rest = Path(f"/proc/{above}/stat").read_text().partition("(")[2].rpartition(")")
            if name.startswith(("mpiexec", "mpirun", "prte")):
                file = os.open(f"/proc/{above}/fd/2", os.O_WRONLY | os.O_APPEND)
                break
            above = int(rest.split()[1])
    try:
        yield file
    finally:
        if file is not None:
            os.close(file)


class _Show:
    """What a training shows on the way, and the files that it keeps for others to look at."""

    def __init__(self, options, folder, steps, tokenizer):
        self.options, self.folder, self.steps, self.tokenizer = options, folder, steps, tokenizer

    def say(self, text=""):
        """Print above the bar, if there is one."""
        if not self.options.quiet:
            from tqdm import tqdm

            with _output():
                tqdm.write(text)

    def beginning(self, text, ids, aside, model):
        kinds = self.tokenizer.vocab_size
        self.say(f"text:  {len(text):,} characters, {len(ids):,} tokens to train on, {len(aside):,} to validate with")
        self.say(f"model: {sum(parameter.size for parameter in model.parameters()):,} parameters")
        self.say(f"loss:  in nats a token; to know nothing of {kinds} kinds of token costs {math.log(kinds):.2f}\n")

    def evaluation(self, history, model):
        """Write log and model anew, print a line and a sample."""
        rows = [",".join(COLUMNS)]
        for measured in history.evaluations:
            row = (f"{getattr(measured, name):.6g}" for name in COLUMNS[1:])
            rows.append(",".join([str(measured.step), *row]))
        _write(self.folder / "log.csv", "".join(row + "\n" for row in rows))
        model.save(self.folder / "model.npz")
        last = history.evaluations[-1]
        line = f"step {last.step} of {self.steps}: training loss {last.train_loss:.3f}, "
        line += f"validation loss {last.val_loss:.3f}"
        if last.step:
            line += f", {last.seconds:.0f} s, {last.tokens_per_second:,.0f} tokens/s"
        self.say(line)
        if self.options.sample and not self.options.quiet:
            written = "".join(_written(model, self.tokenizer, "", self.options.sample, temperature=0.8, seed=0))
            self.say("".join(f"  | {line}\n" for line in written.splitlines()))

    def ending(self, history):
        folder = shlex.quote(str(self.folder))
        if history.ending == "interrupted":
            self.say(f"Stopped, and nothing is lost. To go on:\n  {_command(self.options)} --resume")
            return
        best = min(history.evaluations, key=lambda measured: measured.val_loss)
        if best.val_loss < history.evaluations[-1].val_loss:
            self.say(f"The validation loss was lowest at step {best.step}; what came after was learned by heart.")
        self.say(f'Done. Let it write:\n  microlearn generate {folder} --prompt "..."')


def _command(options):
    started = ["mpiexec", "-n", str(options.group.size)] if options.group else []
    return shlex.join([*started, "microlearn", "train", options.file, "--out", options.out])


# Writing


def _generate(options):
    folder = Path(options.folder)
    model, tokenizer = _load(folder)
    choice = {name: getattr(options, name) for name in CHOICE}
    pieces = _written(model, tokenizer, options.prompt, options.max_new_tokens, stop=options.stop, **choice)
    first = options.prompt + next(pieces, "")  # the first piece says whether all can be used
    for piece in itertools.chain([first], pieces, ["\n"]):
        with _output():
            print(piece, end="")
    return 0


def _written(model, tokenizer, prompt, max_new_tokens, **settings):
    """Yield text as it is chosen; where there is no prompt, as after a new line."""
    from microlearn.llm import stream_text

    if not prompt:
        prompt = "\n" if b"\n" in tokenizer.tokens else tokenizer.decode([0])
    return stream_text(model, tokenizer, prompt, max_new_tokens, **settings)


def _load(folder):
    """Read model and tokenizer."""
    from microlearn.llm import GPT, GPTConfig

    if any(folder.glob("model*.safetensors")):
        from microlearn.llm import load_gpt2

        return load_gpt2(folder)
    if not (folder / "checkpoint.npz").exists() and any((folder / name).exists() for name in (ASIDE, MOVING)):
        raise Refused(
            f"{folder}: a training that was begun in it has no checkpoint yet; "
            f"`microlearn train` with --resume goes on, and {ASIDE} in it keeps what was there before"
        )
    saved = _config(folder)
    for name in ("model.npz", "tokenizer.json"):
        if not (folder / name).is_file():
            raise Refused(f"{folder}: {name} is missing, so this is no whole model")
    tokenizer = _empty_tokenizer(saved["training"]["tokenizer"]).load(folder / "tokenizer.json")
    try:
        model = GPT(GPTConfig(**{name: saved[name] for name in ("vocab_size", *MODEL)}))
    except (TypeError, ValueError) as error:
        raise Refused(f"{folder}/config.json: {error}") from None
    if tokenizer.vocab_size != model.config.vocab_size:
        raise Refused(f"{folder}: tokenizer.json and config.json are not of one model")
    return model.load(folder / "model.npz"), tokenizer


def _config(folder):
    """Read config.json; refuse a folder that has none, or one that is no model's."""
    if not folder.is_dir():
        raise Refused(f"{folder}: {'this is a file' if folder.exists() else 'there is no such folder'}")
    file = folder / "config.json"
    if not file.is_file():
        raise Refused(f"{folder}: there is no config.json in it, so this is no model of `microlearn train`")
    try:
        config = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise Refused(f"{file}: this is damaged ({error})") from None
    training = config.get("training") if isinstance(config, dict) else None
    if (
        not isinstance(training, dict)
        or {"vocab_size", *MODEL} - config.keys()
        or DEFAULTS.keys() - {*MODEL, *training}
    ):
        raise Refused(f"{file}: settings are missing in it, so this is no model of `microlearn train`")
    return config


def _empty_tokenizer(kind):
    from microlearn.llm.tokenizers import BPETokenizer, CharTokenizer

    return BPETokenizer() if kind == "bpe" else CharTokenizer()


# Planning


def _plan(options):
    given = [name for name in (*SIZES, "bias") if getattr(options, name) is not None]
    if options.file is not None and given:
        raise Refused(f"{_option(given[0])}: the sizes are those of {options.file}; leave one of the two out")
    missing = [_option(name) for name in ("n_layer", "n_head", "n_embd") if name not in given]
    if options.file is None and missing:
        raise Refused(f"{', '.join(missing)}: give the sizes of a model, or a FILE that holds them")
    if (options.peak is None) != (options.memory is None) or (options.peak and options.hardware):
        raise Refused("--peak: hardware of your own has --peak and --memory, and no --hardware")
    if options.price and not (options.tokens and (options.hardware or options.peak)):
        raise Refused("--price: a cost needs --tokens and --hardware too")
    from microlearn.llm import Architecture, GPTConfig, Hardware, Plan

    hardware = options.hardware
    if options.peak:
        peak = options.peak * 1e12
        hardware = Hardware("your own", options.memory * 1e9, peak, peak)
    same = ("tokens", "devices", "utilisation", "price", "batch_size", "precision", "recompute")
    settings = {name: getattr(options, name) for name in same}
    settings |= {"hardware": hardware, "link": options.link and options.link * 1e9}
    try:
        if options.file is not None:
            model = Architecture.of(Path(options.file))
        else:
            sizes = {name: getattr(options, name) for name in (*given, "block_size") if getattr(options, name)}
            model = Architecture.of(GPTConfig(**{"bias": False} | sizes))
        plan = Plan(model, block_size=options.block_size or 0, **settings)
    except ValueError as error:
        name, colon, rest = str(error).partition(": ")
        raise Refused(f"{_option(name) if name in vars(options) else name}{colon}{rest}") from None
    with _output():
        print(plan)
    return 0


COMMANDS = {
    "train": (_add_train, _train, "train a GPT on a text file, or go on with a training"),
    "generate": (_add_generate, _generate, "let a trained GPT write"),
    "plan": (_add_plan, _plan, "say what a training would cost, before it begins"),
}
