"""Shown source: what an engine that does not parse is told as, so that a served site goes on."""

import pytest

from docs._site import pages, source


def test_a_syntax_error_in_the_engine_is_the_fault_of_the_fence_that_shows_it(tmp_path, monkeypatch):
    engine = tmp_path / "microlearn"
    engine.mkdir()
    (engine / "__init__.py").touch()
    (engine / "broken.py").write_text("x = 1\ndef (:\n")
    monkeypatch.setattr(source, "ENGINE", engine)
    page = pages.parse("```source\nmicrolearn.broken.x\n```\n", "docs/x.md")
    with pytest.raises(pages.PageError, match=r"docs/x\.md:1: broken\.py:2 does not parse"):
        source.find_all(page, page.blocks[0])
