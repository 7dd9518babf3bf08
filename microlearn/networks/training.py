"""The loop that trains: ask every point, take the loss, walk back, move every parameter a little, and again.

Its lesson is `docs/networks/training.md`.
"""

import math

from microlearn.autograd.value import Value
from microlearn.networks._checks import (
    answer,
    are_labels,
    asked,
    finite,
    is_list,
    points,
    random_source,
    trainable,
    whole,
)
from microlearn.networks.losses import binary_cross_entropy, mse


class Diverged(FloatingPointError):
    """The loss became infinite or nan, or could not be computed. The last step is taken back.

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
    boundary=None,
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
        End after an epoch whose answers were as good as this, if the model is so still when it is asked about all
        points once more.
    boundary : float, optional
        Above which score an answer counts as label 1, as for `accuracy`. Unless told, that is 0, and for `mse` 0.5.
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

    (X, y), epochs = points(X, y), whole("epochs", epochs, least=0)
    n, descent, output = len(X), _Descent(model), model(X[0])
    _check_loss(loss, output, y)
    size = n if batch_size is None else min(whole("batch_size", batch_size), n)
    labelled, boundary = are_labels(y, output), (0.5 if loss is mse else 0.0) if boundary is None else boundary
    reached = _goal(target_loss, target_accuracy, labelled)
    order, rng, history, epoch, rate = list(range(n)), random_source(seed), History(), 0, 0.0

    def diverged(what):
        descent.undo()
        history.ending = "diverged"
        why = f"lr = {rate:g} is likely too large" if descent.steps else "no step was made yet: look at the parameters"
        return Diverged(f"{what} at epoch {epoch}; {why}", history)

    def measure(batch):
        targets = [y[i] for i in batch]
        try:
            outputs = [model(X[i]) for i in batch]
            lost = loss(outputs, targets)
        except (ArithmeticError, ValueError) as error:
            if not descent.steps:
                raise
            raise diverged(f"the loss could not be computed ({error})") from None
        if not math.isfinite(lost.data):
            raise diverged(f"the loss became {lost.data}")
        return lost, _count_right(outputs, targets, boundary) if labelled else 0

    bar = tqdm(range(epochs), unit="epoch", disable=None if progress is None else not progress)
    try:
        for epoch in bar:
            rate = _rate(lr, epoch)
            if size < n:
                rng.shuffle(order)
            total, right = 0.0, 0
            for start in range(0, n, size):
                batch = order[start : start + size]
                lost, so_many = measure(batch)
                descent.step(lost, rate)
                total += lost.data * len(batch)
                right += so_many
            history.loss.append(total / n)
            history.accuracy += [right / n] if labelled else []
            bar.set_postfix(loss=f"{total / n:.4g}", refresh=False)
            if reached(total / n, right / n):  # on the way; is it, now that the last step is done?
                lost, right = measure(order)
                if reached(lost.data, right / n):
                    history.ending = "target reached"
                    return history
        epoch = epochs
        measure(order)  # or was the last step the one too many?
    except KeyboardInterrupt:
        descent.finish()
        history.ending = "interrupted"
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
    X, y = points(X, y)
    outputs = [asked(model)(x) for x in X]
    if not are_labels(y, outputs[0]):
        raise ValueError(
            "y: expected the labels 0 and 1 for a model of one output, class numbers for one of several, got "
            f"[{', '.join(sorted(set(map(repr, y)))[:5])}]"
        )
    return _count_right(outputs, y, boundary) / len(X)


class _Descent:
    """Moves the parameters of a model, all or none of them, and can take the last step back."""

    def __init__(self, model):
        self.model, self.parameters, self.steps = model, trainable(model), 0
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
    return sum(bool(answer(output, boundary) == label) for output, label in zip(outputs, labels, strict=True))


def _check_loss(loss, output, y):
    """Try the loss on what the model answers first, so that a target it refuses is named by its place in y."""
    if not callable(loss):
        raise TypeError(f"loss: expected a function of outputs and targets, such as mse, got {loss!r}")
    if not all(isinstance(one, Value) for one in (output if is_list(output) else [output])):
        raise TypeError(f"model: expected it to answer with Values, which remember how they were made, got {output!r}")
    lost = loss([output] * len(y), y)
    if not isinstance(lost, Value):
        raise TypeError(f"loss: expected a function that returns a Value, got one that returns {lost!r}")


def _goal(target_loss, target_accuracy, labelled):
    """Make a test of whether a loss and an accuracy are good enough; without a target, none are."""
    if target_loss is not None:
        target_loss = finite("target_loss", target_loss)
    if target_accuracy is not None:
        one = math.nextafter(1.0, 2.0)
        target_accuracy = finite("target_accuracy", target_accuracy, 0.0, one, "a fraction from 0 to 1")
        if not labelled:
            raise ValueError("target_accuracy: no answer is right or wrong, because y holds no labels; use target_loss")

    def reached(loss, accuracy):
        if target_loss is None and target_accuracy is None:
            return False
        return (target_loss is None or loss <= target_loss) and (target_accuracy is None or accuracy >= target_accuracy)

    return reached


def _rate(lr, epoch):
    expected = "a number of 0 or more, or a function that returns one"
    return finite("lr", lr(epoch) if callable(lr) else lr, least=0.0, expected=expected)
