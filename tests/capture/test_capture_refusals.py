"""What is not surely understood is refused, with its path, the reason and a remedy; nothing is left changed."""

from __future__ import annotations

import copy
import random
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from capture_cases import layers
from torch import nn

from hotloop.capture import NotCaptured, capture

USUAL = {
    "n_features": 4,
    "target": "labels",
    "has_row_weight": False,
    "has_validation": True,
    "ignores_labels": False,
    "clip_grad_norm": None,
}


def refusal(model, loss=None, optimizer=None, **settings):
    """What capture says."""
    if optimizer is None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(NotCaptured) as caught:
        capture(model, loss or nn.CrossEntropyLoss(), optimizer, **{**USUAL, **settings})
    error = caught.value
    assert error.do.startswith('use engine="eager"')
    assert error.see == "hotloop layers"
    assert error.why
    assert "\n" not in error.why
    assert error.clause in f"{error.where}: {error.why}"
    return str(error)


class Net(nn.Module):
    """Two layers around what a case puts between."""

    def __init__(self, between=None, **parts):
        super().__init__()
        self.enter, self.leave = nn.Linear(4, 4), nn.Linear(4, 3)
        self.between = between
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.leave(self.between(self, self.enter(x)))


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2.0

    @staticmethod
    def backward(ctx, g):
        return g * 7.0


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls, self.log = 0, []

    def forward(self, x):
        self.calls += 1
        return x


class Remembers(Counts):
    def forward(self, x):
        self.log.append(1)
        return x


class Keeps(Counts):
    def forward(self, x):
        self.last = x
        return x


class Swallows(nn.Module):
    def forward(self, x):
        try:
            return x * float(x.mean())
        except Exception:
            return x


def no_grad(net, x):
    with torch.no_grad():
        return x + 1.0


def autocast(net, x):
    with torch.autocast("cpu"):
        return F.relu(x)


OUTSIDE = torch.ones(4)
TIMES = []


def differs_each_time(net, x):
    TIMES.append(1)
    return x * float(len(TIMES))


EARLIER = []


def remembers_outside(net, x):
    EARLIER.append(x)
    return x + EARLIER[0]


with warnings.catch_warnings(action="ignore"):

    @torch.jit.script
    def scripted(x):
        return torch.relu_(x)


# Name -> model, where the message points, and words of the reason.
MODELS = {
    "batch norm": (lambda: layers(nn.BatchNorm1d(5)), "'1' (BatchNorm1d)", "statistics over the rows"),
    "nested norm": (
        lambda: nn.Sequential(nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5)), nn.Linear(5, 3)),
        "'0.1' (LayerNorm)",
        "no rule",
    ),
    "softmax": (lambda: layers(nn.ReLU()).append(nn.Softmax(1)), "'3' (Softmax)", "before the softmax"),
    "dropout": (lambda: layers(nn.Dropout(0.5)), "'1' (Dropout)", "draws masks"),
    "flatten rows": (lambda: layers(nn.Flatten(0)), "'1' (Flatten)", "flattens the rows"),
    "widths": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Linear(4, 3)), "'1' (Linear)", "takes 4 columns"),
    "in place on X": (
        lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 3)),
        "'0' (ReLU)",
        "changes the rows it is given",
    ),
    "leaky in place": (lambda: layers(nn.LeakyReLU(-0.1, inplace=True)), "'1' (LeakyReLU)", "below 0"),
    "setting no number": (lambda: layers(nn.LeakyReLU("0.1")), "'1' (LeakyReLU)", "not a plain number"),
    "gelu": (lambda: layers(nn.GELU("other")), "'1' (GELU)", "approximate is 'other'"),
    "half": (lambda: layers().half(), "'0.weight'", "torch.float16"),
    "mixed": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3).double()), "'1.weight'", "torch.float64"),
    "no parameters": (lambda: nn.Sequential(nn.ReLU()), "the model (Sequential)", "none of the parameters"),
    "empty parameter": (lambda: nn.Linear(4, 0), "'weight'", "no numbers"),
    "weight norm": (
        lambda: layers(nn.utils.parametrizations.weight_norm(nn.Linear(5, 5))),
        "'1' (ParametrizedLinear)",
        "parametrizations",
    ),
    "script": (lambda: torch.jit.script(nn.Linear(4, 3)), "the model", "script"),
    "compiled": (lambda: torch.compile(nn.Linear(4, 3)), "(OptimizedModule)", "torch.compile"),
    "embedding": (lambda: Net(lambda net, x: F.embedding(x, net.leave.weight)), "the model (Net)", "no rule"),
    "autograd function": (lambda: Net(lambda net, x: Double.apply(x)), "the model (Net)", "autograd.Function"),
    "no_grad": (lambda: Net(no_grad), "the model (Net)", "switches gradients off"),
    "autocast": (lambda: Net(autocast), "the model (Net)", "switches autocast on"),
    "detach": (lambda: Net(lambda net, x: x.detach()), "the model (Net)", "no rule for Tensor.detach"),
    "data": (lambda: Net(lambda net, x: x.data), "the model (Net)", "no rule for Tensor.data"),
    "outside tensor": (lambda: Net(lambda net, x: x + OUTSIDE), "the model (Net)", "neither its input nor a parameter"),
    "outside left": (lambda: Net(lambda net, x: OUTSIDE * x), "the model (Net)", "neither its input nor a parameter"),
    "plain tensor": (
        lambda: Net(lambda net, x: torch.add(x, net.extra), extra=torch.ones(4)),
        "the model (Net)",
        "neither its input nor a parameter",
    ),
    "foreign parameter": (
        lambda: Net(lambda net, x: net.hidden[0](x), hidden=[nn.Linear(4, 4)]),
        "the model (Net)",
        "neither its input nor a parameter",
    ),
    "control flow": (lambda: Net(lambda net, x: x if x.sum() > 0 else -x), "the model (Net)", "no rule for Tensor.sum"),
    "truth": (lambda: Net(lambda net, x: x if x else -x), "the model (Net)", "numbers in a tensor"),
    "comparison": (lambda: Net(lambda net, x: x * (x > 0)), "the model (Net)", "compares"),
    "equality": (lambda: Net(lambda net, x: x if x == 0 else -x), "the model (Net)", "compares"),
    "power": (lambda: Net(lambda net, x: x**2), "the model (Net)", "no rule for this operator"),
    "part": (lambda: Net(lambda net, x: x[:, :2]), "the model (Net)", "part of a tensor"),
    "numpy": (lambda: Net(lambda net, x: np.tanh(x)), "the model (Net)", ""),
    "numpy scalar": (lambda: Net(lambda net, x: np.float32(2.0) * x), "the model (Net)", "with a float32"),
    "row count": (lambda: Net(lambda net, x: x / x.shape[0]), "the model (Net)", "number of rows"),
    "row count mean": (lambda: Net(lambda net, x: x / len(x)), "the model (Net)", "number of rows"),
    "row count branch": (lambda: Net(lambda net, x: x if x.size(0) > 1 else -x), "the model (Net)", "number of rows"),
    "mean over rows": (lambda: Net(lambda net, x: x - torch.mean(x, 0)), "the model (Net)", "no rule for mean"),
    "broadcast": (
        lambda: Net(lambda net, x: x + net.gate(x), gate=nn.Linear(4, 1)),
        "the model (Net)",
        "repeats columns: 1 beside 4",
    ),
    "broadcast parameter": (
        lambda: Net(lambda net, x: x * net.scale, scale=nn.Parameter(torch.ones(1, 4))),
        "the model (Net)",
        "repeats a parameter of shape (1, 4)",
    ),
    "weight arithmetic": (
        lambda: Net(lambda net, x: F.linear(x, net.enter.weight * 2.0)),
        "the model (Net)",
        "parameters alone",
    ),
    "weights together": (
        lambda: Net(lambda net, x: x + torch.cat([net.enter.bias, net.enter.bias])),
        "the model (Net)",
        "something else than rows",
    ),
    "weight in place": (lambda: Net(lambda net, x: x + net.enter.bias.add_(1.0)), "the model (Net)", ""),
    "rows times rows": (lambda: Net(lambda net, x: x @ x), "the model (Net)", "multiplies rows"),
    "join rows": (lambda: Net(lambda net, x: torch.cat([x, x])), "the model (Net)", "joins rows"),
    "reshape": (lambda: Net(lambda net, x: x.view(-1, 2)), "the model (Net)", "another shape"),
    "unknown argument": (lambda: Net(lambda net, x: torch.add(x, x, out=x)), "the model (Net)", "out"),
    "join one": (lambda: Net(lambda net, x: torch.cat([x], 1)), "the model (Net)", "one tensor alone"),
    "join by axis": (lambda: Net(lambda net, x: torch.cat([x, x], axis=0)), "the model (Net)", "joins rows"),
    "bias of another shape": (
        lambda: Net(lambda net, x: F.linear(x, net.enter.weight, net.leave.bias)),
        "the model (Net)",
        "no parameter with one number for each output",
    ),
    "vector turned": (lambda: Net(lambda net, x: x * net.enter.bias.T), "the model (Net)", "no matrix"),
    "bool": (lambda: Net(lambda net, x: x * True), "the model (Net)", "with a bool"),
    "row count times": (lambda: Net(lambda net, x: torch.mul(x, x.shape[0])), "the model (Net)", "RowCount"),
    "in another thread": (lambda: Net(in_another_thread), "the model (Net)", "another thread"),
    "plain weight": (lambda: with_plain_weight(), "the model (Linear)", "neither its input nor a parameter"),
    "kept then failed": (lambda: Net(swallows_then_fails), "the model (Net)", "no rule for Tensor.mean"),
    "array changes": (lambda: Net(adds_to_array, total=np.zeros(1)), "the model (Net)", "attribute 'total'"),
    "nothing to train": (lambda: OnlyActivation(), "the model (OnlyActivation)", "no parameters"),
    "buffer": (
        lambda: Net(lambda net, x: x * net.scale, scale=nn.Buffer(torch.ones(4))),
        "the model (Net)",
        "buffer 'scale'",
    ),
    "buffer method": (
        lambda: Net(lambda net, x: (net.seen.add_(1), x)[1], seen=nn.Buffer(torch.ones(4))),
        "the model (Net)",
        "buffer 'seen'",
    ),
    "counts": (lambda: Net(lambda net, x: net.part(x), part=Counts()), "the model (Net)", "attribute 'part.calls'"),
    "counts in eval": (lambda: nn.Sequential(Counts(), nn.Linear(4, 3)), "the model (Seq", "attribute '0.calls'"),
    "remembers": (lambda: Net(lambda net, x: net.part(x), part=Remembers()), "the model (Net)", "attribute 'part.log"),
    "keeps": (lambda: Net(lambda net, x: net.part(x), part=Keeps()), "the model (Net)", "attribute 'part.last'"),
    "swallows": (lambda: nn.Sequential(Swallows(), nn.Linear(4, 3)), "'0' (Swallows)", "no rule for Tensor.mean"),
    "random": (lambda: Net(lambda net, x: x if random.random() < 2 else -x), "the model (Net)", "random numbers"),
    "numpy random": (lambda: Net(lambda net, x: x * np.random.rand()), "the model (Net)", "random numbers"),
    "torch random": (
        lambda: Net(lambda net, x: x if torch.rand(1).item() < 2 else -x),
        "the model (Net)",
        "neither its input nor a parameter",
    ),
    "plain tensor decides": (
        lambda: Net(lambda net, x: x if net.count > 0 else -x, count=torch.ones(1)),
        "the model (Net)",
        "neither its input nor a parameter",
    ),
    "own generator": (
        lambda: Net(lambda net, x: x * net.rng.random(), rng=random.Random(0)),
        "the model (Net)",
        "'rng' gives next",
    ),
    "iterator": (
        lambda: Net(lambda net, x: x * next(net.numbers), numbers=iter([1.0, 2.0, 3.0])),
        "the model (Net)",
        "'numbers'",
    ),
    "differs": (lambda: Net(differs_each_time), "the model (Net)", "the same each time"),
    "returns two": (lambda: nn.Sequential(Net(lambda net, x: x), Tuple()), "the model (Sequential)", "returns a tuple"),
    "returns a parameter": (lambda: Returns("weight"), "the model (Returns)", "returns a parameter"),
    "cannot be copied": (
        lambda: Net(lambda net, x: x, made=(number for number in [1])),
        "the model (Net)",
        "cannot be copied",
    ),
    "mistake": (lambda: Net(lambda net, x: net.nothing(x)), "the model (Net)", "has no attribute 'nothing'"),
    "other in eval": (lambda: OtherInEval(), "the model (OtherInEval)", "in eval mode"),
    "earlier": (lambda: Net(remembers_outside), "the model (Net)", "neither its input nor a parameter"),
    "scripted": (lambda: Net(lambda net, x: scripted(x)), "the model (Net)", "cannot be followed"),
    "vmap": (lambda: Net(lambda net, x: torch.vmap(torch.tanh)(x)), "the model (Net)", ""),
}


def swallows_then_fails(net, x):
    try:
        x.mean()
    except NotCaptured:
        raise ValueError("something else") from None


def adds_to_array(net, x):
    net.total += 1.0
    return x


def in_another_thread(net, x):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.relu, x).result()


def with_plain_weight():
    model = nn.Linear(4, 3)
    del model.weight
    model.weight = torch.ones(3, 4)
    return model


class OnlyActivation(nn.Module):
    def forward(self, x):
        return torch.relu(x)


class Tuple(nn.Module):
    def forward(self, x):
        return x, x


class Returns(nn.Linear):
    def __init__(self, name):
        super().__init__(4, 3)
        self.name = name

    def forward(self, x):
        return getattr(self, self.name)


class OtherInEval(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.a(x) if self.training else self.b(x)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_models(name):
    make, where, why = MODELS[name]
    model = make()
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    attributes = {path: set(vars(module)) for path, module in model.named_modules()}
    modes = [module.training for module in model.modules()]
    parameters = list(model.parameters()) or [nn.Parameter(torch.ones(1))]
    text = refusal(model, optimizer=torch.optim.SGD(parameters, lr=0.1))
    assert where in text.splitlines()[0]
    assert why in text.splitlines()[1]
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert attributes == {path: set(vars(module)) for path, module in model.named_modules()}
    assert modes == [module.training for module in model.modules()]


HOOKS = [
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
]


@pytest.mark.parametrize("register", HOOKS)
@pytest.mark.parametrize("path", ["", "1"])
def test_hooks_of_modules(register, path):
    model = layers(nn.ReLU())
    getattr(model.get_submodule(path), register)(lambda *args: None)
    text = refusal(model)
    assert (f"'{path}' (ReLU)" if path else "the model (Sequential)") in text
    assert "hooks" in text
    assert "remove them" in text


@pytest.mark.parametrize(
    "register",
    [
        "register_module_forward_hook",
        "register_module_forward_pre_hook",
        "register_module_full_backward_hook",
        "register_module_full_backward_pre_hook",
    ],
)
def test_hooks_of_all_modules(register):
    handle = getattr(nn.modules.module, register)(lambda *args: None)
    try:
        assert "hooks for all modules" in refusal(layers(nn.ReLU()))
    finally:
        handle.remove()


@pytest.mark.parametrize("register", ["register_hook", "register_post_accumulate_grad_hook"])
def test_hooks_of_parameters(register):
    model = layers(nn.ReLU())
    getattr(model[2].bias, register)(lambda *args: None)
    assert "the parameter '2.bias'" in refusal(model)


def test_replaced_forward_and_compiled_call():
    model = layers(nn.ReLU())
    model[1].forward = torch.tanh
    assert "its forward has been replaced" in refusal(model)
    model = layers(nn.ReLU())
    model.compile()
    assert "compiled by torch.compile" in refusal(model)


def test_a_class_with_another_forward_is_followed(monkeypatch):
    monkeypatch.setattr(nn.Tanh, "forward", lambda self, x: F.relu(x))
    model = layers(nn.Tanh())
    captured = capture(model, nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.1), **USUAL)
    assert "max(" in captured.program.text
    assert "tanh(" not in captured.program.text


def test_what_stand_ins_say_of_themselves():
    seen = []

    def ask(net, x):
        weight = net.enter.weight
        seen.append((x.dtype, x.device, x.shape[1], x.ndim, x.dim(), x.size(-1), x.shape == x.shape, repr(x)))
        seen.append((isinstance(weight, nn.Parameter), isinstance(x, nn.Parameter), weight.shape, weight.mT.shape))
        seen.append((len(net.leave.weight), net.enter.bias.dim(), torch.is_tensor(x), x is not None))
        return x

    model = Net(ask)
    assert capture(model, nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.1), **USUAL)
    assert seen[0] == (torch.float32, torch.device("cpu"), 4, 2, 2, 4, True, "<a tensor without numbers>")
    assert seen[1] == (True, False, torch.Size([4, 4]), torch.Size([4, 4]))
    assert seen[2] == (3, 1, True, True)


def test_another_threads_draws_are_no_reason():
    class Waits(nn.Linear):
        def forward(self, x):
            if not drawn:
                drawn.append(threading.Thread(target=random.random))
                drawn[0].start()
                drawn[0].join()
            return super().forward(x)

    drawn = []
    model = Waits(4, 3)
    assert capture(model, nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.1), **USUAL)


def test_parameters_that_share_memory():
    model = layers(nn.Linear(5, 5))
    model[1].bias = nn.Parameter(model[0].bias.data)
    assert "shares memory" in refusal(model)
    flat = torch.randn(2 * 5 + 5 * 3)
    apart = nn.Sequential(nn.Linear(2, 5, bias=False), nn.Linear(5, 3, bias=False))
    apart[0].weight, apart[1].weight = (
        nn.Parameter(flat[:10].view(5, 2)),
        nn.Parameter(flat[10:].view(3, 5)),
    )
    optimizer = torch.optim.SGD(apart.parameters(), lr=0.1)
    assert capture(apart, nn.CrossEntropyLoss(), optimizer, **{**USUAL, "n_features": 2}).weights
    apart[1].weight = nn.Parameter(flat.as_strided((3, 5), (1, 3), 9))
    assert "shares memory" in refusal(apart, n_features=2)


class OwnParameter(nn.Parameter):
    pass


def test_parameters_of_another_kind():
    model = layers(nn.ReLU())
    model[0].bias = OwnParameter(torch.ones(5))
    assert "'0.bias'" in refusal(model)
    with torch.device("meta"):
        assert "own numbers" in refusal(layers(nn.ReLU()))


class OwnSGD(torch.optim.SGD):
    pass


class OwnLoss(nn.MSELoss):
    pass


class Named(partial):
    """A partial of somebody's own."""


class Unhashable:
    __hash__ = None

    def __call__(self, output, y):
        return output.sum()


def hooked_optimizer(register):
    def make(parameters):
        optimizer = torch.optim.SGD(parameters, lr=0.1)
        getattr(optimizer, register)(lambda *args: None)
        return optimizer

    return make


def patched_optimizer(name):
    def make(parameters):
        optimizer = torch.optim.SGD(parameters, lr=0.1)
        setattr(optimizer, name, lambda *args, **kwargs: None)
        return optimizer

    return make


def without_amsgrad_state(parameters):
    parameters = list(parameters)
    optimizer = torch.optim.Adam(parameters)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    optimizer.param_groups[0]["amsgrad"] = True
    return optimizer


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (OwnSGD, "the optimizer OwnSGD"),
        (torch.optim.RMSprop, "the optimizer RMSprop"),
        (hooked_optimizer("register_step_pre_hook"), "hooks"),
        (hooked_optimizer("register_step_post_hook"), "hooks"),
        (patched_optimizer("step"), "step or zero_grad has been replaced"),
        (patched_optimizer("zero_grad"), "step or zero_grad has been replaced"),
        (patched_optimizer("grad_scale"), "GradScaler"),
        (partial(torch.optim.SGD, differentiable=True), "differentiable=True"),
        (partial(torch.optim.SGD, momentum=float("nan")), "momentum is nan"),
        (without_amsgrad_state, "no max_exp_avg_sq"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_optimizers(make, words):
    model = layers(nn.ReLU())
    assert words in refusal(model, optimizer=make(model.parameters()))


def test_optimizer_hooks_of_all():
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    handle = register_optimizer_step_pre_hook(lambda *args: None)
    try:
        assert "hooks" in refusal(layers(nn.ReLU()))
    finally:
        handle.remove()


def test_optimizer_in_other_numbers():
    model = layers(nn.ReLU()).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1))
    assert "lr is a float32 tensor" in refusal(model, optimizer=optimizer)
    other = layers(nn.ReLU())
    assert "trains none of the parameters" in refusal(model, optimizer=torch.optim.SGD(other.parameters(), lr=0.1))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    assert "trains none of the parameters" in refusal(model)


@pytest.mark.parametrize(
    ("loss", "target", "words"),
    [
        (OwnLoss(), "numbers", "the loss OwnLoss"),
        (lambda output, y: output.sum(), "labels", "none that programs are written for"),
        (Unhashable(), "labels", "none that programs are written for"),
        (nn.NLLLoss(), "labels", "the loss NLLLoss"),
        (partial(nn.MSELoss()), "numbers", "partial of MSELoss"),
        (partial(F.mse_loss, weight=torch.ones(3)), "numbers", "the setting 'weight'"),
        (partial(F.mse_loss, torch.ones(3)), "numbers", "fixes a tensor"),
        (partial(F.mse_loss, size_average=False), "numbers", "the setting 'size_average'"),
        (Named(F.mse_loss), "numbers", "a subclass of functools.partial may do more"),
        (nn.MSELoss(reduction="none"), "numbers", "reduction is 'none'"),
        (nn.MSELoss(), "labels", "y holds labels"),
        (nn.BCEWithLogitsLoss(weight=torch.ones(3)), "numbers", "the setting 'weight'"),
        (nn.BCEWithLogitsLoss(pos_weight=torch.ones(2)), "numbers", "each of 3 outputs"),
        (nn.BCEWithLogitsLoss(pos_weight=torch.ones(3).double()), "numbers", "another dtype"),
        (nn.CrossEntropyLoss(weight=torch.ones(2)), "labels", "each of 3 outputs"),
        (nn.CrossEntropyLoss(weight=torch.ones(3, requires_grad=True)), "labels", "trained"),
        (nn.CrossEntropyLoss(label_smoothing=1.5), "labels", "label_smoothing is 1.5"),
        (nn.CrossEntropyLoss(ignore_index=1), "numbers", "probabilities"),
        (nn.HuberLoss(delta=0.0), "numbers", "0.0 is no width"),
    ],
)
def test_losses(loss, target, words):
    assert words in refusal(layers(nn.ReLU()), loss, target=target)


def test_hooks_of_losses():
    loss = nn.CrossEntropyLoss()
    loss.register_forward_hook(lambda *args: None)
    assert "the loss CrossEntropyLoss" in refusal(layers(nn.ReLU()), loss)


def test_a_loss_that_keeps_a_setting_elsewhere():
    loss = nn.CrossEntropyLoss()
    del loss.weight
    loss.weight = nn.Parameter(torch.ones(3))
    assert "none that programs are written for" in refusal(layers(nn.ReLU()), loss)


def test_surroundings():
    with torch.no_grad():
        assert "gradients are switched off" in refusal(layers(nn.ReLU()))
    with torch.autocast("cpu"):
        assert "autocast is on" in refusal(layers(nn.ReLU()))


def test_a_refusal_is_an_error_with_a_remedy():
    text = refusal(layers(nn.BatchNorm1d(5)))
    assert text == (
        "cannot compile '1' (BatchNorm1d)\n"
        "  Why: it computes statistics over the rows\n"
        '  Do:  use engine="eager", or leave it out\n'
        "  See: hotloop layers"
    )
    assert copy.copy(NotCaptured("x", "y")).clause == "x: y"
