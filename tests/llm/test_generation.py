"""How a model writes. What is left to draw from is compared with Hugging Face's in live_llm.py."""

import copy
import inspect
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microlearn import Tensor
from microlearn.deep import manual_seed
from microlearn.llm import (
    GPT,
    BPETokenizer,
    CharTokenizer,
    GPTConfig,
    KVCache,
    MLPLanguageModel,
    NGram,
    generate,
    logprobs,
    next_token_probabilities,
    stream,
    stream_text,
)

VOCABULARY, BLOCK = 13, 12


@pytest.fixture(scope="module")
def model():
    """A GPT with a will of its own: its weights are large, so that each choice depends on the tokens before."""
    manual_seed(0)
    made = GPT(GPTConfig(BLOCK, VOCABULARY, n_layer=2, n_head=2, n_embd=16, dropout=0.3))
    for parameter in made.parameters():
        parameter.data *= 6.0
    return made


class Fixed:
    """A model that answers with the same scores, whatever it is asked, and takes note of what that was."""

    block_size = 1

    def __init__(self, scores):
        self.scores, self.asked = np.asarray(scores, dtype=np.float64), []

    def __call__(self, idx):
        self.asked.append(np.array(idx))
        return np.broadcast_to(self.scores, (*np.shape(idx), len(self.scores))), None


class Chain:
    """A model that always says the token after the last, around the circle."""

    def __call__(self, idx):
        logits = np.full((*np.shape(idx), VOCABULARY), -50.0)
        np.put_along_axis(logits, (np.asarray(idx)[..., None] + 1) % VOCABULARY, 50.0, axis=-1)
        return Tensor(logits), None


prompts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=2 * BLOCK)
manners = st.sampled_from(
    [
        {},
        {"temperature": 0.0},
        {"top_k": 3},
        {"top_p": 0.8, "temperature": 2.0},
        {"min_p": 0.1},
        {"repetition_penalty": 2.0},
    ]
)


@settings(deadline=None, max_examples=40)
@given(prompt=prompts, many=st.integers(0, 2 * BLOCK), manner=manners, seed=st.integers(0, 99))
def test_with_a_cache_and_without_the_tokens_are_the_same(model, prompt, many, manner, seed):
    cached, before = generate(model, prompt, many, seed=seed, logprobs=True, **manner)
    plain, wanted = generate(model, prompt, many, seed=seed, logprobs=True, use_cache=False, **manner)
    assert cached == plain and len(cached) == many
    np.testing.assert_allclose(before, wanted, atol=1e-3)


@settings(deadline=None, max_examples=25)
@given(texts=st.lists(prompts, min_size=1, max_size=4), many=st.integers(1, BLOCK), cache=st.booleans())
def test_side_by_side_each_prompt_is_answered_as_if_alone(model, texts, many, cache):
    together = generate(model, texts, many, temperature=0.0, use_cache=cache)
    assert together == [generate(model, text, many, temperature=0.0, use_cache=cache) for text in texts]


@pytest.mark.parametrize("penalty", [1.0, 1.5])
def test_texts_that_end_leave_the_others_as_they_are(model, penalty):
    manner = {"temperature": 0.0, "repetition_penalty": penalty}
    texts = [[1], [2, 3, 4], [5] * 9, [6, 7]]
    free = generate(model, texts, 10, **manner)
    stop = [free[0][2:4], free[2][:1]]
    together = generate(model, texts, 10, **manner, stop=stop)
    assert together == [generate(model, text, 10, **manner, stop=stop) for text in texts]
    assert {len(new) for new in together} != {10}


def test_the_first_of_a_batch_has_the_luck_of_one_alone_and_each_other_its_own(model):
    manner = {"temperature": 3.0, "seed": 4}
    equal = generate(model, [[1]] * 3, 20, **manner)
    assert equal[0] == generate(model, [1], 20, **manner)
    assert equal[0] != equal[1] != equal[2] != equal[0]
    assert generate(model, [[2, 3], [1], [5] * 9], 20, **manner)[1] == equal[1]  # whatever stands beside it
    assert generate(model, [[1]] * 3, 20, **manner, stop=equal[0][1:4]) == [equal[0][:1], *equal[1:]]


def test_the_settings_unless_told_otherwise():
    wanted = {"temperature": 1.0, "top_k": None, "top_p": None, "min_p": None, "repetition_penalty": 1.0}
    longer = {"stop": None, "seed": None, "use_cache": True, "logprobs": False}
    for function, others in ((next_token_probabilities, {"previous": ()}), (generate, longer), (stream, longer)):
        parameters = inspect.signature(function).parameters.values()
        assert {one.name: one.default for one in parameters if one.default is not one.empty} == wanted | others
    for function in (generate, stream):
        names = list(inspect.signature(function).parameters)  # as they may be given without their names
        assert names[:6] == ["model", "ids", "max_new_tokens", "temperature", "top_k", "top_p"]
        assert names[6:] == ["stop", "seed", "use_cache", "min_p", "repetition_penalty", "logprobs"]


def test_logits_of_a_text_in_pieces_are_those_of_the_whole(model):
    model.eval()
    idx = np.random.default_rng(0).integers(0, VOCABULARY, (3, BLOCK))
    whole = model(idx)[0].numpy()
    cache = KVCache(model.config, 3)
    pieces = [model(idx[:, start:end], cache=cache)[0].numpy() for start, end in ((0, 5), (5, 6), (6, BLOCK))]
    model.train()
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=2e-3)
    assert cache.lengths.tolist() == [BLOCK] * 3
    cache.lengths[1:] = 3  # it is the longest that counts
    with pytest.raises(ValueError, match="13 tokens are more than the block_size of 12"):
        model(idx[:, :1], cache=cache)


@pytest.fixture
def asked(monkeypatch):
    """The shapes that any GPT is asked."""
    shapes, forward = [], GPT.forward

    def noting(self, idx, targets=None, cache=None):
        shapes.append(np.shape(idx))
        return forward(self, idx, targets, cache)

    monkeypatch.setattr(GPT, "forward", noting)
    return shapes


@pytest.mark.parametrize(
    ("length", "wanted"),
    [
        (BLOCK - 2, [(1, BLOCK - 2), (1, 1), (1, 1), (1, BLOCK), (1, BLOCK)]),
        (BLOCK - 1, [(1, BLOCK - 1), (1, 1), (1, BLOCK), (1, BLOCK), (1, BLOCK)]),
        (BLOCK, [(1, BLOCK)] * 5),
    ],
)
def test_the_cache_is_used_until_it_is_full(model, asked, length, wanted):
    generate(model, [1] * length, 5, seed=0)
    assert asked == wanted


def test_the_cache_is_as_exact_as_the_model(model):
    exact = copy.deepcopy(model)
    for parameter in exact.parameters():
        parameter.data = parameter.data.astype(np.float64)
    cached, plain = (generate(exact, [1, 2], 8, seed=0, logprobs=True, use_cache=use) for use in (True, False))
    np.testing.assert_allclose(cached, plain, rtol=0, atol=1e-10)


def test_the_cache_asks_for_one_token_at_a_time(model, asked):
    generate(model, [1, 2, 3], 6, seed=0)
    assert asked == [(1, 3)] + [(1, 1)] * 5
    asked.clear()
    generate(model, [1, 2, 3], 3, seed=0, use_cache=False)
    assert asked == [(1, 3), (1, 4), (1, 5)]


def test_it_writes_as_after_eval_and_leaves_the_model_as_it_was(model):
    model.train()
    first = generate(model, [1, 2], 8, seed=3)
    assert model.training and first == generate(model, [1, 2], 8, seed=3)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_seed_chooses_and_another_chooses_otherwise(model):
    texts = [generate(model, [1], 20, temperature=3.0, seed=seed) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert generate(model, [1], 20, temperature=3.0) != generate(model, [1], 20, temperature=3.0)


def test_the_model_sees_the_last_block(model):
    text = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3]
    assert generate(model, text, 5, temperature=0.0) == generate(model, text[-BLOCK:], 5, temperature=0.0)


def test_tokens_are_drawn_as_often_as_they_are_likely():
    scores = np.log([0.5, 0.3, 0.15, 0.05])
    drawn = generate(Fixed(scores), [0], 6_000, seed=0)
    np.testing.assert_allclose(np.bincount(drawn) / 6_000, [0.5, 0.3, 0.15, 0.05], atol=0.03)
    drawn = generate(Fixed(scores), [0], 6_000, temperature=0.5, top_k=2, seed=0)
    np.testing.assert_allclose(np.bincount(drawn) / 6_000, [25 / 34, 9 / 34], atol=0.03)


def test_it_works_for_models_without_blocks_or_caches():
    manual_seed(0)
    assert generate(Chain(), [11], 4, temperature=0.0) == [12, 0, 1, 2]
    window = MLPLanguageModel(VOCABULARY, 3, 4, 8)
    assert len(generate(window, [1], 10, seed=0)) == 10
    counted = NGram(VOCABULARY, n=2).fit(list(range(VOCABULARY)) * 50)
    assert generate(counted, [11], 4, temperature=0.0) == [12, 0, 1, 2]


def test_logprobs_are_the_model_s_own(model):
    tokens, likely = generate(model, [1, 2], 8, temperature=0.7, top_k=4, repetition_penalty=1.5, seed=0, logprobs=True)
    np.testing.assert_allclose(likely, logprobs(model, [1, 2, *tokens])[1:], atol=1e-3)
    _, loss = model.eval()([[1, 2, *tokens][:-1]], [[1, 2, *tokens][1:]])
    model.train()
    assert -logprobs(model, [1, 2, *tokens]).mean() == pytest.approx(loss.item(), rel=1e-4)
    streamed = stream(model, [1, 2], 8, temperature=0.7, top_k=4, repetition_penalty=1.5, seed=0, logprobs=True)
    assert list(streamed) == list(zip(tokens, likely, strict=True))


@pytest.mark.parametrize(
    ("stop", "wanted"),
    [
        (5, [2, 3, 4]),
        ([5], [2, 3, 4]),
        ([4, 5], [2, 3]),
        ([[9, 9], [3, 4, 5]], [2]),
        ([[4, 6], [7]], [2, 3, 4, 5, 6]),
        (2, []),
        ([12, 11], [2, 3, 4, 5, 6, 7, 8, 9]),
        ([9, 10], [2, 3, 4, 5, 6, 7, 8, 9]),
        (np.array([4, 5]), [2, 3]),
    ],
)
def test_what_ends_a_text_is_no_part_of_it(stop, wanted):
    assert generate(Chain(), [1], 8, temperature=0.0, stop=stop) == wanted
    assert list(stream(Chain(), [1], 8, temperature=0.0, stop=stop)) == wanted


def test_a_prompt_does_not_end_its_own_answer():
    assert generate(Chain(), [1, 2], 2, temperature=0.0, stop=[2, 3]) == [3, 4]


def test_a_stream_holds_back_what_may_be_a_stop_and_nothing_else():
    seen = []
    for token in stream(Chain(), [1], 8, temperature=0.0, stop=[3, 4, 9]):
        seen.append(token)
        if token == 2:
            break
    assert seen == [2]
    assert list(stream(Chain(), [1], 3, temperature=0.0, stop=[4, 5])) == [2, 3, 4]  # the text ends in a half of it


def test_a_stream_asks_as_it_goes():
    model = Fixed(np.zeros(4))
    tokens = stream(model, [0], 1000)
    next(tokens), next(tokens)
    assert len(model.asked) == 2


def test_text_comes_in_whole_characters():
    tokenizer = BPETokenizer().train("a", 256)
    text = "a€😀é!"
    bytes_of = list(tokenizer.encode(text))

    class Says:
        def __call__(self, idx):
            logits = np.full((*np.shape(idx), 256), -50.0)
            logits[..., bytes_of[min(np.shape(idx)[1] - 1, len(bytes_of) - 1)]] = 50.0
            return logits, None

    pieces = list(stream_text(Says(), tokenizer, "x", len(bytes_of), temperature=0.0))
    assert "".join(pieces) == text and [piece for piece in pieces if piece] == list(text)
    assert "".join(stream_text(Says(), tokenizer, "x", 3, temperature=0.0)) == "a\ufffd"
    assert "".join(stream_text(Says(), tokenizer, "x", 99, stop="😀é", temperature=0.0)) == "a€"
    assert "".join(stream_text(Says(), tokenizer, "x", 99, stop=["zzz", "é!"], temperature=0.0)) == "a€😀"


@pytest.mark.parametrize("stop", [["c", "b", "d"], ["d", "c", "b"], ["b", "c"], "b", "bc"])
def test_of_stops_within_one_token_the_first_in_the_text_ends_it(stop):
    tokenizer = BPETokenizer().train("abcd" * 9, 259)
    word = tokenizer.encode("abcd")
    assert len(word) == 1
    scores = np.where(np.arange(tokenizer.vocab_size) == word[0], 50.0, -50.0)
    assert "".join(stream_text(Fixed(scores), tokenizer, "x", 3, stop=stop)) == "a"


@pytest.mark.parametrize("stop", ["", [""], ["a", ""], [1]])
def test_a_text_that_cannot_end_anything_is_refused(stop):
    with pytest.raises(ValueError, match="stop: expected a text, or a list of texts, got"):
        list(stream_text(Chain(), CharTokenizer().train("abcdefghijklm"), "ab", 5, stop=stop))


def test_text_of_characters():
    tokenizer = CharTokenizer().train("abcdefghijklm")
    assert "".join(stream_text(Chain(), tokenizer, "ab", 5, temperature=0.0)) == "cdefg"
    assert "".join(stream_text(Chain(), tokenizer, "ab", 5, stop="ef", temperature=0.0)) == "cd"


def probabilities(**settings):
    return next_token_probabilities(np.log([0.4, 0.3, 0.2, 0.1]), **settings).round(3).tolist()


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, [0.4, 0.3, 0.2, 0.1]),
        ({"temperature": 0}, [1.0, 0.0, 0.0, 0.0]),
        ({"temperature": 0.5}, [0.533, 0.3, 0.133, 0.033]),
        ({"temperature": 1e-300}, [1.0, 0.0, 0.0, 0.0]),
        ({"temperature": 1e300}, [0.25] * 4),
        ({"top_k": 2}, [0.571, 0.429, 0.0, 0.0]),
        ({"top_k": 99}, [0.4, 0.3, 0.2, 0.1]),
        ({"top_p": 0.69}, [0.571, 0.429, 0.0, 0.0]),
        ({"top_p": 0.71}, [0.444, 0.333, 0.222, 0.0]),
        ({"top_p": 1e-9}, [1.0, 0.0, 0.0, 0.0]),
        ({"top_p": 1.0}, [0.4, 0.3, 0.2, 0.1]),
        ({"min_p": 0.6}, [0.571, 0.429, 0.0, 0.0]),
        ({"min_p": 1.0}, [1.0, 0.0, 0.0, 0.0]),
        ({"min_p": 0.0}, [0.4, 0.3, 0.2, 0.1]),
        ({"temperature": 0.5, "top_p": 0.55}, [0.64, 0.36, 0.0, 0.0]),  # the temperature comes first
        ({"temperature": 0.5, "min_p": 0.6}, [1.0, 0.0, 0.0, 0.0]),
        ({"top_k": 3, "top_p": 0.7}, [0.571, 0.429, 0.0, 0.0]),  # of the three that are left, 0.78 is enough
    ],
)
def test_each_setting_leaves_what_it_says(settings, wanted):
    assert probabilities(**settings) == wanted


def test_top_p_is_enough_where_it_is_reached_exactly():
    assert next_token_probabilities(np.log([0.5, 0.25, 0.25]), top_p=0.5).tolist() == [1.0, 0.0, 0.0]


def test_the_scores_that_are_given_stay_as_they_are():
    scores = np.array([2.0, -1.0, 0.5, 0.25])
    settings = {"temperature": 0.5, "top_k": 3, "top_p": 0.9, "min_p": 0.1, "repetition_penalty": 2.0}
    next_token_probabilities(scores, previous=[0, 1], **settings)
    assert scores.tolist() == [2.0, -1.0, 0.5, 0.25]


def test_a_penalty_weakens_what_was_there_whatever_the_sign():
    got = next_token_probabilities([2.0, -2.0, 1.0], previous=[0, 1, 1], repetition_penalty=2.0)
    scores = np.exp([1.0, -4.0, 1.0])
    np.testing.assert_allclose(got, scores / scores.sum())
    greedy = next_token_probabilities([1.0, 0.9], previous=[0], temperature=0, repetition_penalty=2.0)
    assert greedy.tolist() == [0.0, 1.0]


def test_the_penalty_counts_the_prompt_and_what_was_written():
    assert generate(Fixed([3.0, 2.9, 2.8]), [0], 3, temperature=0.0, repetition_penalty=1.5) == [1, 2, 0]


@settings(deadline=None)
@given(
    scores=st.lists(st.integers(-(10**9), 10**9).map(lambda n: n / 1000), min_size=1, max_size=9),
    temperature=st.floats(1e-3, 1e3),  # so that scores which differ are probabilities which differ
    top_k=st.none() | st.integers(1, 12), top_p=st.none() | st.floats(1e-6, 1.0), min_p=st.none() | st.floats(0.0, 1.0),
)  # fmt: skip
@example(scores=[-1.2e-123, 0.0], temperature=1.0, top_k=None, top_p=0.5, min_p=None)  # equal once they are chances
def test_they_are_probabilities_and_the_best_is_left(scores, temperature, top_k, top_p, min_p):
    got = next_token_probabilities(scores, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    assert got.sum() == pytest.approx(1.0) and (got >= 0.0).all() and got[np.argmax(scores)] == got.max() > 0.0


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"ids": []}, "ids: expected at least one token to go on from, got shape (0,)"),
        ({"ids": [[1], []]}, "ids: expected at least one token to go on from, got shape (0,)"),
        ({"ids": [1.5]}, "ids: expected whole numbers, got float64; for whole numbers kept as floats, x.astype(int)"),
        ({"ids": [VOCABULARY]}, "Embedding: 13 is not from 0 to 12"),
        ({"max_new_tokens": -1}, "max_new_tokens: expected a whole number of 0 or more, got -1"),
        ({"temperature": -1.0}, "temperature: expected a number of 0 or more, got -1.0"),
        ({"temperature": math.nan}, "temperature: expected a number of 0 or more, got nan"),
        ({"temperature": math.inf}, "temperature: expected a number of 0 or more, got inf"),
        ({"top_k": 0}, "top_k: expected a whole number above zero, got 0"),
        ({"top_k": 2.5}, "top_k: expected a whole number above zero, got 2.5"),
        ({"top_p": 0.0}, "top_p: expected a probability above 0 and at most 1, got 0.0"),
        ({"top_p": 95}, "top_p: expected a probability above 0 and at most 1, got 95"),
        ({"min_p": 1.5}, "min_p: expected a fraction from 0 to 1, got 1.5"),
        ({"repetition_penalty": 0.0}, "repetition_penalty: expected a number above 0, got 0.0"),
        ({"repetition_penalty": math.inf}, "repetition_penalty: expected a number above 0, got inf"),
        ({"stop": [[]]}, "stop: an empty sequence would end every text at once"),
        ({"stop": []}, "stop: an empty sequence would end every text at once"),
        ({"seed": -1}, "seed: expected a whole number of 0 or more, got -1"),
    ],
)
def test_what_makes_no_sense_is_refused(model, given, error):
    with pytest.raises((IndexError, TypeError, ValueError)) as caught:
        generate(model, **{"ids": [1], "max_new_tokens": 2} | given)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("scores", "best"),
    [([math.nan, 1.0], "nan"), ([math.inf, 1.0], "inf"), ([-math.inf, -math.inf], "-inf")],
)
def test_a_broken_model_is_named(scores, best):
    with pytest.raises(ValueError, match=f"logits: the best of them is {best}: the model's parameters are damaged"):
        generate(Fixed(scores), [0], 1)


def test_a_score_of_minus_infinity_is_never_chosen():
    assert next_token_probabilities([0.0, -math.inf, 0.0]).tolist() == [0.5, 0.0, 0.5]
