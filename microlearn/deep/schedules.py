"""How the learning rate changes while a network trains. A schedule is asked after every step of its optimizer.

Names and arguments are those of `torch.optim.lr_scheduler`; `WarmupCosine` is what PyTorch leaves to be put together.
The lesson is `docs/deep/schedules.md`.
"""

import math
from collections.abc import Mapping

from microlearn.deep._checks import zero_or_more
from microlearn.deep.optim import Optimizer
from microlearn.networks._checks import whole


class Schedule:
    """What all schedules do: count, and set the learning rate of every group of the optimizer.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates are what the schedule scales; for a second schedule, those from before the first.

    Attributes
    ----------
    last_epoch : int
        How often `step` was called. (PyTorch's name; nothing says that a step of the schedule is an epoch.)
    base_lrs : list of float
        For each group, the learning rate that the optimizer was made with.
    """

    def __init__(self, optimizer):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer: expected one, such as Adam(model.parameters()), got {optimizer!r:.60}")
        self.optimizer, self.last_epoch = optimizer, 0
        self.base_lrs = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]
        self._set()

    def rate(self, base, t):
        """Return the learning rate after t steps, where it is `base` without a schedule."""
        raise NotImplementedError

    def step(self):
        """Count one step; the optimizer's next one has the new learning rate."""
        self.last_epoch += 1
        self._set()

    def get_last_lr(self):
        """List the learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self):
        """Return what a checkpoint needs."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state):
        """Go on from what `state_dict` returned."""
        if not isinstance(state, Mapping) or not {"last_epoch", "base_lrs"} <= state.keys():
            raise ValueError(f"load_state_dict: expected what state_dict() returned, got {state!r:.60}")
        if len(state["base_lrs"]) != len(self.base_lrs):
            raise ValueError(f"load_state_dict: {len(state['base_lrs'])} groups there, and here {len(self.base_lrs)}")
        self.last_epoch, self.base_lrs = int(state["last_epoch"]), [float(lr) for lr in state["base_lrs"]]
        self._set()

    def _set(self):
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.rate(base, self.last_epoch)


class StepLR(Schedule):
    """Multiply the learning rate by `gamma` after every `step_size` steps: a staircase.

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int
    gamma : float, optional
    """

    def __init__(self, optimizer, step_size, gamma=0.1):
        self.step_size, self.gamma = whole("step_size", step_size), zero_or_more("gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base, t):
        """Compute `base * gamma ** (t // step_size)`."""
        return base * self.gamma ** (t // self.step_size)


class CosineAnnealingLR(Schedule):
    """Let the learning rate sink along half a wave, from its beginning to `eta_min`.

    Loshchilov and Hutter, *SGDR*, 2016 (https://arxiv.org/abs/1608.03983).

    Parameters
    ----------
    optimizer : Optimizer
    T_max : int
        After how many steps it arrives.
    eta_min : float, optional
    """

    def __init__(self, optimizer, T_max, eta_min=0.0):
        self.T_max, self.eta_min = whole("T_max", T_max), zero_or_more("eta_min", eta_min)
        super().__init__(optimizer)

    def rate(self, base, t):
        """Compute `eta_min + (base - eta_min) * (1 + cos(pi * t / T_max)) / 2`."""
        return self.eta_min + (base - self.eta_min) * (1.0 + math.cos(math.pi * t / self.T_max)) / 2.0


class WarmupCosine(Schedule):
    """Climb in a straight line for some steps, then sink along half a wave, and stay there: how most GPTs are trained.

    Parameters
    ----------
    optimizer : Optimizer
    warmup_steps : int
        The learning rate of the first step is `base / (warmup_steps + 1)`, as nanoGPT has it: never 0.
    total_steps : int
        After how many steps, the climb included, it arrives at `eta_min`.
    eta_min : float, optional
    """

    def __init__(self, optimizer, warmup_steps, total_steps, eta_min=0.0):
        self.warmup_steps, self.total_steps = whole("warmup_steps", warmup_steps, 0), whole("total_steps", total_steps)
        if warmup_steps >= total_steps:
            raise ValueError(f"warmup_steps: expected fewer than the {total_steps} in all, got {warmup_steps!r}")
        self.eta_min = zero_or_more("eta_min", eta_min)
        super().__init__(optimizer)

    def rate(self, base, t):
        """Compute the rate of either part."""
        if t < self.warmup_steps:
            return base * (t + 1) / (self.warmup_steps + 1)
        gone = min(1.0, (t - self.warmup_steps) / (self.total_steps - self.warmup_steps))
        return self.eta_min + (base - self.eta_min) * (1.0 + math.cos(math.pi * gone)) / 2.0
