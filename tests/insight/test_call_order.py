"""The order of a trace is the order in which modules and hooks themselves say that they ran."""

from __future__ import annotations

import functools
import warnings

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn.modules import module as of_torch

from hotloop.insight.call.trace_call import trace_call

LOGGED = {"global pre-hook", "pre-hook", "forward", "global forward hook", "forward hook"}


class Node(torch.nn.Module):
    """Writes down its forward; calls its children, some of them twice or past ``__call__``; may raise."""

    def __init__(self, log, name, behaviour):
        super().__init__()
        # A list that is an attribute would be put back; this one is not.
        self.say, self.name, self.behaviour = log.append, name, behaviour
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, x, scale=1.0):
        self.say(("forward", self.name))
        x = x * self.weight * scale
        for child in self.children():
            if self.behaviour == "catches":
                try:
                    x = child(x)
                except RuntimeError:
                    continue
            elif self.behaviour == "direct":
                x = child.forward(x)
            else:
                for _ in range(2 if self.behaviour == "twice" else 1):
                    x = child(x, scale=2.0) if self.behaviour == "keywords" else child(x)
        if self.behaviour == "raises":
            raise RuntimeError("raised on purpose")
        return x


class CallableHook:
    def __init__(self, function):
        self.function = function

    def __call__(self, *args):
        return self.function(*args)


def hook_for(log, kind, name, replaces, raises, form):
    """Return a hook that writes down that it ran."""

    def pre(module, args):
        log.append((kind, getattr(module, "name", ""), name))
        if raises:
            raise RuntimeError("a hook raised")
        return tuple(arg + 1 for arg in args) if replaces else None

    def pre_with_kwargs(module, args, kwargs):
        replacement = pre(module, args)
        return None if replacement is None else (replacement, kwargs)

    def post(module, args, output):
        log.append((kind, getattr(module, "name", ""), name))
        if raises:
            raise RuntimeError("a hook raised")
        return output + 1 if replaces and output is not None else None

    def post_with_kwargs(module, args, kwargs, output):
        return post(module, args, output)

    functions = {"pre": (pre, pre_with_kwargs), "post": (post, post_with_kwargs)}
    plain, with_kwargs = functions["pre" if "pre-hook" in kind else "post"]
    wrapped = {"function": lambda f: f, "partial": functools.partial, "object": CallableHook}[form]
    return wrapped(plain), wrapped(with_kwargs)


hooks = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(
            [
                "pre-hook",
                "forward hook",
                "full backward",
                "backward pre",
                "legacy",
                "global pre-hook",
                "global forward hook",
            ]
        ),
        "node": st.integers(0, 3),
        "replaces": st.booleans(),
        "raises": st.integers(0, 9).map(lambda n: n == 0),
        "prepend": st.booleans(),
        "with_kwargs": st.booleans(),
        "always_call": st.booleans(),
        "form": st.sampled_from(["function", "partial", "object"]),
    }
)
behaviours = st.lists(
    st.sampled_from(["plain", "plain", "twice", "direct", "keywords", "catches", "raises"]), min_size=4, max_size=4
)
parents = st.tuples(st.just(0), st.integers(0, 1), st.integers(0, 2))


def register(hook, number, nodes, log):
    """Register one hook, and return its handle; None where torch refuses the combination."""
    kind, node, prepend = hook["kind"], nodes[hook["node"]], hook["prepend"]
    plain, with_kwargs = hook_for(log, kind, f"h{number}", hook["replaces"], hook["raises"], hook["form"])
    chosen = with_kwargs if hook["with_kwargs"] else plain
    if kind == "pre-hook":
        return node.register_forward_pre_hook(chosen, prepend=prepend, with_kwargs=hook["with_kwargs"])
    if kind == "forward hook":
        return node.register_forward_hook(
            chosen, prepend=prepend, with_kwargs=hook["with_kwargs"], always_call=hook["always_call"]
        )
    if kind == "global pre-hook":
        return of_torch.register_module_forward_pre_hook(plain)
    if kind == "global forward hook":
        return of_torch.register_module_forward_hook(
            chosen, with_kwargs=hook["with_kwargs"], always_call=hook["always_call"]
        )
    legacy = node._is_full_backward_hook is False
    if kind == "backward pre":
        return node.register_full_backward_pre_hook(lambda module, gradient: None, prepend=prepend)
    if kind == "full backward" and not legacy:
        return node.register_full_backward_hook(lambda module, inputs, outputs: None, prepend=prepend)
    if kind == "legacy" and node._is_full_backward_hook is not True:
        return node.register_backward_hook(lambda module, inputs, outputs: None)
    return None


def state_of(nodes):
    return [
        (list(vars(node)), *(list(table.items()) for table in vars(node).values() if isinstance(table, dict)))
        for node in nodes
    ]


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(
    chosen=st.lists(hooks, max_size=9),
    behaviour=behaviours,
    parent=parents,
    shared=st.booleans(),
    needs_gradient=st.booleans(),
)
def test_the_trace_is_in_the_order_of_the_log(chosen, behaviour, parent, shared, needs_gradient):
    log: list[tuple[str, ...]] = []
    nodes = [Node(log, f"n{k}", behaviour[k]) for k in range(4)]
    for k, above in enumerate(parent, start=1):
        nodes[above].add_module(f"n{k}", nodes[k])
    if shared and parent[2] != 0:
        nodes[0].add_module("again", nodes[3])
    handles = []
    x = torch.ones(2, 3, requires_grad=needs_gradient)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            handles += [register(hook, number, nodes, log) for number, hook in enumerate(chosen)]
            before = state_of(nodes)
            outcomes = {}
            for way in ("call", "forward"):
                log.clear()
                try:
                    (nodes[0] if way == "call" else nodes[0].forward)(x)
                    raised = None
                except Exception as error:
                    raised = f"{type(error).__name__}: {error}".splitlines()[0]
                outcomes[way] = (list(log), raised)
            log.clear()
            trace = trace_call(nodes[0], x, measure_s=0)
            # The trace itself runs both ways, and each hook as often as before.
            assert log == outcomes["call"][0] + outcomes["forward"][0]
            assert state_of(nodes) == before
        finally:
            for handle in handles:
                if handle is not None:
                    handle.remove()
    for way in ("call", "forward"):
        recorded = getattr(trace, way)
        assert said_by(recorded, nodes) == [entry[:2] for entry in outcomes[way][0]]
        assert recorded.raised == outcomes[way][1]
        assert [step.order for step in recorded.steps] == list(range(1, len(recorded.steps) + 1))
        assert all(step.us >= step.own_us >= 0 for step in recorded.steps)


def said_by(way, nodes):
    """Return what the log should hold by the trace: kind and module of each step that writes into it."""
    names = {path: module.name for path, module in nodes[0].named_modules()}
    # Upon an exception torch calls hooks of all modules without the keywords that they were registered for.
    refused = [step for step in way.steps if (step.raised or "").startswith("TypeError") and step.after_exception]
    return [(step.kind, names[step.module]) for step in way.steps if step.kind in LOGGED and step not in refused]


def test_backward_set_ups_stand_where_torch_has_them():
    # What torch itself calls, observed by a profiler, which sees frames and knows nothing of the recorder.
    import sys

    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU())
    model.register_forward_pre_hook(lambda module, args: None)
    model.register_forward_hook(lambda module, args, output: None)
    model.register_full_backward_hook(lambda module, inputs, outputs: None)
    model[0].register_full_backward_pre_hook(lambda module, outputs: None)
    seen = []
    kinds = {
        "_get_backward_pre_hooks": "collect backward pre-hooks",
        "_get_backward_hooks": "collect backward hooks",
        "setup_input_hook": "backward input set-up",
        "setup_output_hook": "backward output set-up",
        "forward": "forward",
        "_call_impl": "call",
    }

    def profile(frame, event, argument):
        own = isinstance(frame.f_locals.get("self"), (torch.nn.Module, torch.utils.hooks.BackwardHook))
        if event == "call" and own:
            seen.append(kinds.get(frame.f_code.co_name))

    x = torch.ones(2, 3, requires_grad=True)
    sys.setprofile(profile)
    try:
        model(x)
    finally:
        sys.setprofile(None)
    trace = trace_call(model, x, measure_s=0)
    assert [kind for kind in seen if kind] == [step.kind for step in trace.call.steps if step.kind in kinds.values()]
    set_ups = [step for step in trace.call.steps if "set-up" in step.kind]
    assert [step.module for step in set_ups] == ["", "0", "0", ""]
    assert all(step.attached and step.hooks for step in set_ups)


def test_a_hook_on_data_is_said_to_find_no_gradient():
    model = torch.nn.Linear(3, 2)
    model.register_full_backward_hook(lambda module, inputs, outputs: None)
    steps = trace_call(model, torch.ones(2, 3), measure_s=0).call.steps
    assert {step.kind: step.attached for step in steps if "set-up" in step.kind} == {
        "backward input set-up": False,
        "backward output set-up": True,
    }


def test_hooks_that_a_call_registers_and_removes_are_seen():
    log = []
    model = torch.nn.Linear(2, 2)

    def once(module, args):
        log.append("once")
        handle.remove()
        module.register_forward_hook(late)

    def late(module, args, output):
        log.append("late")

    handle = model.register_forward_pre_hook(once)
    trace = trace_call(model, torch.ones(1, 2), measure_s=0)
    assert log == ["once", "late"]
    assert [step.hooks[0].split(".")[-1] for step in trace.call.steps if step.hooks] == ["once", "late"]
    assert list(model._forward_pre_hooks.values()) == [once]
    assert not model._forward_hooks


@pytest.mark.parametrize("gradients", [True, False])
def test_a_legacy_hook_is_set_up_only_where_there_is_a_gradient(gradients):
    model = torch.nn.Linear(2, 2)
    model.register_backward_hook(lambda module, inputs, outputs: None)
    with torch.set_grad_enabled(gradients):
        trace = trace_call(model, torch.ones(1, 2), measure_s=0)
    assert ("legacy backward hook" in [step.kind for step in trace.call.steps]) == gradients
    assert trace.gradients == gradients
