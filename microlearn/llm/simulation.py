"""Machines that hand pieces to each other, on paper: a ring all-reduce message by message, a pipeline job by job.

One process plays all of them, so that every message and every idle moment can be looked at. The lesson is
`docs/llm/simulation.md`.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from microlearn.llm import _diagrams
from microlearn.networks._checks import finite, is_list, whole

SCHEDULES = ("gpipe", "1f1b")


@dataclass(frozen=True)
class Message:
    """What one machine sends to another in one step: piece number `piece`, of `nbytes` bytes."""

    step: int
    sender: int
    receiver: int
    piece: int
    nbytes: int


@dataclass(eq=False)
class Ring:
    """What came of an all-reduce around a ring. On a page it shows itself step by step.

    Attributes
    ----------
    arrays : list of numpy.ndarray
        What each machine holds at the end.
    messages : list of Message
        All that was sent, in order.
    """

    arrays: list
    messages: list

    def __repr__(self):
        return f"<Ring of {len(self.arrays)} machines: {len(self.messages)} messages>"

    @property
    def sent(self):
        """How many bytes each machine has sent, as a list."""
        return [sum(one.nbytes for one in self.messages if one.sender == i) for i in range(len(self.arrays))]

    def _repr_html_(self):
        return _diagrams.ring_frames(len(self.arrays), self.messages)


def ring_all_reduce(arrays):
    """Add up what n machines hold, so that each has the sum, while each only sends to the next one.

    Arrays are cut into n pieces. In n - 1 steps sums of pieces grow around the ring (reduce-scatter); in n - 1 more
    the finished ones are handed on (all-gather). Each machine sends 2 (n - 1) / n of an array, the least possible:
    Patarasuk and Yuan, *Bandwidth optimal all-reduce algorithms for clusters of workstations*, 2009.

    Parameters
    ----------
    arrays : list of array_like
        One for each machine, all of one shape and one dtype.

    Returns
    -------
    Ring

    Raises
    ------
    TypeError, ValueError
        If there are no arrays, or they hold no numbers, or differ in shape or dtype.

    Examples
    --------
    >>> ring = ring_all_reduce([[1, 2], [10, 20]])
    >>> [array.tolist() for array in ring.arrays]
    [[11, 22], [11, 22]]
    >>> ring.messages[0]
    Message(step=0, sender=0, receiver=1, piece=0, nbytes=8)
    """
    arrays = _alike(arrays)
    n = len(arrays)
    held = [np.array_split(array.ravel(), n) for array in arrays]
    messages = []
    for step in range(2 * (n - 1)):
        for sender in range(n):  # nobody passes on what it gets in this step: one after the other is as good as at once
            piece, receiver = (sender - step) % n, (sender + 1) % n
            numbers, own = held[sender][piece], held[receiver]
            own[piece] = own[piece] + numbers if step < n - 1 else numbers
            messages.append(Message(step, sender, receiver, piece, numbers.nbytes))
    return Ring([np.concatenate(own).reshape(arrays[0].shape) for own in held], messages)


def _alike(arrays):
    if not is_list(arrays) or len(arrays) == 0:
        raise ValueError(f"arrays: expected a list with one array for each machine, got {arrays!r:.60}")
    arrays = [np.asarray(array) for array in arrays]
    for i, array in enumerate(arrays):
        if array.dtype.kind not in "iufc":
            raise TypeError(f"arrays[{i}]: expected numbers, got {array.dtype}")
        if (array.shape, array.dtype) != (arrays[0].shape, arrays[0].dtype):
            raise ValueError(
                f"arrays[{i}]: expected {arrays[0].dtype} of shape {arrays[0].shape}, as on machine 0, "
                f"got {array.dtype} of shape {array.shape}"
            )
    return arrays


@dataclass(frozen=True)
class Job:
    """One stage's work on one microbatch: `kind` is "forward" or "backward", `chunk` which of the stage's parts."""

    stage: int
    microbatch: int
    kind: str
    start: float
    end: float
    chunk: int = 0


@dataclass(eq=False)
class Timetable:
    """What each stage of a pipeline does, and when. On a page it shows itself as bars over time.

    Attributes
    ----------
    stages, microbatches, chunks : int
        The sizes; each stage holds `chunks` parts of the model.
    schedule : str
        "gpipe" or "1f1b"
    jobs : list of Job
        In the order in which they begin.
    """

    stages: int
    microbatches: int
    schedule: str
    chunks: int
    jobs: list

    def __repr__(self):
        held = f"{max(self.held)} of {self.microbatches} held"
        return f"<{self.schedule} on {self.stages}: {float(self.end):g} long, {float(self.idle):.1%} idle, {held}>"

    @property
    def end(self):
        """When the last job is done."""
        return max(job.end for job in self.jobs)

    @property
    def idle(self):
        """The fraction of the stages' time in which they wait: the bubble."""
        return 1 - sum(job.end - job.start for job in self.jobs) / (self.stages * self.end)

    @property
    def held(self):
        """For how many microbatches each stage keeps activations at most, as a list."""
        now, most = [0] * self.stages, [0] * self.stages
        for job in self.jobs:  # a stage does one thing at a time: its count changes in the order of its jobs
            now[job.stage] += 1 if job.kind == "forward" else -1
            most[job.stage] = max(most[job.stage], now[job.stage])
        return most if self.chunks == 1 else [count / self.chunks for count in most]

    def _repr_svg_(self):
        return _diagrams.timetable(self)


def pipeline(stages, microbatches, schedule="gpipe", forward=1, backward=2, chunks=1):
    """Play a training step of a model that is cut into stages, one behind the other, and return its timetable.

    A stage does one job at a time, in the order of its schedule, each as soon as the job's input is there: a forward
    needs the one of the stage before, a backward that of the stage behind.

    Parameters
    ----------
    stages : int
        How many machines.
    microbatches : int
        Into how many parts the batch is cut.
    schedule : {"gpipe", "1f1b"}, optional
        All forwards, then all backwards (Huang et al., 2018, https://arxiv.org/abs/1811.06965); or each stage goes
        back as early as it can, and then takes turns (Narayanan et al., 2021, https://arxiv.org/abs/2104.04473).
    forward, backward : float or list of float, optional
        How long a microbatch takes at a stage: one number, or one for each stage.
    chunks : int, optional
        How many parts of the model each machine holds: with 2 on 4 machines, machine 0 holds the first and the fifth
        of eight. These are the interleaved stages of Narayanan et al., and go with "1f1b".

    Returns
    -------
    Timetable

    Raises
    ------
    TypeError, ValueError
        If a size is no whole number above zero, a time not above zero or not one for each stage, the schedule
        unknown, or chunks do not go with the schedule or the number of microbatches.

    Examples
    --------
    >>> pipeline(stages=2, microbatches=3)
    <gpipe on 2: 12 long, 25.0% idle, 3 of 3 held>
    >>> pipeline(stages=2, microbatches=3, schedule="1f1b").held
    [2, 1]
    """
    sizes = {"stages": stages, "microbatches": microbatches, "chunks": chunks}
    p, m, v = (whole(name, size) for name, size in sizes.items())
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule: expected {' or '.join(map(repr, SCHEDULES))}, got {schedule!r}")
    if v > 1 and (schedule == "gpipe" or m % p):
        raise ValueError(
            f"chunks: {v} go with '1f1b' and a number of microbatches that {p} stages divide, got {schedule!r} and {m}"
        )
    times = {"forward": _times("forward", forward, p, v), "backward": _times("backward", backward, p, v)}
    queues = [deque(_order(stage, p, m, schedule, v)) for stage in range(p)]
    clock, free, done, jobs = 0, [0] * p, {}, []
    while any(queues):
        for stage, queue in enumerate(queues):
            if not queue or free[stage] > clock:
                continue
            kind, chunk, microbatch = queue[0]
            place = chunk * p + stage  # where on the way through the whole model
            needed = _needed(kind, place, microbatch, p * v)
            if needed is None or done.get(needed, math.inf) <= clock:
                queue.popleft()
                free[stage] = done[kind, place, microbatch] = clock + times[kind][stage]
                jobs.append(Job(stage, microbatch, kind, clock, free[stage], chunk))
        clock = min(end for end in free if end > clock)  # nothing happens until a job is done
    return Timetable(p, m, schedule, v, jobs)


def _times(name, given, stages, chunks):
    """Return how long one chunk takes at each stage."""
    times = list(given) if is_list(given) else [given] * stages
    if len(times) != stages:
        raise ValueError(f"{name}: expected a time for each of the {stages} stages, got {len(times)}")
    for time in times:
        if finite(name, time) <= 0.0:
            raise ValueError(f"{name}: expected a time above zero, got {time!r}")
    return [time / chunks if chunks > 1 else time for time in times]


def _order(stage, stages, microbatches, schedule, chunks):
    """List what a stage does one after the other: kind, chunk, microbatch."""
    turn = [(k // stages % chunks, k // (stages * chunks) * stages + k % stages) for k in range(microbatches * chunks)]
    forward = [("forward", chunk, microbatch) for chunk, microbatch in turn]
    backward = [("backward", chunks - 1 - chunk, microbatch) for chunk, microbatch in turn]
    if schedule == "gpipe":
        return forward + backward
    ahead = stages - 1 - stage  # as many forwards as there are stages behind this one, then take turns
    if chunks > 1:  # the first microbatches have to come around again before they go back
        ahead = 2 * ahead + (chunks - 1) * stages
    pairs = zip(forward[ahead:], backward, strict=False)
    return forward[:ahead] + [job for pair in pairs for job in pair] + backward[max(len(forward) - ahead, 0) :]


def _needed(kind, place, microbatch, places):
    """Name the job whose result another one works on; None at the ends of the model, where the stage has it itself."""
    before = place - 1 if kind == "forward" else place + 1
    return (kind, before, microbatch) if 0 <= before < places else None
