"""The lesson's program as text: as it is captured, after folding, and the plan after the last pass."""

from __future__ import annotations

import pytest

from hotloop.capture import capture_network
from hotloop.compiler.choose_tiles import RowsShape
from hotloop.compiler.pipeline import passes
from hotloop.compiler.target import named_target
from hotloop.program.network import Network
from hotloop.program.optimizers import Sgd


@pytest.mark.parametrize("name", ["captured", "fold", "reuse_buffers"])
def test_the_lesson(golden, name):
    program, _ = capture_network(
        Network.mlp(4, (10,), 3), task="classification", class_weight=None, rule=Sgd(), has_validation=False
    )
    stages = dict(passes(program, RowsShape.of(120, None, lanes=16), named_target("avx512")))
    golden(f"lesson-{name}.txt", str(stages[name]))
