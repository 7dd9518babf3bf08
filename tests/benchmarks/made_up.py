"""A made-up journal of any size, in this project's own settings: for benchmarks, and for tests of the builders."""

import pathlib
import re
import shutil

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

BLOCK = """
The total of step {n} goes on from the one before it, and the text about it is as long as a paragraph is.
There is a `name` in it, some *stress*, and a [link](page-{other:02}.md) to another page.

```python{word}
from microlearn import Value

a = Value({n}.5, label="a")
b = a * {n} + {page}
b.backward()
print(b.data, a.grad)
```

```output
{data} {grad}
```
"""


def project(folder, pages):
    """Write a project into `folder`: this one's settings and theme, and `pages`, a mapping of paths to texts."""
    shutil.copytree(REPOSITORY / "docs" / "_site", folder / "docs" / "_site", ignore=shutil.ignore_patterns("*.py[co]"))
    (folder / "pyproject.toml").touch()
    settings = (REPOSITORY / "mkdocs.yml").read_text()
    settings = re.sub(r"^nav:\n(?:[ -].*\n|\n)+", "", settings, flags=re.MULTILINE)
    settings = re.sub(r"^watch:\n(?:  - .*\n)+", "", settings, flags=re.MULTILINE)
    (folder / "mkdocs.yml").write_text(settings)
    for path, text in pages.items():
        file = folder / "docs" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def journal(folder, pages=40, blocks=20):
    """Write a project of `pages` pages with `blocks` executed blocks each."""
    texts = {"index.md": "# A made-up journal\n\nIts pages are as long as real ones.\n"}
    for page in range(pages):
        text = f"# Page {page}\n"
        for n in range(1, blocks + 1):
            text += BLOCK.format(
                page=page,
                n=n,
                other=(page + n) % pages,
                word=" continuation" if n > 1 else "",
                data=(n + 0.5) * n + page,
                grad=float(n),
            )
        texts[f"autograd/page-{page:02}.md"] = text
    return project(folder, texts)
