"""A made-up project in a temporary folder: pages beside the repository's own settings and site folder."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

from docs._site import extension, pages

ROOT = pathlib.Path(__file__).parents[2]
PYTEST = """
[tool.pytest.ini_options]
addopts = "-p docs._site.pytest_plugin -p no:cacheprovider -p no:hypothesispytest --markdown-docs"
filterwarnings = ["error"]
"""


def project(folder, **texts):
    """Write `docs/<name>.md` for each text, and what MkDocs, Zensical and pytest read beside it."""
    (folder / "docs").mkdir()
    (folder / "pyproject.toml").write_text(PYTEST)
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    (folder / "mkdocs.yml").write_text(re.sub(r"^nav:\n(?: .*\n|\n)*", "", settings, flags=re.MULTILINE))
    (folder / "docs" / "_site").symlink_to(ROOT / "docs" / "_site")
    (folder / "microlearn").symlink_to(ROOT / "microlearn")
    for name, text in texts.items():
        page_file(folder, name).write_text(text, encoding="utf-8")
    return folder


def copy_of_the_site(folder):
    """Copy what the site is built from, and what its pages came to, so that a build disturbs nobody."""
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    unfinished = shutil.ignore_patterns("*.[0-9]*")  # another build's
    shutil.copytree(ROOT / ".cache" / "pages", folder / ".cache" / "pages", ignore=unfinished)
    shutil.copy(ROOT / "mkdocs.yml", folder)
    (folder / "microlearn").symlink_to(ROOT / "microlearn")
    return folder


def page_file(folder, name):
    return folder / "docs" / f"{name}.md"


def read(folder, name):
    return pages.read(page_file(folder, name), f"docs/{name}.md")


def site_faults(results, page):
    """Say what the site has against a page."""
    return [str(fault) for fault in extension._parts(page, results.start(page).result(timeout=60), "")[1]]


def command(name):
    """Find a command beside the Python that runs."""
    return str(pathlib.Path(sys.executable).with_name(name))


def build(folder, *arguments):
    """Run a builder there; return what it printed and its exit status."""
    done = subprocess.run(
        [command(arguments[0]), *arguments[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    return done.stdout + done.stderr, done.returncode


def run_pytest(folder, *arguments):
    """Run pytest there, in a process of its own; return what it printed and its exit status."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )
    return done.stdout + done.stderr, done.returncode
