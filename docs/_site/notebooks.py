"""Notebooks: mkdocs-jupyter runs them, and they become pages like any other.

The template that mkdocs-jupyter fills hands on the executed notebook as JSON. Its Markdown goes through the site's
own converter, its code cells become the cards that a lesson's blocks are. A notebook runs once for the same text,
engine and libraries.
"""

import functools
import json
import os
import pathlib
import posixpath
import re

import jupytext
from mkdocs.structure.files import File
from mkdocs.structure.pages import Page
from mkdocs_jupyter.config import settings
from mkdocs_jupyter.plugin import NotebookFile
from nbclient.exceptions import CellExecutionError

from docs._site import extension, render, results
from docs._site.pages import Block, PageError
from docs._site.sessions import Result

SITE = pathlib.Path(__file__).parent


def on_files(files, config):
    """Put each notebook on the site as a file too, to download; and leave the author's own Jupyter out of the build."""
    settings.templates_dir = str(SITE / "templates")
    os.environ["JUPYTER_CONFIG_DIR"] = str(SITE / "jupyter")
    os.environ["IPYTHONDIR"] = str(SITE.parents[1] / ".cache" / "ipython")
    for file in [file for file in files if isinstance(file, NotebookFile)]:
        files.append(File.generated(config, _download(file.src_uri), content=_plain(file, files, config)))
    return files


def on_pre_page(page, config, files):
    if isinstance(page.file, NotebookFile):
        page.render = functools.partial(_render, page, page.render)
    return page


def _render(page, execute, config, files):
    """Fill a page with what its notebook came to, or, on a served site, with what went wrong."""
    notebook = Notebook(page.file, pathlib.Path(config.docs_dir).parent)
    try:
        cells = notebook.executed(lambda: execute(config, files) or json.loads(page.content)["cells"])
        page.markdown, cards = notebook.page(cells)
    except PageError as error:
        extension.report([error])
        page.markdown, cards = '<div id="fault"></div>', {'<div id="fault"></div>': render.fault(error)}
    Page.render(page, config, files)
    for place, card in cards.items():
        page.content = page.content.replace(place, card, 1)


class Notebook:
    """A notebook in the percent format: a Python file whose comments say where its cells begin.

    Parameters
    ----------
    file : mkdocs.structure.files.File
        Where it stands.
    root : pathlib.Path
        The folder that holds `docs/`; what it came to is kept in its `.cache/notebooks/`.
    """

    def __init__(self, file, root):
        self.uri, self.path = file.src_uri, f"docs/{file.src_uri}"
        self.text = pathlib.Path(file.abs_src_path).read_text(encoding="utf-8")
        self.stored = root / ".cache" / "notebooks" / (self.uri.replace("/", "--") + ".json")

    def executed(self, execute):
        """Return the cells with their outputs, as they were kept or by `execute`."""
        key = results.key_of(self.text)
        cells = results.recall(self.stored, key, list)
        if cells is None:
            try:
                cells = execute()
            except Exception as error:  # of a cell, or of the kernel
                raise self._fault(error) from error
            results.keep(self.stored, key, cells)
        return cells

    def page(self, cells):
        """Return the page's Markdown, and the card for each of its placeholders."""
        parts, cards = [], {}
        for cell in cells:
            if cell["cell_type"] == "code":
                place = f'<div id="block-{len(cards) + 1}"></div>'
                cards[place] = self._card(len(cards) + 1, cell)
                parts.append(place)
            else:
                parts.append(cell["source"])
        parts.insert(1, f"[Download this page as a notebook]({_download(pathlib.Path(self.uri).name)}){{ .download }}")
        return "\n\n".join(parts), cards

    def _card(self, number, cell):
        result = Result()
        for output in cell["outputs"]:
            data = output.get("data", {})
            if output.get("name") == "stdout":
                result.text += output["text"]
            elif "image/svg+xml" in data:
                result.shown.append(("svg", data["image/svg+xml"]))
            elif "text/html" in data:
                result.shown.append(("html", data["text/html"]))
            elif "text/plain" in data:
                result.text += data["text/plain"] + "\n"
            else:
                said = output.get("text") or "\n".join(output.get("traceback", ())) or f"no page can show {output}"
                raise PageError(self._place(cell["source"]), f"this cell says on the side: {_uncoloured(said)}")
        printed = Block("output", 0, 0, result.text.rstrip("\n") + "\n") if result.text else None
        flags = frozenset(cell["metadata"].get("tags", ()))
        return render.block(number, Block("python", 0, 0, cell["source"], flags, output=printed), result)

    def _fault(self, error):
        """Say which cell it was, and where it stands in the file."""
        if not isinstance(error, CellExecutionError):  # no cell: the kernel died, or was not heard of for too long
            return PageError(f"{self.path}:1", f"the notebook did not come to its end: {error}")
        message = _uncoloured(str(error))
        source = re.search(r"\n-+\n(.*?)\n-{18}\n", message, re.DOTALL)
        line = re.search(r"Cell In\[\d+\], line (\d+)", message)
        place = self._place(source[1] if source else "", int(line[1]) if line else 1)
        said = f"{error.ename}: {error.evalue}"
        if said not in message:  # of what went wrong when a figure was shown, the kernel gives neither
            said = message.rstrip().rpartition("\n")[2]
        return PageError(place, f"this cell raised {said}")

    def _place(self, source, line=1):
        found = re.search(f"^{re.escape(source.rstrip())}$", self.text, re.MULTILINE)  # not inside of a sentence
        return f"{self.path}:{self.text.count(chr(10), 0, found.start() if found else 0) + line}"


def _plain(file, files, config):
    """Write a notebook for Jupyter, without outputs; its links lead to this site."""

    def absolute(link):
        uri = posixpath.normpath(posixpath.join(posixpath.dirname(file.src_uri), link[1]))
        target = files.get_file_from_path(uri)
        return f"]({config.site_url}{target.url}{link[2]})" if target else link[0]

    notebook = jupytext.read(file.abs_src_path)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\((?!https?:)([^)#]+)(#[^)]*)?\)", absolute, cell.source)
    return jupytext.writes(notebook, fmt="ipynb")


def _download(name):
    return name.removesuffix(".py") + ".ipynb"


def _uncoloured(text):
    return re.sub(r"\x1b\[[\d;]*m", "", text)
