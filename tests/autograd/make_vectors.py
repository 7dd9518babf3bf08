"""Write `vectors.json`: what PyTorch says of every formula in the table, its value and its gradients.

Needs PyTorch, which the tests that read the file do not; from the repository's root:

    python -m tests.autograd.make_vectors
"""

import json
from pathlib import Path

import torch

from tests.autograd.expressions import TABLE

VECTORS = Path(__file__).with_name("vectors.json")


def torch_says(function, inputs):
    """Return the value of a formula and its derivative by each input, in float64."""
    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    result = function(*leaves)
    result.backward()
    return {"value": result.item(), "grads": [leaf.grad.item() for leaf in leaves]}


def all_vectors():
    return {name: torch_says(function, inputs) for name, (function, inputs) in TABLE.items()}


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(said, allow_nan=False)}" for name, said in all_vectors().items())
    VECTORS.write_text("{\n" + ",\n".join(lines) + "\n}\n")  # one formula a line, so that a change is one line
