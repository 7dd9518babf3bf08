"""The site's side: a Markdown extension that puts executed blocks in the place of our fences.

It stands before superfences, sees the whole page with its lines, and works alike in MkDocs and in
Zensical. Other fences (text, console, yaml, ...) are left to superfences.
"""

import contextlib
import logging
import pathlib
import re
import sys

from markdown import Extension
from markdown.preprocessors import Preprocessor
from mkdocs.exceptions import BuildError

from docs._site import pages, render, source, verify
from docs._site.results import Results

log = logging.getLogger("mkdocs.microlearn")

AFTER_WHITESPACE_BEFORE_SUPERFENCES = 29
DOCSTRINGS = re.compile(r"::: (microlearn[\w.]*)$")

_all_results = {}  # by project folder, for as long as the process lives


def results_of(root):
    return _all_results.setdefault(root, Results(root))


def serving():
    """Tell whether the command is `serve`, of either builder; options may stand before it."""
    return next((word for word in sys.argv[1:] if not word.startswith("-")), "") == "serve"


def stop():
    """End the pages that still run."""
    for results in _all_results.values():
        results.stop()
    _all_results.clear()


class Blocks(Preprocessor):
    """Replaces every fence of ours by its HTML."""

    def __init__(self, md, repository):
        super().__init__(md)
        self.repository = repository

    def run(self, lines):
        file = self._file()
        if file is None or file.suffix != ".md":  # text that is no page, or a notebook
            return lines
        root = next(parent.parent for parent in file.parents if parent.name == "docs")
        path = file.relative_to(root).as_posix()
        try:
            page = pages.read(file, path)
        except pages.PageError as error:
            report([error])
            return [self.md.htmlStash.store(render.fault(error)), "", *lines]
        _start_all(root, path)
        parts, faults = _parts(page, results_of(root).start(page).result(), self.repository)
        report(faults)
        cut_off = len(page.text.rstrip().split("\n")) - len("\n".join(lines).rstrip().split("\n"))  # front matter
        for first, last, html in reversed(parts):
            lines[first - cut_off - 1 : last - cut_off] = ["", self.md.htmlStash.store(html), ""]
        return lines

    def _file(self):
        """Find the page's file as MkDocs tells it, or as Zensical does."""
        if "mkdocstrings_headings" in self.md.treeprocessors:  # a docstring on a page; it bears the page's name
            return None
        if "relpath" in self.md.treeprocessors:
            return pathlib.Path(self.md.treeprocessors["relpath"].file.abs_src_path)
        for preprocessor in self.md.preprocessors:
            if hasattr(preprocessor, "page") and hasattr(preprocessor.page, "path"):
                return pathlib.Path("docs", preprocessor.page.path).resolve()
        return None


class BlocksExtension(Extension):
    """Register `Blocks`; `repository` is the address that shown source is linked to."""

    config = {"repository": ["", "where the source can be read, without a slash at the end"]}  # noqa: RUF012

    def extendMarkdown(self, md):
        blocks = Blocks(md, self.getConfig("repository"))
        md.preprocessors.register(blocks, "microlearn-blocks", AFTER_WHITESPACE_BEFORE_SUPERFENCES)


def makeExtension(**options):
    return BlocksExtension(**options)


def _parts(page, results, repository):
    """Render what replaces the page's lines: (first line, last line, HTML) in their order, and all faults."""
    results = {block.line: result for block, result in zip(page.to_run, results, strict=True)}
    parts, faults = [], []

    def add(first, last, html, fault=None):
        if fault:
            faults.append(fault)
            html = render.fault(fault) + html
        parts.append((first, last, html))

    number = 0
    for block in page.blocks:
        if block.kind == "source":
            try:
                add(block.line, block.end, render.sources(source.find_all(page, block), repository))
            except pages.PageError as error:
                add(block.line, block.end, "", error)
        elif block.kind == "python" and block.role == "exercise":
            exercise = page.exercise(block)
            html, fault = render.exercise(exercise, results), verify.exercise_fault(page, exercise, results)
            add(block.line, exercise.end, html, fault)
        elif block.kind == "python" and block.role is None:
            number += 1
            result = results.get(block.line)
            fault = verify.block_fault(page, block, result) if result else None
            add(block.line, (block.output or block).end, render.block(number, block, result), fault)
    for line, text in enumerate(page.text.split("\n"), 1):
        if asked := DOCSTRINGS.match(text):  # mkdocstrings would end the server over what it cannot find
            try:
                source.find(asked[1])
            except LookupError as error:
                add(line, line, "", pages.PageError(f"{page.path}:{line}", error.args[0]))
    return sorted(parts), faults


def report(faults):
    """Stop a build; a served page shows its faults and goes on."""
    if faults and not serving():
        stop()
        raise BuildError("\n".join(map(str, faults)))
    for fault in faults:
        log.error("%s", fault)


_rendered = set()  # the pages of this round of building


def _start_all(root, path):
    """At the first page of a round, let the pages behind it begin to run."""
    if _rendered and path not in _rendered:
        _rendered.add(path)
        return
    _rendered.clear()
    _rendered.add(path)
    results_of(root).forget_failures()
    for file in sorted((root / "docs").rglob("*.md")):
        if "_site" not in file.parts:
            with contextlib.suppress(pages.PageError):  # it is told when its turn comes
                results_of(root).start(pages.read(file, file.relative_to(root).as_posix()))
