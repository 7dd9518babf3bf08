"""What running a block comes to."""

import sys

import pytest

from docs._site import pages, sessions
from microlearn import Value

EXERCISE = """\
```python exercise name="one" level="easy" minutes="1"
leaked = one = 0
```

```hint
One is.
```

```python check name="one"
assert "leaked" in globals() or one != 3, "three leaks nothing"
assert one == 1, f"one is one, not {one}"
```

```python solution name="one"
one = 1
```

```python wrong name="one"
# three
one = 3
```
"""


def run(*blocks):
    """Run blocks, each given as (words, code), on one page; return their results."""
    text = "\n".join(f"```python {words}\n{code}\n```\n" for words, code in blocks)
    page = pages.parse(text, "docs/x.md")
    running = sessions.Sessions(page, "/x/docs/x.md")
    return [running.result(block) for block in page.to_run]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("1 + 1", "2\n"),
        ("'a'", "'a'\n"),
        ("print('a'); 'b'", "a\n'b'\n"),
        ("x = 1", ""),
        ("None", ""),
        ("print(1)", "1\n"),
        ("[x for x in range(2)]", "[0, 1]\n"),
        ("for x in range(2):\n    print(x)", "0\n1\n"),
        ("def f():\n    return y\n\n\ny = 3\nf()", "3\n"),
        ("'''a\n\nb'''.split()", "['a', 'b']\n"),
        ("@__import__('dataclasses').dataclass\nclass P:\n    x: int\n\n\nP(1)", "P(x=1)\n"),
        ("__name__", "'__main__'\n"),
        ("", ""),
    ],
)
def test_text_is_what_is_printed_and_the_repr_of_the_last_expression(code, text):
    [result] = run(("", code))
    assert (result.text, result.error, result.shown) == (text, "", [])


def test_a_session_goes_on_with_continuation_and_ends_without():
    first, again, fresh = run(("", "x = 1"), ("continuation", "x + 1"), ("", "x"))
    assert (first.text, again.text) == ("", "2\n")
    assert "raised NameError" in fresh.error


def test_a_failing_block_ends_its_session_and_no_other():
    _, failed, later, other = run(("", "x = 1"), ("continuation", "x / 0"), ("continuation", "x"), ("", "2"))
    assert failed.error.startswith("this block raised ZeroDivisionError: division by zero\n")
    assert later.error == "not run, because the block at line 5 failed before it"
    assert other.text == "2\n"


def test_a_block_alone_runs_what_it_needs_once():
    page = pages.parse(
        "```python\nruns = [1]\n```\n\n```python continuation\nruns.append(1)\nlen(runs)\n```\n", "docs/x.md"
    )
    running = sessions.Sessions(page, "x.md")
    last = page.blocks[1]
    assert running.result(last).text == running.result(last).text == "2\n"
    assert running.result(page.blocks[0]).text == ""


@pytest.mark.parametrize(
    ("raises", "code", "text"),
    [
        ("ValueError", "int('x')", "ValueError: invalid literal for int() with base 10: 'x'\n"),
        ("ArithmeticError", "print('first')\n1 / 0", "first\nZeroDivisionError: division by zero\n"),
        ("SyntaxError", "1 +", "SyntaxError: invalid syntax\n"),  # without a line, which would move with the text
        ("RecursionError", "def f():\n    f()\n\n\nf()", "RecursionError: maximum recursion depth exceeded\n"),
    ],
)
def test_a_declared_exception_is_output_and_the_session_goes_on(raises, code, text):
    result, later = run((f'raises="{raises}"', code), ("continuation", "1"))
    assert (result.text, result.error, later.text) == (text, "", "1\n")


def test_lines_in_a_traceback_are_the_page_s():
    _, failed = run(("", "def f(x):\n    return 1 / x"), ("continuation", "\nf(0)"))
    assert [line.strip() for line in failed.error.split("\n") if "File" in line] == [
        'File "/x/docs/x.md", line 8, in <module>',
        'File "/x/docs/x.md", line 3, in f',
    ]


def test_attempts_know_nothing_of_each_other_nor_of_the_page():
    page = pages.parse("```python\nleaked = 1\n```\n\n" + EXERCISE, "docs/x.md")
    running = sessions.Sessions(page, "x.md")
    _, starter, solution, wrong = [running.result(block) for block in page.to_run]
    assert (starter.refusal, solution.refusal, wrong.refusal) == (
        "one is one, not 0",
        "",
        "three leaks nothing",
    )
    assert not any([starter.error, solution.error, wrong.error])


def test_a_block_cannot_keep_the_figures_of_an_attempt_or_of_a_failure():
    figure = "import matplotlib.pyplot as plt\nplt.plot([1])\n"
    text = (
        EXERCISE.replace("leaked = one = 0", figure + "one = 0")
        + f'\n```python raises="NameError"\n{figure}oops\n```\n'
    )
    page = pages.parse(text + "\n```python\n5\n```\n", "docs/x.md")
    running = sessions.Sessions(page, "x.md")
    results = [running.result(block) for block in page.to_run]
    assert not any(result.shown or result.error for result in results)
    assert results[-1].text == "5\n"


SHOWS = """
class Shows:
    def _repr_svg_(self):
        return {svg!r}

    def _repr_html_(self):
        return "<b>html</b>"

    def __repr__(self):
        return "text"


Shows()
"""


@pytest.mark.parametrize(
    ("svg", "shown"),
    [
        ("<svg><title>t</title></svg>", ("svg", "<svg><title>t</title></svg>")),
        ('<svg aria-label="t"></svg>', ("svg", '<svg aria-label="t"></svg>')),
        (None, ("html", "<b>html</b>")),
    ],
)
def test_what_displays_itself_stands_in_the_place_of_its_repr(svg, shown):
    [result] = run(("", "print('before')" + SHOWS.format(svg=svg)))
    assert (result.text, result.shown) == ("before\n", [shown])


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("fig, ax = plt.subplots(num='one')\nfig", 1),
        ("fig, ax = plt.subplots(num='one')\nax.plot([1, 2])", 1),  # no repr of the line either
        ("plt.figure('one')\nplt.figure('two')\nNone", 2),
        ("import matplotlib.figure\n\nfig = matplotlib.figure.Figure()\nfig.set_label('one')\nfig", 1),
    ],
)
def test_figures(code, count):
    [result, later] = run(("", "import matplotlib.pyplot as plt\n" + code), ("continuation", "x = 1"))
    assert (result.text, result.error) == ("", "")
    assert [kind for kind, _ in result.shown] == ["svg"] * count
    assert "<dc:title>one</dc:title>" in result.shown[0][1]
    assert not later.shown, "a figure is shown once"


def test_a_figure_is_drawn_alike_twice():
    code = "import matplotlib.pyplot as plt\n\nfig, ax = plt.subplots(num='one')\nax.plot([1, 2])\nfig"
    assert run(("", code))[0].shown == run(("", code))[0].shown


def test_a_limit_is_told_again_to_a_block_that_swallowed_it():
    started = "import time\n\ntry:\n    time.sleep(100)\nexcept:\n    pass\ntime.sleep(9)"
    [result] = run(('limit="0.1"', started))
    assert 'ran longer than 0.1 s: make it smaller, or give it limit="0.3"' in result.error
    assert "line 8, in <module>" in result.error


def test_standard_output_is_given_back():
    before = sys.stdout
    run(("", "import sys\nsys.stdout = None"), ("", "1 / 0"))
    assert sys.stdout is before


def test_whoever_debugs_a_block_is_not_hurried():
    page = pages.parse('```python limit="0.1"\nimport time\n\ntime.sleep(1)\n```\n', "page.md")
    assert "ran longer" in sessions.Sessions(page, "page.md").result(page.blocks[0]).error
    assert not sessions.Sessions(page, "page.md", limited=False).result(page.blocks[0]).error


def test_a_block_may_close_its_standard_output():
    [result] = run(("", "import sys\n\nprint(1)\nsys.stdout.close()"))
    assert (result.text, result.error) == ("1\n", "")


def test_a_block_leaves_the_engine_as_it_was(monkeypatch):
    monkeypatch.setattr(Value, "relu", Value.relu)  # undone at the end, whatever the blocks do
    patched = "from microlearn import Value\n\nkept = Value.relu\nValue.relu = Value.tanh\n"
    [spoilt, after] = run(("", patched), ("", "1"))
    assert "changes microlearn.autograd.value.Value.relu for every page: put it back" in spoilt.error
    assert not after.error
    restored = "from microlearn import Value\n\nkept = Value.exp\nValue.exp = Value.tanh\nValue.exp = kept"
    assert not run(("", restored))[0].error
    assert not run(("", "from microlearn import Value\n\nclass Own(Value):\n    relu = Value.tanh"))[0].error


def test_a_limit_is_the_processor_s_time_not_the_clock_s():
    """A block that is kept waiting by a busy machine has done nothing wrong."""
    waits = "import time\n\ntime.sleep(0.4)\nprint('awake')"
    [result] = run(('limit="0.2"', waits))
    assert not result.error
    assert result.text == "awake\n"
