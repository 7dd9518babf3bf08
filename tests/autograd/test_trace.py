"""The trace: rows that recompute, gradients that are backward's own, names that mean one thing, nothing touched."""

import json
import math
import re
from collections import defaultdict
from html.parser import HTMLParser

import pytest
from hypothesis import assume, given

from microlearn import Value
from microlearn.autograd import trace
from tests.autograd.expressions import TABLE, diamond, neuron
from tests.autograd.random_formulas import DOMAIN_ERRORS, OBJECTS, REPEATABLE, formulas, total_of


def computed(function, inputs):
    """Compute a formula with labelled inputs."""
    return function(*(Value(x, label) for x, label in zip(inputs, "abcdef", strict=False)))


@pytest.fixture(params=TABLE)
def result(request):
    return computed(*TABLE[request.param])


@pytest.fixture
def loss():
    """A residual step: one number takes two ways to the result, another only one."""
    w, x = Value(-2.0, "w"), Value(3.0, "x")
    h = w * x
    h.label = "h"
    y = h + x
    y.label = "y"
    return y * y


# The rows.


def assert_rows_recompute(value):
    """Run every expression of the forward pass as Python, with the numbers of the rows above under their names."""
    table = trace(value)
    known = {}
    for row in table.forward:
        if row.slopes:
            again = eval(row.expression, {"max": max, "min": min}, known)
            assert again.data == row.value or math.isnan(row.value), f"{row.name} = {row.expression}"
            assert [slope for _, slope in row.slopes] == list(again.slopes), f"slopes of {row.name} = {row.expression}"
        known[row.name] = Value(row.value)


def test_every_forward_row_recomputes(result):
    assert_rows_recompute(result)


def test_rows_are_the_nodes(result):
    table = trace(result)
    for row, node, name in zip(table.forward, table.nodes, table.names, strict=True):
        assert (row.name, row.value) == (name, node.data)
        assert tuple(slope for _, slope in row.slopes) == node.slopes
        assert [table.names.index(parent) for parent, _ in row.slopes] == [table.nodes.index(p) for p in node.parents]
    assert [row.step for row in table.forward] == [row.step for row in table.backward]
    assert [row.name for row in table.backward] == table.names[::-1]


def test_every_row_stands_below_what_it_was_made_from(result):
    table = trace(result)
    place = {node: i for i, node in enumerate(table.nodes)}
    assert len(place) == len(table.nodes)
    assert table.nodes[-1] is result
    assert all(place[parent] < place[node] for node in table.nodes for parent in node.parents)


def test_a_leaf_stands_where_it_is_first_used():
    a, b, c = (Value(x, label) for x, label in zip((2.0, 3.0, 4.0), "abc", strict=True))
    assert trace((a * b) * c).names == ["a", "b", "v1", "c", "v2"]


def same(x, y):
    return x == y or (math.isnan(x) and math.isnan(y))


def assert_gradients_are_backward_s(value):
    """Compare with `backward`, bit for bit, and with what the rows say has arrived."""
    table = trace(value)
    value.backward()
    arrived = defaultdict(float)
    arrived[table.names[-1]] = 1.0
    for row in table.backward:
        node = table.nodes[table.names.index(row.name)]
        assert same(row.gradient, node.grad), f"{row.name}: {row.gradient} in the table, {node.grad} by backward"
        assert same(row.gradient, arrived[row.name]), f"{row.name}: its contributions sum to {arrived[row.name]}"
        for parent, share in row.contributions:
            arrived[parent] += share
    assert set(arrived) == set(table.names)


def test_gradients_are_backward_s(result):
    assert_gradients_are_backward_s(result)


def test_a_row_passes_on_each_slope_times_its_gradient(result):
    table = trace(result)
    for forward, backward in zip(table.forward, reversed(table.backward), strict=True):
        assert backward.contributions == tuple((name, slope * backward.gradient) for name, slope in forward.slopes)


@REPEATABLE
@given(formulas())
def test_random_formulas(formula):
    try:
        value = computed(total_of(formula.steps, OBJECTS), formula.inputs)
    except DOMAIN_ERRORS:
        assume(False)
    assert_rows_recompute(value)
    assert_gradients_are_backward_s(value)
    table = trace(value)
    assert len(set(table.names)) == len(table.names)


def test_the_same_number_used_twice_by_one_operation_gets_two_shares():
    a = Value(3.0, "a")
    assert trace(a * a).backward[0].contributions == (("a", 3.0), ("a", 3.0))


def test_a_node_of_three_parents():
    a, b = Value(2.0, "a"), Value(5.0, "b")
    node = a + b  # stands in for the n-ary nodes that neurons are made of
    node.parents, node.slopes, node.op = (a, b, a), (10.0, 20.0, 30.0), "weighted_sum"
    table = trace(node)
    assert table.forward[-1].expression == "weighted_sum(a, b, a)"
    assert [(row.name, row.gradient) for row in table.backward] == [("v1", 1.0), ("b", 20.0), ("a", 40.0)]


# It reads, and nothing else.


def test_nothing_changes(result):
    table = trace(result)
    before = [(node.data, node.grad, node.label, node.parents, node.slopes) for node in table.nodes]
    str(table), repr(table), table._repr_html_(), table.to_json()
    assert trace(result).forward == table.forward
    assert before == [(node.data, node.grad, node.label, node.parents, node.slopes) for node in table.nodes]


def test_what_grad_has_collected_plays_no_part(loss):
    before = trace(loss).backward
    loss.backward()
    loss.backward()
    assert trace(loss).backward == before


def test_a_table_is_a_recording(loss):
    table = trace(loss)
    x = table.nodes[table.names.index("x")]
    x.data = 100.0
    assert table.forward[table.names.index("x")].value == 3.0
    assert trace(loss).forward[table.names.index("x")].value == 100.0


def test_a_leaf_is_a_trace_of_one_step():
    table = trace(Value(2.0, "a"))
    assert table.forward == [(1, "a", "2", 2.0, ())]
    assert table.backward == [(1, "a", 1.0, ())]


def test_a_chain_of_3_000_steps():
    x = Value(1.0, "x")
    end = x
    for _ in range(3000):
        end = end + x
    table = trace(end)
    assert len(table.forward) == 3001
    assert table.backward[-1].gradient == 3001.0
    assert len(json.loads(table.to_json())["backward"]) == 3001


@pytest.mark.parametrize("thing", [2.0, None, "a * b", [Value(1.0)]])
def test_only_a_value_has_a_trace(thing):
    with pytest.raises(TypeError, match=f"expected a Value.* got {type(thing).__name__}"):
        trace(thing)


# Names.


def test_labels_are_the_names(loss):
    assert trace(loss).names == ["w", "x", "h", "y", "v1"]


def test_a_label_that_is_borne_twice_is_numbered():
    a, b, c = Value(1.0, "w"), Value(2.0, "w"), Value(3.0, "w")
    table = trace(a * b + c)
    assert table.names == ["w", "w_2", "v1", "w_3", "v2"]
    assert [row.expression for row in table.forward if row.slopes] == ["w * w_2", "v1 + w_3"]


def test_a_made_name_leaves_labels_alone():
    a, b = Value(1.0, "v1"), Value(2.0, "w")
    c, d = Value(3.0, "w"), Value(4.0, "w_2")
    assert trace(a * b + c * d).names == ["v1", "w", "v2", "w_3", "w_2", "v3", "v4"]


def test_numbers_that_were_typed_in_have_names_of_their_own_and_are_written_as_typed():
    a = Value(5.0, "a")
    table = trace((2 * a) * 2 + 2)
    assert table.names == ["2", "a", "v1", "2_2", "v2", "2_3", "v3"]
    assert [row.expression for row in table.forward if row.slopes] == ["2 * a", "v1 * 2", "v2 + 2"]


def test_a_number_does_not_take_a_label_s_name():
    a = Value(5.0, "2")
    assert trace(2 * a + Value(7.0, "2")).names == ["2_2", "2", "v1", "2_3", "v2"]


def test_names_are_the_same_at_every_call(result):
    assert trace(result).names == trace(result).names
    assert len(set(trace(result).names)) == len(trace(result).nodes)


# What it shows.


def test_text(loss):
    assert (
        str(trace(loss)).split("\n\n")[1]
        == """\
backward
step  name  gradient  passes on
   1  v1           1  -3 to y, -3 to y
   2  y           -6  -6 to h, -6 to x
   3  h           -6  -18 to w, 12 to x
   4  x            6
   5  w          -18"""
    )


def test_text_is_aligned(result):
    for table in str(trace(result)).split("\n\n"):
        _, heading, *rows = table.split("\n")
        for head, end in [(match[0], match.end()) for match in re.finditer(r"step|value|gradient", heading)]:
            for row in rows:
                assert re.match(r"\S(  |$)", row[end - 1 :]), f"{head} ends elsewhere in {row!r}"
        for start in [heading.index(head) for head in ("name", "expression", "slopes", "passes on") if head in heading]:
            for row in rows:
                assert len(row) <= start or re.match(r"  \S", row[start - 2 :]), f"ragged at {start}: {row!r}"


def test_its_repr_is_one_line(loss):
    assert repr(trace(loss)) == "<Trace of 9: 5 steps>"


class Tables(HTMLParser):
    """Read HTML as a browser does: captions, and rows of cells."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.captions, self.rows = set(), [], []
        self.open = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        elif tag == "caption":
            self.captions.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "caption" in self.open:
            self.captions[-1] += data
        else:
            self.rows[-1][-1] += data


def test_html_says_what_the_text_says(result):
    table = trace(result)
    shown = Tables(table._repr_html_())
    assert shown.captions == ["forward", "backward"]
    written = [re.split(r"\s{2,}", line.strip()) for line in str(table).split("\n") if "  " in line]
    assert [[cell for cell in row if cell] for row in shown.rows] == written


def test_labels_are_text_in_html():
    a = Value(2.0, label='<script>alert("a & b")</script>')
    shown = Tables(trace(a * a)._repr_html_())
    assert "script" not in shown.tags
    assert shown.rows[1][1] == a.label
    assert shown.rows[2][2] == f"({a.label}) * ({a.label})"


def test_a_label_of_two_lines_stays_in_its_row():
    a = Value(2.0, label="two\nlines")
    assert len(str(trace(a)).split("\n")) == len(str(trace(Value(2.0))).split("\n"))


# What a script gets.


def test_json_holds_both_passes(result):
    table = trace(result)
    passes = json.loads(table.to_json())
    for title, rows in (("forward", table.forward), ("backward", table.backward)):
        for got, row in zip(passes[title], rows, strict=True):
            *fields, pairs = row._fields
            assert [got[field] for field in fields] == list(row[:-1])
            assert [(table.names[place], x) for place, x in got[pairs]] == list(row[-1])
            assert table.names[got["node"]] == row.name


def test_json_has_no_word_for_nan_and_infinity():
    with pytest.raises(ValueError, match="Out of range"):
        json.dumps(math.nan, allow_nan=False)
    a = Value(math.inf, "a")
    passes = json.loads(trace(a - a).to_json(), parse_constant=pytest.fail)
    assert [row["value"] for row in passes["forward"]] == ["inf", "nan"]
    b = Value(0.0, "b")
    passes = json.loads(trace(b**0.5 * -1).to_json(), parse_constant=pytest.fail)
    assert passes["forward"][1]["slopes"] == [[0, "inf"]]
    assert passes["backward"][-1]["gradient"] == "-inf"
    assert float(passes["backward"][-1]["gradient"]) == -math.inf


@pytest.mark.parametrize("function", [neuron, lambda *inputs: diamond(inputs[0])])
def test_a_script_can_step_through_it(function):
    """Replay the backward pass from JSON alone."""
    value = computed(function, (-3.0, 1.0, 6.88, 2.0, 0.5))
    passes = json.loads(trace(value).to_json())
    grads = [0.0] * len(passes["forward"])
    grads[-1] = 1.0
    for row in passes["backward"]:
        for parent, share in row["contributions"]:
            grads[parent] += share
    value.backward()
    assert grads == [node.grad for node in trace(value).nodes]
