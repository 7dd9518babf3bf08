"""How the numbers of a graph are named and written: the same in tables, pictures and descriptions."""

import re
from itertools import count


def number(x):
    """Write a number in four digits."""
    return f"{x + 0.0:.4g}"  # adding 0.0 turns -0.0 into 0.0


def label(node):
    """Keep what can stand on one line of a node's label."""
    return "".join(character if character.isprintable() else " " for character in str(node.label))


def equation(node):
    """Write a number, after its label if it has one."""
    return f"{label(node)} = {number(node.data)}" if node.label else number(node.data)


def names(nodes):
    """Name each node: by its label; a number that was typed in, by itself; the others v1, v2, ...

    No name is given twice: a label that several nodes bear is numbered from its second, w, w_2, w_3.
    """
    labels = [label(node) for node in nodes]
    taken = set(labels)

    def numbered(stem, first):
        for name in (f"{stem}{i}" for i in count(first)):
            if name not in taken:
                taken.add(name)
                yield name

    made, again = numbered("v", 1), {}
    for i, (own, node) in enumerate(zip(labels, nodes, strict=True)):
        if not own:
            labels[i] = next(made) if node.parents else number(node.data)
        elif own in again:
            labels[i] = next(again[own])
        else:
            again[own] = numbered(f"{own}_", 2)
    return labels


def expression(op, operands):
    """Write an operation as it would be typed: `a * b`, `-a`, `a**2`, `a.tanh()`."""
    first, *others = [name if re.fullmatch(r"[\w.]+", name) else f"({name})" for name in operands]
    if op == "neg":
        return f"-{first}"
    if op.startswith("**") and not others:
        return first + op
    if len(others) == 1 and not op[0].isalpha():
        return f"{first} {op} {others[0]}"
    if len(others) > 1:
        return f"{op}({', '.join(operands)})"
    return f"{first}.{op}({', '.join(others)})"
