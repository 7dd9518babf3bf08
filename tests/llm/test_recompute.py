"""What is computed again: the same values and gradients bit for bit, with less memory, in every order and nesting."""

import copy
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microlearn import Tensor
from microlearn.autograd import topological_order
from microlearn.deep import (
    Dropout,
    Linear,
    Parameter,
    Sequential,
    Tanh,
    detect_anomaly,
    generator,
    manual_seed,
    no_grad,
)
from microlearn.llm import GPT, GPTConfig, KVCache, autocast, check_model, generate, precision_of, recompute, train

SIZES = {"block_size": 8, "vocab_size": 11, "n_layer": 3, "n_head": 2, "n_embd": 16}
IDX, TARGETS = np.random.default_rng(0).integers(0, 11, (2, 4, 8))


def tensor(*shape, seed=1, requires_grad=True):
    return Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=requires_grad)


def call(function, *inputs):
    """The plain call, which every test compares with."""
    return function(*inputs)


def gpt(on=True, **changes):
    manual_seed(0)
    model = GPT(GPTConfig(**SIZES | changes))
    model.transformer.recompute = on
    return model


def bits(*tensors):
    """Everything that a walk leaves behind, and where the generator stands."""
    grads = [None if one.grad is None else one.grad.tobytes() for one in tensors]
    return grads, generator().bit_generator.state


def same(build, *leaves, **how):
    """Build a result with the plain call and with recompute; walk back twice; compare every bit."""
    found = []
    for way in (call, recompute):
        manual_seed(3)
        for leaf in leaves:
            leaf.grad = None
        result = build(way)
        for _ in range(2):
            result.sum().backward(**how)
            found.append((result.data.tobytes(), bits(*leaves)))
    assert found[:2] == found[2:]
    assert found[0] != found[1], "the second walk adds nothing"


both_ways = pytest.mark.parametrize("retain", [True, False])


# The same, bit for bit


@both_ways
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_gpt_gets_the_gradients_of_the_plain_one(dropout, retain):
    found = []
    for on in (False, True):
        model = gpt(on, dropout=dropout)
        loss = model(IDX, TARGETS)[1]
        first = loss.item(), bits()
        loss.backward(retain)
        once = bits(*model.parameters())
        loss.backward(retain)
        found.append((first, once, bits(*model.parameters())))
    assert found[0] == found[1]
    assert None not in found[0][1][0]


@both_ways
def test_an_input_that_is_used_inside_twice_and_outside_as_well(retain):
    x = tensor(3, 4)
    for outside in (lambda y: 0.0, lambda y: y * y):
        same(lambda way, f=outside: way(lambda y: y.exp() * y + y, x * 0.3) + f(x), x, retain_grads=retain)

    def in_between(way):
        y = x * 0.7
        return (y * 1.1 + way(lambda y: y.exp() * y.tanh() + y, y)) * y + y

    same(in_between, x, retain_grads=retain)


@both_ways
def test_inputs_of_every_kind(retain):
    x, y, constant = tensor(3, 4), tensor(4, seed=2), tensor(3, 4, seed=3, requires_grad=False)

    def function(a, b, c, d, rows, scale, nothing):
        assert nothing is None
        return (a * b + c * a)[rows] * scale + d[rows]

    def build(way):
        computed = x * 2.0
        return way(function, computed, y, constant, computed, np.array([0, 2, 2]), 0.5, None)

    same(build, x, y, retain_grads=retain)
    assert constant.grad is None


def test_a_parameter_inside_gets_its_gradient_where_no_input_wants_one():
    layer, x = Linear(4, 4), tensor(3, 4, requires_grad=False)
    same(lambda way: way(layer, x), *layer.parameters())
    same(lambda way: way(layer, x.numpy()), *layer.parameters())
    same(lambda way: way(lambda: layer(x)), *layer.parameters())
    assert recompute(layer, x).requires_grad


@both_ways
def test_a_parameter_shared_by_several_calls_and_by_the_outside(retain):
    weight, x = Parameter(np.random.default_rng(0).normal(size=(4, 4))), tensor(3, 4)

    def build(way):
        y = x
        for _ in range(3):
            y = way(lambda y: (y @ weight).tanh() @ weight, y)
        return (y @ weight) * weight.sum()

    same(build, weight, x, retain_grads=retain)


@both_ways
def test_inside_one_another(retain):
    layers, x = [Sequential(Linear(4, 4), Dropout(0.4), Tanh()) for _ in range(4)], tensor(3, 4)

    def pair(way, a, b):
        return lambda y: way(b, way(a, y))

    def build(way):
        return way(lambda y: way(pair(way, *layers[2:]), way(pair(way, *layers[:2]), y)), x * 1.0)

    same(build, x, *(p for layer in layers for p in layer.parameters()), retain_grads=retain)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["linear", "tanh", "drop", "add"]), min_size=1, max_size=8), st.data())
def test_however_a_chain_is_cut(kinds, data):
    """Segments of a chain with steps to the side, each recomputed or not, or as a whole as well."""
    manual_seed(0)
    kept = Linear(4, 4)
    parts = {"linear": kept, "tanh": Tanh(), "drop": Dropout(0.3), "add": lambda x: x + kept(x) * x}
    chain = [parts[kind] for kind in kinds]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(chain)), max_size=3)))
    segments = [chain[a:b] for a, b in zip([0, *cuts], [*cuts, len(chain)], strict=True)]
    marked = data.draw(st.lists(st.booleans(), min_size=len(segments), max_size=len(segments)))
    whole = data.draw(st.booleans())
    x = tensor(3, 4)

    def build(way):
        def run(segment):
            def function(y):
                for part in segment:
                    y = part(y)
                return y

            return function

        def everything(y):
            for segment, mark in zip(segments, marked, strict=True):
                y = (way if mark else call)(run(segment), y)
            return y

        return (way if whole else call)(everything, x) * 1.0

    same(build, x, *kept.parameters())


def test_a_training_in_parts_ends_with_the_same_weights():
    ids = np.random.default_rng(0).integers(0, 11, 400)
    ends = []
    for on in (False, True):
        model = gpt(on, dropout=0.2)
        history = train(model, ids, 6, batch_size=2, accumulation=2, eval_interval=3, eval_iters=2, progress=False)
        ends.append((model.state_dict(), history.val_loss))
    assert ends[0][1] == ends[1][1]
    assert all(np.array_equal(ends[0][0][name], array) for name, array in ends[1][0].items())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("inside", [False, True])
def test_numbers_of_16_bits_are_rounded_the_second_time_as_the_first(dtype, inside):
    found = []
    for on in (False, True):
        model = gpt(on, dropout=0.2)
        with autocast(dtype):
            loss = model(IDX, TARGETS)[1]
            if inside:
                loss.backward()
        if not inside:
            loss.backward()
        found.append((loss.item(), bits(*model.parameters())))
    assert found[0] == found[1]


def test_a_result_of_16_bits_says_so():
    layers, x, found = [Linear(6, 6), Linear(6, 6)], tensor(4, 6), []
    for way in (call, recompute):
        x.grad = None
        with autocast("bfloat16"):
            y = way(lambda y: layers[1](y) * y, way(layers[0], x))
            assert precision_of(y) == "bfloat16"
            loss = (y * y).sum()
        loss.backward()
        found.append(bits(x))
    assert found[0] == found[1]


# When there is nothing to do


def test_without_a_record_it_is_the_plain_call():
    x, seen = tensor(3) * 2.0, []
    with no_grad():
        result = recompute(lambda y: seen.append(y) or y * 2.0, x)
    assert seen == [x]
    assert type(result) is Tensor
    assert not result.parents


def test_what_needs_no_gradient_is_not_computed_again():
    layer, x = Linear(4, 4), tensor(3, 4, requires_grad=False)
    for parameter in layer.parameters():
        parameter.requires_grad = False
    result = recompute(layer, x)
    assert type(result) is Tensor
    assert not result.requires_grad
    assert not recompute(lambda y: (y * 2.0).detach(), tensor(3)).requires_grad


def test_an_input_that_is_handed_through_is_that_input():
    leaf = tensor(3)
    computed = leaf * 2.0
    assert recompute(lambda x, y: y, leaf, computed) is computed
    assert recompute(lambda x, y: x, leaf, computed) is leaf


def test_a_walk_outside_of_the_record_records_again():
    x = tensor(3)
    result = recompute(lambda y: y * y, x).sum()
    with no_grad():
        result.backward()
        assert not (x * x).requires_grad
    np.testing.assert_array_equal(x.grad, 2.0 * x.data)


def test_it_may_be_the_result_itself():
    x = tensor(3)
    loss = recompute(lambda y: (y * y).sum(), x)
    loss.backward()
    np.testing.assert_array_equal(x.grad, 2.0 * x.data)
    assert isinstance(loss.grad, np.ndarray)
    assert loss.grad == 1.0


def test_gradients_between_are_kept_or_not_as_without():
    x = tensor(3)
    for retain in (True, False):
        y = x * 2.0
        z = recompute(lambda y: y * y, y)
        z.sum().backward(retain)
        assert [one.grad is not None for one in (y, z)] == [retain, retain]
    x.grad = None
    y = x * 2.0
    z = recompute(lambda y: y * y, y)
    z.sum().backward()
    np.testing.assert_array_equal(y.grad, 2.0 * y.data)
    np.testing.assert_array_equal(z.grad, np.ones(3))


def test_a_gradient_belongs_to_nobody_else():
    x = tensor(3)
    y = x * 1.0
    z = recompute(lambda y: y + 0.0, y)
    z.sum().backward()
    assert not np.shares_memory(y.grad, x.grad)
    x.grad += 1.0
    np.testing.assert_array_equal(y.grad, np.ones(3))


def test_a_gradient_that_others_hold_is_not_added_to():
    x = tensor(3)
    y = x * 1.0
    z = recompute(lambda y: y * y, y)
    total = y + z
    total.sum().backward()
    for one in (total, z):
        np.testing.assert_array_equal(one.grad, np.ones(3))


def test_a_computed_tensor_may_be_frozen():
    x, weight = tensor(3), tensor(3, seed=2)

    def build(way):
        y = x * 2.0
        y.requires_grad = False
        return way(lambda y: y * weight, y)

    same(build, weight, x)


# Memory


def alive_after(way):
    """Whether a tensor of the way there is alive once the result is there."""
    made = []

    def function(x):
        y = x.exp()
        made.append(weakref.ref(y))
        return y * y

    result = way(function, tensor(3))
    return made[0]() is not None and result is not None


def test_nothing_of_the_way_there_is_kept():
    assert alive_after(call)
    assert not alive_after(recompute)


def test_nor_of_the_way_back():
    made = []

    def function(x):
        y = x.exp()
        made.append(weakref.ref(y))
        return y * y

    result = recompute(function, tensor(3))
    result.sum().backward()
    assert len(made) == 2
    assert result is not None
    assert made[1]() is None


def test_gradients_inside_are_given_up_on_the_way():
    runs = []

    def function(x):
        y = x.exp()
        runs.append(y if runs else None)  # the second run's is kept, to be looked at
        return y * y

    recompute(function, tensor(3)).sum().backward(retain_grads=True)
    assert runs[1].grad is None


def peak(on, n_layer):
    """How many bytes the way there and back take at most."""
    manual_seed(0)
    model = GPT(GPTConfig(32, 11, n_layer, 2, 32))
    model.transformer.recompute = on
    idx, targets = np.random.default_rng(0).integers(0, 11, (2, 8, 32))
    model(idx, targets)[1].backward(retain_grads=False)  # gradients and masks are there
    tracemalloc.start()
    try:
        model(idx, targets)[1].backward(retain_grads=False)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_layer_more_costs_its_input_and_not_its_insides():
    plain, again = (peak(on, 6) - peak(on, 3) for on in (False, True))
    mark = 3 * 8 * 32 * 32 * 4
    assert mark <= again < 1.3 * mark
    assert plain > 15 * mark


# Random numbers


def test_the_generator_stands_where_the_plain_call_leaves_it():
    manual_seed(0)
    drop, x = Dropout(0.5), tensor(100)
    result = recompute(drop, x)
    after = generator().bit_generator.state
    manual_seed(0)
    drop(x)
    assert generator().bit_generator.state == after
    generator().random(7)
    now = generator().bit_generator.state
    result.sum().backward()
    assert generator().bit_generator.state == now
    assert ((x.grad == 0.0) == (result.data == 0.0)).all()


def test_another_result_the_second_time_is_an_error():
    rng, x = np.random.default_rng(0), tensor(100)

    def own(x):
        return x * rng.random(100).astype(np.float32)

    said = "recompute: the second run of own came to another result than the first: does it draw from a generator"
    before = generator().bit_generator.state
    result = recompute(own, x)
    with pytest.raises(RuntimeError, match=said):
        result.sum().backward()
    assert generator().bit_generator.state == before
    assert (x * 2.0).requires_grad


def test_parameters_that_moved_in_between_are_an_error():
    model = gpt(dropout=0.2)
    loss = model(IDX, TARGETS)[1]
    model.transformer.h[1].mlp.c_fc.weight.data *= 1.01
    with pytest.raises(RuntimeError, match="the second run of Block came to another result"):
        loss.backward()
    loss = model(IDX, TARGETS)[1]
    model.eval()
    with pytest.raises(RuntimeError, match=r"or were parameters, inputs or train\(\) changed in between"):
        loss.backward()


def test_a_shape_that_changed_is_another_result():
    sizes, x = iter([3, 2]), tensor(3)
    result = recompute(lambda x: x[: next(sizes)] * 1.0, x)
    with pytest.raises(RuntimeError, match="another result"):
        result.sum().backward()


def test_rounding_and_nan_are_no_other_result():
    factors, x = iter([1.0, 1.0 + 1e-6]), tensor(100)
    result = recompute(lambda x: x * next(factors) + np.float32(np.nan) * np.eye(100, dtype=np.float32)[3], x)
    result.sum().backward()
    assert np.isfinite(x.grad).all()


def test_an_error_inside_leaves_everything_as_it_was():
    x, calls = tensor(3), []

    def function(x):
        calls.append(generator().random())
        if len(calls) == 2:
            raise KeyError("second")
        return x * 2.0

    result = recompute(function, x).sum()
    before = generator().bit_generator.state
    with no_grad(), pytest.raises(KeyError, match="second"):
        result.backward()
    assert generator().bit_generator.state == before
    assert calls[0] == calls[1]
    assert (x * 2.0).requires_grad


def test_each_thread_for_itself():
    """Recording in one thread goes on while another walks back without."""
    x, recorded = tensor(3), []

    def function(x):
        recorded.append(_in_a_thread(lambda: (tensor(3) * 2.0).requires_grad))
        return x * x

    result = recompute(function, x).sum()
    with no_grad():
        result.backward()
    assert recorded == [True, True]


def _in_a_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


# What is refused


def test_what_cannot_be_called_is_named():
    with pytest.raises(TypeError, match=r"expected a function and then its inputs, got Tensor.*not recompute\(block\("):
        recompute(tensor(3) * 2.0)


@pytest.mark.parametrize("way", [no_grad, lambda: detect_anomaly()])
def test_one_tensor_comes_back_or_an_error(way):
    def pair(x):
        return x, x

    with way(), pytest.raises(TypeError, match="recompute: pair has to return one Tensor, and returned \\(Tensor"):
        recompute(pair, tensor(3))


def test_what_was_computed_outside_has_to_be_an_input():
    x = tensor(3)
    outside = (x * 2.0).exp()
    said = r"the result of exp, of shape \(3,\), outlives <lambda>: what was computed outside has to be an input"
    with pytest.raises(ValueError, match=said):
        recompute(lambda x: x * outside, x)
    same(lambda way: way(lambda x, y: x * y, x, (x * 2.0).exp()), x)


def test_what_is_kept_from_inside_is_named():
    kept = []
    with pytest.raises(ValueError, match=r"the result of tanh, of shape \(3,\), outlives"):
        recompute(lambda x: kept.append(x.tanh()) or kept[-1] * 2.0, tensor(3))


def test_a_circle_of_references_inside_keeps_nothing():
    def function(x):
        y = x.tanh()

        def power(n):  # holds y, and itself
            return y if n == 1 else y * power(n - 1)

        return power(3)

    x = tensor(3)
    same(lambda way: way(function, x), x)


def test_an_anomaly_inside_is_found_and_named():
    x = Tensor([0.0], requires_grad=True)
    with detect_anomaly():
        result = recompute(lambda x: x.sqrt() * 0.0, x)
        with pytest.raises(FloatingPointError, match="the gradient that sqrt passes back"):
            result.sum().backward()
        with pytest.raises(FloatingPointError, match="the result of sqrt"):
            recompute(lambda x: x.sqrt(), x - 1.0)
    with np.errstate(all="ignore"):
        recompute(lambda x: x.sqrt() * 0.0, x).sum().backward()
    assert np.isnan(x.grad).all()


# The switch of a GPT


def test_unless_switched_on_a_gpt_remembers():
    model = GPT(GPTConfig(**SIZES))
    assert model.transformer.recompute is False
    assert not [one for one in topological_order(model(IDX)[0]) if one.op == "recompute"]
    model.transformer.recompute = True
    assert [one.op for one in topological_order(model(IDX)[0])].count("recompute") == 3
    assert copy.deepcopy(model).transformer.recompute


def test_the_switch_is_no_part_of_what_is_saved():
    assert set(gpt(True).state_dict()) == set(gpt(False).state_dict())


def test_with_a_cache_the_switch_does_nothing():
    tokens = [generate(gpt(on), [1, 2], 6, temperature=0, use_cache=kept) for on in (0, 1) for kept in (0, 1)]
    assert tokens == tokens[:1] * 4
    model = gpt()
    logits, _ = model(IDX[:1], cache=KVCache(model.config, 1))
    assert not [one for one in topological_order(logits) if one.op == "recompute"]


def test_it_passes_the_kit_of_invariants():
    report = check_model(gpt(), fresh=True, batch=(IDX[:, :-1], IDX[:, 1:]))
    assert report, report
    assert report["gradients"].verdict == "holds"
