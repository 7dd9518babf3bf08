# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # First Value Operations
#
# The journal began with a promise: *let's trace through some basic math operations*. After six lessons we can do
# better than watch. We guess first, in writing, and then we look.
#
# **Hypothesis.** Nobody has to look up the slope of a basic operation: one sentence about each is enough. And a long
# expression holds nothing that its operations do not.
#
# **Method.** Nine operations at one point, `a` = 2 and `b` = 3. For each we write down three numbers: its value, its
# slope by `a`, and its slope by `b`. Then the engine computes them, and nudging is the judge between us.

# %%
from microlearn import Value

point = (2.0, 3.0)  # a and b
operations = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * b": lambda a, b: a * b,
    "a / b": lambda a, b: a / b,
    "a ** b": lambda a, b: a**b,
    "exp(a)": lambda a, b: a.exp(),
    "log(a)": lambda a, b: a.log(),
    "tanh(a)": lambda a, b: a.tanh(),
    "relu(a)": lambda a, b: a.relu(),
}

# %% [markdown]
# ## What we guess
#
# Take a minute, and a pencil. Write down your own three numbers for each line, without looking anything up; a rough
# number will do.

# %%
print("          value   by a   by b")
for name in operations:
    print(f"{name:8}" + "    ___" * 3)

# %% [markdown]
# Filled in? Here are ours, with their sentences. We did not look anything up either, and the wrong ones stay in:
#
# - a sum moves as much as its terms; with a minus in front, the other way;
# - a product moves at the rate of the other factor;
# - `a / b` is `a` thirds, so a third by `a`; more `b` makes it smaller, so the same with a minus;
# - `a ** b` by `a` is the school rule, `b * a ** (b - 1)`; by `b` it is a power like `exp`, and `exp` is its own slope;
# - `log` moves at `1 / a`, because it undoes `exp`;
# - `tanh` has the rule with the square, `1 - a * a`;
# - `relu` lets through what is above zero.
#
# And where `b` plays no part, its slope is 0.

# %%
guesses = {  # value, slope by a, slope by b
    "a + b": (5, 1, 1),
    "a - b": (-1, 1, -1),
    "a * b": (6, 3, 2),
    "a / b": (2 / 3, 1 / 3, -1 / 3),
    "a ** b": (8, 12, 8),
    "exp(a)": (7.389, 7.389, 0),
    "log(a)": (0.693, 1 / 2, 0),
    "tanh(a)": (0.964, 1 - 2 * 2, 0),
    "relu(a)": (2, 1, 0),
}

# %% [markdown]
# ## What we see
#
# One forward pass and one backward pass for each:


# %%
def observe(f, x, y):
    a, b = Value(x), Value(y)
    result = f(a, b)
    result.backward()
    return result.data, a.grad, b.grad


found = {}
for name, f in operations.items():
    found[name] = observe(f, *point)
print("           value     by a     by b")
for name, numbers in found.items():
    row = " ".join(f"{n:8.3f}" for n in numbers)
    print(f"{name:8}{row}")

# %% [markdown]
# Now the two side by side. How many of our numbers are right, to a hundredth?

# %%
kinds = ("value", "by a", "by b")
wrong = []
for name, numbers in found.items():
    for i, kind in enumerate(kinds):
        guess = guesses[name][i]
        real = numbers[i]
        if abs(guess - real) > 0.01:
            wrong.append((name, i))
            print(f"{name}, {kind}:")
            print(f"  guessed {guess:6.3f}")
            print(f"  found   {real:6.3f}")
print(27 - len(wrong), "of 27 are right")

# %% [markdown]
# Three of our slopes are wrong, says the engine. Or the engine is. We need a judge who believes neither: `gradient`
# moves one plain number at a time and looks how far the result goes.

# %%
from microlearn.autograd import gradient


def plain(f):
    def result(x, y):
        return f(Value(x), Value(y)).data

    return result


agree = 0
for name, f in operations.items():
    nudged = gradient(plain(f), *point)
    for i in (0, 1):
        error = found[name][1 + i] - nudged[i]
        assert abs(error) < 1e-6, name
        agree += 1
print("nudging confirms", agree, "of 18 slopes")

# %% [markdown]
# So the mistakes are ours. In the picture they are easy to see: each curve is what an operation does when one input
# moves, and the line through the point is a slope. A right one touches. Ours cut through.

# %% tags=["static"]
import matplotlib.pyplot as plt

far = ("tanh(a)", "relu(a)")  # to the left
size = (5.6, 5.8)
fig, axes = plt.subplots(3, 3, figsize=size)
for place, name in enumerate(found):
    ax = axes.flat[place]
    value, *slopes = found[name]
    i = 1 if name in ("a / b", "a ** b") else 0
    here = point[i]  # only this one moves
    left = here * (-1.0 if name in far else 0.2)
    xs = [left + n / 20 for n in range(110)]
    xs = [x for x in xs if x < here + 1.4]
    f, ys = plain(operations[name]), []
    for x in xs:
        inputs = list(point)
        inputs[i] = x
        ys.append(f(*inputs))
    ax.plot(xs, ys)
    ends = (here - 1.2, here + 1.2)
    lines = {"found": ("C1--", slopes[i])}
    if (name, 1 + i) in wrong:
        guess = guesses[name][1 + i]
        lines["guessed"] = ("C3:", guess)
    for label, (style, slope) in lines.items():
        rise = slope * 1.2
        line = (value - rise, value + rise)
        ax.plot(ends, line, style, label=label)
    ax.plot(here, value, "C1o")
    ax.set_title(name, fontsize=12)
    ax.set_xlabel("ab"[i])
    ax.set_xticks([here])
    ax.set_yticks([])
legend = axes[2, 1].get_legend_handles_labels()
above = "outside upper center"
fig.legend(*legend, loc=above, ncols=2)
fig.set_label(
    "Nine small plots, one for each operation: "
    "a curve, and a dashed line touching it at "
    "the point where we stand. In three of "
    "them a dotted line, our guess, cuts "
    "through it: for a / b it falls too "
    "steeply, for a ** b it rises too steeply, "
    "for tanh(a) it falls where the curve is "
    "almost level."
)
fig

# %% [markdown]
# ## What we got wrong
#
# **Dividing.** We had the sign, and forgot that the third is a third of *two*, and that each further bit of `b` divides
# what is small already. The slope by `b` is `-a / b**2`. And we had filled in a row like it in [the lesson on
# traces](../autograd/trace.md#your-turn).
#
# **Powers.** `2 ** b` does grow in proportion to itself, but at its own pace: the value times `log(2)`. Only for one
# base is that factor 1, and this base is `exp`'s. That is what is special about it.
#
# **tanh.** The rule stands in [our first lesson](../autograd/derivative.md#one-knob-at-a-time). We remembered it and
# fed it the wrong number: it is `1 - y * y`, where `y` is the *result*. And we could have known without any rule:
# `tanh` only rises, so no slope of it can be below zero.

# %%
import math

by_b = 8 * math.log(2)
by_a = 1 - math.tanh(2) ** 2
print(f"a / b by b    {-2 / 3**2:6.3f}")
print(f"a ** b by b   {by_b:6.3f}")
print(f"tanh(a) by a  {by_a:6.3f}")

# %% [markdown]
# These are the three numbers that the engine found. The first half of the hypothesis is dead: one sentence is enough if
# it is the right sentence. Keep one habit from it: before you trust a slope, ask whether its *sign* can be true.
#
# ## All in one expression
#
# The second half was that a long expression holds nothing new. We take one that earns its keep. A language model has
# two candidates for the next word and gives each a score, `a` and `b`. The text goes on with the first one. How wrong
# was the model? `exp` turns both scores into numbers above zero; we ask which share of their sum belongs to the right
# word, and the loss is minus the `log` of that share. By the rules of logarithms: the `log` of the sum, less `a`.
#
# **Predict.** `a` belongs to the right word, `b` to the wrong one. Which sign will each gradient have? And which of the
# two will be larger?

# %%
from microlearn.autograd import draw, trace

a = Value(2.0, label="a")
b = Value(3.0, label="b")
total = a.exp() + b.exp()
total.label = "total"
loss = total.log() - a
loss.label = "loss"
loss.backward()
draw(loss, steps=True)

# %% [markdown]
# On this page, step through it: forward until the loss is there, then back. As tables, both passes look like this:

# %%
trace(loss)

# %% [markdown]
# We follow `a` with a finger, from the loss down. It is used twice. On the short path it is subtracted, at the rate -1.
# The long path has four edges: through the minus at rate 1, through `log` at one over the total, through the plus at
# rate 1, and through `exp` at its own value. Multiply along each, add the two:

# %%
short = -1.0
through_log = 1 / total.data
through_exp = math.exp(2.0)
long = 1.0 * through_log * 1.0 * through_exp
print(f"by hand     a {short + long:.4f}")
print(f"the engine  a {a.grad:.4f}")
print(f"            b {b.grad:.4f}")
assert math.isclose(short + long, a.grad)

# %% [markdown]
# Nothing but the slopes of the operations, multiplied along each path and added. And nudging, which has never heard of
# paths, agrees about both inputs:


# %%
def expression(a, b):
    return (a.exp() + b.exp()).log() - a


nudged = gradient(plain(expression), 2.0, 3.0)
print([round(slope, 4) for slope in nudged])

# %% [markdown]
# The second half of the hypothesis stands.
#
# ## What surprised us
#
# Look at the two gradients again: the same number, once with a minus. We had not asked for that. And what the long path
# brings to `a`, one over the total times `exp(a)`, is a share: how much of the total is the right word's. We print the
# shares beside the gradients:


# %%
def shares(a, b):
    parts = a.exp().data, b.exp().data
    return [part / sum(parts) for part in parts]


print("     share  gradient")
rows = zip((a, b), shares(a, b), strict=True)
for score, share in rows:
    numbers = f"{share:8.4f}  {score.grad:8.4f}"
    print(score.label, numbers)

# %% [markdown]
# The gradient of each score is its share, minus 1 for the word that was right. So the model is told: give the right
# word all that it lacks, and take it from the others, each according to what it got. Nobody programmed that. It fell
# out of five operations.
#
# If you have asked an API for `logprobs`, you have met these shares: they are its probabilities, and our loss is minus
# the log probability of the word that came. We shall meet the same expression as the loss of a GPT.
#
# One step against the gradients, and we ask again:


# %%
def report(a, b):
    print(f"loss  {expression(a, b).data:.2f}")
    print(f"share {shares(a, b)[0]:.2f}")


report(a, b)
for score in (a, b):
    score.data -= 1.0 * score.grad
report(a, b)

# %% [markdown]
# The right word went from 0.27 to 0.61 of the total.
#
# ## Your turn
#
# Download this page as a notebook (the link is at its top), open it in [your copy of this
# journal](../index.md#read-it-running) with `uv run --with notebook jupyter notebook`, and change it. Or edit
# `docs/experiments/first-value-operations.py` while the site is served: it is the same thing, and the page runs again
# when you save.
#
# 1. **Another point** (5 minutes). Let `a` be 1: change `point` in the first cell, and our guesses to yours. What is
#    the slope of `a ** b` by `b` now, and why?
# 2. **Divided scores** (10 minutes). Take fresh scores, 2 and 3, and divide both by a number `T` before `exp`. Print
#    the shares for a `T` of 2, of 1 and of a tenth. Which setting of an API have you rebuilt?
# 3. **A score that is too good** (10 minutes). Let `b` be a thousand. What happens? And what could you subtract from
#    both scores, without changing a single share, so that it does not?
#
# What we got stands at the end of the page.

# %% [markdown]
# ## What we know now
#
# Of 27 guesses 24 were right, and each of the three mistakes was a rule that we half remembered. Nudging settled who
# was right. An expression of many operations held nothing new: a slope on every edge, products along paths, a sum where
# paths meet. What it *means* was new. A gradient can say something that nobody wrote into it.
#
# ## What we got
#
# **Another point.** 0. The slope is the value times `log(a)`, and the `log` of 1 is 0: 1 to any power is 1, so `b` may
# move as it likes.
#
# **Divided scores.** It is the temperature. A large one makes the shares more alike, a small one gives nearly all to
# the best score:

# %%
for T in (2.0, 1.0, 0.1):
    a, b = Value(2.0), Value(3.0)
    for_a, for_b = shares(a / T, b / T)
    print(f"T = {T}  {for_a:.5f}  {for_b:.5f}")

# %% [markdown]
# **A score that is too good.** `exp` of a thousand is more than a float can hold. Subtract the larger score from both:
# each `exp`, and so their sum, shrinks by the same factor, and every share stays.

# %%
a, b = Value(2.0), Value(1000.0)
try:
    expression(a, b)
except OverflowError:
    print("OverflowError")
print(expression(a - 1000, b - 1000).data)

# %% [markdown]
# The model gave the right word no share worth a float, and its loss is still a number.
#
# Next: [why do we need gradients at all?](../questions/why-gradients.md) If you came here first, begin with [the
# derivative you need](../autograd/derivative.md).
