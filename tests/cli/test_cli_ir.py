"""``hotloop ir``: any stage of the program that ``hotloop train`` would compile."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

from hotloop.cli.ir import ir
from hotloop.compiler.choose_tiles import RowsShape
from hotloop.compiler.pipeline import passes
from hotloop.compiler.target import TARGET_NAMES, host_target
from hotloop.program.network import Network
from hotloop.program.text import parse_program
from hotloop.program.verify import verify


def lesson_passes():
    from hotloop.capture import capture_network
    from hotloop.program.optimizers import Sgd

    network = Network.mlp(4, (10,), 3)
    program, _ = capture_network(network, task="classification", class_weight=None, rule=Sgd(), has_validation=False)
    target = host_target()
    return dict(passes(program, RowsShape.of(120, None, target.lanes("f32")), target))


def test_the_lesson_after_every_pass(in_process):
    for name, stage in lesson_passes().items():
        done = in_process("ir", "iris", "--after", name)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == str(stage)
    assert in_process("ir", "iris").stdout == str(stage), "the last pass by default"


def test_what_is_captured_is_a_program(in_process):
    shown = in_process("ir", "iris", "--after", "captured").stdout
    program = parse_program(shown)
    verify(program)
    assert str(program) == shown


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--hidden", "7,5", "--activation", "tanh"], r"w1: f32\[h1=5, h0=7\](.|\n)*= tanh\("),
        (["--hidden", "none"], r"weight w0: f32\[h0=3, features=4\]\n  weight b0"),
        (["--optimizer", "adamw", "--weight-decay", "0.1"], r"update adam of (.|\n)*scalar decay"),
        (["--class-weight", "balanced"], r"fixed class_weight: f32\[h0?1?=3\]"),
        (["--recipe", "tabular"], r"evaluation\n"),
        (["--target", "sepal_length_cm"], r"data y: f32\[rows, h1=1\]"),
    ],
)
def test_options_of_the_network(in_process, options, found):
    done = in_process("ir", "iris", "--after", "captured", *options)
    assert done.returncode == 0, done.stderr
    assert re.search(found, done.stdout)


def test_the_batch_size_changes_the_plan(in_process):
    shown = {size: in_process("ir", "iris", "--batch-size", size).stdout for size in ("full", "17", "100")}
    assert len(set(shown.values())) > 1
    assert "blocks of rows at once" in shown["17"]


def test_generated_code(in_process):
    ir_text = in_process("ir", "iris", "--llvm").stdout
    assert "define void @run(ptr %arguments)" in ir_text
    assembly = in_process("ir", "iris", "--asm").stdout
    assert re.search(r"^_?run:", assembly, flags=re.M)


@pytest.mark.parametrize(
    ("target", "registers"), [("avx512", "%zmm0"), ("avx2", "%ymm0"), ("sse", "%xmm0"), ("neon", r"fmla\tv\d+\.4s")]
)
def test_code_for_any_processor(in_process, target, registers):
    assert target in TARGET_NAMES
    shown = in_process("ir", "iris", "--asm", "--level", target).stdout
    assert re.search(registers, shown)
    assert re.search("%zmm" if target != "avx512" else "fmla", shown) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--after", "fuse_elementwize"], "no pass is called 'fuse_elementwize'. Did you mean 'fuse_elementwise'?"),
        (["--after", "x"], "no pass is called 'x'. Use one of captured, eliminate, fold, fuse_elementwise,"),
        (["--level", "avx521"], "Did you mean 'avx512'?"),
        (["--llvm", "--asm"], "--after, --llvm and --asm each ask for another stage. Give one of them."),
        (["--activation", "rellu"], "Did you mean 'relu'?"),
    ],
)
def test_mistakes(in_process, options, said):
    done = in_process("ir", "iris", *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_what_is_not_compiled(in_process):
    done = in_process("ir", "iris", "--optimizer", "rmsprop")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "hotloop: the optimizer rmsprop is not compiled. Use sgd, adam or adamw. See hotloop layers.\n"
    )


def test_help_names_every_pass_and_fits_a_screen(in_process, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = in_process("ir", "--help").stdout
    assert len(shown.splitlines()) <= 24
    assert max(map(len, shown.splitlines())) <= 80
    said = " ".join(inspect.getdoc(ir).split())
    assert f"{', '.join(list(lesson_passes())[:-1])} or reuse_buffers (default)" in said


def test_torch_is_not_imported():
    code = (
        "import sys\nfrom hotloop.cli import main\n"
        "try: main(['ir', 'iris', '--asm'])\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
