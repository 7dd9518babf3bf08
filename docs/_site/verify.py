"""Holding what a page says against what its blocks did: every fault becomes one sentence with its place."""

import difflib
import doctest
import re

from pytest_doctestplus.output_checker import FLOAT_CMP, OutputChecker

EXACT = 1e-9  # what processors, BLAS libraries and Python versions may differ by

_NUMBER = re.compile(r"[-+]?\d[\d,_]*(\.\d*)?(e[-+]?\d+)?", re.IGNORECASE)
_EXACTLY = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1 | doctest.DONT_ACCEPT_BLANKLINE


def block_fault(page, block, result):
    """Say what is wrong with a block and its recorded output, or None."""
    if result.error:
        return page.error(block, result.error)
    if block.output is None and result.text.strip():
        return page.error(
            block,
            "this block prints, but records nothing: put an output fence under it, "
            f"or let `pytest --update-output {page.path}` do it. It printed:\n{result.text.rstrip()}",
        )
    if block.output is not None and not result.text.strip():
        return page.error(block.output, "this output is recorded, but the block above prints nothing: take it away")
    if block.output is not None and not agrees(block, result.text):
        return page.error(
            block.output,
            "the recorded output is not what the block prints now. "
            f"Mend the block, or accept it with `pytest --update-output {page.path}`:\n"
            + _diff(block.output.code, result.text),
        )
    return None


def agrees(block, live):
    """Compare recorded and live text: exactly, but for `...` and the tolerance of numbers with a point."""
    recorded, live = _tidy(block.output.code), _tidy(live)
    if "measured" in block.flags:  # a sample: its digits are one machine's, its shape is everyone's
        recorded, live = _shape(recorded), _shape(live)
    if doctest.OutputChecker().check_output(recorded, live, _EXACTLY):
        return True
    checker = OutputChecker()
    checker.rtol, checker.atol = float(block.options.get("tol", EXACT)), 1e-12
    return checker.check_output(recorded, live, _EXACTLY | FLOAT_CMP)


def exercise_fault(page, exercise, results):
    """Say what is wrong with an exercise, or None: `results` hold by line what became of each attempt."""
    faults = (attempt_fault(page, exercise, block, results[block.line]) for block in exercise.attempts)
    return next(filter(None, faults), None) or _same_words(page, exercise, results)


def attempt_fault(page, exercise, block, result):
    """Say what is wrong with one attempt of an exercise, or None."""
    what = {"exercise": "the starter", "solution": "the solution", "wrong": "this wrong attempt"}[block.role]
    if result.error:
        return page.error(block, f"{what} of {exercise.name!r} fails, but not as it should: {result.error}")
    if block.role == "solution" and result.refusal:
        return page.error(block, f"{what} of {exercise.name!r} does not pass its check, which says: {result.refusal}")
    if block.role != "solution" and not result.refusal:
        return page.error(
            block, f"{what} of {exercise.name!r} passes, so the check proves nothing: add an assert that refuses it"
        )
    return None


def _same_words(page, exercise, results):
    said = {}
    for block in [exercise.starter, *exercise.wrongs]:
        refusal = results[block.line].refusal
        if refusal in said:
            return page.error(
                block,
                f"the check says of this attempt what it says of the one at line {said[refusal]}: {refusal!r}. "
                "Give each mistake its own message",
            )
        said[refusal] = block.line
    return None


def _tidy(text):
    """Return text as a page can hold it: without tabs, blanks at the end of a line, or carriage returns."""
    return "\n".join(line.rstrip() for line in text.expandtabs().rstrip().splitlines()) + "\n"


def _shape(text):
    """Return text with 0 for each number, and no care for how wide it was."""
    return "\n".join(" ".join(line.split()) for line in _NUMBER.sub(" 0 ", text).split("\n"))


def _diff(recorded, live):
    lines = difflib.unified_diff(
        _tidy(recorded).splitlines(), _tidy(live).splitlines(), "recorded", "printed now", lineterm="", n=2
    )
    return "\n".join(line for line in lines if not line.startswith("@@"))


def updated(page, results):
    """Return the page's text with the recorded outputs that `results` contradict written anew."""
    lines = page.text.split("\n")
    for block in reversed(page.blocks):
        result = results.get(block.line)
        if result is None or result.error or block.role:
            continue
        prints = bool(result.text.strip())
        if block.output and prints and agrees(block, result.text):
            continue
        if block.output:
            del lines[block.end : block.output.end]
        if prints:
            ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", result.text)), default=0))
            lines[block.end : block.end] = ["", f"{ticks}output", *_tidy(result.text).splitlines(), ticks]
    return "\n".join(lines)
