"""What a wrong argument is answered with: a sentence that names it and says what it accepts."""

import functools
import math

import numpy as np
import pytest

from microlearn import deep
from microlearn.deep import SGD, Adam, AdamW, Linear, Parameter, RMSprop, Sequential, Tensor
from microlearn.deep.initialization import calculate_gain, fans

NO_NUMBERS = ["a", [1.0], (1.0, 2.0), 1j, math.nan]
NO_FINITE_NUMBERS = [*NO_NUMBERS, math.inf, -math.inf, 10**400]
BELOW_ZERO = [*NO_FINITE_NUMBERS, -1, -0.5]
NOT_ABOVE_ZERO = [*NO_NUMBERS, 0, -1, -0.5]
NOT_BELOW_ONE = [*NO_NUMBERS, 1.0, -0.5]
NOT_WHOLE = ["a", [1.5], 1j, math.nan, math.inf, 2.5, 1.0, -1]
ZERO_OR_LESS = [*NOT_WHOLE, 0]
NO_OBJECTS = ["a", 3, 0.5, [1.0], np.ones(2)]
NO_TENSORS = [*NO_OBJECTS, None, Linear(2, 2), Sequential(Linear(2, 2))]

WHOLE, FROM_ZERO = "expected a whole number above zero", "expected a whole number of 0 or more"
FINITE, SIZE, ABOVE = "expected a finite number", "expected a number of 0 or more", "expected a number above zero"
BELOW_ONE, TO_ONE = "expected a number from 0 to below 1", "expected a number from 0 to 1"
GAINS, REDUCTIONS = "linear, sigmoid, tanh, relu, leaky_relu", "reduction: expected one of mean, sum, none"
A_TENSOR, TENSORS = "tensor: expected one, such as layer.weight", "expected tensors, such as model.parameters()"
AN_OPTIMIZER = "optimizer: expected one, such as Adam(model.parameters())"
A_SCHEDULE = "scheduler: expected one, such as WarmupCosine(optimizer, 10, 100)"
A_WATCH = "early_stopping: expected one, such as EarlyStopping(patience=5)"
A_MODEL = "model: expected a Module, such as Sequential(Linear(2, 1))"
A_LOSS = "loss: expected a function of outputs and targets, such as cross_entropy"

X, Y = np.arange(24.0).reshape(12, 2), np.arange(12) % 2


def blank():
    return Tensor(np.zeros((3, 2)))


def made(kind=SGD, **settings):
    return kind([Parameter([1.0, 2.0])], **settings)


def fit(model=None, **settings):
    return deep.fit(Linear(2, 2) if model is None else model, X, Y, **{"epochs": 1, "progress": False, **settings})


def split(**settings):
    return deep.train_validation_split(X, Y, **settings)


def evaluate(**settings):
    return deep.evaluate(**{"model": Linear(2, 2), "X": X, "y": Y, **settings})


def refused(said, take, wrong):
    with pytest.raises((TypeError, ValueError)) as error:
        take(wrong)
    assert str(error.value).startswith(said) and ", got " in str(error.value), f"{wrong!r}: {error.value}"


@pytest.mark.parametrize(
    ("said", "take", "wrongs"),
    [
        (f"in_features: {WHOLE}", lambda w: Linear(w, 2), [*ZERO_OR_LESS, None]),
        (f"out_features: {WHOLE}", lambda w: Linear(2, w), [*ZERO_OR_LESS, None]),
        (f"num_embeddings: {WHOLE}", lambda w: deep.Embedding(w, 2), [*ZERO_OR_LESS, None]),
        (f"embedding_dim: {WHOLE}", lambda w: deep.Embedding(2, w), [*ZERO_OR_LESS, None]),
        (f"negative_slope: {FINITE}", deep.LeakyReLU, [*NO_FINITE_NUMBERS, None]),
        (f"seed: {FROM_ZERO}", deep.manual_seed, [*NOT_WHOLE, None, True]),
        (f"mean: {FINITE}", lambda w: deep.normal_(blank(), w), [*NO_FINITE_NUMBERS, None]),
        (f"std: {SIZE}", lambda w: deep.normal_(blank(), 0.0, w), [*BELOW_ZERO, None]),
        (f"a: {FINITE}", lambda w: deep.uniform_(blank(), w), [*NO_FINITE_NUMBERS, None]),
        (
            "b: expected a number no smaller than a = 0.5",
            lambda w: deep.uniform_(blank(), 0.5, w),
            [*BELOW_ZERO, None, 0.2],
        ),
        (f"gain: {SIZE}", lambda w: deep.xavier_uniform_(blank(), w), [*BELOW_ZERO, None]),
        (f"gain: {SIZE}", lambda w: deep.xavier_normal_(blank(), w), [*BELOW_ZERO, None]),
        (f"a: {FINITE}", lambda w: deep.kaiming_uniform_(blank(), w), [*NO_FINITE_NUMBERS, None]),
        (f"a: {FINITE}", lambda w: deep.kaiming_normal_(blank(), w), [*NO_FINITE_NUMBERS, None]),
        ("mode: expected 'fan_in' or 'fan_out'", lambda w: deep.kaiming_normal_(blank(), mode=w), [*NO_NUMBERS, None]),
        (f"nonlinearity: expected one of {GAINS}", calculate_gain, [*NO_NUMBERS, None]),
        (f"param: {FINITE}", lambda w: calculate_gain("leaky_relu", w), NO_FINITE_NUMBERS),
        (f"normalized_shape: {WHOLE}", deep.LayerNorm, [*ZERO_OR_LESS, None, (3, 0), (3.0,)]),
        ("normalized_shape: expected one axis or more", deep.LayerNorm, [(), []]),
        (f"eps: {SIZE}", lambda w: deep.LayerNorm(3, w), [*BELOW_ZERO, None]),
        (f"normalized_shape: {WHOLE}", deep.RMSNorm, [*ZERO_OR_LESS, None, (3, 0), (3.0,)]),
        (f"eps: {SIZE}", lambda w: deep.RMSNorm(3, w), BELOW_ZERO),
        (f"num_features: {WHOLE}", deep.BatchNorm1d, [*ZERO_OR_LESS, None]),
        (f"eps: {SIZE}", lambda w: deep.BatchNorm1d(3, w), [*BELOW_ZERO, None]),
        (f"momentum: {TO_ONE}", lambda w: deep.BatchNorm1d(3, momentum=w), [*BELOW_ZERO, None, 1.5]),
        ("p: expected a probability from 0 to 1", deep.Dropout, [*BELOW_ZERO, None, 1.5]),
        (f"patience: {WHOLE}", deep.EarlyStopping, [*ZERO_OR_LESS, None]),
        (f"min_delta: {SIZE}", lambda w: deep.EarlyStopping(5, w), [*BELOW_ZERO, None]),
        (
            "loss: expected a number, such as loss.item()",
            deep.EarlyStopping().should_stop,
            ["a", None, [1.0], Tensor(1.0)],
        ),
        (f"lr: {SIZE}", lambda w: made(lr=w), [*NO_NUMBERS, None, math.inf, -1.0]),
        (f"momentum: {SIZE}", lambda w: made(momentum=w), [*NO_NUMBERS, None, -1.0]),
        (f"momentum: {SIZE}", lambda w: made(momentum=w, nesterov=True), [*NO_NUMBERS, -1.0]),
        (f"dampening: {SIZE}", lambda w: made(dampening=w), [*NO_NUMBERS, None, -1.0]),
        (f"weight_decay: {SIZE}", lambda w: made(weight_decay=w), [*NO_NUMBERS, None, -1.0]),
        (f"lr: {SIZE}", lambda w: SGD([{"params": [Parameter(1.0)], "lr": w}]), [*NO_NUMBERS, None, -1.0]),
        (f"lr: {SIZE}", lambda w: made(RMSprop, lr=w), [*NO_NUMBERS, None, -1.0]),
        (f"alpha: {BELOW_ONE}", lambda w: made(RMSprop, alpha=w), [*NOT_BELOW_ONE, None]),
        (f"eps: {SIZE}", lambda w: made(RMSprop, eps=w), [*NO_NUMBERS, None, -1.0]),
        (f"lr: {SIZE}", lambda w: made(Adam, lr=w), [*NO_NUMBERS, None, -1.0]),
        (f"eps: {SIZE}", lambda w: made(Adam, eps=w), [*NO_NUMBERS, None, -1.0]),
        (f"betas: {BELOW_ONE}", lambda w: made(Adam, betas=(0.9, w)), [*NOT_BELOW_ONE, None]),
        (f"betas: {BELOW_ONE}", lambda w: made(AdamW, betas=(w, 0.9)), [*NOT_BELOW_ONE, None]),
        ("betas: expected a pair of numbers", lambda w: made(Adam, betas=w), ["a", None, 0.9, [0.9], (0.9, 0.9, 0.9)]),
        (f"weight_decay: {SIZE}", lambda w: made(AdamW, weight_decay=w), [*NO_NUMBERS, None, -1.0]),
        (f"max_norm: {ABOVE}", lambda w: deep.clip_grad_norm_([], w), [*NOT_ABOVE_ZERO, None]),
        (f"norm_type: {ABOVE}", lambda w: deep.clip_grad_norm_([], 1.0, w), [*NOT_ABOVE_ZERO, None]),
        (f"step_size: {WHOLE}", lambda w: deep.StepLR(made(), w), [*ZERO_OR_LESS, None]),
        (f"gamma: {SIZE}", lambda w: deep.StepLR(made(), 3, w), [*BELOW_ZERO, None]),
        (f"T_max: {WHOLE}", lambda w: deep.CosineAnnealingLR(made(), w), [*ZERO_OR_LESS, None]),
        (f"eta_min: {SIZE}", lambda w: deep.CosineAnnealingLR(made(), 9, w), [*BELOW_ZERO, None]),
        (f"warmup_steps: {FROM_ZERO}", lambda w: deep.WarmupCosine(made(), w, 9), [*NOT_WHOLE, None]),
        (f"total_steps: {WHOLE}", lambda w: deep.WarmupCosine(made(), 2, w), [*ZERO_OR_LESS, None]),
        (f"eta_min: {SIZE}", lambda w: deep.WarmupCosine(made(), 2, 9, w), [*BELOW_ZERO, None]),
        (f"mse_loss: {REDUCTIONS}", lambda w: deep.mse_loss([1.0], [1.0], w), [*NO_NUMBERS, None]),
        (f"cross_entropy: {REDUCTIONS}", lambda w: deep.cross_entropy([[1.0]], [0], w), [*NO_NUMBERS, None]),
        (
            "fraction: expected a number between 0 and 1",
            lambda w: split(fraction=w),
            [*BELOW_ZERO, None, 0.0, 1.0, 1.5],
        ),
        (f"seed: {FROM_ZERO}", lambda w: split(seed=w), [*NOT_WHOLE, None]),
        (f"batch_size: {WHOLE}", lambda w: evaluate(batch_size=w), [*ZERO_OR_LESS, None]),
        (f"epochs: {FROM_ZERO}", lambda w: fit(epochs=w), [*NOT_WHOLE, None]),
        (f"batch_size: {WHOLE}", lambda w: fit(batch_size=w), ZERO_OR_LESS),
        (f"seed: {FROM_ZERO}", lambda w: fit(seed=w), [*NOT_WHOLE, None]),
        (f"max_norm: {ABOVE}", lambda w: fit(max_norm=w, epochs=0), NOT_ABOVE_ZERO),
        (f"checkpoint_every: {WHOLE}", lambda w: fit(checkpoint_every=w), ZERO_OR_LESS),
    ],
)
def test_a_scalar_of_the_wrong_kind_is_named(said, take, wrongs):
    for wrong in wrongs:
        refused(said, take, wrong)


@pytest.mark.parametrize(
    ("said", "take", "wrongs"),
    [
        (A_TENSOR, deep.zeros_, NO_TENSORS),
        (A_TENSOR, deep.normal_, NO_TENSORS),
        (A_TENSOR, deep.uniform_, NO_TENSORS),
        (A_TENSOR, deep.xavier_normal_, NO_TENSORS),
        (A_TENSOR, deep.kaiming_uniform_, NO_TENSORS),
        (A_TENSOR, fans, NO_TENSORS),
        (f"parameters: {TENSORS}", deep.l1_penalty, NO_TENSORS),
        (f"parameters: {TENSORS}", deep.l2_penalty, NO_TENSORS),
        (f"parameters: {TENSORS}", lambda w: deep.clip_grad_norm_(w, 1.0), NO_TENSORS),
        (f"params: {TENSORS}", SGD, NO_TENSORS),
        (f"params: {TENSORS}", lambda w: SGD([{"params": w}]), NO_TENSORS),
        (
            "params: expected each group to be a dict",
            lambda w: SGD([{"params": [Parameter(1.0)]}, w]),
            [*NO_OBJECTS, {}],
        ),
        ("load_state_dict: expected arrays by name", made().load_state_dict, [*NO_OBJECTS, None]),
        (AN_OPTIMIZER, lambda w: deep.StepLR(w, 3), [*NO_OBJECTS, None, SGD]),
        (AN_OPTIMIZER, lambda w: deep.CosineAnnealingLR(w, 3), [*NO_OBJECTS, None]),
        (AN_OPTIMIZER, lambda w: deep.WarmupCosine(w, 3, 9), [*NO_OBJECTS, None]),
        (
            "load_state_dict: expected what state_dict()",
            deep.StepLR(made(), 3).load_state_dict,
            [*NO_OBJECTS, None, {}],
        ),
        (A_MODEL, fit, [*NO_OBJECTS, Linear]),
        (A_LOSS, lambda w: fit(loss=w), [*NO_OBJECTS, None]),
        (AN_OPTIMIZER, lambda w: fit(optimizer=w), [*NO_OBJECTS, Adam]),
        (A_SCHEDULE, lambda w: fit(scheduler=w), [*NO_OBJECTS, deep.StepLR]),
        (A_WATCH, lambda w: fit(early_stopping=w), [*NO_OBJECTS, deep.EarlyStopping]),
        ("checkpoint: expected a path", lambda w: fit(checkpoint=w), [3, 0.5, [1.0], np.ones(2)]),
        (A_MODEL, lambda w: evaluate(model=w), [*NO_OBJECTS, None]),
        (A_LOSS, lambda w: evaluate(loss=w), [*NO_OBJECTS, None]),
        (A_MODEL, lambda w: deep.accuracy(w, X, Y), [*NO_OBJECTS, None]),
    ],
)
def test_an_object_of_the_wrong_kind_is_named(said, take, wrongs):
    for wrong in wrongs:
        refused(said, take, wrong)


@pytest.mark.parametrize(
    ("op", "take"),
    [
        ("linear", Linear(2, 2)),
        ("layer_norm", deep.LayerNorm(2)),
        ("layer_norm", functools.partial(deep.layer_norm, normalized_shape=2)),
        ("rms_norm", deep.RMSNorm(2)),
        ("rms_norm", functools.partial(deep.rms_norm, normalized_shape=2)),
        ("BatchNorm1d", deep.BatchNorm1d(2)),
    ],
)
@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_arrays_of_integers_are_no_quantities(op, take, dtype):
    with pytest.raises(TypeError) as error:
        take(np.ones((3, 2), dtype=dtype))
    assert str(error.value) == (
        f"{op}: x holds {dtype}: numbers of things go through an Embedding; quantities, x.astype(float)"
    )


def test_what_is_refused_has_changed_nothing():
    model, tensor = Linear(2, 2), blank()
    before = model.weight.tolist(), deep.generator().bit_generator.state
    for settings in ({"max_norm": -1.0}, {"scheduler": 3}, {"early_stopping": 3}, {"seed": "a"}):
        with pytest.raises((TypeError, ValueError)):
            deep.fit(model, X, Y, **settings)
    with pytest.raises(ValueError):
        deep.normal_(tensor, std=-1.0)
    assert (model.weight.tolist(), deep.generator().bit_generator.state) == before
    assert not tensor.data.any()


def test_numbers_of_any_kind_are_taken():
    layer = deep.LayerNorm(np.int64(2), np.float32(0.5))
    assert layer.normalized_shape == (2,) and repr(layer) == "LayerNorm((2,), eps=0.5)"
    assert deep.layer_norm(np.ones((3, 2)), np.array([2])).shape == (3, 2)
    assert repr(deep.Dropout(np.float64(0.5))) == "Dropout(p=0.5)" and deep.Dropout(1).p == 1.0
    assert made(lr=np.float32(0.5), momentum=1).param_groups[0]["lr"] == 0.5
    assert deep.WarmupCosine(made(lr=1), np.int64(1), np.int64(3), 0).get_last_lr() == [0.5]
    assert deep.clip_grad_norm_([], math.inf, np.int64(1)) == 0.0
    assert deep.l2_penalty(Tensor([[1.0, 2.0], [3.0, 0.0]])).item() == 14.0
    history = fit(seed=np.int64(3), max_norm=math.inf, batch_size=np.int32(4))
    assert len(history.loss) == 1
