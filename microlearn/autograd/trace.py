"""Both passes of a computation as tables: what was computed, step by step, and how the gradient flowed back.

It reads the graph behind a Value and changes nothing in it, gradients included. Its lesson is
`docs/autograd/trace.md`.
"""

import json
import math
from html import escape
from typing import NamedTuple

from microlearn.autograd._words import equation, expression, names, number
from microlearn.autograd.backward import topological_order
from microlearn.autograd.value import Value


class ForwardRow(NamedTuple):
    """One step of the forward pass: a number, how it was computed, and its slope towards each operand."""

    step: int
    name: str
    expression: str
    value: float
    slopes: tuple  # of (name of the parent, local derivative), in the order of the operands


class BackwardRow(NamedTuple):
    """One step of the backward pass: the gradient that has arrived at a number, and what it passes to each parent."""

    step: int
    name: str
    gradient: float
    contributions: tuple  # of (name of the parent, slope times gradient), in the order of the operands


def trace(value):
    """Write down how `value` was computed, and how its gradient flows back.

    Parameters
    ----------
    value : Value
        The result of a computation.

    Returns
    -------
    Trace
        It shows itself as two tables on a page or in a notebook, and prints as text.

    Raises
    ------
    TypeError
        If `value` is not a Value.

    Examples
    --------
    >>> a, b = Value(2.0, "a"), Value(-3.0, "b")
    >>> print(trace(a * b))
    forward
    step  name  expression  value  slopes
       1  a     2               2
       2  b     -3             -3
       3  v1    a * b          -6  a -3, b 2
    <BLANKLINE>
    backward
    step  name  gradient  passes on
       1  v1           1  -3 to a, 2 to b
       2  b            2
       3  a           -3
    """
    return Trace(value)


class Trace:
    """The two passes of one computation.

    Attributes
    ----------
    nodes : list of Value
        Every number once, each after the numbers it was made from.
    names : list of str
        A name for each: its label; a number that was typed in, by itself; the others v1, v2, ...
    forward : list of ForwardRow
        A row for each node, in this order.
    backward : list of BackwardRow
        A row for each node, in the opposite order. Its gradients are those of this result alone: what `grad` has
        collected before plays no part.
    """

    def __init__(self, value):
        if not isinstance(value, Value):
            raise TypeError(f"expected a Value, the result of a computation, got {type(value).__name__}: {value!r}")
        self.nodes = _forward_order(value)
        self.names = names(self.nodes)
        self._place = {node: place for place, node in enumerate(self.nodes)}
        self.forward = [self._forward_row(place, node) for place, node in enumerate(self.nodes)]
        self.backward = list(self._backward_rows())

    def _operands(self, node):
        return [self.names[self._place[parent]] for parent in node.parents]

    def _forward_row(self, place, node):
        operands = self._operands(node)
        written = expression(node.op, operands) if operands else number(node.data)
        slopes = tuple(zip(operands, node.slopes, strict=True))
        return ForwardRow(place + 1, self.names[place], written, node.data, slopes)

    def _backward_rows(self):
        """Walk as `backward` does, with gradients of its own."""
        gradients = [0.0] * (len(self.nodes) - 1) + [1.0]
        for place in reversed(range(len(self.nodes))):
            node, gradient = self.nodes[place], gradients[place]
            shares = [slope * gradient for slope in node.slopes]
            for parent, share in zip(node.parents, shares, strict=True):
                gradients[self._place[parent]] += share
            contributions = tuple(zip(self._operands(node), shares, strict=True))
            yield BackwardRow(len(self.nodes) - place, self.names[place], gradient, contributions)

    def __repr__(self):
        return f"<Trace of {equation(self.nodes[-1])}: {len(self.nodes)} steps>"

    def __str__(self):
        return "\n\n".join("\n".join([title, *_aligned(rows)]) for title, rows in self._tables())

    def _repr_html_(self):
        return f'<div class="trace">{"".join(_html(title, rows) for title, rows in self._tables())}</div>'

    def _tables(self):
        """Yield each pass: its title, and rows of words with the heading first."""
        heading = "step", "name", "expression", "value", "slopes"
        yield (
            "forward",
            [heading]
            + [
                (str(row.step), row.name, row.expression, number(row.value), _listed(row.slopes, "{0} {1}"))
                for row in self.forward
            ],
        )
        heading = "step", "name", "gradient", "passes on"
        yield (
            "backward",
            [heading]
            + [
                (str(row.step), row.name, number(row.gradient), _listed(row.contributions, "{1} to {0}"))
                for row in self.backward
            ],
        )

    def to_json(self):
        """Write both passes as JSON, for a script that steps through them.

        Returns
        -------
        str
            An object with two lists, `forward` and `backward`. Each row has the fields of `ForwardRow` or
            `BackwardRow` and the `node` it is about, as its place in `nodes`; slopes and contributions are lists of
            [place of the parent, number]. A number that JSON cannot hold (nan, infinity) is written as text.
        """
        last = len(self.nodes) - 1
        forward = [self._plain(row, place) for place, row in enumerate(self.forward)]
        backward = [self._plain(row, last - place) for place, row in enumerate(self.backward)]
        return json.dumps({"forward": forward, "backward": backward}, allow_nan=False)

    def _plain(self, row, place):
        plain = {"node": place} | row._asdict()
        for name, field in plain.items():
            if isinstance(field, tuple):
                parents = self.nodes[place].parents
                plain[name] = [[self._place[parent], _finite(x)] for parent, (_, x) in zip(parents, field, strict=True)]
            elif isinstance(field, float):
                plain[name] = _finite(field)
        return plain


def _forward_order(value):
    """List all that `value` was made of, parents before children, and leaves where they are first used."""
    nodes = {}  # a dict as a set that keeps its order
    for child in [*topological_order(value), value]:
        for node in (*child.parents, child):
            nodes.setdefault(node)
    return list(nodes)


def _listed(pairs, form):
    return ", ".join(form.format(name, number(x)) for name, x in pairs)


def _finite(x):
    return x if math.isfinite(x) else str(x)


# Two ways to set a table.

NUMERIC = {"step", "value", "gradient"}  # columns whose numbers stand at the right


def _aligned(rows):
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if head in NUMERIC else cell.ljust(width)
            for head, cell, width in zip(rows[0], row, widths, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def _html(title, rows):
    heads = "".join(f'<th scope="col"{_numeric(head)}>{head}</th>' for head in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td{_numeric(head)}>{escape(cell)}</td>" for head, cell in zip(rows[0], row, strict=True))
        for row in rows[1:]
    )
    return f"<table><caption>{title}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _numeric(head):
    return ' class="number"' if head in NUMERIC else ""
