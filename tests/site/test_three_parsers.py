"""Our parser, pytest-markdown-docs' and superfences find the same python blocks: what is shown is what runs."""

import pytest
from markdown import Markdown
from markdown_it import MarkdownIt
from pytest_markdown_docs.plugin import extract_fence_tests

from docs._site import pages
from tests.site.project import ROOT
from tests.site.test_pages import GOOD

NASTY = """\
## ```python is no fence in a heading

`` ```python `` is none in a line, and ```python``` neither.

> A quote

```python
'''
    ```python
    not a block
    ```
'''
```

~~~python continuation
print("```")
~~~

````python exercise name="x" level="warm-up, with words" minutes="2"
def f():
    '''
```python
'''
````

```hint
`f` is.
```

```python check name="x"
assert f, "is"
```

```python solution name="x"
f = 1
```

```python wrong name="x"
# is not
f = 0
```

- a list
- of two

```python measured limit="3"

# empty lines above and below

```
Text right under it.

``` python static
"a space before the word"
```

<details>

```python continuation raises="ValueError"
"between HTML"
```

</details>

```text
```

````markdown
```python
"shown, not run"
```
````

```python notest
"not run"
```

```python
"<div> & &lt; \\\\ \\n é — 🐍 $x$ **bold** [x](y) :smile: {{ x }} {% y %} \u2028"
```

| a | b |
| - | - |
| 1 | 2 |

```python
"the end of the page"
```"""

FILES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
TEXTS = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in FILES if "_site" not in file.parts}
TEXTS |= {"good": GOOD, "nasty": NASTY}


def ours(text, path):
    return [(block.line, block.code) for block in pages.parse(text, path).blocks if block.runs]


def those_of_pytest(text, path):
    tests = extract_fence_tests(MarkdownIt("commonmark"), text, 0, path)
    # before a block's own code stand the blocks that it continues, or as many empty lines as its number
    return [(test.start_line, "\n".join(test.source.split("\n")[test.start_line :])) for test in tests]


def those_of_superfences(text):
    """Find the code that superfences shows as python and that is to run."""
    found = []

    def validator(language, inputs, options, attrs, md):
        options.update(inputs)  # what is left over would make it no fence
        return True

    def formatter(source, language, css_class, options, md, **settings):
        if "notest" not in options:
            found.append(source)
        return ""

    fence = {"name": "python", "class": "python", "format": formatter, "validator": validator}
    settings = {"pymdownx.superfences": {"custom_fences": [fence]}}
    Markdown(extensions=["attr_list", "md_in_html", "pymdownx.superfences"], extension_configs=settings).convert(text)
    return found


@pytest.mark.parametrize("path", TEXTS)
def test_three_parsers_find_the_same_blocks(path):
    text = TEXTS[path]
    blocks = ours(text, path)
    assert those_of_pytest(text, path) == blocks
    assert [code.strip("\n") for code in those_of_superfences(text)] == [code.strip("\n") for _, code in blocks]


def test_the_nasty_page_has_them_all():
    assert len(ours(NASTY, "nasty")) == 11
