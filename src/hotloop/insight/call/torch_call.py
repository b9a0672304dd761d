"""torch's own ``_call_impl``, run so that what it takes from torch's globals is recorded.

Its code is torch's, unchanged; only the names that it looks up lead to recorders: the class that sets up backward
hooks, and the hooks of all modules. Nothing in torch is changed.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hotloop.insight.call.describe import hook_name, hook_place
from hotloop.insight.call.recorded import Recorded, hook_runner
from hotloop.insight.call.recorder import Recorder

if TYPE_CHECKING:
    import torch

__all__ = ["has_torchs_call", "recorded_call_impl"]

_SET_UPS = {"setup_input_hook": "backward input set-up", "setup_output_hook": "backward output set-up"}


def has_torchs_call(module: torch.nn.Module) -> bool:
    """Whether a module's class leaves ``_call_impl`` as torch has it."""
    import torch

    return getattr(type(module), "_call_impl", None) is torch.nn.Module._call_impl


def recorded_call_impl(recorder: Recorder) -> types.FunctionType:
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
        run = hook_runner(hook, self._kind, hook_id in self._always, self._recorder)
        return Recorded(hook, run, self._recorder)

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

    return Recorded(plain, run, recorder)


def _recorded_legacy_hook(plain: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    """Return what wraps a hook that is registered on the gradient function of a module's output."""

    def wrap(hook: Callable[..., Any], module: torch.nn.Module) -> Any:
        recorder.note("legacy backward hook", module, hooks=(hook_name(hook),), where=hook_place(hook))
        return plain(hook, module)

    return wrap
