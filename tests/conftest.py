"""What the collectors of docstring examples, which import every module that they find, must leave alone; and Ctrl-C."""

import signal
from importlib.util import find_spec

collect_ignore = (
    []
    if find_spec("torch")
    else [
        "live_torch.py",
        "live_deep.py",
        "live_llm.py",
        "autograd/make_vectors.py",
        "networks/make_vectors.py",
        "deep/make_vectors.py",
    ]
)

signal.signal(signal.SIGINT, signal.default_int_handler)  # what was started in the background ignores it
