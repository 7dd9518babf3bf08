"""The reference: every public name has its place on the API page, and nothing on the cheat sheet is only claimed."""

import inspect
import itertools
import math
import os
import pathlib
import random
import re
import shlex
import shutil
import statistics
import subprocess
import sys

import numpy as np
import pytest

import microlearn.autograd
import microlearn.deep
import microlearn.llm
import microlearn.networks
from docs._site.results import Results
from microlearn import Tensor, Value, cli
from microlearn.autograd import derivative, gradcheck, gradient, slope
from microlearn.networks import ACTIVATIONS, MLP, Diverged, Layer, Neuron, accuracy, fit, moons, mse, xor
from tests.llm import test_invariants as planted
from tests.site.project import build, project, read, site_faults

ROOT = pathlib.Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
PHASES = {
    "autograd": microlearn.autograd,
    "networks": microlearn.networks,
    "deep": microlearn.deep,
    "llm": microlearn.llm,
}
MODULES = [(phase, file.stem) for phase in PHASES for file in sorted((ROOT / "microlearn" / phase).glob("[a-z]*.py"))]
every_phase = pytest.mark.parametrize("phase", PHASES)


# The API


@pytest.fixture
def api(built_site, phase):
    page = (built_site[0] / "reference" / phase / "index.html").read_text(encoding="utf-8")
    return page[page.index("<article") : page.index("</article")]


@pytest.mark.parametrize(("phase", "name"), [(phase, name) for phase in PHASES for name in PHASES[phase].__all__])
def test_every_public_name_has_its_place(api, phase, name):
    thing = getattr(PHASES[phase], name)
    place = f'id="{thing.__module__}.{thing.__qualname__}"' if callable(thing) else f"<code>{name}</code>"
    if callable(thing) and not thing.__module__.startswith(PHASES[phase].__name__):
        place = f'#{thing.__module__}.{thing.__qualname__}"'  # a link to the phase that it comes from
    assert place in api, f"{name} is not on the page: has it a docstring?"


@pytest.mark.parametrize(("phase", "module"), MODULES)
def test_every_module_is_rendered_and_linked_to_its_lesson(phase, module):
    parts = re.split(r"^## ", (REFERENCE / f"{phase}.md").read_text(), flags=re.MULTILINE)
    assert [p for p in parts if p.startswith(f"{module}\n") and f"\n::: microlearn.{phase}.{module}\n" in p]
    part = next(p for p in parts if p.startswith(f"{module}\n"))
    lesson = ROOT / "docs" / phase / f"{module}.md"
    title = re.search(r"^# (.*)$", lesson.read_text(), re.MULTILINE)[1]
    link = f"Lesson: [{title}](../{phase}/{module}.md)."
    assert link in " ".join(part.split()), f"docs/reference/{phase}.md: link the lesson of {module}: {link}"


@every_phase
def test_every_source_link_leads_to_the_line(api, phase):
    named, to_source = r'<h[34] id="microlearn[\w.]*?(\w+)"', r'/blob/main/([\w/]+\.py)#L(\d+)-L\d+"'
    linked = re.findall(rf"{named}(?:(?!<h[34]).)*?{to_source}", api, re.DOTALL)  # an attribute has no link
    assert len(linked) == api.count('class="doc-source"') > 15
    for name, file, line in linked:
        *_, shown = (ROOT / file).read_text().split("\n", int(line) - 1)
        assert re.match(rf"(\s*@.*\n)*\s*(def|class) {name}\b", shown)


@every_phase
def test_the_examples_are_shown_as_typed(api, phase):
    prompts = api.count("&gt;&gt;&gt;")
    assert prompts == api.count('<span class="gp">&gt;&gt;&gt;') > 20


@pytest.mark.parametrize("command", [["mkdocs", "build", "--strict"], ["zensical", "build", "--clean"]], ids=" ".join)
def test_a_docstring_is_no_page(tmp_path, command):
    text = "# Both\n\n```python\n1 + 1\n```\n\n```output\n2\n```\n\n::: microlearn.autograd.backward\n"
    folder = project(tmp_path, index=text)
    output, status = build(folder, *command)
    assert status == 0, output
    made = (folder / "site/index.html").read_text(encoding="utf-8")
    assert made.count('class="block"') == 1
    assert 'id="microlearn.autograd.backward.backward"' in made


def test_what_the_engine_does_not_have_is_the_page_s_fault(tmp_path):
    folder = project(tmp_path, index="# A page\n\n::: microlearn.autograd.valu\n\n::: microlearn.autograd.value\n")
    (fault,) = site_faults(Results(folder), read(folder, "index"))
    assert fault.startswith("docs/index.md:3: microlearn.autograd has no module 'valu': there is value")


# The cheat sheets


class Sheet:
    """A cheat sheet's text and tables."""

    def __init__(self, phase):
        self.text = (REFERENCE / f"{phase}-cheat-sheet.md").read_text()

    def section(self, title):
        return self.text.split(f"## {title}\n")[1].split("\n## ")[0]

    def table(self, title):
        """List the rows of a section's table, each as a list of cells."""
        _, _, *rows = [line for line in self.section(title).split("\n") if line.startswith("|")]
        return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def code(text):
    return re.findall(r"`([^`]+)`", text)


# Automatic differentiation

AUTOGRAD = Sheet("autograd")
NUMBERS = (-2.0, -0.5, 0.0, 0.7, 3.0)
PLAIN = {name: getattr(math, name) for name in ("exp", "log", "tanh")} | {"abs": abs, "max": max, "min": min}


OPERATIONS = {code(row[0])[0]: row for row in AUTOGRAD.table("Operations")}


def points(operation):
    """Yield every point at which an operation may stand: numbers for a, b and n."""
    for a, b, n in itertools.product(NUMBERS, NUMBERS, (2.0, 3.0, -1.0, 0.5)):
        steep = operation == "a**n" and a == 0.0 and n < 1.0  # upright there
        if not steep and not (operation == "a / b" and b == 0.0) and not (operation == "a**n" and a < 0.0 and n == 0.5):
            yield {"a": a, "b": b, "n": n}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_row_of_the_operations_is_what_the_engine_does(operation):
    first, slope_by_a, slope_by_b = OPERATIONS[operation]
    formula = re.search(r" = `(.+?)`", first)
    formula = formula[1] if formula else re.sub(r"a\.(\w+)\(\)", r"\1(a)", operation)
    only_for = re.search(r", for `(.+?)`", first)
    seen = 0
    for at in points(operation):
        values = at | {"a": Value(at["a"]), "b": Value(at["b"])}
        if only_for and not eval(only_for[1], dict(at)):
            with pytest.raises(ValueError):
                eval(operation, values)
            continue
        result = eval(operation, values)
        result.backward()
        floats = at | PLAIN
        floats["y"] = eval(formula, floats)
        assert result.data == pytest.approx(floats["y"], rel=1e-12)
        assert values["a"].grad == pytest.approx(float(eval(*code(slope_by_a), floats)), rel=1e-12), at
        assert values["b"].grad == pytest.approx(float(eval(*code(slope_by_b) or ["0"], floats)), rel=1e-12), at
        seen += 1
    assert seen >= 10


def test_every_operation_of_the_engine_is_in_the_table():
    offered = {name for name in vars(Value) if not name.startswith("_") and callable(getattr(Value, name))}
    assert {f"a.{name}(" for name in offered - {"backward", "pass_gradient_on"}} == {
        found[0] for operation in OPERATIONS if (found := re.match(r"a\.\w+\(", operation))
    }
    signs = {"add": "a + b", "sub": "a - b", "mul": "a * b", "truediv": "a / b", "pow": "a**b", "neg": "-a"}
    assert {*signs.values(), "a**n", "abs(a)"} <= OPERATIONS.keys()
    special = {name.strip("_") for name in vars(Value) if re.fullmatch(r"__\w+__", name)}
    special -= {"slotnames"}  # pickle writes it there
    known = {*signs, *(f"r{name}" for name in signs), "abs", "lt", "le", "gt", "ge", "init", "repr", "doc", "module"}
    assert special <= known | {"slots", "firstlineno", "static_attributes"}, "a new operator belongs on the cheat sheet"


@pytest.mark.parametrize("operation", [row for row in OPERATIONS if re.search(r"\bb\b", row)])
def test_one_side_may_be_a_plain_number(operation):
    both = eval(operation, {"a": Value(2.0), "b": Value(3.0)}).data
    assert eval(operation, {"a": Value(2.0), "b": 3.0}).data == both
    if "." not in operation:
        assert eval(operation, {"a": 2.0, "b": Value(3.0)}).data == both


def test_the_paths_of_the_chain_rule_are_those_of_the_graph():
    left, right = re.search(r"paths: (.+) = (.+)\.", AUTOGRAD.text).groups()
    a, b = Value(3.0), Value(-2.0)
    y = a * b + a
    y.backward()
    assert eval(left.replace("\N{MULTIPLICATION SIGN}", "*")) == float(right) == a.grad
    assert "\n```output\n-3.0 -1.0 3.0\n```" in AUTOGRAD.text, "the block that it speaks of"


@pytest.mark.parametrize("row", AUTOGRAD.table("Nudging")[:2], ids=lambda row: row[0])
def test_nudging_finds_what_the_row_says(row):
    """The call is its formula, and its error shrinks as told."""
    call, formula, error = (code(cell)[0] for cell in row)
    names = {"f": math.exp, "x": 0.5, "slope": slope, "derivative": derivative}
    wrong = {}
    for h in (0.02, 0.01):
        assert eval(call, names | {"h": h}) == pytest.approx(eval(formula, names | {"h": h}), rel=1e-9)
        wrong[h] = eval(call, names | {"h": h}) - math.exp(0.5)
    assert wrong[0.02] / wrong[0.01] == pytest.approx(eval(error, {"h": 2.0}), rel=0.01)


def test_a_gradient_is_a_derivative_by_each_input():
    call = code(AUTOGRAD.table("Nudging")[2][0])[0]
    found = eval(call, {"gradient": gradient, "f": lambda x, y: x * x * y, "x": 0.5, "y": 0.25})
    assert list(found) == pytest.approx([0.25, 0.25])


def trained(reset):
    w, b = Value(3.0), Value(1.0)
    losses, moved = [], []
    for _ in range(6):
        error = w * 2.0 + b - 5.0
        loss = error * error
        loss.backward()
        losses.append(loss.data)
        moved.append(abs(w.grad))
        for p in (w, b):
            p.data -= 0.04 * p.grad
            p.grad = 0.0 if reset else p.grad
    return losses, moved


def grad_is_not_reset(monkeypatch):
    losses, moved = trained(reset=True)
    assert losses == sorted(losses, reverse=True) and moved == sorted(moved, reverse=True)
    losses, moved = trained(reset=False)
    assert moved[1] > moved[0] and losses[-1] > min(losses)


def a_leaf_changes(monkeypatch):
    a, b = Value(2.0), Value(3.0)
    y = a * b
    a.data = 10.0
    y.backward()
    assert (y.data, b.grad) == (6.0, 2.0)
    assert (a * b).data == 30.0


def the_graph_is_left(monkeypatch):
    a = Value(0.5)
    y = Value(math.tanh(a.data))
    y.backward()
    assert y.data == a.tanh().data and a.grad == 0.0
    a.tanh().backward()
    assert a.grad != 0.0


def assigned_for_added(monkeypatch):
    def assign(self):
        for parent, local in zip(self.parents, self.slopes, strict=True):
            parent.grad = local * self.grad

    monkeypatch.setattr(Value, "pass_gradient_on", assign)
    a, b, twice = Value(3.0), Value(4.0), Value(3.0)
    (a * b).backward()
    (twice * twice).backward()
    assert (a.grad, b.grad) == (4.0, 3.0) and twice.grad != 6.0


def a_corner(monkeypatch):
    report = gradcheck(lambda x: x.relu(), 0.0)
    assert not report and "corner" in str(report)
    assert gradcheck(lambda x: x.relu(), 0.5)
    assert gradcheck(lambda x: (1 + x.exp()).log(), 0.0)


# Neural networks

NETWORKS = Sheet("networks")
MATHS = {name: getattr(math, name) for name in ("exp", "log", "tanh", "sqrt")} | {"max": max}


@pytest.mark.parametrize("row", NETWORKS.table("A neuron"), ids=lambda row: row[0])
def test_an_activation_is_its_formula_and_stays_in_its_range(row):
    name, formula, rate = (code(cell)[0] for cell in row[:3])
    low, high = {"any": (-math.inf, math.inf), "from 0 on": (0.0, math.inf)}.get(row[3]) or map(
        float, row[3].split(" to ")
    )
    reached = []
    for number in (-30.0, -2.0, -0.5, 0.0, 0.7, 3.0, 30.0):
        x = Value(number)
        y = ACTIVATIONS[eval(name)](x)
        y.backward()
        at = MATHS | {"x": number, "y": y.data}
        assert (y.data, x.grad) == pytest.approx((eval(formula, at), float(eval(rate, at))), abs=1e-12)
        reached.append(y.data)
    assert min(reached) == pytest.approx(low if low > -math.inf else -30.0)
    assert max(reached) == pytest.approx(high if high < math.inf else 30.0)


def test_every_activation_is_in_the_table():
    assert [eval(code(row[0])[0]) for row in NETWORKS.table("A neuron")] == list(ACTIVATIONS)


def test_a_neuron_is_what_is_said_of_it():
    said = code(NETWORKS.section("A neuron"))
    x0, x1 = Value(3.0), Value(-2.0)
    neuron = Neuron(2, "linear")
    w0, w1, b = neuron.parameters()
    b.data = 0.25
    total = neuron([x0, x1])
    total.backward()
    assert total.data == pytest.approx(eval(said[0], {"w0": w0.data, "x0": 3.0, "w1": w1.data, "x1": -2.0, "b": 0.25}))
    assert (total.op, total.parents) == (said[1], (w0, w1, x0, x1, b))
    assert (w0.grad, w1.grad, x0.grad, x1.grad, b.grad) == (3.0, -2.0, w0.data, w1.data, 1.0)


def test_the_first_weights_lie_where_it_says():
    (bound,) = [said for said in code(NETWORKS.section("A neuron")) if "nin" in said]
    reach = eval(bound, MATHS | {"nin": 50})
    drawn = [weight.data for weight in Neuron(50, seed=1).weights]
    assert -reach < min(drawn) < -0.8 * reach and 0.8 * reach < max(drawn) < reach
    assert Neuron(50).bias.data == 0.0


@pytest.mark.parametrize("row", NETWORKS.table("A network"), ids=lambda row: row[0])
def test_a_model_has_so_many_parameters(row):
    sizes = {"nin": 3, "nout": 6, "a": 4, "b": 5, "c": 2}
    model = eval(code(row[0])[0], {"Neuron": Neuron, "Layer": Layer, "MLP": MLP} | sizes)
    assert len(model.parameters()) == eval(code(row[1])[0], sizes)


def test_parameters_are_named_and_listed_as_it_says():
    model = MLP(3, [4, 2])
    labels = [parameter.label for parameter in model.parameters()]
    (example,) = [said for said in code(NETWORKS.section("A network")) if ".neuron" in said]
    assert example in labels
    assert labels[:5] == [
        "layer0.neuron0.w0",
        "layer0.neuron0.w1",
        "layer0.neuron0.w2",
        "layer0.neuron0.b",
        "layer0.neuron1.w0",
    ]
    assert [layer.neurons[0].activation for layer in model.layers] == ["tanh", "linear"]
    assert isinstance(model([1, 2, 3]), list) and isinstance(MLP(3, [1])([1, 2, 3]), Value)


LOSSES = {code(row[0])[0]: row for row in NETWORKS.table("Losses")}


def softmax(scores):
    whole = sum(map(math.exp, scores))
    return [math.exp(score) / whole for score in scores]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_row_of_the_losses_is_what_the_engine_does(loss):
    formula, rate = code(LOSSES[loss][1])[0], code(LOSSES[loss][2])[0]
    rng = random.Random(1)
    n, classes = 40, 3 if loss == "cross_entropy" else 1
    scores = [[Value(rng.gauss(0, 2)) for _ in range(classes)] for _ in range(n)]
    targets = [rng.gauss(0, 2) if loss == "mse" else rng.randrange(max(classes, 2)) for _ in range(n)]
    points = []
    for some, t in zip(scores, targets, strict=True):
        s = [score.data for score in some] if classes > 1 else some[0].data
        p, side = (softmax(s) if classes > 1 else 1 / (1 + math.exp(-s))), 2 * t - 1
        points.append(MATHS | {"s": s, "t": t, "p": p, "side": side, "m": side * s if classes == 1 else None})
    result = getattr(microlearn.networks, loss)([some if classes > 1 else some[0] for some in scores], targets)
    result.backward()
    assert result.data == pytest.approx(sum(eval(formula, at) for at in points) / n)
    for some, at in zip(scores, points, strict=True):
        for k, score in enumerate(some):
            assert score.grad == pytest.approx(eval(rate, at | {"k": k}) / n)


def test_every_loss_is_in_the_table():
    offered = (getattr(microlearn.networks, name) for name in microlearn.networks.__all__)
    assert LOSSES.keys() == {one.__name__ for one in offered if getattr(one, "__module__", "").endswith(".losses")}


def test_who_guesses_pays_the_logarithm_of_the_number_of_classes():
    (price,) = [said for said in code(NETWORKS.section("Losses")) if said == "log(k)"]
    for k in (2, 3, 50):
        guess = microlearn.networks.cross_entropy([[0.0] * k] * 4, [1] * 4)
        assert guess.data == pytest.approx(eval(price, MATHS | {"k": k}))


DATA = {code(row[0])[0]: row for row in NETWORKS.table("Data")}


@pytest.mark.parametrize("name", DATA)
def test_a_dataset_is_learned_as_it_says(name):
    X, y = getattr(microlearn.networks, name)(n=100, seed=0)
    assert len(X) == len(y) == 100 and set(y) == {0, 1}
    model, rate = code(DATA[name][1])
    (size, epochs) = re.search(
        r"With `batch_size=(\d+)`, all are right in fewer than (\d+) epochs", NETWORKS.text
    ).groups()
    model = eval(model, {"MLP": MLP})
    history = eval(
        f"fit(model, X, y, {rate}, batch_size={size}, epochs={epochs} - 1, target_accuracy=1.0)",
        {"fit": fit, "model": model, "X": X, "y": y},
    )
    assert history.ending == "target reached" and accuracy(model, X, y) == 1.0


def test_every_dataset_is_in_the_table():
    offered = filter(inspect.isfunction, map(vars(microlearn.networks).get, microlearn.networks.__all__))
    made = {one.__name__: list(inspect.signature(one).parameters)[:3] for one in offered}
    assert DATA.keys() == {name for name, arguments in made.items() if arguments == ["n", "noise", "seed"]}
    assert "`X, y = moons(n, noise, seed)`" in NETWORKS.section("Data")


def test_the_arguments_of_fit_are_those_of_the_table():
    arguments = inspect.signature(fit).parameters.values()
    defaults = [(one.name, getattr(one.default, "__name__", one.default)) for one in arguments]
    model_and_data, listed = defaults[:3], defaults[3:]
    assert [code(row[0])[0] for row in NETWORKS.table("Training")] == [f"{name}={default}" for name, default in listed]
    names = ", ".join(name for name, _ in model_and_data)
    assert f"| `fit({names}, ...)` |" in NETWORKS.text


def no_activation(monkeypatch):
    X, y = xor(40)
    straight, bent = MLP(2, [4, 4, 1], "linear"), MLP(2, [4, 1])
    for model in (straight, bent):
        fit(model, X, y, lr=1.0, epochs=60)
    a, b, halfway = [1.0, -1.0], [-2.0, 0.5], [-0.5, -0.25]
    means = [(model(a).data + model(b).data) / 2 - model(halfway).data for model in (straight, bent)]
    assert means[0] == pytest.approx(0.0, abs=1e-12) and abs(means[1]) > 0.01
    assert accuracy(straight, X, y) < 0.8 and accuracy(bent, X, y) == 1.0


def no_bias(monkeypatch):
    for seed in range(5):
        neuron = Neuron(2, seed=seed)
        assert neuron([0.0, 0.0]).data == 0.0
        neuron.bias.data = 0.5
        assert neuron([0.0, 0.0]).data != 0.0


def equal_first_weights(monkeypatch):
    X, y = xor(40)
    for alike in (True, False):
        model = MLP(2, [4, 1])
        for parameter in model.parameters() if alike else ():
            parameter.data = 0.5
        fit(model, X, y, lr=1.0, epochs=20)
        neurons = {tuple(round(p.data, 9) for p in neuron.parameters()) for neuron in model.layers[0].neurons}
        assert len(neurons) == (1 if alike else 4)


def zero_grad_forgotten(monkeypatch):
    X, y = moons(40, noise=0.1, seed=4)
    losses = {}
    for forget in (False, True):
        model = MLP(2, [8, 1], "relu")
        if forget:
            monkeypatch.setattr(MLP, "zero_grad", lambda self: None)
        losses[forget] = fit(model, X, y, lr=1.0, epochs=40).loss
    assert losses[True][5] < losses[False][5]
    assert max(losses[True][5:]) > losses[True][0]
    assert max(losses[False][5:]) < losses[False][0]


def trained_at(lr):
    model = MLP(2, [8, 1], "relu")
    return fit(model, *moons(40, noise=0.1, seed=4), loss=mse, lr=lr, epochs=40).loss


def lr_too_large(monkeypatch):
    with pytest.raises(Diverged, match="likely too large") as raised:
        trained_at(2.0)
    loud, quiet = raised.value.history.loss, trained_at(1.0)
    assert loud == sorted(loud)
    assert quiet[5] > 10 * quiet[0]
    assert trained_at(1.0 / 3)[-1] < 0.2 * quiet[0]


def lr_too_small(monkeypatch):
    creeping, faster = trained_at(0.01), trained_at(0.03)
    assert creeping == sorted(creeping, reverse=True)
    assert all(before - after < 0.1 * before for before, after in itertools.pairwise(creeping))
    assert faster[-1] < creeping[-1]


def large_inputs(monkeypatch):
    slopes = []
    for x in (200.0, 0.2):
        neuron = Neuron(1)
        neuron([x]).backward()
        slopes.append(abs(neuron.weights[0].grad))
    assert slopes[0] < 1e-9 < 0.1 < slopes[1]


def squashed_twice(monkeypatch):
    sure = [9.0, 0.0, 0.0]
    once, twice = (microlearn.networks.cross_entropy([scores], [0]).data for scores in (sure, softmax(sure)))
    assert once < 0.001 and twice > 0.5
    once, twice = (
        microlearn.networks.binary_cross_entropy([s], [0]).data for s in (Value(-9.0), Value(-9.0).sigmoid())
    )
    assert once < 0.001 and twice > 0.5


def out_of_step(monkeypatch):
    X, y = moons(seed=0)
    paired = fit(MLP(2, [1]), X, y, lr=1.0, epochs=30).loss[-1]
    random.Random(0).shuffle(X)
    mixed = fit(MLP(2, [1]), X, y, lr=1.0, epochs=30).loss[-1]
    assert paired < 0.4 and mixed == pytest.approx(math.log(2), abs=0.03)


# Deep networks

DEEP = Sheet("deep")
OFFERED = {name: getattr(microlearn.deep, name) for name in microlearn.deep.__all__}
UNITS = {"n": 3, "m": 4, "k": 5, "p": 0.5}
NORMAL = statistics.NormalDist()


def drawn(*shape):
    return Tensor(np.random.default_rng(1).normal(size=shape), requires_grad=True, dtype="float64")


@pytest.mark.parametrize("row", DEEP.table("Operations"), ids=lambda row: row[0])
def test_an_operation_turns_its_gradient_as_it_says(row):
    operation, *rules = (code(cell) for cell in row)
    a, b = drawn(3, 4), drawn(4, 2) if "@" in row[0] else drawn(3, 4)
    b.data[...] = -b.data[::-1]
    y = eval(operation[0], OFFERED | {"a": a, "b": b})
    g = np.random.default_rng(2).normal(size=y.shape)
    (y * g).sum().backward()
    names = {"g": g, "y": y.data, "a": a.data, "b": b.data}
    for rule, tensor in zip(rules, (a, b), strict=True):
        assert (tensor.grad is None) == (not rule)
        assert not rule or eval(rule[0], names) == pytest.approx(tensor.grad)


def test_a_row_that_is_chosen_twice_gets_both_gradients():
    a = drawn(3, 4)
    a[[2, 0, 2]].sum().backward()
    assert a.grad.tolist() == [[1.0] * 4, [0.0] * 4, [2.0] * 4]


@pytest.mark.parametrize("row", DEEP.table("Activations"), ids=lambda row: row[0])
def test_a_bend_is_its_formula(row):
    call, formula, rate = (code(cell)[0] for cell in row)
    for number in (-2.0, -0.5, 0.7, 3.0):
        x = Tensor(number, requires_grad=True, dtype="float64")
        y = eval(call, OFFERED | {"x": x})
        y.backward()
        at = MATHS | {"maximum": max, "s": 1 / (1 + math.exp(-number)), "Phi": NORMAL.cdf(number)}
        at |= {"phi": NORMAL.pdf(number), "x": number, "y": y.item()}
        assert (y.item(), x.grad.item()) == pytest.approx((eval(formula, at), float(eval(rate, at))))


def test_no_bend_layer_loss_optimizer_or_schedule_is_left_out():
    listed, offered = {}, {}
    for title in ("Activations", "Layers", "Losses", "Optimizers", "Schedules"):
        listed[title] = {re.match(r"\w+", row[0].replace("` `_", "_").strip("`"))[0] for row in DEEP.table(title)}
    for name, thing in OFFERED.items():
        offered.setdefault(thing.__module__.rpartition(".")[2], set()).add(name)
    assert listed["Activations"] == offered["activations"] - {"softmax", "log_softmax"} | {"gelu", "tanh"}
    assert listed["Layers"] == offered["normalization"] | {"Linear", "Embedding", "Dropout"}
    assert listed["Losses"] == offered["losses"]
    assert listed["Optimizers"] == offered["optim"] - {"clip_grad_norm_"}
    assert listed["Schedules"] == offered["schedules"]


@pytest.mark.parametrize("row", DEEP.table("Layers"), ids=lambda row: row[0])
def test_a_layer_reads_and_gives_its_shapes_and_has_so_many_parameters(row):
    layer = eval(code(row[0])[0], OFFERED | UNITS)
    shapes = {"(...)": (2, 7), "(N, n)": (7, 3), "any": (2, 7), "(..., n)": (2, 7, 3), "(..., m)": (2, 7, 4)}
    read = np.ones(shapes[row[1]], dtype=int if row[1] == "(...)" else float)
    assert layer(read).shape == shapes.get(row[2], read.shape)
    assert sum(parameter.size for parameter in layer.parameters()) == eval(code(row[3])[0], UNITS)


def test_first_weights_are_as_large_as_it_says():
    reach, xavier, kaiming = (one for one in code(DEEP.section("Layers")) if "sqrt" in one)
    sizes = MATHS | {"n": 300, "m": 200}
    layer = microlearn.deep.Linear(300, 200)
    assert layer.weight.shape == (200, 300)
    for parameter in layer.parameters():
        assert abs(parameter.data).max() == pytest.approx(eval(reach, sizes), rel=0.05)
    for name, deviation in (("xavier_normal_", xavier), ("kaiming_normal_", kaiming)):
        assert OFFERED[name](layer.weight).data.std() == pytest.approx(eval(deviation, sizes), rel=0.02)


@pytest.mark.parametrize("row", DEEP.table("Losses"), ids=lambda row: row[0])
def test_a_loss_of_a_batch_is_the_mean_of_its_formula(row):
    name, formula, rate = ("".join(code(cell)) for cell in row)
    scores = drawn(6, 3) if name == "cross_entropy" else drawn(6)
    targets = np.array([0, 2, 1, 1, 0, 2] if name == "cross_entropy" else [0.0, 1.0, 1.0, 0.0, 1.0, 1.0])
    loss = OFFERED[name](scores, targets)
    loss.backward()
    points = []
    for score, t in zip(scores.data, targets, strict=True):
        p = np.exp(score) / np.exp(score).sum() if name == "cross_entropy" else 1 / (1 + np.exp(-score))
        maths = {"exp": np.exp, "log": np.log, "onehot": np.eye(3).__getitem__}
        points.append(maths | {"s": score, "t": t, "p": p, "m": score if t == 1 else -score})
    assert loss.item() == pytest.approx(np.mean([eval(formula, at) for at in points]))
    assert scores.grad * 6 == pytest.approx(np.array([eval(rate, at) for at in points]))


@pytest.mark.parametrize("row", DEEP.table("Optimizers"), ids=lambda row: row[0])
def test_an_optimizer_does_its_steps(row):
    step = "".join(code(row[1]))
    if row[1].endswith("then as Adam"):
        step += ";" + next("".join(code(steps)) for name, steps in DEEP.table("Optimizers") if name == "`Adam`")
    parameter, lr = Tensor(2.0, requires_grad=True, dtype="float64"), 0.03
    name, *settings = code(row[0])
    optimizer = eval(f"{name}([parameter], lr, {', '.join(settings)})", OFFERED | {"parameter": parameter, "lr": lr})
    names = MATHS | {"p": 2.0, "v": 0.0, "m": 0.0, "s": 0.0, "lr": lr}
    for t in range(1, 6):
        parameter.grad = np.array(names["p"] ** 2 - 0.5 * t)
        names |= {"t": t, "g": parameter.grad.item()}
        optimizer.step()
        exec(step, names)
        assert parameter.item() == pytest.approx(names["p"], rel=1e-6)


@pytest.mark.parametrize("row", DEEP.table("Schedules"), ids=lambda row: row[0])
def test_a_schedule_gives_its_rates(row):
    optimizer, lr, rates = microlearn.deep.SGD(drawn(2), lr=0.3), 0.3, []
    schedule = eval(code(row[0])[0], OFFERED | {"o": optimizer})
    for _ in range(91):
        rates += schedule.get_last_lr()
        schedule.step()
    cosine = row[1].endswith("then a cosine")
    for t, rate in enumerate(rates[:10] if cosine else rates):
        assert rate == pytest.approx(eval(code(row[1])[0], MATHS | {"cos": math.cos, "pi": math.pi, "lr": lr, "t": t}))
    assert not cosine or (rates[10], rates[50], rates[90]) == pytest.approx((lr, lr / 2, 0.0))


def test_the_arguments_of_fit_are_those_of_the_sheet():
    *_, said = DEEP.section("Training").split("\n\n")
    arguments = inspect.signature(microlearn.deep.fit).parameters
    named = {*re.findall(r"(\w+)=", code(said)[0]), *(re.match(r"\w+", one)[0] for one in code(said)[1:])}
    assert named == arguments.keys() - {"model", "X", "y", "progress"}


def pairs_of_all(monkeypatch):
    column, row = drawn(5, 1), drawn(5)
    assert (column - row).shape == (5, 5)
    with pytest.raises(ValueError, match="reshape"):
        microlearn.deep.mse_loss(column, row)


def tensors_keep_their_gradients(monkeypatch):
    moved = {}
    for forget in (False, True):
        parameter = Tensor(3.0, requires_grad=True)
        optimizer, steps = microlearn.deep.SGD([parameter], lr=0.02), []
        for _ in range(5):
            if not forget:
                optimizer.zero_grad()
            (parameter * parameter).backward()
            before = parameter.item()
            optimizer.step()
            steps.append(abs(parameter.item() - before))
        moved[forget] = steps
    assert moved[False] == sorted(moved[False], reverse=True) and moved[True][:3] == sorted(moved[True][:3])


def asked_in_training(monkeypatch):
    model, x = microlearn.deep.Sequential(microlearn.deep.Linear(3, 20), microlearn.deep.Dropout()), np.ones((1, 3))
    assert model(x).tolist() != model(x).tolist()
    model.eval()
    assert model(x).tolist() == model(x).tolist()


def wild_first_weights(monkeypatch):
    flat = {}
    for name in ("normal_", "xavier_normal_"):
        layer = microlearn.deep.Linear(200, 50)
        OFFERED[name](layer.weight)
        y = layer(np.random.default_rng(0).normal(size=(30, 200))).tanh()
        flat[name] = (abs(y.data) > 0.99).mean()
    assert flat["normal_"] > 0.8 and flat["xavier_normal_"] < 0.1


def dead(monkeypatch):
    gradients = []
    for bend in (microlearn.deep.relu, microlearn.deep.leaky_relu):
        layer = microlearn.deep.Linear(2, 3)
        layer.bias.data[...] = -100.0
        bend(layer(drawn(50, 2).detach().astype("float32"))).sum().backward()
        gradients.append(abs(layer.weight.grad).max())
    assert gradients[0] == 0.0 < gradients[1]


def learned_by_heart(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 10)), rng.integers(0, 2, 60)  # nothing to learn but the points themselves
    microlearn.deep.manual_seed(0)
    model = microlearn.deep.Sequential(
        microlearn.deep.Linear(10, 64), microlearn.deep.ReLU(), microlearn.deep.Linear(64, 2)
    )
    optimizer = microlearn.deep.Adam(model.parameters(), lr=0.01)
    history = microlearn.deep.fit(model, X, y, optimizer=optimizer, epochs=60, validation=0.5)
    assert history.loss[-1] < 0.1 < 0.6 < min(history.validation_loss) < 0.7 * history.validation_loss[-1]


# Language models

LLM = Sheet("llm")
ARRAYS = {name: getattr(np, name) for name in ("exp", "log", "sqrt", "mean", "max", "sort", "where", "tri", "inf")}
SCALE = {row[0]: code(row[1]) for row in LLM.table("At scale")}
SMALL = {"block_size": 8, "vocab_size": 11, "n_layer": 3, "n_head": 2, "n_embd": 16}
LETTERS = {"T": 8, "V": 11, "L": 3, "H": 2, "C": 16}


def shares(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def gpt():
    microlearn.deep.manual_seed(0)
    return microlearn.llm.GPT(microlearn.llm.GPTConfig(**SMALL))


@pytest.mark.parametrize("row", LLM.table("Tokens"), ids=lambda row: row[0])
def test_a_tokenizer_has_so_many_tokens_and_knows_any_text_or_does_not(row):
    text, special = "low lower lowest, low lower lowest", ["<end>"]
    tokenizer = eval(code(row[0])[0], vars(microlearn.llm))
    tokenizer.train(text, *([262, special] if tokenizer.kind == "bpe" else []))
    names = {"text": text, "merges": getattr(tokenizer, "merges", []), "special": special}
    assert tokenizer.vocab_size == eval(code(row[1])[0], names)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    if row[2] == "yes":
        assert tokenizer.decode(tokenizer.encode("\N{SNOWMAN}")) == "\N{SNOWMAN}"
    else:
        with pytest.raises(ValueError):
            tokenizer.encode("\N{SNOWMAN}")
    for name in code(LLM.section("Tokens").split("\n\n")[-1]):
        assert hasattr(microlearn.llm.BPETokenizer, name.rpartition(".")[2])


def test_a_loss_is_what_the_sheet_says():
    formulas = {row[0]: code(row[1])[0] for row in LLM.table("Loss")}
    model, ids = gpt(), np.arange(9) % 11
    p = np.exp(microlearn.llm.logprobs(model, ids))
    loss = eval(formulas.pop("loss, in nats a token"), ARRAYS | {"p": p})
    assert loss == pytest.approx(model(ids[None, :-1], ids[None, 1:])[1].item(), rel=1e-5)
    assert eval(formulas.pop("perplexity"), ARRAYS | {"loss": loss}) == pytest.approx(1 / math.prod(p) ** (1 / len(p)))
    bits = eval(formulas.pop("bits a byte"), ARRAYS | {"loss": loss, "tokens": 8, "bytes": 16})
    assert bits == pytest.approx(-np.log2(p).sum() / 16)
    assert loss == pytest.approx(eval(formulas.pop("knowing nothing"), ARRAYS | {"V": 11}), abs=0.1)
    assert not formulas


@pytest.mark.parametrize("row", LLM.table("Counting: NGram"), ids=lambda row: row[0])
def test_an_n_gram_shares_out_as_it_says(row):
    smoothing, formula = (code(cell)[0] for cell in row)
    ids, settings = [0, 1, 0, 2, 0, 1, 1, 3, 0, 1], {"k": 0.3, "d": 0.4, "V": 5}
    model = microlearn.llm.NGram(5, 2, eval(smoothing), k=0.3, discount=0.4).fit(ids)
    pairs = list(itertools.pairwise(ids))

    def share(token, counted, q):
        counts = [counted.count(other) for other in range(5)]
        names = settings | {"c": counts[token], "n": len(counted), "t": sum(c > 0 for c in counts), "q": q, "max": max}
        return eval(formula, names)

    whole = [token for _, token in set(pairs)] if "kneser" in smoothing else ids
    for token in range(5):
        after_0 = [new for old, new in pairs if old == 0]
        expected = share(token, after_0, share(token, whole, 1 / 5))
        assert model.probabilities([0])[token] == pytest.approx(expected)


def test_every_smoothing_is_in_the_table():
    listed = [eval(code(row[0])[0]) for row in LLM.table("Counting: NGram")]
    assert sorted(listed) == sorted(microlearn.llm.ngram.SMOOTHINGS)


def test_the_steps_of_a_head_are_attention():
    rng = np.random.default_rng(0)
    names = ARRAYS | {name: rng.normal(size=(5, 4)) for name in "qkv"} | {"T": 5, "d": 4, "softmax": shares}
    for step, shape in LLM.table("Attention"):
        exec(code(step)[0], names)
        result = names[code(step)[0].split(" ")[0]]
        assert result.shape == eval(shape, {"T": 5, "d": 4})
    real = microlearn.llm.scaled_dot_product_attention(
        *(Tensor(names[name], dtype="float64") for name in "qkv"), is_causal=True
    )
    assert names["y"] == pytest.approx(np.asarray(real))
    width = code(LLM.section("Attention").split("\n\n")[-1])[-1]
    assert eval(width.partition(" = ")[2], LETTERS) * LETTERS["H"] == LETTERS["C"]


def test_the_lines_of_a_gpt_are_its_forward_pass():
    model, idx = gpt(), np.arange(8)[None] % 11
    first, *inside, last = (code(row[0])[0] for row in LLM.table("A GPT"))
    names = {"idx": idx, "arange": np.arange, "T": 8, "lm_head": model.lm_head} | vars(model.transformer)
    exec(first, names)
    for block in model.transformer.h:
        for line in inside:
            exec(line, names | vars(block), names)
    exec(last, names)
    assert np.asarray(names["logits"]) == pytest.approx(np.asarray(model(idx)[0]), abs=1e-5)


def test_the_parts_of_a_gpt_have_so_many_parameters():
    model, counts = gpt(), [eval(code(row[1])[0], LETTERS) for row in LLM.table("A GPT")]
    block = model.transformer.h[0]

    def size(*modules):
        return sum(parameter.size for module in modules for parameter in module.parameters())

    assert counts[0] == size(model.transformer.wte, model.transformer.wpe)
    assert counts[1:3] == [size(block.ln_1, block.attn), size(block.ln_2, block.mlp)]
    assert counts[3] == size(model.transformer.ln_f) and model.lm_head.weight is model.transformer.wte.weight
    assert counts[0] + 3 * sum(counts[1:3]) + counts[3] == size(model)


def test_the_numbers_under_a_gpt_are_right():
    plain, added, cached = (said for said in code(LLM.section("A GPT")) if "0.02" in said or said.startswith("2 * L *"))
    model = gpt()
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 and parameter.size > 500:
            wanted = eval(added if "c_proj" in name else plain, MATHS | LETTERS)
            assert parameter.data.std() == pytest.approx(wanted, rel=0.1)
    assert sum("c_proj.weight" in name for name, _ in model.named_parameters()) == 2 * LETTERS["L"]
    assert microlearn.llm.KVCache(model.config).kept.size == eval(cached, LETTERS)
    loss = model([[1, 2]], [[2, 3]])[1]
    optimizer = microlearn.deep.AdamW(model.parameters())
    loss.backward()
    optimizer.step()
    held = [p.data.nbytes + p.grad.nbytes for p in model.parameters()]
    memory = sum(kept.nbytes for name, kept in optimizer.state_dict().items() if "exp_avg" in name)
    bytes_each = eval(SCALE["bytes, a parameter"][0])
    assert sum(held) + memory == bytes_each * sum(p.size for p in model.parameters())


@pytest.mark.parametrize("rows", [[0], [1], [2], [3], [4], [0, 1, 2, 3, 4], [1, 3]], ids=str)
def test_the_settings_of_sampling_do_what_their_rows_say(rows):
    logits, values = np.random.default_rng(3).normal(0, 2, 12), {"r": 1.7, "t": 0.6, "k": 5, "q": 0.8, "m": 0.15}
    names, settings = ARRAYS | values | {"s": logits}, {}
    table = [[code(cell)[0] for cell in row] for row in LLM.table("Sampling")[:5]]
    for number in range(5):
        setting, step = table[number]
        if number == 3:
            names["p"] = shares(names["s"])
            order = np.argsort(-names["p"])
            before = np.zeros(12)
            before[order] = np.cumsum(names["p"][order]) - names["p"][order]
            names["before"] = before
        if number in rows:
            exec(step, names)
            name, letter = setting.split("=")
            settings[name] = values[letter]
    expected = names["p"] / names["p"].sum()
    found = microlearn.llm.next_token_probabilities(logits, range(12), **settings)
    assert found == pytest.approx(expected)


def test_the_sheet_has_every_setting_and_the_names_that_it_translates_to():
    generate = inspect.signature(microlearn.llm.generate).parameters
    settings = {code(row[0])[0].split("=")[0] for row in LLM.table("Sampling")[:5]}
    assert settings == inspect.signature(microlearn.llm.next_token_probabilities).parameters.keys() - {
        "logits",
        "previous",
    }
    for row in LLM.table("Sampling")[7:]:
        assert all(name in generate or name in microlearn.llm.__all__ for name in code(row[1])), row


def test_the_settings_of_train_are_its_defaults_and_targets_come_one_token_later():
    window, targets, _, *settings = code(LLM.section("From a text to a text").split("```")[0])[1:]
    defaults = inspect.signature(microlearn.llm.train).parameters
    for name, value in (setting.split("=") for setting in settings):
        assert defaults[name].default == eval(value), name
    ids = np.arange(50)
    for idx, later in zip(*microlearn.llm.get_batch(ids, 8, 4, np.random.default_rng(0)), strict=True):
        names = {"ids": ids, "i": idx[0], "T": 8}
        assert (idx.tolist(), later.tolist()) == (eval(window, names).tolist(), eval(targets, names).tolist())


def test_the_commands_of_the_sheet_run(tmp_path, capsys, monkeypatch):
    (tmp_path / "FILE").write_text("To be or not to be, that is the question.\n" * 9)
    monkeypatch.chdir(tmp_path)
    small = ["--max-iters", "1", "--n-layer", "1", "--n-head", "1", "--n-embd", "4", "--block-size", "8", "--quiet"]
    more = {"train": small, "generate": ["--max-new-tokens", "5"], "plan": []}
    (lines,) = re.findall(r"```console\n(.*?)\n```", LLM.section("From a text to a text"), re.DOTALL)
    *alone, together = map(shlex.split, lines.splitlines())
    assert [command for _, command, *_ in alone] == [*more]
    for program, command, *words in alone:
        assert program == "microlearn" and not cli.main([command, *words, *more[command]])
    assert (tmp_path / "DIR" / "model.npz").exists()
    places = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    if mpiexec := shutil.which(together[0], path=places):
        at = together.index("microlearn")
        words = [mpiexec, *together[1:at], sys.executable, "-m", *together[at:], *small]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0 and (tmp_path / "TWO" / "model.npz").exists(), done.stderr


def test_a_token_takes_so_much_arithmetic_and_a_parameter_so_many_bytes():
    sizes = {"n_layer": 3, "n_head": 8, "n_embd": 512, "block_size": 256, "vocab_size": 1000}
    plan = microlearn.llm.Plan(microlearn.llm.Architecture(**sizes), precision="mixed")
    count = sum(plan.architecture.parameters().values())
    names = {"N": count, "L": 3, "T": 256, "C": 512, "n": 8}
    rule, attention = (eval(said, names) for said in SCALE["arithmetic, a token"])
    exact = plan.architecture.training_flops()
    assert rule + attention == pytest.approx(exact, rel=0.02) and attention > 0.05 * exact
    plain = microlearn.llm.Plan(plan.architecture, precision="float32").memory()
    for memory, said in zip((plain, plan.memory(8)), SCALE["bytes, a parameter"], strict=True):
        kinds = [memory[kind] / count for kind in ("weights", "gradients", "optimizer")]
        assert [eval(part, names) for part in said.split(" + ")] == kinds


def test_a_ring_sends_and_a_pipeline_waits_so_much():
    (sent,), (idle,) = SCALE["all-reduce in a ring"], SCALE["idle pipeline"]
    for n in (2, 4, 7):
        ring = microlearn.llm.ring_all_reduce(np.ones((n, 28 * n)))
        assert max(ring.sent) / ring.arrays[0].nbytes == pytest.approx(eval(sent, {"n": n}))
        for m, schedule in itertools.product((1, 5, 8), ("gpipe", "1f1b")):
            assert microlearn.llm.pipeline(n, m, schedule).idle == pytest.approx(eval(idle, {"p": n, "m": m}))


def test_so_far_apart_checkpoints_cost_least():
    (apart,) = SCALE["checkpoints"]
    saving, between = 0.01, 5.0
    up = np.random.default_rng(0).exponential(between, 100_000)

    def lost(interval):
        return 1 - (up // (interval + saving)).sum() * interval / up.sum()

    told = eval(apart, MATHS | {"saving": saving, "MTBF": between})
    assert lost(told) < min(lost(told / 1.5), lost(told * 1.5)) and lost(told) < 0.08


def test_every_row_at_scale_is_held_against_the_engine():
    rows = "arithmetic, a token", "bytes, a parameter", "all-reduce in a ring", "idle pipeline", "checkpoints"
    assert SCALE.keys() == set(rows)


def fed(model, streams, steps=60):
    """Train on batches, and return the last loss."""
    optimizer = microlearn.deep.AdamW(model.parameters(), lr=1e-2)
    for idx, targets in itertools.islice(streams, steps):
        optimizer.zero_grad()
        loss = model(idx, targets)[1]
        loss.backward()
        optimizer.step()
    return loss.item()


def noise(shift):
    """Yield batches of tokens that nothing can foresee, and as targets those so many places later."""
    rng = np.random.default_rng(0)
    while True:
        ids = rng.integers(0, 11, (16, 8 + shift))
        yield ids[:, :8], ids[:, shift:]


def test_the_sheet_names_invariants_of_the_kit():
    named = {name for row in LLM.table("What goes wrong") for name in code(row[2])}
    assert named <= microlearn.llm.invariants.INVARIANTS.keys()


def finds(bug, invariant):
    return invariant in planted.checked(planted.MODELS[bug][0], only=invariant).broken


def without_a_mask(monkeypatch):
    assert finds("no mask", "future")
    microlearn.deep.manual_seed(0)
    assert fed(gpt(), noise(1)) > 0.9 * math.log(11) > 1.8 > fed(planted.MODELS["no mask"][0](), noise(1), steps=200)


def without_the_root(monkeypatch):
    assert finds("missing 1/sqrt(d)", "attention")
    q, k = np.random.default_rng(0).normal(size=(2, 50, 256))
    assert shares(q @ k.T).max(axis=1).mean() > 0.85 and shares(q @ k.T / 16).max(axis=1).mean() < 0.3


def targets_not_shifted(monkeypatch):
    ids = np.arange(32).reshape(4, 8) * 7 % 11
    assert not planted.checked(planted.sound, only="targets", batch=(ids, ids))
    model = gpt()
    assert fed(model, noise(0)) < 0.2
    assert microlearn.llm.generate(model, [3], 5, temperature=0) == [3] * 5


def parts_not_divided(monkeypatch):
    assert planted.checked(planted.sound, only="accumulation", accumulate=planted.undivided).broken == ["accumulation"]


def copied_for_tied(monkeypatch):
    assert finds("copied, not tied", "tied")
    sizes = [sum(p.size for p in make().parameters()) for make in (planted.copied, planted.sound)]
    assert sizes[0] - sizes[1] == planted.SIZES["vocab_size"] * planted.SIZES["n_embd"]


def a_stale_cache(monkeypatch):
    assert finds("stale cache", "cache")
    for bug, differs in (("stale cache", True), (None, False)):
        model = planted.MODELS[bug][0]() if bug else planted.sound()
        first, second = (np.asarray(model([[1, 2, 3]], cache=microlearn.llm.KVCache(model.config))[0]) for _ in "12")
        assert np.allclose(first, second) != differs


def the_same_in_both_parts(monkeypatch):
    names = np.random.default_rng(0).integers(0, 11, (200, 6))
    model = microlearn.llm.NGram(11, 4).fit(names[:100].ravel())
    known, unknown = (np.mean([model.loss(name) for name in some]) for some in (names[:100], names[100:]))
    assert known < 0.7 * unknown


# What all sheets have

PROOFS = {
    "autograd": {
        "`grad` is not reset": grad_is_not_reset,
        "a leaf changes after the forward pass": a_leaf_changes,
        "the graph is left, by `.data`": the_graph_is_left,
        "`=` for `+=` in a gradient rule": assigned_for_added,
        "a corner": a_corner,
    },
    "networks": {
        "no activation": no_activation,
        "no bias": no_bias,
        "equal weights": equal_first_weights,
        "no `zero_grad`": zero_grad_forgotten,
        "`lr` too large": lr_too_large,
        "`lr` too small": lr_too_small,
        "large inputs": large_inputs,
        "softmax twice": squashed_twice,
        "mixed labels": out_of_step,
    },
    "deep": {
        "(N, 1) - (N,)": pairs_of_all,
        "no `zero_grad`": tensors_keep_their_gradients,
        "no `eval()`": asked_in_training,
        "wild weights": wild_first_weights,
        "a dead relu": dead,
        "overfitted": learned_by_heart,
    },
    "llm": {
        "no mask": without_a_mask,
        "no `/ sqrt(d)`": without_the_root,
        "targets not shifted": targets_not_shifted,
        "parts not divided": parts_not_divided,
        "copied, not tied": copied_for_tied,
        "stale cache": a_stale_cache,
        "duplicates": the_same_in_both_parts,
    },
}
MISTAKES = {
    "autograd": AUTOGRAD.table("Mistakes that raise no error"),
    "networks": NETWORKS.table("What goes wrong"),
    "deep": DEEP.table("What goes wrong"),
    "llm": LLM.table("What goes wrong"),
}


@pytest.mark.parametrize(("phase", "mistake"), [(phase, row[0]) for phase in MISTAKES for row in MISTAKES[phase]])
def test_a_mistake_looks_as_it_is_described(phase, mistake, monkeypatch):
    PROOFS[phase][mistake](monkeypatch)


SIZES = {"A4": ("210mm", "297mm"), "Letter": ("8.5in", "11in"), "other fonts, 3 % larger": ("8.25in", "10.65in")}


@pytest.fixture(scope="module", params=PHASES)
def sheet(built_site, chromium, request):
    page = chromium.new_page()
    page.goto(f"{built_site[1]}reference/{request.param}-cheat-sheet/")
    page.emulate_media(media="print")
    yield page
    page.close()


@pytest.mark.parametrize("size", SIZES)
def test_the_cheat_sheet_is_printed_on_one_page(sheet, size):
    width, height = SIZES[size]
    printed = sheet.pdf(width=width, height=height)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1


def test_nothing_is_cut_off_on_paper(sheet):
    sheet.set_viewport_size({"width": 700, "height": 1000})  # A4 without its margins
    cut = """() => [...document.querySelectorAll(".sheet :is(table, pre, figure, p)")].filter(
        part => part.scrollWidth > part.clientWidth + 1 || part.getBoundingClientRect().right > innerWidth
    ).map(part => part.outerHTML.slice(0, 80))"""
    assert sheet.evaluate(cut) == []
