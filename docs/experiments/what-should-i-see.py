# %% [markdown]
# # What should I see?
