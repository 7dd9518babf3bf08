"""Where the boxes and the arrows of a picture go: geometry for `draw`, which knows no Values, only numbered nodes.

A node stands in a column, left of everything that uses it. A *place* is a node's number, for its box, or a pair
(node, column): the lane on which the node's value passes a column on the way to a child further right. Edges are
level inside a column and bend only between columns, so none can run through a box.
"""

from bisect import bisect_right, insort
from itertools import pairwise

LANE, SPACE, MARGIN = (
    8,
    16,
    6,
)  # pixels: the height of a lane, for one edge; the room between two places, and round the picture
STEEP = 5  # how many times as high as wide an edge may rise, at most, while there is room
SWEEPS, PATIENCE = 24, 4  # how often every column is rearranged, at most; how often in vain


class Layout:
    """Positions for a graph whose last node is the result, in pixels.

    Parameters
    ----------
    edges : list of (int, int)
        Parent and child of each edge; a child has a higher number than its parents.
    sizes : list of (float, float, float)
        For each node: the width of its badge, where edges arrive, the width of its box, and the height of the two.
    gap, level, port : float
        The least room in which edges bend between columns; the room after it, where they are level again; how far apart
        two edges arrive at the same node.

    Attributes
    ----------
    boxes : list of (float, float, float)
        For each node: where its box begins and ends, and the height of its middle.
    edges : list of list of (float, float, float)
        For each edge, its level stretches from left to right, in the same form.
    width, height : float
        The size of the whole.
    """

    def __init__(self, edges, sizes, gap, level, port):
        column = _columns(edges, len(sizes))
        routes = [_route(parent, child, column) for parent, child in edges]
        columns = _places(column, routes)
        twins = _side_by_side(edges, range(len(edges)), lambda edge: edge, port)  # the two edges of a * a
        heights = {node: height for node, (_, _, height) in enumerate(sizes)}
        for i, route in enumerate(routes):
            heights |= {lane: max(heights.get(lane, 0), LANE + 2 * abs(twins[i])) for lane in route[1:-1]}
        y = _middles(columns, routes, heights)
        top = min(y[place] - heights[place] / 2 for place in y) - MARGIN
        y = {place: round(y[place] - top) for place in y}  # whole pixels, for sharp lines
        gaps = [gap] * len(columns)  # left of each column, wider where edges climb high
        for route in routes:
            for start, end in pairwise(route):
                right = column[end] if end in column else end[1]
                gaps[right] = max(gaps[right], round(min(abs(y[end] - y[start]) / STEEP, 3 * gap)))
        spans = _spans(columns, sizes, [gap + level for gap in gaps])
        self.boxes = [(*spans[column[node]][1:], y[node]) for node in range(len(sizes))]
        self.width = spans[0][2] + MARGIN
        self.height = max(y[place] + heights[place] / 2 for place in y) + MARGIN

        by_height = sorted(range(len(edges)), key=lambda i: y[routes[i][-2]])
        ports = _side_by_side(edges, by_height, lambda edge: edge[1], port)
        self.edges = []
        for i, (parent, child) in enumerate(edges):
            begin, end = spans[column[parent]][2], self.boxes[child][0] - sizes[child][0]
            lanes = [(spans[lane[1]][0] - level, spans[lane[1]][2], y[lane] + twins[i]) for lane in routes[i][1:-1]]
            arrival = spans[column[child]][0] - level, end, y[child] + ports[i]
            self.edges.append(_joined([(begin, begin, y[parent] + twins[i]), *lanes, arrival]))


def _columns(edges, count):
    """Count columns from the result, which is in column 0: each node stands just left of its leftmost child."""
    column = {count - 1: 0}
    for parent, child in sorted(edges, key=lambda edge: -edge[1]):
        column[parent] = max(column.get(parent, 0), column[child] + 1)
    return column


def _route(parent, child, column):
    """List the places that an edge goes through, its ends included."""
    return [parent, *((parent, number) for number in range(column[parent] - 1, column[child], -1)), child]


def _places(column, routes):
    """List what stands in each column, from the result leftwards: boxes in the order they were met, then lanes."""
    places = [{} for _ in range(max(column.values()) + 1)]  # dicts as sets that keep their order
    for node, number in column.items():
        places[number][node] = None
    for route in routes:
        for lane in route[1:-1]:
            places[lane[1]][lane] = None
    return [list(column) for column in places]


def _spans(columns, sizes, gaps):
    """Tell for each column where its badges begin, and where its boxes begin and end. The leaves' is at the left."""
    spans, x = [], MARGIN
    for places, right in zip(reversed(columns), [*reversed(gaps[:-1]), 0], strict=True):
        nodes = [sizes[place] for place in places if isinstance(place, int)]
        middle = x + max(badge for badge, _, _ in nodes)
        end = middle + max(box for _, box, _ in nodes)
        spans.append((x, middle, end))
        x = end + right
    return spans[::-1]


def _middles(columns, routes, heights):
    """Find where the middle of each place goes, so that edges rarely cross and are short and level.

    Each place wishes to stand level with its neighbours. Column by column, leftwards and rightwards in turn, wishes
    are granted as far as there is room; the best arrangement seen on the way is kept.
    """
    left, right = {}, {}
    for route in routes:
        for start, end in pairwise(route):
            right.setdefault(start, {})[end] = left.setdefault(end, {})[start] = None
    y = {}
    for places in columns:
        y |= _stacked(dict.fromkeys(places, 0.0), heights)
    best, lowest, found = dict(y), _cost(y, columns, right), 0
    for sweep in range(SWEEPS):
        near, ordered = (left, reversed(columns)) if sweep % 2 else (right, columns)
        for places in ordered:
            y |= _stacked({place: _wish(near.get(place, (place,)), y) for place in places}, heights)
        cost = _cost(y, columns, right)
        if cost < lowest:
            best, lowest, found = dict(y), cost, sweep
        elif sweep - found >= PATIENCE:
            break
    return best


def _wish(neighbours, y):
    """Ask for the mean of the neighbours; a lane pulls four times as hard as a box, so that lanes are straight."""
    weights = [1 if isinstance(n, int) else 4 for n in neighbours]
    total = sum(y[n] * weight for n, weight in zip(neighbours, weights, strict=True))
    return round(total / sum(weights), 3)  # the last digit of a sum differs between Pythons


def _stacked(wishes, heights):
    """Stack places in the order of their wishes, each as near to its own as the others' heights allow.

    Places that would overlap become a block, which stands where its members want it on average. (This is isotonic
    regression: no other arrangement in this order has a smaller sum of squared distances from the wishes.)
    """
    order = sorted(wishes, key=wishes.get)
    depth, depths, blocks = 0.0, [], []  # a block: where its members want the stack to begin, in sum; their number
    for place in order:
        depths.append(depth + heights[place] / 2)
        depth += heights[place] + SPACE
        total, count = wishes[place] - depths[-1], 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            more, members = blocks.pop()
            total, count = total + more, count + members
        blocks.append((total, count))
    tops = [total / count for total, count in blocks for _ in range(count)]
    return {place: top + depth for place, top, depth in zip(order, tops, depths, strict=True)}


def _cost(y, columns, right):
    """Judge an arrangement by its crossings and then by how far its edges climb and fall."""
    crossings, climb = 0, 0.0
    for places in columns:
        passed = []
        for start, end in sorted((y[place], y[n]) for place in places for n in right.get(place, ())):
            crossings += len(passed) - bisect_right(passed, end)
            insort(passed, end)
            climb += (end - start) ** 2
    return crossings, round(climb)


def _side_by_side(edges, order, key, step):
    """Set edges that share a key apart, in the given order; tell each its distance from their middle."""
    groups = {}
    for i in order:
        groups.setdefault(key(edges[i]), []).append(i)
    return {i: (rank - (len(group) - 1) / 2) * step for group in groups.values() for rank, i in enumerate(group)}


def _joined(stretches):
    """Make one of stretches that follow each other at the same height."""
    joined = [stretches[0]]
    for start, end, y in stretches[1:]:
        if y == joined[-1][2]:
            start = joined.pop()[0]
        joined.append((start, end, y))
    return joined
