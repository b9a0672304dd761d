"""Options that are refused before anything is read, and texts that must not command the terminal."""

from __future__ import annotations

import pytest

from hotloop.cli.one_line import one_line


@pytest.mark.parametrize("option", ["--lr", "--weight-decay"])
@pytest.mark.parametrize("value", ["nan", "inf", "1e400"])
def test_sizes_of_a_step_are_finite(in_process, tmp_path, option, value):
    done = in_process("train", "iris", "--epochs", "2", option, value)
    assert done.returncode == 2
    assert "must be a finite number" in done.stderr
    assert not (tmp_path / "runs").exists()


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
