"""Blocks as HTML: a block, its output and its figure are one card."""

import functools
import itertools
import re
from html import escape

import pygments
from l2m4m import LaTeX2MathMLExtension
from markdown import Markdown
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

INK = "#010203"  # matplotlibrc draws in these; the page's own colours take their place
CYCLE = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#e69f00", "#56b4e9")

CAPTION, SPOKEN = (re.compile(rf'<svg[^>]* {name}="([^"]+)"') for name in ("data-caption", "aria-label"))

MEASURED = "A sample, measured once. Your numbers will differ, their shape will not."


def block(number, block, result):
    """Render a python block with what it came to."""
    kinds = ["block"]
    kinds += ["not-run"] if not block.runs else [flag for flag in ("static", "measured") if flag in block.flags]
    code, printed = highlight(block.code), []
    if block.output is not None:
        printed.append(output(block.output.code, error="raises" in block.options))
    shown = [_shown(kind, markup, f"block-{number}-") for kind, markup in result.shown] if result else []
    if "measured" in block.flags and (printed or shown):
        (printed or shown).append(f'<p class="measured-note">{MEASURED}</p>')
    if "static" in block.flags and shown:  # a plot's code is about plotting: the figure comes first
        parts = [*shown, _folded("figure-code", "The code of this figure", code), *printed]
    else:
        parts = [code, *printed, *shown]
    session = "" if block.session is None else f' data-session="{block.session}"'
    return f'<div class="{" ".join(kinds)}" id="block-{number}"{session}>{"".join(parts)}</div>'


def exercise(exercise, results):
    """Render an exercise; `results` say by line what the check answers each attempt."""
    ident, starter = f"exercise-{escape(exercise.name)}", exercise.starter
    level, minutes = escape(starter.options["level"]), escape(starter.options["minutes"])
    parts = [
        f'<p class="exercise-head" id="{ident}-head"><strong>Exercise</strong> '
        f'<span class="level">{level}</span> <span class="minutes">{minutes} min</span></p>',
        f'<div class="block starter" id="{ident}-starter">{highlight(starter.code)}</div>',
        *(_folded("hint", "Hint", _inline(hint.code)) for hint in exercise.hints),
        _folded("check", "The check", highlight(exercise.check.code) + _answer("this starter", results[starter.line])),
        _folded(
            "mistakes",
            f"Mistakes that the check catches ({len(exercise.wrongs)})",
            "".join(_wrong(wrong, results[wrong.line]) for wrong in exercise.wrongs),
        ),
        _folded("solution", "Solution", highlight(exercise.solution.code)),
    ]
    return f'<section class="exercise" id="{ident}" aria-labelledby="{ident}-head">{"".join(parts)}</section>'


def _wrong(wrong, result):
    comment, _, code = wrong.code.partition("\n")
    mistake = _inline(comment.lstrip("# ").capitalize() + ".")
    return f'<div class="wrong">{mistake}{highlight(code)}{_answer("it", result)}</div>'


def _answer(subject, result):
    if not result.refusal:
        return ""
    return f'<p class="answer">What the check says about {subject}:</p>' + output(result.refusal + "\n", error=True)


def sources(pieces, repository):
    """Render named pieces of the engine, each linked to its lines in its file; more than three are folded away."""
    cards = "".join(_source(piece, repository) for piece in pieces)
    if len(pieces) <= 3:
        return cards
    names = ", ".join(f"<code>{escape(piece.short.rpartition('.')[2])}</code>" for piece in pieces)
    return _folded("sources", f"{len(pieces)} pieces of the engine: <span>{names}</span>", cards)


def _source(piece, repository):
    link = escape(f"{repository}/blob/main/{piece.file}#L{piece.first}-L{piece.last}")
    name, file = f"<code>{escape(piece.short)}</code>", f"<span>{escape(piece.file)}</span>"
    return (
        f'<div class="source" id="source-{piece.name.replace(".", "-")}"><p class="source-name">'
        f'<a href="{link}">{name} {file}</a></p>{highlight(piece.code)}</div>'
    )


def fault(error):
    """Render an error where the page has it, for the author who is looking at the served page."""
    return f'<div class="page-error" role="alert"><p>{escape(error.place)}</p><pre>{escape(error.message)}</pre></div>'


def output(text, error=False):
    kind, label = ("output error", "Error") if error else ("output", "Output")
    return f'<pre class="{kind}" aria-label="{label}">{escape(text, quote=False)}</pre>'


@functools.lru_cache(4096)  # a served site highlights everything again at every save
def highlight(code):
    html = pygments.highlight(code, PythonLexer(), HtmlFormatter(cssclass="highlight", wrapcode=True))
    return html.replace("<code>", '<code class="language-python">')


def _folded(kind, title, body):
    return f'<details class="{kind}"><summary>{title}</summary>{body}</details>'


def _inline(text):
    return Markdown(extensions=[LaTeX2MathMLExtension()]).convert(text.strip())


def _shown(kind, markup, prefix):
    if kind == "html":
        return f'<div class="result html">{_unique_ids(_page_html(markup), prefix)}</div>'
    svg = _page_svg(markup)
    kind = "result plot" if 'class="plot"' in svg else "result"
    return f'<figure class="{kind}" data-search-exclude="figure">{_unique_ids(svg, prefix)}</figure>'


def _page_html(html):
    """Make every SVG in it a part of the page, with ids of its own; those that a slider leafs through get a caption."""
    number, frames = itertools.count(), 'class="frames"' in html

    def picture(match):
        svg = _unique_ids(_page_svg(match[0]), f"{next(number)}-")
        if not frames:
            return svg
        caption, *_ = CAPTION.findall(svg) + SPOKEN.findall(svg)
        return f'<figure class="frame">{svg}<figcaption>{caption}</figcaption></figure>'

    html = re.sub(r"<svg.*?</svg>", picture, html, flags=re.DOTALL)
    return html.replace('class="frames"', 'class="frames" role="group"')


def _page_svg(svg):
    """Make an SVG a part of the page: its ink is the page's, its title speaks for it, its rules stay its own."""
    svg = svg[svg.index("<svg") :]
    title = re.search(r"<dc:title>(.*?)</dc:title>", svg, re.DOTALL)
    svg = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    if title:  # matplotlib's figure label
        svg = re.sub(r"<svg ", f'<svg role="img" aria-label="{escape(title[1])}" class="plot" ', svg, count=1)
    svg = svg.replace(INK, "currentColor")
    for number, colour in enumerate(CYCLE):
        svg = svg.replace(colour, f"var(--c{number})")
    return re.sub(r">\s+<", "><", svg.strip())


def _unique_ids(markup, prefix):
    """Put `prefix` before every id and every reference to one, so that two figures can stand on a page."""
    ids = set(re.findall(r'\bid="([^"]+)"', markup))

    def renamed(match):
        names = [prefix + name if name in ids else name for name in match[2].split()]
        return f'{match[1]}"{" ".join(names)}"'

    markup = re.sub(r'(\b(?:id|aria-labelledby|aria-describedby|for)=)"([^"]+)"', renamed, markup)
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda m: m[1] + prefix + m[2] if m[2] in ids else m[0], markup)
