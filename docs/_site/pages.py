"""A page as blocks: what its fences say, in which order, and on which lines.

The page is text; nothing is run here. `parse` finds every fence that means something to us, checks
its words, and ties outputs to blocks and exercises to their checks. What it does not understand is an
error with page and line, never a guess.
"""

import difflib
import functools
import re
from dataclasses import dataclass, field

from docs._site import fences
from docs._site.fences import PageError

ROLES = ("exercise", "check", "solution", "wrong")
FLAGS = ("continuation", *ROLES, "notest", "static", "measured")
OPTIONS = ("name", "minutes", "level", "raises", "limit", "tol")
PARTS = {  # the options that mean something: on a plain block, and on each part of an exercise
    None: ("raises", "limit", "tol"),
    "exercise": ("name", "level", "minutes", "limit"),
    "check": ("name",),
    "solution": ("name", "limit"),
    "wrong": ("name", "limit"),
}

_WORD = re.compile(r'(?P<key>[\w-]+)="(?P<value>[^"]+)"(?!\S)|(?P<flag>\S+)')


@dataclass
class Block:
    """One fence of a page."""

    kind: str  # python, output, source or hint
    line: int  # of the opening fence, counted from 1 as editors do
    end: int  # of the closing fence
    code: str
    flags: frozenset = frozenset()
    options: dict = field(default_factory=dict)
    output: "Block | None" = None  # what a python block recorded
    session: int | None = None  # blocks with the same number share their names

    @property
    def role(self):
        return next((role for role in ROLES if role in self.flags), None)

    @property
    def runs(self):
        return self.kind == "python" and "notest" not in self.flags

    @property
    def limit(self):
        return float(
            self.options.get("limit", 30 if "static" in self.flags else 10)
        )  # the first figure loads matplotlib


@dataclass
class Exercise:
    """A starter and what belongs to it, in the order of the page."""

    name: str
    starter: Block
    hints: list = field(default_factory=list)
    check: Block | None = None
    solution: Block | None = None
    wrongs: list = field(default_factory=list)

    @property
    def end(self):
        return (self.wrongs or [self.solution])[-1].end

    @property
    def attempts(self):
        return [self.starter, self.solution, *self.wrongs]


@dataclass
class Page:
    """The blocks and exercises of one page."""

    path: str
    text: str
    blocks: list = field(default_factory=list)
    exercises: list = field(default_factory=list)

    @property
    def to_run(self):
        """The blocks that have a result: those that run, and the attempts of exercises (a check runs with each)."""
        return [block for block in self.blocks if block.runs and block.role != "check"]

    def exercise(self, part):
        """Return the exercise that a check or an attempt belongs to."""
        return next(exercise for exercise in self.exercises if exercise.name == part.options["name"])

    def error(self, block, message):
        return PageError(f"{self.path}:{block.line}", message)


def read(file, path):
    """Parse the page in a file; `path` is how errors name it."""
    return parse(file.read_text(encoding="utf-8"), path)


@functools.lru_cache(512)  # a served site reads every page at every save
def parse(text, path):
    """Find the blocks of a page and tie together what belongs together.

    Parameters
    ----------
    text : str
        The whole file.
    path : str
        How errors name the page.

    Raises
    ------
    PageError
        At the first thing that cannot be understood.
    """
    if text.startswith("\ufeff"):
        raise PageError(f"{path}:1", "the file begins with a byte order mark: save it as UTF-8 without one")
    page = Page(path, text)
    page.blocks = [_understand(page, *fence) for fence in fences.find(text, path)]
    lines = text.split("\n")
    _tie_outputs(page, lines)
    _tie_exercises(page, lines)
    _number_sessions(page)
    return page


def _understand(page, info, line, end, code):
    kind, *rest = info.split(maxsplit=1)
    place = f"{page.path}:{line}"
    flags, options = set(), {}
    for word in _WORD.finditer("".join(rest)):
        if word["flag"] in FLAGS and kind == "python":
            flags.add(word["flag"])
        elif word["key"] in OPTIONS and kind == "python":
            options[word["key"]] = word["value"]
        else:
            raise PageError(place, _unknown(kind, word))
    block = Block(kind, line, end, code, frozenset(flags), options)
    _check_words(place, block)
    return block


def _unknown(kind, word):
    text = word[0]
    if kind != "python":
        return f"unknown word {text!r} after {kind}: this kind of fence takes no words"
    if word["flag"] and (key := re.split("[=:]", text)[0]) in OPTIONS:
        return f'{text!r}: write it as {key}="..." with straight double quotes and no spaces around ='
    known = [*FLAGS, *(f'{key}="..."' for key in OPTIONS)]
    near = difflib.get_close_matches(word["key"] or text, [*FLAGS, *OPTIONS], n=1)
    hint = f"did you mean {near[0]!r}?" if near else "known are " + " ".join(known)
    return f"unknown word {text!r} after python: {hint}"


def _check_words(place, block):
    if block.kind != "python" and not block.code.strip():
        raise PageError(place, f"this {block.kind} fence is empty: fill it or take it away")
    roles = [role for role in ROLES if role in block.flags]
    if len(roles) > 1:
        raise PageError(place, f"a block cannot be both {roles[0]} and {roles[1]}: keep one")
    if roles and block.flags & {"continuation", "notest", "measured"}:
        raise PageError(place, f"the {roles[0]} of an exercise stands alone: take away what follows it but its options")
    if roles and not block.options.get("name"):
        raise PageError(place, f'this {roles[0]} belongs to no exercise: add name="..."')
    for key in ("level", "minutes") if block.role == "exercise" else ():
        if not block.options.get(key):
            raise PageError(place, f'an exercise says how hard it is and how long it takes: add {key}="..."')
    for key in block.options.keys() - PARTS[block.role]:
        where = f"the {block.role} of an exercise" if block.role else "a block that belongs to no exercise"
        raise PageError(place, f'{key}="..." means nothing on {where}: take it away')
    if not re.fullmatch(r"[\w-]+", block.options.get("name", "x")):
        raise PageError(place, f'name="{block.options["name"]}" becomes an address: use letters, digits and hyphens')
    for key in ("minutes", "limit", "tol"):
        if key in block.options and not _is_positive(block.options[key]):
            raise PageError(place, f'{key}="{block.options[key]}" is no positive number: write for instance {key}="5"')
    if {"notest", "continuation"} <= block.flags:
        raise PageError(place, "a notest block never runs, so it continues nothing: take one of the two words away")


def _is_positive(text):
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def _tie_outputs(page, lines):
    before = None
    for block in page.blocks:
        if block.kind == "output":
            if before is None or before.kind != "python" or before.role or _text_between(lines, before, block):
                raise page.error(block, "this output has no block before it: put it right under the one that prints it")
            if not before.runs:
                raise page.error(block, "the block above is notest, so nothing proves this output: take one away")
            before.output = block
        before = block


def _tie_exercises(page, lines):
    order = ("exercise", "hint", "check", "solution", "wrong")
    current, last, last_part = None, None, ""
    for block in page.blocks:
        part = "hint" if block.kind == "hint" else block.role
        if part is None:
            _require_complete(page, current)
            current = None
            continue
        if part == "exercise":
            _require_complete(page, current)
            name = block.options["name"]
            if any(name == exercise.name for exercise in page.exercises):
                raise page.error(block, f"a second exercise named {name!r} on this page: give it another name")
            current = Exercise(name, block)
            page.exercises.append(current)
        elif current is None:
            raise page.error(block, f"this {part} has no exercise before it: it stands right under its exercise")
        elif part != "hint" and block.options["name"] != current.name:
            raise page.error(block, f"this {part} is named {block.options['name']!r}, its exercise {current.name!r}")
        elif _text_between(lines, last, block):
            raise page.error(block, f"text between this {part} and the part before it: put the text above the exercise")
        elif order.index(part) < order.index(last_part):
            raise page.error(block, f"this {part} comes too late: the order is " + ", ".join(order))
        elif part in ("hint", "wrong"):
            (current.hints if part == "hint" else current.wrongs).append(block)
        elif getattr(current, part):
            raise page.error(block, f"a second {part} for the exercise {current.name!r}: keep one")
        else:
            setattr(current, part, block)
        if part == "wrong" and not block.code.startswith("#"):
            raise page.error(block, "a wrong attempt begins with a comment that says which mistake it is")
        last, last_part = block, part
    _require_complete(page, current)


def _require_complete(page, exercise):
    if exercise is None:
        return
    parts = {"hint": exercise.hints, "check": exercise.check, "solution": exercise.solution, "wrong": exercise.wrongs}
    missing = [part for part, found in parts.items() if not found]
    if missing:
        raise page.error(
            exercise.starter,
            f"the exercise {exercise.name!r} has no {' and no '.join(missing)}: its parts are a hint, a check, a "
            "solution and at least one wrong attempt, right under it",
        )


def _text_between(lines, first, second):
    return any(line.strip() for line in lines[first.end : second.line - 1])


def _number_sessions(page):
    session = -1
    for block in page.blocks:
        if not block.runs or block.role:
            continue
        if "continuation" not in block.flags:
            session += 1
        elif session < 0:
            raise page.error(block, "this block continues nothing: take `continuation` away from the first block")
        block.session = session
