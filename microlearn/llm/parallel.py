"""One model on several processes: each asks its share of the batch, and one all-reduce averages the gradients.

The processes are started and connected by MPI, `mpiexec -n 2 microlearn train ...`. Each holds the whole model, and
all make the same step, so that they stay the same. The lesson is `docs/llm/parallel.md`.
"""

import functools
import os
import zlib
from pathlib import Path

import numpy as np

from microlearn.deep.optim import Optimizer, _Flat
from microlearn.deep.tensor import Tensor

STARTED = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")  # by which MPICH and Open MPI tell a process that it is one of several


class Group:
    """The processes that train one model together; unless told otherwise, this one alone.

    PyTorch calls it a process group.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        What connects them; `world()` finds it.

    Attributes
    ----------
    rank : int
        Which of the processes this is. The one of rank 0 reads checkpoints, writes and speaks.
    size : int
        How many there are.

    Examples
    --------
    >>> group = Group()
    >>> group.rank, group.size, group.share(12)
    (0, 1, slice(0, 12, None))
    """

    def __init__(self, comm=None):
        self.comm = comm
        self.rank, self.size = (0, 1) if comm is None else (comm.Get_rank(), comm.Get_size())

    def share(self, n):
        """Return which of n things in a row are this process's.

        Raises
        ------
        ValueError
            If they cannot be shared out evenly: the mean of the shares would not be the mean of the whole.
        """
        if n % self.size:
            more = n + self.size - n % self.size
            raise ValueError(
                f"batch_size: {n} windows do not divide among {self.size} processes; take a multiple, such as {more}"
            )
        each = n // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def average_gradients(self, parameters, *numbers):
        """Replace every gradient by its mean over the processes, in one message; and do so with a few numbers.

        Parameters
        ----------
        parameters : iterable of Tensor
            The same ones everywhere. Where one has no gradient, it counts as zeros.
        *numbers : float

        Returns
        -------
        list of float
            The means of the numbers.
        """
        if self.size == 1:
            return list(numbers)
        parameters = list(parameters)
        grads = [np.zeros_like(p.data) if p.grad is None else p.grad for p in parameters]
        dtype = parameters[0].dtype
        flat = np.concatenate([*(grad.reshape(-1) for grad in grads), np.array(numbers, dtype=dtype)])
        self._sum(flat)
        flat /= self.size
        at = 0
        for parameter in parameters:
            parameter.grad = flat[at : at + parameter.size].reshape(parameter.shape)
            at += parameter.size
        return flat[at:].tolist()

    def sum(self, *numbers):
        """Add up numbers over the processes."""
        if self.size == 1:
            return list(numbers)
        sums = np.array(numbers, dtype=np.float64)
        self._sum(sums)
        return sums.tolist()

    def first(self, function):
        """Call a function on the process of rank 0 alone, and return to all what it returned; or raise its error."""
        if self.size == 1:
            return function()
        result, error = _attempt(function) if self.rank == 0 else (None, None)
        result, error = self.comm.bcast((result, error))
        return _everywhere(error) if error else result

    def each(self, function):
        """Call a function on every process. Where it fails on one it fails on all, and the error says on which."""
        if self.size == 1:
            return function()
        result, error = _attempt(function)
        errors = self.comm.allgather(error)
        failed = [rank for rank, error in enumerate(errors) if error is not None]
        if len({str(error) for error in errors}) > 1:
            rank = failed[0]
            _everywhere(ValueError(f"process {rank} of {self.size}: {_said(errors[rank])}"))
        return _everywhere(errors[0]) if failed else result

    def agree(self, **facts):
        """Make sure that facts are the same on all processes, and so is the engine that they run.

        Raises
        ------
        ValueError
            On all of them, if one has it otherwise.
        """
        if self.size == 1:
            return
        told = self.comm.allgather({"engine": _engine(), **facts})
        for name, here in told[0].items():
            others = [rank for rank in range(self.size) if told[rank][name] != here]
            if others:
                what = name.replace("_", " ")
                _everywhere(
                    ValueError(
                        f"process {others[0]} of {self.size} has another {what} than process 0: "
                        f"{told[others[0]][name]} and {here}; it has to be the same everywhere"
                    )
                )

    def _sum(self, array):
        from mpi4py import MPI

        self.comm.Allreduce(MPI.IN_PLACE, array)

    def _all_gather(self, array, cuts):
        """Fill an array of which each process knows a part: that of rank r is `array[cuts[r] : cuts[r + 1]]`."""
        if self.size > 1:
            from mpi4py import MPI

            self.comm.Allgatherv(MPI.IN_PLACE, [array, (np.diff(cuts), cuts[:-1])])


def world():
    """Return the processes that `mpiexec` started this one with.

    Returns
    -------
    Group
        Of this process alone, where there was no `mpiexec`.

    Raises
    ------
    ImportError
        If there are several, and no library that connects them.
    """
    if all(os.environ.get(name, "1") == "1" for name in STARTED):
        return Group()
    try:
        from mpi4py import MPI
    except ImportError:
        raise ImportError("mpiexec needs the library mpi4py here: pip install microlearn[distributed]") from None
    return Group(MPI.COMM_WORLD)


class ZeroRedundancyOptimizer(Optimizer):
    """An optimizer of which each process keeps a part: what it remembers of its own part of the parameters.

    Each moves its part, and then all tell each other. This is the first stage of Rajbhandari, Rasley, Ruwase and He,
    *ZeRO: Memory optimizations toward training trillion parameter models*, 2019 (https://arxiv.org/abs/1910.02054).

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        All of them, in the same order on every process.
    optimizer_class : type
        `AdamW`, or another optimizer that treats each number by itself.
    group : Group
        Who shares.
    **defaults
        The settings of `optimizer_class`.

    Examples
    --------
    >>> from microlearn.deep import Adam
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = ZeroRedundancyOptimizer([w], Adam, Group(), lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.tolist()
    [0.5, 1.5]
    """

    def __init__(self, params, optimizer_class, group, **defaults):
        params = list(params)
        groups = params if params and isinstance(params[0], dict) else [{"params": params}]
        self.group, self.whole, self.cuts = group, [], []
        for held in groups:
            self.whole.append(_Flat(list(held["params"]), ()))
            n = self.whole[-1].data.size
            self.cuts.append([n * rank // group.size for rank in range(group.size + 1)])
        parts = zip(self.whole, self.cuts, strict=True)
        shards = [Tensor(flat.data[self._mine(cuts)], dtype=flat.data.dtype) for flat, cuts in parts]
        settings = [{**held, "params": [shard]} for held, shard in zip(groups, shards, strict=True)]
        self.inner = optimizer_class(settings, **defaults)
        self.param_groups = self.inner.param_groups  # the same, so that a schedule reaches them

    def zero_grad(self):
        """Forget all gradients."""
        for flat in self.whole:
            for parameter in flat.parameters:
                parameter.grad = None

    def step(self):
        """Move this process's part of the parameters, and take over what the others moved."""
        parts = list(zip(self.whole, self.cuts, self.param_groups, strict=True))
        for flat, cuts, settings in parts:
            flat.gather()
            (shard,) = settings["params"]
            shard.data[...], shard.grad = flat.data[self._mine(cuts)], self._gradient(flat, self._mine(cuts))
        self.inner.step()
        for flat, cuts, settings in parts:
            (shard,) = settings["params"]
            flat.data[self._mine(cuts)], shard.grad = shard.data, None
            self.group._all_gather(flat.data, cuts)

    def state_dict(self):
        """Return what `optimizer_class` without sharing would; all processes have to ask."""
        state = self.inner.state_dict()
        for i, (flat, cuts) in enumerate(zip(self.whole, self.cuts, strict=True)):
            for name in self._remembered(i):
                whole = np.empty(cuts[-1], dtype=state[name].dtype)
                whole[self._mine(cuts)] = state[name]
                self.group._all_gather(whole, cuts)
                state[name] = whole
            state[f"{i}.step"] = np.repeat(state[f"{i}.step"], len(flat.parameters))
        return state

    def load_state_dict(self, state):
        """Go on from what `state_dict` returned, of an optimizer that is shared or of one that is not.

        Raises
        ------
        ValueError
            If it is that of another optimizer, or of other parameters.
        """
        part = dict(state)
        for i, cuts in enumerate(self.cuts):
            for name in self._remembered(i):
                if name in state:
                    if np.shape(state[name]) != (cuts[-1],):
                        raise ValueError(
                            f"load_state_dict: {name} has shape {np.shape(state[name])}, and here {(cuts[-1],)}"
                        )
                    part[name] = state[name][self._mine(cuts)]
            if f"{i}.step" in state:
                part[f"{i}.step"] = state[f"{i}.step"][:1]
        self.inner.load_state_dict(part)

    def _mine(self, cuts):
        return slice(cuts[self.group.rank], cuts[self.group.rank + 1])

    def _remembered(self, i):
        """Name what the inner optimizer keeps for each number of a group."""
        return [f"{i}.{name}" for name in self.inner._flats[i].state]

    def _gradient(self, flat, mine):
        """Copy a part of the gradients, as they would stand side by side; where there is none, it is zero."""
        part = np.zeros(mine.stop - mine.start, dtype=flat.data.dtype)
        for parameter, start, end in zip(flat.parameters, flat.starts, flat.ends, strict=True):
            first, last = max(start, mine.start), min(end, mine.stop)
            if first < last and parameter.grad is not None:
                part[first - mine.start : last - mine.start] = parameter.grad.reshape(-1)[first - start : last - start]
        return part


@functools.cache
def _engine():
    """Return a checksum of the engine's source, and numpy's version: processes that differ in it may drift apart."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    source = b"".join(file.read_bytes() for file in files)
    return f"{zlib.crc32(source):08x} with numpy {np.__version__}"


def _attempt(function):
    """Return the result and no error, or no result and the error."""
    try:
        return function(), None
    except Exception as error:
        return None, error


def _said(error):
    """Return what an error says, without its number."""
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)


def _everywhere(error):
    """Raise an error that all processes raise, so that one of them may speak for all."""
    error.everywhere = True
    raise error
