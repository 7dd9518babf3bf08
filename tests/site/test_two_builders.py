"""MkDocs and Zensical build the same blocks, outputs, figures, sources and exercises from the same folder."""

from html.parser import HTMLParser

import pytest

from tests.site.project import ROOT, build, copy_of_the_site

PAGES = sorted(
    str(file.relative_to(ROOT / "docs")) for file in (ROOT / "docs").rglob("*.md") if "_site" not in file.parts
)
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Ours(HTMLParser):
    """Collects what our extension put on a page: each card as a list of tags and texts."""

    def __init__(self):
        super().__init__()
        self.cards, self.depth = [], 0

    def handle_starttag(self, tag, attrs):
        kinds = (dict(attrs).get("class") or "").split()
        if not self.depth and not {"block", "source", "exercise", "page-error"}.isdisjoint(kinds):
            self.cards.append([])
            self.depth = 1
        elif self.depth and tag not in VOID:
            self.depth += 1
        if self.depth:
            self.cards[-1].append((tag, sorted(attrs)))

    def handle_startendtag(self, tag, attrs):
        if self.depth:
            self.cards[-1].append((tag, sorted(attrs)))

    def handle_endtag(self, tag):
        if self.depth:
            self.cards[-1].append(f"/{tag}")
            self.depth -= tag not in VOID

    def handle_data(self, data):
        if self.depth:
            self.cards[-1].append(data)


def cards(site, page):
    address = page.removesuffix("index.md").removesuffix(".md")
    ours = Ours()
    ours.feed((site / address / "index.html").read_text(encoding="utf-8"))
    assert not ours.depth
    return ours.cards


@pytest.fixture(scope="module")
def built(built_site, tmp_path_factory):
    """What each builder makes of each page; what the blocks came to, both know from MkDocs' build."""
    folder = copy_of_the_site(tmp_path_factory.mktemp("site"))
    output, status = build(folder, "zensical", "build")  # --clean would throw the cache away
    assert status == 0, output
    return [{page: cards(site, page) for page in PAGES} for site in (built_site[0], folder / "site")]


@pytest.mark.parametrize("page", PAGES)
def test_both_builders_make_the_same_of_a_page(built, page):
    by_mkdocs, by_zensical = built
    assert by_mkdocs[page] == by_zensical[page]


def test_there_is_something_to_compare(built):
    kinds = {dict(card[0][1])["class"].split()[0] for made in built for cards in made.values() for card in cards}
    assert kinds == {"block", "source", "exercise"}
    assert len(built[0]["autograd/value.md"]) > 10
