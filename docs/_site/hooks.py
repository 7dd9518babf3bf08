"""What only MkDocs needs; the site is complete without it.

A build that fails leaves the last good site in place: MkDocs empties the site's folder before it reads
the first page, so it builds beside it, and the new site takes the old one's place when all went well.
"""

import contextlib
import os
import pathlib
import shutil
import sys

from docs._site import extension
from docs._site.notebooks import on_files, on_pre_page  # noqa: F401 (MkDocs finds them here)
from docs._site.search_index import on_page_context  # noqa: F401 (MkDocs finds it here)


class _Swap:
    """The folders of a running build."""

    wanted = built = False
    site = fresh = pathlib.Path()


def on_startup(command, dirty):
    _Swap.wanted = command == "build" and not dirty
    _Swap.built = False


def on_config(config):
    if _Swap.wanted:
        _Swap.site = pathlib.Path(config.site_dir)
        _Swap.fresh = _Swap.site.with_name(f".{_Swap.site.name}-{os.getpid()}")  # two may build at once
        config.site_dir = str(_Swap.fresh)


def on_post_build(config):
    _Swap.built = True


def on_shutdown():
    """End what still runs; swap the folders, unless an error or a strict build's warnings end the command."""
    extension.stop()
    if not _Swap.wanted:
        return
    site, fresh = _Swap.site, _Swap.fresh
    if _Swap.built and sys.exc_info()[0] is None:
        old = fresh.with_name(f"{fresh.name}-old")
        with contextlib.suppress(FileNotFoundError):
            site.rename(old)
        fresh.rename(site)
        shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(fresh, ignore_errors=True)
