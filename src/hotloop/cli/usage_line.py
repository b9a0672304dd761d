"""A command line that makes no sense, on one line: in cyclopts's own words, or in the reader's language."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

from cyclopts import CycloptsError
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from hotloop.errors import as_line, nearest
from hotloop.language import Sentence, _, current, shown

__all__ = ["usage_line"]


def usage_line(error: CycloptsError) -> str:
    """Return what is wrong, and where to read how it is right."""
    said = None if current() == "en" else _sentence(error)
    command = " ".join(["hotloop", *(error.command_chain or ())])
    see = _("See {where}").format(where=f"{command} --help")
    return as_line(str(error) if said is None else shown(said), see, stop=_(". "))


def _sentence(error: CycloptsError) -> Sentence | None:
    """Return the mistakes that are made most as sentences, None for the others."""
    match error:
        case UnknownOptionError():
            option = error.token.keyword or error.token.value
            names = [name for argument in error.argument_collection for name in argument.names]
            return Sentence("unknown option {option}.{near}", option=option, near=nearest(option, names))
        case UnknownCommandError():
            command = (error.unused_tokens or [""])[0]
            names = [name for name in error.app or () if not name.startswith("-")]
            listed = ", ".join(names)
            near = nearest(command, names)
            return Sentence(
                "unknown command {command}.{near} There are: {listed}", command=command, near=near, listed=listed
            )
        case MissingArgumentError():
            return Sentence("a value is missing for {name}", name=_name(error))
        case CoercionError():
            return _unfit(error)
        case RepeatArgumentError():
            return Sentence("{name} is given more than once", name=error.token.keyword)
        case UnusedCliTokensError():
            return Sentence("not understood: {words}", words=" ".join(error.unused_tokens or ()))
    return None


def _unfit(error: CoercionError) -> Sentence:
    value = error.token.value if error.token else ""
    choices = get_args(error.target_type) if get_origin(error.target_type) is Literal else ()
    if choices:
        near, listed = nearest(value, choices), ", ".join(choices)
        return Sentence(
            "'{value}' does not fit {name}; use {listed}.{near}",
            value=value,
            name=_name(error),
            listed=listed,
            near=near,
        )
    return Sentence("'{value}' does not fit {name}", value=value, name=_name(error))


def _name(error: CycloptsError) -> str:
    """Return an option as it is typed, or an argument as the help writes it."""
    argument = error.argument
    if argument is None:
        return ""
    return argument.name if argument.index is None else argument.name.strip("-").upper()
