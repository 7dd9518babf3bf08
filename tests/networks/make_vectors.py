"""Write `vectors.json`: what PyTorch says of every loss, and what it comes to in every training.

Needs PyTorch, which the tests that read the file do not; from the repository's root:

    python -m tests.networks.make_vectors
"""

import json
from pathlib import Path

import torch

from microlearn.networks import binary_cross_entropy, cross_entropy, hinge, mse
from tests.networks.trainings import LOSSES, STEPS, TRAININGS

VECTORS = Path(__file__).with_name("vectors.json")
BENDS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}


def double(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def torch_hinge(scores, labels):
    return torch.relu(1.0 - (2.0 * labels - 1.0) * scores).mean()


PEERS = {
    mse: torch.nn.functional.mse_loss,
    hinge: torch_hinge,
    binary_cross_entropy: torch.nn.functional.binary_cross_entropy_with_logits,
    cross_entropy: torch.nn.functional.cross_entropy,
}


def loss_says(loss, outputs, targets):
    """Return a loss and its derivative by each output, in float64."""
    scores = double(outputs).requires_grad_()
    lost = PEERS[loss](scores, torch.tensor(targets) if loss is cross_entropy else double(targets))
    lost.backward()
    return {"loss": lost.item(), "grads": scores.grad.flatten().tolist()}


def training_says(training):
    """Train a copy; return the loss before every step, and all parameters after the first and after the last."""
    X, y = double(training.data[0]), training.data[1]
    targets = torch.tensor(y) if training.outputs > 1 else double(y)
    layers = []
    for layer in training.model().layers:
        weights = [[weight.data for weight in neuron.weights] for neuron in layer.neurons]
        biases = [neuron.bias.data for neuron in layer.neurons]
        layers.append((double(weights).requires_grad_(), double(biases).requires_grad_()))
    optimizer = torch.optim.SGD([parameter for layer in layers for parameter in layer], lr=training.lr)
    losses, after = [], []
    for _ in range(STEPS):
        signals = X
        for place, (weights, biases) in enumerate(layers):
            signals = signals @ weights.T + biases
            signals = BENDS[training.activation](signals) if place < len(layers) - 1 else signals
        lost = PEERS[training.loss](signals if training.outputs > 1 else signals[:, 0], targets)
        optimizer.zero_grad()
        lost.backward()
        optimizer.step()
        losses.append(lost.item())
        after.append(
            [
                number
                for w, b in layers
                for row, bias in zip(w, b, strict=True)
                for number in [*row.tolist(), bias.item()]
            ]
        )
    return {"losses": losses, "first": after[0], "last": after[-1]}


def all_vectors():
    return {
        "losses": {name: loss_says(*case) for name, case in LOSSES.items()},
        "trainings": {name: training_says(training) for name, training in TRAININGS.items()},
    }


if __name__ == "__main__":
    said = all_vectors()
    parts = []
    for part, entries in said.items():
        lines = (f"{json.dumps(name)}: {json.dumps(entry, allow_nan=False)}" for name, entry in entries.items())
        parts.append(f"{json.dumps(part)}: {{\n" + ",\n".join(lines) + "\n}")
    VECTORS.write_text("{\n" + ",\n".join(parts) + "\n}\n")  # one entry a line, so that a change is one line
