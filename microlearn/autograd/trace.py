"""Both passes of a computation as tables: what was computed, step by step, and how the gradient flowed back.

It reads the graph behind a Value and changes nothing in it, gradients included. Its lesson is
`docs/autograd/trace.md`.
"""

import json
import math
from html import escape
from typing import NamedTuple

from microlearn.autograd._words import equation, expression, names, number, operand
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
        self.forward = list(self._forward_rows())
        self.backward = list(self._backward_rows())

    def _forward_rows(self):
        """Read what each operation wrote down when it ran."""
        name_of = dict(zip(self.nodes, self.names, strict=True))
        for step, (node, name) in enumerate(name_of.items(), 1):
            parents = [name_of[parent] for parent in node.parents]
            operands = list(map(operand, node.parents, parents))
            written = expression(node.op, operands) if operands else number(node.data)
            yield ForwardRow(step, name, written, node.data, tuple(zip(parents, node.slopes, strict=True)))

    def _backward_rows(self):
        """Walk as `backward` does, with gradients of its own."""
        arrived = dict.fromkeys(self.names, 0.0)
        arrived[self.names[-1]] = 1.0  # the derivative of a thing by itself
        for step, (_, name, _, _, slopes) in enumerate(reversed(self.forward), 1):
            shares = tuple((parent, slope * arrived[name]) for parent, slope in slopes)
            for parent, share in shares:
                arrived[parent] += share
            yield BackwardRow(step, name, arrived[name], shares)

    def __repr__(self):
        return f"<Trace of {equation(self.nodes[-1])}: {len(self.nodes)} steps>"

    def __str__(self):
        return "\n\n".join(_text(*table) for table in self._tables())

    def _repr_html_(self):
        return f'<div class="trace">{"".join(_html(*table) for table in self._tables())}</div>'

    def _tables(self):
        """Yield each pass in words: a title, a heading, and rows. What stands last in a row is a list."""
        forward = [
            (str(row.step), row.name, row.expression, number(row.value), [f"{x} {number(y)}" for x, y in row.slopes])
            for row in self.forward
        ]
        backward = [
            (str(row.step), row.name, number(row.gradient), [f"{number(y)} to {x}" for x, y in row.contributions])
            for row in self.backward
        ]
        yield "forward", ("step", "name", "expression", "value", "slopes"), forward
        yield "backward", ("step", "name", "gradient", "passes on"), backward

    def to_json(self):
        """Write both passes as JSON, for a script that steps through them.

        Returns
        -------
        str
            An object with two lists, `forward` and `backward`. Each row has the fields of
            `ForwardRow` or `BackwardRow` and the `node` it is about, as its place in `nodes`;
            slopes and contributions are lists of [place of the parent, number]. What JSON
            cannot hold, nan and infinity, is written as text.
        """
        place = {name: i for i, name in enumerate(self.names)}

        def plain(row):
            *fields, pairs = row._fields
            written = {"node": place[row.name]}
            written |= {field: _finite(getattr(row, field)) for field in fields}
            return written | {pairs: [(place[name], _finite(x)) for name, x in row[-1]]}

        forward, backward = map(plain, self.forward), map(plain, self.backward)
        return json.dumps({"forward": list(forward), "backward": list(backward)}, allow_nan=False)


def _forward_order(value):
    """List all that `value` was made of, parents before children, and leaves where they are first used."""
    nodes = {}  # a dict as a set that keeps its order
    for child in [*topological_order(value), value]:
        for node in (*child.parents, child):
            nodes.setdefault(node)
    return list(nodes)


def _finite(x):
    return str(x) if isinstance(x, float) and not math.isfinite(x) else x


# Two ways to set a table.

NUMERIC = {"step", "value", "gradient"}  # columns whose numbers stand at the right


def _text(title, heading, rows):
    lines = [heading, *((*cells, ", ".join(pairs)) for *cells, pairs in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = [">" if head in NUMERIC else "<" for head in heading]
    form = "  ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True))
    return "\n".join([title, *(form.format(*line).rstrip() for line in lines)])


def _html(title, heading, rows):
    kinds = [f"{head.split()[0]} number" if head in NUMERIC else head.split()[0] for head in heading]

    def line(tag, cells):
        written = (f'<{tag} class="{kind}">{cell}</{tag}>' for kind, cell in zip(kinds, cells, strict=True))
        return f"<tr>{''.join(written)}</tr>"

    def pieces(texts):
        return ", ".join(f"<span>{escape(text)}</span>" for text in texts)  # a line may end only between them

    body = "".join(line("td", [*map(escape, cells), pieces(pairs)]) for *cells, pairs in rows)
    return f"<table><caption>{title}</caption><thead>{line('th', heading)}</thead><tbody>{body}</tbody></table>"
