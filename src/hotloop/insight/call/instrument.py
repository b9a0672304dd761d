"""Recorders in the place of what a call runs: put in for a while, and taken out without a trace.

For each module of the tree::

    module._call_impl              torch's own code, with a BackwardHook that is recorded, and global hooks that are
    module._compiled_call_impl     one step; what it was compiled from is left alone, since a change would recompile it
    module.forward
    module._forward_pre_hooks[i]   in its place, so that order and flags stay
    module._forward_hooks[i]

Nothing that other modules or other threads use is touched: the hooks of all modules are recorded as *this* model meets
them. Other threads that call the same model meanwhile run unrecorded.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from hotloop.insight.call.describe import hook_name
from hotloop.insight.call.recorded import Recorded, hook_runner
from hotloop.insight.call.recorder import Recorder
from hotloop.insight.call.torch_call import has_torchs_call, recorded_call_impl
from hotloop.insight.preserve import ONE_AT_A_TIME

if TYPE_CHECKING:
    import torch

__all__ = ["instrumented", "is_compiled"]

_COLLECTED = {
    "_get_backward_pre_hooks": "collect backward pre-hooks",
    "_get_backward_hooks": "collect backward hooks",
}
_ABSENT = object()


@contextlib.contextmanager
def instrumented(model: torch.nn.Module, recorder: Recorder) -> Iterator[None]:
    """Record what ``model`` runs until the block is left, by whatever way."""
    code = recorded_call_impl(recorder)
    observers = [_Observer(module, recorder, code) for module in _observable(model)]
    with ONE_AT_A_TIME:
        try:
            for observer in observers:
                observer.put_in()
            yield
        finally:
            for observer in observers:
                observer.take_out()


def _observable(model: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """Yield each module once, without those that a compiled one contains."""
    waiting, seen = [model], set()
    while waiting:
        module = waiting.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield module
        if not is_compiled(module):
            waiting += [child for child in module.children() if id(child) not in seen]


def is_compiled(module: torch.nn.Module) -> bool:
    """Whether torch.compile has taken over calling this module."""
    return module._compiled_call_impl is not None or "_orig_mod" in module._modules


class _Observer:
    """What is put into one module and taken out again."""

    def __init__(self, module: torch.nn.Module, recorder: Recorder, code: types.FunctionType):
        self._module, self._recorder, self._code = module, recorder, code
        self._attributes: dict[str, object] = {}
        self._hooks: list[tuple[dict[int, Any], int, Recorded]] = []

    def put_in(self) -> None:
        module = self._module
        if module._compiled_call_impl is not None:
            self._replace_method("_compiled_call_impl", "compiled call", module._compiled_call_impl)
            return
        if is_compiled(module):
            self._replace_method("forward", "compiled call", module.forward)
            return
        call_impl = types.MethodType(self._code, module) if has_torchs_call(module) else module._call_impl
        self._replace_method("_call_impl", "call", call_impl, before=self._wrap_hooks)
        self._replace_method("forward", "forward", module.forward)
        for name, kind in _COLLECTED.items():
            self._replace_method(name, kind, getattr(module, name), hooks_of=_names_collected)
        self._wrap_hooks()

    def take_out(self) -> None:
        own = self._module.__dict__
        for name, former in self._attributes.items():
            if former is _ABSENT:
                own.pop(name, None)
            else:
                own[name] = former
        for hooks, hook_id, recorded in self._hooks:
            if hooks.get(hook_id) is recorded:
                hooks[hook_id] = recorded.stands_for

    def _replace_method(
        self,
        name: str,
        kind: str,
        method: Callable[..., Any],
        *,
        before: Callable[[], None] | None = None,
        hooks_of: Callable[[Any], tuple[str, ...]] | None = None,
    ) -> None:
        module, recorder = self._module, self._recorder

        def run(*args: Any, **kwargs: Any) -> Any:
            if before:
                before()
            result = recorder.run(kind, module, method, args, kwargs)
            if hooks_of:
                recorder.amend(hooks=hooks_of(result))
            return result

        original = getattr(module, name)
        self._attributes[name] = module.__dict__.get(name, _ABSENT)
        module.__dict__[name] = Recorded(original, run, recorder)

    def _wrap_hooks(self) -> None:
        """Wrap the hooks that are not yet; those that a call registers are met in its course."""
        module = self._module
        self._wrap(module._forward_pre_hooks, "pre-hook", ())
        self._wrap(module._forward_hooks, "forward hook", module._forward_hooks_always_called)

    def _wrap(self, hooks: dict[int, Any], kind: str, always: Any) -> None:
        for hook_id, hook in list(hooks.items()):
            if not (isinstance(hook, Recorded) and hook.recorder is self._recorder):
                run = hook_runner(hook, kind, hook_id in always, self._recorder, after=self._wrap_hooks)
                recorded = Recorded(hook, run, self._recorder)
                self._hooks.append((hooks, hook_id, recorded))
                hooks[hook_id] = recorded


def _names_collected(collected: Any) -> tuple[str, ...]:
    """Return the names of collected hooks: a list of them, or a pair of lists."""
    lists = collected if isinstance(collected, tuple) else (collected,)
    return tuple(hook_name(hook) for hooks in lists for hook in hooks)
