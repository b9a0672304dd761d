"""``--lang``, an option of every command, taken before the command is looked at: its help needs it, too."""

from __future__ import annotations

import sys

from hotloop.errors import ArgumentError
from hotloop.language import LANGUAGES, Sentence, current, use
from hotloop.language.glyphs import can_show

__all__ = ["LANGUAGE_OPTION", "choose_language"]

LANGUAGE_OPTION = "--lang"
_IN_CHINESE = "中文"


def choose_language(arguments: list[str]) -> list[str]:
    """Show texts in the language of ``--lang``, or else of the locale; return the other arguments.

    A language that the locale names is given up for English where the console cannot show it; one that is asked for is
    not, since it is also that of files.

    Raises
    ------
    ArgumentError
        If there is no such language.
    """
    language, rest = _taken(arguments)
    if language is not None:
        use(language)
    if current() == "zh" and not (can_show(_IN_CHINESE, sys.stdout) and can_show(_IN_CHINESE, sys.stderr)):
        if language is None:
            use("en")
        else:
            encoding = getattr(sys.stdout, "encoding", None)
            print(
                f"hotloop: this console cannot show Chinese ({encoding}): set PYTHONIOENCODING=utf-8", file=sys.stderr
            )
    return rest


def _taken(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Return the last language given, and the arguments without it; what stands after ``--`` is not looked at."""
    language, rest = None, []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == LANGUAGE_OPTION or word.startswith(f"{LANGUAGE_OPTION}="):
            language = word.partition("=")[2] or next(words, "")
            if not language or language.startswith("-"):
                raise ArgumentError(Sentence("--lang names no language"), do=_use_one())
        else:
            rest.append(word)
    return language, rest


def _use_one() -> Sentence:
    return Sentence("use {languages}", languages=" or ".join(LANGUAGES))
