"""Which files pytest is given, and in which order, changes nothing for a page."""

from tests.site.project import project, run_pytest

PAGE = """
```python
from microlearn import autograd, Value

autograd.backward(Value(1.0))
```
"""


def test_a_file_of_the_engine_given_first_does_not_hide_the_function_of_its_name(tmp_path):
    engine = ["--doctest-plus", "--import-mode=importlib", "microlearn/autograd/backward.py"]
    output, status = run_pytest(project(tmp_path, page=PAGE), *engine, "docs/page.md")
    assert "4 passed" in output, output
    assert status == 0
