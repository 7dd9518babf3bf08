"""A graph is followed with the finger: what its figure shows at each step, how it is reached, and without a script."""
# ruff: noqa: RUF001 (the sign of multiplication)

import math
import pathlib

import pytest
from axe_playwright_python.sync_playwright import Axe

from docs._site.render import _unique_ids
from microlearn import Value
from microlearn.autograd import draw, trace
from microlearn.autograd._words import number
from microlearn.autograd.value import node

SITE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "_site"
LESSON = "autograd/trace/"


def tanh():
    a, b, c = Value(2.0, "a"), Value(-3.0, "b"), Value(10.0, "c")
    e = a * b
    e.label = "e"
    return (e + c).tanh()


def twice():
    """Two numbers are used twice: a leaf in one operation, and an interior node in two."""
    a = Value(3.0, "a")
    square = a * a
    return square * 2 + square


class Figures:
    """Figures as a page holds them, and what they show at a step."""

    def __init__(self, page, *values):
        self.page = page
        markup = [_unique_ids(draw(value, steps=True)._repr_svg_(), f"block-{i}-") for i, value in enumerate(values)]
        blocks = "".join(f'<div class="block"><figure class="result">{svg}</figure></div>' for svg in markup)
        styles = "".join((SITE / "stylesheets" / f"{name}.css").read_text() for name in ("site", "lesson"))
        page.set_content(f"<style>{styles}</style><main><article>{blocks}</article></main>")
        self.still = self.texts()
        page.add_script_tag(path=SITE / "javascripts" / "stepper.js")

    def at(self, index):
        return self.page.locator(".block").nth(index)

    def go(self, step, index=0):
        self.at(index).locator("input").fill(str(step))

    def words(self, index=0):
        return self.at(index).locator(".stepper-words").inner_text().strip()

    def texts(self, index=0):
        """What can be read in each box, from the first to the last."""
        read = """boxes => boxes.map(box => [...box.querySelectorAll("text")]
            .filter(text => text.checkVisibility({visibilityProperty: true})).map(text => text.textContent))"""
        return self.at(index).locator(".node").evaluate_all(read)

    def marked(self, kind, index=0):
        """The numbers of the boxes that are marked, and the ends of the edges."""
        boxes = self.at(index).locator(f".node.{kind}").evaluate_all("all => all.map(box => +box.dataset.step)")
        ends = "all => all.map(edge => [+edge.dataset.from, +edge.dataset.to])"
        return boxes, [tuple(pair) for pair in self.at(index).locator(f"path.{kind}").evaluate_all(ends)]


def test_before_the_first_step_the_figure_is_whole(page):
    figure = Figures(page, tanh())
    assert figure.texts() == figure.still
    assert figure.words() == "Follow it: 6 steps forward, 6 back."
    assert figure.marked("later") == figure.marked("now") == ([], [])


def test_forward_a_number_appears_when_it_is_computed(page):
    figure = Figures(page, tanh())
    figure.go(3)
    assert figure.words() == "Forward, 3 of 6 e = a * b = -6. Slope -3 towards a, 2 towards b."
    assert figure.texts() == [
        *(["a", "2", "grad"], ["b", "-3", "grad"], ["*", "e", "-6", "grad"]),
        *(["c", "grad"], ["+", "v1", "grad"], ["tanh", "v2", "grad"]),
    ]
    assert figure.marked("now") == ([2], [(0, 2), (1, 2)])
    assert figure.marked("later") == ([3, 4, 5], [(2, 4), (3, 4), (4, 5)])
    figure.go(4)
    assert figure.words() == "Forward, 4 of 6 c = 10, a leaf."


def test_backward_gradients_are_seen_to_grow(page):
    figure = Figures(page, twice())
    total = 5
    figure.go(total + 1)
    assert figure.words() == (
        "Backward, 1 of 5 v3 has 1: it moves as much as itself. It passes 1 × 1 = 1 to v2, 1 × 1 = 1 to v1."
    )
    assert figure.texts()[1] == ["*", "v1", "9", "grad", "1"]
    figure.go(total + 2)
    assert figure.words() == "Backward, 2 of 5 v2 has 1. It passes 1 × 2 = 2 to v1 (1 + 2 = 3), 1 × 9 = 9 to 2."
    assert figure.texts()[1] == ["*", "v1", "9", "grad", "3"]
    assert figure.texts()[0] == ["a", "3", "grad"]
    assert figure.marked("now") == ([3], [(1, 3), (2, 3)])
    assert figure.marked("later") == ([], [])
    figure.go(total + 4)
    assert figure.words() == "Backward, 4 of 5 v1 has 3. It passes 3 × 3 = 9 to a, 3 × 3 = 9 to a (9 + 9 = 18)."
    assert figure.texts()[0] == ["a", "3", "grad", "18"]


def test_the_end_is_what_was_there_without_the_script(page):
    """In digits, too: Python and the browser round alike, halves included."""
    values = [1.0625, 1.0635, -2.00005, 12345.0, 1.23456e-7, 1 / 3, 99995.0, 0.00012345, 2.5, 1e300, -0.0, math.inf]
    result = Value(1.0)
    for value in values:
        result = node(value, (result, Value(value)), (1.0, value), "+")
    for made in (tanh(), twice(), result):
        figure = Figures(page, made)
        steps = 2 * len(figure.still)
        figure.go(steps)
        assert figure.texts() == figure.still
        for step, row in enumerate(trace(made).backward, steps // 2 + 1):
            figure.go(step)
            assert f" has {number(row.gradient)}" in figure.words()
            assert all(f"= {number(share)} to " in figure.words() for _, share in row.contributions)


def test_it_is_stepped_by_keyboard(page):
    figure = Figures(page, tanh())
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert figure.words().startswith("Follow it"), "Back has nowhere to go"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert figure.words() == "Forward, 1 of 6 a = 2, a leaf."
    assert page.locator("input").get_attribute("aria-valuetext") == "Forward, 1 of 6"
    page.keyboard.press("End")
    assert figure.words().startswith("Backward, 6 of 6 a has ")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Done"
    page.keyboard.press("Enter")
    assert figure.words().startswith("Follow it")
    assert page.evaluate("document.activeElement.textContent") == "Start"
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert figure.words() == "Forward, 2 of 6 b = -3, a leaf."
    page.get_by_role("button", name="Back").click()
    assert figure.words() == "Forward, 1 of 6 a = 2, a leaf."
    assert page.locator("p[aria-live=polite]").inner_text().strip() == figure.words()


def test_two_figures_on_a_page_do_not_disturb_each_other(page):
    figures = Figures(page, tanh(), twice())
    second = figures.texts(1)
    figures.go(2, index=0)
    assert figures.texts(1) == second and figures.words(1).startswith("Follow it")
    figures.go(8, index=1)
    assert figures.words(0).startswith("Forward, 2") and figures.words(1).startswith("Backward, 3")
    names = page.get_by_role("group").evaluate_all("all => all.map(group => group.ariaLabel)")
    assert names == [f"Steps: Computational graph of the value {number(made().data)}" for made in (tanh, twice)]


def test_paper_gets_the_whole_graph(page):
    figure = Figures(page, tanh())
    figure.go(2)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert figure.texts() == figure.still and not page.locator(".stepper").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert figure.words().startswith("Forward, 2")


def test_a_label_is_never_markup(page):
    a = Value(1.0, "<img src=x onerror=alert(1)>")
    figure = Figures(page, a * 2)
    figure.go(1)
    assert figure.words() == "Forward, 1 of 3 <img src=x onerror=alert(1)> = 1, a leaf."


# In the site


@pytest.mark.parametrize("step", [2, 8])
def test_a_step_in_the_middle_has_no_fault(built_site, view, step):
    view.goto(built_site[1] + LESSON)
    figure = view.locator(".block:has(.stepper)").first
    figure.locator("input").fill(str(step))
    view.evaluate("Promise.all(document.getAnimations().map(animation => animation.finished))")
    violations = Axe().run(view).response["violations"]
    assert not [f"{fault['id']}: {node['html'][:120]}" for fault in violations for node in fault["nodes"]]
    assert not view.evaluate("document.documentElement.scrollWidth > innerWidth")
    for control in figure.locator(".stepper :is(button, input)").all():
        assert control.bounding_box()["height"] >= 44
    sizes = figure.locator("svg").evaluate(
        "svg => [svg.getBoundingClientRect().width / svg.viewBox.baseVal.width, "
        "...[...svg.querySelectorAll('text')].map(text => parseFloat(getComputedStyle(text).fontSize))]"
    )
    assert round(sizes[0] * min(sizes[1:]), 2) >= 12, "words in the figure are too small to be read"


def test_on_a_phone_the_number_in_question_is_in_view(built_site, chromium):
    context = chromium.new_context(viewport={"width": 360, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(built_site[1] + LESSON)
    figure = page.locator(".block:has(.stepper)").first
    frame = figure.locator("figure").bounding_box()
    for step in range(1, int(figure.locator("input").get_attribute("max")) + 1):
        figure.locator("input").fill(str(step))
        box = figure.locator(".node.now rect").bounding_box()
        assert frame["x"] <= box["x"] and box["x"] + box["width"] <= frame["x"] + frame["width"]
    context.close()


def test_turning_the_page_brings_the_controls(built_site, page):
    page.goto(built_site[1] + "journal/")
    page.evaluate("window.stayed = true")
    page.locator("#contents summary").first.click()
    page.get_by_role("link", name="Follow it with your finger").first.click()
    page.wait_for_url(f"**/{LESSON}")
    page.locator(".stepper button", has_text="Start").first.click()
    assert page.locator(".stepper-words").first.inner_text().startswith("Forward, 1 of ")
    assert page.evaluate("window.stayed")
    assert page.locator(".stepper").count() == page.locator("svg[data-trace]").count()


def test_without_a_script_there_are_no_dead_controls(built_site, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(built_site[1] + LESSON)
    assert page.locator("svg[data-trace]").count() and not page.locator(".stepper, input[type=range]").count()
    context.close()
