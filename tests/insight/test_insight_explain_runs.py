"""A finished run is explained by the step that it was made of, rebuilt from what it holds."""

from __future__ import annotations

import dataclasses
import json
import math
from functools import partial

import pytest
import torch
from torch.nn import functional

import hotloop
from hotloop import tables
from hotloop.errors import ArgumentError
from hotloop.insight.loop_of_run import loop_of_run
from hotloop.insight.measure import BlockPlan, Budget
from hotloop.insight.step.ledger import measure_ledger
from hotloop.training.recipes import find_recipe
from hotloop.training.train_table import prepare_table_training

ROWS = 30


def classifier():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))


def fitted(model, loss, X=None, y=None, optimizer=torch.optim.SGD, epochs=2, **settings):
    """A short run, as it would come back from a file."""
    X = torch.randn(ROWS, 4) if X is None else X
    y = torch.randint(3, (ROWS,)) if y is None else y
    run = hotloop.fit(
        model, X, y, loss=loss, optimizer=optimizer(model.parameters(), lr=0.01), epochs=epochs, **settings
    )
    return dataclasses.replace(run, settings=json.loads(json.dumps(run.to_json()["settings"])))


def test_network_optimizer_and_batches_are_rebuilt(quick):
    adam = partial(torch.optim.Adam, betas=(0.8, 0.99))
    run = fitted(classifier(), torch.nn.CrossEntropyLoss(), optimizer=adam, epochs=3, batch_size=16)
    loop = loop_of_run(run)
    subject = loop.subject
    assert (subject.network, subject.rows, subject.features, subject.batch_size) == ("4-6-3", ROWS, 4, 16)
    assert subject.steps == 3 * 2
    assert loop.optimizer.param_groups[0]["betas"] == (0.8, 0.99)
    assert loop.optimizer.param_groups[0]["lr"] == 0.01
    answer = run.explain(budget_s=0.1)
    assert answer.subject.optimizer == "Adam"
    assert not answer.notes


LABELS = torch.arange(ROWS) % 3
NUMBERS = torch.rand(ROWS, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (torch.nn.CrossEntropyLoss(torch.tensor([0.1, 2.0, 1.0]), label_smoothing=0.1, reduction="sum"), LABELS),
        (torch.nn.CrossEntropyLoss(ignore_index=1), LABELS),
        (torch.nn.CrossEntropyLoss(), NUMBERS),
        (torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0, 3.0])), NUMBERS),
        (torch.nn.HuberLoss(delta=0.2), NUMBERS),
        (torch.nn.MultiMarginLoss(margin=0.5), LABELS),
        (partial(functional.cross_entropy, label_smoothing=0.2), LABELS),
        (functional.mse_loss, NUMBERS),
    ],
    ids=["sum", "ignoring", "soft", "binary", "huber", "margin", "partial", "function"],
)
def test_the_loss_is_rebuilt_with_its_settings(loss, y):
    loop = loop_of_run(fitted(classifier(), loss, y=y))
    assert loop.loss is not loss
    output = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(loop.loss(output, y), loss(output, y))
    assert (loop.y.shape, loop.y.dtype) == (y.shape, y.dtype)
    loop.session().advance(2, None)


def test_class_weights_of_a_table_are_rebuilt():
    training = prepare_table_training(
        tables.read("iris"), dataclasses.replace(find_recipe(None, "iris"), balanced=True, epochs=2)
    )
    for engine in ("native", "eager"):
        loss = loop_of_run(training.run(engine=engine)).loss
        torch.testing.assert_close(loss.weight, training.in_torch()[1].weight)


def test_clipping_weights_of_rows_and_drop_last_belong_to_the_step():
    how = {"batch_size": 8, "drop_last": True, "clip_grad_norm": 0.5, "sample_weight": torch.rand(ROWS)}
    loop = loop_of_run(fitted(classifier(), torch.nn.CrossEntropyLoss(), **how))
    task = loop.prepare().task
    assert (task.drop_last, task.clip_grad_norm, task.steps_per_epoch) == (True, 0.5, 3)
    assert task.training.weight is not None
    assert loop.subject.steps == 2 * 3
    ledger = measure_ledger(loop, budget=Budget(math.inf, 2, 2), plan=BlockPlan(seed=0, rounds=2, units=3))
    assert "clip" in {line.name for line in ledger.lines}


def test_the_threads_of_the_run_are_those_of_the_step():
    loop = loop_of_run(fitted(classifier(), torch.nn.CrossEntropyLoss(), threads=2))
    assert loop.prepare().task.threads == 2
    assert loop.prepare(threads=1).task.threads == 1


def test_an_optimizer_of_several_groups_is_said_to_be_measured_as_one():

    def one_group_each(parameters, lr):
        return torch.optim.SGD([{"params": [one], "lr": lr / (n + 1)} for n, one in enumerate(parameters)])

    loop = loop_of_run(fitted(classifier(), torch.nn.CrossEntropyLoss(), optimizer=one_group_each))
    assert "had 4 groups" in loop.notes[0]
    assert [group["lr"] for group in loop.optimizer.param_groups] == [0.01]


def test_an_optimizer_that_is_only_called_like_one_of_torch_is_not_rebuilt():
    class SGD(torch.optim.SGD):
        pass

    run = fitted(classifier(), torch.nn.CrossEntropyLoss(), optimizer=SGD)
    with pytest.raises(ArgumentError, match="the optimizer SGD cannot be rebuilt"):
        loop_of_run(run)


def test_in_order_stays_in_order():
    loop = loop_of_run(fitted(classifier(), torch.nn.CrossEntropyLoss(), batch_size=8, shuffle=False))
    assert not loop.prepare().task.shuffle
    assert loop.prepare().task.batch_size == 8


def test_a_schedule_is_named_as_what_was_not_measured(quick, tmp_path):
    model = classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    loss, X, y = torch.nn.CrossEntropyLoss(), torch.randn(ROWS, 4), torch.randint(3, (ROWS,))
    run = hotloop.fit(model, X, y, loss=loss, optimizer=optimizer, epochs=3, batch_size=8, schedule=schedule)
    answer = run.explain(budget_s=0.1)
    (note,) = answer.notes
    assert "StepLR is not part of the measured step" in note
    assert "once in 4 steps" in note
    assert "StepLR" in str(answer)
    assert "StepLR" in answer._repr_html_()
    assert "StepLR" in answer.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert answer.to_json()["notes"] == [note]


class Own(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(4, 1)

    def forward(self, x):
        return self.inner(x).squeeze(1)


def test_a_module_of_ones_own_must_be_given():
    model = Own()
    run = fitted(model, torch.nn.L1Loss(), y=torch.randn(ROWS))
    with pytest.raises(ArgumentError, match=r"run\.explain\(model\)"):
        run.explain()
    loop = loop_of_run(run, model)
    assert type(loop.loss) is torch.nn.L1Loss
    loop.session().advance(2, None)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU()), r"'2\.bias' is not in the module; "),
        (torch.nn.Sequential(*classifier(), torch.nn.Linear(3, 2)), r"'3\.bias' is not in the run; '3\.weight'"),
        (classifier()[:2].append(torch.nn.Linear(6, 5)), r"'2\.bias' is \(3,\) float32 in the run and \(5,\) float32"),
        (classifier().double(), r"'0\.bias' is \(6,\) float32 in the run and \(6,\) float64 in the module"),
    ],
    ids=["fewer", "more", "wider", "double"],
)
def test_a_model_that_is_not_the_runs_is_refused(model, said):
    run = fitted(classifier(), torch.nn.CrossEntropyLoss())
    with pytest.raises(ArgumentError, match=f"not the one that this run trained(?s:.*){said}"):
        run.explain(model)
    with pytest.raises(ArgumentError, match="not OrderedDict"):
        run.explain(classifier().state_dict())
    assert loop_of_run(run, classifier()).X.shape == (ROWS, 4)


class MSELoss(torch.nn.MSELoss):
    """A loss of somebody's own that bears the name of torch's."""


def with_hook():
    loss = torch.nn.MSELoss()
    loss.register_forward_hook(lambda *given: None)
    return loss


@pytest.mark.parametrize(
    "loss",
    [MSELoss(), with_hook(), lambda output, y: ((output - y) ** 4).mean()],
    ids=["subclass", "hook", "function"],
)
def test_a_loss_of_ones_own_must_be_given(loss):
    run = fitted(classifier(), loss, y=NUMBERS)
    with pytest.raises(ArgumentError, match=r"cannot be rebuilt(?s:.*)run\.explain\(loss=\.\.\.\)"):
        run.explain()
    assert loop_of_run(run, loss=loss).loss is loss


def test_a_run_of_an_earlier_version_is_refused():
    run = fitted(classifier(), torch.nn.CrossEntropyLoss())
    earlier = dataclasses.replace(run, settings={k: v for k, v in run.settings.items() if k != "row_shape"})
    with pytest.raises(ArgumentError, match=r"does not hold all(?s:.*)an earlier version(?s:.*)hotloop\.explain"):
        earlier.explain()


def test_an_optimizer_of_ones_own_is_refused():
    class Slow(torch.optim.SGD):
        pass

    with pytest.raises(ArgumentError, match=r"optimizer Slow cannot be rebuilt(?s:.*)hotloop\.explain"):
        fitted(classifier(), torch.nn.CrossEntropyLoss(), optimizer=Slow).explain()


def test_images_and_texts_keep_their_shapes():
    images = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(2 * 5 * 6, 3))
    run = fitted(images, torch.nn.CrossEntropyLoss(), X=torch.randn(ROWS, 1, 7, 8))
    assert loop_of_run(run, images).X.shape == (ROWS, 1, 7, 8)
    loop_of_run(run, images).session().advance(2, None)
    words = torch.nn.Sequential(torch.nn.EmbeddingBag(9, 4), torch.nn.Linear(4, 3))
    run = fitted(words, torch.nn.CrossEntropyLoss(), X=torch.randint(9, (ROWS, 5)))
    loop = loop_of_run(run, words)
    assert (loop.X.dtype, loop.X.shape, int(loop.X.max())) == (torch.int64, (ROWS, 5), 8)
    loop.session().advance(2, None)
