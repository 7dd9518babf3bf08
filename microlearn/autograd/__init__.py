"""Phase 1, automatic differentiation: numbers that remember how they were made."""

from microlearn.autograd.backward import backward, topological_order
from microlearn.autograd.draw import draw, to_dot
from microlearn.autograd.value import Value

__all__ = ["Value", "backward", "draw", "to_dot", "topological_order"]
