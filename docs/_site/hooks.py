"""What only MkDocs needs: a build that fails leaves the last good site in place.

MkDocs empties the site's folder before it reads the first page. So it builds beside it, and the new
site takes the old one's place when all went well.
"""

import pathlib
import shutil
import sys

_swap = {}


def on_startup(command, dirty):
    _swap.clear()
    _swap["wanted"] = command == "build" and not dirty


def on_config(config):
    if _swap["wanted"]:
        site = pathlib.Path(config.site_dir)
        _swap.update(site=site, fresh=site.with_name(f".{site.name}-new"))
        config.site_dir = str(_swap["fresh"])


def on_post_build(config):
    _swap["built"] = True


def on_shutdown():
    """Swap the folders, unless an error or a strict build's warnings are ending the command."""
    if "fresh" not in _swap:
        return
    site, fresh = _swap["site"], _swap["fresh"]
    if _swap.get("built") and sys.exc_info()[0] is None:
        old = site.with_name(f".{site.name}-old")
        shutil.rmtree(old, ignore_errors=True)
        if site.exists():
            site.rename(old)
        fresh.rename(site)
        shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(fresh, ignore_errors=True)
