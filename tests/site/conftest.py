"""The built site, served on this machine, and a real browser to read it with."""

import fcntl
import functools
import http.server
import os
import pathlib
import shutil
import subprocess
import sys
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VIEWS = {f"{scheme}-{width}": (scheme, width) for scheme in ("light", "dark") for width in (1280, 360)}
VIEWS["light-320"] = ("light", 320)  # 1280 at a zoom of 400 %
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="session")
def built_site(tmp_path_factory):
    """Build the repository's site with every warning an error, and serve it; return (folder, address)."""
    folder = tmp_path_factory.mktemp("built") / "site"
    handler = functools.partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        (ROOT / ".cache").mkdir(exist_ok=True)
        with (ROOT / ".cache" / "built_site.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes the first runs the pages, the others find them kept
            done = subprocess.run(
                [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
                cwd=ROOT,
                # instant navigation wants the address that it is served at
                env=os.environ | {"SITE_URL": address, "SOURCE_DATE_EPOCH": "0"},
                capture_output=True,
                text=True,
                timeout=900,  # every page of the book, from nothing
            )
        assert done.returncode == 0, done.stderr
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, address
        server.shutdown()


@pytest.fixture(scope="session")
def chromium():
    """Start the system's Chromium; without one, skip, and say how to get it. The gate may not skip."""
    if CHROMIUM is None:
        message = "no Chromium on this machine: install it with `apt-get install chromium` to run the browser tests"
        pytest.fail(message) if os.environ.get("BROWSER_REQUIRED") else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(params=VIEWS)
def view(request, chromium):
    scheme, width = VIEWS[request.param]
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    yield context.new_page()
    context.close()


@pytest.fixture
def page(chromium):
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800}, permissions=["clipboard-read", "clipboard-write"]
    )
    yield context.new_page()
    context.close()
