"""Phase 2, neural networks: neurons made of Values, and the loop that trains them."""

from microlearn.networks.datasets import circles, moons, scatter, spiral, xor
from microlearn.networks.losses import binary_cross_entropy, cross_entropy, hinge, mse
from microlearn.networks.mlp import MLP, Layer
from microlearn.networks.neuron import ACTIVATIONS, Neuron, weighted_sum
from microlearn.networks.training import Diverged, accuracy, fit

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Diverged",
    "Layer",
    "Neuron",
    "accuracy",
    "binary_cross_entropy",
    "circles",
    "cross_entropy",
    "fit",
    "hinge",
    "moons",
    "mse",
    "scatter",
    "spiral",
    "weighted_sum",
    "xor",
]
