"""What ``HOTLOOP_DEBUG`` and ``HOTLOOP_DUMP`` show of a compilation."""

from __future__ import annotations

import re

import pytest

from hotloop.capture import capture_network
from hotloop.compiler import pipeline
from hotloop.compiler.choose_tiles import RowsShape
from hotloop.compiler.target import host_target
from hotloop.program.network import Network
from hotloop.program.optimizers import Sgd
from hotloop.program.text import parse_program

PASSES = [
    *("captured", "eliminate", "fold", "eliminate"),
    *("fuse_elementwise", "choose_tiles", "fuse_updates", "reuse_buffers"),
]


@pytest.fixture
def compile_lesson(monkeypatch, tmp_path):
    """Compile the lesson's program as a process does that never compiled before."""
    monkeypatch.setenv("HOTLOOP_CACHE_DIR", str(tmp_path / "cache"))

    def compile_it(**environment: str):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(pipeline, "_kept", type(pipeline._kept)())
        network = Network.mlp(4, (10,), 3)
        program, _ = capture_network(
            network, task="classification", class_weight=None, rule=Sgd(), has_validation=False
        )
        return pipeline.compile_program(program, RowsShape.of(120, None, host_target().lanes("f32")))

    return compile_it


def test_the_dump_has_every_stage(compile_lesson, tmp_path, capsys):
    dump = tmp_path / "new" / "dump"
    compiled = compile_lesson(HOTLOOP_DUMP=str(dump))
    stages = [f"{number:02}-{name}.txt" for number, name in enumerate(PASSES)]
    assert sorted(path.name for path in dump.iterdir()) == [*stages, "cpu.ll", "cpu.opt.ll", "cpu.s"]
    assert parse_program((dump / "00-captured.txt").read_text()) == compiled.program
    for name in stages[:4]:
        assert str(parse_program((dump / name).read_text())) == (dump / name).read_text()
    assert "blocks of rows at once" in (dump / stages[-1]).read_text()
    assert "define void @run(ptr %arguments)" in (dump / "cpu.ll").read_text()
    assert "target triple" in (dump / "cpu.opt.ll").read_text()
    assert re.search(r"^_?run:", (dump / "cpu.s").read_text(), flags=re.M)
    assert capsys.readouterr() == ("", "")


def test_the_dump_is_written_although_the_code_is_known(compile_lesson, tmp_path):
    compile_lesson()
    compile_lesson(HOTLOOP_DUMP=str(tmp_path / "dump"))
    assert (tmp_path / "dump" / "cpu.s").exists()


def test_each_debug_level_shows_more(compile_lesson, monkeypatch, capsys):
    monkeypatch.setenv("HOTLOOP_NO_CACHE", "1")
    shown = {}
    for level in range(6):
        compile_lesson(HOTLOOP_DEBUG=str(level))
        out, shown[level] = capsys.readouterr()
        assert out == ""
    assert shown[0] == shown[1] == ""
    assert re.findall(r"^hotloop: (\w+): \d+\.\d\d ms$", shown[2], flags=re.M) == [
        *PASSES,
        "emit_program",
        "object_code",
    ]
    assert shown[2].count("\n") == len(PASSES) + 2
    changed = ["eliminate", "fold", "fuse_elementwise", "choose_tiles", "fuse_updates", "reuse_buffers"]
    told = [re.findall(r"^hotloop: (\w+) changed the program$", shown[level], flags=re.M) for level in range(6)]
    # The last elimination is there for what folding leaves behind, which is not always anything.
    assert told[2] == []
    assert [name for name in told[3] if name != "eliminate"] == changed[1:]
    assert "define void @run" not in shown[3]
    assert "hotloop: cpu.ll:\n@facts" in shown[4]
    assert "hotloop: cpu.s:\n" in shown[4]
    assert "after fold" not in shown[4]
    for name in PASSES:
        assert f"hotloop: after {name}:\nstep\n" in shown[5]
