"""Who takes part: one line for each."""

from __future__ import annotations

from collections.abc import Sequence

from hotloop.bench.contender import Contender, usable_threads
from hotloop.bench.eager import Eager
from hotloop.bench.jax_scan import JaxScan
from hotloop.bench.native import Native
from hotloop.bench.scikit_learn import ScikitLearn
from hotloop.bench.torch_compile import TorchCompile
from hotloop.errors import ArgumentError, nearest
from hotloop.language import Sentence

__all__ = ["DEFAULT", "NAMES", "all_contenders", "choose"]

DEFAULT = ("hotloop", "eager", "eager-threads", "eager-fused", "jax", "jax-given", "scikit-learn")
"""All but torch.compile, which compiles for 15 s and more before its first step."""

NAMES = (*DEFAULT, "torch-compile")


def all_contenders() -> list[Contender]:
    """Return everyone; hotloop, whom the others are compared with, comes first."""
    threads = usable_threads()
    return [
        Native(),
        Eager("eager", Sentence("the loop written by hand in torch, each loss read, on one thread"), 1),
        Eager("eager-threads", Sentence("the same on all threads"), threads),
        Eager("eager-fused", Sentence("the same on one thread, with the optimizer's fused form"), 1, fused=True),
        TorchCompile(),
        JaxScan("jax", Sentence("lax.scan inside jit, row orders drawn inside"), threads),
        JaxScan(
            "jax-given", Sentence("the same with row orders drawn beforehand, not timed"), threads, is_order_given=True
        ),
        ScikitLearn(threads=1),
    ]


def choose(only: Sequence[str] = (), without: Sequence[str] = (), also: Sequence[str] = ()) -> list[Contender]:
    """Return those who take part.

    Parameters
    ----------
    only : names
        Nobody else; by default everyone in ``DEFAULT``.
    without : names
        Not these.
    also : names
        These as well.

    Raises
    ------
    ArgumentError
        A name is unknown, or nobody is left.
    """
    unknown = [name for name in (*only, *without, *also) if name not in NAMES]
    if unknown:
        raise ArgumentError(
            Sentence("unknown contender {name!r}.{near}", name=unknown[0], near=nearest(unknown[0], NAMES)),
            do=Sentence("use some of {names}", names=", ".join(NAMES)),
        )
    wanted = ({*(only or DEFAULT)} | set(also)) - set(without)
    if not wanted:
        raise ArgumentError(
            Sentence("no contender is left"), do=Sentence("name fewer in {setting}", setting="without=")
        )
    return [contender for contender in all_contenders() if contender.name in wanted]
