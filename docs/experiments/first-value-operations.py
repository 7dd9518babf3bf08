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
# A hypothesis. See [a number that remembers](../autograd/value.md#break-it) and $x^2$.

# %%
from microlearn import Value
from microlearn.autograd import draw, trace

x = Value(2.0, label="x")
y = x * x + 1
y.backward()
print("slope", x.grad)
draw(y, slopes=True)

# %% [markdown]
# ## Both passes

# %%
trace(y)

# %%
y

# %% tags=["static"]
import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.plot([1, 2], [3, 4])
fig.set_label("A line that rises")
fig
