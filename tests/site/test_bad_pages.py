"""What an author is told about a bad page, by the site and by pytest: page, line, and what to do (`bad_pages.txt`)."""

import pathlib
import re
from dataclasses import dataclass

import pytest

from docs._site import pages
from docs._site import results as results_module
from docs._site.results import Results
from tests.site.project import project, read, run_pytest, site_faults


@dataclass
class Bad:
    name: str
    text: str
    line: int
    says: list
    only: str = ""


def _read_table():
    table = pathlib.Path(__file__).with_name("bad_pages.txt").read_text(encoding="utf-8")
    for entry in table.split("\n==== ")[1:]:
        head, _, text = entry.partition("\n\n")
        name, *lines = head.split("\n")
        settings = dict(line.split(": ", 1) for line in lines)
        text = "\n" + text.rstrip("\n").replace("<TAB>", "\t") + "\n"  # a page's first line is the empty one
        line = 1 + text[: text.index("◀")].count("\n")
        yield Bad(name, text.replace("  ◀", ""), line, settings["says"].split(" | "), settings.get("only", ""))


BAD = {bad.name: bad for bad in _read_table()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return project(tmp_path_factory.mktemp("bad"), **{bad.name: bad.text for bad in BAD.values()})


@pytest.fixture(scope="module")
def by_the_site(folder):
    """What the site says of each page; all of them are begun at once."""
    said, running = {}, Results(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results_module, "GRACE", 0.5)
        parsed = {}
        for name in BAD:
            try:
                parsed[name] = read(folder, name)
                running.start(parsed[name])
            except pages.PageError as error:
                said[name] = str(error)
        said |= {name: "\n".join(site_faults(running, page)) for name, page in parsed.items()}
    return said


@pytest.fixture(scope="module")
def by_pytest(folder):
    output, _ = run_pytest(folder, *(f"docs/{bad.name}.md" for bad in BAD.values() if not bad.only))
    return output


def assert_told(bad, output):
    start = output.find(f"docs/{bad.name}.md:{bad.line}: ")
    assert start >= 0, f"not told: docs/{bad.name}.md:{bad.line}\n{output[:5000]}"
    for words in bad.says:
        found = output.find(words, start)
        assert found >= 0, f"{words!r} is not said:\n{output[start : start + 1500]}"
        start = found + len(words)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_the_site_names_the_line_and_says_what_to_do(bad, by_the_site):
    assert_told(bad, by_the_site[bad.name])


@pytest.mark.parametrize("bad", [bad for bad in BAD.values() if not bad.only], ids=lambda bad: bad.name)
def test_pytest_names_the_line_and_says_what_to_do(bad, by_pytest):
    report = re.search(rf"(?ms)^docs/{bad.name}\.md:{bad.line}: .*?(?=^_____|^docs/|^=====)", by_pytest)
    assert report, f"not told: docs/{bad.name}.md:{bad.line}\n{by_pytest[-3000:]}"
    assert_told(bad, report[0])
