"""Counting: as the textbook's sums have it, gram by gram; as a hand can; refused where there is nothing to count."""

import inspect
import re
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microlearn.llm import NGram, generate

SMOOTHINGS = ("kneser-ney", "witten-bell", "add-k")


def textbook(ids, vocab_size, n, smoothing, context, token, k=1.0, discount=None):
    """Compute one probability from lists of grams, with a loop for every sum: nothing is shared with the engine."""

    def grams(length):
        return Counter(tuple(ids[i : i + length]) for i in range(len(ids) - length + 1))

    def counted(length, continuations):
        if not continuations:
            return grams(length)
        return Counter(longer[1:] for longer in grams(length + 1))  # each longer gram once

    def probability(context, continuations=False):
        table = counted(len(context) + 1, continuations)
        after = {gram[-1]: count for gram, count in table.items() if gram[:-1] == context}
        total, types, count = sum(after.values()), len(after), after.get(token, 0)
        if smoothing == "add-k":
            return (count + k) / (total + k * vocab_size)
        lower = probability(context[1:], smoothing == "kneser-ney") if context else 1 / vocab_size
        if not total:
            return lower
        if smoothing == "witten-bell":
            return (count + types * lower) / (total + types)
        n1, n2 = (sum(1 for count in table.values() if count == times) for times in (1, 2))
        d = discount or (n1 / (n1 + 2 * n2) if n1 else 0.5)
        return max(count - d, 0) / total + d * types / total * lower

    return probability(tuple(context[max(0, len(context) - n + 1) :]))


@st.composite
def questions(draw):
    vocab_size = draw(st.integers(1, 5))
    tokens = st.lists(st.integers(0, vocab_size - 1), max_size=7)
    ids = draw(st.lists(st.integers(0, vocab_size - 1), min_size=1, max_size=40))
    settings = {"n": draw(st.integers(1, 6)), "smoothing": draw(st.sampled_from(SMOOTHINGS))}
    settings["k"] = draw(st.sampled_from([0.01, 1.0, 3.0]))
    settings["discount"] = draw(st.sampled_from([None, None, 0.3, 1.0]))
    return ids, vocab_size, settings, draw(tokens)


@settings(deadline=None, max_examples=200)
@given(questions())
def test_any_text_and_any_context_as_the_textbook_has_it_and_it_adds_up_to_1(question):
    ids, vocab_size, options, context = question
    model = NGram(vocab_size, **options).fit(ids)
    got = model.probabilities(context)
    want = [textbook(ids, vocab_size, context=context, token=token, **options) for token in range(vocab_size)]
    np.testing.assert_allclose(got, want, rtol=1e-9)
    assert got.sum() == pytest.approx(1.0)
    assert (got > 0.0).all()


@settings(deadline=None, max_examples=100)
@given(questions(), st.lists(st.integers(0, 10**6), min_size=2, max_size=12))
def test_the_loss_asks_for_every_token_but_the_first_and_so_does_the_model_when_it_is_called(question, numbers):
    ids, vocab_size, options, _ = question
    text = np.array(numbers) % vocab_size
    model = NGram(vocab_size, **options | {"discount": 0.4}).fit(ids)
    each = [-np.log(model.probabilities(text[:i])[text[i]]) for i in range(1, len(text))]
    assert model.loss(text) == pytest.approx(np.mean(each))
    logits, loss = model(text[None, :-1], text[None, 1:])
    assert loss.item() == pytest.approx(model.loss(text), rel=1e-5)
    last = np.exp(logits.data[0, -1])
    np.testing.assert_allclose(last, model.probabilities(text[:-1]), rtol=1e-4)


# By hand: b = 0, a = 1, n = 2. In "banana" (b a n a n a): ba, an, na, an, na


BANANA = [0, 1, 2, 1, 2, 1]


def test_add_k_by_hand():
    model = NGram(3, 2, "add-k", k=1).fit(BANANA)
    np.testing.assert_allclose(model.probabilities([1]), [1 / 5, 1 / 5, 3 / 5])  # after a: n, n
    np.testing.assert_allclose(model.probabilities([]), [2 / 9, 4 / 9, 3 / 9])


def test_witten_bell_by_hand():
    model = NGram(3, 2, "witten-bell").fit(BANANA)
    alone = [Fraction(1 + 1, 9), Fraction(3 + 1, 9), Fraction(2 + 1, 9)]  # six tokens, three types, a third each
    np.testing.assert_allclose(model.probabilities([]), [float(p) for p in alone])
    after_a = [(0 + alone[0]) / 3, (0 + alone[1]) / 3, (2 + alone[2]) / 3]  # n, n: two tokens, one type
    np.testing.assert_allclose(model.probabilities([1]), [float(p) for p in after_a])


def test_kneser_ney_by_hand():
    model = NGram(3, 2, "kneser-ney").fit(BANANA)
    # three pairs, each a type of its own: ba, an, na. a follows two different letters, n one, b none; so n1 = 1,
    # n2 = 1, and the discount down there is 1 / (1 + 2) = 1/3
    d, third = Fraction(1, 3), Fraction(1, 3)
    below = [Fraction(0) + d * 2 / 3 * third, (2 - d) / 3 + d * 2 / 3 * third, (1 - d) / 3 + d * 2 / 3 * third]
    assert sum(below) == 1
    # up here ba is counted once, an and na twice: n1 = 1, n2 = 2, and the discount is 1/5; after a: n, n
    d = Fraction(1, 5)
    after_a = [d / 2 * below[0], d / 2 * below[1], (2 - d) / 2 + d / 2 * below[2]]
    np.testing.assert_allclose(model.probabilities([1]), [float(p) for p in after_a])


def test_kneser_ney_asks_after_how_many_contexts():
    """The town: 9 follows 8 only, often; 7 follows everything, once each. After a stranger, 7 is the better guess."""
    text = [8, 9] * 20 + [token for other in range(6) for token in (other, 7)]
    after = {name: NGram(11, 2, name).fit(text).probabilities([10]) for name in SMOOTHINGS}
    assert after["kneser-ney"][7] > after["kneser-ney"][9]
    assert after["witten-bell"][7] < after["witten-bell"][9]


# What holds for all


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_a_shorter_context_is_answered_as_by_a_smaller_n(smoothing):
    ids = np.random.default_rng(0).integers(0, 4, 200)
    large, small = NGram(4, 5, smoothing).fit(ids), NGram(4, 2, smoothing).fit(ids)
    np.testing.assert_array_equal(large.probabilities([3]), small.probabilities([3]))
    np.testing.assert_array_equal(small.probabilities([0, 1, 3]), small.probabilities([3]))


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_positions_and_texts_of_a_batch_do_not_disturb_each_other(smoothing, n):
    ids = np.random.default_rng(0).integers(0, 4, 200)
    model = NGram(4, n, smoothing).fit(ids)
    idx = np.random.default_rng(1).integers(0, 4, (3, 6))
    logits, nothing = model(idx)
    assert logits.shape == (3, 6, 4) and nothing is None
    for row in range(3):
        for t in range(6):
            alone = np.log(model.probabilities(idx[row, : t + 1]))
            np.testing.assert_allclose(logits.data[row, t], alone, rtol=1e-5)


def test_counts_of_a_deterministic_text_are_nearly_sure_and_of_noise_are_not():
    cycle, noise = np.arange(3000) % 10, np.random.default_rng(0).integers(0, 10, 4000)
    for smoothing in SMOOTHINGS:
        assert NGram(10, 3, smoothing, k=0.1).fit(cycle).loss(cycle) < 0.02
        assert abs(NGram(10, 1, smoothing).fit(noise[:3000]).loss(noise[3000:]) - np.log(10)) < 0.02
    learned_by_heart = NGram(10, 4, "add-k", k=0.001).fit(noise[:3000]).loss(noise[3000:])
    assert NGram(10, 4).fit(noise[:3000]).loss(noise[3000:]) < 3.0 < 4.0 < learned_by_heart


def test_what_samples_from_a_gpt_samples_from_counts():
    model = NGram(4, 3).fit([0, 1, 2, 3] * 50)
    assert generate(model, [1], 6, temperature=0) == [2, 3, 0, 1, 2, 3]


def test_the_settings_unless_told_otherwise():
    parameters = inspect.signature(NGram).parameters.values()
    wanted = {"n": 5, "smoothing": "kneser-ney", "k": 1.0, "discount": None}
    assert {one.name: one.default for one in parameters if one.default is not one.empty} == wanted
    assert repr(NGram(7)) == "NGram(vocab_size=7, n=5, smoothing='kneser-ney')"


@pytest.mark.parametrize(("dtype", "last"), [(np.uint8, 255), (np.uint16, 65_535), (np.int32, 65_535)])
def test_the_same_text_counts_the_same_however_its_numbers_are_kept(dtype, last):
    ids = np.random.default_rng(0).choice([0, 1, last], 300)  # -1 would come out as the last token
    wanted, got = NGram(last + 1, 3).fit(ids), NGram(last + 1, 3).fit(ids.astype(dtype))
    for context in ([], ids[:1], ids[40:42]):
        np.testing.assert_array_equal(got.probabilities(np.array(context, dtype=dtype)), wanted.probabilities(context))
    assert got.loss(ids.astype(dtype)) == wanted.loss(ids)


def test_fit_counts_anew_and_returns_the_model():
    model = NGram(2, 2)
    assert model.fit([0, 0, 0, 0, 0]) is model
    before = model.probabilities([0])
    after = model.fit([0, 1, 0, 1, 0]).probabilities([0])
    assert before[0] > 0.5 > after[0]
    np.testing.assert_array_equal(after, NGram(2, 2).fit([0, 1, 0, 1, 0]).probabilities([0]))


def test_a_text_shorter_than_n_a_vocabulary_of_one_and_one_of_a_hundred_thousand():
    assert NGram(4, 9).fit([2]).probabilities([0, 1, 2, 3] * 3).sum() == pytest.approx(1.0)
    assert NGram(1, 3).fit([0, 0, 0, 0]).loss([0, 0, 0]) == pytest.approx(0.0)
    far = NGram(100_000, 12).fit(np.random.default_rng(0).integers(0, 100_000, 500))  # 100,000 ** 12 is no int64
    assert far.probabilities([99_999] * 11).sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("error", "message", "action"),
    [
        (ValueError, "smoothing: expected one of kneser-ney, witten-bell, add-k", lambda: NGram(4, 2, "laplace")),
        (TypeError, "n: expected a whole number above zero, got 2.5", lambda: NGram(4, 2.5)),
        (ValueError, "n: expected a whole number above zero, got 0", lambda: NGram(4, 0)),
        (ValueError, "vocab_size: expected a whole number above zero", lambda: NGram(0)),
        (ValueError, "k: expected a number above 0, got 0", lambda: NGram(4, 2, "add-k", k=0)),
        (ValueError, "k: expected a number above 0, got inf", lambda: NGram(4, 2, "add-k", k=float("inf"))),
        (ValueError, "discount: expected a number above 0 and at most 1, got 1.5", lambda: NGram(4, discount=1.5)),
        (ValueError, "discount: expected a number above 0 and at most 1, got 'x'", lambda: NGram(4, discount="x")),
        (ValueError, "nothing was counted yet: call fit(ids) first", lambda: NGram(4).probabilities([0])),
        (ValueError, "fit: expected a list of token ids, 1 or more", lambda: NGram(4).fit([])),
        (ValueError, "fit: expected a list of token ids, 1 or more", lambda: NGram(4).fit([[0, 1]])),
        (TypeError, "fit: expected whole numbers", lambda: NGram(4).fit([0.5, 1.0])),
        (TypeError, "fit: expected whole numbers", lambda: NGram(4).fit("banana")),
        (IndexError, "fit: 4 is not a token id from 0 to 3", lambda: NGram(4).fit([0, 4])),
        (IndexError, "context: -1 is not a token id from 0 to 3", lambda: NGram(4).fit([0]).probabilities([-1])),
        (ValueError, "loss: expected a list of token ids, 2 or more", lambda: NGram(4).fit([0]).loss([0])),
        (IndexError, "loss: 9 is not a token id from 0 to 3", lambda: NGram(4).fit([0]).loss([0, 9])),
        (ValueError, "idx: expected token ids (B, T)", lambda: NGram(4).fit([0])([0, 1])),
        (ValueError, "targets: expected one for each token, shape (1, 2)", lambda: NGram(4).fit([0])([[0, 1]], [[0]])),
    ],
)
def test_what_is_refused(error, message, action):
    with pytest.raises(error, match=re.escape(message)):
        action()
