"""A small engine that a learning journal explains, line by line.

Four phases stand on one another: `autograd` (numbers that remember how they were made), `networks`
(neurons made of them), `deep` (the same idea over arrays) and `llm` (a transformer). Each imports
only from the ones below it.
"""

from microlearn.autograd.value import Value

__all__ = ["Tensor", "Value"]


def __getattr__(name):
    if name == "Tensor":  # looked up when it is asked for, because it brings numpy along
        from microlearn.deep import Tensor

        return Tensor
    raise AttributeError(f"module 'microlearn' has no attribute {name!r}")
