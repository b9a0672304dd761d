"""Options that are refused before anything is read, and texts that must not command the terminal."""

from __future__ import annotations

import json

import pytest

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
