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
from tests.benchmarks.made_up import REPOSITORY, journal

DEADLINE = 60  # seconds after which a server is taken to be stuck
SAVES = 7


def rows():
    """Yield (what, seconds) for the builders of this repository and of a made-up journal of 40 pages."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        here = folder / "here"
        shutil.copytree(REPOSITORY, here, ignore=shutil.ignore_patterns(".*", "site", "uv.lock"))
        yield "this site, cold build", _build(here)
        yield "this site, warm build", _build(here)
        made_up = journal(folder / "made-up")
        yield "40 pages of 20 blocks, cold build", _build(made_up)
        yield "40 pages of 20 blocks, warm build", _build(made_up)
        own, seen = _saving(made_up, "autograd/page-07.md")
        yield "40 pages served, from saving a page to seeing it", seen
        yield "  of this, the page's own code", own
    yield "full pytest", _seconds([sys.executable, "-m", "pytest", "-q"], REPOSITORY)


def _build(folder):
    return _seconds([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"], folder)


def _seconds(command, folder):
    begin = time.perf_counter()
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return seconds


def _saving(folder, path):
    """Serve a folder, save one page several times, and return (its own code's, the whole) median seconds."""
    file, address = folder / "docs" / path, _free_address()
    own, seen = [], []
    with _served(folder, address):
        url = f"http://{address}/{path.removesuffix('.md')}/"
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
    for what, seconds in rows():
        print(f"{what:52} {seconds:7.2f} s", flush=True)
