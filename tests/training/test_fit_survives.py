"""Divergence, interruption and checkpoints: training stops at a whole step and nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
import torch
from by_hand import equal, mlp
from torch import nn, optim

import hotloop
from hotloop.files import write_atomically
from hotloop.training import loop


def fresh(build=mlp):
    torch.manual_seed(3)
    return build()


def with_dropout():
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.4), nn.Linear(8, 3))


class Poisoned:
    """Cross-entropy that turns ``value`` at one call; the two before training, of the probe, do not count."""

    def __init__(self, at_step, value=float("nan")):
        self.at_step, self.value, self.calls = at_step, value, -1

    def __call__(self, output, y):
        loss = nn.functional.cross_entropy(output, y)
        self.calls += 1
        return loss * self.value if len(y) > 4 and self.calls - 1 == self.at_step else loss


@pytest.mark.parametrize("chunk_s", [0.0, 0.05])
@pytest.mark.parametrize("batch_size", [None, 8])
@pytest.mark.parametrize("build_optimizer", [lambda p: optim.SGD(p, 1e3, momentum=0.9), lambda p: optim.Adam(p, 1e37)])
def test_divergence_keeps_the_last_good_weights(classes, monkeypatch, build_optimizer, batch_size, chunk_s):
    """The weights kept are those of a run that stops one update earlier, and their loss is finite."""
    monkeypatch.setattr(loop, "_CHUNK_S", chunk_s)
    X, y = classes
    X = X * 1e15

    def train(epochs, callbacks=()):
        model = fresh(lambda: nn.Sequential(nn.Linear(5, 8), nn.Linear(8, 8), nn.Linear(8, 3)))
        optimizer = build_optimizer(model.parameters())
        settings = {"batch_size": batch_size, "seed": 1, "callbacks": callbacks}
        return model, hotloop.fit(
            model, X, y, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=epochs, **settings
        )

    model, run = train(200)
    assert run.stopped == "diverged"
    assert "epoch" in run.stopped_why
    assert all(bool(p.isfinite().all()) for p in model.parameters())
    assert bool(torch.isfinite(nn.CrossEntropyLoss()(model(X), y)))
    assert np.isfinite(run.losses).all()
    if run.epochs > 1 and batch_size is None:
        expected, shorter = train(run.epochs - 1)
        assert shorter.stopped == "finished"
        assert equal(model.state_dict(), expected.state_dict())


def test_the_first_bad_epoch_and_tensor_are_named(classes):
    X, y = classes

    @hotloop.callback(every=6)
    def poison(moment):
        with torch.no_grad():
            moment.model[2].bias[1] = float("inf")

    model = fresh()
    run = hotloop.fit(
        *(model, X, y), loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(model.parameters(), 0.1), epochs=20,
        callbacks=[poison],
    )  # fmt: skip
    assert run.stopped == "diverged"
    assert "a callback left '2.bias' not finite after epoch 6" in run.stopped_why
    expected = fresh()
    hotloop.fit(expected, X, y, loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(expected.parameters(), 0.1), epochs=6)
    assert equal(model.state_dict(), expected.state_dict())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_first_step_that_is_not_finite_keeps_the_first_weights(classes, value):
    model = fresh()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = optim.Adam(model.parameters(), 0.1)
    run = hotloop.fit(model, *classes, loss=Poisoned(0, value), optimizer=optimizer, epochs=5)
    assert (run.stopped, run.epochs, len(run.losses)) == ("diverged", 0, 0)
    assert equal(model.state_dict(), before)


def test_weights_lost_in_the_very_last_update_are_noticed(classes):
    model = fresh()
    optimizer = optim.SGD(model.parameters(), lr=float("inf"))
    run = hotloop.fit(model, *classes, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=1)
    assert run.stopped == "diverged"
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def test_a_schedule_goes_back_too(classes):
    """After a divergence the learning rate is that of the epoch whose weights were kept."""
    model = fresh()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1.0 if epoch < 9 else float("inf"))
    run = hotloop.fit(model, *classes, loss=nn.CrossEntropyLoss(), optimizer=optimizer, schedule=schedule, epochs=30)
    assert run.stopped == "diverged"
    assert run.epochs == 10
    assert schedule.last_epoch == 9
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def interrupted_at(epoch, number=signal.SIGINT):
    @hotloop.callback(every=epoch)
    def interrupt(moment):
        if moment.epoch == epoch:
            signal.raise_signal(number)

    return interrupt


def test_ctrl_c_carries_the_run_and_the_model_stands_at_its_step(classes):
    model, handler = fresh(), signal.getsignal(signal.SIGINT)
    optimizer = optim.Adam(model.parameters(), 0.02)
    with pytest.raises(KeyboardInterrupt) as stop:
        hotloop.fit(
            *(model, *classes), loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=1000,
            callbacks=[interrupted_at(7)],
        )  # fmt: skip
    assert isinstance(stop.value, hotloop.Interrupted)
    run = stop.value.run
    assert (run.stopped, run.epochs, len(run.losses)) == ("interrupted", 7, 7)
    assert signal.getsignal(signal.SIGINT) is handler
    expected = fresh()
    hotloop.fit(
        expected, *classes, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(expected.parameters(), 0.02), epochs=7
    )
    assert equal(model.state_dict(), expected.state_dict())


def test_ctrl_c_from_outside_is_answered_within_a_fifth_of_a_second(classes):
    model = fresh()
    sent_s = []

    def send():
        time.sleep(0.4)
        sent_s.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    with pytest.raises(hotloop.Interrupted) as stop:
        hotloop.fit(
            *(model, *classes), loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(model.parameters(), 0.01),
            epochs=10_000_000, batch_size=8, seed=2,
        )  # fmt: skip
    answered_s = time.perf_counter() - sent_s[0]
    thread.join()
    assert answered_s < 0.2 if os.environ.get("CI") is None else 1
    steps = stop.value.run
    again = fresh()
    run = hotloop.fit(
        *(again, *classes), loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(again.parameters(), 0.01),
        epochs=steps.epochs, batch_size=8, seed=2,
    )  # fmt: skip
    np.testing.assert_array_equal(run.losses, steps.losses)


def test_whoever_asks_twice_does_not_wait(classes):
    def twice(moment):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    model = fresh()
    with pytest.raises(KeyboardInterrupt) as stop:
        hotloop.fit(
            *(model, *classes), loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(model.parameters(), 0.01), epochs=9,
            callbacks=[twice],
        )  # fmt: skip
    assert not isinstance(stop.value, hotloop.Interrupted)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_people_s_handlers_and_threads_are_left_alone(classes):
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append("theirs"))
    try:
        model = fresh()
        run = hotloop.fit(
            *(model, *classes), loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(model.parameters(), 0.01), epochs=9,
            callbacks=[interrupted_at(3)],
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    assert (seen, run.stopped) == (["theirs"], "finished")


def resumable(classes, checkpoint, *, build=with_dropout, callbacks=(), seed=11, epochs=12, **settings):
    model = fresh(build)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    schedule = optim.lr_scheduler.StepLR(optimizer, 3, 0.7)
    X, y = classes
    settings = {"batch_size": 8, "X_val": X[:9], "y_val": y[:9], "patience": 9, "record_every": 5, **settings}
    run = hotloop.fit(
        *(model, X, y), loss=nn.CrossEntropyLoss(), optimizer=optimizer, schedule=schedule, epochs=epochs, seed=seed,
        checkpoint=checkpoint, callbacks=callbacks, **settings,
    )  # fmt: skip
    return run, (model.state_dict(), optimizer.state_dict(), schedule.state_dict())


@pytest.mark.parametrize("steps", [1, 3, 5, 12, 29, 59])
def test_going_on_from_any_step_gives_the_bytes_of_never_having_stopped(classes, tmp_path, monkeypatch, steps):
    """Interrupted after any step, within an epoch too: with Adam, dropout, batch statistics, schedule, patience."""
    expected, states = resumable(classes, None)
    monkeypatch.setattr(loop, "_CHUNK_S", 0.0)  # chunks of one step
    taken = []

    original = torch.optim.Adam.step

    def step(self, closure=None):
        taken.append(1)
        if len(taken) == steps:
            signal.raise_signal(signal.SIGINT)
        return original(self, closure)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", step)
        with pytest.raises(hotloop.Interrupted):
            resumable(classes, tmp_path / "checkpoint")
    assert len(taken) == steps
    run, others = resumable(classes, tmp_path / "checkpoint")
    assert all(map(equal, states, others))
    for name in ("losses", "recorded_at", "validation_losses", "validated_at"):
        np.testing.assert_array_equal(getattr(run, name), getattr(expected, name))
    assert (run.best_epoch, run.epochs, run.stopped) == (expected.best_epoch, expected.epochs, expected.stopped)


def test_a_seed_that_was_drawn_is_gone_on_with(classes, tmp_path):
    path = tmp_path / "checkpoint"
    with pytest.raises(hotloop.Interrupted) as stop:
        resumable(classes, path, seed=None, callbacks=[interrupted_at(4)])
    torch.manual_seed(99)
    run, _ = resumable(classes, path, seed=None)
    assert run.seed == stop.value.run.seed
    expected, _ = resumable(classes, None, seed=run.seed)
    np.testing.assert_array_equal(run.losses, expected.losses)


def test_a_finished_checkpoint_returns_at_once(classes, tmp_path):
    first, states = resumable(classes, tmp_path / "checkpoint")
    calls = []
    again, others = resumable(classes, tmp_path / "checkpoint", callbacks=[lambda moment: calls.append(moment)])
    assert calls == []
    assert all(map(equal, states, others))
    assert again.losses.tolist() == first.losses.tolist()


CHANGES = {
    "data": lambda X, y: {"classes": (X + 1e-6, y)},
    "labels": lambda X, y: {"classes": (X, y.flip(0))},
    "network": lambda X, y: {"build": mlp},
    "epochs": lambda X, y: {"epochs": 13},
    "batch size": lambda X, y: {"batch_size": 10},
    "seed": lambda X, y: {"seed": 12},
    "clipping": lambda X, y: {"clip_grad_norm": 1.0},
    "weights": lambda X, y: {"sample_weight": torch.ones(len(X))},
    "patience": lambda X, y: {"patience": 8},
    "validation": lambda X, y: {"X_val": X[:8], "y_val": y[:8]},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_of_another_run_is_refused(classes, tmp_path, change):
    path = tmp_path / "checkpoint"
    with pytest.raises(hotloop.Interrupted):
        resumable(classes, path, callbacks=[interrupted_at(2)])
    content = path.read_bytes()
    changed = {"classes": classes, **CHANGES[change](*classes)}
    with pytest.raises(hotloop.SavedRunError, match="another run"):
        resumable(changed.pop("classes"), path, **changed)
    assert path.read_bytes() == content


@pytest.mark.no_cover
def test_every_damaged_byte_of_a_checkpoint_is_refused(classes, tmp_path):
    from hotloop.training.checkpoint import saved_seed

    path = tmp_path / "checkpoint"
    resumable(classes, path, epochs=1)
    content = path.read_bytes()
    assert saved_seed(path) == 11
    positions = [*range(300), *range(300, len(content), 37), len(content) - 1]
    for position in positions:
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(hotloop.SavedRunError):
            saved_seed(path)
    for length in (0, 1, 50, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(hotloop.SavedRunError):
            saved_seed(path)


def test_a_checkpoint_that_cannot_be_written_is_refused_before_training(classes, tmp_path):
    (tmp_path / "file").write_text("")
    calls = []
    with pytest.raises(hotloop.OutputError):
        resumable(classes, tmp_path / "file" / "checkpoint", callbacks=[lambda moment: calls.append(moment)])
    assert calls == []


def test_saving_the_state_is_no_training(classes, tmp_path, monkeypatch):
    from hotloop.training.checkpoint import Checkpoint

    write = Checkpoint.write
    monkeypatch.setattr(Checkpoint, "write", lambda self, state: (time.sleep(5), write(self, state)))
    run, _ = resumable(classes, tmp_path / "checkpoint")
    assert run.duration_s < 5


def test_checkpoints_are_written_now_and_then(classes, tmp_path, monkeypatch):
    from hotloop.training import checkpoint

    monkeypatch.setattr(checkpoint, "_INTERVAL_S", 0.0)
    path, found = tmp_path / "new" / "checkpoint", []
    expected, states = resumable(classes, None)
    run, others = resumable(classes, path, callbacks=[lambda moment: found.append(path.exists())])
    assert all(found[2:])
    np.testing.assert_array_equal(run.losses, expected.losses)
    assert all(map(equal, states, others))


def test_a_full_disk_costs_the_checkpoint_and_not_the_run(classes, tmp_path, monkeypatch):
    """The disk is full at first, and has room at the end."""
    X, y = classes
    attempts = []

    def write(path, data):
        attempts.append(path)
        if len(attempts) < 4:
            raise hotloop.OutputError(f"cannot write '{path}'", why="the disk is full")
        return write_atomically(path, data)

    monkeypatch.setattr("hotloop.training.checkpoint.write_atomically", write)
    monkeypatch.setattr("hotloop.training.checkpoint._INTERVAL_S", 0.0)
    monkeypatch.setattr(loop, "_CHUNK_S", 0.0)
    settings = {"loss": nn.CrossEntropyLoss(), "epochs": 12, "checkpoint": tmp_path / "state"}
    model = fresh()
    run = hotloop.fit(model, X, y, optimizer=optim.SGD(model.parameters(), 0.1), engine="eager", **settings)
    assert (run.stopped, run.epochs) == ("finished", 12)
    assert len(attempts) > 4
    (note,) = run.notes
    assert note.startswith("the state for going on after an interruption could not be saved after epoch")
    assert note.endswith("the disk is full")
    assert (tmp_path / "state").exists()
