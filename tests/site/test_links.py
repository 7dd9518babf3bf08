"""Every link of the built site and of the README leads somewhere: raw HTML, the theme's own and anchors included."""

import pathlib
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Links(HTMLParser):
    """The addresses that a page leads to, and the places in it that others can lead to."""

    def __init__(self, html):
        super().__init__()
        self.out, self.anchors = [], set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        if tag != "base":
            self.out += [attributes[name] for name in ("href", "src") if attributes.get(name)]

    handle_startendtag = handle_starttag


def leads_nowhere(site, address):
    """Yield each link within a built site that no file or no anchor answers."""
    pages = {file: Links(file.read_text(encoding="utf-8")) for file in sorted(site.rglob("*.html"))}
    for file, page in pages.items():
        here = address + file.relative_to(site).as_posix().removesuffix("index.html")
        for link in page.out:
            there = urljoin(here, link)
            if not there.startswith(address):
                continue
            parts = urlsplit(there)
            target = site / unquote(parts.path).lstrip("/")
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                yield f"{here}: {link} leads to no file"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{here}: {link} leads to no place on that page"


def test_every_link_of_the_site_leads_somewhere(built_site):
    site, address = built_site
    assert list(leads_nowhere(site, address)) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text('<p id="here"><a href="../gone/">x</a><img src="gone.svg"></p>')
    (tmp_path / "index.html").write_text(
        '<a href="page/#here">x</a> <a href="page/#there">x</a> <a href="/page/">x</a>'
    )
    found = [fault.split(": ")[1] for fault in leads_nowhere(tmp_path, "http://127.0.0.1:1/")]
    assert sorted(found) == [
        "../gone/ leads to no file",
        "gone.svg leads to no file",
        "page/#there leads to no place on that page",
    ]


def test_every_link_of_the_readme_leads_to_a_file():
    links = re.findall(r"\]\((?!https?://)([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
