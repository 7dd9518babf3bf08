"""Every page in a real browser: how heavy it is, by keyboard, on paper, and without JavaScript."""

import gzip
import pathlib
import re
from urllib.parse import urlsplit

import pytest

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
FILES = [*DOCS.rglob("*.md"), *DOCS.glob("experiments/*.py")]
PAGES = sorted(file.relative_to(DOCS).as_posix() for file in FILES if "_site" not in file.parts)
NOT_LESSONS = ("index.md", "journal.md", "reference")
LESSONS = [page for page in PAGES if page.split("/")[0] not in NOT_LESSONS]
FIRST_LOAD = 300 * 1024  # bytes of a lesson, compressed, without the search index


def url(address, page):
    path = re.sub(r"(index)?\.(md|py)$", "", page)
    return address + (path + "/" if path and not path.endswith("/") else path)


@pytest.mark.parametrize("path", LESSONS)
def test_the_first_load_of_a_lesson_is_light(built_site, page, path):
    responses = []
    page.on("response", lambda response: responses.append(response))
    page.goto(url(built_site[1], path), wait_until="networkidle")
    loaded = [response for response in responses if response.ok and "search_index" not in response.url]
    sizes = {urlsplit(response.url).path: len(gzip.compress(response.body())) for response in loaded}
    assert len(sizes) > 2 and sum(sizes.values()) <= FIRST_LOAD, sizes


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_complete_without_javascript(built_site, chromium, path):
    read = {}
    for scripted in (True, False):
        context = chromium.new_context(java_script_enabled=scripted)
        page = context.new_page()
        page.goto(url(built_site[1], path), wait_until="load")
        article = page.locator("article")
        article.evaluate("article => article.querySelectorAll('.stepper').forEach(controls => controls.remove())")
        article.evaluate("article => article.querySelectorAll('.docstring-more').forEach(button => button.remove())")
        article.evaluate("article => article.querySelectorAll('.docstring').forEach(rest => (rest.hidden = false))")
        article.evaluate(
            "article => article.querySelectorAll('.leafed').forEach(all => all.classList.remove('leafed'))"
        )
        parts = [
            article.locator(kind).count() for kind in (".block", ".output", "svg", ".source", ".exercise", "details")
        ]
        text = " ".join(article.inner_text().replace("Copy starter and check", "").replace("Copy", "").split())
        read[scripted] = text, parts, page.locator("#contents a").count()
        context.close()
    assert read[True] == read[False]
    assert read[False][2] >= 2


def test_hints_and_solutions_open_without_javascript(built_site, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url(built_site[1], "autograd/value.md"))
    for kind in ("hint", "check", "mistakes", "solution"):
        details = page.locator(f"details.{kind}").first
        assert not details.locator("> *:not(summary)").first.is_visible()
        details.locator("summary").click()
        assert details.locator("> *:not(summary)").first.is_visible()
    context.close()


def test_turning_the_page_keeps_the_script_alive(built_site, page):
    """Instant navigation swaps the page's content: phase, copy buttons and title have to follow."""
    page.goto(url(built_site[1], "index.md"))
    page.evaluate("window.stayed = true")
    page.locator("#contents summary").first.click()
    page.get_by_role("link", name="A number that remembers").first.click()
    page.wait_for_url("**/autograd/value/")
    page.locator("article[data-phase=autograd] .block button.copy").first.wait_for()
    assert page.evaluate("window.stayed"), "the browser loaded the page anew: instant navigation is off"
    page.go_back()
    page.locator("article .phases").wait_for()


def test_copy_gives_the_code(built_site, page):
    page.goto(url(built_site[1], "index.md"))
    block = page.locator(".block").first
    block.hover()
    block.locator("button.copy").click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("from microlearn import Value\n")


def test_search_finds_a_lesson_by_keyboard(built_site, page):
    page.goto(url(built_site[1], "journal.md"), wait_until="networkidle")
    page.keyboard.press("/")
    page.keyboard.type("remembers")
    result = page.locator(".md-search-result__link").first
    result.wait_for()
    assert "autograd/value" in result.get_attribute("href")


def test_the_scheme_follows_the_system_until_the_reader_chooses(built_site, chromium):
    context = chromium.new_context(color_scheme="dark")
    page = context.new_page()
    background = "getComputedStyle(document.documentElement).backgroundColor"
    page.goto(url(built_site[1], "index.md"))
    dark = page.evaluate(background)
    page.locator("button.scheme").click()
    light = page.evaluate(background)
    assert light != dark
    page.reload()
    assert page.evaluate(background) == light
    context.close()


def test_the_keyboard_reaches_the_text_first_and_everything_shows_where_it_is(built_site, page):
    page.goto(url(built_site[1], "autograd/value.md"))
    page.keyboard.press("Tab")
    assert "#" in page.evaluate("document.activeElement.href"), "the first stop skips to the content"
    outlines = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        outlines.add(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
    assert "none" not in outlines


def test_paper_gets_no_chrome_and_everything_unfolded(built_site, page):
    page.goto(url(built_site[1], "autograd/value.md"))
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not page.locator("header.header").is_visible()
    assert not page.locator("#contents").is_visible()
    assert page.locator("details:not([open])").count() == page.locator("nav details:not([open])").count()


def test_an_exercise_is_copied_whole(built_site, page):
    page.goto(url(built_site[1], "autograd/value.md"))
    page.locator("#exercise-count .exercise-head button.copy").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    with pytest.raises(AssertionError, match="a \\* b has parents"):
        exec(compile(copied, "try.py", "exec"), {})
