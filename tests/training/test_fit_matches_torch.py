"""The eager engine leaves what the loop by hand leaves: weights, optimizer and schedule, bit for bit, on the CPU."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
import torch
from by_hand import Twins, equal, mlp, train_by_hand
from torch import nn, optim
from torch.optim import lr_scheduler

import hotloop
from hotloop.program.random import row_order

# Compiled code follows torch within rounding only: see tests/fuzz.
fit = partial(hotloop.fit, engine="eager")

OPTIMIZERS = {
    "sgd": lambda m: optim.SGD(m.parameters(), lr=0.1),
    "momentum": lambda m: optim.SGD(m.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "dampening": lambda m: optim.SGD(m.parameters(), lr=0.1, momentum=0.8, dampening=0.1, maximize=False),
    "adam": lambda m: optim.Adam(m.parameters(), lr=0.01, amsgrad=True),
    "adamw": lambda m: optim.AdamW(m.parameters(), lr=0.01, weight_decay=0.1),
    "rmsprop": lambda m: optim.RMSprop(m.parameters(), lr=0.01, momentum=0.5, centered=True),
    "adagrad": lambda m: optim.Adagrad(m.parameters(), lr=0.1),
    "rprop": lambda m: optim.Rprop(m.parameters()),
    "lbfgs": lambda m: optim.LBFGS(m.parameters(), lr=0.5, max_iter=4, line_search_fn="strong_wolfe"),
    "tensor lr": lambda m: optim.Adam(m.parameters(), lr=torch.tensor(0.01)),
    "groups": lambda m: optim.SGD([{"params": m[0].parameters(), "lr": 0.3}, {"params": m[2].parameters()}], lr=0.05),
}

BATCHES = {
    "full": {},
    "minibatch": {"batch_size": 8, "seed": 5},
    "drop_last": {"batch_size": 8, "seed": 5, "drop_last": True},
    "in order": {"batch_size": 8, "shuffle": False},
    "one batch": {"batch_size": 50, "seed": 5},
}


def sgd(model, lr=0.1):
    return optim.SGD(model.parameters(), lr=lr, momentum=0.9)


@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer(classes, optimizer, batches):
    X, y = classes
    twins = Twins(mlp, OPTIMIZERS[optimizer])
    loss, settings = nn.CrossEntropyLoss(), BATCHES[batches]
    expected = train_by_hand(twins.by_hand, X, y, loss=loss, optimizer=twins.optimizer_by_hand, epochs=7, **settings)
    run = fit(twins.model, X, y, loss=loss, optimizer=twins.optimizer, epochs=7, **settings)
    np.testing.assert_allclose(run.losses, expected, rtol=1e-12)
    twins.assert_equal()
    assert run.epochs == 7
    assert run.seed == settings.get("seed", run.seed)


SCHEDULES = {
    "step": lambda o: lr_scheduler.StepLR(o, 3, gamma=0.5),
    "multi step": lambda o: lr_scheduler.MultiStepLR(o, [2, 5], gamma=0.3),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "linear": lambda o: lr_scheduler.LinearLR(o, total_iters=6),
    "polynomial": lambda o: lr_scheduler.PolynomialLR(o, total_iters=8, power=2),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=7),
    "warm restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=4),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    "multiplicative": lambda o: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.95),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.3, total_steps=20),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, base_lr=0.01, max_lr=0.2, step_size_up=4),
    "sequential": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.1, 3), lr_scheduler.ExponentialLR(o, 0.8)], milestones=[4]
    ),
    "chained": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.5, 3), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1, factor=0.5, threshold=0.05),
}


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step")
@pytest.mark.parametrize("batches", ["full", "minibatch"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule(classes, schedule, batches):
    X, y = classes
    twins = Twins(mlp, sgd, SCHEDULES[schedule])
    loss, settings = nn.CrossEntropyLoss(), BATCHES[batches]
    expected = train_by_hand(
        twins.by_hand,
        *(X, y),
        loss=loss,
        optimizer=twins.optimizer_by_hand,
        epochs=15,
        schedule=twins.schedule_by_hand,
        **settings,
    )
    run = fit(twins.model, X, y, loss=loss, optimizer=twins.optimizer, epochs=15, schedule=twins.schedule, **settings)
    np.testing.assert_allclose(run.losses, expected, rtol=1e-12)
    twins.assert_equal()


def test_plateau_looks_at_the_validation_loss(classes):
    X, y = classes
    twins = Twins(mlp, sgd, lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, factor=0.5))
    loss = nn.CrossEntropyLoss()
    train_by_hand(
        *(twins.by_hand, X, y),
        loss=loss,
        optimizer=twins.optimizer_by_hand,
        epochs=20,
        schedule=twins.schedule_by_hand,
        metric=lambda model: loss(model(X[:9]), y[:9] * 0).item(),
    )
    fit(
        *(twins.model, X, y),
        loss=loss,
        optimizer=twins.optimizer,
        epochs=20,
        schedule=twins.schedule,
        X_val=X[:9],
        y_val=y[:9] * 0,
    )
    twins.assert_equal()
    assert twins.optimizer.param_groups[0]["lr"] < 0.1, "the case must show something"


LOSSES = {
    "class weights": (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5]), label_smoothing=0.1), "classes"),
    "sum": (nn.CrossEntropyLoss(reduction="sum"), "classes"),
    "ignore": (nn.CrossEntropyLoss(ignore_index=2), "classes"),
    "functional": (nn.functional.cross_entropy, "classes"),
    "partial": (partial(nn.functional.cross_entropy, label_smoothing=0.2), "classes"),
    "nll": (lambda output, y: nn.functional.nll_loss(output.log_softmax(1), y), "classes"),
    "mse": (nn.MSELoss(), "numbers"),
    "l1": (nn.L1Loss(), "numbers"),
    "huber": (nn.HuberLoss(delta=0.5), "numbers"),
    "smooth l1": (nn.functional.smooth_l1_loss, "numbers"),
    "own": (lambda output, y: ((output - y) ** 4).mean(), "numbers"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss(request, name):
    loss, kind = LOSSES[name]
    X, y = request.getfixturevalue(kind)
    twins = Twins(lambda: mlp(n_out=3 if kind == "classes" else 1), partial(sgd, lr=0.01))
    expected = train_by_hand(twins.by_hand, X, y, loss=loss, optimizer=twins.optimizer_by_hand, epochs=10)
    run = fit(twins.model, X, y, loss=loss, optimizer=twins.optimizer, epochs=10)
    np.testing.assert_array_equal(run.losses, expected)
    twins.assert_equal()


def test_binary_labels_as_integers(classes):
    X, y = classes
    twins = Twins(lambda: mlp(n_out=1), sgd)
    target = (y == 1).long()[:, None]
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0]))
    train_by_hand(twins.by_hand, X, target.float(), loss=loss, optimizer=twins.optimizer_by_hand, epochs=10)
    run = fit(twins.model, X, target, loss=loss, optimizer=twins.optimizer, epochs=10)
    twins.assert_equal()
    assert any("y was converted from int64 to float32" in note for note in run.notes)


def test_clipping(classes):
    X, y = classes
    twins = Twins(mlp, sgd)
    loss, settings = nn.CrossEntropyLoss(), {"clip_grad_norm": 0.05, "batch_size": 8, "seed": 1}
    train_by_hand(twins.by_hand, X, y, loss=loss, optimizer=twins.optimizer_by_hand, epochs=8, **settings)
    fit(twins.model, X, y, loss=loss, optimizer=twins.optimizer, epochs=8, **settings)
    twins.assert_equal()


class Odd(nn.Module):
    """Frozen and shared parameters, batch statistics, buffers, a branch in the forward pass."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(5, 8)
        self.norm = nn.BatchNorm1d(8)
        self.shared = nn.Linear(8, 8)
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.last = nn.Linear(8, 3)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen += 1
        x = torch.relu(self.norm(self.first(x)))
        if x.mean() > 0:
            x = self.shared(torch.tanh(self.shared(x)))
        return self.last(x + self.frozen(x))


@pytest.mark.parametrize("batches", ["full", "minibatch"])
@pytest.mark.parametrize("training", [True, False])
def test_an_odd_module_in_the_mode_found(classes, batches, training):
    X, y = classes
    twins = Twins(lambda: Odd().train(training), sgd)
    loss, settings = nn.CrossEntropyLoss(), BATCHES[batches]
    train_by_hand(twins.by_hand, X, y, loss=loss, optimizer=twins.optimizer_by_hand, epochs=6, **settings)
    fit(twins.model, X, y, loss=loss, optimizer=twins.optimizer, epochs=6, **settings)
    twins.assert_equal()
    assert twins.model.training is training


def test_embeddings_look_up_integers():
    tokens = torch.arange(40).reshape(20, 2) % 7
    y = tokens.sum(1) % 3
    twins = Twins(lambda: nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(8, 3)), sgd)
    loss = nn.CrossEntropyLoss()
    train_by_hand(twins.by_hand, tokens, y, loss=loss, optimizer=twins.optimizer_by_hand, epochs=6)
    fit(twins.model, tokens.numpy().astype("int32"), y, loss=loss, optimizer=twins.optimizer, epochs=6)
    twins.assert_equal()


def test_float64_models_train_in_float64(numbers):
    X, y = (tensor.double() for tensor in numbers)
    twins = Twins(lambda: mlp(n_out=1).double(), partial(sgd, lr=0.01))
    expected = train_by_hand(twins.by_hand, X, y, loss=nn.MSELoss(), optimizer=twins.optimizer_by_hand, epochs=6)
    run = fit(twins.model, X.numpy(), y.numpy(), loss=nn.MSELoss(), optimizer=twins.optimizer, epochs=6)
    np.testing.assert_array_equal(run.losses, expected)
    assert run.notes == ()
    twins.assert_equal()


def test_going_on_with_the_same_optimizer_equals_one_long_run(classes):
    X, y = classes
    twins = Twins(mlp, OPTIMIZERS["adam"])
    loss = nn.CrossEntropyLoss()
    train_by_hand(twins.by_hand, X, y, loss=loss, optimizer=twins.optimizer_by_hand, epochs=30)
    for epochs in (11, 19):
        fit(twins.model, X, y, loss=loss, optimizer=twins.optimizer, epochs=epochs)
    twins.assert_equal()


@pytest.mark.parametrize("engine", ["native", "eager"])
@pytest.mark.parametrize("settings", [{}, {"batch_size": 8, "shuffle": False}, {"batch_size": 8, "seed": 5}])
def test_sample_weights_are_the_weighted_mean(classes, settings, engine):
    X, y = classes
    weight = torch.linspace(0, 2, len(X))
    twins = Twins(mlp, sgd)
    each = nn.CrossEntropyLoss(reduction="none")
    expected = []
    for epoch in range(7):
        order = row_order(len(X), settings["seed"], epoch) if "seed" in settings else np.arange(len(X))
        total = 0.0
        for rows in torch.from_numpy(order).split(settings.get("batch_size", len(X))):
            value = (each(twins.by_hand(X[rows]), y[rows]) * weight[rows]).sum() / weight[rows].sum()
            twins.optimizer_by_hand.zero_grad()
            value.backward()
            twins.optimizer_by_hand.step()
            total += value.item() * weight[rows].sum().item()
        expected.append(total / weight.sum().item())
    run = fit(
        *(twins.model, X, y),
        loss=nn.CrossEntropyLoss(),
        optimizer=twins.optimizer,
        epochs=7,
        sample_weight=weight.numpy(),
        engine=engine,
        **settings,
    )
    np.testing.assert_allclose(run.losses, expected, rtol=1e-6)
    for ours, theirs in zip(twins.model.parameters(), twins.by_hand.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_whole_weights_equal_repeated_rows(numbers):
    X, y = numbers
    counts = torch.arange(len(X)) % 4
    repeated = copy.deepcopy(mlp(n_out=1))
    weighted = copy.deepcopy(repeated)
    kwargs = {"loss": nn.MSELoss(), "epochs": 20}
    rows = torch.repeat_interleave(torch.arange(len(X)), counts)
    fit(repeated, X[rows], y[rows], optimizer=sgd(repeated, 0.01), **kwargs)
    fit(weighted, X, y, optimizer=sgd(weighted, 0.01), sample_weight=counts, **kwargs)
    for ours, theirs in zip(weighted.parameters(), repeated.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


class OwnPartial(partial):
    """A partial of somebody's own."""


def test_a_partial_of_somebodys_own_is_taken_apart(classes):
    """Its labels may be whole floats and its rows weighted, as with any loss of torch's; it is not compiled."""
    (X, y), start, runs = classes, mlp(), {}
    weight = torch.linspace(0.5, 2, len(X))
    for kind in (partial, OwnPartial):
        model, loss = copy.deepcopy(start), kind(nn.functional.cross_entropy, label_smoothing=0.2)
        runs[kind] = hotloop.fit(
            model, X, y.float(), loss=loss, optimizer=sgd(model), epochs=5, batch_size=8, seed=1, sample_weight=weight
        )
    assert runs[partial].engine == "native"
    assert "a subclass of functools.partial may do more" in runs[OwnPartial].why
    np.testing.assert_allclose(runs[OwnPartial].losses, runs[partial].losses, rtol=1e-5)


def test_hooks_run_once_a_step(classes):
    X, y = classes
    model, calls = mlp(), []
    model.register_forward_pre_hook(lambda *_: calls.append("pre"))
    model[0].register_forward_hook(lambda *_: calls.append("forward"))
    model[2].register_full_backward_hook(lambda *_: calls.append("backward"))
    fit(model, X, y, loss=nn.CrossEntropyLoss(), optimizer=sgd(model), epochs=4, batch_size=20)
    assert calls == ["pre", "forward", "backward"] * 8
    assert equal(hotloop.fit.__kwdefaults__["engine"], "auto")


def test_hooks_on_all_modules_run_once_a_step(classes):
    X, y = classes
    model, calls = mlp(), []
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: calls.append(type(module).__name__))
    try:
        fit(model, X, y, loss=lambda o, t: nn.functional.cross_entropy(o, t), optimizer=sgd(model), epochs=2)
    finally:
        handle.remove()
    assert calls == ["Linear", "Tanh", "Linear", "Sequential"] * 2


def test_the_same_seed_gives_the_same_rows_and_no_seed_draws_one(classes):
    X, y = classes

    def train(**seed):
        torch.manual_seed(9)
        model = mlp()
        return fit(model, X, y, loss=nn.CrossEntropyLoss(), optimizer=sgd(model), epochs=3, batch_size=8, **seed)

    drawn = train()
    assert train(seed=drawn.seed).losses.tolist() == drawn.losses.tolist() == train().losses.tolist()
    assert train(seed=drawn.seed + 1).losses.tolist() != drawn.losses.tolist()


@pytest.mark.parametrize("engine", ["native", "eager"])
@pytest.mark.parametrize(
    ("layers", "settings", "draws"),
    [
        ([nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)], {}, False),
        ([nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)], {"batch_size": 8, "shuffle": False}, False),
        ([nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)], {"batch_size": 8}, True),
        ([nn.Linear(5, 8), nn.Dropout(0.0), nn.Linear(8, 3)], {}, True),
    ],
)
def test_a_seed_is_drawn_where_something_may_be_random(classes, engine, layers, settings, draws):
    """Elsewhere torch's generator stands where the ordinary loop would have left it."""
    model = nn.Sequential(*layers)
    before = torch.get_rng_state()
    run = fit(model, *classes, loss=nn.CrossEntropyLoss(), optimizer=sgd(model), epochs=2, engine=engine, **settings)
    assert (run.seed != 0) == draws
    assert torch.equal(torch.get_rng_state(), before) == (not draws)


def test_dropout_that_a_callback_adds_draws_its_masks_from_a_seed_of_its_own(classes):
    def add(moment):
        if moment.epoch == 1:
            moment.model.append(nn.Dropout(0.5))

    runs = []
    for seed in (0, 1):
        model = mlp()
        torch.manual_seed(seed)
        runs.append(fit(model, *classes, loss=nn.CrossEntropyLoss(), optimizer=sgd(model), epochs=5, callbacks=[add]))
    assert runs[0].seed != runs[1].seed
    assert runs[0].losses.tolist() != runs[1].losses.tolist()
