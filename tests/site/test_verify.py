"""When recorded and live output agree."""

import pytest

from docs._site import pages, verify
from docs._site.sessions import Result


def agrees(recorded, live, words=""):
    ticks = "````"
    page = pages.parse(f"```python {words}\n1\n```\n\n{ticks}output\n{recorded}\n{ticks}\n", "docs/x.md")
    return verify.agrees(page.blocks[0], live + "\n")


@pytest.mark.parametrize(
    ("words", "recorded", "live", "expected"),
    [
        # text: exactly, but for blanks at the ends of lines
        ("", "a b", "a b", True),
        ("", "a b", "a  b", False),
        ("", "a", "a  \n\n", True),
        ("", "a", "b", False),
        ("", "a\nb", "a\nb\nc", False),
        ("", "\n  a", "\n  a", True),
        ("", "<BLANKLINE>", "", False),
        ("", "1", "True", False),
        ("", "0", "False", False),
        ("", "a       b", "a\tb", True),  # a page holds no tabs
        ("", "10%\n20%", "10%\r20%", True),  # nor carriage returns
        ("", "```\nx\n```", "```\nx\n```", True),
        # whole numbers: exactly
        ("", "12", "12", True),
        ("", "12", "13", False),
        ("", "1000000000000", "1000000000001", False),
        ("", "12", "12.0", False),
        ('tol="1"', "12", "13", False),
        # numbers with a point: to nine digits, or to the tolerance
        ("", "0.1", "0.1000000000001", True),
        ("", "0.1", "0.10000001", False),
        ("", "0.0", "1e-17", True),
        ("", "0.0", "1e-9", False),
        ("", "x=-1.5, y=[2.5, -0.0]", "x=-1.5000000000001, y=[2.5, 0.0]", True),
        ("", "Value(1.5)", "Value(1.6)", False),
        ("", "1.5 cats", "1.5 dogs", False),
        ("", "1.5\n2.5", "1.5 2.5", False),
        ("", "1e-20", "2e-20", True),  # closer to nothing than 1e-12
        ("", "1e20", "1.0000000000001e20", True),
        ("", "1e20", "1.1e20", False),
        ('tol="1e-3"', "1.0", "1.0009", True),
        ('tol="1e-3"', "1.0", "1.002", False),
        ('tol="1e-3"', "1000.0", "1000.9", True),
        ("", "nan", "nan", True),
        ("", "nan", "1.0", False),
        ("", "inf", "inf", True),
        ("", "inf", "-inf", False),
        ("", "inf", "1.0", False),
        ('tol="1e-3"', "[nan, 1.0, inf]", "[nan, 1.0001, inf]", True),
        # ... for what may vary
        ("", "<f at 0x...>", "<f at 0x7f30>", True),
        ("", "<f at 0x...>", "<g at 0x7f30>", False),
        ("", "a\n...\nz", "a\nb\nc\nz", True),
        ("", "a\n...\nz", "a\nb\nc", False),
        ("", "0.33...", "0.3333", True),
        ("", "0.33...", "0.3433", False),
        ("", "took ... s, loss 0.5", "took 1.7 s, loss 0.50000000000001", True),
        ("", "took ... s, loss 0.5", "took 1.7 s, loss 0.6", False),
        # a sample: its shape
        ("measured", "1.5 ms, 3 runs", "200 ms, 12 runs", True),
        ("measured", "1.5 ms", "1.5 s", False),
        ("measured", "1.5 ms", "1.5 ms\n2.5 ms", False),
        ("measured", "loss  12.5", "loss   2.5", True),
        ("measured", "   5.0 s", "1005.0 s", True),
        ("measured", "[ 1.5 -2. ]", "[-1.5  2.5]", True),
        ("measured", "[1.5, 2.5]", "[1.5]", False),
        ("measured", "loss 1.5", "loss nan", False),
        ("measured", "1,234 tokens/s", "987 tokens/s", True),
        ("measured", "1e-3", "0.5", True),
    ],
)
def test_agrees(words, recorded, live, expected):
    assert agrees(recorded, live, words) is expected


def test_the_difference_is_a_diff_of_the_lines_around():
    page = pages.parse("```python\n1\n```\n\n```output\na\nb\nc\nd\ne\n```\n", "docs/x.md")
    fault = verify.block_fault(page, page.blocks[0], Result(text="a\nb\nc\nd\nE\n"))
    assert str(fault).split("\n", 1)[1] == "--- recorded\n+++ printed now\n c\n d\n-e\n+E"
