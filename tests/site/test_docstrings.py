"""Long docstrings in the engine's source: one line on the page, the whole one press away."""

import inspect

from microlearn.networks import losses

CARD = "#source-microlearn-networks-losses-hinge"


def test_a_long_docstring_shows_its_first_line_and_the_rest_when_it_is_asked_for(built_site, page):
    page.goto(built_site[1] + "networks/losses/")
    card = page.locator(CARD)
    more = card.get_by_role("button", name="The whole docstring")
    source = inspect.getsource(losses.hinge).rstrip()
    assert card.locator("code").last.inner_text().count("\n") < source.count("\n") - 15
    assert "Returns" not in card.locator("code").last.inner_text()
    more.focus()
    page.keyboard.press("Enter")
    assert card.locator("code").last.inner_text().rstrip() == source
    assert more.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Enter")
    assert "Returns" not in card.locator("code").last.inner_text()


def test_what_is_copied_has_the_whole_docstring(built_site, page):
    page.goto(built_site[1] + "networks/losses/")
    page.locator(CARD).locator("button.copy").click()
    assert page.evaluate("navigator.clipboard.readText()").rstrip() == inspect.getsource(losses.hinge).rstrip()


def test_turning_the_page_and_coming_back_folds_each_once(built_site, page):
    page.goto(built_site[1] + "networks/losses/")
    count = page.locator(".docstring-more").count()
    assert count == page.locator(".docstring").count() > 3
    page.evaluate("window.document$ && document$.next(document)")
    assert page.locator(".docstring-more").count() == count


def test_paper_gets_the_whole_docstring(built_site, page):
    page.goto(built_site[1] + "networks/losses/")
    page.locator(CARD).get_by_role("button", name="The whole docstring").wait_for()
    page.emulate_media(media="print")
    assert page.locator(CARD).locator("code").last.inner_text().rstrip() == inspect.getsource(losses.hinge).rstrip()
