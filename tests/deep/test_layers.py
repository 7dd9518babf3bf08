# ruff: noqa: E501 (a case a line)
"""Modules and layers: as PyTorch has them, found by name, saved and loaded, and refused where they do not fit."""

import re

import numpy as np
import pytest

from microlearn import Tensor, deep
from microlearn.deep import BatchNorm1d, Embedding, Linear, Module, Parameter, ReLU, Sequential, Tanh
from tests.deep.cases import DTYPES, MODULES, assert_module_as_stored

NORMS = ("LayerNorm", "RMSNorm", "BatchNorm1d")


def network():
    return Sequential(Linear(3, 4), BatchNorm1d(4), ReLU(), Linear(4, 2, bias=False))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith(NORMS)])
def test_as_pytorch(name, dtype):
    assert_module_as_stored(name, dtype)


def test_names_and_order_of_what_is_trained_and_what_is_kept():
    trained = ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight"]
    assert [name for name, _ in network().named_parameters()] == trained
    assert set(network().state_dict()) == {*trained, "1.running_mean", "1.running_var"}


def test_modules_in_a_list_and_a_parameter_with_two_names():
    class Tied(Module):
        def __init__(self):
            self.blocks = [Linear(2, 2), Linear(2, 2)]
            self.head = Linear(2, 2, bias=False)
            self.head.weight = self.blocks[0].weight

    names = [name for name, _ in Tied().named_parameters()]
    assert names == ["blocks.0.weight", "blocks.0.bias", "blocks.1.weight", "blocks.1.bias"]
    assert "head.weight" in Tied().state_dict()


def test_train_and_eval_reach_every_module():
    model = Sequential(Sequential(Linear(1, 1)), Tanh())
    assert all(not module.training for module in model.eval().modules())
    assert all(module.training for module in model.train().modules())


def test_zero_grad_forgets():
    model = Linear(2, 1)
    model([[1.0, 2.0]]).sum().backward()
    assert model.weight.grad is not None
    model.zero_grad()
    assert model.weight.grad is None and model.bias.grad is None


def test_a_state_is_a_copy():
    model = Linear(2, 1)
    state = model.state_dict()
    model.weight.data += 1.0
    model.load_state_dict(state)
    assert (model.weight.data == state["weight"]).all()
    state["weight"] += 5.0
    assert (model.weight.data != state["weight"]).all()


def test_a_state_goes_in_whole_or_not_at_all():
    model, other = network(), network().state_dict()
    before = model.state_dict()
    other["3.weight"] = np.zeros((5, 4))
    other["surplus"] = other.pop("0.bias")
    with pytest.raises(ValueError) as error:
        model.load_state_dict(other)
    for fault in ("0.bias is missing", "surplus is not in this model", "3.weight has shape (5, 4), and here (2, 4)"):
        assert fault in str(error.value)
    assert all((array == before[name]).all() for name, array in model.state_dict().items())


def test_saved_and_loaded(tmp_path):
    model, path = network(), tmp_path / "model.npz"
    model([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]])  # moves the running averages
    model.save(path)
    copy = network().load(path)
    assert all((array == model.state_dict()[name]).all() for name, array in copy.state_dict().items())
    with np.load(path) as file:
        assert set(file.files) == set(model.state_dict())
    assert [one.name for one in tmp_path.iterdir()] == ["model.npz"]


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    model, path = network(), tmp_path / "model.npz"
    model.save(path)
    before = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        model.save(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["model.npz"]


def test_what_cannot_be_loaded(tmp_path):
    model, path = network(), tmp_path / "model.npz"
    with pytest.raises(FileNotFoundError):
        model.load(path)
    model.save(path)
    whole = path.read_bytes()
    for part in (len(whole) // 2, len(whole) - 10, 100):
        path.write_bytes(whole[:part])
        with pytest.raises(ValueError, match=re.escape(f"{path}: it begins as a checkpoint but is cut off or damaged")):
            model.load(path)
    path.write_bytes(whole[:200] + b"\0\1\2" + whole[203:])
    with pytest.raises(ValueError, match="damaged"):
        model.load(path)
    for other in (b"", b"GIF89a", b"PK"):
        path.write_bytes(other)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            model.load(path)
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(ValueError, match="not a checkpoint"):
        model.load(tmp_path / "single.npy")
    Linear(3, 4).save(path)
    with pytest.raises(ValueError, match=re.escape(f"{path}: load_state_dict: this is the state of another model")):
        model.load(path)


def test_a_file_with_objects_is_not_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (print, ("unpickled",))

    path = tmp_path / "trap.npz"
    np.savez(path, weight=np.array([Trap()], dtype=object))
    with pytest.raises(ValueError, match=re.escape(str(path))):
        Linear(1, 1).load(path)


@pytest.mark.parametrize(
    ("error", "message", "wrong"),
    [
        (ValueError, "linear: shapes (5, 2) and (4, 3) do not fit: x needs 3 numbers", lambda: Linear(3, 4)(np.ones((5, 2)))),
        (TypeError, "linear: x holds int64: numbers of things go through an Embedding", lambda: Linear(3, 4)(np.array([[1, 2, 3]]))),
        (TypeError, "Embedding: expected whole numbers, got float64", lambda: Embedding(3, 2)([0.5])),
        (IndexError, "Embedding: 3 is not from 0 to 2", lambda: Embedding(3, 2)([0, 3])),
        (IndexError, "Embedding: -1 is not from 0 to 2", lambda: Embedding(3, 2)([-1])),
        (ValueError, "in_features: expected a whole number above zero, got 0", lambda: Linear(0, 2)),
        (TypeError, "out_features: expected a whole number above zero, got 2.5", lambda: Linear(1, 2.5)),
        (TypeError, "Sequential: expected modules, got", lambda: Sequential(Linear(1, 1), Tanh)),
        (NotImplementedError, "Module has no forward(self, x)", lambda: Module()(1.0)),
    ],
)  # fmt: skip
def test_bad_input_is_named(error, message, wrong):
    with pytest.raises(error, match=re.escape(message)):
        wrong()


def test_what_a_model_says_of_itself():
    text = repr(Sequential(Linear(2, 3), deep.GELU(), Sequential(deep.Dropout(0.1))))
    assert text.split("\n") == [
        "Sequential(",
        "  (0): Linear(in_features=2, out_features=3, bias=True)",
        "  (1): GELU(approximate='none')",
        "  (2): Sequential(",
        "    (0): Dropout(p=0.1)",
        "  )",
        ")",
    ]


def test_a_part_of_a_sequential_is_made_of_the_same_modules():
    model = network()
    assert len(model) == 4 and len(model[:2]) == 2
    assert model[:2][0] is model[0] is next(iter(model))


def test_a_frozen_parameter_gets_no_gradient():
    model = Linear(2, 1)
    model.weight.requires_grad = False
    model([[1.0, 2.0]]).sum().backward()
    assert model.weight.grad is None and model.bias.grad.tolist() == [1.0]


def test_an_embedding_adds_up_the_gradients_of_a_row_that_is_looked_up_twice():
    table = Embedding(4, 2)
    table([[1, 3], [1, 1]]).sum().backward()
    assert table.weight.grad.tolist() == [[0.0, 0.0], [3.0, 3.0], [0.0, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int64"])
def test_ids_of_any_whole_kind(dtype):
    table = Embedding(300, 2)
    table(np.array([1, 3, 1], dtype=dtype)).sum().backward()
    assert table.weight.grad[[0, 1, 3]].tolist() == [[0.0, 0.0], [2.0, 2.0], [1.0, 1.0]]


def test_what_a_module_computed_is_no_part_of_its_state():
    class Keeps(Module):
        def __init__(self):
            self.layer = Linear(2, 3)

        def forward(self, x):
            self.hidden = self.layer(x)
            return self.hidden

    model = Keeps()
    model([[1.0, 2.0]])
    assert set(model.state_dict()) == {"layer.weight", "layer.bias"}


def test_a_link_stays_a_link_and_a_folder_is_refused(tmp_path):
    model, path, link = network(), tmp_path / "model.npz", tmp_path / "link.npz"
    link.symlink_to(path)
    model.save(link)
    assert link.is_symlink() and path.exists()
    with pytest.raises(ValueError, match="expected the name of a file"):
        model.save(tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {"model.npz", "link.npz"}


def test_a_parameter_is_trained_and_a_tensor_kept():
    assert Parameter([1.0]).requires_grad and not Tensor([1.0]).requires_grad
