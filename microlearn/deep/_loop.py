"""What every loop that trains needs around it: the mode that modules are in, and Ctrl-C."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def behaving(model, training):
    """Behave as in training, or as after it; then each module again as it did before."""
    modules = list(model.modules()) if hasattr(model, "modules") else []  # a model may be any function
    before = [module.training for module in modules]
    for module in modules:
        module.training = training
    try:
        yield
    finally:
        for module, mode in zip(modules, before, strict=True):
            module.training = mode


@contextmanager
def ctrl_c():
    """Take note of Ctrl-C instead of being interrupted anywhere; a second one interrupts."""
    pressed = []

    def note(signum, frame):
        pressed.append(signum)
        signal.signal(signal.SIGINT, before)

    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
