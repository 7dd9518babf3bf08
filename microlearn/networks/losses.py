"""What a network is wrong by, as one number: the mean over the points of how bad each output is.

A loss is one node. Its parents are all the outputs, and its slopes say to each of them which way, and how urgently, it
should move. Scores are what a linear last layer gives, any real number. Its lesson is `docs/networks/losses.md`.
"""

import math
import operator

from microlearn.autograd.value import Value, node
from microlearn.networks._checks import finite, is_list


def mse(outputs, targets):
    """Take the mean squared error, for targets that are quantities.

    Parameters
    ----------
    outputs : list of Value
        One for each point, or a list of several for each point.
    targets : list of float
        What they should be, in the same shape.

    Returns
    -------
    Value
        The mean of `(output - target)**2`; its slope towards an output is `2 * (output - target) / n`.

    Raises
    ------
    TypeError, ValueError
        If there are no outputs, not as many targets, or a target is not a finite number.

    Examples
    --------
    >>> mse([Value(1.0), Value(4.0)], [1.0, 2.0]).data
    2.0
    """
    outputs, targets = _quantities(outputs, targets)
    n = len(outputs)
    errors = [output.data - target for output, target in zip(outputs, targets, strict=True)]
    return node(
        sum(error * error for error in errors) / n, outputs, tuple([2.0 * error / n for error in errors]), "mse"
    )


def hinge(outputs, targets):
    """Ask every score for a margin of 1 on its own side of zero; what has it costs nothing more.

    Parameters
    ----------
    outputs : list of Value
        A score for each point: above zero it means label 1.
    targets : list of int
        The labels, 0 or 1.

    Returns
    -------
    Value
        The mean of `max(0, 1 - side * score)`, where the side is -1 for label 0 and +1 for label 1
        (Cortes and Vapnik, *Support-vector networks*, 1995).

    Raises
    ------
    TypeError, ValueError
        If there are no outputs, not as many labels, or a label is neither 0 nor 1.

    Examples
    --------
    >>> hinge([Value(0.25), Value(-3.0)], [1, 0]).data
    0.375
    """
    scores, labels = _scores_and_labels(outputs, targets, "hinge")
    n, total, slopes = len(scores), 0.0, []
    for score, label in zip(scores, labels, strict=True):
        side = 2.0 * label - 1.0
        missing = 1.0 - side * score.data
        total += 0.0 if missing <= 0.0 else missing
        slopes.append(0.0 if missing <= 0.0 else -side / n)
    return node(total / n, scores, tuple(slopes), "hinge")


def binary_cross_entropy(outputs, targets):
    """Take the surprise at each label, where the sigmoid of a score is the probability of label 1.

    Parameters
    ----------
    outputs : list of Value
        A score for each point, before the sigmoid. (PyTorch calls it a logit, and this loss
        `binary_cross_entropy_with_logits`.)
    targets : list of int
        The labels, 0 or 1.

    Returns
    -------
    Value
        The mean of `-log(probability of the label)`, in nats. The slope towards a score is
        `(sigmoid(score) - label) / n`.

    Raises
    ------
    TypeError, ValueError
        If there are no outputs, not as many labels, or a label is neither 0 nor 1.

    Examples
    --------
    >>> binary_cross_entropy([Value(0.0), Value(-1000.0)], [1, 0]).data == math.log(2) / 2
    True
    """
    scores, labels = _scores_and_labels(outputs, targets, "binary_cross_entropy")
    n, total, slopes = len(scores), 0.0, []
    for score, label in zip(scores, labels, strict=True):
        s = score.data
        small = math.exp(-abs(s))  # never the exponential of a large number
        total += max(s, 0.0) - s * label + math.log1p(small)
        slopes.append(((small if s < 0.0 else 1.0) / (1.0 + small) - label) / n)
    return node(total / n, scores, tuple(slopes), "binary_cross_entropy")


def cross_entropy(outputs, targets):
    """Take the surprise at each label, where the softmax of a point's scores are the probabilities of the classes.

    Parameters
    ----------
    outputs : list of list of Value
        For each point a score for each class, before the softmax.
    targets : list of int
        The number of each point's class, counted from 0.

    Returns
    -------
    Value
        The mean of `-log(probability of the class)`, in nats. The slope towards a score is
        `(probability - (1 if it is the class, else 0)) / n`.

    Raises
    ------
    TypeError, ValueError
        If there are no outputs, not as many labels, or a label is not the number of a class.

    Examples
    --------
    >>> cross_entropy([[Value(1000.0), Value(0.0)]], [1]).data
    1000.0
    """
    _same_length(outputs, targets)
    n, total, parents, slopes = len(outputs), 0.0, [], []
    for i, (scores, target) in enumerate(zip(outputs, targets, strict=True)):
        if not is_list(scores) or len(scores) < 2:
            raise TypeError(
                f"outputs[{i}]: cross_entropy expected a list with a score for each of two or more classes, got "
                f"{scores!r}; for one score a point there is binary_cross_entropy"
            )
        if len(scores) != len(outputs[0]):
            raise ValueError(f"outputs[{i}]: expected {len(outputs[0])} scores, as in outputs[0], got {len(scores)}")
        scores = _values(scores)
        label = _class_number(i, target, len(scores))
        numbers = [score.data for score in scores]
        highest = max(numbers)
        powers = [math.exp(number - highest) for number in numbers]  # the highest becomes exp(0), none is larger
        whole = sum(powers)
        total += math.log(whole) + (highest - numbers[label])
        parents += scores
        slopes += [(power / whole - (k == label)) / n for k, power in enumerate(powers)]
    return node(total / n, tuple(parents), tuple(slopes), "cross_entropy")


# What the losses refuse.


def _same_length(outputs, targets):
    for name, given in (("outputs", outputs), ("targets", targets)):
        if not is_list(given):
            raise TypeError(f"{name}: expected a list with one entry for each point, got {type(given).__name__}")
    if len(outputs) != len(targets):
        raise ValueError(f"targets: expected one for each of the {len(outputs)} outputs, got {len(targets)}")
    if len(outputs) == 0:
        raise ValueError("outputs: expected at least one, got an empty list")


def _quantities(outputs, targets):
    """Lay the outputs of all points in one row, and the numbers that they should be in another."""
    _same_length(outputs, targets)
    if not any(map(is_list, outputs)):
        return _values(outputs), [finite(f"targets[{i}]", target) for i, target in enumerate(targets)]
    row, wanted = [], []
    for i, (some, those) in enumerate(zip(outputs, targets, strict=True)):
        if not (is_list(some) and is_list(those) and len(some) == len(those) > 0):
            raise ValueError(f"targets[{i}]: expected the shape of outputs[{i}], got {those!r}")
        row += some
        wanted += [finite(f"targets[{i}][{j}]", target) for j, target in enumerate(those)]
    return _values(row), wanted


def _scores_and_labels(outputs, targets, loss):
    _same_length(outputs, targets)
    for i, output in enumerate(outputs):
        if is_list(output):
            raise TypeError(
                f"outputs[{i}]: {loss} expected one score for each point, got a list of {len(output)}; "
                "for a score for each class there is cross_entropy"
            )
    for i, target in enumerate(targets):
        if is_list(target) or target not in (0, 1):
            raise ValueError(
                f"targets[{i}]: {loss} expected the labels 0 and 1, got {target!r}; "
                "for class numbers there is cross_entropy, for quantities mse"
            )
    return _values(outputs), list(map(int, targets))


def _class_number(i, target, classes):
    try:
        label = operator.index(target)
    except TypeError:
        label = -1
    if not 0 <= label < classes:
        raise ValueError(f"targets[{i}]: expected the number of a class, 0 to {classes - 1}, got {target!r}")
    return label


def _values(outputs):
    # By way of a list: a tuple that a generator fills is cut to length, and Python keeps some of each length in store.
    return tuple([output if isinstance(output, Value) else Value(output) for output in outputs])
