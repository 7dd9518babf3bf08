"""Phase 1, automatic differentiation: numbers that remember how they were made."""

from microlearn.autograd.backward import backward, topological_order
from microlearn.autograd.derivative import derivative, gradient, slope
from microlearn.autograd.draw import draw, to_dot
from microlearn.autograd.gradcheck import gradcheck
from microlearn.autograd.trace import trace
from microlearn.autograd.value import Value

__all__ = [
    "Value",
    "backward",
    "derivative",
    "draw",
    "gradcheck",
    "gradient",
    "slope",
    "to_dot",
    "topological_order",
    "trace",
]
