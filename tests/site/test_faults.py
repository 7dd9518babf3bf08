"""What trips a reader up on any page, wide and narrow, light and dark: errors, sideways scrolling, what axe finds."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.site.test_browser import PAGES, url

# What axe looks at, by scheme (dark or not) and width. It takes seconds a page: the scheme changes only colours, and
# a phone's width changes neither colours nor code.
AXE = {
    (False, 1280): {},
    (True, 1280): {"options": {"runOnly": {"type": "rule", "values": ["color-contrast"]}}},
    (False, 360): {"options": {"rules": {"color-contrast": {"enabled": False}}}},
}

# Of the thousands of coloured words in a page's code, one of each kind is enough for axe.
ONE_TOKEN_OF_EACH_KIND = """() => {
  const seen = new Set();
  document.querySelectorAll('pre code span').forEach(token => {
    const kind = token.className + ' in ' + token.closest('pre').parentElement.className;
    if (seen.has(kind)) token.replaceWith(...token.childNodes);
    else seen.add(kind);
  });
  document.querySelectorAll('pre code').forEach(code => code.normalize());
}"""

WITHOUT_ALTERNATIVE = """
[...document.querySelectorAll('article img, article svg')].filter(figure =>
  figure.tagName === 'IMG' ? !figure.alt
  : figure.getBoundingClientRect().width > 64 && !figure.querySelector('title, desc')
    && !figure.getAttribute('aria-label') && !figure.closest('[aria-hidden=true]')
).map(figure => figure.outerHTML.slice(0, 90))
"""


@pytest.mark.parametrize("path", [*PAGES, "404.html"])
def test_a_page_has_no_fault(built_site, view, path):
    address = built_site[1]
    faults = []
    view.on("console", lambda message: message.type == "error" and faults.append(f"console: {message.text}"))
    view.on("pageerror", lambda error: faults.append(f"script: {error}"))
    view.on("request", lambda r: r.url.startswith((address, "data:", "blob:")) or faults.append(f"outside: {r.url}"))
    view.goto(address + path if path.endswith(".html") else url(address, path), wait_until="load")
    view.wait_for_timeout(100)
    if view.evaluate("document.documentElement.scrollWidth > innerWidth"):
        faults.append("the page scrolls sideways")
    faults += [f"figure without alternative: {figure}" for figure in view.evaluate(WITHOUT_ALTERNATIVE)]
    dark = view.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    view.evaluate(ONE_TOKEN_OF_EACH_KIND)
    if (looks := AXE.get((dark, view.viewport_size["width"]))) is not None:
        for violation in Axe().run(view, **looks).response["violations"]:
            faults += [f"axe: {violation['id']}: {node['html'][:120]}" for node in violation["nodes"]]
    assert not faults, "\n".join(faults)
