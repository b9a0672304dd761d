"""No English sentence reaches a person without having been looked up."""

from __future__ import annotations

import pytest
from extract_messages import SOURCES
from find_bare_texts import bare_texts

# Folders and files whose texts people see on the console.
SHOWN = ("cli", "report", "hardware/identify_*", "hardware/measure*", "engines/choose.py", "engines/step_size.py")
SHOWN += ("runs/run.py", "training/loop.py", "training/divergence.py", "training/progress.py", "training/recipes.py")
ALLOWED = frozenset(
    {
        "hotloop",
        "hotloop: ",
        # Said when the console cannot show Chinese.
        "hotloop: this console cannot show Chinese (",
        "): set PYTHONIOENCODING=utf-8",
        # No texts.
        "<frozen importlib",
        " {task.fields[loss]:.4f}",
        "eager refuses nothing",
        "from hotloop.cli.claim_process import main; main()",
        # Rungs of the ladder by their keys.
        "no autograd",
        "no hooks",
        "no modules",
        "no optimizer",
        "no python",
        "bhyve bhyve",
        "prl hyperv",
        "lrpepyh vr",
    }
)
FILES = sorted(
    path
    for shown in SHOWN
    for path in (SOURCES.glob(shown) if "." in shown or "*" in shown else (SOURCES / shown).rglob("*.py"))
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCES).as_posix())
def test_no_text_is_bare(path):
    assert bare_texts(path.read_text(encoding="utf-8"), ALLOWED) == [], "wrap it in _() or Sentence()"


@pytest.mark.parametrize(
    ("source", "n_found"),
    [
        ('print("saved")', 1),
        ('print(f"saved in {place}")', 1),
        ('print(_("saved"))', 0),
        ('raise ArgumentError("no such column")', 1),
        ('raise ArgumentError(Sentence("no such column {name!r}", name=name))', 0),
        ('self._line("note", text)', 1),
        ('"""What this file is."""', 0),
        ('kind = "cuda"', 0),
        ('x = {"recipe": "lesson"}', 0),
        ('assert x, "a mistake of ours"', 0),
    ],
)
def test_the_search_finds_what_it_should(source, n_found):
    assert len(bare_texts(source)) == n_found
