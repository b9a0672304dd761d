"""Texts that are kept: English in files and errors, the reader's language where they are shown."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

import hotloop
from hotloop.cli.error_line import error_line
from hotloop.errors import ArgumentError, nearest
from hotloop.language import Sentence, clauses, shown
from hotloop.sentence import counted, sentences
from hotloop.training.divergence import _KEPT

LOST = Sentence("the loss became NaN in epoch {epoch}", epoch=1234)


def test_it_is_its_english_text():
    assert LOST == "the loss became NaN in epoch 1234"
    assert json.dumps([LOST]) == '["the loss became NaN in epoch 1234"]'
    assert {LOST: 1}["the loss became NaN in epoch 1234"] == 1
    assert type(f"{LOST}") is str
    assert Sentence("braces {stay} without values") == "braces {stay} without values"


def by_pickle(text):
    return pickle.loads(pickle.dumps(text))  # noqa: S301, made here


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, by_pickle])
def test_copies_can_still_be_translated(in_chinese, copied):
    assert copied(LOST) == LOST
    assert shown(copied(LOST)) == "损失在第 1234 轮变为 NaN"


def test_sentences_in_sentences_are_shown_in_the_same_language(in_chinese):
    what = clauses(Sentence("{became}: {reason}", became=LOST, reason="{braces}"), _KEPT)
    assert what == "the loss became NaN in epoch 1234: {braces}; the weights before that update are kept"
    assert shown(what) == "损失在第 1234 轮变为 NaN：{braces}；保留该次更新之前的权重"
    assert shown("plain {text}") == "plain {text}"
    assert clauses("one") == "one"
    assert sentences("One.", "Two.") == "One. Two."


def test_numbers_of_things():
    one, many = "{n} row of {name}", "{n} rows of {name}"
    assert [counted(one, many, n, name="x") for n in (0, 1, 2)] == ["0 rows of x", "1 row of x", "2 rows of x"]


def test_a_value_cannot_format_anything(in_chinese):
    hostile = "{0.__class__} {epoch!r:>99999999}"
    assert shown(Sentence("unknown recipe {name!r}.{near}", name=hostile, near="")) == f"未知的配方 {hostile!r}。"


def test_errors_are_english_and_their_lines_are_not(in_chinese):
    do = Sentence("use {first} or {last}", first='device="cpu"', last='device="auto"')
    what = Sentence("unknown recipe {name!r}.{near}", name="leson", near=nearest("leson", ["lesson"]))
    error = ArgumentError(what, do=do)
    error.see = "help(hotloop.fit)"
    assert str(error).startswith("unknown recipe 'leson'. Did you mean 'lesson'?\n  Do:  use device=")
    line = error_line(error, "hotloop train", {"device": "--device"})
    assert line == (
        "未知的配方 'leson'。你是不是想写“lesson”？请使用 --device cpu 或 --device auto。参见 hotloop train --help。"
    )
    assert error_line(ArgumentError("not translated", why="for a reason")) == "not translated。For a reason。"


def test_a_run_is_printed_in_the_readers_language_and_kept_in_english(in_chinese):
    from hotloop.training.recipes import find_recipe
    from hotloop.training.train_table import prepare_table_training

    recipe = find_recipe("tabular", "iris")
    run = prepare_table_training(hotloop.tables.read("iris"), recipe).run(progress=False)
    assert str(run).startswith("训练结果，")
    assert "  引擎          native，在 cpu 上\n" in str(run)
    assert run.to_json()["why"].isascii()
    assert run.stopped_why.isascii()
    assert all(note.isascii() for note in run.notes)
