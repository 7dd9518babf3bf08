"""Training a tokenizer and encoding with it, against Hugging Face's library, which is written in Rust.

    python -m tests.benchmarks.tokenizing

The text is a megabyte of the standard library's own source. Ours uses one thread, theirs as many as it likes.
Nothing is printed unless both sides come to the same ids.
"""

import json
import os
import statistics
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from microlearn.llm import BPETokenizer
from tests.benchmarks.table import Row, alternate, print_table, seconds

SIZE = 1256  # 256 bytes and 1,000 merges


def megabyte():
    files = sorted(Path(os.__file__).parent.glob("*.py"))
    return "".join(file.read_text("utf-8") for file in files)[:1_000_000]


def theirs(model):
    made = Tokenizer(model)
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return made


def same_merges(tokenizer):
    """Give Hugging Face's library what ours has learned."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tokenizer.json")
        tokenizer.save(path)
        state = json.loads(path.read_text("utf-8"))
    return theirs(models.BPE(state["vocab"], [tuple(line.split(" ")) for line in state["merges"]]))


def rows():
    text = megabyte()

    def train():
        return BPETokenizer().train(text, SIZE)

    def train_theirs():
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        options = {"vocab_size": SIZE, "min_frequency": 2, "initial_alphabet": alphabet, "show_progress": False}
        theirs(models.BPE()).train_from_iterator([text], trainers.BpeTrainer(**options))

    tokenizer = train()
    peer = same_merges(tokenizer)
    assert tokenizer.encode(text) == peer.encode(text).ids

    def encode():
        return tokenizer.encode(text)

    pairs = {
        "1,000 merges from 1 MB": (train, train_theirs),
        "encode 1 MB": (encode, lambda: peer.encode(text)),
    }
    for name, (ours, other) in pairs.items():
        runs = alternate(lambda f=ours: seconds(f)[1], lambda f=other: seconds(f)[1], blocks=5, repetitions=1)
        yield Row(f"tokenizer, {name}", *(1000 * statistics.median(times) for times in runs), "ms")


if __name__ == "__main__":
    print_table(list(rows()))
