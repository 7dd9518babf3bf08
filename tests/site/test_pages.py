"""What the parser makes of a good page."""

import pytest

from docs._site import pages

GOOD = """\
---
title: Front matter
---

# A page

```python
one = 1
```

```text
```

````text
```python
not ours
```
````

1. In a list:

   ```console
   $ ls
   ```

<!-- one line --> <!--
more -->

~~~python continuation raises="ValueError" limit="3" tol="1e-3" static
int("x")
~~~

```output
ValueError: x
```

```python exercise name="two" level="warm-up, really" minutes="2"
two = 0
```

```hint
One and one.
```

```hint
Not three.
```

```python check name="two"
assert two == 2, f"not {two}"
```

```python solution name="two"
two = 2
```

```python wrong name="two"
# three
two = 3
```

```python wrong name="two"
# four
two = 4
```

```python continuation
one
```

```python notest
rm
```

```python
fresh
```

```source
microlearn.autograd.value.Value
```
"""


@pytest.fixture(scope="module")
def page():
    return pages.parse(GOOD, "docs/good.md")


def test_blocks_have_their_lines(page):
    lines = GOOD.split("\n")
    for block in page.blocks:
        assert lines[block.line - 1].lstrip("`~").startswith(block.kind)
        assert lines[block.end - 1] in ("```", "~~~")
        assert "".join(line + "\n" for line in lines[block.line : block.end - 1]) == block.code


def test_words_and_options(page):
    block = page.blocks[1]
    assert block.flags == {"continuation", "static"}
    assert block.options == {"raises": "ValueError", "limit": "3", "tol": "1e-3"}
    assert (block.limit, page.blocks[0].limit) == (3, 10)
    assert block.output.code == "ValueError: x\n"


def test_sessions_go_on_over_exercises_and_begin_anew_without_continuation(page):
    sessions = [
        (block.code.strip(), block.session) for block in page.blocks if block.kind == "python" and not block.role
    ]
    assert sessions == [("one = 1", 0), ('int("x")', 0), ("one", 0), ("rm", None), ("fresh", 1)]


def test_an_exercise_has_its_parts(page):
    [exercise] = page.exercises
    assert [hint.code for hint in exercise.hints] == ["One and one.\n", "Not three.\n"]
    assert [attempt.role for attempt in exercise.attempts] == ["exercise", "solution", "wrong", "wrong"]
    assert exercise.end == exercise.wrongs[1].end


def test_what_has_a_result(page):
    assert [block.role for block in page.to_run] == [None, None, "exercise", "solution", "wrong", "wrong", None, None]


def test_the_last_line_may_lack_its_end():
    [block] = pages.parse("```python\n1\n```", "docs/x.md").blocks
    assert (block.code, block.end) == ("1\n", 3)


def test_a_byte_order_mark_is_refused():
    with pytest.raises(pages.PageError, match=r"docs/x\.md:1: the file begins with a byte order mark"):
        pages.parse("\ufeff```python\n1\n```\n", "docs/x.md")
