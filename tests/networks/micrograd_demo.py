"""micrograd's moons demo, in micrograd as it ships and in our engine: the same data, weights and schedule.

Its notebook trains a 2-16-16-1 network of relu neurons on a hundred points in two moons, all of them at every step:
the hinge loss, and 0.0001 times the sum of all squared parameters; a learning rate that falls from 1 to 0.1
(https://github.com/karpathy/micrograd/blob/master/demo.ipynb).
"""

import random

from micrograd import nn
from micrograd.engine import Value as Micrograd

from microlearn import Value
from microlearn.networks import MLP, hinge, weighted_sum

STEPS, SIZES, ALPHA = 100, [16, 16, 1], 1e-4


def rate(step):
    return 1.0 - 0.9 * step / STEPS


def weights():
    """Draw the first weights as the demo does: micrograd asks Python's own source of random numbers."""
    random.seed(1337)
    return [parameter.data for parameter in nn.MLP(2, SIZES).parameters()]


def micrograd(X, y):
    """Yield the loss of every step of the demo, written as its notebook writes it."""
    random.seed(1337)
    model = nn.MLP(2, SIZES)
    for step in range(STEPS):
        inputs = [list(map(Micrograd, point)) for point in X]
        scores = list(map(model, inputs))
        losses = [(1 + -(2 * label - 1) * score).relu() for label, score in zip(y, scores, strict=True)]
        loss = sum(losses) * (1.0 / len(losses)) + ALPHA * sum(p * p for p in model.parameters())
        model.zero_grad()
        loss.backward()
        for parameter in model.parameters():
            parameter.data -= rate(step) * parameter.grad
        yield loss.data


def ours(X, y):
    """Yield the loss of every step of the same training, in our engine."""
    model = MLP(2, SIZES, activation="relu")
    parameters = model.parameters()
    for parameter, number in zip(parameters, weights(), strict=True):
        parameter.data = number
    for step in range(STEPS):
        squares = weighted_sum(parameters, parameters, Value(0.0))
        loss = hinge([model(point) for point in X], y) + ALPHA * squares
        model.zero_grad()
        loss.backward()
        for parameter in parameters:
            parameter.data -= rate(step) * parameter.grad
        yield loss.data
