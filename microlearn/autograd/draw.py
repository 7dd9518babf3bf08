"""The graph behind a Value as a picture: what it was made of, left to right, with every value and gradient.

Drawing reads the engine; the engine knows nothing of drawing. Its lesson is `docs/autograd/draw.md`.
"""

from collections import Counter
from html import escape
from itertools import pairwise

from microlearn.autograd._fold import fold as folded
from microlearn.autograd._layout import Layout
from microlearn.autograd._words import equation, label, number
from microlearn.autograd.trace import Trace

BOXES, MOST = 40, 400  # from where on a graph is folded unless told otherwise; how many boxes make a picture at most
# What may lose its box, from little to much: nothing; what has no label; leaves with a label, too.
FOLDS = (lambda node: False, lambda node: not node.label, lambda node: not node.label or not node.parents)

CHARACTER, PADDING = 7.8, 8  # pixels: the width of a 13 px monospaced character; the room at both ends of a row
ROW, BADGE = 22, 24  # the height of a row; the smallest side of the badge at a box's left, which names the operation
GAP, PORT, WRITTEN_PORT = 24, 10, 16  # the room between columns; how far apart edges arrive, without and with slopes
ARROW = 7  # the room for the head of an arrow
LISTED = 20  # how many items of a kind the description lists

# Ink comes from the page, so one picture serves light and dark. The two colours lean towards it, for contrast.
FONT = "font-family:var(--font-mono,ui-monospace,monospace);font-size:13px;fill:currentColor"
BOLD, FAINT = "font-weight:700", "fill-opacity:.72"
VALUE = "font-weight:700;fill:color-mix(in srgb,var(--accent,#0072B2) 72%,currentColor)"
GRAD = "font-weight:700;fill:color-mix(in srgb,var(--grad,#D55E00) 72%,currentColor)"
OUTLINE = "fill:var(--node-fill,transparent);stroke:currentColor;stroke-opacity:.45"
RESULT = "fill:var(--node-fill,transparent);stroke:var(--accent,#0072B2);stroke-width:2"
TAB = "fill:currentColor;fill-opacity:.1;stroke:currentColor;stroke-opacity:.45"
INK = "color-mix(in srgb,currentColor 65%,var(--paper,Canvas))"  # opaque: edges that share a way are no darker
LINE = f"fill:none;stroke:{INK};stroke-width:1.25;stroke-linecap:round;stroke-linejoin:round"


def draw(value, slopes=False, steps=False, fold=None):
    """Draw the graph that computed `value`: a box for each number, an arrow for each use of it.

    Parameters
    ----------
    value : Value
        The result; it stands at the right.
    slopes : bool, optional
        Write the local derivative beside each arrow.
    steps : bool, optional
        On a page of this site, let the reader step through both passes. The gradients shown are then those of
        `value` alone, as in `trace`, whether or not `backward` was called.
    fold : bool, optional
        Fold what only one other number uses into that number's box: True does it, False never does; None, the
        default, does it where there are more than 40 boxes. What has a label keeps its box; only where that still
        leaves more than 40, leaves with a label are folded, too.

    Returns
    -------
    Graph
        It shows itself as SVG on a page or in a notebook.

    Raises
    ------
    TypeError
        If `value` is not a Value.
    ValueError
        If more than 400 boxes would have to be drawn, or a folded graph stepped through; if `fold` is none of the
        three.

    Examples
    --------
    >>> from microlearn import Value
    >>> a = Value(2.0, label="a")
    >>> draw(a * 3 + 1)
    <Graph of 7: 5 values, 4 edges>
    >>> draw(a * 3 + 1, fold=True)
    <Graph of 7: 2 values, 1 edge, 3 folded>
    """
    if fold not in (True, False, None):
        raise ValueError(f"fold: expected True, False or None, got {fold!r}")
    if steps and fold:
        raise ValueError("a folded graph hides steps: choose steps=True or fold=True")
    graph = Graph(value, slopes, steps, fold=False if steps else fold)
    if len(graph.nodes) > MOST:
        raise ValueError(
            f"{len(graph.nodes)} boxes are too many for a picture, which holds {MOST}: "
            "draw a number on the way to this one, or write to_dot(value) for Graphviz"
        )
    return graph


def to_dot(value):
    r"""Write the graph that computed `value` as text for Graphviz' `dot` program, with a node for every number.

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
    graph = Graph(value, fold=False)
    lines = ["digraph {", "  rankdir=LR; node [shape=box, style=rounded];"]
    for place, node in enumerate(graph.nodes):
        rows = [node.op, equation(node).replace("\\", r"\\").replace('"', r"\""), f"grad {number(node.grad)}"]
        text = r"\n".join(filter(None, rows))
        lines.append(f'  n{place} [label="{text}"];')
    lines += [f'  n{parent} -> n{child} [label="{number(slope)}"];' for parent, child, slope in graph.edges]
    return "\n".join([*lines, "}"])


class Graph:
    """A Value and all that it was made of, as boxes and arrows.

    Attributes
    ----------
    nodes : list of Value
        The number in each box, in the order of the forward pass.
    edges : list of (int, int, float)
        For each arrow: the place in `nodes` where it begins, that where it ends, and the slope between the two.
    inside : list of list of Value
        For each box, the numbers that are folded into it.
    """

    def __init__(self, value, slopes=False, steps=False, fold=None):
        self.trace, self.slopes, self.steps = Trace(value), slopes, steps
        for may_fold in {None: FOLDS, False: FOLDS[:1], True: FOLDS[1:]}[fold]:
            shown, inside, self.edges = folded(self.trace.nodes, may_fold)
            if len(shown) <= BOXES:
                break
        self.nodes = [self.trace.nodes[place] for place in shown]
        self.forward = [self.trace.forward[place] for place in shown]
        self.inside = [[self.trace.nodes[place] for place in places] for places in inside]
        self.gradients = [node.grad for node in self.nodes]
        if steps:
            self.gradients = [row.gradient for row in reversed(self.trace.backward)]

    def __repr__(self):
        counts = [(len(self.nodes), "value"), (len(self.edges), "edge")]
        words = [f"{count} {word}{'s' * (count != 1)}" for count, word in counts]
        hidden = sum(map(len, self.inside))
        words += [f"{hidden} folded"] if hidden else []
        return f"<Graph of {equation(self.nodes[-1])}: {', '.join(words)}>"

    def _repr_svg_(self):
        return _svg(self)


# In words.


def _description(graph):
    """Say what the graph computes: what goes in, then each step, then the gradients."""
    operands = [{} for _ in graph.nodes]  # dicts as sets that keep their order
    for parent, child, _ in graph.edges:
        operands[child][graph.forward[parent].name] = None
    inputs, steps = [], []
    for row, node, used, inside in zip(graph.forward, graph.nodes, operands, graph.inside, strict=True):
        if inside:
            source = f" from {', '.join(used)}" if used else ""
            steps.append(f"{row.name} = {number(node.data)}{source} (folded: {', '.join(_contents(node, inside))})")
        elif used:
            steps.append(f"{row.name} = {row.expression} = {number(node.data)}")
        elif node.label or node is graph.nodes[-1]:
            inputs.append(f"{row.name} = {number(node.data)}" if node.label else number(node.data))
    gradients = ["all 0"]
    if any(graph.gradients):
        named = zip(graph.nodes, graph.forward, graph.gradients, strict=True)
        gradients = [f"{row.name} {number(gradient)}" for node, row, gradient in named if node.label]
    computed = "; ".join(filter(None, [_listed(inputs, ", "), _listed(steps, "; ")]))
    return f"{computed}. Gradients: {_listed(gradients, ', ')}."


def _listed(items, separator):
    more = [f"and {len(items) - LISTED} more"] if len(items) > LISTED else []
    return separator.join(items[:LISTED] + more)


def _contents(node, inside):
    """Count what a folded box holds, its own operation included: leaves, then operations, the frequent ones first."""
    counts = Counter(one.op for one in [*inside, node])
    leaves = counts.pop("", 0)
    if leaves:
        yield f"{leaves} {'leaf' if leaves == 1 else 'leaves'}"
    for op, count in counts.most_common():
        yield op if count == 1 else f"{count} {op}"


# In ink.


def _svg(graph):
    port = WRITTEN_PORT if graph.slopes else PORT
    longest = max((len(number(slope)) for _, _, slope in graph.edges), default=0) if graph.slopes else 0
    level = round(longest * CHARACTER) + ARROW + 1 if longest else 0
    rows = [_rows(graph, place) for place in range(len(graph.nodes))]
    ops = ["…" if inside else node.op for node, inside in zip(graph.nodes, graph.inside, strict=True)]
    arrivals = Counter(child for _, child, _ in graph.edges)
    badges = [_badge_size(op, arrivals[place] * port - 2 * PORT) for place, op in enumerate(ops)]
    heights = [8 + ROW * len(lines) for lines in rows]
    least = "grad -0.1234" if graph.steps else "grad -1.25"  # what grows step by step may be long on the way
    sizes = [
        (badge, _box_width(lines, least), max(height, tall))
        for lines, height, (badge, tall) in zip(rows, heights, badges, strict=True)
    ]
    layout = Layout([edge[:2] for edge in graph.edges], sizes, gap=GAP, level=level, port=port)
    width, height = round(layout.width), round(layout.height)
    result = graph.nodes[-1]
    subject = label(result) or f"the value {number(result.data)}"
    trace = f' data-trace="{escape(graph.trace.to_json())}"' if graph.steps else ""
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="img" aria-labelledby="graph-title graph-desc"'
        f' width="{width}" height="{height}" viewBox="0 0 {width} {height}" style="{FONT}"{trace}>',
        f'<title id="graph-title">Computational graph of {escape(subject)}</title>',
        f'<desc id="graph-desc">{escape(_description(graph))}</desc>',
        f'<g class="edges" style="{LINE}">',
        *map(_arrow, graph.edges, layout.edges, _uses(graph.edges)),
        "</g>",
    ]
    if graph.slopes:
        lines += map(_slope, graph.edges, layout.edges, [layout.boxes[child] for _, child, _ in graph.edges])
    for place, (node, box) in enumerate(zip(graph.nodes, layout.boxes, strict=True)):
        lines += [
            f'<g id="node-{place}" class="node" data-step="{place}" data-op="{escape(node.op)}">',
            *(_badge(ops[place], box, badges[place]) if ops[place] else ()),
            *_box(rows[place], box, heights[place], RESULT if node is result else OUTLINE),
            "</g>",
        ]
    return "\n".join([*lines, "</svg>"])


def _rows(graph, place):
    """List the lines of a box: for the left and for the right end of each, what kind of text it is, and the text."""
    node, row, inside = graph.nodes[place], graph.forward[place], graph.inside[place]
    rows = [
        ("label", row.name) if node.label else ("word", row.name if graph.steps and node.parents else "data"),
        ("value", number(node.data)),
        ("word", "grad"),
        ("grad", number(graph.gradients[place])),
    ]
    if inside:
        first, *others = _contents(node, inside)
        rows += [("word", "folded"), ("word", first), ("word", ""), ("word", ", ".join(others))]
    return list(zip(rows[::2], rows[1::2], strict=True))


def _box_width(rows, least):
    longest = max(len(f"{left} {right}") for (_, left), (_, right) in rows)
    return round(max(longest, len(least)) * CHARACTER) + 2 * PADDING


def _badge_size(op, more):
    """Make room for the name of the operation and, below each other, for the edges that arrive."""
    return (max(BADGE, round(len(op) * CHARACTER) + 14), BADGE + max(0, more)) if op else (0, 0)


def _box(rows, box, height, outline):
    """Draw a number: its name and value, its gradient below, and what is folded into it."""
    x, end, y = box
    top = y - height / 2
    yield f'<rect x="{x:g}" y="{top:g}" width="{end - x:g}" height="{height}" rx="7" style="{outline}"/>'
    for place, (left, right) in enumerate(rows):
        yield _write(left, x + PADDING, top + 19 + ROW * place)
        yield _write(right, end - PADDING, top + 19 + ROW * place, "end")


def _badge(op, box, size):
    """Draw the operation that made a number, as a tab at the left of its box."""
    (x, _, y), (width, height) = box, size
    r = BADGE / 2
    turn_down, turn_right = f"a{r:g} {r:g} 0 0 0 {-r:g} {r:g}", f"a{r:g} {r:g} 0 0 0 {r:g} {r:g}"
    line = f"M{x:g} {y - height / 2:g}h{r - width:g}{turn_down}v{height - BADGE:g}{turn_right}H{x:g}z"
    yield f'<path class="badge" d="{line}" style="{TAB}"/>'
    yield _write(("op", op), x - width / 2 + 1, y + 4.5, "middle")


def _uses(edges):
    """Count, for each edge, how often its parent has gone into its child so far: a * a has a first and a second."""
    seen = Counter()
    for parent, child, _ in edges:
        seen[parent, child] += 1
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
    data = f'{_ends(edge)} data-slope="{number(slope)}"'
    return f'<path id="{name}" class="edge" {data} d="{line}m-5 -3.5l5 3.5l-5 3.5"/>'


def _slope(edge, stretches, box):
    """Write the slope where its edge is level, before the arrow head: above the edge, or below it if it comes last."""
    _, end, y = stretches[-1]
    return _write(("slope", number(edge[2])), end - ARROW, y + (12 if y > box[2] else -4), "end", _ends(edge))


def _ends(edge):
    return f'data-from="{edge[0]}" data-to="{edge[1]}"'


STYLES = {"label": BOLD, "op": BOLD, "value": VALUE, "grad": GRAD, "word": FAINT, "slope": ""}


def _write(text, x, y, anchor="start", data=""):
    kind, words = text
    style = FAINT if text == ("grad", "0") else STYLES[kind]
    return (
        f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}" style="{style}" {data}>{escape(words)}</text>'
    )
