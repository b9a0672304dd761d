"""Columns and lines with characters that are two columns wide."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotloop.language import display_width, pad, wrap


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("abc", 3), ("损失", 4), ("损失 loss", 9), ("，", 2), ("e\u0301", 1), ("あ", 2)]
)
def test_width(text, columns):
    assert display_width(text) == columns
    assert display_width(pad(text, 12)) == display_width(pad(text, 12, right=True)) == 12
    assert pad(text, 0) == text


def test_padding_goes_to_the_named_side():
    assert (pad("损失", 6), pad("损失", 6, right=True)) == ("损失  ", "  损失")


def test_english_is_broken_as_textwrap_does():
    text = "a virtual machine sees the cores its host shows it: " * 3
    assert wrap(text, 40, first="  note ", rest="       ") == textwrap.wrap(
        text, 40, initial_indent="  note ", subsequent_indent="       "
    )


def test_chinese_breaks_anywhere_but_before_its_punctuation():
    text = "虚拟机只看到宿主机给它看的核心：这里的一个核心可能只是真实核心的一个线程，（所以）要小心。"
    lines = wrap(text, 20, first="说明  ", rest="      ")
    assert all(display_width(line) <= 22 for line in lines)  # closing punctuation may hang over
    assert lines[0].startswith("说明  虚")
    assert all(line.startswith("      ") for line in lines[1:])
    assert not any(line.lstrip()[0] in "，。：）" or line[-1] in "（" for line in lines)
    assert "".join(line.removeprefix("说明").strip() for line in lines) == text


def test_words_of_letters_stay_whole():
    assert wrap("使用 float32 矩阵 float32", 11) == ["使用", "float32 矩", "阵 float32"]


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=60), st.integers(1, 30))
def test_nothing_is_lost(text, width):
    lines = wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
