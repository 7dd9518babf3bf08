"""Who looks on while tensors compute: usually nobody; a watcher sees what is computed, and may change what goes on."""

import threading
from contextlib import contextmanager


class Watcher:
    """One who sees every result and every gradient of a thread, in between `with watching(...)`.

    Each method returns what goes on in place of what it was given. Here that is the same: override what you need.
    """

    def operands(self, op, tensors):
        """See what an operation is about to read; only products of matrices ask."""
        return tensors

    def result(self, made, parents):
        """See a new tensor before anybody else does; it holds its parents only where a gradient will be wanted."""
        return made

    def gradient(self, op, share):
        """See the gradient that an operation passes back to one of its parents."""
        return share


class Mode(threading.local):
    """What the library does at the moment besides computing, in each thread."""

    record = True
    retain_grads = True
    watchers: tuple[Watcher, ...] = ()


mode = Mode()


@contextmanager
def watching(watchers):
    """Let these look on, each seeing what the one before it returned, and nobody else."""
    before, mode.watchers = mode.watchers, tuple(watchers)
    try:
        yield
    finally:
        mode.watchers = before


def operands(op, *tensors):
    """Return what an operation shall read in place of these tensors: as a rule, these. None stands for none."""
    for watcher in mode.watchers:
        tensors = watcher.operands(op, tensors)
    return tensors
