# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Watch a GPT learn
#
# A loss curve goes down, and at its end stands a model that writes. What happened in between? Today we look in, while
# it trains: at what it writes, at where its heads look, and at what its letters have come to mean.
#
# You do this with a deployment: you do not wait for the end, you watch the logs. The comparison breaks in one place. A
# deployment goes from broken to working at one moment. A model gets less wrong all the time, and each moment has its
# own manner of being wrong.
#
# **Hypothesis.** First it learns which letters are frequent, then which follow each other, then words. And after a
# minute or so it is better than counting.
#
# **Method.** The text is Python's own documentation, which your Python has on board. The last tenth of it is set
# aside. A small GPT reads the rest letter by letter, and writes after some of its steps, always from the same seed.

# %%
from pydoc_data.topics import topics

from microlearn.deep import manual_seed
from microlearn.llm import (
    GPT,
    CharTokenizer,
    GPTConfig,
    NGram,
    generate,
    train,
)

text = "\n".join(topics.values())
tokenizer = CharTokenizer().train(text)
ids = tokenizer.encode(text)
V = tokenizer.vocab_size
cut = len(ids) * 9 // 10
print(f"{len(ids):,} letters, {V} different")

# %% [markdown]
# Something to compare with comes first. What is the loss of a model that knows nothing, of one that counts [pairs of
# letters](../llm/ngram.md), and of one that counts five?

# %%
import math

import numpy as np

lines = {"uniform": math.log(V)}
for name, n in (("bigram", 2), ("5-gram", 5)):
    counted = NGram(V, n).fit(ids[:cut])
    lines[name] = counted.loss(ids[cut:])
for name, loss in lines.items():
    print(f"{name:8} {loss:.2f}")

# %% [markdown]
# Now the GPT: two blocks of two heads, and 64 numbers for a letter. It sees 32 letters at most. On two cores this
# takes less than a minute. `on_evaluation` is called after every evaluation, and that is where we look in. In a
# notebook you see each sample when it is written.
#
# Before you read on: what will it write after 50 steps, and after 1,000? We wrote down: `eee tt aa`, and English with
# mistakes.

# %%
STEPS = 1000
SHOW = (0, 50, 150, 400, 1000)
SENTENCE = "a list is an object"
prompt = tokenizer.encode("\n")
probe = [tokenizer.encode(SENTENCE)]

manual_seed(0)
model = GPT(
    GPTConfig(
        block_size=32,
        vocab_size=V,
        n_layer=2,
        n_head=2,
        n_embd=64,
    )
)


def maps():
    """Give the map of each head."""
    return [
        head
        for block in model.attention_maps(probe)
        for head in block[0]
    ]


before = maps()


def look_in(history):
    step = history.step[-1]
    if step not in SHOW:
        return
    loss = history.val_loss[-1]
    print(f"step {step}, loss {loss:.2f}")
    new = generate(
        model,
        prompt,
        110,
        temperature=0.8,
        seed=1,
    )
    sample = tokenizer.decode(new)
    words = " ".join(sample.split())
    for start in range(0, len(words), 46):
        print(" ", words[start : start + 46])


history = train(
    model,
    ids,
    max_iters=STEPS,
    batch_size=16,
    lr=4e-3,
    min_lr=4e-4,
    eval_interval=50,
    eval_iters=8,
    on_evaluation=look_in,
)

# %% [markdown]
# Read the samples from top to bottom. At first all letters are alike, the rare signs too. Then the frequent ones are
# there, and blanks: the model has learned *how often*. Then come pieces of the right length, with vowels where vowels
# belong: it has learned *what follows what*. And in the end there are words, some of them English and some that should
# be. Sense there is none, and it never had a chance: it sees 32 letters at once, which is five or six words.
#
# Here is the same in one number:

# %% tags=["static"]
import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.plot(
    history.step,
    history.train_loss,
    "--",
    label="on what it reads",
)
ax.plot(
    history.step,
    history.val_loss,
    label="on what is aside",
)
for name, loss in lines.items():
    ax.axhline(loss, ls=":", color="C3")
    ax.text(
        STEPS,
        loss,
        name,
        ha="right",
        va="bottom",
    )
ax.set_xlim(0, STEPS)
ax.set_xlabel("steps")
ax.set_ylabel("loss, nats a letter")
ax.legend(
    loc="upper right", bbox_to_anchor=(1, 0.9)
)
fig.set_label(
    "The loss over the steps. Both curves "
    "begin at the line of the uniform model, "
    "fall steeply at first and then ever more "
    "slowly. They cross the line of the "
    "bigram, and end above that of the "
    "5-gram."
)
fig

# %%
end = history.val_loss[-1]
for name, loss in lines.items():
    word = "below" if end < loss else "above"
    row = f"{word} {name}, {loss:.2f}"
    print(f"{end:.2f} is {row}")
assert (
    abs(history.val_loss[0] - math.log(V)) < 0.2
)
assert end < lines["bigram"] - 0.1
assert end > lines["5-gram"] + 0.1

# %% [markdown]
# It begins at the logarithm of the number of letters, [as every fresh model should](../llm/transformer.md). The fall
# is steep while it learns what a table of letters could have told it, and then gets slow. It passes the bigram. The
# 5-gram is out of reach: half of our hypothesis is wrong. Counting read the text once, in a moment, and knows every
# phrase that this documentation likes to repeat. (If the curve of what is aside lies lower than the
# other, that is no bug. It is another part of the text, and may be an easier one.)
#
# ## Where the heads look
#
# For a sentence of your own, put it into `SENTENCE` above: 32 letters at most, and only such as the documentation holds
# (for a sentence in another language, take a `text` in it too). Each row of a map is a letter that looks back, each
# column a letter that is looked at.
#
# **Predict.** Before the first step, what does a map look like?

# %% tags=["static"]
fig, axes = plt.subplots(
    4, 2, figsize=(5.6, 10.4)
)
after = maps()


def heat(ax, weights):
    """Draw each weight as a square."""
    t, s = np.nonzero(weights > 0.03)
    ax.scatter(
        s,
        t,
        s=52,
        marker="s",
        linewidths=0,
        alpha=weights[t, s],
    )
    n = len(weights) - 0.5
    ax.set(xlim=(-0.5, n), ylim=(n, -0.5))
    ax.set_box_aspect(1)


letters = list(SENTENCE)
places = range(len(letters))
for i, pair in enumerate(
    zip(before, after, strict=True)
):
    for ax, weights, when in zip(
        axes[i],
        pair,
        ("before", "after"),
        strict=True,
    ):
        heat(ax, weights)
        ax.set_title(
            f"head {i // 2}.{i % 2}, {when}",
            fontsize=11,
        )
        ax.set_xticks(
            places, letters, fontsize=8
        )
        ax.set_yticks(
            places, letters, fontsize=8
        )
        ax.tick_params(length=0)
for ax in axes[-1]:
    ax.set_xlabel("looked at")
for ax in axes[:, 0]:
    ax.set_ylabel("looks")
fig.set_label(
    "Eight attention maps on one sentence: "
    "four heads, before and after the "
    "training. Before, every row is spread "
    "evenly over all letters up to its own. "
    "After, several heads are sharp: they put "
    "much of their weight on the last few "
    "letters, or on certain ones."
)
fig

# %% [markdown]
# Before, a head takes the average of all that stands before: [where attention began](../llm/attention.md). After, it
# looks at something. How much sharper have they become? For each head we take the largest weight of each row, and then
# the mean over the rows. And how much of the weight lies on the letter itself and the three before it?


# %%
def sharpness(weights):
    return weights[4:].max(axis=1).mean()


def nearby(weights):
    last = np.tri(len(weights), k=0)
    last -= np.tri(len(weights), k=-4)
    return (weights * last)[4:].sum(1).mean()


print("        largest weight   last four")
print("        before  after  before  after")
for i, (old, new) in enumerate(
    zip(before, after, strict=True)
):
    row = [
        f(w)
        for f in (sharpness, nearby)
        for w in (old, new)
    ]
    name = f"head {i // 2}.{i % 2}"
    print(
        name,
        " ".join(f"{n:6.0%}" for n in row),
    )
sharper = [
    sharpness(b) > sharpness(a)
    for a, b in zip(before, after, strict=True)
]
assert all(sharper)

# %% [markdown]
# ## What a letter has become
#
# Each letter is a vector of 64 numbers. Nobody told the model that `a` and `A` belong together, or that there are
# vowels. We draw the two directions in which the vectors of the frequent letters differ most.

# %% tags=["static"]
from collections import Counter

common = [
    c
    for c, _ in Counter(text).most_common(60)
    if c.strip()
]
table = model.transformer.wte.weight.data
vectors = table[
    [tokenizer.encode(c)[0] for c in common]
]
vectors = vectors - vectors.mean(axis=0)
_, _, axes_ = np.linalg.svd(
    vectors, full_matrices=False
)
flat = vectors @ axes_[:2].T
kinds = {
    "vowels": "aeiou",
    "others": "bcdfghjklmnpqrstvwxyz",
    "capitals": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
}
fig, ax = plt.subplots(figsize=(5.6, 5))
for i, c in enumerate(common):
    kind = next(
        (
            k
            for k, members in enumerate(
                kinds.values()
            )
            if c in members
        ),
        3,
    )
    ax.text(
        *flat[i],
        c,
        color=f"C{kind}",
        ha="center",
        va="center",
        weight="bold" if kind == 0 else None,
    )
low = flat.min(axis=0) - 0.05
high = flat.max(axis=0) + 0.05
ax.set(
    xlim=(low[0], high[0]),
    ylim=(low[1], high[1]),
)
ax.set_xlabel("first direction")
ax.set_ylabel("second direction")
fig.set_label(
    "A map of the frequent characters by "
    "their vectors. The small letters are "
    "apart from capitals, digits and signs, "
    "and the vowels lie close to one another."
)
fig


# %%
def alike(one, other):
    """Mean cosine between two groups."""

    def unit(group):
        rows = table[tokenizer.encode(group)]
        rows = rows - table.mean(axis=0)
        size = np.linalg.norm(
            rows, axis=1, keepdims=True
        )
        return rows / size

    cosines = unit(one) @ unit(other).T
    apart = [a != b for a in one for b in other]
    return cosines.ravel()[apart].mean()


vowels, rest = "aeiou", "bcdfglmnprstvw"
close = alike(vowels, vowels)
apart = alike(vowels, rest)
print(f"vowels and vowels {close:.2f}")
print(f"vowels and others {apart:.2f}")
assert close > apart

# %% [markdown]
# The vowels are more like each other than like the other letters. What follows a vowel is what follows another vowel,
# so the same vector serves well for both: that is all that [an embedding](../llm/embeddings.md) knows.
#
# ## What surprised us
#
# The order was as we had thought: how often, what after what, words. That counting would still be far ahead at the end
# was not. With more steps, more width and a longer window [the model goes on falling](what-does-more-buy.py), and the
# table of counts does not. You see the beginning of a long curve here, and the API that you use stands near its other
# end.
#
# ## Your turn
#
# Download this page as a notebook (the link is at its top) and open it in [your copy of this
# journal](../index.md#read-it-running) with `uv run --with notebook jupyter notebook`, or edit
# `docs/experiments/watch-a-gpt-learn.py` while the site is served. The `assert` statements hold what the text
# says about our settings. They need not hold for yours, so delete them first.
#
# 1. **Your words** (5 minutes). Set `text` to a file of your own: `open("my.txt").read()`. What does it pick up first?
# 2. **Cold and hot** (5 minutes). Sample at half of the temperature and at twice of it. Which of the two looks like an
#    earlier step?
# 3. **Longer** (15 minutes). Ten times as many `STEPS`, with `progress=True` for a bar. Does it come near the 5-gram?
#
# ## What we know now
#
# A GPT learns in the order in which it pays: frequencies first, then neighbours, then words. A loss without a line to
# compare it with says nothing, and a model that writes something like English may be far behind a table of counts.
# Heads begin as averages and become sharp, and letters that are used alike get vectors that are alike.
#
# One text, one seed, one run. Next: [how sure are such losses?](how-sure-are-the-losses.py)
