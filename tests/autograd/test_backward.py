"""The backward walk: its order, what it adds up, how deep it goes, and what it leaves in memory."""

import gc
import re
import tracemalloc
from contextlib import contextmanager

import pytest

from microlearn import Value
from microlearn.autograd import backward, topological_order
from tests.autograd.expressions import TABLE, assert_agree, diamond, micrograd_readme, squares_reused, value_says


def ladder(x, rungs):
    """Double a number again and again; there are 2**rungs ways from the top to the bottom."""
    for _ in range(rungs):
        x = x + x
    return x


# The order.


@pytest.mark.parametrize("name", TABLE)
def test_parents_come_before_children_and_each_node_once(name):
    function, inputs = TABLE[name]
    order = topological_order(function(*map(Value, inputs)))
    place = {node: i for i, node in enumerate(order)}
    assert len(place) == len(order)
    assert all(place[parent] < place[node] for node in order for parent in node.parents if parent.parents)


def test_leaves_are_not_listed():
    a = Value(2.0)
    product = a * 3
    assert topological_order(a) == []
    assert topological_order(product) == [product]


def test_each_node_is_visited_once_however_many_ways_lead_to_it():
    x = Value(1.0)
    ladder(x, 60).backward()
    assert x.grad == 2.0**60


@pytest.mark.parametrize("walk", [backward, topological_order])
@pytest.mark.parametrize("wrong", [3.0, None, [Value(1.0)]])
def test_a_walk_begins_at_a_node(walk, wrong):
    said = f"root: expected a node that has parents, such as a Value, got {type(wrong).__name__}: {wrong!r}"
    with pytest.raises(TypeError, match=re.escape(said)):
        walk(wrong)


# The sums.


@pytest.mark.parametrize("name", TABLE)
def test_a_second_call_accumulates_in_the_leaves(name):
    function, inputs = TABLE[name]
    leaves = [Value(x) for x in inputs]
    result = function(*leaves)
    result.backward()
    result.backward()
    once = value_says(function, inputs)
    twice = {"value": result.data, "grads": [leaf.grad for leaf in leaves]}
    assert_agree(name, inputs, twice, {"value": once["value"], "grads": [2 * grad for grad in once["grads"]]})


def test_a_second_result_accumulates_in_shared_leaves():
    a = Value(3.0)
    (a * a).backward()
    (a * 4).backward()
    assert a.grad == 10.0


def test_interior_gradients_start_again_from_zero():
    a = Value(3.0)
    square = a * a
    cube = square * a
    cube.backward()
    cube.backward()
    assert (cube.grad, square.grad, a.grad) == (1.0, 3.0, 54.0)


def test_backward_from_the_middle_then_from_the_top():
    a = Value(3.0)
    square = a * a
    double = square * 2
    square.backward()
    double.backward()
    assert (square.grad, a.grad) == (2.0, 6.0 + 12.0)


def test_backward_on_a_leaf_is_the_derivative_of_a_thing_by_itself():
    a = Value(3.0)
    a.backward()
    assert a.grad == 1.0
    a.backward()
    assert a.grad == 2.0


def test_the_gradient_can_be_set_back_by_hand():
    a = Value(3.0)
    square = a * a
    square.backward()
    a.grad = 0.0
    square.backward()
    assert a.grad == 6.0


def test_only_ancestors_are_touched():
    a, b = Value(3.0), Value(4.0)
    result, bystander = a * a, a * b
    bystander.grad = 7.0
    result.backward()
    assert (a.grad, b.grad, bystander.grad) == (6.0, 0.0, 7.0)


@pytest.mark.parametrize(("function", "x", "slope"), [(lambda x: x * x, 3.0, 6.0), (squares_reused, 2.0, 32.0)])
def test_reuse_adds_up(function, x, slope):
    assert value_says(function, [x])["grads"] == [slope]


def test_a_node_of_three_parents_passes_on_to_each():
    a, b = Value(2.0), Value(5.0)
    node = a + b  # stands in for the n-ary nodes that neurons are made of
    node.parents, node.slopes = (a, b, a), (10.0, 20.0, 30.0)
    node.backward()
    assert (a.grad, b.grad) == (40.0, 20.0)


def test_whatever_has_parents_grad_and_a_rule_can_be_walked():
    class Node:
        def __init__(self, *parents):
            self.parents, self.grad = parents, 0.0

        def pass_gradient_on(self):
            for parent in self.parents:
                parent.grad += 5.0 * self.grad

    leaf = Node()
    backward(Node(Node(leaf), leaf))
    assert leaf.grad == 5.0 * 5.0 + 5.0


# Depth and memory.


def test_a_chain_of_100_000_nodes():
    x = Value(1.0)
    end = x
    for _ in range(100_000):
        end = end + x
    end.backward()
    assert (end.data, x.grad) == (100_001.0, 100_001.0)


@contextmanager
def without_collector():
    """Leave freeing to reference counting alone."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def live_values():
    return sum(type(thing) is Value for thing in gc.get_objects())


def learn(steps):
    """Build a graph, walk it back and drop it, over and over, as training does."""
    a, b = Value(-4.0), Value(2.0)
    for _ in range(steps):
        (micrograd_readme(a, b) + diamond(b)).backward()
        a.grad = b.grad = 0.0


def test_no_node_outlives_its_step():
    with without_collector():
        before = live_values()
        learn(steps=1000)
        assert live_values() == before


def test_memory_stays_flat():
    with without_collector():
        tracemalloc.start()
        try:
            learn(steps=10)
            before, _ = tracemalloc.get_traced_memory()
            learn(steps=1000)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert after - before < 5_000  # bytes; one step's graph is larger than that
