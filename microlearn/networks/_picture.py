"""Points in a plane as SVG, over the regions in which a model answers with one label or another."""

import math
from itertools import pairwise

from microlearn.networks._checks import answer, scores

# Each label has a colour and a mark, so that nothing rests on colour alone. The page decides what the colours are.
HUES = [f"var(--c{i},{hue})" for i, hue in enumerate(("#0072b2", "#d55e00", "#009e73", "#aa4499"))]
MARKS = ["m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", "m0-5l5 5l-5 5l-5-5z", "m-5 4h10l-5-9z", "m-4-4h8v8h-8z"]
PAPER, INK = "var(--paper,Canvas)", "currentColor"
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 350, 40, 10, 26, 26  # pixels: the plane, and the room around it
CELLS = 40  # the model is asked at the corners of so many columns of cells
FONT = "overflow:visible;font-family:var(--font-mono,ui-monospace,monospace);font-size:12px;fill:currentColor"


class Picture:
    """Labelled points, and what a model makes of their plane, as it is now.

    Attributes
    ----------
    description : str
        What there is to see, in words.
    plane : Plane
        The part of the plane that is shown; pictures that share one can be compared.
    """

    def __init__(self, X, y, model=None, boundary=0.0):
        self.X, self.y, self.plane, self.regions = X, y, Plane(X), {}
        counts = [f"{y.count(label)} of label {label}" for label in sorted(set(y))]
        self.description = f"{len(y)} point{'s' * (len(y) != 1)}: {', '.join(counts)}."
        if model is not None:
            grid = [[scores(model(point), boundary) for point in row] for row in self.plane.grid()]
            for label in range(1, len(grid[0][0])):
                self.regions[label] = _cut([[_lead(corner, label) for corner in row] for row in grid])
            right = sum(answer(model(point), boundary) == label for point, label in zip(X, y, strict=True))
            self.description += f" The model is right about {right} of them."

    def __repr__(self):
        return f"<Picture of {self.description}>"

    def _repr_svg_(self):
        plane, total = self.plane, self.plane.height + TOP + BOTTOM
        lines = [
            '<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" aria-labelledby="points-title points-desc"'
            f' width="{WIDTH + LEFT + RIGHT}" height="{total}" viewBox="0 0 {WIDTH + LEFT + RIGHT} {total}"'
            f' style="{FONT}">',
            '<title id="points-title">Points in a plane</title>',
            f'<desc id="points-desc">{self.description}</desc>',
        ]
        if self.regions:
            lines.append(_path("region", plane.outline(), _tint(0), label=0))
        for label, (pieces, _) in self.regions.items():
            lines.append(_path("region", "".join(plane.line(corners) + "z" for corners in pieces), _tint(label), label))
        edges = "".join(plane.line(edge) for _, edges in self.regions.values() for edge in edges)
        lines += [_path("boundary", edges, f"fill:none;stroke:{INK};stroke-width:1.5")] if edges else []
        lines += plane.border()
        for label in sorted(set(self.y)):
            places = [plane.pixel(*point) for point, own in zip(self.X, self.y, strict=True) if own == label]
            marks = "".join(f"M{x:.1f} {y:.1f}{MARKS[label % len(MARKS)]}" for x, y in places)
            style = f"fill:{HUES[label % len(HUES)]};stroke:{PAPER};stroke-width:.8"
            lines.append(_path("points", marks, style, label))
        return "\n".join([*lines, "</svg>"])


class Plane:
    """The part of the plane that holds all points and a margin; a unit is as long one way as the other, if it can be.

    Attributes
    ----------
    height : int
        In pixels, between a third and 1.2 of the width.
    """

    def __init__(self, X):
        lows, highs = ([choose(column) for column in zip(*X, strict=True)] for choose in (min, max))
        sizes = [high - low for low, high in zip(lows, highs, strict=True)]
        margin = 0.08 * max(sizes) or 1.0
        (self.left, self.low), (across, up) = (low - margin for low in lows), (size + 2 * margin for size in sizes)
        self.height = round(WIDTH * min(max(up / across, 1 / 3), 1.2))
        self.scales = WIDTH / across, self.height / up
        self.cells = CELLS, max(1, round(CELLS * self.height / WIDTH))
        self.ranges = (self.left, self.left + across), (self.low, self.low + up)

    def pixel(self, x0, x1):
        return LEFT + (x0 - self.left) * self.scales[0], TOP + self.height - (x1 - self.low) * self.scales[1]

    def grid(self):
        """List the corners of all cells, row by row from below."""
        (x0s, x1s) = (
            [low + (high - low) * i / cells for i in range(cells + 1)]
            for (low, high), cells in zip(self.ranges, self.cells, strict=True)
        )
        return [[[x0, x1] for x0 in x0s] for x1 in x1s]

    def line(self, corners):
        """Join places of the grid, which may lie between its corners."""
        across, up = WIDTH / self.cells[0], self.height / self.cells[1]
        return "M" + "L".join(f"{LEFT + i * across:.1f} {TOP + self.height - j * up:.1f}" for i, j in corners)

    def outline(self):
        return f"M{LEFT} {TOP}h{WIDTH}v{self.height}h{-WIDTH}z"

    def border(self):
        """Draw the border, a few ticks with their numbers, and the names of the axes."""
        yield _path("border", self.outline(), f"fill:none;stroke:{INK};stroke-opacity:.4")
        bottom = TOP + self.height
        for tick, words in _ticks(*self.ranges[0]):
            x, _ = self.pixel(tick, self.low)
            yield f'<path d="M{x:.1f} {bottom}v5" stroke="{INK}"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{words}</text>'
        for tick, words in _ticks(*self.ranges[1]):
            _, y = self.pixel(self.left, tick)
            yield f'<path d="M{LEFT} {y:.1f}h-5" stroke="{INK}"/>'
            yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{words}</text>'
        yield f'<text x="{LEFT + WIDTH}" y="{bottom - 8}" text-anchor="end">x[0]</text>'
        yield f'<text x="{LEFT}" y="{TOP - 10}">x[1]</text>'


def _lead(scores, label):
    return scores[label] - max(scores[:label] + scores[label + 1 :])


def _cut(lead):
    """Cut out of the grid where the lead is above zero. Return the pieces, as lists of corners, and the edges."""
    pieces, edges = [], []
    for j, (below, above) in enumerate(pairwise(lead)):
        whole = []  # cells of this row that lie side by side and are not cut
        for i, (left, right) in enumerate(pairwise(zip(below, above, strict=True))):
            if min(left + right) > 0.0:
                whole = [(whole or [(i, j)])[0], (i + 1, j), (i + 1, j + 1), (whole or [(i, j + 1)])[-1]]
                continue
            pieces, whole = [*pieces, whole] if whole else pieces, []
            kept, cuts = _clip([(i, j, left[0]), (i + 1, j, right[0]), (i + 1, j + 1, right[1]), (i, j + 1, left[1])])
            pieces += [kept] if kept else []
            edges += zip(cuts[::2], cuts[1::2], strict=True)
        pieces += [whole] if whole else []
    return pieces, edges


def _clip(corners):
    """Keep the part of a cell where the third number, a line between its corners, is above zero."""
    kept, cuts = [], []
    for (x, y, here), (to_x, to_y, there) in pairwise([*corners, corners[0]]):
        if here > 0.0:
            kept.append((x, y))
        if (here > 0.0) != (there > 0.0):
            part = here / (here - there) if math.isfinite(here - there) else 0.5
            cuts.append((x + part * (to_x - x), y + part * (to_y - y)))
            kept.append(cuts[-1])
    return kept, cuts


def _ticks(low, high):
    """Choose at most six round numbers, and write them with as many digits as tell them apart."""
    exponent = math.floor(math.log10((high - low) / 6))
    step, power = next(
        (m * 10.0**e, e) for e in (exponent, exponent + 1) for m in (1, 2, 5) if (high - low) / (m * 10.0**e) <= 6
    )
    return [
        (i * step, f"{i * step:.{max(-power, 0)}f}") for i in range(math.ceil(low / step), math.floor(high / step) + 1)
    ]


def _tint(label):
    tint = f"color-mix(in srgb,{HUES[label % len(HUES)]} 22%,{PAPER})"
    return f"fill:{tint};stroke:{tint};stroke-width:.7"  # the stroke closes the seams between pieces


def _path(kind, d, style, label=None):
    data = f' data-label="{label}"' if label is not None else ""
    return f'<path class="{kind}"{data} d="{d}" style="{style}"/>'
