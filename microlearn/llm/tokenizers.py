"""Text as numbers: a vocabulary of characters, and one that learns its own words from bytes.

The byte-level tokenizer is GPT-2's (Radford et al., *Language models are unsupervised multitask learners*, 2019), after
Sennrich, Haddow, Birch, *Neural machine translation of rare words with subword units*, 2016
(https://arxiv.org/abs/1508.07909). The lesson is `docs/llm/tokenizers.md`.
"""

import json
import re
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from contextlib import contextmanager
from heapq import heapify, heappop, heappush
from itertools import pairwise
from operator import index
from pathlib import Path

from microlearn.deep._checkpoint import replacing
from microlearn.networks._checks import whole

# GPT-2's way of cutting text: a contraction; letters, digits or signs with the space before them; spaces
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

# GPT-2's files spell each byte as one visible character: itself where it is visible, else one from 256 on
VISIBLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
SPELLED = dict(zip(VISIBLE, map(chr, VISIBLE), strict=True))
SPELLED |= {byte: chr(256 + i) for i, byte in enumerate(sorted({*range(256)} - {*VISIBLE}))}
BYTES = {character: byte for byte, character in SPELLED.items()}

REMEMBERED = 100_000  # pieces of text whose tokens are kept


class Tokenizer(ABC):
    """What both kinds share: a list of tokens, each of which is some bytes. Its place in the list is its id.

    Attributes
    ----------
    tokens : list of bytes
    kind : str
        "char" or "bpe", as in a saved file.
    """

    kind: str
    tokens: list

    @property
    def vocab_size(self):
        """How many tokens there are: the ids go from 0 to one less."""
        return len(self.tokens)

    def decode_bytes(self, ids):
        """Return the bytes that ids stand for. They may begin and end in the midst of a character.

        Raises
        ------
        TypeError, IndexError
            If an id is no whole number, or none of the vocabulary.
        """
        parts = []
        for place, i in enumerate(ids):
            try:
                i = index(i)
            except TypeError:
                raise TypeError(f"decode: ids[{place}]: expected a whole number, got {i!r}") from None
            if not 0 <= i < self.vocab_size:
                raise IndexError(f"decode: ids[{place}] is {i}, and the ids are 0 to {self.vocab_size - 1}")
            parts.append(self.tokens[i])
        return b"".join(parts)

    def decode(self, ids):
        """Return the text that ids stand for. Bytes that are no character become U+FFFD, as GPT-2 does it."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def save(self, path):
        """Write the tokenizer to a file. A file that is there stays whole until the new one is."""
        text = json.dumps({"kind": self.kind, **self._state()}, ensure_ascii=False, indent=1)
        with replacing(path) as file:
            file.write(text.encode())

    def load(self, path):
        """Become the tokenizer that a file holds, and return it.

        Raises
        ------
        ValueError
            If the file holds no tokenizer, one of the other kind, or a damaged one; its name is in the message.
        """
        state = _read_json(path)
        if state.get("kind") != self.kind:
            raise ValueError(f"{path}: expected a tokenizer of kind {self.kind!r}, got {state.get('kind')!r}")
        with _blaming(path):
            self._set_state(state)
        return self

    @abstractmethod
    def _state(self):
        """Return what `save` writes, as JSON has it."""

    @abstractmethod
    def _set_state(self, state):
        """Become what `_state` returned."""


class CharTokenizer(Tokenizer):
    """Every character of a text is a token. The vocabulary is sorted.

    Examples
    --------
    >>> tokenizer = CharTokenizer().train("hello")
    >>> tokenizer.tokens, tokenizer.encode("hole")
    ([b'e', b'h', b'l', b'o'], [1, 3, 2, 0])
    >>> tokenizer.decode([1, 3, 2, 0])
    'hole'
    """

    kind = "char"

    def __init__(self):
        self._set_state({"characters": ""})

    def train(self, text):
        """Take the characters of a text for the vocabulary; return the tokenizer."""
        self._set_state({"characters": "".join(sorted(set(_checked("train", text, least=1))))})
        return self

    def encode(self, text):
        """Return the id of each character.

        Raises
        ------
        ValueError
            If a character is not in the vocabulary.
        """
        try:
            return [self._ids[character] for character in _checked("encode", text)]
        except KeyError as error:
            (unknown,) = error.args
            raise ValueError(
                f"encode: text[{text.index(unknown)}] is {unknown!r}, none of the {self.vocab_size} characters of the "
                "vocabulary: train on text that holds it, or take a BPETokenizer, which knows every text"
            ) from None

    def _state(self):
        return {"characters": "".join(self._ids)}

    def _set_state(self, state):
        characters = state["characters"]
        if sorted(set(_checked("characters", characters))) != list(characters):
            raise ValueError("characters: expected them sorted, each once")
        self.tokens = [character.encode() for character in characters]
        self._ids = {character: i for i, character in enumerate(characters)}


class BPETokenizer(Tokenizer):
    """Byte pair encoding: begin with the 256 bytes, and make the most frequent pair of neighbours a token of its own.

    Text is cut by GPT-2's pattern first, and no token reaches over a cut. Untrained, every byte is a token.

    Attributes
    ----------
    merges : list of (int, int)
        Which two tokens become one, in the order in which it was learned and is applied.
    special_tokens : dict of str to int
        Tokens that no text makes, and their ids.

    Examples
    --------
    >>> tokenizer = BPETokenizer().train("low lower lowest", 258)
    >>> tokenizer.tokens[256:], tokenizer.encode("slow")
    ([b'lo', b'low'], [115, 257])
    >>> tokenizer.decode(tokenizer.encode("any text: 文"))
    'any text: 文'
    """

    kind = "bpe"

    def __init__(self):
        self._set([bytes([byte]) for byte in range(256)], [], {})

    def train(self, text, vocab_size, special_tokens=()):
        """Learn the merges from a text; return the tokenizer.

        Of pairs that are equally frequent, the one with the lower ids comes first. A pair that occurs once is not
        merged, so a short text may give fewer than `vocab_size` tokens.

        Parameters
        ----------
        text : str
        vocab_size : int
            The bytes, the merges and the special tokens together.
        special_tokens : sequence of str, optional
            The text is cut where they stand in it. They get the last ids.
        """
        text, special = _checked("train", text, least=1), _special(special_tokens)
        room = whole("vocab_size", vocab_size) - len(special)
        if room < 256:
            raise ValueError(
                f"vocab_size: 256 bytes and {len(special)} special tokens need {256 + len(special)} or more, "
                f"got {vocab_size}"
            )
        pieces = Counter()
        for part in _cut(text, special)[::2]:  # every other part is a special token
            pieces.update(_pieces(part))
        tokens, merges = _learn({piece.encode(): count for piece, count in pieces.items()}, room)
        ids = {name: len(tokens) + i for i, name in enumerate(special)}
        self._set(tokens + [name.encode() for name in special], merges, ids)
        return self

    def encode(self, text, allowed_special=()):
        """Return the ids of a text. Every text has some.

        Parameters
        ----------
        text : str
        allowed_special : sequence of str, or "all"
            The special tokens that may be made where their names stand in the text. The others are text like any
            other: whoever writes the text cannot make them.

        Raises
        ------
        ValueError
            If `allowed_special` names what is no special token, or the text holds half of a surrogate pair.
        """
        allowed = self.special_tokens if allowed_special == "all" else _special(allowed_special)
        for name in allowed:
            if name not in self.special_tokens:
                raise ValueError(f"allowed_special: {name!r} is none of the special tokens {list(self.special_tokens)}")
        ids = []
        for part in _cut(_checked("encode", text), allowed):
            if part in allowed:
                ids.append(self.special_tokens[part])
            else:
                for piece in _pieces(part):
                    ids += self._known.get(piece) or self._merge(piece)
        return ids

    @classmethod
    def from_files(cls, vocab, merges):
        """Read a tokenizer in the format in which GPT-2's was published.

        A name in angle brackets that no merge makes is a special token.

        Parameters
        ----------
        vocab : path
            `vocab.json`: the id of each token.
        merges : path
            `merges.txt`: two tokens a line, in the order of the merges, below a line that begins with `#version`.

        Raises
        ------
        ValueError
            If a file is no such file, is damaged, or does not belong to the other; its name is in the message.
        """
        ids = _read_json(vocab)
        try:
            lines = Path(merges).read_text("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{merges}: expected lines of text ({error})") from None
        lines = [line for line in lines if not line.startswith("#version")]
        for line in lines:
            if len(line.split(" ")) != 2:
                raise ValueError(f"{merges}: expected two tokens a line, got {line[:40]!r}")
        made = {line.replace(" ", "") for line in lines}
        special = {name: i for name, i in ids.items() if re.fullmatch("<.+>", name) and name not in made}
        words = {word: i for word, i in ids.items() if word not in special}
        tokenizer = cls()
        with _blaming(f"{vocab}, {merges}"):
            tokenizer._set_state({"vocab": words, "merges": lines, "special_tokens": special})
        return tokenizer

    def _merge(self, piece):
        """Return the tokens of a piece: of all pairs that are there, the one learned first becomes one, and so on.

        A merge changes two pairs, so a heap knows the next one: a piece of n bytes takes n log n steps.
        """
        ids = [self._letters[byte] for byte in piece.encode()] + [-1]  # the end, which no rule knows
        after, before = list(range(1, len(ids) + 1)), list(range(-1, len(ids) - 1))
        rules = self._rules
        heap = [(rules[pair], i, pair) for i, pair in enumerate(pairwise(ids)) if pair in rules]
        heapify(heap)
        while heap:
            (_, new), i, pair = heappop(heap)
            j = after[i]
            if (ids[i], ids[j]) != pair:  # a merge came before it
                continue
            ids[i], ids[j] = new, -1
            after[i] = k = after[j]
            before[k] = i
            for left, right in ((before[i], i), (i, k)):
                pair = ids[left], ids[right]
                if pair in rules:
                    heappush(heap, (rules[pair], left, pair))
        ids = [i for i in ids if i >= 0]
        if len(piece) < 100 and len(self._known) < REMEMBERED:
            self._known[piece] = ids
        return ids

    def _set(self, tokens, merges, special):
        """Take over tokens, merges and special tokens, and prepare what `encode` looks up."""
        names = set(special.values())
        ids = {token: i for i, token in enumerate(tokens) if i not in names}
        letters = [ids[bytes([byte])] for byte in range(256)]
        rules = {(a, b): (rank, ids[tokens[a] + tokens[b]]) for rank, (a, b) in enumerate(merges)}
        made = {*letters, *(new for _, new in rules.values())}
        if unmade := [token for token, i in ids.items() if i not in made]:
            raise ValueError(f"no merge makes {len(unmade)} of the tokens, such as {unmade[0]!r}")
        self.tokens, self.merges, self.special_tokens = tokens, merges, special
        self._ids, self._letters, self._rules, self._known = ids, letters, rules, {}

    def _state(self):
        words = [_spell(token) for token in self.tokens]
        return {
            "merges": [f"{words[a]} {words[b]}" for a, b in self.merges],
            "special_tokens": self.special_tokens,
            "vocab": {words[i]: i for i in self._ids.values()},
        }

    def _set_state(self, state):
        vocab, special = state["vocab"], state["special_tokens"]
        places = {i: _unspell(word) for word, i in vocab.items()} | {i: name.encode() for name, i in special.items()}
        if not all(isinstance(i, int) for i in places) or sorted(places) != list(range(len(vocab) + len(special))):
            raise ValueError("the ids are not 0, 1, 2 and so on, each once")
        merges = [(vocab[a], vocab[b]) for a, b in (line.split(" ") for line in state["merges"])]
        self._set([places[i] for i in range(len(places))], merges, special)


def load_tokenizer(path):
    """Read a tokenizer of either kind from the file that `save` wrote.

    Raises
    ------
    ValueError
        If the file holds no tokenizer, or a damaged one; its name is in the message.
    """
    kind = _read_json(path).get("kind")
    for known in (CharTokenizer, BPETokenizer):
        if known.kind == kind:
            return known().load(path)
    raise ValueError(f"{path}: expected a tokenizer, of kind 'char' or 'bpe', got {kind!r}")


def _learn(pieces, room):
    """Find the merges: how often each pair occurs is counted once, and then kept up to date.

    Parameters
    ----------
    pieces : dict of bytes to int
        The pieces of the text, and how often each occurs.
    room : int
        How many tokens there may be.

    Returns
    -------
    tokens : list of bytes
    merges : list of (int, int)
    """
    tokens, merges = [bytes([byte]) for byte in range(256)], []
    words, often = [list(piece) for piece in pieces], list(pieces.values())
    counts, where = Counter(), defaultdict(set)
    for w, word in enumerate(words):
        for pair in pairwise(word):
            counts[pair] += often[w]
            where[pair].add(w)
    heap = [(-count, pair) for pair, count in counts.items()]
    heapify(heap)
    while heap and len(tokens) < room:
        count, pair = heappop(heap)
        if -count != counts[pair]:  # other merges took some away
            heappush(heap, (-counts[pair], pair))
            continue
        if count > -2:
            break
        new = len(tokens)
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
        merges.append(pair)
        grown = set()
        for w in where.pop(pair):
            word = words[w]
            words[w] = merged = _replace(word, pair, new)
            for old in pairwise(word):
                counts[old] -= often[w]
            for young in pairwise(merged):
                counts[young] += often[w]
                if new in young:
                    where[young].add(w)
                    grown.add(young)
        for young in grown:
            heappush(heap, (-counts[young], young))
    return tokens, merges


def _replace(word, pair, new):
    """Write one token for each pair, from left to right."""
    merged, i = [], 0
    while i < len(word):
        if word[i] == pair[0] and i + 1 < len(word) and word[i + 1] == pair[1]:
            merged.append(new)
            i += 2
        else:
            merged.append(word[i])
            i += 1
    return merged


def _pieces(text):
    """Cut a text by GPT-2's pattern. The pieces, one after the other, are the text."""
    try:
        import regex
    except ImportError:
        raise ImportError("a BPETokenizer cuts text with the library regex: pip install microlearn[bpe]") from None
    return regex.findall(PATTERN, text)


def _cut(text, special):
    """Cut a text before and after each special token; of two that begin at one place, the longer one counts."""
    names = sorted(special, key=len, reverse=True)
    return re.split(f"({'|'.join(map(re.escape, names))})", text) if names else [text]


def _special(names):
    """Take names of special tokens; refuse what are none."""
    if isinstance(names, str) or not all(isinstance(name, str) and name for name in names):
        raise TypeError(f"special tokens: expected a list of names, such as ['<|endoftext|>'], got {names!r}")
    if len(set(names)) != len(list(names)):
        raise ValueError(f"special tokens: expected each name once, got {names!r}")
    return list(names)


def _checked(action, text, least=0):
    """Take a text; refuse what is none, what is too short, and what no UTF-8 can hold."""
    if not isinstance(text, str):
        raise TypeError(f"{action}: expected a text, got {type(text).__name__}")
    if len(text) < least:
        raise ValueError(f"{action}: the text is empty, and nothing can be learned from it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{action}: text[{error.start}] is {text[error.start]!r}, half of a surrogate pair and no character; "
            "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace') mends it"
        ) from None
    return text


@contextmanager
def _blaming(place):
    """Name the file in whatever error comes of what it holds."""
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{place}: damaged, or not of one tokenizer: {error} is missing") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{place}: damaged, or not of one tokenizer: {error}") from None


def _spell(token):
    """Write bytes in the visible characters of GPT-2's files."""
    return "".join(SPELLED[byte] for byte in token)


def _unspell(word):
    """Read bytes from the visible characters of GPT-2's files."""
    if strange := set(word) - set(BYTES):
        raise ValueError(f"{word!r} holds {min(strange)!r}, which spells no byte")
    return bytes(BYTES[character] for character in word)


def _read_json(path):
    """Read a JSON object from a file; a ValueError that names the file if there is none."""
    try:
        found = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON, and it is damaged or something else ({error})") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a JSON object, got a {type(found).__name__}")
    return found
