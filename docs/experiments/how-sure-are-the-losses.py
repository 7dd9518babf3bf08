# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How sure are the losses?
#
# [The race of four models](../questions/what-makes-transformers-powerful.md) ended with a table, and in it stood a GPT
# a few hundredths ahead of an MLP. Would it stand there with another seed? How far apart do two losses have to be
# before we may believe the order?
#
# You have this question with every A/B test: is the difference larger than the noise? The comparison breaks in one
# place. Your noise comes from the users. Here there are three sources of it, and we hold all of them in our hands:
# which names are set aside, which weights we begin with, and in which order the names are learned.
#
# **Hypothesis.** The order of the table holds for most seeds. The first weights make the largest part of the noise,
# since a network begins as nothing but chance.
#
# **Method.** The race is run with eight seeds. A seed decides on all three. Then we hold the names still, and let the
# weights and the order alone vary.

# %%
from pathlib import Path

import names
import numpy as np

from microlearn.deep import (
    AdamW,
    WarmupCosine,
    clip_grad_norm_,
    log_softmax,
    manual_seed,
    no_grad,
)
from microlearn.llm import (
    GPT,
    CharTokenizer,
    GPTConfig,
    MLPLanguageModel,
    NGram,
)

SEEDS = range(8)
listed = set()
for key in ("first:male", "first:female"):
    file = Path(names.FILES[key])
    for line in file.read_text().splitlines():
        listed.add(line.split()[0].lower())
listed = sorted(listed)  # each name once
letters = CharTokenizer().train(
    "\n".join(listed)
)
V = letters.vocab_size


def rows(words):
    """Put a name into each row."""
    idx = np.zeros((len(words), 13), int)
    for row, word in zip(
        idx, words, strict=True
    ):
        ids = letters.encode(word)
        row[1 : len(ids) + 1] = ids
    lengths = [[len(word)] for word in words]
    return idx, np.arange(12) <= lengths


def surprises(model, idx, asked):
    """Tell the surprise at each token."""
    logits = model(idx[:, :-1])[0][asked]
    chosen = idx[:, 1:][asked]
    at = np.arange(len(chosen)), chosen
    return -log_softmax(logits)[at]


def split(seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(listed))
    words = [listed[i] for i in order]
    cut = len(words) * 9 // 10
    return words[:cut], words[cut:]


def learn(model, words, steps, lr, seed):
    idx, asked = rows(words)
    rng = np.random.default_rng(seed)
    adam = AdamW(
        model.parameters(), lr, (0.9, 0.99)
    )
    plan = WarmupCosine(
        adam, steps // 10, steps, lr / 10
    )
    for _ in range(steps):
        pick = rng.integers(0, len(idx), 32)
        loss = surprises(
            model, idx[pick], asked[pick]
        ).mean()
        adam.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        plan.step()
    return model


def count(n, words):
    text = "\n" + "\n".join(words) + "\n"
    return NGram(V, n).fit(letters.encode(text))


def mlp(words, seed):
    manual_seed(seed)
    model = MLPLanguageModel(V, 4, 16, 64)
    return learn(model, words, 300, 0.01, seed)


def gpt(words, seed):
    manual_seed(seed)
    model = GPT(GPTConfig(12, V, 2, 2, 32))
    for p in model.parameters():
        if p.ndim == 2:  # a narrow stream
            p.data *= (768 / 32) ** 0.5
    return learn(model, words, 300, 0.005, seed)


# %% [markdown]
# ## The race, eight times
#
# Before you read on: does the GPT beat the MLP with all eight seeds? How wide is the band of one model, compared with
# the distance between two?

# %%
models = {
    "bigram": lambda words, seed: count(
        2, words
    ),
    "5-gram": lambda words, seed: count(
        5, words
    ),
    "MLP": mlp,
    "GPT": gpt,
}
each = {name: [] for name in models}
for seed in SEEDS:
    train, aside = split(seed)
    for name, make in models.items():
        model = make(train, seed)
        with no_grad():
            found = surprises(
                model, *rows(aside)
            )
        each[name].append(found.numpy())
loss = {
    name: np.array([e.mean() for e in found])
    for name, found in each.items()
}
print("       lowest median highest")
for name, found in loss.items():
    low, middle, high = np.quantile(
        found, [0, 0.5, 1]
    )
    row = f"{low:6.3f} {middle:6.3f}"
    print(f"{name:6} {row}  {high:6.3f}")
highest = loss["5-gram"].max()
assert highest < loss["MLP"].min()
assert highest < loss["GPT"].min()
assert loss["GPT"].max() < loss["bigram"].min()

# %% [markdown]
# That counting wins this race is no luck: its band lies apart from the others. About the MLP and the GPT the bands say
# nothing, because they overlap. But the two were asked about the *same* names each time. So we compare them in pairs:

# %% tags=["static"]
import matplotlib.pyplot as plt

fig, (left, right) = plt.subplots(
    2, 1, figsize=(5.6, 6)
)
for i, (_, found) in enumerate(loss.items()):
    left.plot(
        found, [i] * len(found), "o", alpha=0.6
    )
left.set_yticks(range(len(loss)), [*loss])
left.set_xlabel("loss, nats a letter")
left.set_title(
    "one dot for each seed", fontsize=12
)
pairs = (
    ("MLP", "GPT"),
    ("MLP", "5-gram"),
    ("GPT", "5-gram"),
)
labels = []
for i, (a, b) in enumerate(pairs):
    gap = loss[a] - loss[b]
    right.plot(
        gap, [i] * len(gap), "o", alpha=0.6
    )
    labels.append(f"{a} less {b}")
right.axvline(0, color="C0", linewidth=1)
right.set_yticks(range(len(pairs)), labels)
right.set_ylim(-0.5, 2.5)
right.set_xlabel(
    "difference with the same seed"
)
fig.set_label(
    "Two plots of dots, one dot for each of "
    "eight seeds. Above, the losses of four "
    "models: the bigram far to the right, the "
    "5-gram to the left of all, MLP and GPT "
    "between them and overlapping. Below, "
    "differences in pairs: both networks are "
    "worse than the 5-gram with every seed."
)
fig

# %%
for a, b in pairs:
    gap = loss[a] - loss[b]
    wins = int((gap > 0).sum())
    print(
        f"{b:6} beats {a:3} {wins} of 8,"
        f" by {gap.mean():.3f}"
        f" +- {gap.std(ddof=1):.3f}"
    )
    if b == "5-gram":
        assert wins == 8
print()
print("spread of a difference")
print("             paired  not paired")
for a, b in pairs:
    paired = np.std(loss[a] - loss[b], ddof=1)
    alone = np.hypot(
        loss[a].std(ddof=1),
        loss[b].std(ddof=1),
    )
    row = f"{paired:6.3f} {alone:11.3f}"
    print(f"{a:4} {b:7} {row}")
    assert paired < alone

# %% [markdown]
# What you should see: a band of a few hundredths for each model, and differences that are steadier than two bands
# would make them. A seed that sets easy names aside is kind to all models, and in a pair that cancels. Not all of it
# does: what is easy for a network is not always easy for a table. A difference that has the same sign with every seed
# is sure, even if the bands overlap. One that changes its sign now and then is a tendency, whatever the medians say.
# That is all that we may call the lead of the GPT here.
#
# ## An error bar from a single run
#
# Must we always train eight times? The loss is a mean over tokens, and a mean of many numbers has a *standard error*:
# their spread, divided by the root of how many there are. The letters of one name are surprising together, so we count
# names, not letters. It costs nothing. **Predict.** Will it be as wide as the band over the seeds?


# %%
def error(found, words):
    """Standard error, name by name."""
    ends = np.cumsum(
        [len(word) + 1 for word in words]
    )
    parts = np.split(found, ends[:-1])
    sums = np.array([p.sum() for p in parts])
    sizes = np.array([len(p) for p in parts])
    rest = sums - sizes * found.mean()
    mean_size = sizes.mean() * len(words)
    return np.sqrt((rest**2).sum()) / mean_size


aside = split(0)[1]
print("        one run   over seeds")
for name, found in each.items():
    bar = error(found[0], aside)
    spread = loss[name].std(ddof=1)
    print(f"{name:6} {bar:8.3f} {spread:12.3f}")
    assert 0.3 < bar / spread < 3

# %% [markdown]
# The same order of size, from one run. (The spread of eight numbers is a rough guess itself.) The standard error
# knows nothing of weights and orders of batches. If it explains the band, what is left for the weights? We hold the
# names of seed 0 still, and train the MLP with the other seeds.

# %%
train, aside = split(0)
test = rows(aside)
same_names = []
for seed in SEEDS:
    model = mlp(train, seed)
    with no_grad():
        found = surprises(model, *test)
    same_names.append(found.numpy().mean())
both = loss["MLP"].std(ddof=1)
weights = np.std(same_names, ddof=1)
print(f"names and weights {both:.4f}")
print(f"weights alone     {weights:.4f}")
assert weights < both

# %% [markdown]
# The hypothesis fell: the weights are the smaller part. Most of the noise is in *which names we ask about*, and a
# larger set of them makes it smaller. Four times as many names, half the error: that is the root.
#
# So there are two questions, and each has its own error bar. *How good is this kind of model on names?* Then the names
# are a sample, and the standard error tells how sure we are. *Which of two models is better on these names?* Then the
# names are the same for both, the larger part of the noise cancels, and what is left is the chance in the weights.
#
# ## How many digits may we write?
#
# A tenth of the names are five hundred. **Predict.** With the whole list aside, ten times as many, could we tell a
# difference of a hundredth from none?

# %%
bar = error(each["GPT"][0], aside)
print("names aside   error bar")
for times in (1, 4, 10, 100):
    n = times * len(aside)
    print(
        f"{n:11,}       {bar / times**0.5:.4f}"
    )
assert bar > 0.01

# %% [markdown]
# A leaderboard that prints four digits of a loss over a few hundred texts prints two of them for decoration. Where you
# compare prompts or models on a set of your own, the same root is at work: fifty examples tell you little, and asking
# *both* the same fifty tells you more than asking each its own. [Error
# bars for evaluations](https://arxiv.org/abs/2411.00640) has the formulas: for questions that come in groups, as our
# letters do, and for pairs.
#
# ## What surprised us
#
# We had blamed the weights, and it was the exam. The other surprise was a relief: a single run knows its own error
# bar, if we keep the losses of the single names and not their mean alone.
#
# ## Your turn
#
# Download this page as a notebook (the link is at its top) and open it in [your copy of this
# journal](../index.md#read-it-running) with `uv run --with notebook jupyter notebook`, or edit
# `docs/experiments/how-sure-are-the-losses.py` while the site is served. The `assert` statements hold what the text
# says about our settings. They need not hold for yours, so delete them first.
#
# 1. **Half the exam** (5 minutes). Set aside a twentieth instead of a tenth. How much wider are the bands?
# 2. **Longer** (15 minutes). Give the GPT five times as many steps. Does it pass the 5-gram, and with how many of the
#    eight seeds?
# 3. **Another rate** (10 minutes). Train a second MLP at twice the rate. Are the bands apart, or only the pairs?
#
# ## What we know now
#
# A loss is a mean over a sample, and has an error bar, which one run can tell: spread over the root of the number of
# names. Much of a band over seeds is the choice of the exam, and a part of that is the same for all models; pairs
# take it away. A difference counts when it has the same sign with every seed. Counting wins on these names, by more
# than any luck of ours.
#
# The loop was that of [the lesson on training](../llm/training.md), the earlier bands those of [what should I
# see?](what-should-i-see.py) All of this phase on one page is [its cheat sheet](../reference/llm-cheat-sheet.md). With
# error bars at hand we can ask [what more steps, more data and more width buy](what-does-more-buy.py).
