"""The picture is read back from its SVG: every number and every use of it is there, and nothing is in the way."""

import json
import math
import re
from itertools import combinations, count
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microlearn import Value
from microlearn.autograd import draw, to_dot, trace
from microlearn.autograd.value import node as made
from tests.autograd.random_formulas import REPEATABLE


def lone():
    return Value(2.5, "a")


def tanh():
    a, b, c = Value(2.0, "a"), Value(-3.0, "b"), Value(10.0, "c")
    e = a * b
    d = e + c
    result = d.tanh()
    e.label, d.label, result.label = "e", "d", "L"
    return result


def square():
    a = Value(3.0, "a")
    return a * a


def micrograd_readme():
    a, b = Value(-4.0, "a"), Value(2.0, "b")
    c, d = a + b, a * b + b**3
    c = c + c + 1
    c = c + 1 + c + (-a)
    d = d + d * 2 + (b + a).relu()
    d = d + 3 * d + (b - a).relu()
    f = (c - d) ** 2
    return f / 2.0 + 10.0 / f


def neuron():
    total = Value(0.1, "b")
    for i in range(3):
        total = total + Value(i - 1.0, f"x{i}") * Value(0.5 * i, f"w{i}")
    return total.tanh()


def network():
    """Two inputs, four hidden neurons, one output; only inputs and neurons have labels."""
    weights = (Value(math.sin(i)) for i in count(1))
    inputs = [Value(1.5, "x1"), Value(-0.5, "x2")]
    for layer, width in [("h", 4), ("y", 1)]:
        outputs = [sum((next(weights) * x for x in inputs), next(weights)).tanh() for _ in range(width)]
        for i, output in enumerate(outputs, 1):
            output.label = layer if width == 1 else f"{layer}{i}"
        inputs = outputs
    return inputs[0]


def weighted_sums():
    inputs = tuple(Value(i, f"x{i}") for i in range(9))
    sums = [made(36.0, inputs, (1.0,) * 9, "sum") for _ in range(2)]
    return (sums[0] * sums[1]).sigmoid() * inputs[0]


def long_way_round():
    a, b = Value(1.0, "a"), Value(2.0, "b")
    c = a
    for _ in range(6):
        c = c * b + a * a
    return c - a / c


def four_edges_on_a_lane():
    a = Value(1.0, "a")
    return made(5.0, (a, a, a, a, a.tanh().exp()), (1.0,) * 5, "sum")


GRAPHS = [lone, tanh, square, micrograd_readme, neuron, network, weighted_sums, long_way_round, four_edges_on_a_lane]
every_graph = pytest.mark.parametrize("graph", GRAPHS)
with_and_without_slopes = pytest.mark.parametrize("slopes", [False, True])


class Picture:
    """The SVG of a graph, parsed."""

    def __init__(self, value, **options):
        self.root = ElementTree.fromstring(draw(value, **options)._repr_svg_())
        self.nodes = self.all("g", "node")
        self.edges = self.all("path", "edge")

    def all(self, tag, role):
        return [item for item in self.root.iter("{http://www.w3.org/2000/svg}" + tag) if item.get("class") == role]

    def words(self, tag):
        return self.root.find("{http://www.w3.org/2000/svg}" + tag).text

    def rows(self):
        return [[text.text for text in node if text.tag.endswith("text")] for node in self.nodes]


def frame(node):
    """Left, top, right and bottom of a node: its box and its badge."""
    rect = next(item for item in node if item.tag.endswith("rect"))
    x, y, width, height = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
    left, top, bottom = x, y, y + height
    for badge in (item for item in node if item.get("class") == "badge"):
        start, curve, down = re.fullmatch(r"M\S+ (\S+)h(-\S+?)a(\d+) .*?v(\S+?)a.*z", badge.get("d")).group(1, 2, 4)
        left += float(curve) - 12
        top, bottom = min(top, float(start)), max(bottom, float(start) + float(down) + 24)
    return left, top, x + width, bottom


def points(edge):
    """Points along an edge, up to its arrow head."""
    found = []
    for command, text in re.findall(r"([MHCm])([^MHCm]*)", edge.get("d").split("m")[0]):
        numbers = [float(number) for number in text.split()]
        if command == "M":
            found.append(tuple(numbers))
            continue
        (x0, y0), steps = found[-1], [i / 40 for i in range(1, 41)]
        if command == "H":
            found += [(x0 + (numbers[0] - x0) * t, y0) for t in steps]
        else:
            x1, y1, x2, y2, x3, y3 = numbers
            weights = [((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3) for t in steps]
            found += [(a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3) for a, b, c, d in weights]
    return found


@every_graph
def test_every_number_and_every_use_of_it_is_drawn_once(graph):
    value, seen, uses = graph(), set(), 0
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            uses += len(node.parents)
            waiting += node.parents
    picture = Picture(value, fold=False)
    assert len(picture.nodes) == len(seen)
    assert len(picture.edges) == uses
    ids = [item.get("id") for item in picture.root.iter() if item.get("id")]
    assert len(ids) == len(set(ids))
    assert set(picture.root.get("aria-labelledby").split()) <= set(ids)
    assert [node.get("data-step") for node in picture.nodes] == [str(step) for step in range(len(seen))]
    for edge in picture.edges:
        assert int(edge.get("data-from")) < int(edge.get("data-to"))


def extent(text):
    """Left, top, right and bottom of a text in 13 pixels."""
    x, y, width = float(text.get("x")), float(text.get("y")), 7.8 * len(text.text or "")
    left = x - width * {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")]
    return left, y - 9.5, left + width, y + 2


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def has_everything_in_its_place(value, **options):
    """Boxes, texts and edges keep out of each other's way."""
    picture = Picture(value, **options)
    frames = [frame(node) for node in picture.nodes]
    slopes = [extent(text) for text in picture.all("text", "slope")]
    width, height = float(picture.root.get("width")), float(picture.root.get("height"))
    for left, top, right, bottom in frames + slopes:
        assert min(left, top) >= 0 and right <= width and bottom <= height
    for one, other in combinations(frames + slopes, 2):
        assert not overlap(one, other)
    for (left, top, right, bottom), drawn in zip(frames, picture.nodes, strict=True):
        texts = [extent(text) for text in drawn.iter() if text.tag.endswith("text")]
        assert all(left <= x0 and top <= y0 and x1 <= right and y1 <= bottom for x0, y0, x1, y1 in texts)
        assert not any(overlap(one, other) for one, other in combinations(texts, 2))
    for edge in picture.edges:
        line = points(edge)
        start, end = frames[int(edge.get("data-from"))], frames[int(edge.get("data-to"))]
        assert line[0][0] == pytest.approx(start[2]) and start[1] < line[0][1] < start[3]
        assert line[-1][0] == pytest.approx(end[0]) and end[1] < line[-1][1] < end[3]
        for x, y in line[1:-1]:
            assert 0 < y < height
            assert not any(left < x < right and top < y < bottom for left, top, right, bottom in frames + slopes)
    return picture


@every_graph
@with_and_without_slopes
def test_boxes_words_and_edges_keep_out_of_each_other_s_way(graph, slopes):
    has_everything_in_its_place(graph(), slopes=slopes)


@st.composite
def graphs(draw, numbers):
    """Up to 40 nodes; each interior one has up to four parents, however far back; names of any width."""
    names = st.sampled_from(["", "", "w", "hidden layer"])
    nodes = [Value(draw(numbers), draw(names)) for _ in range(draw(st.integers(1, 6)))]
    for _ in range(draw(st.integers(0, 40 - len(nodes) - 1))):
        parents = draw(st.lists(st.integers(0, len(nodes) - 1).map(nodes.__getitem__), min_size=1, max_size=4))
        slopes = draw(st.lists(numbers, min_size=len(parents), max_size=len(parents)))
        nodes.append(made(draw(numbers), tuple(parents), tuple(slopes), draw(st.sampled_from(["+", "tanh", "**0.5"]))))
        nodes[-1].label = draw(names)
    used = {parent for node in nodes for parent in node.parents}
    ends = tuple(node for node in nodes if node not in used)
    return made(draw(numbers), ends, (1.0,) * len(ends), "sum")


@given(graphs(st.floats(allow_nan=False)), st.booleans(), st.sampled_from([None, True]))
@settings(REPEATABLE, max_examples=40)
def test_so_they_do_in_any_graph(value, slopes, fold):
    picture = has_everything_in_its_place(value, slopes=slopes, fold=fold)
    assert len(picture.nodes) <= 40


def gradients_over(graph):
    """Walk backward over the edges of a picture."""
    gradients = [0.0] * (len(graph.nodes) - 1) + [1.0]
    for parent, child, slope in sorted(graph.edges, key=lambda edge: -edge[1]):
        gradients[parent] += slope * gradients[child]
    return gradients


@every_graph
def test_a_folded_graph_keeps_every_value_and_its_edges_carry_every_gradient(graph):
    value = graph()
    value.backward()
    whole, folded = draw(value, fold=False), draw(value, fold=True)
    assert len(folded.nodes) + sum(map(len, folded.inside)) == len(whole.nodes)
    assert gradients_over(folded) == pytest.approx([node.grad for node in folded.nodes])
    shown = dict(zip(whole.nodes, Picture(value, fold=False).rows(), strict=True))
    for kept, row in zip(folded.nodes, Picture(value, fold=True).rows(), strict=True):
        own = shown[kept][1:] if kept.op else shown[kept]
        assert row[1 if kept.op else 0 :][:4] == own


@given(graphs(st.integers(-3, 3).map(float)))
@settings(REPEATABLE, max_examples=100)
def test_so_do_those_of_any_folded_graph(value):
    value.backward()
    folded = draw(value, fold=True)
    assert gradients_over(folded) == [node.grad for node in folded.nodes]
    assert all(not node.label or not node.parents for inside in folded.inside for node in inside)


def test_a_neuron_is_one_box_and_what_has_a_label_stays_outside():
    x = [Value(i, f"x{i}") for i in range(3)]
    result = (x[0] * 0.5 + x[1] * 0.5 + x[2] * 0.5 + 0.25).tanh()
    result.backward()
    graph = draw(result, fold=True)
    assert graph.nodes == [*x, result]
    assert [edge[:2] for edge in graph.edges] == [(0, 3), (1, 3), (2, 3)]
    assert [slope for _, _, slope in graph.edges] == pytest.approx([one.grad for one in x])
    assert repr(graph) == "<Graph of 0.9414: 4 values, 3 edges, 10 folded>"
    picture = Picture(result, fold=True)
    assert picture.rows()[-1] == ["…", "data", "0.9414", "grad", "1", "folded", "4 leaves", None, "3 *, 3 +, tanh"]
    assert "v7 = 0.9414 from x0, x1, x2 (folded: 4 leaves, 3 *, 3 +, tanh)." in picture.words("desc")


def test_a_network_is_its_neurons():
    graph = draw(network(), fold=True)
    assert [node.label for node in graph.nodes] == ["x1", "x2", "h1", "h2", "h3", "h4", "y"]
    assert sorted(edge[:2] for edge in graph.edges) == [(i, j) for i in (0, 1) for j in (2, 3, 4, 5)] + [
        (j, 6) for j in (2, 3, 4, 5)
    ]


def test_a_number_that_one_other_uses_twice_is_folded_into_it():
    a = Value(3.0, "a")
    graph = draw((a + 1) * (a + 1) + (a * 2) ** 2, fold=True)
    assert graph.edges == [(0, 1, 4.0 + 4.0 + 24.0)]
    b = a + 1
    assert draw(b * b, fold=True).edges == [(0, 1, 8.0)]
    assert len(draw(b * b + b, fold=True).nodes) == 3


def test_two_edges_into_one_fold_are_one_edge_wherever_the_number_stands_in_its_operations():
    a = Value(3.0, "a")
    assert draw((a + 1) * (2 * a), fold=True).edges == [(0, 1, 6.0 + 8.0)]
    whole = draw(a * a, fold=True).edges
    assert whole == [(0, 1, 3.0), (0, 1, 3.0)]  # nothing is folded: the two uses stay two


def test_no_more_is_folded_than_is_needed():
    """Nothing up to 40 boxes; then what has no label; where that is not enough, leaves that have one."""

    def total(n):
        return sum((Value(i, f"x{i}") for i in range(n)), Value(0.0, "start"))

    assert len(draw(total(19)).nodes) == 20 + 19
    assert len(draw(total(20)).nodes) == 22
    assert len(draw(total(20), fold=False).nodes) == 41
    assert len(draw(total(38)).nodes) == 40
    assert len(draw(total(39)).nodes) == 1


def test_what_is_too_large_to_be_seen_is_refused_in_words():
    value = Value(1.0)
    for i in range(400):
        value = value.tanh()
        value.label = f"h{i}"
    assert len(draw(value).nodes) == 400
    with pytest.raises(ValueError, match=r"401 boxes are too many for a picture, .* write to_dot\(value\)"):
        draw(value, fold=False)
    assert len(to_dot(value).splitlines()) == 401 + 400 + 3


def test_steps_show_the_trace():
    a = Value(3.0, "a")
    b = a * a
    result = b + b * a
    result.backward()
    result.backward()  # the leaf holds twice its gradient: the steps are those of one walk
    picture = Picture(result, steps=True)
    shown = json.loads(picture.root.get("data-trace"))
    assert shown == json.loads(trace(result).to_json())
    assert [row[-3:] for row in picture.rows()] == [
        ["3", "grad", "33"],
        ["9", "grad", "4"],
        ["27", "grad", "1"],
        ["36", "grad", "1"],
    ]
    assert [row[-4] for row in picture.rows()] == ["a", "v1", "v2", "v3"]
    assert draw(result).nodes == trace(result).nodes
    assert Picture(result).root.get("data-trace") is None


def test_a_graph_is_stepped_through_unfolded():
    value = Value(1.0, "a")
    for _ in range(50):
        value = value.tanh()
    assert len(Picture(value, steps=True).nodes) == 51
    with pytest.raises(ValueError, match="a folded graph hides steps"):
        draw(value, steps=True, fold=True)


def test_words_say_what_is_computed():
    result = tanh()
    result.backward()
    picture = Picture(result)
    assert picture.words("title") == "Computational graph of L"
    assert picture.words("desc").startswith(
        "a = 2, b = -3, c = 10; e = a * b = -6; d = e + c = 4; L = d.tanh() = 0.9993. Gradients: a -0.004023, "
    )
    assert Picture(square()).words("title") == "Computational graph of the value 9"


@pytest.mark.parametrize(
    ("compute", "words"),
    [
        (lambda a: -a, "v1 = -a = -2"),
        (lambda a: a**0.5, "v1 = a**0.5 = 1.414"),
        (lambda a: 1 - a, "v1 = 1 - a = -1"),
        (lambda a: a * -3, "v1 = a * (-3) = -6"),
        (lambda a: a.max(3), "v1 = a.max(3) = 3"),
        (lambda a: made(6.0, (a, a, a), (1.0, 1.0, 1.0), "sum"), "v1 = sum(a, a, a) = 6"),
        (lambda a: (a + Value(1, "v1")).exp(), "v2 = a + v1 = 3; v3 = v2.exp() = 20.09"),
    ],
)
def test_operations_are_described_as_they_are_typed(compute, words):
    assert words in Picture(compute(Value(2.0, "a"))).words("desc")


def test_the_description_of_a_large_graph_is_cut_with_a_count():
    value = Value(0.5, "a")
    for _ in range(50):
        value = value.tanh()
    assert "and 30 more. Gradients: all 0." in Picture(value, fold=False).words("desc")


@pytest.mark.parametrize(("count", "more"), [(20, None), (21, "and 1 more"), (33, "and 13 more")])
def test_the_description_lists_twenty_of_each_kind(count, more):
    """Inputs, steps and gradients, each with its own count."""
    leaves = [Value(i, f"x{i}") for i in range(count)]
    result = made(0.0, tuple(leaves), (1.0,) * count, "sum")
    words = Picture(result).words("desc")
    assert words.split(";")[0].endswith(f", {more}" if more else f"x{count - 1} = {count - 1}")
    assert f"x20 = 20{',' if count > 21 else ''}" not in words.split(";")[0]
    result.backward()
    assert Picture(result).words("desc").endswith(f", {more}." if more else f", x{count - 1} 1.")
    chain = Value(0.5, "a")
    for i in range(count):
        chain = chain.tanh()
        chain.label = f"h{i}"
    steps = Picture(chain, fold=False).words("desc").split(". Gradients")[0]
    assert steps.count(".tanh()") == 20
    assert steps.endswith(f"; {more}") == bool(more)


def test_backward_fills_the_gradients_in_and_moves_nothing():
    a, b = Value(2.0, "a"), Value(-3.0, "b")
    result = -(a * b)
    before = Picture(result)
    result.backward()
    after = Picture(result)
    assert [row[-2:] for row in before.rows()] == [["grad", "0"]] * 4
    assert after.rows()[0] == ["a", "2", "grad", "3"]
    assert after.rows()[-1] == ["neg", "data", "6", "grad", "1"]
    assert [frame(node) for node in before.nodes] == [frame(node) for node in after.nodes]
    assert [edge.get("d") for edge in before.edges] == [edge.get("d") for edge in after.edges]


def test_a_number_used_twice_has_two_edges_side_by_side():
    first, second = Picture(square()).edges
    assert (first.get("data-slope"), second.get("data-slope")) == ("3", "3")
    assert all(abs(y1 - y2) >= 8 for (_, y1), (_, y2) in zip(points(first), points(second), strict=True))


def test_slopes_are_written_only_when_asked_for():
    assert Picture(tanh()).all("text", "slope") == []
    written = [text.text for text in Picture(tanh(), slopes=True).all("text", "slope")]
    assert written == ["-3", "2", "1", "1", "0.001341"]


def test_labels_are_escaped():
    label = '<b> & "w₁"\n\x00'
    value = Value(1.0, label)
    picture = Picture(value)
    assert picture.rows()[0][0] == '<b> & "w₁"  '
    assert r'"<b> & \"w₁\"   = 1\ngrad 0"' in to_dot(value)


def test_a_backslash_in_a_label_is_one_for_graphviz():
    assert r'n0 [label="C:\\new = 1\ngrad 0"];' in to_dot(Value(1.0, "C:\\new"))


@pytest.mark.parametrize(
    ("number", "shown"),
    [(-0.0, "0"), (1e-5, "1e-05"), (float("nan"), "nan"), (-float("inf"), "-inf"), (2 / 3, "0.6667")],
)
def test_numbers_are_short(number, shown):
    assert Picture(Value(number)).rows() == [["data", shown, "grad", "0"]]


@every_graph
def test_the_same_graph_gives_the_same_picture(graph):
    assert draw(graph())._repr_svg_() == draw(graph())._repr_svg_()


def test_the_picture_asks_for_nothing_from_outside():
    svg = draw(micrograd_readme())._repr_svg_()
    assert not re.search(r"<style|<script|href|url\(|@import", svg)


@every_graph
def test_the_result_alone_has_the_result_s_outline(graph):
    boxes = [next(item for item in node if item.tag.endswith("rect")) for node in Picture(graph()).nodes]
    outlined = ["var(--accent" in box.get("style") for box in boxes]
    assert outlined == [False] * (len(boxes) - 1) + [True]


@every_graph
def test_dot_lists_every_node_and_edge(graph):
    value = graph()
    picture, dot = Picture(value, fold=False), to_dot(value).splitlines()
    assert (dot[0], dot[-1]) == ("digraph {", "}")
    assert sum(bool(re.fullmatch(r'  n\d+ \[label=".*"\];', line)) for line in dot) == len(picture.nodes)
    assert sum(bool(re.fullmatch(r'  n\d+ -> n\d+ \[label=".*"\];', line)) for line in dot) == len(picture.edges)


def test_the_repr_is_one_short_line():
    assert repr(draw(tanh())) == "<Graph of L = 0.9993: 6 values, 5 edges>"
    assert repr(draw(lone())) == "<Graph of a = 2.5: 1 value, 0 edges>"


@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize("wrong", ["all", "", [], 2, {}])
def test_a_graph_is_folded_or_not_or_as_it_needs(wrong, steps):
    with pytest.raises(ValueError, match=f"^fold: expected True, False or None, got {re.escape(repr(wrong))}$"):
        draw(tanh(), fold=wrong, steps=steps)


@pytest.mark.parametrize("function", [draw, to_dot])
@pytest.mark.parametrize("wrong", [3.0, "x", None])
def test_only_values_can_be_drawn(function, wrong):
    with pytest.raises(TypeError, match=f"expected a Value, .*, got {type(wrong).__name__}"):
        function(wrong)


def test_a_deep_chain_does_not_recurse():
    value = Value(0.5)
    for _ in range(3000):
        value = value.tanh()
    assert len(Picture(value).nodes) == 1
    assert len(to_dot(value).splitlines()) == 3001 + 3000 + 3
