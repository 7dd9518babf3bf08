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
# This experiment is being written.

# %%
print("soon")
