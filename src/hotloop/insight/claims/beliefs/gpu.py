"""The claim that a GPU is faster for this model."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hotloop.insight.claims.claim import Asked, Claim, Experiment, Workbench
from hotloop.insight.claims.comparing import Wording, belief_saves, compare, narrow_ratio
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.steps import Steps
from hotloop.insight.measure import Arm
from hotloop.language import _
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    from hotloop.insight.loop import Loop

__all__ = ["CLAIM", "GPU_ARM", "no_gpu", "run_and_wait"]

GPU_ARM = "GPU"


def no_gpu(loop: Loop) -> str | None:
    """Return why nothing can be measured on a GPU, or None."""
    from hotloop.hardware import available_accelerator

    return None if available_accelerator() else Sentence("torch sees no GPU here")


def _arms(workbench: Workbench) -> list[Arm]:
    from hotloop.hardware import available_accelerator

    device = available_accelerator() or "cpu"
    on_gpu = Steps(workbench.loop, device=device)
    return [Arm("CPU", Steps(workbench.loop).run), Arm(GPU_ARM, partial(run_and_wait, on_gpu, device))]


def run_and_wait(steps: Steps, device: str, n: int) -> None:
    """Do steps on a device until the last one is finished there."""
    import torch

    steps.run(n)
    if device != "cpu":
        torch.accelerator.synchronize(device)


def _ask(evidence: Evidence) -> list[Asked]:
    wording = Wording(
        _("Does a step take less time on the GPU than on the CPU?"),
        costs=_("On the GPU a step takes longer: {change} ({us}). Telling it what to do takes more than doing it."),
        saves=_("On the GPU a step is faster: {change} ({us})."),
        equivalent=_("On the GPU a step takes as long as on the CPU within {threshold}: {change} ({us})."),
    )
    asked = compare(evidence, "devices", GPU_ARM, wording, key="gpu")
    if asked.finding is not None:
        return [asked]
    advice = _("What a GPU would give can be forecast from another machine's passport: hotloop explain.")
    return [Asked(asked.key, asked.question, f"{asked.sentences} {advice}")]


CLAIM = Claim(
    name="gpu",
    belief=lambda: _("A GPU is faster for this model."),
    prediction=lambda: _(
        "An operation costs 5 to 25 us of CPU time to issue, however little it computes (issues of pytorch). Below "
        "about 50 million floating point operations a step, a CPU is done before a GPU has been told."
    ),
    # In one process: starting a GPU takes longer than many blocks.
    experiments=(Experiment("devices", _arms, needs=no_gpu, waits=True, fresh=False, narrow=narrow_ratio(GPU_ARM)),),
    ask=_ask,
    conclude=belief_saves("gpu"),
)
