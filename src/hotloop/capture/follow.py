"""Following a module: its forward runs on stand-ins, and each function of torch that meets one is noted.

It runs on a copy of the module whose parameters are stand-ins too, so that nothing of the original changes.

::

    def forward(self, x):             nodes
        h = self.first(x)               1  linear(0, weight 0, weight 1)
        h = F.relu(h)                   2  activation(1) relu
        return h + x                    3  add(2, 0)

What a forward does besides must not depend on anything that changes: it runs twice, and both must give the same nodes
and leave the module's attributes and the random generators as they were.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch

from hotloop.capture.follower import Follower, Following, named
from hotloop.capture.graph import Graph, Node, make_graph
from hotloop.capture.hidden_state import GeneratorStates, HiddenState
from hotloop.capture.refusal import NotCaptured
from hotloop.capture.stand_ins import BufferStandIn, ParameterStandIn, Rows
from hotloop.capture.unaltered import alteration

__all__ = ["follow"]


@dataclass(frozen=True)
class _Trace:
    nodes: tuple[Node, ...]
    output: int
    width: int


def follow(
    model: torch.nn.Module, n_features: int, has_validation: bool
) -> tuple[Graph, Graph | None, tuple[torch.nn.Parameter, ...]]:
    """Return the graph of a model, that of its evaluation, and the parameters they use.

    Raises
    ------
    NotCaptured
        Naming the module that cannot be followed, and why.

    Notes
    -----
    A millisecond or two for each of the three passes.
    """
    _check_modules(model)
    parameters = list(model.parameters())
    shapes = [tuple(parameter.shape) for parameter in parameters]
    first = GeneratorStates()
    trace = _trace(model, n_features, evaluating=False)
    second = GeneratorStates()
    again = _trace(model, n_features, evaluating=False)
    # Both times: once may have been another thread.
    if second.changed() and first.differs(second):
        first.restore()
        raise NotCaptured(named("", model), "its forward draws random numbers", "leave the randomness out")
    if again != trace:
        raise NotCaptured(named("", model), "its forward does not do the same each time")
    numbers: dict[int, int] = {}
    graph = make_graph(n_features, shapes, trace.nodes, trace.output, trace.width, numbers)
    evaluation = None
    if has_validation:
        seen = _trace(model, n_features, evaluating=True)
        n_used = len(numbers)
        evaluation = make_graph(n_features, shapes, seen.nodes, seen.output, seen.width, numbers)
        if len(numbers) != n_used or seen.width != trace.width:
            raise NotCaptured(named("", model), "it has other parameters or outputs in eval mode than in training")
    return graph, evaluation, tuple(parameters[index] for index in numbers)


def _check_modules(model: torch.nn.Module) -> None:
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise NotCaptured(named(path, module), "it is a script", "give hotloop the module it was made from")
        if altered := alteration(module):
            raise NotCaptured(named(path, module), *altered)


def _trace(model: torch.nn.Module, n_features: int, evaluating: bool) -> _Trace:
    """Run a copy's forward on stand-ins."""
    first = next(model.parameters(), None)
    if first is None:
        raise NotCaptured(named("", model), "it has no parameters")
    follower = Follower(model, first.dtype, first.device)
    trial = _copy_with_stand_ins(model, follower)
    if evaluating:
        trial.eval()
    for path, module in trial.named_modules():
        vars(module)["forward"] = follower.inside(path, module, module.forward)
    before = HiddenState(trial)
    output = _run(trial, follower, follower.rows(0, n_features))
    if follower.refusal is not None:
        raise follower.refusal
    if changed := before.first_change(trial):
        raise NotCaptured(named("", model), f"its forward changes {changed}", "let forward change nothing")
    if type(output) is not Rows:
        given = "a parameter" if type(output) is ParameterStandIn else f"a {type(output).__name__}"
        raise NotCaptured(named("", model), f"it returns {given}, not one tensor with a row for each row of X")
    return _Trace(tuple(follower.nodes), output.number, output.width)


def _run(trial: torch.nn.Module, follower: Follower, x: Rows) -> Any:
    try:
        with Following(follower):
            output = trial(x)
        follower.check_unchanged()
        return output
    except NotCaptured as error:
        raise follower.refusal or error from None
    except Exception as error:
        if follower.refusal is not None:
            raise follower.refusal from None
        why = (str(error) or type(error).__name__).splitlines()[0]
        # The path is that of the model: by now the modules inside have been left.
        raise NotCaptured(named("", follower.model), f"its forward cannot be followed: {why}") from error


def _copy_with_stand_ins(model: torch.nn.Module, follower: Follower) -> torch.nn.Module:
    """Copy a model with stand-ins in place of its parameters and buffers."""
    stand_ins: dict[int, Any] = {
        id(parameter): ParameterStandIn.make(follower, index, tuple(parameter.shape))
        for index, parameter in enumerate(model.parameters())
    }
    stand_ins.update({id(buffer): BufferStandIn.make(follower, name) for name, buffer in model.named_buffers()})
    try:
        return copy.deepcopy(model, stand_ins)
    except Exception as error:  # whatever a foreign class raises
        raise NotCaptured(named("", model), f"it cannot be copied: {type(error).__name__}") from error
