"""The trainings that the engine is held against PyTorch with: a network, its data, a loss and a learning rate each.

`make_vectors.py` stores what PyTorch comes to, `test_training.py` compares with the store, and `live_torch.py` with
PyTorch itself.
"""

from typing import NamedTuple

from microlearn.networks import MLP, binary_cross_entropy, cross_entropy, hinge, moons, mse, spiral

STEPS = 20


class Training(NamedTuple):
    """Twenty full-batch steps of a 2-16-16 network."""

    loss: object
    activation: str
    outputs: int
    lr: float
    data: tuple

    def model(self):
        return MLP(2, [16, 16, self.outputs], activation=self.activation, seed=3)


MOONS, SPIRAL = moons(40, seed=5), spiral(42, seed=5, classes=3)
TRAININGS = {
    "mse, tanh": Training(mse, "tanh", 1, 0.1, MOONS),
    "hinge, relu": Training(hinge, "relu", 1, 0.1, MOONS),
    "binary_cross_entropy, tanh": Training(binary_cross_entropy, "tanh", 1, 0.5, MOONS),
    "binary_cross_entropy, sigmoid": Training(binary_cross_entropy, "sigmoid", 1, 0.5, MOONS),
    "cross_entropy, tanh": Training(cross_entropy, "tanh", 3, 0.5, SPIRAL),
    "cross_entropy, relu": Training(cross_entropy, "relu", 3, 0.2, SPIRAL),
}

# For each loss: outputs and targets, with ties at the margin, zeros, and scores that break careless formulas.
SCORES = [0.0, 1.0, -1.0, 0.3, -2.5, 40.0, -40.0, 1000.0, -1000.0, 1000.0, -1000.0]
LABELS = [1, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1]
CLASSES = [[0.0, 0.0, 0.0], [1.0, -2.0, 0.5], [1000.0, 0.0, -1000.0], [-1000.0, -1000.0, 1000.0], [1000.0, 1000.0, 0.0]]
LOSSES = {
    "mse": (mse, SCORES, [0.5, 1.0, -3.0, 0.0, 1e3, 2.0, 1.0, 999.0, 1000.0, 0.0, -1e-3]),
    "mse, several outputs": (mse, CLASSES, [[1.0, 0.0, 0.0], [1.0, -2.0, 0.0], [0.0] * 3, [5.0] * 3, [1e3, 1e3, -1.0]]),
    "hinge": (hinge, SCORES, LABELS),
    "binary_cross_entropy": (binary_cross_entropy, SCORES, LABELS),
    "cross_entropy": (cross_entropy, CLASSES, [2, 0, 1, 2, 1]),
    "cross_entropy, the right class": (cross_entropy, CLASSES, [0, 1, 0, 2, 0]),
}
