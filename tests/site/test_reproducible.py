"""Two cold builds give the same bytes."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.site.conftest import ROOT


def build(folder):
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "site", "tests", "uv.lock", "__pycache__"))
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    subprocess.run(command, cwd=folder, env=os.environ | {"SOURCE_DATE_EPOCH": "0"}, check=True, timeout=300)
    site = folder / "site"
    return {file.relative_to(site): file.read_bytes() for file in site.rglob("*") if file.is_file()}


def test_two_cold_builds_are_the_same_to_the_byte(tmp_path):
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(build, (tmp_path / "first", tmp_path / "second"))
    assert first.keys() == second.keys() and len([page for page in first if page.suffix == ".html"]) >= 3
    assert [str(file) for file in first if first[file] != second[file]] == []
