"""Write `vectors.json`: what PyTorch comes to for every operation, module, optimizer and schedule of `cases.py`.

Needs PyTorch, which the tests that read the file do not; from the repository's root:

    python -m tests.deep.make_vectors
"""

import json

import numpy as np
import torch

from tests.deep.cases import (
    IDS,
    MODULES,
    OPTIMIZERS,
    SCHEDULES,
    STEPS,
    TABLES,
    VECTORS,
    fill,
    inputs,
    module_inputs,
    pulls,
    start,
)


def case_says(name, case, arrays, dtype=torch.float64):
    """Return what PyTorch comes to: the result, and the gradient of each input."""
    tensors = [torch.tensor(array, dtype=dtype, requires_grad=True) for array in arrays]
    names = {"torch": torch, "F": torch.nn.functional, "ids": torch.tensor(IDS)}
    result = eval(case.theirs, {**names, **dict(zip("xyz", tensors, strict=False))})
    (result * torch.tensor(pulls(name, tuple(result.shape)), dtype=dtype)).sum().backward()
    return {
        "value": result.detach().numpy(),
        "grads": [None if given.grad is None else given.grad.numpy() for given in tensors],
    }


def trajectory_says(name):
    """Train with one of PyTorch's optimizers, in float64."""
    begin, (kind, settings) = start(), OPTIMIZERS[name]
    X, y = (torch.tensor(begin[letter]) for letter in "Xy")
    parameters = [torch.tensor(numbers, requires_grad=True) for numbers in begin["parameters"]]
    optimizer = getattr(torch.optim, kind)(parameters, **settings)
    after = []
    for _ in range(STEPS):
        hidden = torch.tanh(torch.nn.functional.linear(X, *parameters[:2]))
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(torch.nn.functional.linear(hidden, *parameters[2:]), y).backward()
        optimizer.step()
        after.append(torch.cat([parameter.detach().reshape(-1) for parameter in parameters]).numpy())
    return {"first": after[0], "last": after[-1]}


def rates_say(name):
    """List the learning rates of one of PyTorch's schedules, from before the first step on."""
    kind, settings = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.2)
    schedule = getattr(torch.optim.lr_scheduler, kind)(optimizer, **settings)
    rates = [schedule.get_last_lr()[0]]
    for _ in range(STEPS):
        optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr()[0])
    return rates


def module_says(name):
    """Return what a module of PyTorch's comes to, in float64."""
    expression, shape = MODULES[name]
    module = eval(expression, vars(torch.nn)).double()
    state = {key: held for key, held in module.state_dict().items() if held.dtype == torch.float64}
    filled = fill(name, {key: tuple(held.shape) for key, held in state.items()})
    module.load_state_dict({key: torch.tensor(numbers) for key, numbers in filled.items()}, strict=False)
    x = torch.tensor(module_inputs(name, shape))
    x = x if shape is None else x.requires_grad_()
    result = module(x)
    (result * torch.tensor(pulls(name, tuple(result.shape)))).sum().backward()
    said = {"value": result.detach().numpy()}
    said["grads"] = {key: held.grad.numpy() for key, held in sorted(module.named_parameters())}
    if shape is not None:
        said["grads"]["x"] = x.grad.numpy()
    held = sorted((key, held) for key, held in module.state_dict().items() if held.dtype == torch.float64)
    said["held"] = {key: numbers.numpy().copy() for key, numbers in held}
    said["eval"] = module.eval()(x).detach().numpy()
    return said


def all_vectors():
    said = {
        part: {name: case_says(name, case, inputs(name, case)) for name, case in table.items()}
        for part, table in TABLES.items()
    }
    for table in said.values():
        for entry in table.values():
            entry["shape"] = list(entry["value"].shape)
    said["modules"] = {name: module_says(name) for name in MODULES}
    said["optimizers"] = {name: trajectory_says(name) for name in OPTIMIZERS}
    said["schedules"] = {name: rates_say(name) for name in SCHEDULES}
    return said


if __name__ == "__main__":
    parts = []
    for part, entries in all_vectors().items():
        lines = (
            f"{json.dumps(name)}: {json.dumps(entry, default=np.ndarray.tolist, allow_nan=False)}"
            for name, entry in entries.items()
        )
        parts.append(f"{json.dumps(part)}: {{\n" + ",\n".join(lines) + "\n}")
    VECTORS.write_text("{\n" + ",\n".join(parts) + "\n}\n")  # one entry a line, so that a change is one line
