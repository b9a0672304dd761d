"""The picture in Chinese where a font has Chinese, and in English where none has."""

from __future__ import annotations

import dataclasses

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

import hotloop
from hotloop.language import reader
from hotloop.report.loss_curve import draw, to_png


@pytest.fixture(scope="module")
def run():
    from hotloop.training.recipes import find_recipe
    from hotloop.training.train_table import prepare_table_training

    recipe = dataclasses.replace(find_recipe("tabular", "iris"), epochs=30, patience=None)
    return prepare_table_training(hotloop.tables.read("iris"), recipe).run(progress=False)


@pytest.fixture
def fonts(monkeypatch):
    """Let matplotlib have found no font for Chinese; return the list."""
    from matplotlib import font_manager

    own = [font for font in font_manager.fontManager.ttflist if font.name.startswith("DejaVu")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(reader, "_reading", None)
    reader.use("zh")
    return own


def texts(run) -> list[str]:
    axes = draw(run).axes[0]
    return [axes.get_title(), axes.get_xlabel(), axes.get_ylabel(), *axes.get_legend_handles_labels()[1]]


def box_font(path, signs: str) -> None:
    """Write a font in which each sign is a box, under the name of one that people have."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 800), (800, 800), (800, 0)):
        pen.lineTo(point)
    pen.closePath()
    names = [".notdef", *(f"uni{ord(sign):04X}" for sign in signs)]
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(sign): name for sign, name in zip(signs, names[1:], strict=True)})
    font.setupGlyf(dict.fromkeys(names, pen.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "SimHei", "styleName": "Regular"})
    font.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    font.setupPost()
    font.save(path)


def test_without_a_font_for_chinese_the_picture_is_english(run, fonts):
    best = f"best validation (epoch {run.best_epoch})"
    assert texts(run) == ["Training Loss on cpu", "Epoch", "Loss", "training", "validation", best]
    assert to_png(run).startswith(b"\x89PNG")


def test_with_one_it_is_chinese(run, fonts, tmp_path):
    from matplotlib import font_manager

    shown = ["cpu 上的训练损失", "训练轮数", "损失", "训练", "验证", f"最佳验证损失（第 {run.best_epoch} 轮）"]
    signs = sorted({sign for text in shown for sign in text if not sign.isascii()})
    box_font(tmp_path / "simhei.ttf", "".join(signs))
    fonts.append(font_manager.FontEntry(fname=str(tmp_path / "simhei.ttf"), name="SimHei"))
    assert texts(run) == shown
    # A missing glyph would be a warning, and warnings are errors.
    assert to_png(run).startswith(b"\x89PNG")
    reader.use("en")
    assert texts(run)[0] == "Training Loss on cpu"
