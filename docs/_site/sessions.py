"""Running blocks: in which namespace, for how long, and what came out.

Both callers use this module: pytest runs blocks with it in its own process, so that coverage and
debuggers see them, and the site runs it in a process for each page (`worker.py`).
"""

import ast
import contextlib
import io
import os
import pathlib
import re
import signal
import sys
import threading
import traceback
from dataclasses import asdict, dataclass, field

# What matplotlib reads at its first import: neutral ink that the page colours, no dates, no random ids.
os.environ.setdefault("MATPLOTLIBRC", str(pathlib.Path(__file__).with_name("matplotlibrc")))

# One thread for each process that computes: pages run side by side, and threads that wait for one another burn the
# processor time that blocks are limited by. Read when numpy and scikit-learn are first imported.
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")


@dataclass
class Result:
    """What one block, or one attempt of an exercise, came to."""

    text: str = ""  # what it printed, and the repr of its last expression
    shown: list = field(default_factory=list)  # (kind, markup) of what displays itself: svg or html
    error: str = ""  # what went wrong, for the author
    refusal: str = ""  # for an attempt: what the check said of it

    def to_json(self):
        return asdict(self)


PATIENCE = 6  # how many times its limit a block may take by the clock, on a machine that is busy


class TimeLimit(BaseException):
    """A block ran too long. Not an Exception, so that a block which catches everything ends too."""


class Unexplained(Exception):
    """A figure has no text that says what it shows."""


class Printed(io.StringIO):
    """What a block prints, also when the block closes its standard output."""

    def close(self):
        pass


class Sessions:
    """The running state of one page: blocks run once, in order, when they are asked for.

    Parameters
    ----------
    page : pages.Page
        The page whose blocks are run.
    filename : str
        What tracebacks and debuggers call it; lines in them are lines of this file.
    limited : bool, optional
        Whether blocks are stopped at their time limit; someone who is debugging one has more time.
    """

    def __init__(self, page, filename, limited=True):
        self.page, self.filename, self.limited = page, filename, limited
        self.names = {}  # session number -> namespace
        self.results = {}  # line of a block or an attempt -> Result
        self.failed = {}  # session number -> line of the block that broke it

    def result(self, block):
        """Return what a block came to. The blocks before it in its session run first, where they have not yet.

        An attempt of an exercise runs with its check, in a session of its own.
        """
        if block.line in self.results:
            return self.results[block.line]
        if block.role:
            self.results[block.line] = self._attempt(self.page.exercise(block), block)
        else:
            for earlier in self.page.blocks:
                if earlier.session == block.session and earlier.line <= block.line and earlier.line not in self.results:
                    self.results[earlier.line] = self._run(earlier)
        return self.results[block.line]

    def _run(self, block):
        if block.session in self.failed:
            return Result(error=f"not run, because the block at line {self.failed[block.session]} failed before it")
        names = self.names.setdefault(block.session, {"__name__": "__main__"})
        result, raised = self._execute([block], names, block.limit)
        expected = block.options.get("raises")
        if raised is not None and expected in [kind.__name__ for kind in type(raised).__mro__]:
            result.text += f"{type(raised).__name__}: {_message(raised)}\n"
        elif raised is not None:
            wanted = f", not the {expected} that it declares" if expected else ""
            result.error = f"this block {_describe(raised, block.limit)}{wanted}\n{self._trace(raised)}"
            if isinstance(raised, Exception) and not expected:
                result.error += f'\nWhere the page means to show this error: ```python raises="{type(raised).__name__}"'
        elif expected and not result.error:
            result.error = f'this block ends well, but declares raises="{expected}": take that away or break it again'
        if result.error:
            self.failed[block.session] = block.line
        return result

    def _attempt(self, exercise, block):
        names = {"__name__": "__main__"}
        result, raised = self._execute([block, exercise.check], names, block.limit)
        result.text, result.shown = "", []
        if raised is None:
            return result
        check = exercise.check
        frames = [f for f in traceback.extract_tb(raised.__traceback__) if f.filename == self.filename]
        by_check = isinstance(raised, AssertionError) and frames and check.line < frames[-1].lineno < check.end
        if by_check:
            result.refusal = str(raised)
            if not result.refusal:
                result.error = f"the check refuses it without a word: give its assert at line {frames[-1].lineno} one"
        else:
            result.error = f"it {_describe(raised, block.limit)}, and no assert of the check\n{self._trace(raised)}"
        return result

    def _execute(self, blocks, names, limit):
        """Run the code of `blocks`; return what came out and what was raised."""
        result, printed, raised, engine = Result(), Printed(), None, _engine()
        with contextlib.redirect_stdout(printed):
            try:
                with _time_limit(limit) if self.limited else contextlib.nullcontext():
                    for block in blocks:
                        value = self._evaluate(block, names)
                    if not block.role:  # an attempt's figures are not on the page
                        result.shown = _shown(value)
                    if value is not None and not result.shown:
                        print(repr(value))
            except Unexplained as error:
                result.error = str(error)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # SystemExit too: whatever a block does is the block's result
                raised = error
            finally:
                _close_figures()
        result.text = printed.getvalue()
        if changed := [name for name, thing in _engine().items() if engine.get(name, thing) is not thing]:
            result.error = f"this block changes {changed[0]} for every page: put it back in the same block"
        return result, raised

    def _evaluate(self, block, names):
        """Execute a block, its lines numbered as on the page, and return the value of its last expression."""
        tree = ast.parse("\n" * block.line + block.code, self.filename)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, self.filename, "exec", dont_inherit=True), names)
        if last is not None:
            return eval(compile(ast.Expression(last.value), self.filename, "eval", dont_inherit=True), names)
        return None

    def _trace(self, raised):
        """Show where on the page it happened, and below, without the runner's own frames."""
        frames = traceback.extract_tb(raised.__traceback__)
        inside = next((n for n, frame in enumerate(frames) if frame.filename == self.filename), None)
        if inside is None:
            return "".join(traceback.format_exception_only(raised)).rstrip()
        return "".join(traceback.format_list(frames[inside:])).rstrip()


def _engine():
    """Note what the names of the engine stand for: under pytest, all pages and tests share them."""
    found = {}
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "microlearn"]:
        for name, thing in vars(module).items():
            found[f"{module.__name__}.{name}"] = thing
            if isinstance(thing, type):
                found |= {f"{thing.__module__}.{thing.__qualname__}.{member}": it for member, it in vars(thing).items()}
    return found


def _describe(raised, limit):
    if isinstance(raised, TimeLimit):
        return f'ran longer than {limit:g} s: make it smaller, or give it limit="{3 * limit:g}"'
    if isinstance(raised, SystemExit):
        return f"tried to end the process (SystemExit: {raised})"
    return f"raised {type(raised).__name__}: {_message(raised)}"


def _message(raised):
    """Return an exception's words; a SyntaxError's without the line, which moves with the text above it."""
    return raised.msg if isinstance(raised, SyntaxError) else str(raised)


@contextlib.contextmanager
def _time_limit(seconds):
    """Raise TimeLimit in the block itself, so that its traceback says where it was.

    What counts is the processor's time, so that a busy machine changes nothing; and, for a block that waits, the clock.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield  # no signals here: the site's side kills the process instead
        return

    def stop(signum, frame):
        raise TimeLimit

    limits = [
        (signal.SIGPROF, signal.ITIMER_PROF, seconds),
        (signal.SIGALRM, signal.ITIMER_REAL, PATIENCE * seconds),
    ]
    before = [signal.signal(number, stop) for number, _, _ in limits]
    for _, timer, limit in limits:
        signal.setitimer(timer, limit, 1)  # and again each second: a bare `except:` swallows the first
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(limits, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def _shown(value):
    """Return the (kind, markup) pairs of what displays itself: the value, or else pyplot's open figures."""
    drawing = sys.modules.get("matplotlib.figure")
    if drawing and isinstance(value, drawing.Figure):
        return [("svg", _figure_svg(value))]
    for kind in ("svg", "html"):
        method = getattr(type(value), f"_repr_{kind}_", None)
        if method and (markup := method(value)):
            if kind == "svg" and not ("<svg" in markup and ("<title" in markup or "aria-label" in markup)):
                raise Unexplained(
                    "this block shows an SVG without a text alternative: give it a <title> that says what it shows"
                )
            svgs = re.findall(r"<svg[^>]*>", markup) if 'class="frames"' in markup else []
            if not all(" data-caption=" in svg or " aria-label=" in svg for svg in svgs):
                raise Unexplained(
                    'this block shows frames without a caption: give each <svg> data-caption="..." or aria-label="..."'
                )
            return [(kind, markup)]
    pyplot = sys.modules.get("matplotlib.pyplot")
    opened = [pyplot.figure(number) for number in pyplot.get_fignums()] if pyplot else []
    return [("svg", _figure_svg(figure)) for figure in opened]


def _close_figures():
    """Leave no figure open for the next block, as a notebook does at the end of a cell."""
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


def load_ipython_extension(shell):
    """Let a notebook's kernel show figures as a page does (`jupyter/jupyter_nbconvert_config.json` asks for it)."""
    os.environ["MPLBACKEND"] = "svg"
    shell.display_formatter.formatters["image/svg+xml"].for_type_by_name("matplotlib.figure", "Figure", _figure_svg)


def _figure_svg(figure):
    if not figure.get_label():
        raise Unexplained(
            'this block shows a figure without a text alternative: say what it shows with fig.set_label("...")'
        )
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None, "Title": figure.get_label()})
    return svg.getvalue()
