"""Each belief's arms do what their names say, and leave the process as they found it."""

from __future__ import annotations

import gc
import io
import itertools

import pytest
import torch

from hotloop.insight.claims import CLAIMS, find_claim
from hotloop.insight.claims.beliefs import (
    append,
    compiling,
    dataloader,
    detach,
    explanations,
    gpu,
    printing,
    recording,
)
from hotloop.insight.claims.bench import InThisProcess
from hotloop.insight.claims.claim import Workbench
from hotloop.insight.claims.court import Sitting, measure, rule
from hotloop.insight.claims.steps import Steps
from hotloop.insight.loop import Loop
from hotloop.insight.measure import A_A, BlockPlan


def a_loop(rows=24, batch_size=None, optimizer=torch.optim.SGD):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
    X, y = torch.randn(rows, 4), torch.randint(3, (rows,))
    chosen = optimizer(model.parameters(), lr=0.01)
    return Loop("made up", model, X, y, torch.nn.CrossEntropyLoss(), chosen, epochs=50, batch_size=batch_size)


@pytest.fixture(scope="module")
def loop():
    return a_loop()


def arms_of(claim, experiment, loop):
    """Return the arms of an experiment by their names, and the workbench, whose ``afterwards`` is for the test."""
    workbench = Workbench(loop)
    return {arm.name: arm for arm in find_claim(claim).experiment(experiment).arms(workbench)}, workbench


class CountedLoss:
    """A loss that counts who reads it."""

    def __init__(self):
        self.read = 0

    def item(self):
        self.read += 1
        return 0.5


class CountedSteps:
    def __init__(self):
        self.losses = []

    def step(self):
        self.losses.append(CountedLoss())
        return self.losses[-1]

    @property
    def reads(self):
        return [loss.read for loss in self.losses]


def every_experiment():
    for claim in CLAIMS.values():
        for experiment in claim.experiments:
            yield pytest.param(claim, experiment, id=f"{claim.name}-{experiment.name}")


@pytest.mark.parametrize(("claim", "experiment"), list(every_experiment()))
def test_every_experiment_runs_and_has_a_base_and_an_other(claim, experiment, loop, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda model: model)
    if experiment.name in ("terminal", "flushing", "threads") and experiment.needs(loop):
        pytest.skip(experiment.needs(loop))
    block = InThisProcess(loop).block(claim.name, experiment.name, BlockPlan(0, rounds=1, units=2)).blocks[0]
    assert block.names[-1] == A_A
    assert len(set(block.names)) == len(block.names) >= (2 if experiment.name == "runs" else 3)


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_comes_to_a_ruling(name, loop, monkeypatch):
    """However little was measured, each question is answered or said to be open."""
    monkeypatch.setattr(torch, "compile", lambda model: model)
    # Threads that wait for each other would take most of the test's time.
    monkeypatch.setattr("hotloop.insight.claims.beliefs.threads.usable_threads", lambda: 1)
    ticks = itertools.count()
    ruling = rule(measure(find_claim(name), InThisProcess(loop), Sitting(1.6, clock=lambda: next(ticks) * 0.1)))
    assert ruling.answers
    assert ruling.sentence
    assert ruling.belief in str(ruling)
    assert all(answer.sentence in " ".join(str(ruling).split()) for answer in ruling.answers)


def test_what_is_copied_is_trained_and_not_the_loops_own(loop):
    before = [parameter.clone() for parameter in loop.model.parameters()]
    steps = Steps(loop)
    losses = [steps.step().item() for _ in range(20)]
    assert losses[-1] < losses[0]
    assert all(torch.equal(*pair) for pair in zip(before, loop.model.parameters(), strict=True))


def test_batches_are_those_of_the_loop():
    steps = Steps(a_loop(rows=25, batch_size=8))
    assert [len(steps.next_batch()[0]) for _ in range(5)] == [8, 8, 8, 1, 8]


def test_closures_are_refused():
    with pytest.raises(Exception, match="LBFGS"):
        Steps(a_loop(optimizer=torch.optim.LBFGS))


@pytest.mark.parametrize("records", recording.LEVELS)
def test_recording_reads_the_loss_so_many_times_a_step(records):
    steps = CountedSteps()
    kept = recording.record(steps, records, 7)
    assert steps.reads == [records] * 7
    assert len(kept) == 7 * records


@pytest.mark.parametrize(("interval", "reads"), [(1, 250), (100, 3)])
def test_recording_now_and_then_counts_on_from_run_to_run(interval, reads):
    steps, epochs = CountedSteps(), itertools.count()
    kept = [recording.record_every(steps, interval, epochs, 50) for _ in range(5)]
    assert sum(map(len, kept)) == sum(steps.reads) == reads


def test_the_levels_of_recording_are_its_lever(loop):
    arms, _ = arms_of("recording", "records", loop)
    assert [arm.lever for arm in arms.values()] == list(recording.LEVELS)


@pytest.mark.parametrize("lines", printing.LEVELS)
def test_printing_prints_so_many_lines_a_step(lines):
    out = io.StringIO()
    printing.print_lines(CountedSteps(), out, lines, 6)
    assert len(out.getvalue().splitlines()) == 6 * lines
    assert out.getvalue()[:28] in ("", "Epoch [1/6], Loss: 0.5000\nEp", "Epoch [1/6], Loss: 0.5000\n")


def test_appending_leaves_the_list_as_long_as_it_was():
    values = [0.0] * 10
    append._append(values, 10, 1000)
    assert len(values) == 10


@pytest.mark.parametrize("experiment", ["call", "step"])
def test_calling_forward_passes_hooks_by_and_calling_the_model_does_not(experiment, loop):
    arms, _ = arms_of("forward", experiment, loop)
    for name, expected in (("model(x)", 3), ("model.forward(x)", 0)):
        run = arms[name].run
        model = run.args[0].model if experiment == "step" else loop.model
        # The model of the calls is in the arm: the module itself, or its bound method.
        if experiment == "call":
            model = getattr(run.args[0], "__self__", run.args[0])
        calls = []
        handle = model.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        run(3)
        handle.remove()
        assert len(calls) == expected


def test_both_ways_of_keeping_losses_keep_the_same():
    at_once, later = Steps(a_loop()), Steps(a_loop())
    assert detach._read_at_once(at_once, 5) == pytest.approx(detach._read_later(later, 5))


def test_gradients_become_none_or_zeros(loop, monkeypatch):
    arms, _ = arms_of("zero-grad", "gradients", loop)
    for name, arm in arms.items():
        asked = []
        optimizer = arm.run.args[0].optimizer
        real = optimizer.zero_grad
        monkeypatch.setattr(optimizer, "zero_grad", lambda set_to_none, r=real, a=asked: (a.append(set_to_none), r()))
        arm.run(4)
        assert asked == [name == "set_to_none=True"] * 4
        monkeypatch.undo()


def test_optimizers_are_switched_before_each_sample():
    for kind in (torch.optim.SGD, torch.optim.Adam):
        arms, _ = arms_of("fused", "optimizer", a_loop(optimizer=kind))
        seen = []
        for arm in arms.values():
            arm.before()
            arm.run(2)
            group = arm.run.__self__.optimizer.param_groups[0]
            seen.append((group["foreach"], group["fused"]))
        assert seen == [(False, False), (True, False), (False, True)]


def test_an_optimizer_without_a_fused_form_is_not_tried():
    assert "Rprop" in find_claim("fused").experiment("optimizer").needs(a_loop(optimizer=torch.optim.Rprop))
    assert find_claim("fused").experiment("optimizer").needs(a_loop()) is None


def test_the_collector_is_switched_and_put_back(loop):
    arms, workbench = arms_of("gc", "collector", loop)
    with workbench.afterwards:
        for name, arm in arms.items():
            arm.before()
            assert gc.isenabled() == (name == "collector on")
    assert gc.isenabled()


def test_threads_are_switched_and_put_back(loop, monkeypatch):
    monkeypatch.setattr("hotloop.insight.claims.beliefs.threads.usable_threads", lambda: 3)
    before = torch.get_num_threads()
    arms, workbench = arms_of("threads", "threads", loop)
    with workbench.afterwards:
        seen = []
        for arm in arms.values():
            arm.before()
            seen.append(torch.get_num_threads())
    assert seen == [1, 2, 3]
    assert list(arms) == ["1 thread", "2 threads", "3 threads"]
    assert torch.get_num_threads() == before


def test_a_data_loader_and_indexing_give_the_same_rows():
    X, y = torch.arange(10.0)[:, None], torch.arange(10)
    for batches in (dataloader._indexed(X, y, 4), dataloader._loaded(X, y, 4)):
        epoch = [next(batches) for _ in range(3)]
        assert [len(x) for x, _ in epoch] == [4, 4, 2]
        assert sorted(torch.cat([labels for _, labels in epoch]).tolist()) == list(range(10))
        assert all(torch.equal(x[:, 0].long(), labels) for x, labels in epoch)


def test_precisions_are_what_they_are_called(loop):
    arms, _ = arms_of("float64", "precision", loop)
    for name, arm in arms.items():
        loss = arm.run.__self__.step()
        assert str(loss.dtype) == f"torch.{name}"


def test_autocast_computes_in_bfloat16(loop):
    arms, _ = arms_of("autocast", "autocast", loop)
    steps = arms["autocast"].run.args[0]
    seen = []
    steps.model.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    arms["autocast"].run(1)
    arms["float32"].run(1)
    assert seen == [torch.bfloat16, torch.float32]


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor cannot flush denormal numbers")
def test_denormals_are_kept_or_flushed_and_kept_again_afterwards(loop):
    tiny = torch.full((64,), 1e-20)
    arms, workbench = arms_of("denormals", "flushing", loop)
    with workbench.afterwards:
        for name, arm in arms.items():
            arm.before()
            assert bool((tiny * tiny).any()) == (name == "denormals kept")
    assert (tiny * tiny).any()


def test_compiling_is_timed_and_each_size_of_batch_compiled(monkeypatch):
    calls = []

    class Compiled(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, x):
            calls.append(len(x))
            return self.model(x)

    monkeypatch.setattr(torch, "compile", Compiled)
    arms, workbench = arms_of("compile", "compiled", a_loop(rows=20, batch_size=8))
    assert calls == [8, 4, 8, 4]
    assert workbench.figures["compile_s"] > 0
    arms["eager"].run(3)
    assert len(calls) == 4
    arms["torch.compile(model)"].run(3)
    assert len(calls) == 7


def test_without_a_compiler_compiling_is_not_tried(monkeypatch):
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    assert "C++ compiler" in find_claim("compile").experiment("compiled").needs(a_loop())


def test_a_device_does_all_of_its_steps(loop):
    steps = CountedRuns()
    gpu.run_and_wait(steps, "cpu", 5)
    assert steps.n == 5


class CountedRuns:
    n = 0

    def run(self, n):
        self.n += n


def test_an_old_loss_or_the_steps_own_is_read():
    old, own = CountedSteps(), CountedSteps()
    explanations._read_old(old, 5)
    explanations._read_own(own, 5)
    assert old.reads == [4, 0, 0, 0, 0]
    assert own.reads == [0, 1, 1, 1, 1]


def test_arithmetic_is_that_of_so_many_steps(loop):
    from hotloop.compiler.target import host_target
    from hotloop.insight.claims.facts import step_flop

    # Forward, gradient of the weights, and of the second layer's input: two operations for each weight and row.
    assert step_flop(loop) == 24 * (2 * 2 * 4 * 5 + 3 * 2 * 5 * 3)
    arms, _ = arms_of("recording", "compute", loop)
    turns = arms["its arithmetic at this core's peak"].run.args[1]
    lanes = host_target().vector_bits // 32
    assert turns * 2 * lanes * 24 == pytest.approx(step_flop(loop)) or (
        turns * 2 * lanes * 12 == pytest.approx(step_flop(loop))
    )


def test_compiled_steps_are_as_many_as_asked_for(loop):
    arms, _ = arms_of("recording", "compute", loop)
    session = arms["the step, compiled"].run.args[0]
    arms["the step, compiled"].run(30)
    assert session.step == 30
