# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What should I see?
#
# Your loss stands at 0.3 after ten epochs. Is that good? A tutorial shows you a curve, yours looks different, and now
# you wonder whether you have a bug or bad luck.
#
# You have dashboards for this. A latency is judged against a baseline: the band in which it lay last week. This page is
# such a baseline, for each [optimizer](../deep/optim.md) and each remedy against
# [overfitting](../deep/regularization.md). The comparison breaks in one place. Your service's baseline is measured on
# your own traffic. This one is measured on small pictures of digits and a small network, so take the *shapes* from
# here, and not the numbers.
#
# **Hypothesis.** The optimizer decides: Adam is well ahead, plain SGD far behind. Where points are few, each remedy
# makes the network better. And where two bands overlap, we cannot say which setting is the better one.
#
# **Method.** The digits come with scikit-learn. A seed decides which of them we train on, the first weights, the order
# of the batches and what dropout leaves out. Six hundred are kept aside and asked after every epoch. Each setting gets
# the same six seeds.

# %%
import numpy as np
from sklearn.datasets import load_digits

from microlearn.deep import (
    SGD,
    Adam,
    AdamW,
    Dropout,
    EarlyStopping,
    Linear,
    ReLU,
    RMSprop,
    Sequential,
    cross_entropy,
    fit,
    l1_penalty,
    l2_penalty,
    manual_seed,
)

SEEDS = range(6)
images, labels = load_digits(return_X_y=True)
images = (images / 16).astype(np.float32)


def digits(n, seed, wrong=0.0):
    """Draw n to learn, and 600 others."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    ours, aside = order[:n], order[-600:]
    y = labels[ours].copy()
    guessed = rng.random(n) < wrong
    y[guessed] = rng.integers(
        0, 10, guessed.sum()
    )
    validation = images[aside], labels[aside]
    return images[ours], y, validation


def network(seed, p=0.0):
    manual_seed(seed)
    return Sequential(
        Linear(64, 64),
        ReLU(),
        Dropout(p),
        Linear(64, 10),
    )


# %% [markdown]
# ## The optimizers
#
# Each has a learning rate, and the same number means something else to each. So we take two for everyone: a cautious
# one and a bold one. A thousand digits, 12 epochs, batches of 50.
#
# Before you read on: which of the twelve settings is best, and which is worst? We wrote down: bold Adam, cautious SGD.

# %%
optimizers = {
    "SGD": (SGD, {}, (0.1, 0.5)),
    "momentum": (
        SGD,
        {"momentum": 0.9},
        (0.02, 0.1),
    ),
    "Nesterov": (
        SGD,
        {"momentum": 0.9, "nesterov": True},
        (0.02, 0.1),
    ),
    "RMSprop": (RMSprop, {}, (0.001, 0.003)),
    "Adam": (Adam, {}, (0.001, 0.003)),
    "AdamW": (AdamW, {}, (0.001, 0.003)),
}


def band(numbers):
    low, middle, high = np.quantile(
        numbers, [0, 0.5, 1], axis=0
    )
    return low, middle, high


races = {}
for name, (
    kind,
    more,
    rates,
) in optimizers.items():
    for lr in rates:
        races[name, lr] = []
        for seed in SEEDS:
            X, y, validation = digits(
                1_000, seed
            )
            model = network(seed)
            optimizer = kind(
                model.parameters(),
                lr=lr,
                **more,
            )
            history = fit(
                model,
                X,
                y,
                optimizer=optimizer,
                epochs=12,
                batch_size=50,
                validation=validation,
                seed=seed,
            )
            races[name, lr].append(history)


def ends(runs):
    return [
        h.validation_accuracy[-1] for h in runs
    ]


print("          rate  right at the end")
print("                worst median   best")
for (name, lr), runs in races.items():
    row = " ".join(
        f"{n:6.1%}" for n in band(ends(runs))
    )
    print(f"{name:9} {lr:<5} {row}")

# %% [markdown]
# Look at the pairs of lines, not at the names. From a cautious to a bold rate every one of them gains, and the bold
# ones lie so close together that their bands overlap. Plain SGD is among them. Here are the curves. A band reaches from
# the best of the six seeds to the worst.

# %% tags=["static"]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(
    3,
    2,
    figsize=(5.6, 7.4),
    sharex=True,
    sharey=True,
)
axes = axes.flat
epochs = range(1, 13)
for ax, name in zip(
    axes, optimizers, strict=True
):
    for style, lr in zip(
        ("--", "-"),
        optimizers[name][2],
        strict=True,
    ):
        losses = [
            h.validation_loss
            for h in races[name, lr]
        ]
        low, middle, high = band(losses)
        ax.fill_between(
            epochs, low, high, alpha=0.2
        )
        word = (
            "bold"
            if style == "-"
            else "cautious"
        )
        ax.plot(
            epochs, middle, style, label=word
        )
    cautious, bold = optimizers[name][2]
    title = f"{name}, {cautious} or {bold}"
    ax.set_title(title, fontsize=12)
    ax.set_yscale("log")
    ax.set_yticks(
        [0.1, 0.3, 1, 2], [0.1, 0.3, 1, 2]
    )
    ax.minorticks_off()
axes[2].set_ylabel(
    "validation loss, logarithmic"
)
axes[4].set_xlabel("epochs")
axes[5].set_xlabel("epochs")
fig.legend(
    *axes[0].get_legend_handles_labels(),
    title="rate",
    loc="outside upper center",
    ncols=2,
)
fig.set_label(
    "Six small plots, one for each optimizer: "
    "the validation loss over 12 epochs, as "
    "bands over six seeds. In each the band "
    "of the cautious rate falls slowly and "
    "lies above the one of the bold rate. The "
    "bold bands of all six end at about the "
    "same height."
)
fig

# %% [markdown]
# So this is what you should see: a fall that is steep in the first epochs and then nearly straight on this scale. If
# yours is a straight and shallow line from the start, it is no bug. It is the rate.
#
# Which matters more, then, the optimizer or its rate? We compare the medians: how far apart are the six optimizers at
# their bold rates, and how far is each from itself at the cautious one?

# %%
medians = {
    setting: np.median(ends(runs))
    for setting, runs in races.items()
}
bold = [
    medians[name, rates[1]]
    for name, (
        _,
        _,
        rates,
    ) in optimizers.items()
]
print(f"between optimizers: {np.ptp(bold):.1%}")
gains = []
for name, (_, _, rates) in optimizers.items():
    cautious, better = (
        medians[name, lr] for lr in rates
    )
    gains.append(better - cautious)
    print(
        f"{name:9} by its rate: {gains[-1]:.1%}"
    )
assert np.median(gains) > np.ptp(bold) / 2
assert min(gains) > 0

# %% [markdown]
# The names are closer than the rates. What Adam saves you is search more than loss: most people begin near 0.001 with
# any network, and three times that was bold enough here. For SGD we had to look for a rate. And AdamW is hardly to be
# told from Adam: its decay takes a few thousandths of a percent of each number a step.
#
# ## The remedies
#
# Now 200 digits only, so that there is something to overfit. No remedy, weight decay, an L2 or an L1 penalty, dropout,
# early stopping. Beside them stands the remedy that nobody sells: a thousand digits, for as many steps. We train twice:
# with the labels as they are, and with three in ten replaced by a guess, as when labels come from tired people.
#
# **Predict.** In which of the two do the remedies help?

# %%
remedies = {
    "none": {},
    "weight decay": {"decay": 0.5},
    "L2": {"l2": 0.003},
    "L1": {"l1": 0.001},
    "dropout": {"p": 0.5},
    "early stopping": {"patience": 5},
    "1,000 digits": {"n": 1_000, "epochs": 12},
}


def treat(
    seed,
    wrong,
    n=200,
    epochs=60,
    decay=0.0,
    l2=0.0,
    l1=0.0,
    p=0.0,
    patience=None,
):
    X, y, validation = digits(n, seed, wrong)
    model = network(seed, p)
    matrices = [
        w
        for w in model.parameters()
        if w.ndim == 2
    ]

    def loss(outputs, targets):
        surprise = cross_entropy(
            outputs, targets
        )
        if l2:
            surprise += l2 * l2_penalty(
                matrices
            )
        if l1:
            surprise += l1 * l1_penalty(
                matrices
            )
        return surprise

    watch = None
    if patience:
        watch = EarlyStopping(patience)
    history = fit(
        model,
        X,
        y,
        loss=loss,
        optimizer=AdamW(
            model.parameters(),
            lr=0.01,
            weight_decay=decay,
        ),
        epochs=epochs,
        batch_size=25,
        validation=validation,
        seed=seed,
        early_stopping=watch,
    )
    kept = -1
    if watch:  # it hands back its best epoch
        kept = int(
            np.argmin(history.validation_loss)
        )
    history.kept = history.validation_accuracy[
        kept
    ]
    return history


treated = {}
for wrong in (0.0, 0.3):
    print("labels guessed:", f"{wrong:.0%}")
    for name, remedy in remedies.items():
        runs = [
            treat(s, wrong, **remedy)
            for s in SEEDS
        ]
        treated[wrong, name] = runs
        kept = [
            history.kept for history in runs
        ]
        row = " ".join(
            f"{n:6.1%}" for n in band(kept)
        )
        print(f"  {name:14} {row}")
by_heart = [
    history.accuracy[-1]
    for history in treated[0.0, "none"]
]
print(
    "trained on, true labels, no remedy:",
    f"{min(by_heart):.1%} right or more",
)

# %% [markdown]
# With true labels the first six lines are nearly the same line, although the network knows its digits by heart. Not
# one remedy did what more digits did. With guessed labels all of them help, and some bands still overlap. Does that
# mean that we cannot tell?
#
# ## Bands hide pairs
#
# Each setting had the same seeds: the same digits, the same wrong labels, the same first weights. So we need not
# compare a band with a band. Seed by seed, we ask how much better a remedy is than none.

# %% tags=["static"]
fig, axes = plt.subplots(
    2,
    1,
    figsize=(5.6, 6),
    sharex=True,
    sharey=True,
)
names = [*remedies][1:]
gain = {}
for ax, wrong in zip(
    axes, (0.0, 0.3), strict=True
):
    none = [
        h.kept for h in treated[wrong, "none"]
    ]
    for row, name in enumerate(names):
        kept = [
            h.kept for h in treated[wrong, name]
        ]
        points = 100 * np.subtract(kept, none)
        gain[wrong, name] = points
        ax.plot(
            points,
            [row] * len(points),
            "o",
            alpha=0.6,
        )
    ax.axvline(0, color="C0", linewidth=1)
    ax.set_yticks(range(len(names)), names)
    ax.set_title(
        f"{wrong:.0%} of labels guessed",
        fontsize=12,
    )
axes[0].invert_yaxis()
axes[1].set_xlabel(
    "percentage points better than none"
)
fig.set_label(
    "Two plots of dots, one dot for each "
    "seed: by how many percentage points a "
    "remedy is better than none. With true "
    "labels the dots of weight decay, L2, "
    "dropout and early stopping lie on both "
    "sides of zero, those of L1 a little to "
    "its left, and only a thousand digits are "
    "better with every seed. With guessed "
    "labels nearly all dots lie to the right "
    "of zero, and those of a thousand digits "
    "farthest."
)
fig

# %%
print("better with so many of six seeds")
print("                 true guessed")
for name in names:
    wins = [
        int((gain[wrong, name] > 0).sum())
        for wrong in (0.0, 0.3)
    ]
    print(f"{name:14} {wins[0]:6} {wins[1]:7}")
    assert wins[1] >= 5
assert min(gain[0.0, "1,000 digits"]) > 0

# %% [markdown]
# The bands overlap because the seeds differ: some drew easy digits, some hard ones, and that spreads all settings
# alike. In a pair it cancels out. It is an A/B test with the same users on both sides. Six of six is what coins do one
# time in 64. It works against a remedy, too: with true labels L1 won none of six. At this strength it costs a little
# with every seed, and its band hid that.
#
# [The experiment on seeds](how-lucky-is-seed-1.py) said that the same seed for every setting does not make *one* race
# fair. That stands. Six paired races are another thing.
#
# ## What overfitting looks like
#
# The curves, for guessed labels. Learn these shapes: they tell you more than the last number.

# %% tags=["static"]
panels = len(remedies) + 1  # one for the legend
fig, axes = plt.subplots(
    (panels + 1) // 2,
    2,
    figsize=(5.6, 9),
    sharex=True,
    sharey=True,
)
last = axes.flat[panels - 1]
for ax, name in zip(
    axes.flat, remedies, strict=False
):
    runs = treated[0.3, name]
    shortest = min(len(h.loss) for h in runs)
    at = range(1, shortest + 1)
    for style, series in (
        ("--", "loss"),
        ("-", "validation_loss"),
    ):
        numbers = [
            getattr(h, series)[:shortest]
            for h in runs
        ]
        low, middle, high = band(numbers)
        ax.fill_between(
            at, low, high, alpha=0.2
        )
        word = (
            "validation"
            if style == "-"
            else "training"
        )
        ax.plot(at, middle, style, label=word)
    ax.set_title(name, fontsize=12)
for ax in axes[:, 0]:
    ax.set_ylabel("loss")
for ax in axes.flat[panels - 3 : panels - 1]:
    ax.set_xlabel("epochs")
    ax.xaxis.set_tick_params(labelbottom=True)
last.axis("off")
last.legend(
    *axes[0, 0].get_legend_handles_labels(),
    loc="center",
)
fig.set_label(
    "Seven small plots of training and "
    "validation loss over the epochs, as "
    "bands over six seeds, where three in ten "
    "labels are guessed. Without a remedy the "
    "training loss goes on falling while the "
    "validation loss turns and climbs. With "
    "weight decay, L2, L1 and dropout the "
    "training loss stays higher and the "
    "validation loss climbs less or not at "
    "all. Early stopping ends near the turn. "
    "With a thousand digits there is no turn."
)
turned = np.median(
    [
        h.validation_loss
        for h in treated[0.3, "none"]
    ],
    axis=0,
)
assert turned[-1] > turned.min() + 0.2
fig

# %% [markdown]
# Without a remedy the validation loss turns while the training loss goes on falling: the network has started to learn
# the guesses by heart. Each remedy stops that in its own manner. Weight decay, L2 and L1 hold the training loss up
# (those of the penalties are drawn with them). Dropout does it by noise. Early stopping leaves at the turn. With a
# thousand digits, there is no turn to leave at. And look where training meets validation: a training loss that lies
# *above* is not a bug where three in ten of its labels are wrong, and those aside are right.
#
# ## What surprised us
#
# The optimizer did not decide; the rate did. The remedies brought nothing for 200 true labels: the network learned
# them by heart, and was none the worse for it. There was nothing false to learn. They help where there is something
# that should *not* be learned. And overlapping bands had told us to give up on a question that six pairs answered.
#
# ## Your turn
#
# Download this page as a notebook (the link is at its top) and open it in [your copy of this
# journal](../index.md#read-it-running) with `uv run --with notebook jupyter notebook`, or edit
# `docs/experiments/what-should-i-see.py` while the site is served. The `assert` statements hold what the text
# says about our settings. They need not hold for yours, so delete them first.
#
# 1. **Bolder** (5 minutes). Multiply all bold rates by ten. Which optimizers still learn, and whose band bursts?
# 2. **A remedy too far** (10 minutes). Weight decay of 3, dropout of 0.9, L1 of 0.01. What do the curves of too much
#    remedy look like?
# 3. **Both** (10 minutes). Add a remedy to the table: dropout *and* early stopping. With guessed labels, do their gains
#    add up, seed by seed?
#
# ## What we know now
#
# What you should see is a band, and a shape. At a good rate the optimizers are neighbours here, and a rate three times
# too small looks like a bad optimizer. Remedies help against what is false in the labels, and more points help against
# everything. Two settings are compared in pairs, with the same seeds, and more than one.
#
# The loop was that of [the lesson on training](../deep/training.md). Next: [what PyTorch calls all
# this](../questions/what-pytorch-calls-this.md).
