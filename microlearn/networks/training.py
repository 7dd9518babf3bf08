"""The loop that trains: ask every point, take the loss, walk back, move every parameter a little, and again.

Its lesson is `docs/networks/training.md`.
"""

import math
import numbers

from microlearn.networks.datasets import check_points
from microlearn.networks.losses import binary_cross_entropy, mse
from microlearn.networks.neuron import random_source, whole


class Diverged(FloatingPointError):
    """The loss became infinite or nan. The model has the weights of the last step at which it was finite.

    Attributes
    ----------
    history : History
        What was measured before.
    """

    def __init__(self, message, history):
        super().__init__(message)
        self.history = history


class History:
    """What was measured while a model was trained.

    Attributes
    ----------
    loss : list of float
        For each epoch the mean loss of the points, each asked before the step that its batch led to. So where all
        points are one batch, `loss[0]` is the loss of the model as it was given to `fit`.
    accuracy : list of float
        For each epoch the fraction of these answers that were right; empty where the targets are not labels.
    ending : {"all epochs", "target reached", "interrupted", "diverged"}
        Why the training ended.
    """

    def __init__(self):
        self.loss, self.accuracy, self.ending = [], [], "all epochs"

    def __repr__(self):
        words = f"{len(self.loss)} epoch{'s' * (len(self.loss) != 1)}, {self.ending}"
        if self.loss:
            words += f", loss {self.loss[0]:.4g} to {self.loss[-1]:.4g}"
        if self.accuracy:
            words += f", accuracy {self.accuracy[0]:.1%} to {self.accuracy[-1]:.1%}"
        return f"<History: {words}>"


def fit(
    model,
    X,
    y,
    loss=binary_cross_entropy,
    lr=0.5,
    epochs=100,
    batch_size=None,
    seed=0,
    target_loss=None,
    target_accuracy=None,
    progress=None,
):
    """Train a model by gradient descent. An epoch asks every point once.

    Ctrl-C ends the training and keeps what was learned. On a terminal, a bar shows how far it is.

    Parameters
    ----------
    model : Module
        It answers a point with a Value, or with a list that has a Value for each class.
    X : list of list of float
        The points.
    y : list
        What the loss compares the answers with: labels 0 and 1, class numbers, or quantities.
    loss : callable, optional
        `loss(outputs, targets)` returns a Value: the mean over the points.
    lr : float or callable, optional
        The learning rate: how far a parameter moves for each unit of its gradient. A function is asked at each
        epoch, with its number, counted from 0.
    epochs : int, optional
        How many, at most.
    batch_size : int, optional
        How many points are asked for each step; None takes all.
    seed : int, optional
        Where there are several batches, the points are shuffled at each epoch: the same seed, the same order.
    target_loss, target_accuracy : float, optional
        End after the epoch that left the model at least as good as this on all points.
    progress : bool, optional
        Show the bar, or do not, wherever this runs.

    Returns
    -------
    History

    Raises
    ------
    Diverged
        If the loss becomes infinite or nan.
    TypeError, ValueError
        If there are no points, or not as many targets; if a number is not finite; if a setting makes no sense.

    Examples
    --------
    >>> from microlearn.networks import MLP, xor
    >>> X, y = xor(20)
    >>> model = MLP(2, [4, 1])
    >>> history = fit(model, X, y, epochs=200, target_accuracy=1.0)
    >>> history.ending, accuracy(model, X, y)
    ('target reached', 1.0)
    """
    from tqdm import tqdm

    check_points(X, y)
    if not (isinstance(epochs, int) and epochs >= 0):
        raise ValueError(f"epochs: expected a whole number of 0 or more, got {epochs!r}")
    if not hasattr(model, "parameters"):
        raise TypeError(f"model: expected one that has parameters, such as an MLP, got {model!r}")
    if not callable(loss):
        raise TypeError(f"loss: expected a function of outputs and targets, such as mse, got {loss!r}")
    n, output = len(X), model(X[0])
    loss([output] * n, y)  # so that targets it refuses are refused by their place in y, not in a batch
    labelled, boundary = _are_labels(y, output), 0.5 if loss is mse else 0.0
    if target_accuracy is not None and not labelled:
        raise ValueError("target_accuracy: no answer is right or wrong, because y holds no labels; use target_loss")
    size = n if batch_size is None else min(whole("batch_size", batch_size), n)

    def measure(batch):
        outputs, targets = [model(X[i]) for i in batch], [y[i] for i in batch]
        return loss(outputs, targets), _count_right(outputs, targets, boundary) if labelled else 0

    def good(lost, right):
        has_target = target_loss is not None or target_accuracy is not None
        little = target_loss is None or lost / n <= target_loss
        return has_target and little and (target_accuracy is None or right / n >= target_accuracy)

    order, rng, history, descent = list(range(n)), random_source(seed), History(), _Descent(model)
    bar = tqdm(range(epochs), unit="epoch", disable=None if progress is None else not progress)
    try:
        for epoch in bar:
            rate = _rate(lr, epoch)
            if size < n:
                rng.shuffle(order)
            lost, right = 0.0, 0
            for start in range(0, n, size):
                batch = order[start : start + size]
                measured, so_many = measure(batch)
                if not math.isfinite(measured.data):
                    raise OverflowError(f"the loss became {measured.data}")
                descent.step(measured, rate)
                lost += measured.data * len(batch)
                right += so_many
            history.loss.append(lost / n)
            history.accuracy += [right / n] if labelled else []
            bar.set_postfix(loss=f"{lost / n:.4g}", refresh=False)
            if good(lost, right):  # on the way; is it, now that the last step is done?
                measured, right = measure(order)
                if good(measured.data * n, right):
                    history.ending = "target reached"
                    break
    except KeyboardInterrupt:
        descent.finish()
        history.ending = "interrupted"
    except OverflowError as error:
        descent.undo()
        history.ending = "diverged"
        why = f"lr = {rate:g} is likely too large" if descent.steps else "no step was made yet: look at the parameters"
        raise Diverged(f"{error} at epoch {epoch}; {why}", history) from None
    finally:
        bar.close()
    return history


def accuracy(model, X, y, boundary=0.0):
    """Count how often a model is right, as a fraction.

    Parameters
    ----------
    model : Module
        With one output, its answer is label 1 above the boundary and label 0 elsewhere; with several, it is the
        number of the largest.
    X : list of list of float
    y : list of int
        Labels 0 and 1, or class numbers.
    boundary : float, optional
        Scores change sides at 0. A model trained by `mse` on labels 0 and 1 changes at 0.5.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If there are no points, not as many labels, or labels of another kind.

    Examples
    --------
    >>> accuracy(lambda x: x[0], [[-2.0], [1.0], [3.0], [4.0]], [0, 1, 1, 0])
    0.75
    """
    check_points(X, y)
    outputs = [model(x) for x in X]
    if not _are_labels(y, outputs[0]):
        raise ValueError(
            "y: expected the labels 0 and 1 for a model of one output, class numbers for one of several, got "
            f"[{', '.join(sorted(set(map(repr, y)))[:5])}]"
        )
    return _count_right(outputs, y, boundary) / len(X)


class _Descent:
    """Moves the parameters of a model, all or none of them, and can take the last step back."""

    def __init__(self, model):
        self.model, self.parameters, self.steps = model, model.parameters(), 0
        self.before = self.after = [parameter.data for parameter in self.parameters]

    def step(self, loss, rate):
        self.model.zero_grad()
        loss.backward()
        self.before, self.after = self.after, [p.data - rate * p.grad for p in self.parameters]
        self.finish()
        self.steps += 1

    def finish(self):
        """Complete a step that may have been interrupted between two parameters."""
        self._set(self.after)

    def undo(self):
        self._set(self.before)

    def _set(self, numbers):
        for parameter, number in zip(self.parameters, numbers, strict=True):
            parameter.data = number


def _count_right(outputs, labels, boundary):
    if isinstance(outputs[0], list):
        answers = [max(range(len(scores)), key=scores.__getitem__) for scores in outputs]
    else:
        answers = [output > boundary for output in outputs]
    return sum(answer == label for answer, label in zip(answers, labels, strict=True))


def _are_labels(y, output):
    """Tell labels from quantities: 0 and 1 where a model has one output, class numbers where it has several."""
    possible = range(len(output)) if isinstance(output, list) else (0, 1)
    return all(isinstance(label, numbers.Real) and label in possible for label in y)


def _rate(lr, epoch):
    rate = lr(epoch) if callable(lr) else lr
    if not (isinstance(rate, numbers.Real) and 0.0 <= float(rate) < math.inf):
        raise ValueError(f"lr: expected a number of 0 or more, or a function that returns one, got {rate!r}")
    return float(rate)
