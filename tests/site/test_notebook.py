"""Notebooks: run as pages, as scripts and as files to download; their faults stop a build and are shown when served."""

import html
import itertools
import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from docs._site import results
from docs._site.pages import PageError
from tests.site.project import build, project, run_pytest
from tests.site.test_house import COLUMNS, DOCS, ROOT, name, navigation, prose_numbers
from tests.site.test_serve_and_build import Server

NOTEBOOKS = sorted((DOCS / "experiments").glob("*.py"))


def sources(cells, kind):
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


@pytest.fixture(scope="module")
def downloaded(built_site, tmp_path_factory):
    """Return each notebook of the site, run from top to bottom by a reader's own Jupyter, without our settings."""
    run = {}
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # sums in another order round another way
    for file in NOTEBOOKS:
        folder = tmp_path_factory.mktemp("reader")
        stored = built_site[0] / "experiments" / f"{file.stem}.ipynb"
        command = ["nbconvert", "--to", "notebook", "--execute", "--output-dir", folder, "--output", "run", stored]
        subprocess.run(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=os.environ | one_thread,
            check=True,
            capture_output=True,
            timeout=280,
        )
        run[file] = json.loads((folder / "run.ipynb").read_text())["cells"]
    return run


def test_there_is_a_notebook_and_the_navigation_has_every_one():
    listed = [page for page in navigation() if page.endswith(".py")]
    assert listed and sorted(listed) == [file.relative_to(DOCS).as_posix() for file in NOTEBOOKS]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=name)
def test_a_notebook_runs_as_a_script(file):
    done = subprocess.run([sys.executable, "-W", "error", file], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("file", NOTEBOOKS, ids=name)
def test_the_downloaded_notebook_runs_and_is_the_page(file, downloaded, built_site):
    """What a reader's Jupyter prints is what the page says; links lead to the site; all cells are there."""
    page = (built_site[0] / "experiments" / file.stem / "index.html").read_text()
    article = page[page.index("<article") : page.index("</article>")]
    cells = downloaded[file]
    said = [[o["text"] for o in cell.get("outputs", []) if o["output_type"] == "stream"] for cell in cells]
    printed = ["".join(itertools.chain(*parts)) for parts in said if parts]  # what a slow cell says comes in parts
    shown = re.findall(r'<pre class="output"[^>]*>(.*?)</pre>', article, re.DOTALL)
    assert printed == [html.unescape(text) for text in shown]
    assert len(sources(cells, "code")) == article.count('<div class="block')
    links = re.findall(r"\]\(([^)]*)\)", "\n".join(sources(cells, "markdown")))
    assert links and all(link.startswith("http") for link in links)
    assert f'href="../{file.stem}.ipynb"' in article


@pytest.mark.parametrize("file", NOTEBOOKS, ids=name)
def test_a_notebook_s_page_is_made_like_a_lesson_s(file, built_site):
    page = (built_site[0] / "experiments" / file.stem / "index.html").read_text()
    article = page[page.index("<article") : page.index("</article>")]
    for part in ('<code class="language-python">', '<pre class="output"', '<figure class="result', "<svg "):
        assert part in article
    assert not re.search(r"<img|<style|<script|data:image|jp-|Figure size|\]\(|\.md\b", article)
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("file", NOTEBOOKS, ids=name)
def test_numbers_in_a_notebook_s_prose_stand_in_its_code_or_outputs(file, downloaded):
    cells = downloaded[file]
    said = "\n".join(sources(cells, "code"))
    for cell in cells:
        for output in cell.get("outputs", []):
            said += "\n" + "".join(output.get("text", ""))
            for kind, markup in output.get("data", {}).items():
                said += "\n" + re.sub(r"<[^>]*>", " ", "".join(markup)) if kind.startswith("text/") else ""
    known = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", said)}
    claimed = [n for text in sources(cells, "markdown") for n, value in prose_numbers(text) if value not in known]
    assert not claimed, f"{name(file)}: no cell holds {', '.join(claimed)}"


@pytest.mark.parametrize("file", NOTEBOOKS, ids=name)
def test_a_notebook_s_code_fits_a_phone(file, downloaded):
    lines = "\n".join(sources(downloaded[file], "code")).split("\n")
    assert [line for line in lines if len(line) > COLUMNS] == []


# What goes wrong

GOOD = "# %% [markdown]\n# # Title\n\n# %%\nprint(6 * 7)\n"


def notebook_project(folder, text=GOOD):
    """Write a project with one page and one notebook; return the project's folder and the notebook's file."""
    file = project(folder, index="# Page\n\n[to the notebook](experiments/x.py#title)\n") / "docs/experiments/x.py"
    file.parent.mkdir()
    file.write_text(text)
    return folder, file


@pytest.mark.parametrize(
    ("cell", "line", "says"),
    [
        ("x = 1\n\nx / 0", 9, "this cell raised ZeroDivisionError: division by zero"),
        ("x = = 1", 7, "this cell raised SyntaxError: invalid syntax"),
        ("1 / 0", 7, "this cell raised ZeroDivisionError: division by zero"),
        ("raise SystemExit", 7, "this cell raised SystemExit"),
        ("import warnings\nwarnings.warn('old')", 7, "this cell says on the side: "),
        ("import matplotlib.pyplot as plt\nplt.figure()", 7, 'fig.set_label("...")'),
        ("import os\nos._exit(3)", 1, "the notebook did not come to its end: "),
    ],
)
def test_a_fault_in_a_notebook_stops_the_build_and_says_where(tmp_path, cell, line, says):
    prose = GOOD.replace("Title", "Title: why 1 / 0 has no answer")  # what a cell holds may be said before it
    folder, _ = notebook_project(tmp_path, f"{prose}# %%\n{cell}\n")
    output, status = build(folder, "mkdocs", "build", "--strict")
    assert status == 1
    assert f"docs/experiments/x.py:{line}: " in output
    assert says in output
    assert "Traceback (most" not in output
    assert not (folder / "site").exists()


def test_a_served_notebook_shows_its_fault_and_is_mended(tmp_path):
    folder, file = notebook_project(tmp_path, GOOD.replace("7", "0 / 0"))
    server = Server(folder)
    try:
        server.wait_for("experiments/x/", 'class="page-error"', "x.py:5", "this cell raised ZeroDivisionError")
        file.write_text(GOOD)
        server.wait_for("experiments/x/", ">42\n</pre>", without=["page-error"])
    finally:
        server.stop()


# When it runs


def test_an_unchanged_notebook_is_not_run_again(tmp_path):
    folder, file = notebook_project(tmp_path)
    for text, runs in ((GOOD, 1), (GOOD, 0), (GOOD.replace("7", "8"), 1)):
        file.write_text(text)
        output, status = build(folder, "mkdocs", "build", "--strict")
        assert status == 0, output
        assert output.count("Converting notebook") == runs
    assert ">48\n</pre>" in (folder / "site/experiments/x/index.html").read_text()


def test_a_notebook_runs_again_after_an_edit_of_the_engine(tmp_path, monkeypatch):
    from docs._site.notebooks import Notebook

    engine, file = tmp_path / "microlearn", tmp_path / "x.py"
    engine.mkdir()
    (engine / "value.py").write_text("old = 1\n")
    file.write_text(GOOD)
    monkeypatch.setattr(results, "ENGINE", engine)
    runs = iter(range(9))

    def executed():
        stored = SimpleNamespace(src_uri="experiments/x.py", abs_src_path=file)
        return Notebook(stored, tmp_path).executed(lambda: [next(runs)])

    assert [executed(), executed()] == [[0], [0]]
    (engine / "value.py").write_text("new = 1\n")
    assert [executed(), executed()] == [[1], [1]]
    (tmp_path / ".cache/notebooks/experiments--x.py.json").write_text("{")
    assert executed() == [2]
    file.write_text(GOOD + "\n")
    runs = iter(())
    with pytest.raises(PageError):  # StopIteration; what failed is not kept
        executed()
    runs = iter([7])
    assert executed() == [7]


def test_the_author_s_own_jupyter_plays_no_part(tmp_path, monkeypatch):
    """Neither a kernel nor a setting nor a start-up file of the author's is used, and the kernel has no complaint."""
    folder, _ = notebook_project(tmp_path)
    home = tmp_path / "home"
    for place, text in {
        ".local/share/jupyter/kernels/python3/kernel.json": '{"argv": ["false"], "display_name": "x", "language": "x"}',
        ".jupyter/jupyter_nbconvert_config.py": "raise SystemExit('the author')",
        ".ipython/profile_default/startup/0.py": "print = None",
    }.items():
        (home / place).parent.mkdir(parents=True)
        (home / place).write_text(text)
    monkeypatch.setenv("HOME", str(home))
    before = sorted(home.rglob("*"))
    output, status = build(folder, "mkdocs", "build", "--strict")
    assert status == 0, output
    assert ">42\n</pre>" in (folder / "site/experiments/x/index.html").read_text()
    assert not re.search("WARNING|TCP|the author", output)
    assert [file for file in sorted(home.rglob("*")) if file not in before] == []


def test_pytest_does_not_import_a_notebook(tmp_path):
    folder, _ = notebook_project(tmp_path, "raise SystemExit('imported')\n")
    output, _ = run_pytest(folder, "--doctest-plus", "docs")
    assert "imported" not in output
    assert "1 passed" in output
