"""The judgement of one case: compiled code against eager torch, from the compiled code's own state, step by step.

Training is chaotic, and Adam's first step turns the sign of rounding noise into a whole step. So nothing is compared
after several steps on two sides. At each step both sides start from the same weights: the loss and the gradients are
compared; then torch's own optimizer is given the *compiled* code's gradients, and weights and slots are compared.

=========== ==============================================================================================
float64     |native - eager| <= 1e-12 of the sum of absolute terms
float32     |native - float64| <= 1.5 times what eager float32 is off + 4 ulp of the tensor's scale
=========== ==============================================================================================
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from programs import Built, Case, build
from scales import scales_of

import hotloop
from hotloop.compiler import pipeline
from hotloop.compiler.target import TARGET_NAMES, host_target, named_target
from hotloop.engines import native
from hotloop.engines.losses import RowLoss
from hotloop.program.random import row_order
from hotloop.training.prepare import prepare
from hotloop.training.settings import Settings

__all__ = ["Mismatch", "check", "check_chunks", "check_fit", "check_steps", "compiling_for", "levels_here"]

_EPS = {"float64": 2.0**-52, "float32": 2.0**-23}
_RELATIVE = 1e-12
_TIMES_EAGER, _ULP = 1.5, 4.0
# Steps looked at one by one; enough to come to a second epoch of most cases.
_STEPS = 5


class Mismatch(AssertionError):
    """Two sides that do not agree."""


def check(case: Case) -> None:
    """Raise a Mismatch unless compiled code does what eager torch does."""
    with compiling_for(case.level):
        check_steps(case)
        check_chunks(case)
        check_fit(case)


@contextmanager
def compiling_for(level: str | None) -> Iterator[None]:
    """Let everything be compiled for a lower processor level."""
    if level is None:
        yield
        return
    before = native.host_target, pipeline.host_target
    native.host_target = pipeline.host_target = lambda: named_target(level)
    try:
        yield
    finally:
        native.host_target, pipeline.host_target = before


def levels_here() -> tuple[str | None, ...]:
    """Return the processor levels that this machine can run; None, its own, twice."""
    own = host_target().name
    return (None, None, *(name for name in TARGET_NAMES if name != own and named_target(name).runs_here))


# -- step by step -----------------------------------------------------------------------------------------------------


def check_steps(case: Case) -> None:
    """Compare each of the first steps, and the loss of the validation rows after them."""
    built = build(case)
    task = _task(case, built)
    as_users_have_it = native.NativeEngine().prepare(task)
    with _keeping_gradients():
        session = native.NativeEngine().prepare(task)
    rates = _rates(case, built, task.steps_per_epoch)
    for step in range(_STEPS):
        epoch, step_of_epoch = divmod(step, task.steps_per_epoch)
        session.publish()
        batch = _batch(task, epoch, step_of_epoch)
        truth = _Eager(built, task, torch.float64, batch)
        own = truth if case.dtype == "float64" else _Eager(built, task, torch.float32, batch)
        before = _Snapshot(built)
        now = None if rates is None else rates[epoch : epoch + 1]
        (loss,), own_loss = session.advance(1, now), as_users_have_it.advance(1, now)
        what = f"step {step}"
        if not truth.is_at_jump:
            _judge(case, f"{what}: loss", loss, truth.loss, own.loss, truth.loss_scale)
        if not truth.is_finite or not own.is_finite or not np.isfinite(loss):
            return
        kept, given = (side._steps.memory.copy() for side in (session, as_users_have_it))
        _same_bytes(f"{case}\n{what}: with gradients kept and without", [kept, np.array([loss])], [given, own_loss])
        gradients = _native_gradients(session)
        if not (truth.scales.is_close_to_kink and case.dtype == "float32"):
            _check_gradients(case, what, built, gradients, truth, own)
        session.publish()
        _check_update(case, what, built, before, gradients, None if rates is None else rates[epoch])
    if task.validation is not None:
        _check_evaluation(case, built, task, session)


@contextmanager
def _keeping_gradients() -> Iterator[None]:
    """Let compiled code leave its gradients in memory."""
    before = native.compile_program
    native.compile_program = functools.partial(before, keeps_gradients=True)
    try:
        yield
    finally:
        native.compile_program = before


class _Eager:
    """Loss and gradients of one batch by torch, in a dtype, from the weights that the model now has."""

    def __init__(self, built: Built, task, dtype: torch.dtype, batch):
        X, y, weight = (_as(tensor, dtype) for tensor in batch)
        model = copy.deepcopy(built.model).to(dtype)
        model.zero_grad(set_to_none=True)
        criterion = copy.deepcopy(built.loss).to(dtype)
        row_loss = RowLoss.of(criterion)
        output = model(X)
        output.retain_grad()
        loss = criterion(output, y) if weight is None else row_loss(output, y, weight)
        loss.backward()
        self.loss = loss.item()
        trained = [p for p in model.parameters() if p.requires_grad]
        self.gradients = [None if p.grad is None else p.grad.double().numpy() for p in trained]
        self.is_finite = np.isfinite(self.loss) and all(g is None or np.isfinite(g).all() for g in self.gradients)
        self.loss_scale, self.is_at_jump = abs(self.loss), False
        if dtype == torch.float64 and self.is_finite:
            self.scales = scales_of(model, X, y, row_loss, weight, output.grad, 16 * _EPS["float32"])
            self.loss_scale += self.scales.loss
            self.is_at_jump = self.scales.is_at_jump and _is_float32(built)


def _native_gradients(session) -> dict[int, np.ndarray]:
    """Return the gradients of the last step by the parameter's id, before clipping."""
    memory, layout = session._steps.memory, session._steps.compiled.layout
    found = {}
    for update in session._captured.program.updates:
        for name in update.weights:
            parameter = session._captured.weights[name]
            place = layout.weights[name]
            found[id(parameter)] = memory.gradients[place : place + parameter.numel()].reshape(parameter.shape).copy()
    return found


def _check_gradients(case: Case, what: str, built: Built, gradients, truth: _Eager, own: _Eager) -> None:
    trained = [(name, p) for name, p in built.model.named_parameters() if p.requires_grad]
    for (name, parameter), expected, by_eager, scale in zip(
        trained, truth.gradients, own.gradients, truth.scales.gradients, strict=True
    ):
        if id(parameter) in gradients:
            scale = scale.double().numpy()
            # Forward values that cancel are known less well than their size says.
            scale = scale + 0.01 * scale.max()
            _judge(case, f"{what}: gradient of {name}", gradients[id(parameter)], expected, by_eager, scale)


class _Snapshot:
    """Model and optimizer as they are before a step."""

    def __init__(self, built: Built):
        self.weights = [p.detach().clone() for group in built.optimizer.param_groups for p in group["params"]]
        self.state = copy.deepcopy(built.optimizer.state_dict())


def _check_update(case: Case, what: str, built: Built, before: _Snapshot, gradients, rates) -> None:
    """Give torch's optimizer the compiled code's gradients, and compare what becomes of weights and state."""
    parameters = [p for group in built.optimizer.param_groups for p in group["params"]]
    exact = _updated(case, built, before, gradients, rates, torch.float64)
    own = exact if case.dtype == "float64" else _updated(case, built, before, gradients, rates, torch.float32)
    ours = built.optimizer.state_dict()
    _check_structure(what, ours["state"], own[1]["state"])
    if ours["param_groups"] != own[1]["param_groups"]:
        raise Mismatch(f"{what}: param_groups {ours['param_groups']} instead of {own[1]['param_groups']}")
    for number, parameter in enumerate(parameters):
        if id(parameter) not in gradients:
            if not torch.equal(parameter, before.weights[number]):
                raise Mismatch(f"{what}: parameter {number} is not trained, and changed")
            continue
        terms = _update_terms(number, before, built, gradients[id(parameter)], _clipping(case, gradients))
        _judge_update(case, f"{what}: parameter {number}", parameter, exact[0][number], own[0][number], terms["weight"])
        for slot, value in ours["state"].get(number, {}).items():
            expected, by_torch = (side[1]["state"][number][slot] for side in (exact, own))
            if slot == "step":
                if not torch.equal(value, by_torch):
                    raise Mismatch(f"{what}: step {value} instead of {by_torch}")
            elif value is not None:
                _judge_update(case, f"{what}: {slot} of parameter {number}", value, expected, by_torch, terms[slot])


def _updated(case: Case, built: Built, before: _Snapshot, gradients, rates, dtype):
    """Return weights and state after torch's own update."""
    twins, groups, number = [], [], 0
    for group in built.optimizer.param_groups:
        own = []
        for parameter in group["params"]:
            # A copy: the step is not to change what was before it.
            weight = before.weights[number].to(dtype, copy=True)
            twin = torch.nn.Parameter(weight, requires_grad=parameter.requires_grad)
            if id(parameter) in gradients:
                twin.grad = torch.from_numpy(gradients[id(parameter)]).to(dtype)
            own.append(twin)
            number += 1
        twins += own
        groups.append({**group, "params": own})
    optimizer = type(built.optimizer)(groups)
    state = copy.deepcopy(before.state)
    optimizer.load_state_dict(state)
    if rates is not None:
        for group, rate in zip(optimizer.param_groups, rates.tolist(), strict=True):
            group["lr"] = rate
    if case.clip is not None:
        torch.nn.utils.clip_grad_norm_(twins, case.clip)
    optimizer.step()
    return [twin.detach() for twin in twins], optimizer.state_dict()


def _clipping(case: Case, gradients) -> float | None:
    """Return what clipping multiplies gradients by; None without it."""
    if case.clip is None:
        return None
    norm = np.sqrt(sum(np.square(own, dtype=np.float64).sum() for own in gradients.values()))
    return min(1.0, case.clip / (norm + 1e-6))


def _update_terms(
    number: int, before: _Snapshot, built: Built, gradient, clipping: float | None
) -> dict[str, np.ndarray]:
    """Return the absolute terms that an update of one parameter adds up."""
    places = [group for group in built.optimizer.param_groups for _ in group["params"]]
    group, w = places[number], before.weights[number].double().numpy()
    state = {k: v.double().numpy() for k, v in before.state["state"].get(number, {}).items() if v is not None}
    g = np.abs(gradient.astype(np.float64)) + group["weight_decay"] * np.abs(w)
    # Clipping multiplies by a norm, whose error every square has twice.
    clipped = 1.0 if clipping is None else 2.0
    if "momentum" in group:
        buffer = group["momentum"] * np.abs(state.get("momentum_buffer", 0.0)) + g
        return {"weight": np.abs(w) + group["lr"] * (g + buffer), "momentum_buffer": buffer}
    beta1, beta2 = group["betas"]
    count = state.get("step", 0.0) + 1
    # As mean + (1 - beta) * (g - mean): both terms round.
    mean = np.abs(state.get("exp_avg", 0.0)) + g
    square = beta2 * state.get("exp_avg_sq", 0.0) + (1 - beta2) * g * g
    largest = np.maximum(state.get("max_exp_avg_sq", 0.0), square) if group["amsgrad"] else square
    # What is left where weight decay cancels the gradient: its rounding errors are divided by that.
    left = (-1 if group["maximize"] else 1) * gradient.astype(np.float64) * (clipping or 1.0)
    if not group["decoupled_weight_decay"]:
        left = left + group["weight_decay"] * w
    signed = beta2 * state.get("exp_avg_sq", 0.0) + (1 - beta2) * left * left
    spread = np.sqrt(np.minimum(largest, np.maximum(signed, 1e-300)) / (1 - beta2**count)) + group["eps"]
    step = group["lr"] / (1 - beta1**count) * mean / spread
    weight = np.abs(w) * (1 + group["lr"] * group["weight_decay"]) + step
    squares = {"exp_avg_sq": clipped * square, "max_exp_avg_sq": clipped * largest}
    return {"weight": weight, "exp_avg": mean, **squares}


def _judge_update(case: Case, what: str, ours, exact, own, terms) -> None:
    ours, exact, own = (tensor.double().numpy() for tensor in (ours.detach(), exact, own))
    _judge(case, what, ours, exact, own, np.broadcast_to(terms, ours.shape), each=True)


def _check_structure(what: str, ours, expected) -> None:
    if ours.keys() != expected.keys():
        raise Mismatch(f"{what}: state of parameters {list(ours)} instead of {list(expected)}")
    for number, state in expected.items():
        if list(ours[number]) != list(state):
            raise Mismatch(f"{what}: parameter {number} has {list(ours[number])} instead of {list(state)}")
        for slot, value in state.items():
            own = ours[number][slot]
            if isinstance(value, torch.Tensor) != isinstance(own, torch.Tensor):
                raise Mismatch(f"{what}: {slot} of parameter {number} is {own!r} instead of {value!r}")
            if isinstance(value, torch.Tensor) and (own.shape, own.dtype) != (value.shape, value.dtype):
                raise Mismatch(f"{what}: {slot} of parameter {number} is {own.dtype} {tuple(own.shape)}")


def _check_evaluation(case: Case, built: Built, task, session) -> None:
    session.publish()
    loss = session.evaluate()
    batch = (task.validation.X, task.validation.y, None)
    truth = _Eager(built, task, torch.float64, batch)
    own = truth if case.dtype == "float64" else _Eager(built, task, torch.float32, batch)
    if not truth.is_at_jump:
        _judge(case, "validation loss", loss, truth.loss, own.loss, truth.loss_scale)


# -- other ways through the same steps --------------------------------------------------------------------------------


def check_chunks(case: Case) -> None:
    """Compare bytes: all steps at once, one by one, again, and from a state saved in between."""
    whole = _trace(case, [7])
    _same_bytes("again", whole, _trace(case, [7]))
    _same_bytes("one by one", whole, _trace(case, [1] * 7))
    _same_bytes("in chunks of 3, 1 and 3", whole, _trace(case, [3, 1, 3]))
    _same_bytes("resumed", whole, _trace(case, [3, 4], resumes=True))


def _trace(case: Case, chunks: list[int], *, resumes: bool = False) -> list[np.ndarray]:
    """Return losses, weights and slots after the steps."""
    built = build(case)
    task = _task(case, built)
    session = native.NativeEngine().prepare(task)
    rates = _rates(case, built, task.steps_per_epoch)
    losses, step = [], 0
    for number, n_steps in enumerate(chunks):
        if resumes and number:
            state = session.state()
            built = build(case)
            session = native.NativeEngine().prepare(_task(case, built))
            session.load_state(state)
        first, last = step // task.steps_per_epoch, (step + n_steps - 1) // task.steps_per_epoch
        losses.append(session.advance(n_steps, None if rates is None else rates[first : last + 1]))
        step += n_steps
    session.close()
    state = built.optimizer.state_dict()["state"]
    slots = [v.numpy() for kept in state.values() for v in kept.values() if v is not None]
    return [np.concatenate(losses), *(p.detach().numpy() for p in built.model.parameters()), *slots]


def _same_bytes(what: str, expected: list[np.ndarray], found: list[np.ndarray]) -> None:
    same = len(expected) == len(found) and all(a.tobytes() == b.tobytes() for a, b in zip(expected, found, strict=True))
    if not same:
        raise Mismatch(f"{what}: other bytes")


# -- the whole of fit -------------------------------------------------------------------------------------------------


def check_fit(case: Case, epochs: int = 2, *, numbers: bool | None = None) -> None:
    """Compare ``fit`` twice in a row, each time native or eager: records, states, and numbers.

    By default numbers are compared only where that is fair: Adam turns noise into whole steps, float32 drifts.
    """
    if numbers is None:
        numbers = case.optimizer == "SGD" and case.dtype == "float64" and case.scale <= 5
    expected = _fitted(case, ("eager", "eager"), epochs)
    for engines in (("native", "native"), ("native", "eager"), ("eager", "native")):
        found = _fitted(case, engines, epochs)
        _compare_runs(" then ".join(engines), found, expected)
        if numbers:
            _compare_numbers(" then ".join(engines), found, expected)


def _fitted(case: Case, engines: tuple[str, ...], epochs: int):
    built = build(case)
    schedule = built.schedule() if case.schedule else None
    runs = []
    for engine in engines:
        runs.append(
            hotloop.fit(
                built.model,
                built.X,
                built.y,
                epochs=epochs,
                engine=engine,
                schedule=schedule,
                X_val=built.X_val,
                y_val=built.y_val,
                **_settings(case, built),
            )
        )
    return built, runs, schedule


def _compare_runs(what: str, found, expected) -> None:
    built, runs, schedule = found
    expected_built, expected_runs, expected_schedule = expected
    if _diverged(runs, expected_runs):
        return
    for run, other in zip(runs, expected_runs, strict=True):
        if run.stopped != other.stopped or list(run.recorded_at) != list(other.recorded_at):
            raise Mismatch(f"{what}: {run.stopped} at {run.recorded_at}, not {other.stopped} at {other.recorded_at}")
        if list(run.validated_at) != list(other.validated_at):
            raise Mismatch(f"{what}: validated at {run.validated_at}, not {other.validated_at}")
    ours, theirs = built.optimizer.state_dict(), expected_built.optimizer.state_dict()
    _check_structure(what, ours["state"], theirs["state"])
    if ours["param_groups"] != theirs["param_groups"]:
        raise Mismatch(f"{what}: param_groups {ours['param_groups']} instead of {theirs['param_groups']}")
    if schedule is not None and schedule.state_dict() != expected_schedule.state_dict():
        raise Mismatch(f"{what}: schedule {schedule.state_dict()} instead of {expected_schedule.state_dict()}")
    for number, state in theirs["state"].items():
        if "step" in state and not torch.equal(state["step"], ours["state"][number]["step"]):
            raise Mismatch(f"{what}: step {ours['state'][number]['step']} instead of {state['step']}")


def _diverged(*runs) -> bool:
    return any(run.stopped == "diverged" for those in runs for run in those)


def _compare_numbers(what: str, found, expected) -> None:
    """Compare numbers after some epochs: loosely, since differences may grow, and in float64 only."""
    (built, runs, _), (expected_built, expected_runs, _) = found, expected
    if _diverged(runs, expected_runs):
        return
    pairs = [("losses", run.losses, other.losses) for run, other in zip(runs, expected_runs, strict=True)]
    pairs += [
        ("validation losses", run.validation_losses, other.validation_losses)
        for run, other in zip(runs, expected_runs, strict=True)
    ]
    theirs = dict(expected_built.model.named_parameters())
    pairs += [(name, p.detach().numpy(), theirs[name].detach().numpy()) for name, p in built.model.named_parameters()]
    for name, ours, expected in pairs:
        if not _is_close(np.asarray(ours), np.asarray(expected)):
            raise Mismatch(f"{what}: {name} {ours} instead of {expected}")


def _is_close(ours: np.ndarray, expected: np.ndarray) -> bool:
    """Compare numbers to 1e-6 of the largest, up to 1e6: beyond, training has gone astray, and differences with it.

    A number that is not finite needs a partner that is not either. Which of infinity and NaN it is depends on rounding,
    once numbers overflow.
    """
    finite = np.isfinite(expected)
    scale = np.abs(expected[finite]).max(initial=1.0)
    if scale >= 1e6:
        return True
    same = np.array_equal(np.isfinite(ours), finite)
    return same and bool((np.abs(ours[finite] - expected[finite]) <= 1e-6 * scale).all())


# -- parts ------------------------------------------------------------------------------------------------------------


def _judge(case: Case, what: str, ours, exact, own, scale, each: bool = False) -> None:
    """Raise a Mismatch if numbers are further off than the dtype allows; ``own`` is what eager torch has.

    ``each`` number has its own scale where none depends on another; else the largest is that of all.
    """
    ours, exact, own, scale = (np.asarray(value, dtype=np.float64) for value in (ours, exact, own, scale))
    finite = np.isfinite(ours)
    lost = ~finite & np.isfinite(exact) & np.isfinite(own)
    if lost.any():
        raise Mismatch(f"{case}\n{what}: {ours[lost][0]} instead of {exact[lost][0]}, {lost.sum()} of {lost.size}")
    if (finite & np.isnan(exact)).any():
        raise Mismatch(f"{case}\n{what}: a number instead of NaN")
    comparable = finite & np.isfinite(exact) & np.isfinite(own) & np.isfinite(scale)
    if not comparable.any():
        return
    with np.errstate(invalid="ignore"):
        off, eager_off = (np.where(comparable, np.abs(side - exact), 0.0) for side in (ours, own))
    if case.dtype == "float64":
        allowed = _RELATIVE * scale
    else:
        scale = np.broadcast_to(scale if each else scale[comparable].max(), off.shape)
        allowed = _TIMES_EAGER * eager_off.max() + _ULP * _EPS["float32"] * scale + 2.0**-140
    allowed = np.broadcast_to(np.where(np.isfinite(allowed), allowed, np.inf), off.shape)
    if (off > allowed).any():
        at = np.unravel_index(np.argmax(off - allowed), off.shape)
        raise Mismatch(
            f"{case}\n{what}{list(map(int, at))}: {ours[at]!r} instead of {exact[at]!r} (eager {own[at]!r}), "
            f"off by {off[at]:.3g} where {allowed[at]:.3g} is allowed; {int((off > allowed).sum())} of {off.size}"
        )


def _task(case: Case, built: Built):
    settings = Settings(
        epochs=1,
        schedule=None,
        X_val=built.X_val,
        y_val=built.y_val,
        validate_every=1,
        patience=None,
        record_every=1,
        engine="native",
        callbacks=(),
        checkpoint=None,
        threads=1,
        **_settings(case, built),
    )
    return prepare(built.model, built.X, built.y, settings).task


def _settings(case: Case, built: Built) -> dict:
    return {
        "loss": built.loss,
        "optimizer": built.optimizer,
        "batch_size": case.batch_size,
        "shuffle": case.shuffle if case.batch_size else None,
        "drop_last": case.drop_last,
        "sample_weight": built.weight,
        "clip_grad_norm": case.clip,
        "device": "cpu",
        "seed": case.seed,
        "progress": False,
    }


def _rates(case: Case, built: Built, steps_per_epoch: int) -> np.ndarray | None:
    """Return learning rates of the epochs that some steps touch, or None where they do not change."""
    if not case.schedule:
        return None
    first = np.array([float(group["lr"]) for group in built.optimizer.param_groups])
    return np.stack([first / (1 + epoch) for epoch in range(9 // steps_per_epoch + 2)])


def _batch(task, epoch: int, step_of_epoch: int):
    n_rows, start = len(task.training), step_of_epoch * task.batch_size
    stop = min(start + task.batch_size, n_rows)
    order = row_order(n_rows, task.seed, epoch) if task.shuffle else np.arange(n_rows)
    at = torch.from_numpy(order[start:stop])
    weight = task.training.weight
    return task.training.X[at], task.training.y[at], None if weight is None else weight[at]


def _is_float32(built: Built) -> bool:
    return next(built.model.parameters()).dtype == torch.float32


def _as(tensor, dtype):
    return tensor.to(dtype) if tensor is not None and tensor.is_floating_point() else tensor
