"""Sixteen bits: what rounding does to each number, where autocast rounds, what GradScaler does. PyTorch's are compared
in live_llm.py."""

import math
import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microlearn import Tensor
from microlearn.deep import (
    SGD,
    AdamW,
    Dropout,
    Embedding,
    binary_cross_entropy_with_logits,
    clip_grad_norm_,
    concatenate,
    cross_entropy,
    detect_anomaly,
    gelu,
    layer_norm,
    linear,
    log_softmax,
    manual_seed,
    mse_loss,
    no_grad,
    rms_norm,
    softmax,
    stack,
    where,
)
from microlearn.llm import GPT, GPTConfig, causal_attention, generate
from microlearn.llm.precision import HALF, GradScaler, autocast, precision_of, round_to

# digits behind the point, exponent of the smallest normal number, largest number
FORMATS = {"float16": (10, -14, 65504.0), "bfloat16": (7, -126, (2.0 - 2.0**-7) * 2.0**127)}
FLOATS = st.floats(width=32, allow_nan=False)
NEAR_16_BITS = st.tuples(
    st.integers(0, 2**16 - 1), st.sampled_from([0, 1, 2**12 - 1, 2**12, 2**12 + 1, 2**15 - 1, 2**15, 2**15 + 1])
)


def bits(array):
    return np.asarray(array, dtype=np.float32).view(np.uint32)


def step(x, dtype):
    """How far apart the numbers of a type are at x."""
    digits, lowest, _ = FORMATS[dtype]
    return Fraction(2) ** (max(math.frexp(x)[1] - 1, lowest) - digits)


def by_fractions(x, dtype):
    """Round one number exactly, as a child would: count steps, to the nearest, and of two to the even one."""
    if not math.isfinite(x):
        return x
    nearest = round(Fraction(x) / step(x, dtype)) * step(x, dtype)
    largest = FORMATS[dtype][2]
    return math.copysign(math.inf if abs(nearest) > largest else float(abs(nearest)), x)


# Rounding


def test_every_float16_stays_as_it_is():
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    wide = every.astype(np.float32)
    assert np.array_equal(round_to(wide, "float16"), wide, equal_nan=True)
    assert np.array_equal(np.signbit(round_to(wide, "float16")), np.signbit(wide))


def test_every_bfloat16_stays_as_it_is():
    wide = (np.arange(2**16, dtype=np.uint32) << 16).view(np.float32)
    assert np.array_equal(round_to(wide, "bfloat16"), wide, equal_nan=True)
    assert np.array_equal(bits(round_to(wide, "bfloat16")), bits(wide))


def test_float16_is_numpy_s_cast():
    drawn = np.random.default_rng(0).integers(0, 2**32, 200_000, dtype=np.uint32).view(np.float32)
    held = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)  # all from 0 up
    ties = (held[1:] + held[:-1]) / 2
    for given_ones in (drawn, ties, -ties, np.nextafter(ties, np.float32(np.inf)), np.nextafter(ties, np.float32(0.0))):
        with np.errstate(all="ignore"):
            wanted = given_ones.astype(np.float16).astype(np.float32)
        got = round_to(given_ones, "float16")
        assert np.array_equal(got, wanted, equal_nan=True)
        numbers = ~np.isnan(wanted)
        assert np.array_equal(np.signbit(got[numbers]), np.signbit(wanted[numbers]))


@pytest.mark.parametrize("dtype", HALF)
@given(x=FLOATS)
def test_rounding_is_to_the_nearest_and_of_two_to_the_even_one(dtype, x):
    got = round_to(x, dtype).item()
    assert got == by_fractions(x, dtype) and math.copysign(1.0, got) == math.copysign(1.0, x)
    if math.isfinite(got):
        assert abs(Fraction(got) - Fraction(x)) <= step(x, dtype) / 2


@pytest.mark.parametrize("dtype", HALF)
@given(pair=NEAR_16_BITS)
def test_rounding_at_and_beside_ties(dtype, pair):
    head, tail = pair
    for x in (np.uint32(head << 16 | tail).view(np.float32), np.uint32(head << 13 | tail).view(np.float32)):
        if not np.isnan(x):
            assert round_to(x, dtype).item() == by_fractions(float(x), dtype)


@pytest.mark.parametrize("dtype", HALF)
@given(numbers=st.lists(st.floats(width=32), min_size=1, max_size=8))
def test_rounding_twice_is_rounding_once(dtype, numbers):
    once = round_to(numbers, dtype)
    assert once.dtype == np.float32 and np.array_equal(round_to(once, dtype), once, equal_nan=True)


@pytest.mark.parametrize("dtype", HALF)
@given(a=FLOATS, b=FLOATS)
def test_rounding_keeps_the_order(dtype, a, b):
    low, high = round_to(sorted([a, b]), dtype)
    assert low <= high


@pytest.mark.parametrize("dtype", HALF)
def test_what_is_no_finite_number_stays(dtype):
    odd_nans = np.array([0x7F800001, 0x7FFFFFFF, 0xFFFFFFFF, 0xFF800001], dtype=np.uint32).view(np.float32)
    assert np.isnan(round_to(odd_nans, dtype)).all()
    assert round_to([np.inf, -np.inf], dtype).tolist() == [np.inf, -np.inf]
    assert np.signbit(round_to([-0.0, -1e-45], dtype)).all()


def test_where_the_types_end():
    assert round_to([65504.0, 65519.996, 65520.0, -65520.0], "float16").tolist() == [65504, 65504, np.inf, -np.inf]
    least = 2.0**-24
    assert round_to([least, least / 2, np.nextafter(np.float32(least / 2), 1)], "float16").tolist() == [least, 0, least]
    assert round_to(np.float32(3.4e38), "bfloat16").item() == np.inf and round_to(1e-40, "bfloat16") > 0.0


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 4)])
def test_rounding_keeps_the_shape_and_leaves_what_it_reads_alone(dtype, shape):
    numbers = np.full(shape, 0.1, dtype=np.float32)
    got = round_to(numbers, dtype)
    assert got.shape == shape and not np.shares_memory(got, numbers) and (numbers == np.float32(0.1)).all()
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T / 3
    assert np.array_equal(round_to(turned, dtype), round_to(np.ascontiguousarray(turned), dtype))


def test_what_is_wider_is_read_as_float32():
    assert round_to(np.array([0.1]), "float16").dtype == np.float32 and round_to(1e300, "float16") == np.inf


@pytest.mark.parametrize("dtype", ["float32", "half", np.float16, None])
def test_another_type_is_refused(dtype):
    for refused in (lambda: round_to([1.0], dtype), lambda: autocast(dtype).__enter__()):
        with pytest.raises(ValueError, match="dtype: expected 'float16' or 'bfloat16', got"):
            refused()


# Where autocast rounds


def rows(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def leaf(*shape, seed=0):
    return Tensor(rows(*shape, seed=seed), requires_grad=True)


OTHERS = {  # what goes with what it reads
    "add": lambda x: x + x, "mul": lambda x: x * 0.5, "div": lambda x: x / 3.0, "neg": lambda x: -x,
    "gelu": gelu, "tanh": lambda x: x.tanh(), "relu": lambda x: x.relu(), "sqrt": lambda x: x.abs().sqrt(),
    "mean": lambda x: x.mean(axis=0), "max": lambda x: x.max(axis=0), "reshape": lambda x: x.reshape(-1),
    "transpose": lambda x: x.T, "index": lambda x: x[0], "concatenate": lambda x: concatenate([x, x]),
    "stack": lambda x: stack([x, x]), "where": lambda x: where(x.data > 0.0, x, 0.0), "dropout": Dropout(0.5),
}  # fmt: skip
IN_FLOAT32 = {
    "softmax": softmax, "log_softmax": log_softmax, "exp": lambda x: x.exp(), "log": lambda x: x.abs().log(),
    "pow": lambda x: x**2, "sum": lambda x: x.sum(), "layer_norm": lambda x: layer_norm(x, 4),
    "rms_norm": lambda x: rms_norm(x, 4), "cross_entropy": lambda x: cross_entropy(x, [0] * len(x)),
    "bce": lambda x: binary_cross_entropy_with_logits(x, np.ones(x.shape)),
    "mse": lambda x: mse_loss(x, np.ones(x.shape)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", HALF)
def test_which_operations_have_16_bits(dtype):
    x, w = leaf(3, 4), leaf(4, 4)
    with autocast(dtype):
        halves = [linear(x, w), linear(x, w, leaf(4)), x @ w, x.data @ w, causal_attention(leaf(2, 3, 12), 2)]
        assert {precision_of(y) for y in halves} == {dtype}
        for name, f in OTHERS.items():
            assert precision_of(f(halves[0])) == dtype, name
            assert precision_of(f(x)) == "float32", name
        for name, f in IN_FLOAT32.items():
            assert precision_of(f(halves[0])) == "float32", name
        assert precision_of(halves[0] + x) == precision_of(x + halves[0]) == "float32"  # the wider one
        assert precision_of(Embedding(5, 4)([1, 2])) == "float32"


@pytest.mark.parametrize("dtype", HALF)
def test_a_result_of_16_bits_holds_numbers_of_16_bits(dtype):
    with autocast(dtype):
        y = linear(leaf(3, 4), leaf(5, 4, seed=1), leaf(5, seed=2))
        for result in (y, *(f(y) for f in OTHERS.values())):
            assert np.array_equal(result.data, round_to(result.data, dtype)) and result.dtype == np.float32
        assert not np.array_equal(softmax(y).data, round_to(softmax(y).data, dtype))


@pytest.mark.parametrize("dtype", HALF)
def test_a_linear_layer_is_rounded_before_and_behind_and_so_are_its_gradients(dtype):
    def half(numbers):
        return round_to(numbers, dtype)

    x, w, b = leaf(3, 4), leaf(5, 4, seed=1), leaf(5, seed=2)
    arriving = rows(3, 5, seed=3).astype(np.float32)
    with autocast(dtype):
        y = linear(x, w, b)
    assert np.array_equal(y.data, half(half(x.data) @ half(w.data).T + half(b.data)))
    (y * arriving).sum().backward()  # outside: the graph knows where it was rounded
    g = half(arriving)
    assert np.array_equal(x.grad, half(g @ half(w.data)))
    assert np.array_equal(w.grad, half(g.T @ half(x.data)))
    assert np.allclose(b.grad, half(g.sum(0)))
    assert {p.grad.dtype for p in (x, w, b)} == {np.dtype(np.float32)}


def test_gradients_in_a_leaf_add_up_in_float32():
    w = Tensor([[1.0]], requires_grad=True)
    for small in (1.0, 2.0**-20):
        with autocast("float16"):
            y = Tensor([[1.0]]) @ w
        (y * small).sum().backward()
    assert w.grad.item() == 1.0 + 2.0**-20


def test_a_gradient_below_the_smallest_float16_is_lost_and_a_scale_keeps_it():
    for scale, wanted in ((1.0, 0.0), (2.0**10, 2.0**-30)):
        w = Tensor([[1.0]], requires_grad=True)
        with autocast("float16"):
            y = Tensor([[1.0]]) @ w
        (y * (2.0**-30 * scale)).sum().backward()
        assert w.grad.item() / scale == wanted


@pytest.mark.parametrize(("dtype", "apart"), [("float16", 2.0**-9), ("bfloat16", 2.0**-6)])
def test_a_gpt_s_loss_and_gradients_are_nearly_those_of_float32(dtype, apart):
    model, idx = small_gpt(), np.random.default_rng(0).integers(0, 11, (4, 6))

    def asked(enabled):
        model.zero_grad()
        with autocast(dtype, enabled):
            _, loss = model(idx, idx[:, ::-1])
        (loss * 1024.0).backward()
        return loss.item(), np.concatenate([p.grad.ravel() for p in model.parameters()])

    (exact, wanted), (rounded, got) = asked(False), asked(True)
    assert 0.0 < np.linalg.norm(got - wanted) < apart * np.linalg.norm(wanted)
    assert rounded == pytest.approx(exact, rel=apart) and rounded != exact


def small_gpt():
    manual_seed(0)
    model = GPT(GPTConfig(block_size=6, vocab_size=11, n_layer=2, n_head=2, n_embd=8))
    for p in model.parameters():
        p.data += 0.3 * np.random.default_rng(p.size).normal(size=p.shape)
    return model


def test_a_parameter_is_not_touched():
    model = small_gpt()
    before = {name: array.copy() for name, array in model.state_dict().items()}
    with autocast("bfloat16"):
        model([[1, 2, 3]], [[2, 3, 4]])[1].backward()
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_float64_is_left_alone():
    x = Tensor(rows(3, 3), requires_grad=True, dtype=np.float64)
    with autocast("float16"):
        y = x @ x
        z = (Tensor([[0.1]]) @ Tensor([[1.0]])).astype(np.float64)
    assert precision_of(y) == precision_of(z) == "float64" and np.array_equal(y.data, x.data @ x.data)


def test_outside_nothing_is_rounded():
    x = leaf(3, 4)
    plain = (x @ x.T).data
    with pytest.raises(ZeroDivisionError), autocast("float16"):
        raise ZeroDivisionError
    assert np.array_equal((x @ x.T).data, plain) and precision_of(x @ x.T) == "float32"
    with autocast("float16"):
        y = x @ x.T
    assert precision_of(y) == "float16" and precision_of(y * 2.0) == "float32"


def test_the_innermost_counts():
    x = leaf(2, 2)
    with autocast("float16"):
        half = x @ x
        with autocast("bfloat16"):
            assert precision_of(x @ x) == precision_of(half @ x) == "bfloat16"
            assert precision_of(half + x @ x) == "float32"  # neither holds the other
        with autocast("float16", enabled=False):
            assert precision_of(x @ x) == "float32"
        assert precision_of(x @ x) == "float16"


def test_another_thread_computes_as_before():
    x, found = leaf(2, 2), []
    with autocast("float16"):
        thread = threading.Thread(target=lambda: found.append(precision_of(x @ x)))
        thread.start()
        thread.join()
    assert found == ["float32"]


@pytest.mark.parametrize("looks_first", [True, False])
def test_it_goes_together_with_looking_for_nans(looks_first):
    x = Tensor([[300.0, -300.0]], requires_grad=True)
    contexts = [detect_anomaly(), autocast("float16")]
    first, second = contexts if looks_first else contexts[::-1]
    with pytest.raises(FloatingPointError, match="the result of sub"), first, second:
        y = x.T @ x  # 90,000 is infinite in float16
        y - y


def test_it_rounds_where_nothing_is_remembered_too():
    with no_grad(), autocast("bfloat16"):
        y = leaf(3, 4) @ leaf(4, 3)
    assert precision_of(y) == "bfloat16" and not y.requires_grad and y.parents == ()
    assert np.array_equal(y.data, round_to(y.data, "bfloat16"))


def test_a_model_writes_with_16_bits():
    model = small_gpt()
    with autocast("float16"):
        cached, plain = (generate(model, [1, 2], 4, temperature=0, use_cache=use) for use in (True, False))
    assert cached == plain == generate(model, [1, 2], 4, temperature=0)


# GradScaler


def give(parameter, grad, scaler):
    """Let a parameter have this gradient, times the scale, as after backward."""
    parameter.grad = np.full(parameter.shape, grad, dtype=np.float32) * np.float32(scaler.get_scale())


def test_a_step_with_a_scale_is_the_step_without():
    moved = []
    for scaler in (GradScaler(), GradScaler(enabled=False)):
        model = small_gpt()
        adamw = AdamW(model.parameters(), lr=1e-2)
        for _ in range(3):
            _, loss = model([[1, 2, 3]], [[2, 3, 4]])
            adamw.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(adamw)
            clip_grad_norm_(model.parameters(), 0.5)
            scaler.step(adamw)
            scaler.update()
        moved.append(np.concatenate([p.data.ravel() for p in model.parameters()]))
    assert np.array_equal(*moved)  # a power of two changes no digit


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_step_with_an_infinite_gradient_is_left_out(bad):
    w, v = leaf(3), leaf(2)
    adamw, scaler = AdamW([w, v]), GradScaler()
    before = w.data.copy(), adamw.state_dict()
    give(w, 1.0, scaler)
    give(v, bad, scaler)
    scaler.step(adamw)
    assert np.array_equal(w.data, before[0])
    assert all(np.array_equal(array, before[1][name]) for name, array in adamw.state_dict().items())
    assert scaler.get_scale() == 65536.0
    scaler.update()
    assert scaler.get_scale() == 32768.0


def test_the_scale_grows_after_good_steps_in_a_row():
    w = leaf(1)
    sgd, scaler = SGD([w], lr=0.0), GradScaler(8.0, growth_factor=3.0, backoff_factor=0.25, growth_interval=2)
    seen = []
    for grad in (1.0, 1.0, 1.0, np.inf, 1.0, 1.0, np.nan):
        give(w, grad, scaler)
        scaler.step(sgd)
        scaler.update()
        seen.append(scaler.get_scale())
    assert seen == [8.0, 24.0, 24.0, 6.0, 6.0, 18.0, 4.5]


def test_the_scale_stays_below_infinity():
    w, scaler = leaf(1), GradScaler(2.0**126, growth_interval=1)
    sgd = SGD([w])
    for _ in range(3):
        w.grad = np.ones(1, dtype=np.float32)
        scaler.step(sgd)
        scaler.update()
    assert scaler.get_scale() == 2.0**127


def test_what_no_scale_can_mend_is_said():
    w, scaler = leaf(1), GradScaler(2.0**-120, backoff_factor=2.0**-40)
    sgd = SGD([w])
    w.grad = np.full(1, np.nan, dtype=np.float32)
    scaler.step(sgd)
    with pytest.raises(FloatingPointError, match="infinite or nan at every scale"):
        scaler.update()


def test_one_bad_optimizer_holds_back_itself_alone_and_the_scale():
    w, v = leaf(1), leaf(1, seed=1)
    good, bad, scaler = SGD([w], lr=1.0), SGD([v], lr=1.0), GradScaler()
    before = w.item(), v.item()
    give(w, 1.0, scaler)
    give(v, np.inf, scaler)
    scaler.step(good)
    scaler.step(bad)
    scaler.update()
    assert w.item() == pytest.approx(before[0] - 1.0) and v.item() == before[1] and scaler.get_scale() == 32768.0


def test_parameters_without_a_gradient_are_passed_over():
    w, v = leaf(1), leaf(1)
    sgd, scaler = SGD([w, v], lr=1.0), GradScaler()
    before = w.item(), v.item()
    give(w, 1.0, scaler)
    scaler.step(sgd)
    assert (w.item(), v.item()) == (pytest.approx(before[0] - 1.0), before[1])


def test_what_is_called_in_the_wrong_order_is_named():
    w, scaler = leaf(1), GradScaler()
    sgd = SGD([w])
    with pytest.raises(RuntimeError, match="update: no gradients were looked at"):
        scaler.update()
    for ask in (scaler.unscale_, scaler.step):
        with pytest.raises(RuntimeError, match="unscale_: no parameter has a gradient"):
            ask(sgd)
    give(w, 1.0, scaler)
    scaler.unscale_(sgd)
    with pytest.raises(RuntimeError, match="unscale_: these gradients are divided already"):
        scaler.unscale_(sgd)
    scaler.step(sgd)
    with pytest.raises(RuntimeError, match="unscale_: these gradients are divided already"):
        scaler.unscale_(sgd)
    with pytest.raises(RuntimeError, match="step: this optimizer has stepped already"):
        scaler.step(sgd)
    scaler.update()
    scaler.step(sgd)


def test_gradients_are_divided_once():
    w, scaler = leaf(1), GradScaler(4.0)
    sgd = SGD([w], lr=1.0)
    before = w.item()
    give(w, 1.0, scaler)
    scaler.unscale_(sgd)
    assert w.grad.item() == 1.0
    scaler.step(sgd)
    assert w.item() == pytest.approx(before - 1.0)


def test_without_scaling_nothing_is_done():
    w, scaler = leaf(1), GradScaler(enabled=False)
    sgd = SGD([w], lr=1.0)
    before, loss = w.item(), w.sum()
    assert scaler.scale(loss) is loss and scaler.get_scale() == 1.0 and scaler.state_dict() == {}
    w.grad = np.full(1, 2.0, dtype=np.float32)
    for _ in range(2):
        scaler.unscale_(sgd)
        scaler.step(sgd)
        scaler.update()
    assert w.item() == pytest.approx(before - 4.0)
    scaler.load_state_dict({})


def run(scaler, grads, w, sgd):
    for grad in grads:
        give(w, grad, scaler)
        scaler.step(sgd)
        scaler.update()
    return scaler.state_dict()


@settings(max_examples=50)
@given(grads=st.lists(st.sampled_from([1.0, 1.0, 1.0, np.inf]), min_size=1, max_size=12), cut=st.integers(0, 12))
def test_a_scaler_goes_on_as_if_it_had_never_stopped(grads, cut):
    w = leaf(1)
    sgd = SGD([w], lr=0.0)
    whole = run(GradScaler(growth_interval=3), grads, w, sgd)
    first = run(GradScaler(growth_interval=3), grads[:cut], w, sgd)
    again = GradScaler()
    again.load_state_dict({name: np.asarray(number) for name, number in first.items()})
    assert run(again, grads[cut:], w, sgd) == whole
    assert list(whole) == ["scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"]
    assert type(again.state_dict()["growth_interval"]) is int


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"init_scale": 0.0}, "init_scale: expected a number above 0, got 0.0"),
        ({"init_scale": math.inf}, "init_scale: expected a number above 0, got inf"),
        ({"growth_factor": 1.0}, "growth_factor: expected a number above 1, got 1.0"),
        ({"backoff_factor": 1.0}, "backoff_factor: expected a number between 0 and 1, got 1.0"),
        ({"backoff_factor": 0.0}, "backoff_factor: expected a number between 0 and 1, got 0.0"),
        ({"growth_interval": 0}, "growth_interval: expected a whole number above zero, got 0"),
    ],
)
def test_settings_that_make_no_sense(settings, says):
    with pytest.raises(ValueError, match=says):
        GradScaler(**settings)


def test_the_state_of_something_else_is_refused():
    scaler = GradScaler()
    state = scaler.state_dict()
    for wrong in (3, {}, state | {"lr": 1.0}, {k: v for k, v in state.items() if k != "scale"}):
        with pytest.raises(ValueError, match="load_state_dict: expected scale, growth_factor"):
            scaler.load_state_dict(wrong)
    with pytest.raises(ValueError, match="growth_factor"):
        scaler.load_state_dict(state | {"growth_factor": 0.5})
    assert scaler.state_dict() == state


# Training


def trained(dtype, enabled=True, scaled=False, parts=2**16, steps=60):
    """Train on one of many parts of a batch: the others are taken to say the same."""
    manual_seed(0)
    model = GPT(GPTConfig(block_size=16, vocab_size=8, n_layer=2, n_head=2, n_embd=16))
    adamw, scaler = AdamW(model.parameters(), lr=1e-2), GradScaler(enabled=scaled)
    rng = np.random.default_rng(0)
    lost = []
    for _ in range(steps):
        start = rng.integers(0, 8, (8, 1))
        ids = (start + 3 * np.arange(17)) % 8
        with autocast(dtype, enabled):
            _, loss = model(ids[:, :-1], ids[:, 1:])
        adamw.zero_grad()
        scaler.scale(loss / parts).backward()
        for p in model.parameters():
            p.grad *= parts
        scaler.step(adamw)
        scaler.update()
        lost.append(loss.item())
    return np.mean(lost[-10:])


def test_float16_needs_a_scale_and_bfloat16_does_not():
    exact = trained("float16", enabled=False)
    assert trained("float16", scaled=True) == pytest.approx(exact, abs=0.05)
    assert trained("bfloat16") == pytest.approx(exact, abs=0.1)
    assert trained("float16") > exact + 0.3
