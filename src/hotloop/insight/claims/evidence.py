"""What a claim is judged by: raw times, facts about the loop and the machine; saved, and judged again."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hotloop.errors import SavedRunError
from hotloop.files import SEALED_LIMIT_BYTES, seal, unseal
from hotloop.insight.explanation import Subject
from hotloop.insight.measure import Measurements
from hotloop.sentence import Sentence

__all__ = ["Evidence", "Facts", "read_evidence"]

_FORMAT = "hotloop claim 1"
_ANOTHER = Sentence("use a file that hotloop claim --out has written, or measure again")
_KINDS: dict[str, Any] = {"int": int, "float": (int, float), "str": str, "bool": bool}


@dataclass(frozen=True)
class Facts:
    """What is known of the loop without measuring.

    Parameters
    ----------
    subject : Subject
    epochs : int
        Of the whole run.
    flop : float or None
        Floating point operations of a step; None where that cannot be told.
    threads : int
        That torch uses by itself.
    usable_threads : int
        Of the machine, for this process.
    accelerator : str or None
        torch's name of the GPU that could be used.
    own_time : bool
        Whether steps are small enough for one thread, so that its own time is what they take.
    """

    subject: Subject
    epochs: int
    flop: float | None
    threads: int
    usable_threads: int
    accelerator: str | None
    own_time: bool

    @classmethod
    def from_json(cls, data: Any) -> Facts:
        """Return the facts that ``dataclasses.asdict`` described.

        Raises
        ------
        SavedRunError
            If they are none.
        """
        subject = Subject(**_checked(Subject, _of(data, "subject")))
        if min(subject.rows, subject.batch_size, subject.steps) < 1:
            raise _unfit("a loop without steps")
        return cls(**{**_checked(cls, {**data, "subject": None}), "subject": subject})


@dataclass(frozen=True, eq=False)
class Evidence:
    """The measurements of a claim.

    Parameters
    ----------
    claim : str
        Its name.
    facts : Facts
    measured : dict of Measurements
        By experiment.
    missing : dict of str
        Why an experiment could not be tried.
    figures : dict of float
        What experiments found out besides times.
    conditions : dict of str
        Machine, versions, date.
    budget_s, took_s : float
    """

    claim: str
    facts: Facts
    measured: dict[str, Measurements]
    missing: dict[str, str]
    figures: dict[str, float]
    conditions: dict[str, str]
    budget_s: float
    took_s: float

    def to_bytes(self) -> bytes:
        """Return the evidence as a sealed document."""
        return seal(
            {
                "format": _FORMAT,
                "claim": self.claim,
                "facts": asdict(self.facts),
                "measured": {name: measured.to_json() for name, measured in self.measured.items()},
                "missing": self.missing,
                "figures": self.figures,
                "conditions": self.conditions,
                "budget_s": self.budget_s,
                "took_s": self.took_s,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Evidence:
        """Return the evidence that :meth:`to_bytes` described.

        Parameters
        ----------
        data : bytes
        name : str
            Of the file, for the error.

        Raises
        ------
        SavedRunError
            If it is not whole, or something else.
        """
        document = unseal(data, name, _ANOTHER)
        if document.get("format") != _FORMAT:
            raise SavedRunError(Sentence("'{name}' holds no measurements of a claim", name=name), do=_ANOTHER)
        measured, missing = _of(document, "measured"), _of(document, "missing")
        return cls(
            claim=str(document.get("claim")),
            facts=Facts.from_json(_of(document, "facts")),
            measured={key: Measurements.from_json(value) for key, value in measured.items()},
            missing={key: str(why) for key, why in missing.items()},
            figures={key: _number(value) for key, value in _of(document, "figures").items()},
            conditions={key: str(value) for key, value in _of(document, "conditions").items()},
            budget_s=_number(document.get("budget_s")),
            took_s=_number(document.get("took_s")),
        )


def read_evidence(path: Path) -> Evidence:
    """Return the evidence in a file that ``hotloop claim --out`` has written.

    Raises
    ------
    SavedRunError
        If it cannot be read, is not whole, or is something else.
    """
    try:
        with path.open("rb") as file:
            # One byte more than allowed shows that there is more.
            data = file.read(SEALED_LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SavedRunError(f"cannot read '{path}'", why=why) from error
    return Evidence.from_bytes(data, str(path))


def _of(document: Any, key: str) -> dict[str, Any]:
    value = document.get(key)
    if not isinstance(value, dict):
        raise _unfit(f"'{key}' is missing")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _unfit("a number is none")
    return float(value)


def _checked(kind: type, data: dict[str, Any]) -> dict[str, Any]:
    """Return what a dataclass of plain fields is made from, each of its type."""
    for field in fields(kind):
        allowed = str(field.type).split(" | ")
        value = data.get(field.name)
        if allowed[0] not in _KINDS or (value is None and "None" in allowed):
            continue
        # True is a whole number to Python.
        if not isinstance(value, _KINDS[allowed[0]]) or isinstance(value, bool) != (allowed[0] == "bool"):
            raise _unfit(f"'{field.name}' is no {field.type}")
    return {field.name: data.get(field.name) for field in fields(kind)}


def _unfit(why: str) -> SavedRunError:
    return SavedRunError(Sentence("these are no measurements of a claim"), why=why, do=_ANOTHER)
