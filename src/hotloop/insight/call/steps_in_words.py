"""What a step is and what is special about it, in the reader's language."""

from __future__ import annotations

from hotloop.insight.call.trace import Step
from hotloop.language import _

__all__ = ["note_on", "origins", "title_of"]


def title_of(step: Step) -> str:
    """Return what a step is, in the reader's language."""
    path = step.module or step.module_class
    titles = {
        "call": _("{path} {module_class}") if step.module else "{path}",
        "compiled call": _("{path}, compiled"),
        "collect backward pre-hooks": _("collect backward pre-hooks"),
        "collect backward hooks": _("collect backward hooks"),
        "global pre-hook": _("pre-hook of all modules {hooks}"),
        "pre-hook": _("pre-hook {hooks}"),
        "backward input set-up": _("set up backward hooks on inputs"),
        "forward": _("{path}.forward called directly") if step.direct else _("forward"),
        "global forward hook": _("forward hook of all modules {hooks}"),
        "forward hook": _("forward hook {hooks}"),
        "backward output set-up": _("set up backward hooks on outputs"),
        "legacy backward hook": _("old-style backward hook {hooks}"),
    }
    hooks = ", ".join(step.hooks)
    return titles[step.kind].format(path=path, module_class=step.module_class, hooks=hooks)


def origins(steps: tuple[Step, ...]) -> set[int]:
    """Return the orders of the steps that an exception came from, without those that it passed through."""
    raised = {step.order for step in steps if step.raised}
    return raised - {step.parent for step in steps if step.raised}


def note_on(step: Step, is_origin: bool) -> str:
    """Return what is special about a step, or an empty string; ``is_origin`` of an exception."""
    replaces = _("replaces the arguments") if step.kind.endswith("pre-hook") else _("replaces the output")
    parts = [
        replaces if step.replaced else "",
        _("although an exception was raised") if step.after_exception else "",
        _("no tensor there needs a gradient") if not step.attached else "",
        _("raised {error}").format(error=step.raised.split(":")[0]) if step.raised and is_origin else "",
    ]
    return "; ".join(part for part in parts if part)
