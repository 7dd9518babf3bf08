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

    No name is given twice: a label that several nodes bear is numbered from its second, w, w_2, w_3, and so is a
    number that was typed in several times.
    """
    labels = [label(node) for node in nodes]
    kept = set(labels)  # whoever bears one of these first, keeps it

    def numbered(stem, first):
        return (name for name in (f"{stem}{i}" for i in count(first)) if name not in kept)

    made, again = numbered("v", 1), {}
    given = {}  # a dict as a set that keeps its order
    for own, node in zip(labels, nodes, strict=True):
        name = own or number(node.data)
        if node.parents and not own:
            name = next(made)
        elif name in given or (name in kept and not own):
            name = next(again.setdefault(name, numbered(f"{name}_", 2)))
        given[name] = None
    return list(given)


def operand(node, name):
    """Write a node inside an expression: by its name, but a number that was typed in as it was typed."""
    return name if node.label or node.parents else number(node.data)


def expression(op, operands):
    """Write an operation as it would be typed: `a * b`, `-a`, `a**2`, `abs(a)`, `a.tanh()`, `w * x + b`."""
    if op == "Σ":  # a neuron's weighted sum: its weights, then its inputs, then its bias
        half = len(operands) // 2
        weighted = zip(operands[:half], operands[half:-1], strict=True)
        return " + ".join([*(expression("*", pair) for pair in weighted), operands[-1]])
    if op == "abs" or len(operands) > 2:
        return f"{op}({', '.join(operands)})"
    first, *others = [name if re.fullmatch(r"[\w.]+", name) else f"({name})" for name in operands]
    if op == "neg":
        return f"-{first}"
    if op.startswith("**") and not others:
        return first + op
    if others and not op[0].isalpha():
        return f"{first} {op} {others[0]}"
    return f"{first}.{op}({', '.join(others)})"
