"""pytest's side: the blocks that pytest-markdown-docs collects are run and compared by our runner.

A page has one test more, for what no block would tell: fences that are not collected, names that are not found.
`pytest --update-output` rewrites recorded outputs that are missing or no longer true.
"""

import contextlib
import importlib
import os
import pathlib

import pytest
from pytest_markdown_docs._runners import _Runner, get_runner, register_runner

from docs._site import pages, sessions, source, verify


@register_runner(default=True)
class PageRunner(_Runner):
    """Runs one block of a page, after those of its session that come before it."""

    def __init__(self):
        self.pages = {}  # path -> Sessions
        self.update = self.debugged = False

    def runtest(self, test, args, *, asyncio_runner=None):
        try:
            fault = self._fault(pathlib.Path(test.source_path), test.start_line)
        except TypeError as error:  # pytest-markdown-docs would take it for another signature and run the block again
            raise RuntimeError("the page runner itself failed") from error
        if fault:
            raise fault

    def repr_failure(self, test, excinfo, style=None):
        if isinstance(excinfo.value, pages.PageError):
            return str(excinfo.value)
        return excinfo.getrepr(style="long")

    def _fault(self, file, line):
        running = self.sessions(file)
        page = running.page
        block = next((block for block in page.blocks if block.line == line), None)
        if block is None:
            return pages.PageError(f"{page.path}:{line}", "our parser finds no block here, pytest-markdown-docs does")
        if block.role == "check":
            exercise = page.exercise(block)
            return verify.exercise_fault(page, exercise, {a.line: running.result(a) for a in exercise.attempts})
        if block.role:
            return verify.attempt_fault(page, page.exercise(block), block, running.result(block))
        fault = verify.block_fault(page, block, running.result(block))
        return None if self.update and not running.result(block).error else fault

    def sessions(self, file):
        if file not in self.pages:
            root = next((parent for parent in file.parents if (parent / "pyproject.toml").exists()), file.parent)
            page = pages.read(file, file.relative_to(root).as_posix())
            self.pages[file] = sessions.Sessions(page, str(file), limited=not self.debugged)
        return self.pages[file]

    def write_outputs(self):
        """Bring the recorded outputs of every page that ran up to date; return the pages that changed."""
        changed = []
        for file, running in self.pages.items():
            updated = verify.updated(running.page, running.results)
            if updated != running.page.text and file.read_text(encoding="utf-8") == running.page.text:
                fresh = file.with_suffix(".updated")
                fresh.write_text(updated, encoding="utf-8")
                fresh.replace(file)
                changed.append(running.page.path)
        return changed


class PageFile(pytest.File):
    """A page as a whole."""

    def collect(self):
        yield Reading.from_parent(self, name="[page]")


class Reading(pytest.Item):
    """The page is understood, and the source that it shows exists."""

    def runtest(self):
        page = _runner().sessions(self.path).page
        for block in page.blocks:
            if block.kind == "source":
                source.find_all(page, block)

    def repr_failure(self, excinfo, style=None):
        return _runner().repr_failure(self, excinfo, style)

    def reportinfo(self):
        return self.path, 0, self.name


@pytest.hookimpl(tryfirst=True)
def pytest_collection():
    """Import the engine as Python does: pytest would set `backward`, the module, over the function of that name."""
    with contextlib.suppress(Exception):  # an engine that does not load is a fault of each page that needs it
        importlib.import_module("microlearn")


def pytest_ignore_collect(collection_path):
    """Leave notebooks alone: who looks for examples in docstrings would import them, and so run them."""
    return collection_path.match("docs/experiments/*.py") or None


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".md" and parent.config.option.markdowndocs:
        return PageFile.from_parent(parent, path=file_path)
    return None


def pytest_addoption(parser):
    parser.getgroup("collect").addoption(
        "--update-output", action="store_true", help="rewrite the recorded outputs of pages that are not true any more"
    )


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config):
    """Spread a run of everything over the processors, a file to each; what is named on the command line runs here."""
    everything = config.args_source is config.ArgsSource.TESTPATHS and not config.option.collectonly
    inside = "PYTEST_XDIST_WORKER" in os.environ  # one of the processes over which it is spread
    asked = config.getoption("numprocesses", 0) is not None  # by -n, or there is no xdist
    if everything and not inside and not asked and not config.option.trace and not config.option.update_output:
        config.option.numprocesses, config.option.maxprocesses, config.option.dist = "auto", 4, "loadfile"
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processors are taken: numpy gets one for each process
    return (yield)


def pytest_configure(config):
    os.environ.setdefault("MICROLEARN_QUICK", "1")
    _runner().pages.clear()  # pytest may be called twice in a process
    _runner().update = config.getoption("--update-output")
    _runner().debugged = config.getoption("--pdb") or config.getoption("--trace")
    if config.getoption("--update-output"):
        if config.getoption("numprocesses", None):
            raise pytest.UsageError("--update-output writes pages: run it in one process, without -n")
        os.environ.pop("MICROLEARN_QUICK")


def pytest_terminal_summary(terminalreporter, config):
    if config.getoption("--update-output"):
        changed = _runner().write_outputs()
        terminalreporter.write_line(
            "recorded outputs rewritten: " + ", ".join(changed) if changed else "recorded outputs: all are up to date"
        )


def _runner():
    return get_runner(None)
