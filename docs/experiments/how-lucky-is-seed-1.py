# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How lucky is seed 1?
#
# Every network in our lessons begins with a seed, and most pictures show the one run that a seed led to. How much of
# what we saw was the method, and how much was the seed?
#
# You know this question from latency. Nobody judges a service by one request: you ask for the median, the 90th
# percentile and the worst. A training run is such a request. The comparison breaks in one place. You do not pick your
# users, but we picked our seeds, and a seed that gives a fine picture is easily kept.
#
# **Hypothesis.** Seed 1 is an ordinary seed. And one run for each setting is enough to see which setting is the better
# one, if the same seed is used for all.
#
# **Method.** We train a small network on two moons: three learning rates, two losses, and each of the six settings with
# 50 seeds. A seed decides on everything that is left to chance: where the points lie, the first weights, and the order
# of the batches. We ask after how many epochs all points are right, and stop looking after 35.

# %%
from microlearn.networks import (
    MLP,
    binary_cross_entropy,
    fit,
    hinge,
    moons,
)

SEEDS = range(50)
LIMIT = 35  # epochs


def train(loss, lr, data_seed, seed):
    X, y = moons(50, seed=data_seed)
    return fit(
        MLP(2, [6, 1], seed=seed),
        X,
        y,
        loss=loss,
        lr=lr,
        batch_size=2,
        epochs=LIMIT,
        target_accuracy=1.0,
        seed=seed,
    )


def epochs(history):
    if history.ending == "target reached":
        return len(history.loss)
    return LIMIT + 1  # not while we looked


# %% [markdown]
# ## What we expect
#
# Before you read on: of 50 seeds, how many will have learned the moons after 35 epochs? How far apart are a lucky one
# and an unlucky one? And where among the 50 stands seed 1?
#
# We wrote down: nearly all; a factor of two; in the middle.
#
# ## What we see
#
# Three hundred trainings. We rank the 50 of each setting and read off five places: the lucky end is the tenth
# percentile, the unlucky end the 90th, and `-` means not within 35 epochs.


# %%
def place(ranked, share):
    i = int(share * (len(ranked) - 1))
    return ranked[i]


def shown(number):
    return "-" if number > LIMIT else number


losses = {
    "cross-entropy": binary_cross_entropy,
    "hinge": hinge,
}
rates = (0.5, 1.0, 2.0)
runs = {}
for name, loss in losses.items():
    for lr in rates:
        runs[name, lr] = found = []
        for s in SEEDS:
            found.append(train(loss, lr, s, s))

print("               done 10% 50% 90%  seed 1")
for (name, lr), histories in runs.items():
    needed = [epochs(h) for h in histories]
    ranked = sorted(needed)
    done = sum(n <= LIMIT for n in needed)
    row = f"{name:13} {lr} {done:3}"
    for share in (0.1, 0.5, 0.9):
        number = shown(place(ranked, share))
        row += f"{number:>4}"
    rank = ranked.index(needed[1]) + 1
    row += f"{shown(needed[1]):>4}"
    if needed[1] <= LIMIT:
        row += f", rank {rank}"
    print(row)
    lucky = rank <= 5
    assert lucky == (lr == 1.0), "other luck"

# %% [markdown]
# Seed 1, the one that a tutorial would take, is no ordinary seed. At the rate of 1.0 it is the first of all, with
# either loss, or close to it. Had we shown you that run alone, you would have learned that moons take half the time
# that they take, and nothing would have been false but the impression.
#
# And it is not lucky as a person is lucky: at half that rate and at twice it is one among the others. The luck is in
# the meeting of these weights, these points and this rate. It does not move house with the seed.
#
# Here are all the trainings. The band holds the middle 80% of the seeds, the solid line is the median, the dotted one
# the worst of the 50 at each epoch, and the dashed one is seed 1. A training that has reached its goal keeps its last
# loss.

# %% tags=["static"]
import itertools

import matplotlib.pyplot as plt

size = (5.6, 7)
fig, axes = plt.subplots(
    3,
    2,
    figsize=size,
    sharex=True,
    sharey=True,
)
steps = range(1, LIMIT + 1)
places = itertools.product(losses, rates)
for ax, (name, lr) in zip(
    axes.T.flat, places, strict=True
):
    rows = []
    for h in runs[name, lr]:
        rest = [h.loss[-1]] * LIMIT
        rows.append((h.loss + rest)[:LIMIT])
    low, middle, high, worst = [], [], [], []
    for column in zip(*rows, strict=True):
        ranked = sorted(column)
        low.append(place(ranked, 0.1))
        middle.append(place(ranked, 0.5))
        high.append(place(ranked, 0.9))
        worst.append(ranked[-1])
    ax.fill_between(steps, low, high, alpha=0.2)
    ax.plot(steps, middle, label="median")
    seed_1 = rows[1]
    ax.plot(steps, seed_1, "--", label="seed 1")
    ax.plot(steps, worst, ":", label="worst")
    title = f"{name}, rate {lr}"
    ax.set_title(title, fontsize=12)
for ax in axes[:, 0]:
    ax.set_ylabel("loss")
for ax in axes[-1]:
    ax.set_xlabel("epochs")
fig.legend(
    *axes[0, 0].get_legend_handles_labels(),
    loc="outside upper center",
    ncols=3,
)
fig.set_label(
    "Six small plots of the loss over the "
    "epochs, for three learning rates and two "
    "losses. In each the median falls, inside "
    "a band that stays wide. The worst seeds "
    "stay far above it, the farther the larger "
    "the rate."
)
fig

# %% [markdown]
# The bands do not close. Even where the median has come down, the upper edge stays up: those seeds are not late by a
# little. And here is how many seeds are done, epoch by epoch. The mark on each line is where seed 1 arrived, if it did.

# %% tags=["static"]
fig, axes = plt.subplots(1, 2, sharey=True)
styles = dict(
    zip(rates, (":", "-", "--"), strict=True)
)
for i, name in enumerate(losses):
    ax = axes[i]
    for lr, style in styles.items():
        needed = [*map(epochs, runs[name, lr])]
        done = []
        for epoch in steps:
            now = [n <= epoch for n in needed]
            done.append(sum(now))
        ax.plot(steps, done, style, label=lr)
        if needed[1] <= LIMIT:
            at = needed[1]
            ax.plot(at, done[at - 1], "C3o")
    ax.set_title(name, fontsize=12)
    ax.set_xlabel("epochs")
axes[0].set_ylabel("seeds of 50 that are done")
axes[0].set_ylim(0, 50)
axes[0].legend(title="rate", loc="upper left")
fig.set_label(
    "Two plots, one for each loss: how many of "
    "the 50 seeds are done, over the epochs. "
    "For each learning rate a line rises late, "
    "and none comes to the top. Marks show "
    "where seed 1 arrived: at the rate of 1, "
    "at the very foot of the line."
)
fig

# %% [markdown]
# ## What one run would have made us believe
#
# We had a second hypothesis: the same seed for every setting makes a fair race. So let every seed judge. Each names the
# setting that was done first, and we count the votes.

# %%
from collections import Counter

votes = Counter()
for s in SEEDS:
    took = {}
    for setting, histories in runs.items():
        took[setting] = epochs(histories[s])
    first = min(took.values())
    won = [k for k in runs if took[k] == first]
    if len(won) == 1 and first <= LIMIT:
        votes[won[0]] += 1

for name, lr in runs:
    print(f"{name:13} {lr} {votes[name, lr]:3}")
print(
    "no single winner ",
    len(SEEDS) - votes.total(),
)
assert votes.most_common(1)[0][1] < 25

# %% [markdown]
# Every setting is somebody's best one, and none has half of the votes. With one seed you would have published one of
# these six results, in good faith. Even a plain contest, cross-entropy against hinge at the same rate, needs more than
# one race:

# %%
from math import comb

for lr in rates:
    a = map(epochs, runs["cross-entropy", lr])
    b = map(epochs, runs["hinge", lr])
    pairs = list(zip(a, b, strict=True))
    wins = sum(x < y for x, y in pairs)
    lost = sum(x > y for x, y in pairs)
    n = wins + lost  # races with a winner
    more = range(wins, n + 1)
    coins = sum(comb(n, k) for k in more) / 2**n
    row = f"at {lr}: {wins:2} to {lost:2}"
    print(row, f"  coins {coins:.0%}")
    assert wins > lost > 0

# %% [markdown]
# Over 50 seeds cross-entropy is ahead at all three rates, for this task. But there are seeds for the other answer, a
# good number of them. And a lead can be luck itself: the last column says how often that many coins would give
# cross-entropy as many races or more. Not every one of these leads is proof. It is the flaky test of our trade: a run
# that fails one time in three tells little when it passes.
#
# ## Whose luck is it?
#
# A seed did three things at once. We take them apart: a row for each set of points, and across it first weights (and
# the order of the batches) from five other seeds.
#
# **Predict.** Will the numbers differ more along a row, or from row to row?

# %%
print("      weights from seed")
print("points   0   1   2   3   4")
loss, lr = binary_cross_entropy, 1.0
for points in range(7):
    row = f"{points:6}"
    for seed in range(5):
        history = train(loss, lr, points, seed)
        row += f"{shown(epochs(history)):>4}"
    print(row)

# %% [markdown]
# From row to row. The points of row 6 are learned from none of these weights, and those of row 3 from all of them,
# quickly. So we had praised the wrong part: much of seed 1's luck lies in its points. Then comes the luck of the
# weights, along the rows, and it is not small either.
#
# These are the points of row 6, and then those of row 3:

# %%
from microlearn.networks import scatter

scatter(*moons(50, seed=6))

# %%
scatter(*moons(50, seed=3))

# %% [markdown]
# In row 6 a disc lies all but underneath a diamond, near the right end of the upper moon. No border passes between them
# that is not bent for these two alone. In row 3 the street between the moons is wide.
#
# That makes two questions out of one. *Is my method good?* Vary everything. *Is this network better than that one, on
# the data I have?* Keep the points, and vary the weights.
#
# ## A promise, and its band
#
# Now we can say what our lessons only showed. A promise about training names the data, the network, the rate, a limit,
# and a share of the seeds: *of 50 seeds, at least 45 reach 100%*. These
# networks have more neurons than the ones above, and more epochs; the moons have twice as many points:

# %%
from microlearn.networks import circles, spiral

GOAL = 45  # of 50 seeds
PROMISES = {
    "moons": {
        "data": lambda s: moons(100, 0.1, s),
        "network": ([8, 1], "tanh"),
        "lr": 1.5,
        "epochs": 80,
    },
    "circles": {
        "data": lambda s: circles(60, seed=s),
        "network": ([12, 1], "relu"),
        "lr": 0.5,
        "epochs": 100,
    },
    "spiral": {
        "data": lambda s: spiral(60, seed=s),
        "network": ([12, 1], "relu"),
        "lr": 0.5,
        "epochs": 100,
    },
}


def keep(promise, seed):
    """Say after how many epochs, or None."""
    data = promise["data"]
    X, y = data(seed)
    nouts, activation = promise["network"]
    history = fit(
        MLP(2, nouts, activation, seed=seed),
        X,
        y,
        lr=promise["lr"],
        batch_size=2,
        epochs=promise["epochs"],
        target_accuracy=1.0,
        seed=seed,
    )
    if history.ending == "target reached":
        return len(history.loss)
    return None


# %% [markdown]
# Fifty seeds of each take longer than a page may. So here are their results, recorded: how many kept the promise, and
# the median and the worst of those, in epochs. The project's tests train all these networks, by the very cell above.
# They fail when fewer than 45 keep it, and also when these records are no longer true.

# %%
RECORDED = {
    "moons": (49, 16, 59),
    "circles": (50, 57, 91),
    "spiral": (48, 46, 85),
}

print("         kept  50% worst  seeds 0 to 4")
for name, record in RECORDED.items():
    kept, half, last = record
    row = f"{name:8} {kept:4} {half:4} {last:5}"
    for seed in range(5):  # these run here
        found = keep(PROMISES[name], seed)
        row += f"{found or '-':>4}"
    print(row)

# %% [markdown]
# Look how far apart the median and the worst are for the moons. A budget that is
# made for the median gives up on half of all seeds.
#
# ## What surprised us
#
# We were wrong three times. Far fewer seeds than "nearly all" are done in time. Between a lucky and an unlucky one lies
# not a factor but a yes or no. And seed 1 is not in the middle.
#
# The second half of the hypothesis fell too: the same seed for every setting does not make the race fair. It makes it
# *repeatable*, which is something else. A seed is for repeating a result. It is not evidence for one.
#
# ## Your turn
#
# Download this page as a notebook (the link is at its top) and open it in [your copy of this
# journal](../index.md#read-it-running) with `uv run --with notebook jupyter notebook`, or edit
# `docs/experiments/how-lucky-is-seed-1.py` while the site is served. The `assert` statements hold what the text
# says about our settings. They need not hold for yours, so delete them first.
#
# 1. **Fewer seeds** (5 minutes). Let `SEEDS` be the first five. Which setting do the votes call the best one, and how
#    clearly? And with the first ten?
# 2. **More room** (10 minutes). Give the network of `train` 16 neurons in place of 6. Does the band get narrower, or
#    only lower? Is row 6 still lost?
# 3. **Cleaner points** (10 minutes). Add `noise=0.0` to `moons` in `train`. Which kind of luck is left in the table?
#
# ## What we know now
#
# A run is a sample. What holds for a method is a band over seeds: a median, its unlucky end, and how many never arrive.
# Most of the luck was in the points, some in the weights, and one seed for all settings made our comparison repeatable
# without making it true. A promise about training names a limit and a share of the seeds. The loop was that of
# [the lesson on training](../networks/training.md), the losses those of [the lesson on
# losses](../networks/losses.md).
#
# All of these networks went downhill by gradients, lucky or not. [Why do we need gradients at
# all?](../questions/why-gradients.md) If you have read that, the third phase is next: [what if a node held a million
# numbers?](../deep/tensor.md)
