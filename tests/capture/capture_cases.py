"""Models, losses and optimizers that capture covers, and a training loop that does each step twice."""

from __future__ import annotations

import copy
from collections import OrderedDict
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from hotloop.capture import capture, read_slots
from hotloop.engines.losses import RowLoss
from hotloop.program.interpret import interpret_block, interpret_step

N_FEATURES, N_ROWS = 4, 9


def layers(*middle, n_out=3):
    return nn.Sequential(nn.Linear(4, 5), *middle, nn.Linear(5, n_out))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.inner, self.leave = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x):
        h = torch.tanh(self.enter(x))
        h = h + F.silu(self.inner(h))
        return self.leave(torch.add(h, self.inner(h), alpha=0.5))


class SkipFromInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 3)

    def forward(self, x):
        return self.b(F.relu(self.a(x)) + x)


class Joined(nn.Module):
    def __init__(self):
        super().__init__()
        self.deep, self.last = nn.Sequential(nn.Linear(4, 5), nn.GELU()), nn.Linear(13, 3)

    def forward(self, x):
        h = self.deep(x)
        return self.last(torch.cat([x, h, x.tanh()], dim=1))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.same, self.last = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        for _ in range(3):
            x = self.same(x).sigmoid()
        return self.last(x)


class TiedTranspose(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(4, 3), nn.Parameter(torch.randn(4))

    def forward(self, x):
        code = F.softplus(self.down(x))
        back = F.linear(code, self.down.weight.t(), self.up)
        return back @ self.down.weight.T + self.down.bias


class HandMade(nn.Module):
    def __init__(self):
        super().__init__()
        self.w, self.b = nn.Parameter(torch.randn(4, 5)), nn.Parameter(torch.randn(5))
        self.v, self.scale = nn.Parameter(torch.randn(5, 3)), nn.Parameter(torch.tensor(0.7))

    def forward(self, x):
        h = F.elu(x @ self.w + self.b, alpha=0.7)
        h = -h
        h @= self.v
        return h * self.scale - 0.25


class Arithmetic(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 5), nn.Linear(4, 5), nn.Linear(5, 3)
        self.gain = nn.Parameter(torch.rand(5) + 1)

    def forward(self, x):
        a, b = self.a(x), torch.sigmoid(self.b(x))
        gated = a * b
        gated += a
        gated -= 0.1
        return self.c((2.0 - gated) / (1.5 + b) / self.gain)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 5)
        self.c = nn.Linear(5, 3)

    def forward(self, x):
        n, width = x.shape
        assert (x.ndim, x.dim(), x.size(1), width) == (2, 2, 4, 4)
        assert isinstance(x, torch.Tensor)
        x = x.view(x.size(0), -1)
        x = F.leaky_relu(self.a(x), 0.2)
        x = F.gelu(self.b(x), approximate="tanh")
        x = F.dropout(x, 0.5, False)
        return self.c(torch.flatten(x, 1)).reshape(n, -1)


class InPlaceAfterUse(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        h = self.a(x)
        before = h + 1.0
        alias = h
        torch.relu_(h)
        return self.b(before + alias + h.clone().mul_(2.0))


class OwnLinear(nn.Linear):
    """A subclass whose forward is torch's."""


class BranchOnMode(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        h = self.a(x)
        return self.b(F.relu(h) if self.training else h + 1.0)


class OtherOrderInEval(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4, bias=False), nn.Linear(4, 3)

    def forward(self, x):
        h = self.a(x)
        return self.c(self.b(h) if self.training else F.linear(h, self.b.weight.t()))


def shared():
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(4, 3))


def tied():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 3))
    model[2].weight = model[0].weight
    return model


def frozen(*indices):
    model = layers(nn.Tanh())
    for index in indices:
        list(model.parameters())[index].requires_grad_(False)
    return model


def unused():
    model = SkipFromInput()
    model.extra = nn.Linear(4, 4)
    return model


MODELS = {
    "one layer": lambda: nn.Linear(4, 3),
    "lesson": lambda: nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3)),
    "relu in place": lambda: layers(nn.ReLU(inplace=True)),
    "leaky relu": lambda: layers(nn.LeakyReLU(0.3)),
    "elu": lambda: layers(nn.ELU(0.5)),
    "gelu": lambda: layers(nn.GELU()),
    "gelu tanh": lambda: layers(nn.GELU(approximate="tanh")),
    "silu": lambda: layers(nn.SiLU(inplace=True)),
    "tanh": lambda: layers(nn.Tanh()),
    "sigmoid": lambda: layers(nn.Sigmoid()),
    "softplus": lambda: layers(nn.Softplus(beta=2.0, threshold=3.0)),
    "identities": lambda: nn.Sequential(nn.Flatten(), layers(nn.Identity(), nn.Dropout(0.0)), nn.Dropout(0.5).eval()),
    "no bias": lambda: nn.Sequential(nn.Linear(4, 5, bias=False), nn.Tanh(), nn.Linear(5, 3, bias=False)),
    "activation first": lambda: nn.Sequential(nn.Tanh(), nn.Linear(4, 3), nn.Sigmoid()),
    "nested": lambda: nn.Sequential(nn.Sequential(nn.Linear(4, 5), nn.Sequential(nn.Tanh())), nn.Linear(5, 3)),
    "named": lambda: nn.Sequential(OrderedDict(a=nn.Linear(4, 5), b=nn.ReLU(), c=nn.Linear(5, 3))),
    "shared": shared,
    "tied": tied,
    "first layer frozen": lambda: frozen(0, 1),
    "a bias frozen": lambda: frozen(3),
    "unused": unused,
    "residual": Residual,
    "skip from input": SkipFromInput,
    "joined": Joined,
    "twice": Twice,
    "tied transpose": TiedTranspose,
    "hand made": HandMade,
    "arithmetic": Arithmetic,
    "functional": Functional,
    "in place after use": InPlaceAfterUse,
    "subclass": lambda: nn.Sequential(OwnLinear(4, 5), nn.Tanh(), OwnLinear(5, 3)),
    "branch on mode": BranchOnMode,
    "other order in eval": OtherOrderInEval,
    "narrow": lambda: nn.Sequential(nn.Linear(4, 1), nn.Tanh(), nn.Linear(1, 3)),
}

CLASS_WEIGHT = torch.tensor([0.5, 1.0, 2.5], dtype=torch.float64)

# Loss, and what y holds.
LOSSES = {
    "cross entropy": (lambda: nn.CrossEntropyLoss(), "labels"),
    "weighted": (lambda: nn.CrossEntropyLoss(weight=CLASS_WEIGHT), "labels"),
    "smoothed": (lambda: nn.CrossEntropyLoss(label_smoothing=0.1, reduction="sum"), "labels"),
    "weighted smoothed": (lambda: nn.CrossEntropyLoss(weight=CLASS_WEIGHT, label_smoothing=0.2), "labels"),
    "ignoring": (lambda: nn.CrossEntropyLoss(), "ignored -100"),
    "ignoring a class": (lambda: nn.CrossEntropyLoss(ignore_index=1), "ignored 1"),
    "ignoring all": (
        lambda: nn.CrossEntropyLoss(weight=CLASS_WEIGHT, ignore_index=1, label_smoothing=0.3),
        "ignored 1",
    ),
    "ignoring smoothed": (lambda: nn.CrossEntropyLoss(ignore_index=-1, label_smoothing=0.3), "ignored -1"),
    "probabilities": (lambda: nn.CrossEntropyLoss(), "probabilities"),
    "probabilities weighted": (
        lambda: nn.CrossEntropyLoss(weight=CLASS_WEIGHT, label_smoothing=0.1, reduction="sum"),
        "probabilities",
    ),
    "cross entropy function": (lambda: F.cross_entropy, "labels"),
    "cross entropy partial": (lambda: partial(F.cross_entropy, weight=CLASS_WEIGHT, label_smoothing=0.1), "labels"),
    "binary": (lambda: nn.BCEWithLogitsLoss(), "probabilities"),
    "binary pos_weight": (lambda: nn.BCEWithLogitsLoss(pos_weight=CLASS_WEIGHT, reduction="sum"), "probabilities"),
    "binary one pos_weight": (
        lambda: partial(F.binary_cross_entropy_with_logits, pos_weight=torch.tensor([3.0], dtype=torch.float64)),
        "probabilities",
    ),
    "squared": (lambda: nn.MSELoss(), "numbers"),
    "squared sum": (lambda: partial(F.mse_loss, reduction="sum"), "numbers"),
    "absolute": (lambda: nn.L1Loss(), "numbers"),
    "huber": (lambda: nn.HuberLoss(delta=0.6), "numbers"),
    "smooth l1": (lambda: nn.SmoothL1Loss(beta=0.3), "numbers"),
    "smooth l1 with beta 0": (lambda: nn.SmoothL1Loss(beta=0.0), "numbers"),
}

SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
OPTIMIZERS = {
    "sgd": partial(SGD, lr=0.1),
    "sgd decay": partial(SGD, lr=0.1, weight_decay=0.01, maximize=True),
    "momentum": partial(SGD, lr=0.1, momentum=0.9, foreach=True),
    "dampened": partial(SGD, lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1),
    "nesterov": partial(SGD, lr=0.1, momentum=0.9, nesterov=True, fused=True),
    "adam": partial(ADAM, lr=0.01),
    "adam all": partial(ADAM, lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, amsgrad=True, maximize=True),
    "adam decoupled": partial(ADAM, lr=0.01, weight_decay=0.1, decoupled_weight_decay=True, fused=True),
    "adam small beta": partial(ADAM, lr=0.01, betas=(0.3, 0.9), eps=1e-3),
    "adam no beta": partial(ADAM, lr=0.01, betas=(0.0, 0.9), foreach=False),
    "adamw": partial(ADAMW, lr=torch.tensor(0.01, dtype=torch.float64), amsgrad=True),
}


def rows(kind, seed=0, n_out=3, n_rows=N_ROWS):
    """X and y as float64 tensors, and what capture is told about y."""
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(n_rows, N_FEATURES, generator=generator, dtype=torch.float64)
    if kind == "labels" or kind.startswith("ignored"):
        y = torch.randint(n_out, (n_rows,), generator=generator)
        if kind.startswith("ignored"):
            y[::3] = int(kind.removeprefix("ignored "))
        return X, y, {"target": "labels", "ignores_labels": kind.startswith("ignored")}
    y = torch.randn(n_rows, n_out, generator=generator, dtype=torch.float64)
    return X, y.softmax(1) if kind == "probabilities" else y, {"target": "numbers", "ignores_labels": False}


def make(name, seed=0):
    torch.manual_seed(seed)
    return MODELS[name]().double()


class Both:
    """Trains a model in torch and its program in NumPy, step by step."""

    def __init__(self, model, loss, optimizer, kind, clip=None, weighted=False, has_validation=False):
        self.model, self.loss, self.optimizer, self.clip = model, loss, optimizer, clip
        self.X, self.y, told = rows(kind)
        self.row_weight = torch.rand(N_ROWS, dtype=torch.float64) + 0.5 if weighted else None
        self.captured = capture(
            model,
            loss,
            optimizer,
            n_features=N_FEATURES,
            has_row_weight=weighted,
            has_validation=has_validation,
            clip_grad_norm=clip,
            **told,
        )
        self.program, self.steps_done = self.captured.program, 0
        self.weights = {name: p.detach().numpy().copy() for name, p in self.captured.weights.items()}
        self.slots = [read_slots(optimizer, group) for group in self.captured.groups]

    @property
    def data(self):
        data = {"x": self.X.numpy(), "y": self.y.numpy(), **self.captured.fixed}
        return data if self.row_weight is None else {**data, "row_weight": self.row_weight.numpy()}

    def loss_in_torch(self):
        output = self.model(self.X)
        if self.row_weight is None:
            return self.loss(output, self.y)
        return RowLoss.of(self.loss)(output, self.y, self.row_weight)

    def step_in_torch(self):
        loss = self.loss_in_torch()
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip is not None:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.clip)
        self.optimizer.step()
        return loss.item()

    def step_in_numpy(self):
        scalars = []
        for group in self.captured.groups:
            lr = np.array([float(self.optimizer.param_groups[group.group_index]["lr"])])
            numbers = group.rule.scalars(lr, np.array([float(group.first_step + self.steps_done)]))
            scalars.append({name: values[0] for name, values in numbers.items()})
        self.steps_done += 1
        return interpret_step(self.program, self.data, self.weights, self.slots, scalars)

    def gradients(self):
        """Of torch and of the program, by weight, without clipping."""
        self.model.zero_grad()
        self.loss_in_torch().backward()
        found = interpret_block(self.program.step, {**self.data, **self.weights})
        trained = [name for update in self.program.updates for name in update.weights]
        return {name: (self.captured.weights[name].grad.numpy(), found[f"gradient of {name}"]) for name in trained}

    def check(self, steps=3, rtol=1e-12):
        for name, (torchs, ours) in self.gradients().items():
            scale = np.abs(torchs).max() + 1e-3
            np.testing.assert_allclose(ours, torchs, rtol=rtol, atol=rtol * scale, err_msg=name)
        for _ in range(steps):
            ours, torchs = self.step_in_numpy(), self.step_in_torch()
            np.testing.assert_allclose(ours, torchs, rtol=rtol)
        self.compare(rtol)

    def compare(self, rtol=1e-12):
        for name, parameter in self.captured.weights.items():
            torchs = parameter.detach().numpy()
            np.testing.assert_allclose(self.weights[name], torchs, rtol=rtol, atol=rtol * 0.1, err_msg=name)
        for ours, group in zip(self.slots, self.captured.groups, strict=True):
            for slot, array in read_slots(self.optimizer, group).items():
                np.testing.assert_allclose(ours[slot], array, rtol=rtol, atol=rtol * 1e-2, err_msg=slot)

    def twin(self):
        """A copy of model and optimizer, as they are."""
        return copy.deepcopy((self.model, self.optimizer))
