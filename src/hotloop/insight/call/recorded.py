"""What stands in the place of a hook or method while it is recorded."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from hotloop.insight.call.describe import hook_name, hook_place
from hotloop.insight.call.recorder import Recorder

__all__ = ["Recorded", "hook_runner"]


class Recorded:
    """Stands where a hook or method stood; a copy of the model gets a copy of the original."""

    def __init__(self, original: Callable[..., Any], run: Callable[..., Any], recorder: Recorder):
        self.stands_for, self._run, self.recorder = original, run, recorder

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run what it stands for, as a step where this thread is recorded."""
        recorder = self.recorder
        arrived_ns = recorder.clock()
        if not recorder.listens:
            return self.stands_for(*args, **kwargs)
        return recorder.around(arrived_ns, self._run, args, kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self.stands_for, memo)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["stands_for"], name)

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        return self.stands_for


def hook_runner(
    hook: Callable[..., Any],
    kind: str,
    always: bool,
    recorder: Recorder,
    after: Callable[[], None] | None = None,
) -> Callable[..., Any]:
    """Return a function that runs a hook as a step, and then ``after``."""
    facts = {"hooks": (hook_name(hook),), "where": hook_place(hook), "always_call": always}

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return recorder.run(kind, args[0], hook, args, kwargs, **facts)
        finally:
            if after:
                after()

    return run
