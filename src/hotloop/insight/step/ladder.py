"""The tax ladder: the same step with one convenience after the other removed, each rung measured.

::

    eager           the loop: model(X), loss, zero_grad, backward, optimizer.step, loss.item()
    no hooks        the same without the hooks that the model has
    no modules      the same functions of torch, called directly: no nn.Module.__call__
    no autograd     gradients written down by hand, handed to the optimizer
    no optimizer    weights changed by bare tensor operations
    no python       the same operations from TorchScript: no Python between them
    native          the step as machine code: no eager operations at all

Rungs are arms of one experiment, so differences between neighbours are of the same blocks. What a rung cannot be made
for (a layer, loss or optimizer whose gradients are not written down in ``bare_steps.py``) is left out with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from hotloop.errors import UnsupportedError
from hotloop.insight.explanation import Ladder, Rung
from hotloop.insight.loop import Loop
from hotloop.insight.measure import Arm, Block, BlockPlan, Budget, Measurements, collect, difference, level, run_block
from hotloop.insight.step.bare_loop import BareLoop, Run
from hotloop.sentence import Sentence

__all__ = ["measure_ladder", "rungs_of"]


# Machine code does so many steps while eager torch does one, and is called once for all of a run.
_NATIVE_STEPS = 100


def measure_ladder(loop: Loop, *, threads: int | None = None, budget: Budget, plan: BlockPlan | None = None) -> Ladder:
    """Return what each layer of convenience costs on the CPU.

    Parameters
    ----------
    loop : Loop
    threads : int, optional
        Of torch; by default what ``fit`` would choose.
    budget : Budget
    plan : BlockPlan, optional
        Of the first block.
    """
    left_out: list[str] = []

    def block(plan: BlockPlan) -> Block:
        arms, reasons = rungs_of(loop, threads)
        left_out[:] = reasons
        return run_block(arms, plan)

    measured = collect(block, budget, plan=plan)
    return Ladder(tuple(_rungs(measured)), tuple(left_out))


def _rungs(measured: Measurements) -> Iterator[Rung]:
    names = measured.names[:-1]
    for above, name in zip((names[0], *names), names, strict=False):
        saved = difference(measured, above, name).interval()
        yield Rung(name, level(measured, name).interval(), saved)


def rungs_of(loop: Loop, threads: int | None = None) -> tuple[list[Arm], list[str]]:
    """Return fresh arms, from the whole loop down to machine code, and why others are left out."""
    arms = [Arm("eager", _session(loop, "eager", threads))]
    left_out: list[str] = []
    unhooked = loop.without_hooks()
    if unhooked is not loop:
        arms.append(Arm("no hooks", _session(unhooked, "eager", threads)))
    if why := BareLoop.refusal(unhooked):
        left_out.append(Sentence("the step without modules, autograd, the optimizer and Python, since {why}", why=why))
    else:
        arms += [
            Arm("no modules", BareLoop(unhooked, threads).without_modules()),
            Arm("no autograd", BareLoop(unhooked, threads).without_autograd()),
            Arm("no optimizer", BareLoop(unhooked, threads).without_optimizer()),
        ]
        try:
            arms.append(Arm("no python", BareLoop(unhooked, threads).without_optimizer(without_python=True)))
        except (RuntimeError, AttributeError) as error:
            left_out.append(
                Sentence("the step without Python: TorchScript refused ({why})", why=str(error).splitlines()[0])
            )
    # Why there is none is told beside the engines' forecasts.
    with suppress(UnsupportedError):
        arms.append(Arm("native", _session(unhooked, "native", threads), times=_NATIVE_STEPS))
    return arms, left_out


def _session(loop: Loop, engine: str, threads: int | None) -> Run:
    session = loop.session(engine=engine, threads=threads)
    return lambda units: session.advance(units, None)
