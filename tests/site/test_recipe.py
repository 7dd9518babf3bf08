"""The recipe for a new lesson, followed to the letter with a made-up one in a copy of the repository."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from docs._site import pages, results

ROOT = pathlib.Path(__file__).resolve().parents[2]

MODULE = '''"""Which side of zero a number is on. Its lesson is `docs/autograd/sign.md`."""


def sign(value):
    """Return 1, 0 or -1.

    Examples
    --------
    >>> from microlearn import Value
    >>> sign(Value(-3.0))
    -1
    """
    return (value > 0) - (value < 0)
'''

TESTS = """from microlearn import Value
from microlearn.autograd.sign import sign


def test_zero_has_no_sign():
    assert sign(Value(0.0)) == 0
"""

PAGE = """# Which side of zero

```python
from microlearn import Value
from microlearn.autograd.sign import sign

numbers = (-3.5, 0.0, 17.0)
print([sign(Value(x)) for x in numbers])
```

It is below zero for -3.5, and above for 17.

```source
microlearn.autograd.sign.sign
```
"""


@pytest.fixture(scope="module")
def copy(built_site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe") / "copy"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "site", "uv.lock", "__pycache__"))
    shutil.copytree(ROOT / "tests" / "site", folder / "tests" / "site")
    return folder


def run(folder, *command):
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def take_over_what_the_site_s_pages_came_to(copy, monkeypatch):
    """None of them uses the new module, so only the new page has to run."""
    monkeypatch.setattr(results, "ENGINE", copy / "microlearn")
    monkeypatch.setattr(results, "SITE", copy / "docs" / "_site")
    for stored in (ROOT / ".cache").glob("*/*.json"):
        file = copy / "docs" / stored.stem.removeprefix("docs--").replace("--", "/")
        if file.exists():
            notebook = file.suffix == ".py"
            key = results.key_of(file.read_text()) if notebook else results.key_of_page(pages.read(file, file.name))
            results.keep(copy / stored.relative_to(ROOT), key, json.loads(stored.read_text())["results"])


def test_the_recipe_leads_to_a_lesson_that_passes(copy, monkeypatch):
    recipe = (copy / "docs/reference/how-these-pages-run.md").read_text().split("## A new lesson")[1]
    module, tests, page, *_ = re.findall(r"`((?:microlearn|tests|docs)/[^`]+)`", recipe)
    line = re.search(r"`(- autograd/sign\.md)`", recipe)[1]
    commands = re.findall(r"`uv run ([^`]+)`", recipe)

    # 1 to 3, with the page's mirror forgotten at first: a test says so
    (copy / module).write_text(MODULE)
    (copy / tests).write_text(TESTS)
    status, said = run(copy, "pytest", "-q", "tests/site/test_house.py")
    assert status == 1 and "test_every_module_has_its_page" in said
    (copy / page).write_text(PAGE)

    # 4
    settings = (copy / "mkdocs.yml").read_text()
    (copy / "mkdocs.yml").write_text(settings.replace("- autograd/value.md\n", f"- autograd/value.md\n      {line}\n"))

    # 5: outputs are written
    status, said = run(copy, *commands[0].split())
    assert status == 0, said
    assert "```output\n[-1, 0, 1]\n```" in (copy / page).read_text()

    # 6: the page stands in the site
    take_over_what_the_site_s_pages_came_to(copy, monkeypatch)
    assert commands[1] == "mkdocs serve"
    status, said = run(copy, "mkdocs", "build", "--strict")
    assert status == 0, said
    assert 'class="output"' in (copy / "site/autograd/sign/index.html").read_text()

    # 7: all that concerns the new lesson passes, and the rules of the house with it
    assert commands[2] == "pytest"
    status, said = run(copy, "pytest", "-q", "tests/site/test_house.py", module, tests, page)
    assert status == 0, said
