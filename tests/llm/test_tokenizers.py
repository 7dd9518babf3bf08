"""Tokenizers: every text comes back, Hugging Face's library agrees to the last id, and what is damaged is named."""

import json
import pydoc_data.topics
import re
import stat
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as HuggingFace

from microlearn.llm import BPETokenizer, CharTokenizer, load_tokenizer, tokenizers
from microlearn.llm.tokenizers import _learn, _pieces

TOPICS = "\n".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))
END, PAD = "<|endoftext|>", "<|end|>"
MIXED = TOPICS[:60_000] + "naïve café, größte Straße, 東京は日本の首都, Привет мир, 🙂🙃🙂 don't we'll 1234 12 " * 40
TOKENIZER = BPETokenizer().train(MIXED, 800, [END, PAD])

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no mistake

# What Python knows as a character, both libraries know too (and newer characters they class differently).
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=60)
NEAR = st.text(st.sampled_from(" \n\t a1é!'\u2019stdmrelvw\u00a0\u3000\x85\x1c東🙂<|>_०Ⅷ²\u0301"), max_size=40)
WORDS = st.lists(st.sampled_from(["the", " the", " ", "\n", "'s", "'S", " 12", "x", END, PAD, "<|end", "|>", "é"])).map(
    "".join
)


def theirs(folder, tokenizer=TOKENIZER, specials=True):
    """Make Hugging Face's tokenizer from files in GPT-2's format."""
    vocab, merges = write_files(folder, tokenizer)
    made = HuggingFace(models.BPE.from_file(str(vocab), str(merges)))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in tokenizer.special_tokens])
    made.encode_special_tokens = not specials
    return made


def write_files(folder, tokenizer=TOKENIZER):
    """Write vocab.json and merges.txt as GPT-2's were published: special tokens stand in the vocabulary."""
    state = tokenizer._state()
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    vocab.write_text(json.dumps(state["vocab"] | state["special_tokens"]))
    merges.write_text("\n".join(["#version: 0.2", *state["merges"], ""]), encoding="utf-8")
    return vocab, merges


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    return theirs(folder), theirs(folder, specials=False)


# What goes in comes out


@settings(PATIENT, max_examples=100)
@given(st.text(max_size=60))
@example("")
@example("\r\n \x00 \ufffd\U0010ffff")
def test_every_text_comes_back(text):
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.decode(ids) == text
    assert TOKENIZER.decode_bytes(ids) == text.encode()
    assert all(0 <= i < TOKENIZER.vocab_size - 2 for i in ids)


@settings(PATIENT, max_examples=50)
@given(st.text(min_size=1, max_size=60))
def test_every_text_comes_back_character_by_character(text):
    tokenizer = CharTokenizer().train(text)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert len(ids) == len(text)
    assert [token.decode() for token in tokenizer.tokens] == sorted(set(text))
    assert [tokenizer.tokens[i].decode() for i in ids] == list(text)


@settings(PATIENT, max_examples=50)
@given(TEXTS, st.integers(256, 300))
def test_a_tokenizer_may_be_trained_on_anything(text, size):
    tokenizer = BPETokenizer().train(text + "ab", size, [])
    assert 256 <= tokenizer.vocab_size <= size
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_untrained_every_byte_is_a_token():
    tokenizer = BPETokenizer()
    assert tokenizer.encode("aé") == [97, 0xC3, 0xA9]
    assert tokenizer.vocab_size == 256
    assert tokenizer.merges == []


def test_nothing_is_no_token_and_no_token_is_nothing():
    for tokenizer in (TOKENIZER, BPETokenizer(), CharTokenizer()):
        assert tokenizer.encode("") == []
        assert tokenizer.decode([]) == ""
        assert tokenizer.decode_bytes([]) == b""


# By hand


def test_the_merges_of_a_text_that_we_can_count_ourselves():
    # ab occurs 4 times; then " ab" and abc 3 times each, and the space has the lower id; then " abc" twice
    tokenizer = BPETokenizer().train("abc abc abc ab", 259)
    assert [tokenizer.tokens[i] for i in range(256, 259)] == [b"ab", b" ab", b" abc"]
    assert tokenizer.merges == [(97, 98), (32, 256), (257, 99)]
    assert tokenizer.encode("abc ab abcab") == [256, 99, 257, 258, 256]


def test_of_equally_frequent_pairs_the_lower_ids_come_first():
    tokenizer = BPETokenizer().train("zy zy\nba ba", 258)
    assert tokenizer.tokens[256:] == [b"ba", b"zy"]


def test_a_pair_that_occurs_once_is_not_merged():
    tokenizer = BPETokenizer().train("abcdefg", 300)
    assert tokenizer.vocab_size == 256
    assert BPETokenizer().train("xyxy", 300).tokens[256:] == [b"xy"]


def test_no_token_reaches_over_a_cut():
    tokenizer = BPETokenizer().train("in the in the in the in the", 300)
    assert not any(re.search(rb"\w ", token) for token in tokenizer.tokens[256:])


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("we'll don't I'M", ["we", "'ll", " don", "'t", " I", "'", "M"]),
        ("a  b   12x", ["a", " ", " b", "  ", " 12", "x"]),
        ("end \n\n", ["end", " \n\n"]),
        ("東京 é²!?", ["東京", " é", "²", "!?"]),
        ("snake_case", ["snake", "_", "case"]),
        ("it's IT'S 'tis", ["it", "'s", " IT", "'", "S", " '", "tis"]),
    ],
)
def test_text_is_cut_as_gpt_2_does(text, pieces):
    assert _pieces(text) == pieces


def test_the_first_merge_learned_is_the_first_applied():
    for text, tokens in (("bc\nbc\nbc\nab\nab", [b"a", b"bc"]), ("bc\nbc\nab\nab\nab", [b"ab", b"c"])):
        tokenizer = BPETokenizer().train(text, 258)
        assert sorted(tokenizer.tokens[256:]) == [b"ab", b"bc"]
        assert [tokenizer.tokens[i] for i in tokenizer.encode("abc")] == tokens


# Hugging Face's library, with the same merges


@settings(PATIENT, max_examples=300)
@given(st.one_of(TEXTS, NEAR, WORDS))
def test_the_ids_are_hugging_face_s(peers, text):
    with_special, without = peers
    assert TOKENIZER.encode(text) == without.encode(text).ids
    assert TOKENIZER.encode(text, allowed_special="all") == with_special.encode(text).ids


def test_the_ids_of_a_long_text_are_hugging_face_s(peers):
    with_special, without = peers
    text = f"{TOPICS[60_000:]}{END}{MIXED}<|endoftext{PAD}|>"
    assert TOKENIZER.encode(text, allowed_special="all") == with_special.encode(text).ids
    assert TOKENIZER.encode(text[-90_000:]) == without.encode(text[-90_000:]).ids


@settings(PATIENT, max_examples=100)
@given(st.lists(st.integers(0, TOKENIZER.vocab_size - 3), max_size=30))
def test_what_any_ids_mean_is_hugging_face_s(peers, ids):
    assert TOKENIZER.decode(ids) == peers[0].decode(ids, skip_special_tokens=False)


@settings(PATIENT, max_examples=50)
@given(st.text("ab", min_size=1, max_size=300), st.text("abc ", max_size=200))
def test_long_pieces_are_hugging_face_s(tmp_path_factory, train, text):
    tokenizer = BPETokenizer().train(train, 290)
    peer = theirs(tmp_path_factory.mktemp("ab"), tokenizer)
    assert tokenizer.encode(text + train) == peer.encode(text + train).ids


def their_merges(pieces, room):
    """Train Hugging Face's tokenizer on pieces whose bytes are written as letters in the order of the bytes."""
    letters = [chr(0x4E00 + byte) for byte in range(256)]
    made = HuggingFace(models.BPE())
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=room, min_frequency=2, initial_alphabet=letters, show_progress=False)
    text = [" ".join("".join(letters[byte] for byte in piece) for piece in pieces for _ in range(pieces[piece]))]
    made.train_from_iterator(text, trainer)
    merges = json.loads(made.to_str())["model"]["merges"]
    return [tuple(bytes(ord(letter) - 0x4E00 for letter in half) for half in pair) for pair in merges]


@settings(PATIENT, max_examples=100)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=12).map(str.encode), st.integers(1, 4), min_size=1))
@example({b"aaa": 1, b"aaaaa": 2})
@example({b"abcabcbcabc": 3, b"bcabcaab": 1})
def test_the_merges_learned_are_hugging_face_s(pieces):
    tokens, merges = _learn(pieces, 276)
    assert [(tokens[a], tokens[b]) for a, b in merges] == their_merges(pieces, 276)
    assert len(set(tokens)) == len(tokens)


def test_the_merges_learned_from_a_long_text_are_hugging_face_s():
    pieces = {}
    for piece in _pieces(MIXED):
        pieces[piece.encode()] = pieces.get(piece.encode(), 0) + 1
    tokens, merges = _learn(pieces, 600)
    assert [(tokens[a], tokens[b]) for a, b in merges] == their_merges(pieces, 600)
    assert [*tokens, END.encode(), PAD.encode()] == BPETokenizer().train(MIXED, 602, [END, PAD]).tokens


def test_a_vocabulary_holds_every_smaller_one():
    """A large tokenizer's tokens, taken apart again, are a smaller one's, on any text."""
    small = BPETokenizer().train(MIXED, 400)
    assert small.tokens == TOKENIZER.tokens[:400]

    def below(i):
        return [i] if i < 400 else [part for half in TOKENIZER.merges[i - 256] for part in below(half)]

    for text in (MIXED, TOPICS[100_000:200_000]):
        assert [part for i in TOKENIZER.encode(text) for part in below(i)] == small.encode(text)


# Special tokens


def test_a_special_token_is_text_unless_it_is_allowed():
    text = f"one{END}two{PAD}"
    plain = TOKENIZER.encode(text)
    end, pad = (TOKENIZER.special_tokens[name] for name in (END, PAD))
    assert (end, pad) == (798, 799)
    assert end not in plain and pad not in plain
    assert TOKENIZER.encode(text, allowed_special="all").count(end) == 1
    some = TOKENIZER.encode(text, allowed_special=[END])
    assert end in some and pad not in some
    for ids in (plain, some, TOKENIZER.encode(text, allowed_special={END, PAD})):
        assert TOKENIZER.decode(ids) == text


def test_of_two_special_tokens_the_longer_counts():
    tokenizer = BPETokenizer().train("text", 258, ["<a>", "<a><b>"])
    assert tokenizer.encode("<a><b><a>", allowed_special="all") == [257, 256]


def test_training_text_is_cut_at_special_tokens():
    tokenizer = BPETokenizer().train(f"ab{END}" * 50, 300, [END])
    assert tokenizer.tokens[256:] == [b"ab", END.encode()]
    tokenizer = BPETokenizer().train("a<b>b" * 50, 300, ["<b>"])
    assert tokenizer.tokens[256:] == [b"ba", b"<b>"]


def test_a_special_token_may_look_like_a_token_or_a_pattern():
    tokenizer = BPETokenizer().train("ab ab ab (x|y)*", 261, ["ab", "(x|y)*"])
    ids = tokenizer.encode("ab (x|y)*", allowed_special=["(x|y)*"])
    assert ids[-1] == tokenizer.special_tokens["(x|y)*"]
    assert tokenizer.decode(ids) == "ab (x|y)*"
    assert tokenizer.special_tokens["ab"] not in ids


@pytest.mark.parametrize("names", [END, [""], [1], [END, 3]])
def test_names_of_special_tokens_are_a_list_of_texts(names):
    with pytest.raises(TypeError, match="special tokens: expected a list of names"):
        BPETokenizer().train("text", 300, names)
    with pytest.raises(TypeError, match="special tokens: expected a list of names"):
        TOKENIZER.encode("text", allowed_special=names)


def test_a_special_token_is_named_once_and_known():
    with pytest.raises(ValueError, match="each name once"):
        BPETokenizer().train("text", 300, [END, END])
    with pytest.raises(ValueError, match=r"allowed_special: '<x>' is none of the special tokens \['<\|endoftext\|>'"):
        TOKENIZER.encode("text", allowed_special=["<x>"])


# Half a character, and what is no character


def test_half_a_character_is_kept_as_bytes_and_shown_as_a_mark():
    ids = BPETokenizer().encode("é🙂")
    assert BPETokenizer().decode(ids[:1]) == "\ufffd"
    assert BPETokenizer().decode(ids[:4]) == "é\ufffd"
    assert BPETokenizer().decode(ids[1:]) == "\ufffd🙂"
    assert BPETokenizer().decode_bytes(ids[:4]) == "é🙂".encode()[:4]


@pytest.mark.parametrize("tokenizer", [TOKENIZER, CharTokenizer().train("abc")], ids=["bpe", "char"])
def test_half_of_a_surrogate_pair_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"^encode: text\[2\] is '\\ud83d', half of a surrogate pair") as caught:
        tokenizer.encode("ab\ud83dc")
    assert type(caught.value) is ValueError
    with pytest.raises(ValueError, match=r"^train: text\[0\]"):
        tokenizer.__class__().train("\udc00", *[300] * (tokenizer.kind == "bpe"))
    text = "ab\ud83dc\ud83d\ude42".encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # as the message says
    assert text == "ab\ufffdc🙂"


# What is refused


def test_an_unknown_character_is_named_with_its_place():
    with pytest.raises(ValueError, match=r"encode: text\[4\] is 'é', none of the 3 characters.*BPETokenizer"):
        CharTokenizer().train("caf").encode("caffé")
    with pytest.raises(ValueError, match=r"text\[0\] is 'a', none of the 0 characters"):
        CharTokenizer().encode("a")


@pytest.mark.parametrize("text", [b"bytes", None, 3, ["a"]])
def test_what_is_no_text_is_refused(text):
    for action in (CharTokenizer().train, CharTokenizer().encode, TOKENIZER.encode):
        with pytest.raises(TypeError, match=f"expected a text, got {type(text).__name__}"):
            action(text)
    with pytest.raises(TypeError, match=f"train: expected a text, got {type(text).__name__}"):
        BPETokenizer().train(text, 300)


def test_nothing_is_learned_from_an_empty_text():
    for tokenizer, options in ((CharTokenizer(), []), (BPETokenizer(), [300])):
        with pytest.raises(ValueError, match="train: the text is empty"):
            tokenizer.train("", *options)


@pytest.mark.parametrize(("size", "names"), [(255, []), (256, [END]), (1, []), (257, [END, PAD])])
def test_the_bytes_and_the_special_tokens_have_to_fit(size, names):
    with pytest.raises(ValueError, match=f"vocab_size: 256 bytes and {len(names)} special tokens need .*, got {size}"):
        BPETokenizer().train("text", size, names)


def test_a_vocabulary_has_a_whole_size():
    with pytest.raises(TypeError, match=r"vocab_size: expected a whole number above zero, got 300\.0"):
        BPETokenizer().train("text", 300.0)
    with pytest.raises(ValueError, match="vocab_size: expected a whole number above zero, got -1"):
        BPETokenizer().train("text", -1)


@pytest.mark.parametrize("wrong", [-1, 800, 10**9])
def test_an_id_outside_of_the_vocabulary_is_named_with_its_place(wrong):
    with pytest.raises(IndexError, match=rf"decode: ids\[1\] is {wrong}, and the ids are 0 to 799"):
        TOKENIZER.decode([5, wrong])
    with pytest.raises(IndexError, match=rf"ids\[0\] is {wrong}, and the ids are 0 to 2"):
        CharTokenizer().train("abc").decode_bytes([wrong])


@pytest.mark.parametrize("ids", [[1.0], "abc", [None], np.array([1.5]), np.zeros((1, 2), int)])
def test_an_id_is_a_whole_number(ids):
    with pytest.raises(TypeError, match=r"decode: ids\[0\]: expected a whole number"):
        TOKENIZER.decode(ids)


def test_ids_may_come_in_an_array():
    ids = TOKENIZER.encode("the text")
    assert TOKENIZER.decode(np.array(ids)) == "the text"
    assert all(type(i) is int for i in ids)


def test_a_training_or_a_file_that_fails_leaves_the_tokenizer_as_it_was(tmp_path):
    tokenizer = BPETokenizer().train("abab", 257)
    before = tokenizer._state()
    with pytest.raises(ValueError, match="empty"):
        tokenizer.train("", 300)
    damaged = TOKENIZER._state() | {"kind": "bpe", "merges": TOKENIZER._state()["merges"][:-3]}
    (tmp_path / "damaged.json").write_text(json.dumps(damaged))
    with pytest.raises(ValueError, match="no merge makes"):
        tokenizer.load(tmp_path / "damaged.json")
    assert tokenizer._state() == before
    assert tokenizer.encode("abab") == [256, 256]


def test_trained_again_it_forgets_what_it_knew():
    tokenizer = BPETokenizer().train("abab", 257)
    assert tokenizer.encode("ab cd") == [256, 32, 99, 100]
    assert tokenizer.train("cdcd", 257) is tokenizer
    assert tokenizer.encode("ab cd") == [97, 98, 32, 256]


def test_only_so_many_pieces_are_remembered_and_no_long_one(monkeypatch):
    tokenizer, text = BPETokenizer().train("ab ab cd cd", 260), "ab ab cd ef gh ab"
    wanted = tokenizer.encode(text)
    tokenizer.train("ab ab cd cd", 260).encode("a" * 200)
    assert not tokenizer._known
    monkeypatch.setattr(tokenizers, "REMEMBERED", 2)
    assert tokenizer.encode(text) == tokenizer.encode(text) == wanted
    assert list(tokenizer._known) == ["ab", " ab"]


def test_without_the_regex_library_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "regex", None)
    with pytest.raises(ImportError, match=r"pip install microlearn\[bpe\]$"):
        TOKENIZER.encode("text")


# Files


@pytest.mark.parametrize("tokenizer", [TOKENIZER, BPETokenizer(), CharTokenizer().train(MIXED)])
def test_saved_and_loaded_it_is_the_same(tmp_path, tokenizer):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    for loaded in (load_tokenizer(path), type(tokenizer)().load(path)):
        assert type(loaded) is type(tokenizer)
        assert loaded._state() == tokenizer._state()
        assert loaded.tokens == tokenizer.tokens
        assert loaded.encode(MIXED[-3000:]) == tokenizer.encode(MIXED[-3000:])
    assert json.loads(path.read_text("utf-8"))["kind"] == tokenizer.kind
    assert stat.S_IMODE(path.stat().st_mode) & 0o400
    assert [file.name for file in tmp_path.iterdir()] == ["tokenizer.json"]


def test_a_file_is_whole_or_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    TOKENIZER.save(path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        BPETokenizer().save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["tokenizer.json"]


def test_a_file_of_the_other_kind_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    TOKENIZER.save(path)
    with pytest.raises(ValueError, match=r"tokenizer\.json: expected a tokenizer of kind 'char', got 'bpe'"):
        CharTokenizer().load(path)


BPE = {"kind": "bpe"} | TOKENIZER._state()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "expected JSON"),
        (b"\x89PNG\r\n\x1a\n\xff", "expected JSON"),
        (json.dumps(BPE).encode()[:-9], "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        ([1], "expected a JSON object, got a list"),
        ({}, "of kind 'char' or 'bpe', got None"),
        ({"kind": ["bpe"]}, "of kind 'char' or 'bpe', got"),
        ({"kind": "char"}, "'characters' is missing"),
        ({"kind": "char", "characters": "ba"}, "sorted"),
        ({"kind": "char", "characters": "aa"}, "each once"),
        ({"kind": "char", "characters": 3}, "expected a text, got int"),
        ({"kind": "char", "characters": "\ud800"}, "surrogate"),
        ({"kind": "bpe"}, "'vocab' is missing"),
        (BPE | {"merges": BPE["merges"][1:]}, "no merge makes"),
        (BPE | {"merges": ["a b c"]}, "too many values"),
        (BPE | {"merges": 5}, "damaged"),
        (BPE | {"vocab": []}, "damaged"),
        (BPE | {"vocab": BPE["vocab"] | {"a": "97"}}, "ids are not 0, 1, 2"),
        (BPE | {"vocab": BPE["vocab"] | {"a": 97.0}}, "ids are not 0, 1, 2"),
        (BPE | {"vocab": BPE["vocab"] | {"a": 98}}, "ids are not 0, 1, 2"),
        (BPE | {"vocab": BPE["vocab"] | {"a": [98]}}, "damaged"),
        (BPE | {"vocab": {word: i for word, i in BPE["vocab"].items() if i}}, "ids are not 0, 1, 2"),
        (BPE | {"vocab": BPE["vocab"] | {"文": 800}}, "'文'"),
    ],
)
def test_a_damaged_or_foreign_file_is_named(tmp_path, content, what):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(ValueError, match=re.escape(what)) as caught:
        load_tokenizer(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_tokenizer(tmp_path / "tokenizer.json")


# GPT-2's files


def test_gpt_2_s_files_give_the_same_tokenizer(tmp_path):
    read = BPETokenizer.from_files(*write_files(tmp_path))
    assert read._state() == TOKENIZER._state()
    assert read.special_tokens == {END: 798, PAD: 799}


def test_ids_may_be_in_any_order(tmp_path):
    """In GPT-2's own files the visible bytes come first: ! is 0."""
    vocab, merges = write_files(tmp_path)
    ids = json.loads(vocab.read_text())
    turned = {word: len(ids) - 1 - i for word, i in ids.items()}
    vocab.write_text(json.dumps(turned))
    read = BPETokenizer.from_files(vocab, merges)
    text = f"The naïve 🙂{END}"
    assert read.encode(text, allowed_special="all") == [799 - i for i in TOKENIZER.encode(text, allowed_special="all")]
    assert read.decode(read.encode(text)) == text
    read.save(tmp_path / "tokenizer.json")
    assert load_tokenizer(tmp_path / "tokenizer.json").tokens == read.tokens


def test_bytes_are_spelled_as_in_hugging_face_s_alphabet(tmp_path):
    words = BPETokenizer()._state()["vocab"]
    assert sorted(words) == sorted(pre_tokenizers.ByteLevel.alphabet())
    assert (words["!"], words["Ġ"], words["Ċ"], words["Ń"]) == (33, 32, 10, 0xAD)


def rewrite(vocab, merges, words=None, lines=None):
    if words:
        vocab.write_text(json.dumps(words(json.loads(vocab.read_text()))))
    if lines:
        merges.write_text("\n".join(lines(merges.read_text("utf-8").split("\n"))), encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "lines", "what", "which"),
    [
        (None, lambda lines: lines[:-20], "no merge makes", "both"),
        (None, lambda lines: [*lines[:9], lines[9][:1]], "expected two tokens a line, got", "merges"),
        (None, lambda lines: ["<html>", "<p>not found</p>"], "expected two tokens a line, got '<html>'", "merges"),
        (None, lambda lines: [*lines[:9], "Ġqqq zzz"], "'Ġqqq' is missing", "both"),
        (lambda words: words | {"Ġzzz": 800}, None, "no merge makes 1 of the tokens, such as b' zzz'", "both"),
        (lambda words: words | {"<x>": 805}, None, "ids are not 0, 1, 2", "both"),
        (lambda words: {w: i for w, i in words.items() if i < 790}, None, "is missing", "both"),
        (
            lambda words: {w: i - (i > 97) for w, i in words.items() if i != 97},
            lambda lines: lines[:1],
            "missing",
            "both",
        ),
        (lambda words: list(words), None, "expected a JSON object, got a list", "vocab"),
    ],
)
def test_damaged_files_of_gpt_2_s_format_are_named(tmp_path, words, lines, what, which):
    vocab, merges = write_files(tmp_path)
    rewrite(vocab, merges, words, lines)
    with pytest.raises(ValueError, match=re.escape(what)) as caught:
        BPETokenizer.from_files(vocab, merges)
    named = {"both": f"{vocab}, {merges}: ", "vocab": f"{vocab}: ", "merges": f"{merges}: "}[which]
    assert str(caught.value).startswith(named)


def test_files_in_the_wrong_order_or_of_another_kind_are_named(tmp_path):
    vocab, merges = write_files(tmp_path)
    with pytest.raises(ValueError, match=r"merges\.txt: expected JSON"):
        BPETokenizer.from_files(merges, vocab)
    merges.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"merges\.txt: expected lines of text"):
        BPETokenizer.from_files(vocab, merges)


# Time


def test_a_megabyte_is_learned_in_seconds():
    text = (TOPICS * 3)[:1_000_000]
    start = time.process_time()
    tokenizer = BPETokenizer().train(text, 1256)
    learned = time.process_time() - start
    tokenizer.encode(text)
    assert tokenizer.vocab_size == 1256
    assert learned < 20
    assert time.process_time() - start - learned < 10


@pytest.mark.parametrize("letters", ["a", "abcdefgh"])
def test_a_long_run_of_letters_takes_no_square_of_steps(letters):
    tokenizer = BPETokenizer().train("abcdefgh aaaaaaaa hgfedcba abab " * 9, 290)
    rng = np.random.default_rng(0)
    times = []
    for n in (10_000, 100_000):
        text = "".join(rng.choice(list(letters), n))
        start = time.process_time()
        ids = tokenizer.encode(text)
        times.append(time.process_time() - start)
        assert tokenizer.decode(ids) == text
    assert times[1] < 40 * times[0]  # ten times as long; a square would be a hundred
