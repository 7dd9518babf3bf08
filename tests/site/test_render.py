"""What blocks look like as HTML: nothing of theirs is taken for markup, and figures do not mix up their ids."""

import re

from docs._site import pages, render, sessions

FENCE = "```python\n{code}\n```\n\n```output\n{output}\n```\n"


def html(code, output="x", number=1):
    page = pages.parse(FENCE.format(code=code, output=output), "page.md")
    return render.block(number, page.blocks[0], sessions.Sessions(page, "page.md").result(page.blocks[0]))


def test_what_a_block_prints_is_text():
    assert "&lt;b&gt; &amp;amp; \"'" in html("1", output="<b> &amp; \"'")
    assert "<b>" not in html("print('<b>')", output="<b>")


def test_a_refusal_and_a_fault_are_text_too():
    assert render.output("a < b", error=True) == '<pre class="output error" aria-label="Error">a &lt; b</pre>'
    shown = render.fault(pages.PageError("docs/<x>.md:3", "write <b>"))
    assert "docs/&lt;x&gt;.md:3" in shown and "write &lt;b&gt;" in shown


def test_two_equal_figures_have_ids_of_their_own():
    code = "import matplotlib.pyplot as plt\n\nfig, ax = plt.subplots(num='one')\nax.plot([1, 2])\nfig"
    first, second = html(code), html(code, number=2)
    ids = [set(re.findall(r'\bid="([^"]+)"', figure)) for figure in (first, second)]
    assert ids[0] and not ids[0] & ids[1]
    for figure, own in zip((first, second), ids, strict=True):
        asked = set(re.findall(r'(?:href="#|url\(#)([^")]+)', figure))
        assert asked and asked <= own


def test_a_graph_is_named_by_its_own_title():
    code = "from microlearn import Value\nfrom microlearn.autograd import draw\n\ndraw(Value(1.0))"
    for number in (1, 2):
        shown = html(code, number=number)
        named = re.search(r'aria-labelledby="([^"]+)"', shown)[1].split()
        assert named and all(f'id="{name}"' in shown for name in named)
        assert all(name.startswith(f"block-{number}-") for name in named)


def test_ids_that_a_figure_does_not_have_are_left_alone():
    svg = '<svg aria-label="t"><a href="#elsewhere"><g id="own"/></a><use href="#own"/></svg>'
    shown = html(f"class S:\n    def _repr_svg_(self):\n        return {svg!r}\n\n\nS()")
    assert 'href="#elsewhere"' in shown and 'href="#block-1-own"' in shown and 'id="block-1-own"' in shown
