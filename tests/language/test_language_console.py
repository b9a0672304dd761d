"""Both languages on consoles of every kind: Chinese as GBK, ASCII ones, and the same JSON everywhere."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hotloop.cli.choose_language import choose_language
from hotloop.errors import ArgumentError
from hotloop.language import current
from hotloop.language.glyphs import make_streams_safe

HOTLOOP = str(Path(sys.executable).with_name("hotloop"))
CHINESE = {"LANGUAGE": "", "LC_ALL": "", "LC_MESSAGES": "", "LANG": "zh_CN.UTF-8", "PYTHONIOENCODING": "utf-8"}


def run(folder, *arguments, **environment):
    command = [HOTLOOP, *arguments]
    return subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, check=False)


def test_training_in_chinese_on_a_gbk_console(tmp_path):
    gbk = {**CHINESE, "LANG": "zh_CN.GBK", "PYTHONIOENCODING": "gbk"}
    done = run(tmp_path, "train", "iris", "--epochs", "1000", "--no-plot", **gbk)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode("gbk").splitlines()
    assert "?" not in done.stdout.decode("gbk")
    assert lines[0] == "表格     iris：150 行，4 个特征 -> species（3 个类别）"
    assert "第 1,000 轮，共 1,000 轮  损失 0.5700" in lines
    assert lines[-1].startswith("已保存   runs")
    for path in (tmp_path / "runs/iris").iterdir():
        assert path.suffix == ".safetensors" or path.read_text(encoding="utf-8").isascii()


def test_an_ascii_console_gets_english_where_only_the_locale_asked_for_chinese(tmp_path):
    done = run(tmp_path, "devices", **{**CHINESE, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert b"  processor " in done.stdout
    asked = run(tmp_path, "--lang", "zh", "devices", **{**CHINESE, "PYTHONIOENCODING": "ascii"})
    assert asked.returncode == 0
    assert b"cannot show Chinese (ascii)" in asked.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("devices", "--json"), ("train", "iris", "--epochs=20", "--json", "--no-plot")])
def test_json_is_the_same_in_both_languages(tmp_path, arguments):
    documents = []
    for language in ("en", "zh"):
        (tmp_path / language).mkdir()
        done = run(tmp_path / language, *arguments, "--lang", language)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.isascii()
        document = json.loads(done.stdout)
        for changing in ("duration_s", "prepare_s", "started_at", "memory"):
            document.pop(changing, None)
        documents.append(json.dumps(document))
    assert documents[0] == documents[1]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "line"),
    [
        (["trian"], 2, "未知的命令 trian。你是不是想写“train”？可用的命令："),
        (
            ["train", "iris", "--epoch", "3"],
            2,
            "未知的选项 --epoch。你是不是想写“--epochs”？参见 hotloop train --help。",
        ),
        (["train"], 2, "TABLE 缺少值。参见 hotloop train --help。"),
        (["train", "iris", "--epochs", "x"], 2, "“x”不适用于 --epochs。参见 hotloop train --help。"),
        (["train", "iris", "--task", "regresion"], 2, "“regresion”不适用于 --task；可用的值：auto, classification, "),
        (["train", "iris", "--epochs", "1", "--epochs", "2"], 2, "--epochs 给出了不止一次。"),
        (["train", "iris", "more"], 2, "无法理解：more。"),
        (["train", "iris2"], 1, "无法读取“iris2”：没有这个文件。你是不是想写“iris”？"),
        (["train", "iris", "--target", "speces"], 1, "表格“iris”没有目标列 'speces'。"),
        (
            ["train", "iris", "--epochs", "0"],
            2,
            "--epochs 的值是 0；它必须是大于或等于 1 的整数。参见 hotloop train",
        ),
        (["train", "iris", "--patience", "-1"], 2, "--patience 的值是 -1；它必须大于或等于 0。"),
        (["predict", "nothing", "iris"], 1, "没有训练结果“nothing”。"),
    ],
)
def test_mistakes_are_one_line_of_chinese(tmp_path, monkeypatch, capsys, undecided, arguments, exit_code, line):
    from hotloop.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hotloop.cli.stop_at_once", lambda: None)
    monkeypatch.setattr("hotloop.cli.train.stop_at_once", lambda: None)
    monkeypatch.setattr("hotloop.cli.train.stop_at_whole_steps", lambda: None)
    with pytest.raises(SystemExit) as left:
        main(["--lang=zh", *arguments])
    said = capsys.readouterr().err
    assert (left.value.code, said.count("\n")) == (exit_code, 1)
    assert said.startswith(f"hotloop: {line}"), said


def test_help_is_chinese_and_names_the_option(tmp_path, monkeypatch, capsys, undecided):
    from hotloop.cli import main

    monkeypatch.setattr("hotloop.cli.stop_at_once", lambda: None)
    monkeypatch.setattr("hotloop.cli.train.stop_at_once", lambda: None)
    monkeypatch.setattr("hotloop.cli.train.stop_at_whole_steps", lambda: None)
    for command in ([], ["train"], ["predict"], ["devices"], ["layers"], ["ir"]):
        with pytest.raises(SystemExit):
            main(["--lang", "zh", *command, "--help"])
        page = capsys.readouterr().out
        assert page.startswith("用法： hotloop [--lang en|zh] ")
        english = ("Parameters", "Arguments", "Commands", "Display", "Show ", "by default")
        assert [word for word in english if word in page] == []


@pytest.mark.parametrize(
    ("arguments", "rest", "language"),
    [
        (["train", "--lang", "zh", "iris"], ["train", "iris"], "zh"),
        (["--lang=en", "train"], ["train"], "en"),
        (["--lang", "en", "train", "--lang", "zh_CN"], ["train"], "zh"),
        (["train", "--", "--lang", "zh"], ["train", "--", "--lang", "zh"], "en"),
        (["train", "--language"], ["train", "--language"], "en"),
    ],
)
def test_the_option_may_stand_anywhere(undecided, arguments, rest, language):
    assert choose_language(arguments) == rest
    assert current() == language


@pytest.mark.parametrize("arguments", [["--lang"], ["--lang="], ["--lang", "--json"], ["--lang", "klingon"]])
def test_an_unknown_language_is_a_usage_error(undecided, arguments):
    with pytest.raises(ArgumentError) as refused:
        choose_language(arguments)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "a -> b ... x+-2 us ?"), ("gbk", "a → b … x±2 us ?")])
def test_what_a_console_lacks_is_written_as_what_comes_nearest(encoding, shown):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    make_streams_safe(stream, object(), None)
    stream.write("a → b … x±2 µs \U0001f600")
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding) == shown


@pytest.mark.timing
def test_help_appears_as_soon_in_chinese():
    def median_s(language):
        times_s = []
        for _ in range(5):
            started_s = time.perf_counter()
            with subprocess.Popen([HOTLOOP, "--lang", language, "--help"], stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                process.stdout.read(1)
                times_s.append(time.perf_counter() - started_s)
                process.stdout.read()
        return sorted(times_s)[2]

    assert median_s("zh") < max(0.3, 1.2 * median_s("en"))
