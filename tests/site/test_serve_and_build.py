"""Real builds and a real server: an error stops a build and spares the last good site; a served page shows it."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.site.project import build, command, page_file, project

GOOD = "# Page\n\n```python\n{code}\n```\n\n```output\n{output}\n```\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project that has been built once, when all was well."""
    folder = project(
        tmp_path_factory.mktemp("built"),
        index=GOOD.format(code="1 + 1", output="2"),
        other=GOOD.format(code="'other'", output="'other'"),
    )
    output, status = build(folder, "mkdocs", "build")
    assert status == 0, output
    return folder


def snapshot(folder):
    return {file: file.read_bytes() for file in sorted((folder / "site").rglob("*")) if file.is_file()}


@pytest.mark.parametrize(
    ("page", "place", "says"),
    [
        ("# P\n\n```python banana\n1\n```\n", "docs/other.md:3: ", "unknown word 'banana'"),
        (GOOD.format(code="1 + 1", output="3"), "docs/other.md:7: ", "\n-3\n+2\n"),
        ("# P\n\n```source\nmicrolearn.nothing\n```\n", "docs/other.md:3: ", "has no module 'nothing'"),
        ("# P\n\n[nowhere](nowhere.md)\n", "'other.md' contains a link 'nowhere.md'", ""),  # for MkDocs, --strict
    ],
)
def test_a_build_with_an_error_fails_and_the_last_good_site_stays(built, page, place, says):
    before, good = snapshot(built), page_file(built, "other").read_text()
    page_file(built, "other").write_text(page)
    try:
        output, status = build(built, "mkdocs", "build", "--strict")
    finally:
        page_file(built, "other").write_text(good)
    assert status == 1
    assert place in output
    assert says in output
    assert "Traceback" not in output
    assert snapshot(built) == before
    assert [file.name for file in built.iterdir() if file.name.startswith(".site")] == []


def test_the_next_good_build_takes_its_place(built):
    page_file(built, "third").write_text("# Third\n")
    output, status = build(built, "mkdocs", "build", "--strict")
    assert status == 0, output
    assert (built / "site" / "third" / "index.html").exists()
    page_file(built, "third").unlink()
    build(built, "mkdocs", "build", "--strict")
    assert not (built / "site" / "third").exists(), "nothing old is left"


class Server:
    """`mkdocs serve` for a folder."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.log = folder / "serve.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [command("mkdocs"), "serve", "-a", self.address],
                cwd=folder,
                stdout=log,
                stderr=log,
                env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "SITE_URL": f"http://{self.address}/"},
            )

    def wait_for(self, path, *wanted, without=(), seconds=40):
        """Ask for a page until it holds what is wanted."""
        deadline, page = time.monotonic() + seconds, ""
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the server has ended:\n{self.log.read_text()}"
            try:
                with urllib.request.urlopen(f"http://{self.address}/{path}", timeout=5) as answer:
                    page = answer.read().decode()
            except OSError:  # not there yet, or busy with a build
                page = ""
            if page and all(words in page for words in wanted) and not any(words in page for words in without):
                return page
            time.sleep(0.1)
        raise AssertionError(
            f"{path!r} never had {wanted} without {without}; the server's log:\n{self.log.read_text()}"
        )

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def test_a_served_page_shows_its_error_until_it_is_mended(tmp_path):
    good = GOOD.format(code="1 + 1", output="2")
    folder = project(tmp_path, index=good.replace("1 + 1", "1 + 2"), other=good)
    server = Server(folder)
    shown = ('class="page-error"', "docs/index.md:7")
    try:
        page = server.wait_for("", *shown, "the recorded output is not what the block prints now")
        assert "-2\n+3" in page, "the difference is shown"
        server.wait_for("other/", 'class="output"', without=["page-error"])

        page_file(folder, "index").write_text(good)
        server.wait_for("", 'class="output"', without=["page-error"])

        page_file(folder, "index").write_text(good.replace("```python", "```python banana"))
        server.wait_for("", 'class="page-error"', "docs/index.md:3", "unknown word &#x27;banana&#x27;")

        page_file(folder, "index").write_text(good.replace("1 + 1", "import os\nos._exit(3)"))
        server.wait_for("", 'class="page-error"', "ended the process of its page (exit status 3)")

        page_file(folder, "index").write_text(good.replace("1 + 1", "2 * 1"))
        server.wait_for("", 'class="output"', without=["page-error"])
    finally:
        server.stop()
    assert "docs/index.md:3: unknown word 'banana'" in server.log.read_text(), "and it stands in the log"


def test_two_builds_at_once_do_not_disturb_each_other(tmp_path):
    pages = {f"page{i}": GOOD.format(code=f"{i} + 1", output=str(i + 1)) for i in range(6)}
    folder = project(tmp_path, index="# Start\n", **pages)
    with ThreadPoolExecutor(2) as pool:
        for output, status in pool.map(lambda _: build(folder, "mkdocs", "build", "--strict"), range(2)):
            assert status == 0, output
    assert all((folder / "site" / page / "index.html").exists() for page in pages)
    assert [file.name for file in folder.iterdir() if file.name.startswith(".site")] == []


def test_a_folder_named_serve_is_built_into_all_the_same(tmp_path):
    folder = project(tmp_path, index=GOOD.format(code="1 + 1", output="3"))
    output, status = build(folder, "mkdocs", "build", "--site-dir", "serve")
    assert status == 1 and "docs/index.md:7: " in output
