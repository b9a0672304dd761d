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
import copy
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hotloop.insight.call.describe import hook_name, hook_place
from hotloop.insight.call.recorder import Recorder

if TYPE_CHECKING:
    import torch

__all__ = ["instrumented", "is_compiled"]

_COLLECTED = {
    "_get_backward_pre_hooks": "collect backward pre-hooks",
    "_get_backward_hooks": "collect backward hooks",
}
_SET_UPS = {"setup_input_hook": "backward input set-up", "setup_output_hook": "backward output set-up"}
_ABSENT = object()
_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def instrumented(model: torch.nn.Module, recorder: Recorder) -> Iterator[None]:
    """Record what ``model`` runs until the block is left, by whatever way."""
    code = _recorded_call_impl(recorder)
    observers = [_Observer(module, recorder, code) for module in _observable(model)]
    with _ONE_AT_A_TIME:
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


class _Recorded:
    """Stands where a hook or method stood; a copy of the model gets a copy of the original."""

    def __init__(self, original: Callable[..., Any], run: Callable[..., Any], recorder: Recorder):
        self._original, self._run, self._recorder = original, run, recorder

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        recorder = self._recorder
        arrived_ns = recorder.clock()
        if not recorder.listens:
            return self._original(*args, **kwargs)
        return recorder.around(arrived_ns, self._run, args, kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self._original, memo)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_original"], name)

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        return self._original


class _Observer:
    """What is put into one module and taken out again."""

    def __init__(self, module: torch.nn.Module, recorder: Recorder, code: types.FunctionType):
        self._module, self._recorder, self._code = module, recorder, code
        self._attributes: dict[str, object] = {}
        self._hooks: list[tuple[dict[int, Any], int, _Recorded]] = []

    def put_in(self) -> None:
        module = self._module
        if module._compiled_call_impl is not None:
            self._replace_method("_compiled_call_impl", "compiled call", module._compiled_call_impl)
            return
        if is_compiled(module):
            self._replace_method("forward", "compiled call", module.forward)
            return
        call_impl = types.MethodType(self._code, module) if _has_torchs_call(module) else module._call_impl
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
                hooks[hook_id] = recorded._original

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
        module.__dict__[name] = _Recorded(original, run, recorder)

    def _wrap_hooks(self) -> None:
        """Wrap the hooks that are not yet; those that a call registers are met in its course."""
        module = self._module
        self._wrap(module._forward_pre_hooks, "pre-hook", ())
        self._wrap(module._forward_hooks, "forward hook", module._forward_hooks_always_called)

    def _wrap(self, hooks: dict[int, Any], kind: str, always: Any) -> None:
        for hook_id, hook in list(hooks.items()):
            if not (isinstance(hook, _Recorded) and hook._recorder is self._recorder):
                run = _hook_runner(hook, kind, hook_id in always, self._recorder, after=self._wrap_hooks)
                recorded = _Recorded(hook, run, self._recorder)
                self._hooks.append((hooks, hook_id, recorded))
                hooks[hook_id] = recorded


def _hook_runner(
    hook: Callable[..., Any],
    kind: str,
    always: bool,
    recorder: Recorder,
    after: Callable[[], None] | None = None,
) -> Callable[..., Any]:
    facts = {"hooks": (hook_name(hook),), "where": hook_place(hook), "always_call": always}

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return recorder.run(kind, args[0], hook, args, kwargs, **facts)
        finally:
            if after:
                after()

    return run


def _names_collected(collected: Any) -> tuple[str, ...]:
    """Return the names of collected hooks: a list of them, or a pair of lists."""
    lists = collected if isinstance(collected, tuple) else (collected,)
    return tuple(hook_name(hook) for hooks in lists for hook in hooks)


def _has_torchs_call(module: torch.nn.Module) -> bool:
    import torch

    return getattr(type(module), "_call_impl", None) is torch.nn.Module._call_impl


def _recorded_call_impl(recorder: Recorder) -> types.FunctionType:
    """Return torch's ``_call_impl``, seeing recorded hooks and set-ups instead of torch's globals."""
    import torch

    plain = torch.nn.Module._call_impl
    seen = _globals_recorded(plain.__globals__, recorder)
    return types.FunctionType(plain.__code__, seen, plain.__name__, plain.__defaults__, plain.__closure__)


def _globals_recorded(names: Mapping[str, Any], recorder: Recorder) -> dict[str, Any]:
    return {
        **names,
        "BackwardHook": _recorded_backward_hook(names["BackwardHook"], recorder),
        "_WrappedHook": _recorded_legacy_hook(names["_WrappedHook"], recorder),
        "_global_forward_pre_hooks": _GlobalHooks(names["_global_forward_pre_hooks"], "global pre-hook", (), recorder),
        "_global_forward_hooks": _GlobalHooks(
            names["_global_forward_hooks"],
            "global forward hook",
            names["_global_forward_hooks_always_called"],
            recorder,
        ),
    }


class _GlobalHooks(Mapping[int, Any]):
    """The hooks of all modules as the code of one sees them, recorded."""

    def __init__(self, hooks: dict[int, Any], kind: str, always: Any, recorder: Recorder):
        self._hooks, self._kind, self._always, self._recorder = hooks, kind, always, recorder

    def __getitem__(self, hook_id: int) -> Any:
        hook = self._hooks[hook_id]
        run = _hook_runner(hook, self._kind, hook_id in self._always, self._recorder)
        return _Recorded(hook, run, self._recorder)

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._hooks))

    def __len__(self) -> int:
        return len(self._hooks)


def _recorded_backward_hook(plain: type, recorder: Recorder) -> Callable[..., Any]:
    """Return what makes a BackwardHook whose set-ups are steps; torch's own class does the work."""

    def make(module: torch.nn.Module, user_hooks: list[Any], user_pre_hooks: list[Any]) -> Any:
        backward_hook = plain(module, user_hooks, user_pre_hooks)
        names = tuple(hook_name(hook) for hook in (*user_pre_hooks, *user_hooks))
        for method, kind in _SET_UPS.items():
            backward_hook.__dict__[method] = _recorded_set_up(backward_hook, method, kind, names, recorder)
        return backward_hook

    return make


def _recorded_set_up(
    backward_hook: Any, method: str, kind: str, names: tuple[str, ...], recorder: Recorder
) -> Callable[..., Any]:
    plain = getattr(backward_hook, method)

    def run(values: Any) -> Any:
        # The hook lives as long as the graph; what is recorded ends here.
        del backward_hook.__dict__[method]
        result = recorder.run(kind, backward_hook.module, plain, (values,), {}, hooks=names)
        indices = "input_tensors_index" if method == "setup_input_hook" else "output_tensors_index"
        recorder.amend(attached=getattr(backward_hook, indices) is not None)
        return result

    return _Recorded(plain, run, recorder)


def _recorded_legacy_hook(plain: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    """Return what wraps a hook that is registered on the gradient function of a module's output."""

    def wrap(hook: Callable[..., Any], module: torch.nn.Module) -> Any:
        recorder.note("legacy backward hook", module, hooks=(hook_name(hook),), where=hook_place(hook))
        return plain(hook, module)

    return wrap
