"""Two builds give the same bytes: the one that other tests read, and one elsewhere, where a page of each folder is run.

What a notebook prints when it runs again, test_notebook.py compares.
"""

import os
import re
import shutil
import subprocess
import sys

from tests.site.conftest import ROOT

# The figure of a measured block shows what was measured at this build; its table is the recorded one.
FIGURE_OF_TIMES = re.compile(rb'(<div class="block static measured"[^>]*>)<figure.*?</figure>', re.DOTALL)


def files(site):
    return {
        file.relative_to(site): FIGURE_OF_TIMES.sub(rb"\1", file.read_bytes())
        for file in site.rglob("*")
        if file.is_file()
    }


def test_a_build_elsewhere_is_the_same_to_the_byte(built_site, tmp_path):
    folder, address = built_site
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "site", "tests", "uv.lock", "__pycache__"))
    shutil.copytree(ROOT / ".cache", copy / ".cache")
    kept = sorted((copy / ".cache" / "pages").glob("*.json"))
    anew = {file.name.split("--")[1]: file for file in kept}  # the last of each folder: all of them take minutes
    assert len(anew) >= 5
    for file in anew.values():
        file.unlink()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    settings = {"SITE_URL": address, "SOURCE_DATE_EPOCH": "0"}
    subprocess.run(command, cwd=copy, env=os.environ | settings, check=True, timeout=900)
    first, second = files(folder), files(copy / "site")
    assert first.keys() == second.keys() and len([page for page in first if page.suffix == ".html"]) >= 3
    assert [str(file) for file in first if first[file] != second[file]] == []
