"""`pytest --update-output` brings what pages record up to date, and touches nothing else."""

import pytest

from tests.site.project import page_file, project, run_pytest

BEFORE = """\
---
title: Recorded
---

A missing one is put in:

```python
print("missing")
```
Text right under it.

A wrong one is replaced, and the text between them stays:

```python
"new", 1
```


```output
'old'
```

Text.

A stale one is taken away:

```python
x = 1
```

```output
1
```

What still agrees is left alone:

```python
x = object()
print(x, 0.1 + 0.2)
```

```output
<object object at 0x...> 0.3
```

```python measured
print("took 5 s")
```

```output
took 3 s
```

An output may hold fences, tabs and other line ends:

```python
print("```python\\n1\\n```\\na\\tb\\rc\\n")
```

What fails stays as it is:

```python
1 / 0
```

```output
2
```

```python continuation
3
```

```python raises="ValueError"
int("x")
```

The last line has no end:

```python
4
```"""

AFTER = (
    BEFORE.replace('print("missing")\n```\n', 'print("missing")\n```\n\n```output\nmissing\n```\n')
    .replace("\"new\", 1\n```\n\n\n```output\n'old'\n```", "\"new\", 1\n```\n\n```output\n('new', 1)\n```")
    .replace("x = 1\n```\n\n```output\n1\n```\n", "x = 1\n```\n")
    .replace('b\\rc\\n")\n```\n', 'b\\rc\\n")\n```\n\n````output\n```python\n1\n```\na       b\nc\n````\n')
    .replace(
        'int("x")\n```\n',
        "int(\"x\")\n```\n\n```output\nValueError: invalid literal for int() with base 10: 'x'\n```\n",
    )
    + "\n\n```output\n4\n```"
)

MENDED = AFTER.replace("1 / 0\n```", "1\n1 + 1\n```").replace(
    "```python continuation\n3", "```python continuation\nx = 3"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return project(tmp_path_factory.mktemp("update"), page=BEFORE, fine=MENDED, broken="```python banana\n1\n```\n")


@pytest.fixture(scope="module")
def first_run(folder):
    return run_pytest(folder, "docs", "--update-output")


def test_outputs_are_put_in_replaced_and_taken_away(folder, first_run):
    assert page_file(folder, "page").read_text() == AFTER
    output, status = first_run
    assert "recorded outputs rewritten: docs/page.md\n" in output
    assert status == 1, "what fails is told"
    line = BEFORE[: BEFORE.index("1 / 0")].count("\n")
    assert f"docs/page.md:{line}: this block raised ZeroDivisionError" in output
    assert "docs/broken.md:1: unknown word 'banana'" in output


def test_nothing_is_left_to_do(folder, first_run):
    output, _ = run_pytest(folder, "docs/page.md", "docs/fine.md", "--update-output")
    assert "recorded outputs: all are up to date" in output
    assert page_file(folder, "page").read_text() == AFTER
    assert page_file(folder, "fine").read_text() == MENDED


def test_what_was_updated_passes(folder, first_run):
    output, status = run_pytest(folder, "docs/fine.md")
    assert status == 0, output


def test_only_the_blocks_that_ran_are_updated(folder, first_run):
    file = page_file(folder, "part")
    file.write_text("```python\n1\n```\n\n```python\n2\n```\n")
    run_pytest(folder, "docs/part.md", "-k", "line:5", "--update-output")
    assert file.read_text() == "```python\n1\n```\n\n```python\n2\n```\n\n```output\n2\n```\n"


def test_it_is_refused_over_several_processes(folder):
    output, status = run_pytest(folder, "docs", "--update-output", "-n", "2")
    assert status == 4
    assert "--update-output writes pages: run it in one process, without -n" in output
