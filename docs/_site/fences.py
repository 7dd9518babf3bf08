"""Where the fences of a page begin and end, as every Markdown parser that reads it has to see them."""

import difflib
import re

OURS = ("python", "output", "source", "hint")
LOOKALIKES = {"py": "python", "py3": "python", "python3": "python", "pycon": "python", "outputs": "output"}

_OPENING = re.compile(r"(?P<ticks>`{3,}|~{3,})[ \t]*(?P<info>[^`]*)$")
_INDENT = re.compile(r"(?P<indent>(?:[ \t>*+-]|\d+[.)])+)(?P<rest>(`{3,}|~{3,}).*)$")


class PageError(Exception):
    """What is wrong on a page, where, and what to do about it."""

    def __init__(self, place, message):
        super().__init__(f"{place}: {message}")
        self.place, self.message = place, message

    def __reduce__(self):  # exceptions with two arguments do not survive pickling by themselves
        return PageError, (self.place, self.message)


def find(text, path):
    """Yield (info, line, end, code) for each of our fences; others are skipped with all that is in them.

    Raises
    ------
    PageError
        At the first fence that some Markdown parser would miss, or that is never closed.
    """
    lines = iter(enumerate(text.split("\n"), 1))
    above, commented = "", False
    for number, line in lines:
        commented = (commented or line.lstrip().startswith("<!--")) and "-->" not in line
        indented = _INDENT.match(line)
        opening = _OPENING.match(indented["rest"] if indented else line)
        if not opening:
            above = line
            continue
        info, place = opening["info"].strip(), f"{path}:{number}"
        ours = _language(info, place)
        if ours:
            _require_plain_sight(place, ours, indented and indented["indent"], above, commented)
        code, end = _until_closed(lines, place, opening["ticks"], "[ >]*" if indented else "")
        if ours and any("\t" in inner for inner in code):
            raise PageError(place, "a tab in this fence: use spaces, the page shows tabs differently than they run")
        if ours:
            yield info, number, end, "".join(inner + "\n" for inner in code)
        above = ""


def _require_plain_sight(place, ours, indent, above, commented):
    """Refuse a fence that Markdown's parsers do not all see: one would run it and another not even show it."""
    if indent:
        raise PageError(place, f"this {ours} fence must stand at the start of its line: take away {indent!r} before it")
    if commented:
        raise PageError(place, f"this {ours} fence stands in a comment: take the fence or the comment away")
    if above.strip():
        raise PageError(place, f"this {ours} fence needs an empty line above it: some parsers overlook it otherwise")


def _until_closed(lines, place, ticks, margin):
    """Return the lines up to the closing fence, and its number."""
    code = []
    for number, line in lines:
        if re.match(rf"{margin}{ticks}[ \t]*$", line):
            return code, number
        if re.match(rf" {{0,3}}{ticks}", line):
            raise PageError(
                place,
                f"this fence is still open at line {number}, which begins with {ticks} too: close it above that line, "
                f"or, where the line belongs to it, open and close it with {ticks}{ticks[0]}",
            )
        code.append(line)
    raise PageError(place, f"this fence is never closed: add a line with {ticks} where it ends")


def _language(info, place):
    """Name our kind of fence, or None; refuse what looks like one of ours and would silently not be."""
    first = (info.split() or [""])[0]
    if first in OURS:
        return first
    meant = LOOKALIKES.get(first.lower(), first.lower().strip("{}."))
    meant = next(iter(difflib.get_close_matches(meant, OURS, n=1, cutoff=0.8)), meant)
    if meant in OURS:
        raise PageError(place, f"a fence that begins with {first!r} would not run: write ```{meant}")
    if meant.startswith(tuple(OURS)) and not meant.isalpha():
        raise PageError(place, f"a fence that begins with {first!r} would not run: leave a space after the first word")
    return None
