"""What capture says when it does not understand something."""

from __future__ import annotations

from hotloop.errors import UnsupportedError
from hotloop.sentence import Sentence

__all__ = ["NotCaptured"]


class NotCaptured(UnsupportedError):
    """A model, loss or optimizer that cannot become a program.

    Parameters
    ----------
    where : str
        What stands in the way: ``'encoder.norm' (BatchNorm1d)``.
    why : str
        The reason, as a clause.
    instead : str, optional
        What could be done other than training in eager torch, as a clause after "or".
    """

    def __init__(self, where: str, why: str, instead: str | None = None):
        do = Sentence("use {setting}", setting='engine="eager"')
        if instead:
            do = Sentence("use {setting}, or {instead}", setting='engine="eager"', instead=instead)
        super().__init__(Sentence("cannot compile {where}", where=where), why=why, do=do, see="hotloop layers")
        self.where, self.instead = where, instead

    def __reduce__(self) -> tuple[type[NotCaptured], tuple[str | None, ...]]:
        # Errors travel between processes, by the arguments they were made of.
        return NotCaptured, (self.where, self.why, self.instead)

    @property
    def clause(self) -> str:
        """Where and why, for ``run.why``."""
        return f"{self.where}: {self.why}"
