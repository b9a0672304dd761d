"""The lesson's notebooks are executed, in both languages, from one source."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"


@pytest.fixture(scope="module")
def lesson():
    spec = importlib.util.spec_from_file_location("make_lesson", FOLDER / "make_lesson.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["en", "zh"])
def language(request):
    return request.param


@pytest.fixture
def notebook(language):
    return json.loads((FOLDER / f"lesson.{language}.ipynb").read_text(encoding="utf-8"))


def test_cells_are_those_of_the_source(lesson, notebook, language):
    assert notebook["nbformat"] == 4
    kinds = ["code" if "code" in cell else "markdown" for cell in lesson.CELLS]
    assert [cell["cell_type"] for cell in notebook["cells"]] == kinds
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    assert sources == [lesson.source_of(cell, language) for cell in lesson.CELLS]


def test_every_text_is_there_in_each_language(lesson):
    for cell in lesson.CELLS:
        assert "code" in cell or all(cell[language].strip() for language in lesson.LANGUAGES)
        assert "code" in cell or re.search(r"[一-鿿]", cell["zh"])


def test_every_code_cell_was_executed_and_none_failed(notebook):
    counts = [cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert len(outputs) > 6
    assert not [output for output in outputs if output["output_type"] == "error"]
    text = json.dumps(outputs, ensure_ascii=False)
    # The run and the explanation are shown as pages show them.
    assert text.count("text/html") >= 2
    assert "<svg" in text
    assert "<table" in text


def test_outputs_hold_no_paths_of_the_machine(notebook):
    text = json.dumps(notebook, ensure_ascii=False)
    assert not re.search(r"/(work|root|home|tmp)/", text)
    assert len(text) < 1_500_000
