"""The rules of the house: the order of the phases, pages that mirror modules, prose that its blocks bear out."""

import ast
import difflib
import itertools
import pathlib
import re
import subprocess
import sys

import pytest
import yaml
from markdown.extensions.toc import slugify

from docs._site import pages, source

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENGINE, DOCS = ROOT / "microlearn", ROOT / "docs"
PHASES = ("autograd", "networks", "deep", "llm")  # from the bottom of the stairs to the top

PAGES = sorted(file for file in DOCS.rglob("*.md") if "_site" not in file.parts)
MODULES = sorted(file for phase in PHASES for file in (ENGINE / phase).glob("[a-z]*.py"))

TOP_LEVEL = {"LICENSE", "README.md", "docs", "microlearn", "mkdocs.yml", "pyproject.toml", "tests"}
MADE_HERE = {"site", "uv.lock"}


def name(file):
    return file.relative_to(ROOT).as_posix()


def read(file):
    return pages.read(file, name(file))


# The staircase


def imports(file):
    """Name the modules of the engine that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        found = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(file)}:{node.lineno}: import by the full name, from microlearn"
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (tuple(module.split(".")[1:]) for module in found if module.startswith("microlearn."))


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_a_phase_imports_only_from_the_ones_below(file):
    own = PHASES.index(file.parent.name)
    for imported in imports(file):
        if imported[0] in PHASES:
            assert PHASES.index(imported[0]) <= own, f"{name(file)} imports microlearn.{'.'.join(imported)}, a step up"


@pytest.mark.parametrize("phase", [phase for phase in PHASES if (ENGINE / phase).is_dir()])
def test_inside_a_phase_there_are_no_cycles(phase):
    files = {file.stem: file for file in (ENGINE / phase).glob("*.py") if file.stem != "__init__"}
    left = {
        stem: {i[1] for i in imports(file) if i[0] == phase and len(i) > 1 and i[1] in files}
        for stem, file in files.items()
    }
    while free := [stem for stem, needed in left.items() if not needed & left.keys()]:
        for stem in free:
            del left[stem]
    assert not left, f"these modules of {phase} import each other in a circle: {sorted(left)}"


@pytest.mark.parametrize("file", [file for file in MODULES if file.parent.name in ("autograd", "networks")], ids=name)
def test_there_is_no_numpy_below_the_stairs(file):
    assert not re.search(r"^\s*(import|from) (numpy|matplotlib)", file.read_text(), re.MULTILINE)
    assert not re.search(r"^(import|from) tqdm", file.read_text(), re.MULTILINE)  # a bar is there only while it is used


def test_the_top_level_holds_what_the_design_says():
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} - MADE_HERE
    assert found == TOP_LEVEL


# A page mirrors a module


def mirrored(file, folder):
    return file.relative_to(folder).with_suffix("").as_posix()


def test_every_module_has_its_page():
    without = {mirrored(file, ENGINE) for file in MODULES} - {mirrored(file, DOCS) for file in PAGES}
    assert not without


def test_every_page_of_a_phase_has_its_module():
    lessons = {mirrored(file, DOCS) for file in PAGES if file.parent.name in PHASES}
    assert lessons <= {mirrored(file, ENGINE) for file in MODULES}


def test_every_module_has_its_tests():
    for file in MODULES:
        assert (ROOT / "tests" / file.parent.name / f"test_{file.name}").exists(), f"{name(file)} has no test file"


def public_names(file):
    """Name what a module offers: its public functions and classes, and the public methods of these."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
            for member in getattr(node, "body", []) if isinstance(node, ast.ClassDef) else []:
                if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                    yield f"{node.name}.{member.name}"


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_every_public_name_is_shown_on_its_page(file):
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    page = read(DOCS / file.relative_to(ENGINE).with_suffix(".md"))
    shown = [line for block in page.blocks if block.kind == "source" for line in block.code.split()]
    for public in public_names(file):
        full = f"{module}.{public}"
        near = [one for one in shown if full == one or full.startswith(one + ".") or one.startswith(full + ".")]
        assert near, f"{page.path} does not show {full}: put the name into a source fence"


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_every_public_name_is_used_on_its_page(file):
    page = read(DOCS / file.relative_to(ENGINE).with_suffix(".md"))
    used = set()
    for block in page.blocks:
        if block.kind == "python" and block.runs:
            for node in ast.walk(ast.parse(block.code)):
                used |= {getattr(node, "id", None), getattr(node, "attr", None)}
    for public in public_names(file):
        name = public.split(".")[-1]
        assert name in used or name[0].isupper(), f"{page.path} never uses {public}"  # a class may come from a function


# What a page says


class _Settings(yaml.SafeLoader):
    """mkdocs.yml without its tags."""


_Settings.add_multi_constructor("", lambda loader, tag, node: None)


def navigation():
    """List the pages in the order in which a reader meets them."""

    def listed(item):
        if isinstance(item, str):
            return [item]
        return [page for part in (item.values() if isinstance(item, dict) else item) for page in listed(part)]

    return listed(yaml.load((ROOT / "mkdocs.yml").read_text(), _Settings)["nav"])


def test_every_page_is_in_the_navigation():
    listed = navigation()
    assert len(listed) == len(set(listed))
    assert {page for page in listed if page.endswith(".md")} == {file.relative_to(DOCS).as_posix() for file in PAGES}


@pytest.mark.parametrize("file", PAGES, ids=name)
def test_shown_source_exists(file):
    for block in read(file).blocks:
        if block.kind == "source":
            for dotted in block.code.split():
                assert source.find(dotted).code


NAMED = re.compile(r"[A-Z]\w*[ -]$")  # Python 3.12, GPT-2
NUMBER = re.compile(r"(?<![\w.#])\d+(?:,\d{3})*(?:\.\d+)?(?![\w%]*\d)")


def prose_numbers(text):
    """Yield the numbers that a page claims: decimals, and integers over 12, outside of headings, links and fences."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1[ ]*$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    for sentence in re.split(r"(?<=[.!?])\s|\n\s*\n|^[ ]*(?:[-*|]|\d+[.)]) ", text, flags=re.MULTILINE):
        if re.search(r"\]\(https?://|<https?://", sentence):
            continue  # a linked source answers for its numbers
        sentence = re.sub(r"\]\([^)]*\)|<[^>]*>", "", sentence)
        for match in NUMBER.finditer(sentence):
            before, after = sentence[: match.start()], sentence[match.end() :]
            value = float(match[0].replace(",", ""))
            year = re.fullmatch(r"(19|20)\d\d", match[0])
            minutes = re.match(r"[ -]?min", after)
            if not (NAMED.search(before) or year or minutes) and ("." in match[0] or value > 12):
                yield match[0], value


@pytest.mark.parametrize("file", [*PAGES, ROOT / "README.md"], ids=name)
def test_numbers_in_the_prose_stand_in_the_blocks(file):
    page = read(file)
    fences = "\n".join([*(block.code for block in page.blocks), *re.findall(r'\w="([^"]*)"', page.text)])
    known = {float(number.replace(",", "").replace("_", "")) for number in re.findall(r"\d[\d_,]*(?:\.\d+)?", fences)}
    known |= {float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?", fences)}
    missing = [number for number, value in prose_numbers(page.text) if value not in known]
    assert not missing, f"{page.path}: no block and no output holds {', '.join(missing)}"


COLUMNS = 48  # what a phone shows without scrolling, in the size that the stylesheet gives code there


@pytest.mark.parametrize("file", [file for file in PAGES if file.parent.name in (*PHASES, "questions")], ids=name)
def test_a_lesson_s_own_code_fits_a_phone(file):
    page = read(file)
    for block in page.blocks:
        if block.kind == "python" and block.role != "check":  # a check explains itself at length
            lines = list(enumerate(block.code.split("\n"), block.line + 1))
            for number, line in lines[block.role == "wrong" :]:  # a mistake's comment is shown as prose
                assert len(line) <= COLUMNS, f"{page.path}:{number}: {len(line)} columns, a phone shows {COLUMNS}"


def test_the_number_rule_can_fail():
    text = (
        "# About 99 things\n\nWe saw 1.5 and 13 and 7, in 2017, by [a paper](https://x.org) with 88.\n\nIt took 17 s."
    )
    assert [number for number, _ in prose_numbers(text)] == ["17"]
    assert [number for number, _ in prose_numbers("It is `4.0`, or 100,000, in 15 minutes of Python 3.11.")] == [
        "4.0",
        "100,000",
    ]


def test_the_table_of_words_is_the_parser_s():
    table = (
        (DOCS / "reference" / "how-these-pages-run.md").read_text().split("## What a fence can say")[1].split("###")[0]
    )
    words = {word for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for word in re.findall(r"`(\w+)", row)}
    assert words | {"name"} == {*pages.FLAGS, *pages.OPTIONS}


def test_the_front_page_promises_the_minutes_that_the_exercises_ask_for():
    front = (DOCS / "index.md").read_text()
    first = re.search(r'class="begin"><a href="([\w/-]+)/"', front)[1]
    asked = sum(int(exercise.starter.options["minutes"]) for exercise in read(DOCS / f"{first}.md").exercises)
    assert f"{asked} minutes of exercises" in front
    assert first + ".md" == navigation()[1], "the first lesson is the first page after the front page"


# A new term is bold, once in the book, and linked to its entry in the glossary

GLOSSARY = DOCS / "reference" / "glossary.md"
WITH_TERMS = [
    page
    for page in navigation()
    if page == "index.md" or re.match(r"(autograd|networks|deep|llm|questions)/.*\.md", page)
]
CODE = re.compile(r"^(`{3,}).*?^\1[ ]*$|<!--.*?-->|`[^`\n]*`", re.MULTILINE | re.DOTALL)
BOLD = re.compile(r"(?:(\[)|(?<!\*))\*\*(?!\s)([^*]+)\*\*(?:\]\(([^)]*)\))?")


def sections(file):
    """List the parts of a page between its headings: the heading's anchor, the line that it is on, and the text."""
    text = file.read_text()
    prose = CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), text)  # what is left keeps its place
    headings = list(re.finditer(r"^#+ (.*)$", prose, re.MULTILINE))
    return [
        (
            slugify(text[slice(*heading.span(1))], "-"),
            prose[: heading.start()].count("\n") + 1,
            prose[heading.end() : following.start() if following else None],
        )
        for heading, following in itertools.zip_longest(headings, headings[1:])
    ]


def bold_terms():
    """Yield every bold term of the book: its page, its line, the anchor of its section, the term, and its link."""
    for path in WITH_TERMS:
        for section, line, text in sections(DOCS / path):
            for found in BOLD.finditer(text):
                term = " ".join(found[2].split())
                if not term.endswith((".", "?", "!", ":")):  # such are lead-ins
                    link = (found[3] or "") if found[1] else ""
                    yield path, line + text[: found.start()].count("\n"), section, term, link


def entries():
    """Map the anchor of each entry in the glossary to its last line, which says where the term is first met."""
    _, *parts = sections(GLOSSARY)
    return {anchor: text.removesuffix("</div>\n").strip().split("\n")[-1] for anchor, _, text in parts}


def test_a_bold_term_is_a_link_to_the_glossary():
    known, faults = entries(), []
    for path, line, _, term, link in bold_terms():
        glossary = "../" * path.count("/") + "reference/glossary.md"
        own = slugify(term, "-")
        meant = next(iter(difflib.get_close_matches(link.partition("#")[2] or own, known, n=1)), own)
        if link != f"{glossary}#{meant}" or meant not in known:
            new = "" if meant in known else f", and add it to docs/reference/glossary.md as ## {term}"
            faults.append(f"docs/{path}:{line}: **{term}** is a term: write [**{term}**]({glossary}#{meant}){new}")
    assert not faults, "\n".join([*faults, "(Bold that is no term ends in a full stop or a colon.)"])


def test_a_term_is_bold_once_in_the_book():
    seen, faults = {}, []
    for path, line, _, term, link in bold_terms():
        place = f"docs/{path}:{line}"
        first = seen.setdefault(link.partition("#")[2] or slugify(term, "-"), place)
        if place != first:
            faults.append(f"{place}: {first} introduces **{term}** already: take the link and the ** off here")
    assert not faults, "\n".join(faults)


def test_the_glossary_says_where_a_term_is_first_met():
    introduced = {link.partition("#")[2]: (path, section) for path, _, section, _, link in bold_terms()}
    faults = []
    for anchor, line in entries().items():
        found = re.fullmatch(r"First in \[.+\]\(\.\./([\w/-]+\.md)#([\w-]+)\)\.", line)
        path, section = introduced.get(anchor) or (found.groups() if found else ("page.md", "section"))
        file = DOCS / path
        title = re.search(r"^# (.*)$", file.read_text(), re.MULTILINE)[1] if file.exists() else "Title"
        right = f"First in [{title}](../{path}#{section})."
        if line != right:
            faults.append(f"docs/reference/glossary.md: the entry {anchor!r} has to end in the line: {right}")
    assert not faults, "\n".join(faults)


def test_the_glossary_is_in_alphabetical_order():
    assert list(entries()) == sorted(entries())


# The journal keeps its promises

ITEMS = """
Understand what a `Value` object represents
Trace through a simple forward pass
See how gradients flow backward
Visualize the computational graph
Build a single neuron from scratch
Understand weights, biases, and activation functions
Train a simple network on toy data
See how loss functions guide learning
Multiple layers and hidden representations
Different activation functions and their purposes
Optimization algorithms (SGD, Adam, etc.)
Regularization and overfitting
From MLPs to attention mechanisms
Sequence modeling and embeddings
Transformer architecture basics
Training at scale concepts
""".strip().split("\n")


def test_the_journal_holds_every_item_word_for_word_and_links_what_is_ticked():
    found = re.findall(r"^- \[([ x])\] (.*)$", (DOCS / "journal.md").read_text(), re.MULTILINE)
    assert len(found) == len(ITEMS)
    for (ticked, text), item in zip(found, ITEMS, strict=True):
        assert text.startswith(item)
        link = re.fullmatch(r": \[.+\]\((.+\.md)\)", text.removeprefix(item))
        assert bool(link) == (ticked == "x"), f"{item!r}: what is ticked links to its lesson, what is open to nothing"
        assert not link or (DOCS / link[1]).exists()


def test_what_is_ticked_is_explained_and_proven():
    """The lesson behind a ticked item ends by naming it; its blocks and its module have tests, which this run runs."""
    ticked = re.findall(r"^- \[x\] .*\]\((.+)\.md\)$", (DOCS / "journal.md").read_text(), re.MULTILINE)
    proofs = []
    for lesson in ticked:
        phase, name = lesson.split("/")
        ending = (DOCS / f"{lesson}.md").read_text().partition("\n## What we know now\n")[2]
        assert "](../journal.md#" in ending, f"docs/{lesson}.md: its last section names no item of the journal"
        proofs += [f"docs/{lesson}.md", f"tests/{phase}/test_{name}.py"]
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *proofs]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:]
    for proof in proofs:
        assert len(re.findall(rf"^{re.escape(proof)}::", done.stdout, re.MULTILINE)) >= 5, (
            f"{proof} tests hardly anything"
        )
