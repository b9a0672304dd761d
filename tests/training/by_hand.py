"""The loop one would write by hand, which ``hotloop.fit`` must equal bit for bit, and small tasks to run it on."""

from __future__ import annotations

import copy
import functools

import numpy as np
import pytest
import torch

from hotloop.engines.threads import torch_threads
from hotloop.program.random import row_order


def one_thread(function):
    @functools.wraps(function)
    def on_one(*args, **kwargs):
        with torch_threads(1):
            return function(*args, **kwargs)

    return on_one


@one_thread
def train_by_hand(
    model,
    X,
    y,
    *,
    loss,
    optimizer,
    epochs,
    batch_size=None,
    shuffle=True,
    drop_last=False,
    schedule=None,
    clip_grad_norm=None,
    seed=0,
    metric=None,
):
    """Train with plain torch; return the loss of each epoch: before the update, or the mean over its rows.

    On one thread, like ``fit`` for steps as small as these: some of torch's sums are rounded otherwise on several.
    """
    n_rows, losses = len(X), []
    size = batch_size or n_rows
    starts = range(0, n_rows - size + 1 if drop_last else n_rows, size)
    for epoch in range(epochs):
        order = torch.arange(n_rows)
        if batch_size is not None and shuffle:
            order = torch.from_numpy(row_order(n_rows, seed, epoch))
        values, counted = [], []
        for start in starts:
            rows = order[start : start + size]
            X_batch, y_batch = (X, y) if batch_size is None else (X[rows], y[rows])

            def closure(X_batch=X_batch, y_batch=y_batch):
                optimizer.zero_grad()
                value = loss(model(X_batch), y_batch)
                value.backward()
                if clip_grad_norm is not None:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), clip_grad_norm)
                return value

            if isinstance(optimizer, torch.optim.LBFGS):
                value = optimizer.step(closure)
            else:
                value = closure()
                optimizer.step()
            values.append(value.item())
            counted.append(len(rows))
        # Each row's share first, as ``fit`` has it: a schedule that looks at the loss keeps it to the last bit.
        losses.append(float((np.array(values) * (np.array(counted) / sum(counted))).sum()))
        if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            schedule.step(losses[-1] if metric is None else metric(model))
        elif schedule is not None:
            schedule.step()
    return np.array(losses)


def equal(left, right) -> bool:
    """Whether two state dicts, or parts of them, hold the same bits."""
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right) or (left != left and right != right) or callable(left)


class Twins:
    """A model with its optimizer and schedule, twice: one for ``fit``, one for the loop by hand."""

    def __init__(self, build_model, build_optimizer, build_schedule=None):
        torch.manual_seed(3)
        self.model = build_model()
        self.by_hand = copy.deepcopy(self.model)
        self.optimizer = build_optimizer(self.model)
        self.optimizer_by_hand = build_optimizer(self.by_hand)
        self.schedule = build_schedule and build_schedule(self.optimizer)
        self.schedule_by_hand = build_schedule and build_schedule(self.optimizer_by_hand)

    def assert_equal(self):
        assert equal(self.model.state_dict(), self.by_hand.state_dict())
        assert equal(self.optimizer.state_dict(), self.optimizer_by_hand.state_dict())
        if self.schedule is not None:
            assert equal(self.schedule.state_dict(), self.schedule_by_hand.state_dict())


def mlp(n_in=5, n_out=3):
    return torch.nn.Sequential(torch.nn.Linear(n_in, 8), torch.nn.Tanh(), torch.nn.Linear(8, n_out))


@pytest.fixture
def classes():
    """37 rows of 5 features in 3 classes, as tensors."""
    generator = torch.Generator().manual_seed(1)
    y = torch.randint(0, 3, (37,), generator=generator)
    return torch.randn(37, 5, generator=generator) + y[:, None].float(), y


@pytest.fixture
def numbers():
    """37 rows of 5 features and one number each, as tensors of shape (37, 5) and (37, 1)."""
    generator = torch.Generator().manual_seed(2)
    X = torch.randn(37, 5, generator=generator)
    return X, X[:, :1] * 2 + X[:, 1:2] ** 2
