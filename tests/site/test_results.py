"""A page in its own process, and the cache of what it came to."""

import fcntl
import json
import time

import pytest

from docs._site import pages
from docs._site import results as results_module
from docs._site.results import Results

TRACES = """\
Some prose.

```python
import pathlib

with pathlib.Path("runs").open("a") as file:
    file.write("x")
1 + 1
```

```output
2
```

```python continuation
3
```
"""


class Project:
    """A folder in which pages leave a trace of each time they run."""

    def __init__(self, root):
        self.root = root

    def results(self, text=TRACES, name="docs/x.md"):
        """Ask as a new build would, with nothing in memory."""
        return [result.text or result.error for result in self.start(Results(self.root), text, name)]

    def start(self, results, text=TRACES, name="docs/x.md"):
        return results.start(pages.parse(text, name)).result(timeout=30)

    @property
    def runs(self):
        trace = self.root / "runs"
        return len(trace.read_text()) if trace.exists() else 0

    @property
    def cached(self):
        return self.root / ".cache" / "pages" / "docs--x.md.json"


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_what_has_run_is_not_run_again(project):
    assert [project.results() for _ in range(3)] == [["2\n", "3\n"]] * 3
    assert project.runs == 1


@pytest.mark.parametrize(
    ("old", "new", "runs"),
    [
        ("Some prose.", "Other prose,\nand more of it.", 1),
        ("2\n```", "two\n```", 1),  # what is recorded is compared anew, not run anew
        ("1 + 1", "2", 2),
        ("python continuation", "python", 2),
        ("```python continuation", '```python continuation limit="3"', 2),
    ],
)
def test_only_what_blocks_see_runs_them_again(project, old, new, runs):
    project.results()
    assert project.results(TRACES.replace(old, new)) == ["2\n", "3\n"]
    assert project.runs == runs


def test_an_edit_of_the_engine_runs_the_page_again(project, tmp_path, monkeypatch):
    engine = tmp_path / "microlearn"
    (engine / "deep").mkdir(parents=True)
    monkeypatch.setattr(results_module, "ENGINE", engine)
    (engine / "value.py").write_text("old = 1\n")
    project.results()
    project.results()
    assert project.runs == 1
    (engine / "value.py").write_text("new = 1\n")
    project.results()
    assert project.runs == 2
    (engine / "value.py").rename(engine / "deep" / "value.py")
    project.results()
    assert project.runs == 3


BELOW_LLM = ["__init__.py", "autograd/value.py", "networks/x.py", "deep/x.py"]


@pytest.mark.parametrize(
    ("code", "reruns"),
    [
        ("from microlearn import Value", ["__init__.py", "autograd/value.py"]),
        ("from microlearn.networks import fit", ["__init__.py", "autograd/value.py", "networks/x.py"]),
        ("from microlearn import Tensor", BELOW_LLM),
        ("import microlearn.llm as lm", [*BELOW_LLM, "llm/x.py", "cli.py"]),
        ("main(['microlearn train'])", [*BELOW_LLM, "llm/x.py", "cli.py"]),
    ],
)
def test_code_depends_on_the_phases_up_to_the_one_that_it_names(code, reruns, tmp_path, monkeypatch):
    engine = tmp_path / "microlearn"
    monkeypatch.setattr(results_module, "ENGINE", engine)
    files = [*BELOW_LLM, "llm/x.py", "cli.py"]
    for file in files:
        (engine / file).parent.mkdir(parents=True, exist_ok=True)
        (engine / file).write_text("old = 1\n")
    changed = []
    for file in files:
        before = results_module.key_of(code)
        (engine / file).write_text("new = 1 # longer\n")
        changed += [file] * (results_module.key_of(code) != before)
    assert changed == reruns


def test_what_a_page_came_to_is_known_in_a_copy_of_the_project(tmp_path, monkeypatch):
    keys = []
    for folder in (tmp_path / "here", tmp_path / "there"):
        (folder / "microlearn").mkdir(parents=True)
        (folder / "microlearn" / "value.py").write_text("new = 1\n")
        monkeypatch.setattr(results_module, "ENGINE", folder / "microlearn")
        keys.append(results_module.key_of("1 + 1"))
    assert keys[0] == keys[1]


def test_in_memory_too_a_page_is_run_once_and_an_edit_seen(project):
    results = Results(project.root)
    page = pages.parse(TRACES, "docs/x.md")
    assert results.start(page) is results.start(pages.parse(TRACES, "docs/x.md"))
    assert [result.text for result in project.start(results, TRACES.replace("1 + 1", "5"))] == ["5\n", "3\n"]


def test_the_next_round_of_a_served_site_tries_a_failed_page_again(project):
    results = Results(project.root)
    once = TRACES.replace("1 + 1", 'assert pathlib.Path("runs").read_text() == "xx"\n1 + 1')
    assert "AssertionError" in project.start(results, once)[0].error
    assert "AssertionError" in project.start(results, once)[0].error
    assert project.runs == 1
    results.forget_failures()
    assert project.start(results, once)[0].text == "2\n"
    results.forget_failures()
    project.start(results, once)
    assert project.runs == 2


def test_an_error_is_not_kept_and_names_the_lines_of_now(project):
    results = Results(project.root)
    broken = TRACES.replace("1 + 1", "1 / 0")
    for above in ("", "\n\n"):
        first, later = project.start(results, above + broken)
        line = above.count("\n") + 3
        assert f'x.md", line {line + 5}, in <module>' in first.error
        assert later.error == f"not run, because the block at line {line} failed before it"
    assert not project.cached.exists()


def entries(change):
    """Return a function that rewrites a cache file by `change`, which edits its JSON."""

    def rewrite(text):
        kept = json.loads(text)
        change(kept)
        return json.dumps(kept)

    return rewrite


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text[:-1],
        lambda text: "not JSON",
        lambda text: "null",
        lambda text: "[]",
        lambda text: "{}",
        lambda text: text.encode() + b"\xff",
        entries(lambda kept: kept.update(key="another")),
        entries(lambda kept: kept.update(results=None)),
        entries(lambda kept: kept["results"].clear()),
        entries(lambda kept: kept["results"].pop()),
        entries(lambda kept: kept["results"][1].update(colour="blue")),
        entries(lambda kept: kept.update(results=["2", "3"])),
    ],
)
def test_a_spoilt_cache_file_is_as_good_as_none(project, spoil):
    project.results()
    spoilt = spoil(project.cached.read_text())
    project.cached.write_bytes(spoilt if isinstance(spoilt, bytes) else spoilt.encode())
    assert project.results() == ["2\n", "3\n"]
    assert project.runs == 2
    assert project.results() == ["2\n", "3\n"]
    assert project.runs == 2, "and it is mended"


def test_results_stand_in_the_order_of_the_page(project):
    text = "\n".join(f"```python\n{number}\n```\n" for number in range(20))
    assert project.results(text) == [f"{number}\n" for number in range(20)]


def test_two_pages_run_at_once(project):
    """Each waits for the other."""
    results = Results(project.root)
    text = (
        "```python\nimport pathlib\nimport time\n\npathlib.Path('{}').touch()\n"
        "while not pathlib.Path('{}').exists():\n    time.sleep(0.01)\n1\n```\n"
    )
    both = [results.start(pages.parse(text.format(*names), f"docs/{names[0]}.md")) for names in ("ab", "ba")]
    assert [future.result(timeout=30)[0].text for future in both] == ["1\n", "1\n"]


@pytest.mark.parametrize("end", ["os._exit(0)", "os._exit(3)", "os.kill(os.getpid(), 9)", "os.abort()"])
def test_what_a_page_came_to_before_its_process_died(project, end):
    text = f"```python\n1\n```\n\n```python\nimport os\n{end}\n```\n\n```python\n3\n```\n"
    first, dead, later = project.results(text)
    assert first == "1\n"
    assert dead.startswith("this block ended the process of its page (")
    assert later == "not run, because an earlier block ended the process"


def test_a_block_that_hears_no_limit_is_killed_soon_after_it(project, monkeypatch):
    monkeypatch.setattr(results_module, "GRACE", 0.2)
    began = time.monotonic()
    [stuck] = project.results('```python limit="0.1"\nimport itertools\n\nall(itertools.repeat(1))\n```\n')
    assert stuck.startswith("this block ran longer than 0.1 s")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "mess",
    [
        "print('{', file=__import__('sys').__stdout__, flush=True)",
        "__import__('os').write(1, b'not JSON')",
        "__import__('os').system('echo not JSON')",
        "__import__('os').write(2, bytes(range(256)) * 1000)",  # more than a pipe holds, and no text
        "__import__('sys').stdin.read()",
    ],
)
def test_what_a_block_writes_past_us_does_no_harm(project, mess):
    assert project.results(f"```python\n_ = {mess}\n1\n```\n")[0] == "1\n"


def test_what_a_block_started_ends_with_its_page(project):
    """A child holds a lock for as long as it lives."""
    code = (
        "import fcntl\nimport subprocess\n\nlock = open('lock', 'w')\nfcntl.flock(lock, fcntl.LOCK_EX)\n"
        "child = subprocess.Popen(['sleep', '60'], pass_fds=[lock.fileno()])\n1"
    )
    assert project.results(f"```python\n{code}\n```\n") == ["1\n"]
    deadline = time.monotonic() + 10
    with (project.root / "lock").open() as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                assert time.monotonic() < deadline, "the child lives on"
                time.sleep(0.02)
