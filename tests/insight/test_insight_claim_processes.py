"""Claims in real processes, by real time, for a moment."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hotloop.insight.claims import find_claim
from hotloop.insight.claims.bench import FreshProcesses, InThisProcess
from hotloop.insight.claims.court import Sitting, judge_claim, measure, rule
from hotloop.insight.claims.facts import facts_of
from hotloop.insight.claims.process import START
from hotloop.insight.fork_server import ForkServer
from hotloop.insight.loop import Loop, loop_of_table
from hotloop.insight.measure import BlockPlan


@pytest.mark.slow
def test_blocks_find_everything_imported_and_the_server_has_one_thread():
    folder = str(Path(__file__).parent)
    start = f"import sys; sys.path.insert(0, {folder!r}); from served_loops import main; main()"
    with ForkServer(start) as server:
        assert server.call("threads", {}) == 1
        late = server.call("imported_by_a_block", {})
    # Small parts of the standard library may come late; what takes long must not.
    assert [name for name in late if name.partition(".")[0] in ("torch", "polars", "llvmlite", "sympy")] == []
    assert [name for name in late if name.startswith("hotloop.")] == []


@pytest.mark.slow
def test_processes_and_this_process_say_the_same_of_a_loop():
    own = InThisProcess(loop_of_table("iris"))
    with ForkServer(START) as server:
        fresh = FreshProcesses(server, "iris")
        assert fresh.survey("recording") == own.survey("recording")
        block = fresh.block("append", "append", BlockPlan(1, 2, 0.001), True).blocks[0]
        many = fresh.blocks("append", "append", BlockPlan(1, 2, 0.001), 1.0).blocks
        found = rule(measure(find_claim("append"), fresh, Sitting(1.0)))
    assert block.names == own.block("append", "append", BlockPlan(1, 2, 0.001)).blocks[0].names
    assert len(many) > 1
    assert found.answer("append").n_blocks >= 1


def test_facts_are_those_of_the_lesson():
    facts = facts_of(loop_of_table("iris"))
    assert facts.flop == 40_800
    assert facts.subject.steps == facts.epochs == 20_000


def test_a_loop_from_python_is_judged_in_this_process():
    model = torch.nn.Linear(3, 1)
    X = torch.randn(20, 3)
    loop = Loop("mine", model, X, X.sum(1, keepdim=True), torch.nn.MSELoss(), torch.optim.SGD(model.parameters()), 10)
    ruling = judge_claim("append", loop, budget_s=1.0)
    assert ruling.facts.subject.name == "mine"
    assert "mine" in str(ruling)
    assert ruling.to_json()["claim"] == "append"


def test_wide_models_are_timed_by_the_wall(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    model = torch.nn.Sequential(torch.nn.Linear(512, 512), torch.nn.ReLU(), torch.nn.Linear(512, 2))
    X, y = torch.randn(64, 512), torch.randint(2, (64,))
    wide = Loop("wide", model, X, y, torch.nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters()), 10)
    assert not facts_of(wide).own_time
    assert facts_of(loop_of_table("iris")).own_time


@pytest.mark.parametrize("claim", ["threads", "printing", "compile", "gpu"])
def test_what_waits_or_shares_is_timed_by_the_wall(claim):
    assert any(experiment.waits for experiment in find_claim(claim).experiments)
