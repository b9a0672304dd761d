"""Code for AArch64, which this machine may not run: the whole of the lesson, down to an object file."""

from __future__ import annotations

import re

import pytest

from hotloop.capture import capture_network
from hotloop.compiler.choose_tiles import RowsShape
from hotloop.compiler.emit_run import emit_program
from hotloop.compiler.machine_code import assembly, object_code
from hotloop.compiler.pipeline import lower
from hotloop.compiler.target import named_target
from hotloop.program.network import Network
from hotloop.program.optimizers import Adam, Sgd

NEON = named_target("neon")
_EM_AARCH64 = 183


@pytest.mark.parametrize("batch_size", [None, 32])
def test_the_lesson(batch_size):
    network = Network.mlp(4, (10,), 3, "relu" if batch_size is None else "gelu")
    rule = Sgd() if batch_size is None else Adam()
    program, _ = capture_network(
        network, task="classification", class_weight=None, rule=rule, has_validation=batch_size is not None
    )
    plan = lower(program, RowsShape.of(120, batch_size, NEON.lanes("f32")), NEON)
    ir = emit_program(plan, NEON)
    text = assembly(ir, NEON)
    assert len(re.findall(r"\tfmla\tv\d+\.4s, v\d+\.4s, v\d+\.(4s|s\[\d\])", text)) > 50
    called = set(re.findall(r"\tbl\t_?(\w+)", text))
    assert {name for name in called if not name.startswith(("step_", "evaluation_", "gather_", "update_"))} <= {
        "memcpy",
        "memset",
        "memmove",
    }
    code = object_code(ir, NEON)
    if not NEON.triple.startswith("arm64-apple"):
        assert code[:4] == b"\x7fELF"
        assert int.from_bytes(code[18:20], "little") == _EM_AARCH64
