"""The fixed-window model: as its parts have it, as nudging has it, blind to the future and to what left the window."""

import re

import numpy as np
import pytest

from microlearn.autograd import gradcheck
from microlearn.deep import AdamW, Module, Tensor, cross_entropy, manual_seed
from microlearn.llm import MLPLanguageModel, nearest

V, BLOCK, C, H = 7, 3, 4, 5


def made(seed=0, **sizes):
    manual_seed(seed)
    return MLPLanguageModel(**{"vocab_size": V, "block_size": BLOCK, "n_embd": C, "n_hidden": H} | sizes)


def some(shape, seed=0):
    return np.random.default_rng(seed).integers(0, V, shape)


def test_it_is_a_module_whose_parameters_are_as_many_as_the_formula_says():
    model = made()
    assert isinstance(model, Module)
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    assert shapes == {
        "wte.weight": (V + 1, C),
        "hidden.weight": (H, BLOCK * C),
        "hidden.bias": (H,),
        "lm_head.weight": (V, H),
        "lm_head.bias": (V,),
    }
    assert sum(p.size for p in model.parameters()) == (V + 1) * C + (BLOCK * C + 1) * H + (H + 1) * V


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 2), (3, 10)])
def test_every_position_is_scored_from_its_own_window_of_plain_numpy(shape):
    model, idx = made(), some(shape)
    logits, nothing = model(idx)
    assert logits.shape == (*shape, V) and nothing is None
    table, w, b, w2, b2 = (p.data for p in model.parameters())
    for row in range(shape[0]):
        for t in range(shape[1]):
            window = [idx[row, i] if i >= 0 else V for i in range(t - BLOCK + 1, t + 1)]  # oldest first
            x = np.concatenate([table[token] for token in window])
            np.testing.assert_allclose(logits.data[row, t], w2 @ np.tanh(w @ x + b) + b2, atol=1e-5)


def test_the_loss_is_the_mean_surprise_over_all_positions():
    model, idx, targets = made(), some((2, 5)), some((2, 5), 1)
    logits, loss = model(idx, targets)
    assert loss.item() == pytest.approx(cross_entropy(logits.reshape(10, V), targets.reshape(10)).item())


def test_the_future_and_what_left_the_window_move_nothing():
    model, idx = made(), some((1, 9))
    before = model(idx)[0].data
    for place in range(9):
        changed = idx.copy()
        changed[0, place] = (changed[0, place] + 1) % V
        moved = np.abs(model(changed)[0].data - before).max(axis=-1)[0] > 0
        assert moved.tolist() == [place <= t < place + BLOCK for t in range(9)]


def test_the_start_is_no_token_and_is_learned():
    model = made()
    _, loss = model(some((4, 1)), some((4, 1), 1))
    loss.backward()
    assert np.abs(model.wte.weight.grad[V]).max() > 0
    with pytest.raises(IndexError, match=f"idx: {V} is not a token id from 0 to {V - 1}"):
        model([[V]])


def test_every_gradient_is_what_nudging_says():
    model, idx, targets = made(), some((2, 4)), some((2, 4), 1)
    names = ["wte.weight", "hidden.weight", "hidden.bias", "lm_head.weight", "lm_head.bias"]

    def loss(*tensors):
        for name, tensor in zip(names, tensors, strict=True):
            layer, attribute = name.split(".")
            setattr(getattr(model, layer), attribute, tensor)
        return model(idx, targets)[1]

    inputs = [Tensor(parameter.data, dtype="float64") for parameter in model.parameters()]
    report = gradcheck(loss, *inputs, tolerance=1e-5)
    assert report, report


def test_it_begins_near_equal_shares_and_learns_a_text_by_heart():
    model = made(n_hidden=32)
    ids = np.array([[0, 1, 2, 0, 3, 4, 0, 5, 6]])  # what follows 0 depends on what stood before it
    adam = AdamW(model.parameters(), lr=0.03)
    losses = []
    for _ in range(150):
        _, loss = model(ids[:, :-1], ids[:, 1:])
        model.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert abs(losses[0] - np.log(V)) < 0.5
    assert losses[-1] < 0.02


def test_a_state_loads_into_another_and_answers_the_same(tmp_path):
    model, idx = made(), some((1, 4))
    model.save(tmp_path / "model.npz")
    other = made(seed=1).load(tmp_path / "model.npz")
    np.testing.assert_array_equal(model(idx)[0].data, other(idx)[0].data)


# nearest


def test_nearest_is_by_direction_and_not_by_length():
    table = [[1.0, 0.0], [100.0, 1.0], [0.9, 0.5], [-1.0, 0.0], [0.0, 0.0]]
    found = nearest(table, 0)
    assert [row for row, _ in found] == [1, 2, 4, 3]
    np.testing.assert_allclose([s for _, s in found], [0.99995, 0.8741573, 0.0, -1.0], rtol=1e-6)
    assert nearest(table, 0, n=2) == found[:2]
    assert nearest(Tensor(table), 0, n=1)[0][0] == 1
    assert nearest(table, 4)[0] == (0, 0.0)  # a row of zeros is as near to one as to another


def test_nearest_returns_five_and_of_equals_the_first():
    table = np.where(np.arange(60)[:, None] % 2, [1.0, 0.0], [1.0, 1.0])
    assert [row for row, _ in nearest(table, 0)] == [2, 4, 6, 8, 10]
    assert [row for row, _ in nearest(table, 0, n=60)] == [*range(2, 60, 2), *range(1, 60, 2)]


@pytest.mark.parametrize(
    ("error", "message", "action"),
    [
        (TypeError, "n_embd: expected a whole number above zero, got 1.5", lambda: made(n_embd=1.5)),
        (ValueError, "block_size: expected a whole number above zero, got 0", lambda: made(block_size=0)),
        (ValueError, "idx: expected token ids (B, T), got shape (3,)", lambda: made()([0, 1, 2])),
        (ValueError, "idx: expected token ids (B, T), got shape (1, 0)", lambda: made()([[]])),
        (TypeError, "idx: expected whole numbers", lambda: made()([[0.5]])),
        (IndexError, "idx: -1 is not a token id from 0 to 6", lambda: made()([[0, -1]])),
        (ValueError, "targets: expected one for each token, shape (1, 2), got (2,)", lambda: made()([[0, 1]], [1, 2])),
        (ValueError, "target 7 is not the number of a class", lambda: made()([[0]], [[7]])),
        (ValueError, "nearest: expected a table of vectors (N, C), got shape (2,)", lambda: nearest([1.0, 2.0], 0)),
        (IndexError, "nearest: there is no row 2 in a table of 2", lambda: nearest([[1.0], [2.0]], 2)),
        (ValueError, "id: expected a whole number of 0 or more, got -1", lambda: nearest([[1.0], [2.0]], -1)),
        (ValueError, "n: expected a whole number above zero, got 0", lambda: nearest([[1.0], [2.0]], 0, n=0)),
    ],
)
def test_what_is_refused(error, message, action):
    with pytest.raises(error, match=re.escape(message)):
        action()
