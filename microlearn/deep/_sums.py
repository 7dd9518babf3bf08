"""Sums that can be trusted: added up in float64, because float32 loses 1 % of a million numbers one by one."""

import numpy as np


def total(array, axis=None, keepdims=False):
    """Add up along axes, in float64; the result has the dtype of the array."""
    return np.add.reduce(array, axis=axis, dtype=np.float64, keepdims=keepdims).astype(array.dtype, copy=False)
