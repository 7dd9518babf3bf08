"""What the blocks of every page came to: from the cache, or from a fresh process for each page, two at a time."""

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import logging
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

from docs._site.sessions import PATIENCE, Result

SITE = pathlib.Path(__file__).parent
ENGINE = SITE.parents[1] / "microlearn"

STARTING = 60  # seconds for a process to reach its first block
GRACE = 5  # seconds that a block's own time limit has before the process is killed

log = logging.getLogger("mkdocs.microlearn")


class Results:
    """Results by page, each computed once for the same code, engine and libraries.

    Parameters
    ----------
    root : pathlib.Path
        The folder that holds `docs/`; the cache is its `.cache/pages/`.
    """

    def __init__(self, root):
        self.root, self.cache = root, root / ".cache" / "pages"
        self.pool = ThreadPoolExecutor(2)
        self.started = {}  # path of a page -> ((key, text), future)
        self.lock = threading.Lock()
        self.watches = set()  # over the processes that run now

    def start(self, page):
        """Begin to run a page, unless the same code runs or has run already; return the future results."""
        key = key_of_page(page)
        with self.lock:
            known, future = self.started.get(page.path, (None, None))
            if known != (key, page.text):  # errors name lines, so a page that moved is looked at anew
                future = self.pool.submit(self._results, page, key)
                self.started[page.path] = (key, page.text), future
            return future

    def forget_failures(self):
        """Let pages run again whose last run failed: a time limit, say, on a machine that was busy."""
        with self.lock:
            for path, (_, future) in list(self.started.items()):
                if future.done() and any(result.error for result in future.result()):
                    del self.started[path]

    def stop(self):
        """Give up what runs and what has not begun."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        for watch in list(self.watches):
            watch.end()

    def _results(self, page, key):
        if not page.to_run:
            return []
        stored = self.cache / (page.path.replace("/", "--") + ".json")
        results = recall(stored, key, lambda kept: [Result(**kept[number]) for number in range(len(page.to_run))])
        if results is None:
            results = self._run(page)
            if not any(result.error for result in results):
                keep(stored, key, [result.to_json() for result in results])
        return results

    def _run(self, page):
        """Run a page in a process of its own and watch over it."""
        blocks, results, running = page.to_run, [], 0
        request = {"text": page.text, "path": page.path, "filename": str(self.root / page.path)}
        with tempfile.TemporaryFile() as noise, self._process(noise) as process:
            watch = _Watch(process)
            self.watches.add(watch)
            watch.allow(STARTING)
            with contextlib.suppress(BrokenPipeError):  # it died before it could read; its exit status is told below
                process.stdin.write(json.dumps(request))
                process.stdin.close()
            for line in process.stdout:
                report = json.loads(line)
                if "begins" in report:
                    running = report["begins"]
                    watch.allow(PATIENCE * blocks[running].limit + GRACE)
                else:
                    results.append(Result(**report["result"]))
            self.watches.discard(watch)
            watch.end()
            status = process.wait()
            noise.seek(0)
            last_words = noise.read().decode(errors="replace").strip()[-2000:]
        if len(results) < len(blocks):
            results.append(Result(error=_death(watch, status, blocks[running], last_words)))
        while len(results) < len(blocks):
            results.append(Result(error="not run, because an earlier block ended the process"))
        return results

    def _process(self, noise):
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "docs._site.worker"],  # a warning is an error, as under pytest
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
            text=True,
            cwd=self.root,
            env=os.environ | {"MICROLEARN_QUICK": "1"},
            start_new_session=True,  # so that it can be killed with whatever it started
        )


class _Watch:
    """Kills a process that has not reported within the time it was allowed."""

    def __init__(self, process):
        self.process, self.timer, self.expired = process, threading.Timer(0, print), False

    def allow(self, seconds):
        self.timer.cancel()
        self.timer = threading.Timer(seconds, self._kill)
        self.timer.daemon = True
        self.timer.start()

    def end(self):
        self.timer.cancel()
        self._kill(expired=False)  # what it started may still be there

    def _kill(self, expired=True):
        self.expired |= expired
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended; macOS says the latter
            os.killpg(self.process.pid, signal.SIGKILL)


def _death(watch, status, block, last_words):
    if watch.expired:
        return f'this block ran longer than {block.limit:g} s: make it smaller, or give it limit="{3 * block.limit:g}"'
    how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return f"this block ended the process of its page ({how}): take away what exits or crashes\n{last_words}".rstrip()


def key_of_page(page):
    """Identify what a page's results depend on."""
    code = [(block.code, sorted(block.flags), block.options) for block in page.blocks if block.kind == "python"]
    return key_of(code)


def key_of(code):
    """Identify what `code` comes to, here and now."""
    return hashlib.sha256(json.dumps([code, engine(json.dumps(code)), _libraries()]).encode()).hexdigest()


def recall(stored, key, read):
    """Return by `read` what was kept under the same key, or None."""
    try:
        kept = json.loads(stored.read_text())
        if kept["key"] == key:
            return read(kept["results"])
    except FileNotFoundError:
        pass
    except (ValueError, LookupError, TypeError) as error:
        log.info("%s cannot be read (%s), so what it kept runs again", stored, error)
    return None


def keep(stored, key, results):
    """Keep results; whoever reads meanwhile sees the old ones or the new ones."""
    stored.parent.mkdir(parents=True, exist_ok=True)
    fresh = stored.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    fresh.write_text(json.dumps({"key": key, "results": results}))
    fresh.replace(stored)


# Phases import only downwards: code depends on the highest that it names, and on those below. (Tensors are of `deep`.)
PHASES = {
    "networks": r"\bnetworks\b",
    "deep": r"\bdeep\b|\bTensor\b",
    "llm": r"\bllm\b|\bcli\b|microlearn (train|generate)",
}


def engine(code):
    """Identify the source of the engine that code depends on, and the runner's own, wherever the project stands."""
    named = [i for i, words in enumerate(PHASES.values()) if re.search(words, code)]
    above = {*list(PHASES)[max(named, default=-1) + 1 :]}
    above |= {"cli.py", "__main__.py"} if "llm" in above else set()
    files = [file for file in ENGINE.rglob("*") if file.is_file() and file.suffix != ".pyc"]  # stored weights too
    engine = [file for file in files if file.relative_to(ENGINE).parts[0] not in above]
    runner = [*SITE.glob("*.py"), SITE / "matplotlibrc"]
    every = [(f, f.relative_to(folder)) for folder, files in ((ENGINE, engine), (SITE, runner)) for f in sorted(files)]
    return _digest(tuple((file, name, file.stat().st_mtime_ns) for file, name in every))


@functools.lru_cache(32)
def _digest(stamps):
    digest = hashlib.sha256()
    for file, name, _ in stamps:
        digest.update(bytes(name) + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


@functools.cache
def _libraries():
    return [sys.version, *sorted(f"{d.name} {d.version}" for d in importlib.metadata.distributions())]
