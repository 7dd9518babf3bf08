"""How a language model learns from a stream of tokens, and how a training goes on after a stop as if there was none.

The settings are nanoGPT's. The lesson is `docs/llm/training.md`.
"""

import json
import math
import time
import zlib
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from microlearn.deep import AdamW, Diverged, Module, WarmupCosine, clip_grad_norm_, generator, no_grad
from microlearn.deep._checkpoint import read, write
from microlearn.deep._checks import integers
from microlearn.deep._loop import behaving, ctrl_c
from microlearn.llm.parallel import Group, ZeroRedundancyOptimizer
from microlearn.networks._checks import whole


@dataclass
class Evaluation:
    """What was measured at one step of a training.

    Attributes
    ----------
    step : int
        How many steps were made before.
    train_loss, val_loss : float
        Mean surprise in nats a token, without dropout, on tokens to train on and on those set aside.
    seconds : float
        How long the steps took so far, evaluations not counted.
    tokens_per_second : float
        How many tokens were trained on a second since the evaluation before; 0 at the first.
    """

    step: int
    train_loss: float
    val_loss: float
    seconds: float
    tokens_per_second: float


class History:
    """What was measured while a language model was trained.

    Attributes
    ----------
    evaluations : list of Evaluation
        Each of its fields is an attribute here too: `history.val_loss` lists the validation losses.
    ending : {"all steps", "interrupted", "diverged"}
        Why the training ended.
    """

    def __init__(self):
        self.evaluations, self.ending = [], "all steps"

    def __getattr__(self, name):
        if name not in Evaluation.__dataclass_fields__:
            raise AttributeError(name)
        return [getattr(evaluation, name) for evaluation in self.evaluations]

    def __repr__(self):
        if not self.evaluations:
            return f"<History: {self.ending}>"
        first, last = self.evaluations[0], self.evaluations[-1]
        change = f"validation loss {first.val_loss:.3f} to {last.val_loss:.3f}"
        return f"<History: {last.step} steps, {self.ending}, {change}>"


def get_batch(ids, block_size, batch_size, rng):
    """Cut windows out of a stream of tokens, and the same windows one token later.

    Parameters
    ----------
    ids : numpy.ndarray of int
        (N,), with N above `block_size`.
    block_size, batch_size : int
    rng : numpy.random.Generator
        Chooses where each window begins.

    Returns
    -------
    idx, targets : numpy.ndarray of int
        (batch_size, block_size) each: `targets[b, t]` is what came after `idx[b, t]`.
    """
    starts = rng.integers(0, len(ids) - block_size, batch_size)
    return _windows(ids, starts, block_size)


def evaluate(model, ids, block_size=None, windows=None, batch_size=32):
    """Measure a model on a text: the mean surprise at its tokens, window after window, as after `eval()`.

    Parameters
    ----------
    model : callable
        `model(idx, targets)` returns logits and loss.
    ids : array_like of int
        (N,): the text. Each token but the first is predicted once, from those before it in its window.
    block_size : int, optional
        How many tokens a window has; the model's own unless given. What is left over at the end is a shorter one.
    windows : int, optional
        Where the text has more, look at so many alone, evenly spread and of full length.
    batch_size : int, optional
        How many windows are asked at once. It changes nothing but the memory that it takes.

    Returns
    -------
    float
        Nats a token.
    """
    ids, block_size, batch_size = _stream("ids", ids), _block_size(model, block_size), whole("batch_size", batch_size)
    if len(ids) < 2:
        raise ValueError("ids: expected at least two tokens: the first is what the second is predicted from")
    starts = _starts(ids, block_size, None if windows is None else whole("windows", windows))
    total, count = _surprise(model, ids, starts, block_size, batch_size)
    return total / count


def _starts(ids, block_size, windows):
    """Return where the windows begin that a text is judged by."""
    starts = np.arange(0, len(ids) - 1, block_size)
    if windows is not None and windows < len(starts):
        starts = np.linspace(0, len(ids) - 1 - block_size, windows).astype(np.int64)
    return starts


def _surprise(model, ids, starts, block_size, batch_size):
    """Return the sum of the surprises at the tokens of some windows, and how many these are."""
    total, count = 0.0, 0
    with behaving(model, training=False), no_grad():
        full = starts[starts + block_size < len(ids)]
        parts = [full[i : i + batch_size] for i in range(0, len(full), batch_size)]
        parts += [starts[len(full) :]] * (len(full) < len(starts))
        for part in parts:
            idx, targets = _windows(ids, part, min(block_size, len(ids) - 1 - part[0]))
            total += model(idx, targets)[1].item() * idx.size
            count += idx.size
    return total, count


def parameter_groups(model, weight_decay):
    """Sort parameters for AdamW: matrices decay, biases and the weights of norms do not.

    Returns
    -------
    list of dict
        Two groups, for `AdamW(parameter_groups(model, 0.1))`; one, where a model has no others.
    """
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    others = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def train(
    model,
    ids,
    max_iters,
    batch_size=12,
    lr=1e-3,
    min_lr=1e-4,
    warmup=None,
    beta2=0.99,
    weight_decay=0.1,
    max_norm=1.0,
    accumulation=1,
    block_size=None,
    validation=0.1,
    eval_interval=250,
    eval_iters=50,
    seed=0,
    checkpoint=None,
    resume=False,
    on_evaluation=None,
    progress=None,
    group=None,
    shard_optimizer=False,
):
    """Train a language model on a stream of tokens.

    Ctrl-C ends the training after the step that it is in. On a terminal, a bar shows how far it is. Several processes
    that call this with the same arguments, and with their `group`, train one model together.

    Parameters
    ----------
    model : Module
        `model(idx, targets)` returns logits and loss.
    ids : array_like of int
        (N,): the text.
    max_iters : int
        How many steps in all, those before a `resume` included.
    batch_size : int, optional
        How many windows are asked at once, by all processes together.
    lr, min_lr : float, optional
        The highest learning rate, and what it sinks to at the last step.
    warmup : int, optional
        How many steps it climbs at first; a twentieth of all unless given.
    beta2 : float, optional
        AdamW's memory of squares; nanoGPT's choice for small batches.
    weight_decay : float, optional
        Of matrices; nothing else decays.
    max_norm : float or None, optional
        Gradients are scaled down to this norm before a step.
    accumulation : int, optional
        How many batches are asked for each step: a larger batch in the memory of a small one.
    block_size : int, optional
        How many tokens a window has; the model's own unless given.
    validation : float or array_like of int, optional
        The fraction of the text to set aside, taken from its end; or other tokens.
    eval_interval : int, optional
        After how many steps it is measured, and a checkpoint is kept.
    eval_iters : int, optional
        How many batches are looked at, evenly spread, always the same ones.
    seed : int, optional
        Which windows are asked at which step.
    checkpoint : path, optional
        A file to keep the whole state of the training in: at every evaluation, and at Ctrl-C.
    resume : bool, optional
        Go on from the checkpoint. The parameters come out as they would have without the stop, bit for bit.
    on_evaluation : callable, optional
        `on_evaluation(history)` is called after every evaluation, and before its checkpoint is written.
    progress : bool, optional
        Show the bar, or do not, wherever this runs.
    group : Group, optional
        The processes that share each batch. The one of rank 0 alone calls `on_evaluation`, writes the checkpoint, and
        reads it.
    shard_optimizer : bool, optional
        Let each process of the group keep a part of what AdamW remembers.

    Returns
    -------
    History

    Raises
    ------
    Diverged
        If the loss becomes infinite or nan. The parameters are those before the step.
    TypeError, ValueError
        If the text is too short, a setting makes no sense, the checkpoint is of another training, the batch cannot be
        shared out, or the processes have drifted apart.

    Examples
    --------
    >>> from microlearn.deep import manual_seed
    >>> from microlearn.llm import GPT, GPTConfig
    >>> manual_seed(0)
    >>> model = GPT(GPTConfig(block_size=8, vocab_size=4, n_layer=1, n_head=2, n_embd=16))
    >>> history = train(model, [0, 1, 2, 3] * 50, max_iters=60, lr=1e-2)
    >>> history.step, history.val_loss[-1] < 0.1 < history.val_loss[0]
    ([0, 60], True)
    """
    from tqdm import tqdm

    if not isinstance(model, Module):
        raise TypeError(f"model: expected a Module, such as GPT(GPTConfig(...)), got {model!r:.60}")
    if checkpoint is None and resume:
        raise ValueError("checkpoint: expected the path of the training to go on with")
    group = Group() if group is None else group
    if checkpoint is not None and not group.first(Path(checkpoint).parent.is_dir):
        raise FileNotFoundError(f"checkpoint: there is no folder {Path(checkpoint).parent}")
    max_iters, eval_interval = whole("max_iters", max_iters, 0), whole("eval_interval", eval_interval)
    seed = whole("seed", seed, 0)
    size, parts = whole("batch_size", batch_size), whole("accumulation", accumulation)
    warmup = max_iters // 20 if warmup is None else whole("warmup", warmup, 0)
    if warmup >= max(max_iters, 1):
        raise ValueError(f"warmup: expected fewer steps than the {max_iters} of max_iters, got {warmup}")
    block_size = _block_size(model, block_size)
    ids, aside = split(ids, validation, block_size)
    windows = whole("eval_iters", eval_iters) * size

    settings = {"lr": lr, "betas": (0.9, beta2)}
    kind = partial(ZeroRedundancyOptimizer, optimizer_class=AdamW, group=group) if shard_optimizer else AdamW
    optimizer = kind(parameter_groups(model, weight_decay), **settings)
    schedule = WarmupCosine(optimizer, warmup, max(max_iters, 1), min_lr)
    run = _Run(model, optimizer, group, seed, size, parts, block_size, ids)
    if resume:
        run.restore(checkpoint)
        for held, new in zip(optimizer.param_groups, parameter_groups(model, weight_decay), strict=True):
            held |= {"betas": (0.9, beta2), "weight_decay": new["weight_decay"]}
        schedule.load_state_dict({"last_epoch": run.step, "base_lrs": schedule.base_lrs})
    history = run.history
    hidden = group.rank > 0 or (None if progress is None else not progress)
    bar = tqdm(initial=run.step, total=max_iters, unit="step", disable=hidden)
    try:
        with behaving(model, training=True), ctrl_c() as pressed, np.errstate(all="ignore"):
            while True:
                due = run.step % eval_interval == 0 or run.step >= max_iters
                if due and not (history.evaluations and history.evaluations[-1].step >= run.step):
                    run.evaluate(aside, windows, size)
                    if on_evaluation is not None and group.rank == 0:
                        on_evaluation(history)
                    if checkpoint is not None:
                        run.save(checkpoint)
                if run.step >= max_iters or any(group.sum(bool(pressed))):  # whoever is told to stop, all do
                    break
                begun = time.perf_counter()
                lost = run.make_step(max_norm)
                schedule.step()
                run.seconds += time.perf_counter() - begun
                bar.update()
                bar.set_postfix_str(f"loss {lost:.3f}, {run.tokens_per_second():,.0f} tokens/s", refresh=False)
        if run.step < max_iters:
            history.ending = "interrupted"
            if checkpoint is not None:
                run.save(checkpoint)
    finally:
        bar.close()
    return history


def split(ids, validation, block_size):
    """Set the end of a text aside: a model must not be judged by what it has read.

    Parameters
    ----------
    ids : array_like of int
        (N,)
    validation : float or array_like of int
        The fraction to set aside; or tokens from elsewhere, and then all of `ids` are for training.
    block_size : int
        Either part must hold a window of it, and the token after.

    Returns
    -------
    train, validation : numpy.ndarray of int

    Raises
    ------
    ValueError
        If a part is too short.
    """
    ids = _stream("ids", ids)
    if isinstance(validation, float | np.floating):
        if not 0.0 < validation < 1.0:
            raise ValueError(f"validation: expected a fraction between 0 and 1, or tokens, got {validation!r}")
        kept = len(ids) - round(len(ids) * float(validation))
        ids, aside = ids[:kept], ids[kept:]
    else:
        aside = _stream("validation", validation)
    for part, what in ((ids, "to train on"), (aside, "to validate with")):
        if len(part) <= block_size:
            raise ValueError(
                f"ids: there are {len(part)} tokens {what}, and a block of {block_size} needs {block_size + 1}: "
                "take a longer text or a smaller block_size"
            )
    return ids, aside


class _Run:
    """Everything that a training needs to go on as if it had never stopped."""

    def __init__(self, model, optimizer, group, seed, batch_size, accumulation, block_size, ids):
        self.model, self.optimizer, self.group, self.ids, self.block_size = model, optimizer, group, ids, block_size
        self.share = group.share(batch_size)
        self.step, self.seconds, self.history = 0, 0.0, History()
        self.settings = {
            "seed": seed,
            "batch_size": batch_size,
            "accumulation": accumulation,
            "block_size": block_size,
            "checksum of the text": zlib.crc32(ids.astype(np.int64).tobytes()),
        }

    def make_step(self, max_norm):
        """Ask the batches of this step, walk back, and move; return the loss."""
        parts, size = self.settings["accumulation"], self.settings["batch_size"]
        # the windows of a step depend on the seed and the step alone, wherever the training was begun again
        rng = np.random.default_rng([self.settings["seed"], self.step])
        idx, targets = get_batch(self.ids, self.block_size, parts * size, rng)
        if self.group.rank:  # what dropout draws is another thing on each process
            generator().bit_generator.state = rng.spawn(self.group.size)[self.group.rank].bit_generator.state
        self.optimizer.zero_grad()
        lost = 0.0
        for start in range(0, parts * size, size):
            mine = slice(start + self.share.start, start + self.share.stop)
            loss = self.model(idx[mine], targets[mine])[1] / parts
            lost += loss.item()
            if not math.isfinite(lost):
                break
            loss.backward(retain_grads=False)
            del loss  # and its graph with it, before there is another
        (lost,) = self.group.average_gradients(self.model.parameters(), lost)
        if not math.isfinite(lost):
            self.history.ending = "diverged"
            rate = self.optimizer.param_groups[0]["lr"]
            why = f"a learning rate of {rate:g} is likely too large" if self.step else "look at the parameters"
            raise Diverged(f"the loss became {lost} at step {self.step}; {why}", self.history)
        if max_norm is not None:
            clip_grad_norm_(self.model.parameters(), max_norm)
        self.optimizer.step()
        self.step += 1
        return lost

    def tokens_per_second(self):
        """How many tokens a second since the last evaluation."""
        last = self.history.evaluations[-1] if self.history.evaluations else Evaluation(0, 0.0, 0.0, 0.0, 0.0)
        tokens = self.settings["accumulation"] * self.settings["batch_size"] * self.block_size
        gone = self.seconds - last.seconds
        return (self.step - last.step) * tokens / gone if gone > 0.0 else 0.0

    def evaluate(self, aside, windows, batch_size):
        """Measure, each process some of the windows, and write it down; refuse to if the models have drifted apart."""
        crc = 0
        for parameter in self.model.parameters() if self.group.size > 1 else ():
            crc = zlib.crc32(parameter.data.tobytes(), crc)
        self.group.agree(model=f"{crc:08x}")
        losses = []
        for part in (self.ids, aside):
            starts = _starts(part, self.block_size, windows)[self.group.rank :: self.group.size]
            found = _surprise(self.model, part, starts, self.block_size, max(batch_size, 32))
            total, count = self.group.sum(*found)
            losses.append(total / count)
        train_loss, val_loss = losses
        measured = Evaluation(self.step, train_loss, val_loss, self.seconds, self.tokens_per_second())
        self.history.evaluations.append(measured)

    def save(self, path):
        state = self.optimizer.state_dict()  # all processes have a part in it
        if self.group.rank:
            return
        arrays = {f"model.{name}": array for name, array in self.model.state_dict().items()}
        arrays |= {f"optimizer.{name}": array for name, array in state.items()}
        words = {
            "step": self.step,
            "seconds": self.seconds,
            "settings": self.settings,
            "evaluations": [asdict(evaluation) for evaluation in self.history.evaluations],
            "layers": generator().bit_generator.state,
        }
        arrays["training of a language model"] = np.array(json.dumps(words))
        write(path, arrays)

    def restore(self, path):
        arrays = self.group.first(lambda: read(path))
        self.group.each(lambda: self._take(arrays, path))

    def _take(self, arrays, path):
        """Become what a checkpoint holds."""
        if "training of a language model" not in arrays:
            raise ValueError(f"{path}: this is not the checkpoint of a language model's training")
        words = json.loads(str(arrays["training of a language model"]))
        for name, here in self.settings.items():
            if words["settings"].get(name) != here:
                raise ValueError(f"{path}: {name} is {words['settings'].get(name)} there, and {here} here")
        before = self.model.state_dict()
        state, remembered = (
            {name.removeprefix(part): array for name, array in arrays.items() if name.startswith(part)}
            for part in ("model.", "optimizer.")
        )
        try:
            self.model.load_state_dict(state)
            self.optimizer.load_state_dict(remembered)
        except ValueError as error:
            self.model.load_state_dict(before)
            raise ValueError(f"{path}: {error}") from None
        self.step, self.seconds = words["step"], words["seconds"]
        self.history.evaluations = [Evaluation(**evaluation) for evaluation in words["evaluations"]]
        generator().bit_generator.state = words["layers"]


def _windows(ids, starts, block_size):
    """Return the tokens from each start on, and those one later."""
    cut = ids[np.asarray(starts)[:, None] + np.arange(block_size + 1)]
    return cut[:, :-1], cut[:, 1:]


def _stream(name, ids):
    """Return tokens as an array with one axis."""
    ids = integers(name, ids)
    if ids.ndim != 1:
        raise ValueError(f"{name}: expected one stream of tokens, got shape {ids.shape}")
    return ids


def _block_size(model, block_size):
    if block_size is not None:
        return whole("block_size", block_size)
    found = getattr(getattr(model, "config", model), "block_size", None)
    if found is None:
        raise ValueError("block_size: this model does not say how many tokens it sees; give it here")
    return found
