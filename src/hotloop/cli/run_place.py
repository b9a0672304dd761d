"""Where a run is saved and where it keeps its state meanwhile: a name that no other run has, or is using now."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hotloop.errors import ArgumentError
from hotloop.files import claim
from hotloop.language import Sentence

__all__ = ["RunPlace", "run_place"]


@dataclass(frozen=True)
class RunPlace:
    """The paths of one run.

    Parameters
    ----------
    directory : Path
        To be made when the run is saved.
    how_to_resume : str
        Options that bring the same command back to this place.
    """

    directory: Path
    how_to_resume: str

    @property
    def checkpoint(self) -> Path:
        """Where the state is kept until the run is saved."""
        return self.directory.with_name(self.directory.name + ".checkpoint")


@contextmanager
def run_place(wanted: Path, resume: bool) -> Iterator[RunPlace]:
    """Keep a place from all other runs while the block lasts: ``wanted``, or with "-2", "-3", ... appended.

    Passed over are names at which a run is saved, and names that another process is using.

    Parameters
    ----------
    resume : bool
        Look for the first name with a state to go on from.

    Raises
    ------
    ArgumentError
        There is a state, of an interrupted run, without ``resume``; or with it, there is none.
    OutputError
        Nothing can be written there.
    """
    in_use = False
    for number in itertools.count(1):
        directory = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        place = RunPlace(directory, "--resume" if number == 1 else f"--out {directory} --resume")
        held = claim(directory)
        if held is None:
            in_use = True
            continue
        with held:
            if place.checkpoint.exists():
                _refuse_state(place, resume)
            elif os.path.lexists(directory):
                continue
            elif resume:
                raise _nothing_to_resume(wanted, in_use)
            yield place
            return


def _refuse_state(place: RunPlace, resume: bool) -> None:
    if not resume:
        raise ArgumentError(
            Sentence("{checkpoint} holds the state of an interrupted run", checkpoint=place.checkpoint),
            do=Sentence("go on with {options}, or remove that file to start anew", options=place.how_to_resume),
        )


def _nothing_to_resume(wanted: Path, in_use: bool) -> ArgumentError:
    checkpoint = RunPlace(wanted, "").checkpoint
    what = Sentence("there is nothing to resume: {checkpoint} does not exist", checkpoint=checkpoint)
    if in_use:
        what = Sentence(
            "there is nothing to resume: {checkpoint} belongs to a run that is still going on", checkpoint=checkpoint
        )
    return ArgumentError(what, do=Sentence("leave --resume out"))
