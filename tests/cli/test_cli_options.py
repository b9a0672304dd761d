"""Options that are refused before anything is read, and texts that must not command the terminal."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

import hotloop
from hotloop.cli.error_line import error_line
from hotloop.errors import ArgumentError
from hotloop.language.one_line import one_line


@pytest.mark.parametrize("option", ["--lr", "--weight-decay"])
@pytest.mark.parametrize("value", ["nan", "inf", "1e400"])
def test_sizes_of_a_step_are_finite(in_process, tmp_path, option, value):
    done = in_process("train", "iris", "--epochs", "2", option, value)
    assert done.returncode == 2
    assert "must be a finite number" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--epochs", "0"], "See hotloop train --help."),
        (["--threads", "0"], "See hotloop train --help."),
        (["--device", "xpu"], "use --device cpu or --device auto. See hotloop devices."),
    ],
)
def test_hints_are_those_of_the_command_line(in_process, arguments, hint):
    said = in_process("train", "iris", *arguments).stderr
    assert said.rstrip().lower().endswith(hint.lower())
    assert "help(" not in said
    assert '="' not in said


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ('use device="cpu", or a smaller batch_size', "Use --device cpu, or a smaller --batch-size."),
        ("say it: features=4", "Say it: --input 4."),
        ("give fewer rows", "Give fewer rows."),
        ("write one of batch_size.py:rows, a/batch_size", "Write one of batch_size.py:rows, a/batch_size."),
        ("leave out checkpoint=", "Leave out checkpoint=."),
        ('use engine="eager"', ""),
        ('use engine="eager", or another batch_size', 'Use engine="eager", or another --batch-size.'),
    ],
)
def test_settings_are_spelled_as_the_command_spells_them(hint, shown):
    options = {"device": "--device", "batch_size": "--batch-size", "features": "--input", "rows": "--rows"}
    assert error_line(ArgumentError("no", do=hint), "hotloop explain", options) == f"no. {shown}".rstrip()
    assert str(ArgumentError("no", do=hint)).endswith(hint)


def test_options_are_those_of_the_command_that_was_given(in_process, tmp_path):
    (tmp_path / "wide.py").write_text("import torch\nNet = torch.nn.LayerNorm(3)\n", encoding="utf-8")
    done = in_process("explain", "wide.py:Net")
    assert done.returncode == 2
    assert done.stderr.endswith("hotloop: cannot tell how many features wide.py:Net takes. Say it: --input 4.\n")


def test_only_the_command_line_speaks_of_options():
    # A Python caller has none. A whole command can be given by anyone.
    option, command = re.compile(r"(?<![\w-])--[a-z]"), re.compile(r"hotloop [a-z]+ --[a-z]")
    sources = Path(hotloop.__file__).parent
    for path in sources.rglob("*.py"):
        if path.is_relative_to(sources / "cli"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in told]
        bad = [text for text in texts if isinstance(text, str) and option.search(command.sub("", text))]
        assert not bad, path


def test_a_mistake_before_any_command_has_a_hint_too(in_process, monkeypatch):
    monkeypatch.setenv("HOTLOOP_DEBUG", "yes")
    done = in_process()
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_an_undefined_r2_is_left_out_with_a_note(in_process, tmp_path):
    rows = "".join(f"{row * row % 17},4.5\n" for row in range(40))
    (tmp_path / "flat.csv").write_text("x,y\n" + rows)
    done = in_process("train", "flat.csv", "--epochs", "2", "--no-plot")
    assert done.returncode == 0, done.stderr
    assert "note     R2 is not defined: the target is the same in every test row.\n" in done.stdout
    assert "nan" not in done.stdout
    assert "test     RMSE " in done.stdout
    document = json.loads((tmp_path / "runs/flat/run.json").read_text())
    assert set(document["metrics"]) == {"test_rmse"}
    assert "R2 is not defined: the target is the same in every test row." in document["notes"]


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb", "a b"), ("\x1b[31mred", "\\x1b[31mred"), ("城市 '=1'", "城市 '=1'"), ("a\0", "a\\x00")]
)
def test_a_line_shows_what_a_terminal_would_obey(text, shown):
    assert one_line(text) == shown


def test_a_column_cannot_command_the_terminal(in_process, tmp_path):
    rows = "".join(f"{row},{'pq'[row % 2]}\n" for row in range(20))
    (tmp_path / "odd.csv").write_text("x,\x1b[31my\n" + rows)
    done = in_process("train", "odd.csv", "--epochs", "1", "--no-plot")
    assert done.returncode == 0
    assert "-> \\x1b[31my (2 classes)" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("command", [("explain", "iris"), ("claim", "append")])
@pytest.mark.parametrize("place", ["", "missing/page.html"])
def test_where_to_write_is_looked_at_before_measuring(in_process, tmp_path, command, place):
    done = in_process(*command, "--out", str(tmp_path / place))
    assert done.returncode == 2
    assert "no file in a folder" in done.stderr
