"""The reference: every public name has its place on the API page, and nothing on the cheat sheet is only claimed."""

import itertools
import math
import pathlib
import re

import pytest

import microlearn.autograd
from docs._site.results import Results
from microlearn import Value
from microlearn.autograd import derivative, gradcheck, gradient, slope
from tests.site.project import build, project, read, site_faults

ROOT = pathlib.Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
MODULES = sorted(file.stem for file in (ROOT / "microlearn" / "autograd").glob("[a-z]*.py"))


# The API


@pytest.fixture(scope="module")
def api(built_site):
    page = (built_site[0] / "reference/autograd/index.html").read_text(encoding="utf-8")
    return page[page.index("<article") : page.index("</article")]


@pytest.mark.parametrize("name", microlearn.autograd.__all__)
def test_every_public_name_has_its_place(api, name):
    thing = getattr(microlearn.autograd, name)
    assert f'id="{thing.__module__}.{thing.__qualname__}"' in api, f"{name} is not on the page: has it a docstring?"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_rendered_and_linked_to_its_lesson(module):
    parts = re.split(r"^## ", (REFERENCE / "autograd.md").read_text(), flags=re.MULTILINE)
    assert [p for p in parts if p.startswith(f"{module}\n") and f"\n::: microlearn.autograd.{module}\n" in p]
    lesson = f"(../autograd/{module}.md)"
    part = next(p for p in parts if p.startswith(f"{module}\n"))
    if (ROOT / "docs" / "autograd" / f"{module}.md").exists():
        assert lesson in part, f"docs/reference/autograd.md: link the lesson of {module}: [its title]{lesson}"


def test_every_source_link_leads_to_the_line(api):
    linked = re.findall(r'<h[34] id="microlearn[\w.]*?(\w+)".*?/blob/main/([\w/]+\.py)#L(\d+)-L\d+"', api, re.DOTALL)
    assert len(linked) == api.count('class="doc-source"') > 20
    for name, file, line in linked:
        assert re.match(rf"\s*(def|class) {name}\b", (ROOT / file).read_text().split("\n")[int(line) - 1])


def test_the_examples_are_shown_as_typed(api):
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


# The cheat sheet

SHEET = (REFERENCE / "autograd-cheat-sheet.md").read_text()
NUMBERS = (-2.0, -0.5, 0.0, 0.7, 3.0)
PLAIN = {name: getattr(math, name) for name in ("exp", "log", "tanh")} | {"abs": abs, "max": max, "min": min}


def table(section):
    """List the rows of a section's table, each as a list of cells."""
    text = SHEET.split(f"## {section}\n")[1].split("\n## ")[0]
    _, _, *rows = [line for line in text.split("\n") if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def code(cell):
    return re.findall(r"`([^`]+)`", cell)


OPERATIONS = {code(row[0])[0]: row for row in table("Operations")}


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
    known = {*signs, *(f"r{name}" for name in signs), "abs", "lt", "le", "gt", "ge", "init", "repr", "doc", "module"}
    assert special <= known | {"slots", "firstlineno", "static_attributes"}, "a new operator belongs on the cheat sheet"


@pytest.mark.parametrize("operation", [row for row in OPERATIONS if re.search(r"\bb\b", row)])
def test_one_side_may_be_a_plain_number(operation):
    both = eval(operation, {"a": Value(2.0), "b": Value(3.0)}).data
    assert eval(operation, {"a": Value(2.0), "b": 3.0}).data == both
    if "." not in operation:
        assert eval(operation, {"a": 2.0, "b": Value(3.0)}).data == both


def test_the_paths_of_the_chain_rule_are_those_of_the_graph():
    left, right = re.search(r"paths: (.+) = (.+)\.", SHEET).groups()
    a, b = Value(3.0), Value(-2.0)
    y = a * b + a
    y.backward()
    assert eval(left.replace("\N{MULTIPLICATION SIGN}", "*")) == float(right) == a.grad
    assert "\n```output\n-3.0 -1.0 3.0\n```" in SHEET, "the block that it speaks of"


@pytest.mark.parametrize("row", table("Nudging")[:2], ids=lambda row: row[0])
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
    call = code(table("Nudging")[2][0])[0]
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


PROOFS = {
    "`grad` is not reset": grad_is_not_reset,
    "a leaf changes after the forward pass": a_leaf_changes,
    "the graph is left, by `.data`": the_graph_is_left,
    "`=` for `+=` in a gradient rule": assigned_for_added,
    "a corner": a_corner,
}


@pytest.mark.parametrize("mistake", [row[0] for row in table("Mistakes that raise no error")])
def test_a_mistake_looks_as_it_is_described(mistake, monkeypatch):
    PROOFS[mistake](monkeypatch)


SIZES = {"A4": ("210mm", "297mm"), "Letter": ("8.5in", "11in"), "other fonts, 3 % larger": ("8.25in", "10.65in")}


@pytest.fixture(scope="module")
def sheet(built_site, chromium):
    page = chromium.new_page()
    page.goto(built_site[1] + "reference/autograd-cheat-sheet/")
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
