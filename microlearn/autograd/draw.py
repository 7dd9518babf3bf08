"""The graph behind a Value as a picture: what it was made of, left to right, with every value and gradient.

Drawing reads the engine; the engine knows nothing of drawing. Its lesson is `docs/autograd/draw.md`.
"""

import re
from html import escape
from itertools import pairwise

from microlearn.autograd._layout import Layout
from microlearn.autograd.backward import topological_order
from microlearn.autograd.value import Value

CHARACTER, PADDING = 7.8, 8  # pixels: the width of a 13 px monospaced character; the room at both ends of a row
BOX, BADGE = 52, 24  # the height of a box; the smallest side of the badge at its left, which names the operation
GAP, PORT, WRITTEN_PORT = 24, 10, 16  # the room between columns; how far apart edges arrive, without and with slopes
LISTED = 20  # how many items of a kind the description lists

# Ink comes from the page, so one picture serves light and dark. The two colours lean towards it, for contrast.
FONT = "font-family:var(--font-mono,ui-monospace,monospace);font-size:13px;fill:currentColor"
BOLD, FAINT, WORD = "font-weight:700", "fill-opacity:.72", "fill-opacity:.72;font-size:12px"
VALUE = "font-weight:700;fill:color-mix(in srgb,var(--accent,#0072B2) 72%,currentColor)"
GRAD = "font-weight:700;fill:color-mix(in srgb,var(--grad,#D55E00) 72%,currentColor)"
OUTLINE = "fill:var(--node-fill,transparent);stroke:currentColor;stroke-opacity:.45"
RESULT = "fill:var(--node-fill,transparent);stroke:var(--accent,#0072B2);stroke-width:2"
TAB = "fill:currentColor;fill-opacity:.1;stroke:currentColor;stroke-opacity:.45"
LINE = "fill:none;stroke:currentColor;stroke-width:1.25;opacity:.65;stroke-linecap:round;stroke-linejoin:round"
SMALL = "font-size:12px"


def draw(value, slopes=False):
    """Draw the graph that computed `value`: a box for each number, an arrow for each use of it.

    Parameters
    ----------
    value : Value
        The result; it stands at the right.
    slopes : bool, optional
        Write the local derivative beside each arrow.

    Returns
    -------
    Graph
        It shows itself as SVG on a page or in a notebook.

    Raises
    ------
    TypeError
        If `value` is not a Value.

    Examples
    --------
    >>> from microlearn import Value
    >>> a = Value(2.0, label="a")
    >>> draw(a * 3 + 1)
    <Graph of 7: 5 values, 4 edges>
    """
    return Graph(value, slopes)


def to_dot(value):
    r"""Write the graph that computed `value` as text for Graphviz' `dot` program.

    Examples
    --------
    >>> from microlearn import Value
    >>> print(to_dot(Value(2.0, label="a").exp()))
    digraph {
      rankdir=LR; node [shape=box, style=rounded];
      n0 [label="a = 2\ngrad 0"];
      n1 [label="exp\n7.389\ngrad 0"];
      n0 -> n1 [label="7.389"];
    }
    """
    graph = Graph(value)
    lines = ["digraph {", "  rankdir=LR; node [shape=box, style=rounded];"]
    for step, node in enumerate(graph.nodes):
        rows = [node.op, _equation(node).replace("\\", r"\\").replace('"', r"\""), f"grad {_number(node.grad)}"]
        text = r"\n".join(filter(None, rows))
        lines.append(f'  n{step} [label="{text}"];')
    lines += [f'  n{parent} -> n{child} [label="{_number(slope)}"];' for parent, child, slope in graph.edges]
    return "\n".join([*lines, "}"])


class Graph:
    """A Value and all that it was made of, numbered in the order of the forward pass.

    Attributes
    ----------
    nodes : list of Value
        Every number once, each after the numbers it was made from.
    edges : list of (int, int, float)
        For each use of a number: its place in `nodes`, the place of what it went into, and the slope between them.
    """

    def __init__(self, value, slopes=False):
        if not isinstance(value, Value):
            raise TypeError(f"expected a Value, the result of a computation, got {type(value).__name__}: {value!r}")
        steps = {}
        for child in [*topological_order(value), value]:
            for node in (*child.parents, child):
                steps.setdefault(node, len(steps))
        self.nodes = list(steps)
        self.edges = [
            (steps[parent], steps[child], slope)
            for child in self.nodes
            for parent, slope in zip(child.parents, child.slopes, strict=True)
        ]
        self.slopes = slopes

    def __repr__(self):
        nodes, edges = len(self.nodes), len(self.edges)
        counts = f"{nodes} value{'s' * (nodes != 1)}, {edges} edge{'s' * (edges != 1)}"
        return f"<Graph of {_equation(self.nodes[-1])}: {counts}>"

    def _repr_svg_(self):
        return _svg(self)


# In words.


def _number(x):
    return f"{x + 0.0:.4g}"  # adding 0.0 turns -0.0 into 0.0


def _text(label):
    """Keep what can stand on one line of XML."""
    return "".join(character if character.isprintable() else " " for character in str(label))


def _equation(node):
    return f"{_text(node.label)} = {_number(node.data)}" if node.label else _number(node.data)


def _names(nodes):
    """Name each node: by its label, a number that was typed in by itself, and the others v1, v2, ..."""
    taken = {_text(node.label) for node in nodes}
    free = (f"v{i}" for i in range(1, 2 * len(nodes) + 1) if f"v{i}" not in taken)
    return [_text(node.label) or (next(free) if node.parents else _number(node.data)) for node in nodes]


def _expression(op, operands):
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


def _description(graph):
    """Say what the graph computes: what goes in, then each step, then the gradients."""
    names = _names(graph.nodes)
    operands = [[] for _ in names]
    for parent, child, _ in graph.edges:
        operands[child].append(names[parent])
    inputs = [_equation(node) for node in graph.nodes if not node.parents and (node.label or node is graph.nodes[-1])]
    steps = [
        f"{name} = {_expression(node.op, used)} = {_number(node.data)}"
        for name, node, used in zip(names, graph.nodes, operands, strict=True)
        if used
    ]
    gradients = [f"{name} {_number(node.grad)}" for name, node in zip(names, graph.nodes, strict=True) if node.label]
    if not any(node.grad for node in graph.nodes):
        gradients = ["all 0"]
    computed = "; ".join(filter(None, [_listed(inputs, ", "), _listed(steps, "; ")]))
    return f"{computed}. Gradients: {_listed(gradients, ', ')}."


def _listed(items, separator):
    more = [f"and {len(items) - LISTED} more"] if len(items) > LISTED else []
    return separator.join(items[:LISTED] + more)


# In ink.


def _svg(graph):
    port = WRITTEN_PORT if graph.slopes else PORT
    level = max((8 * len(_number(slope)) for _, _, slope in graph.edges), default=0) if graph.slopes else 0
    badges = [_badge_size(node, port) for node in graph.nodes]
    sizes = [
        (width, _box_width(node), max(BOX, height)) for node, (width, height) in zip(graph.nodes, badges, strict=True)
    ]
    layout = Layout([edge[:2] for edge in graph.edges], sizes, gap=GAP, level=level, port=port)
    width, height = round(layout.width), round(layout.height)
    result = graph.nodes[-1]
    subject = _text(result.label) or f"the value {_number(result.data)}"
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="img" aria-labelledby="graph-title graph-desc"'
        f' width="{width}" height="{height}" viewBox="0 0 {width} {height}" style="{FONT}">',
        f'<title id="graph-title">Computational graph of {escape(subject)}</title>',
        f'<desc id="graph-desc">{escape(_description(graph))}</desc>',
        f'<g class="edges" style="{LINE}">',
        *map(_arrow, graph.edges, layout.edges, _uses(graph.edges)),
        "</g>",
    ]
    if graph.slopes:
        lines += map(_slope, graph.edges, layout.edges, [layout.boxes[child] for _, child, _ in graph.edges])
    for step, node in enumerate(graph.nodes):
        lines += [
            f'<g id="node-{step}" class="node" data-step="{step}" data-op="{escape(node.op)}">',
            *(_badge(node, layout.boxes[step], badges[step]) if node.op else ()),
            *_box(node, layout.boxes[step], RESULT if node is result else OUTLINE),
            "</g>",
        ]
    return "\n".join([*lines, "</svg>"])


def _name(node):
    return _text(node.label) or "data"


def _box_width(node):
    """Make room for a name and a number, and for a gradient of three digits at least."""
    rows = f"{_name(node)} {_number(node.data)}", f"grad {_number(node.grad)}", "grad -1.25"
    return round(max(map(len, rows)) * CHARACTER) + 2 * PADDING


def _badge_size(node, port):
    """Make room for the name of the operation and, below each other, for the edges that arrive."""
    if not node.op:
        return 0, 0
    return max(BADGE, round(len(node.op) * CHARACTER) + 14), BADGE + max(0, len(node.parents) * port - 2 * PORT)


def _box(node, box, outline):
    """Draw a number: its name and value, and its gradient below."""
    x, end, y = box
    yield f'<rect x="{x:g}" y="{y - BOX / 2:g}" width="{end - x:g}" height="{BOX}" rx="7" style="{outline}"/>'
    yield _write(_name(node), x + PADDING, y - 7, "label", BOLD if node.label else WORD)
    yield _write(_number(node.data), end - PADDING, y - 7, "value", VALUE, "end")
    yield _write("grad", x + PADDING, y + 15, "word", WORD)
    yield _write(_number(node.grad), end - PADDING, y + 15, "grad", GRAD if node.grad else FAINT, "end")


def _badge(node, box, size):
    """Draw the operation that made a number, as a tab at the left of its box."""
    (x, _, y), (width, height) = box, size
    r = BADGE / 2
    turn_down, turn_right = f"a{r:g} {r:g} 0 0 0 {-r:g} {r:g}", f"a{r:g} {r:g} 0 0 0 {r:g} {r:g}"
    line = f"M{x:g} {y - height / 2:g}h{r - width:g}{turn_down}v{height - BADGE:g}{turn_right}H{x:g}z"
    yield f'<path d="{line}" style="{TAB}"/>'
    yield _write(node.op, x - width / 2 + 1, y + 4.5, "op", BOLD, "middle")


def _uses(edges):
    """Count, for each edge, how often its parent has gone into its child so far: a * a has a first and a second."""
    seen = {}
    for parent, child, _ in edges:
        seen[parent, child] = seen.get((parent, child), 0) + 1
        yield seen[parent, child]


def _arrow(edge, stretches, use):
    """Draw one use of a number: level through the columns, bent between them."""
    parent, child, slope = edge
    start, end, height = stretches[0]
    line = f"M{start:g} {height:g}H{end:g}"
    for (_, x1, y1), (x2, end, y2) in pairwise(stretches):
        middle = (x1 + x2) / 2
        line += f"C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}H{end:g}"
    name = f"edge-{parent}-{child}" + (f"-{use}" if use > 1 else "")
    data = f'data-from="{parent}" data-to="{child}" data-slope="{_number(slope)}"'
    return f'<path id="{name}" class="edge" {data} d="{line}m-5 -3.5l5 3.5l-5 3.5"/>'


def _slope(edge, stretches, box):
    """Write the slope where its edge is level, before the arrow head: above the edge, or below it if it comes last."""
    _, end, y = stretches[-1]
    return _write(_number(edge[2]), end - 7, y + (12 if y > box[2] else -4), "slope", SMALL, "end")


def _write(text, x, y, role, style, anchor="start"):
    return f'<text class="{role}" x="{x:g}" y="{y:g}" text-anchor="{anchor}" style="{style}">{escape(text)}</text>'
