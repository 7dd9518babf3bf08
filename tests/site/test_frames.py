"""Pictures that a slider leafs through: by keyboard, by button, on paper, and side by side without a script."""

import pathlib

import pytest
from axe_playwright_python.sync_playwright import Axe

from docs._site import render, sessions
from docs._site.sessions import Unexplained

SITE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "_site"
CAPTIONS = ["w = -1", "w = 0, the middle", "w &lt; 2"]
SEEN = [caption.replace("&lt;", "<") for caption in CAPTIONS]


class Frames:
    """Three pictures of different heights, as a page's own object shows them."""

    def _repr_html_(self):
        svgs = "".join(
            f'<svg class="plot" role="img" aria-labelledby="title" data-caption="{caption}" width="300" '
            f'height="{height}" viewBox="0 0 300 {height}"><title id="title">Line {height}</title>'
            f'<path d="M0 0h300" stroke="{render.INK}"/></svg>'
            for caption, height in zip(CAPTIONS, (100, 200, 150), strict=True)
        )
        return f'<div class="frames" aria-label="w, the weight">{svgs}</div>'


def card(number=1):
    return f'<div class="block">{render._shown(*sessions._shown(Frames())[0], f"block-{number}-")}</div>'


def put(page, *cards, script=True):
    """Put cards on a page in the look of the site, with the script or without."""
    styles = "".join((SITE / "stylesheets" / f"{name}.css").read_text() for name in ("site", "lesson"))
    page.set_content(
        f"<html lang=en><title>t</title><style>{styles} main {{ padding: 0 var(--edge) }}</style>"
        f"<main><h1>t</h1><article>{''.join(cards)}</article>"
    )
    if script:
        page.add_script_tag(path=SITE / "javascripts" / "frames.js")


def shown(page, index=0):
    """Which frames can be seen, by number."""
    seen = """frames => frames.flatMap((frame, i) =>
        frame.querySelector("svg").checkVisibility({visibilityProperty: true}) ? [i] : [])"""
    return page.locator(".frames").nth(index).locator(".frame").evaluate_all(seen)


def words(page):
    return page.locator(".stepper-words").inner_text()


def test_each_picture_is_a_part_of_the_page_with_ids_of_its_own(page):
    put(page, card(1), card(2), script=False)
    ids = page.locator("title[id]").evaluate_all("all => all.map(title => title.id)")
    assert len(set(ids)) == len(ids) == 6
    for i, svg in enumerate(page.get_by_role("img").all()):
        assert svg.get_attribute("aria-labelledby") == ids[i]
    assert page.locator('path[stroke="currentColor"]').count() == 6


def test_a_picture_without_a_caption_is_an_error():
    class Silent:
        def _repr_html_(self):
            return '<div class="frames" aria-label="w"><svg data-caption="one"/><svg role="img"></svg></div>'

    with pytest.raises(Unexplained, match="frames without a caption"):
        sessions._shown(Silent())


def test_the_spoken_words_are_the_caption_where_there_is_no_other():
    svg = '<svg role="img" aria-label="spoken"></svg>'
    markup = render._shown("html", f'<div class="frames" aria-label="w">{svg}</div>', "x-")
    assert markup.count("<figcaption>spoken</figcaption>") == 1


def test_the_keyboard_leafs(page):
    put(page, card())
    slider = page.get_by_role("slider", name="w, the weight")
    assert (shown(page), words(page)) == ([0], SEEN[0])
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert (shown(page), words(page), slider.get_attribute("aria-valuetext")) == ([1], SEEN[1], SEEN[1])
    page.keyboard.press("End")
    assert (shown(page), words(page), slider.get_attribute("aria-valuetext")) == ([2], SEEN[2], SEEN[2])
    assert page.locator("p[aria-live=polite]").inner_text() == SEEN[2]


def test_the_buttons_leaf_and_stop_at_the_ends(page):
    put(page, card())
    back, following = page.get_by_role("button", name="Back"), page.get_by_role("button", name="Next")
    seen = []
    for button in (back, following, following, following, back):
        button.click(force=True)
        ends = [end.get_attribute("aria-disabled") for end in (back, following)]
        seen.append((*shown(page), int(page.locator("input").input_value()), *ends))
    assert seen == [
        (0, 0, "true", "false"),
        (1, 1, "false", "false"),
        (2, 2, "false", "true"),
        (2, 2, "false", "true"),
        (1, 1, "false", "false"),
    ]


def test_the_height_does_not_jump(page):
    put(page, card())
    heights = set()
    for step in range(3):
        page.locator("input").fill(str(step))
        heights.add(page.locator(".block").bounding_box()["height"])
        assert page.locator(".frame.now svg").bounding_box()["height"] in (100, 200, 150)
    assert len(heights) == 1


def test_two_sliders_do_not_disturb_each_other(page):
    put(page, card(1), card(2))
    page.locator("input").nth(1).fill("2")
    assert (shown(page, 0), shown(page, 1)) == ([0], [2])
    page.add_script_tag(path=SITE / "javascripts" / "frames.js")
    assert page.locator("input").count() == 2, "a page that is known already gets no second slider"


@pytest.mark.parametrize("script", [True, False])
def test_paper_gets_all_of_them_side_by_side(page, script):
    put(page, card(), script=script)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 1000})
    assert shown(page) == [0, 1, 2] and not page.locator(".stepper").is_visible()
    assert page.locator("figcaption").all_inner_texts() == SEEN
    boxes = [svg.bounding_box() for svg in page.locator("svg").all()]
    assert boxes[0]["y"] == boxes[1]["y"] < boxes[2]["y"] and boxes[0]["x"] < boxes[1]["x"]


@pytest.mark.parametrize(("width", "columns"), [(1280, 2), (360, 1)])
def test_without_a_script_they_stand_in_a_grid(page, width, columns):
    put(page, card(), script=False)
    page.set_viewport_size({"width": width, "height": 800})
    assert shown(page) == [0, 1, 2] and page.locator("figcaption").all_inner_texts() == SEEN
    assert len({svg.bounding_box()["x"] for svg in page.locator("svg").all()}) == columns
    assert not page.locator("input, button").count()


@pytest.mark.parametrize("script", [True, False])
def test_it_has_no_fault(view, script):
    put(view, card(1), card(2), script=script)
    violations = Axe().run(view).response["violations"]
    assert not [f"{fault['id']}: {node['html'][:120]}" for fault in violations for node in fault["nodes"]]
    assert not view.evaluate("document.documentElement.scrollWidth > innerWidth")
    for control in view.locator(".stepper :is(button, input)").all():
        assert control.bounding_box()["height"] >= 44


# In the site


def test_turning_the_page_brings_the_slider(built_site, page):
    page.goto(built_site[1] + "journal/")
    page.evaluate("window.stayed = true")
    page.locator("#contents a[href$='networks/neuron/']").evaluate("link => link.click()")
    page.wait_for_url("**/networks/neuron/")
    page.locator(".frames button", has_text="Next").first.click()
    assert shown(page) == [1]
    assert page.evaluate("window.stayed")
    assert page.locator(".frames").count() == page.locator(".frames input").count()
