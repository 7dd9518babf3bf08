"""How long the site takes: cold, warm, and from saving a page to seeing it."""

import contextlib
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from docs._site import pages, sessions
from docs._site.results import Results
from tests.benchmarks.table import Row, print_table
from tests.site.project import ROOT, project

DEADLINE = 60  # seconds after which a server is taken to be stuck
SAVES = 7

PAGES, BLOCKS = 40, 20
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


def rows():
    """Build and serve this site and a made-up journal of 40 pages with 20 blocks each, then run the whole pytest."""
    return [Row(name, seconds, None, "s") for name, seconds in _timings()]


def _timings():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        here = folder / "here"
        shutil.copytree(ROOT, here, ignore=shutil.ignore_patterns(".*", "site", "uv.lock"))
        took = _blocks_of_every_page(here)
        yield "the blocks of a page, median", statistics.median(took.values())
        slowest = max(took, key=took.get)
        yield f"the blocks of {slowest}, the slowest", took[slowest]
        yield "this site, cold build", _build(here)
        yield "this site, warm build", _build(here)
        (folder / "made-up").mkdir()
        journal = project(folder / "made-up", **_made_up_pages())
        yield f"{PAGES} pages of {BLOCKS} blocks, cold build", _build(journal)
        yield f"{PAGES} pages of {BLOCKS} blocks, warm build", _build(journal)
        own, seen = _saving(journal, "page-07")
        yield f"{PAGES} pages served, from a save to seeing it", seen
        yield "of this, the page's own code", own
    yield "full pytest", _seconds([sys.executable, "-m", "pytest", "-q"], ROOT)


def _blocks_of_every_page(folder):
    """Run each page as the site does, in a process of its own; return the seconds by page."""
    results, took = Results(folder), {}
    for file in sorted((folder / "docs").rglob("*.md")):
        page = pages.read(file, file.relative_to(folder).as_posix())
        if page.to_run:
            begin = time.perf_counter()
            faults = [result.error for result in results.start(page).result() if result.error]
            took[page.path] = time.perf_counter() - begin
            if faults:
                raise RuntimeError(f"{page.path}: {faults[0]}")
    shutil.rmtree(folder / ".cache")  # the cold build comes next
    return took


def _made_up_pages():
    texts = {"index": "# A made-up journal\n\nIts pages are as long as real ones.\n"}
    for page in range(PAGES):
        text = f"# Page {page}\n"
        for n in range(1, BLOCKS + 1):
            word, data = " continuation" if n > 1 else "", (n + 0.5) * n + page
            text += BLOCK.format(page=page, n=n, other=(page + n) % PAGES, word=word, data=data, grad=float(n))
        texts[f"page-{page:02}"] = text
    return texts


def _build(folder):
    return _seconds([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"], folder)


def _seconds(command, folder):
    begin = time.perf_counter()
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return seconds


def _saving(folder, name):
    """Serve a folder, save one page several times, and return (its own code's, the whole) median seconds."""
    file, address = folder / "docs" / f"{name}.md", _free_address()
    own, seen = [], []
    with _served(folder, address):
        url = f"http://{address}/{name}/"
        _wait_for("Page 7", url)
        for number in range(SAVES):
            mark = f"saved-{number}"
            text = file.read_text() + f'\n```python\nprint("{mark}")\n```\n\n```output\n{mark}\n```\n'
            own.append(_own_seconds(text))
            begin = time.perf_counter()
            file.write_text(text)
            _wait_for(mark, url)
            seen.append(time.perf_counter() - begin)
    return statistics.median(own), statistics.median(seen)


def _own_seconds(text):
    page = pages.parse(text, "docs/page.md")
    begin = time.perf_counter()
    running = sessions.Sessions(page, "page.md")
    for block in page.to_run:
        running.result(block)
    return time.perf_counter() - begin


@contextlib.contextmanager
def _served(folder, address):
    command = [sys.executable, "-m", "mkdocs", "serve", "--dev-addr", address]
    server = subprocess.Popen(command, cwd=folder, env=os.environ, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        server.terminate()
        server.wait(10)


def _free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _wait_for(text, url):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=DEADLINE) as page:
            if text in page.read().decode():
                return
        time.sleep(0.02)
    raise TimeoutError(f"{url} did not show {text!r} within {DEADLINE} s")


if __name__ == "__main__":
    print_table(rows())
