"""The engine's source by name: what a `source` fence shows.

Names are resolved in the text of the files, not in imported modules, so that what the page shows is
what the file says now.
"""

import ast
import difflib
import textwrap
from dataclasses import dataclass

from docs._site.results import ENGINE

SHOWN = ("microlearn", "docs")  # the engine, and the runner for the page that explains it


@dataclass
class Source:
    """A named piece of the engine."""

    name: str  # as the page wrote it
    short: str  # without the module
    file: str  # from the repository's root
    first: int
    last: int
    code: str


def find_all(page, block):
    """Return the sources that a fence of a page names; an unknown name is that page's error."""
    try:
        return [find(name) for name in block.code.split()]
    except LookupError as error:
        raise page.error(block, error.args[0]) from None


def find(name):
    """Return the source of a dotted name, for instance `microlearn.autograd.value.Value.__add__`.

    Raises
    ------
    LookupError
        With a sentence that says which part is unknown, and what there is instead.
    """
    file, inside = _module(name)
    text = file.read_text()
    try:
        scope, first, last = ast.parse(text), 1, text.count("\n")
    except SyntaxError as error:
        raise LookupError(f"{file.name}:{error.lineno} does not parse: {error.msg}") from None
    for depth, part in enumerate(inside):
        members = _members(scope)
        if part not in members:
            near = difflib.get_close_matches(part, members, n=1) or sorted(members)[:8]
            where = ".".join([_dotted(file), *inside[:depth]])
            raise LookupError(f"{where} has no {part!r}: there is {', '.join(near) or 'nothing in it'}")
        scope = members[part]
        decorators = getattr(scope, "decorator_list", [])
        first, last = min([scope.lineno, *(d.lineno for d in decorators)]), scope.end_lineno
    code = textwrap.dedent("\n".join(text.split("\n")[first - 1 : last]))
    return Source(name, ".".join(inside) or name, file.relative_to(ENGINE.parent).as_posix(), first, last, code + "\n")


def _module(name):
    """Split a dotted name into the file of its module and the rest."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = ENGINE.parent.joinpath(*parts[:length])
        if parts[0] in SHOWN and path.with_suffix(".py").is_file():
            return path.with_suffix(".py"), parts[length:]
        if parts[0] in SHOWN and (path / "__init__.py").is_file():
            if length < len(parts):
                known = sorted(p.stem for p in path.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file())
                near = difflib.get_close_matches(parts[length], known, n=1) or [k for k in known if k[0] != "_"]
                raise LookupError(
                    f"{'.'.join(parts[:length])} has no module {parts[length]!r}: there is {', '.join(near)} "
                    "(name a thing by the module that defines it)"
                )
            return path / "__init__.py", []
    raise LookupError(f"{name!r} is no name of the engine: write it in full, as in microlearn.autograd.value.Value")


def _dotted(file):
    return ".".join(file.relative_to(ENGINE.parent).with_suffix("").parts)


def _members(scope):
    """Name the functions, classes and constants that are defined directly in a module or a class."""
    members: dict[str, ast.stmt] = {}
    for node in getattr(scope, "body", []):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            members[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    members[target.id] = node
    return members
