"""Write `scaling.json`: the losses of the GPTs that `docs/experiments/what-does-more-buy.py` fits its law to.

The notebook's own functions train them. A run that the file holds already is not made again, so that a long recording
may be stopped at any time. What was foretold of the fifth model stands there too, by hand, from before it was trained:
the lowest, the expected and the highest loss of each law. From the repository's root, on one thread, in this order:

    OPENBLAS_NUM_THREADS=1 python -m tests.llm.make_scaling rates
    OPENBLAS_NUM_THREADS=1 python -m tests.llm.make_scaling grid
    OPENBLAS_NUM_THREADS=1 python -m tests.llm.make_scaling fifth
"""

import ast
import json
import pathlib
import platform
import sys
import time
import zlib

NOTEBOOK = pathlib.Path(__file__).parents[2] / "docs" / "experiments" / "what-does-more-buy.py"
RECORD = pathlib.Path(__file__).with_name("scaling.json")

SIZES = (2, 3, 4, 5)  # so many blocks, and 16 times as wide
STEPS = (1000, 2500, 6250)  # of 512 tokens each
FIFTH = (7, 8000)  # beyond the grid in both directions
SEEDS = (0, 1)
RATE = 0.3  # over the width; the choice of a pilot, to which `rates` tries the half and the double


def runs(part):
    """List the runs of a part: blocks, steps, seed, and the learning rate times the width."""
    if part == "rates":
        return [(n, STEPS[0], 0, rate) for rate in (RATE / 2, RATE, 2 * RATE) for n in SIZES]
    cells = [(n, steps) for steps in STEPS for n in SIZES] if part == "grid" else [FIFTH]
    return [(*cell, seed, RATE) for seed in SEEDS for cell in cells]


def definitions():
    """Return what the notebook imports and defines, by name, and run nothing else of it.

    A name in capitals is a constant, and defined too; a single letter is none.
    """
    tree = ast.parse(NOTEBOOK.read_text())

    def defines(node):
        if isinstance(node, ast.Assign):
            return all(
                isinstance(name, ast.Name) and name.id.isupper() and len(name.id) > 1 for name in _flat(node.targets)
            )
        return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef)

    tree.body = [node for node in tree.body if defines(node)]
    found = {}
    exec(compile(tree, NOTEBOOK, "exec"), found)
    return found


def _flat(targets):
    """Yield what an assignment names, from `A = ` and from `A, B = ` alike."""
    for target in targets:
        yield from target.elts if isinstance(target, ast.Tuple) else [target]


def write(record):
    """Write the file, a run on each line."""
    lines = [f"  {json.dumps(run)}" for run in record["runs"]]
    others = [f" {json.dumps(name)}: {json.dumps(said)},\n" for name, said in record.items() if name != "runs"]
    RECORD.write_text("{\n" + "".join(others) + ' "runs": [\n' + ",\n".join(lines) + "\n ]\n}\n")


def main(part):
    """Make the runs of a part that are missing."""
    notebook = definitions()
    text, aside = notebook["corpus"]()
    source = {"python": platform.python_version(), "tokens": len(text), "aside": len(aside)}
    source |= {"crc32": zlib.crc32(aside.tobytes(), zlib.crc32(text.tobytes()))}
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {"source": source, "runs": []}
    if record["source"] != source:
        sys.exit(f"{RECORD}: it was recorded on {record['source']}, and here is {source}")
    there = {tuple(run[:4]) for run in record["runs"]}
    for run in runs(part):
        if run in there:
            continue
        begun = time.process_time()
        loss = notebook["evaluate"](notebook["learn"](*run, text), aside, windows=2048)
        record["runs"].append([*run, round(loss, 4)])
        took = time.process_time() - begun
        write(record)
        print(*record["runs"][-1], f"{took:.0f} s", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
