"""The reader's language, and texts in it.

The language is one for the process: a person reads at one console or in one notebook, and the threads and callbacks
that write there must agree; a context variable would leave new threads in the default.
"""

from __future__ import annotations

from pathlib import Path

from hotloop.errors import ArgumentError, nearest
from hotloop.language.catalogue import read_catalogue
from hotloop.language.choose_language import language_of_person, language_of_tag
from hotloop.sentence import Sentence

__all__ = ["LANGUAGES", "_", "current", "n_", "shown", "translated", "use"]

LANGUAGES = ("en", "zh")
"""English first: the sources are its catalogue."""

_CATALOGUES = Path(__file__).parent / "locales"

# Replaced as a whole, never changed: threads that decide at once decide the same.
_reading: tuple[str, dict[str, str]] | None = None


def use(language: str) -> None:
    """Show texts in a language from now on.

    Parameters
    ----------
    language : str
        "en" or "zh", or a tag of either such as "zh_CN.UTF-8" and "en-GB".

    Raises
    ------
    ArgumentError
        If it is neither.
    """
    global _reading
    known = language_of_tag(language, LANGUAGES)
    if known is None:
        raise ArgumentError(
            Sentence(
                "there are no texts in language {language!r}.{near}",
                language=language,
                near=nearest(language, LANGUAGES),
            ),
            do=Sentence("use {languages}", languages=" or ".join(LANGUAGES)),
        )
    _reading = known, _texts(known)


def current() -> str:
    """Return the language that texts are shown in; the locale's, until :func:`use` has named another."""
    return _reader()[0]


def translated(english: str) -> str:
    """Return a text that is marked elsewhere, such as a docstring, in the reader's language, or else in English."""
    return _reader()[1].get(english, english)


def _(message: str) -> str:
    """Return the message, a literal, in the reader's language; English where there is no translation."""
    return translated(message)


def n_(singular: str, plural: str, n: int) -> str:
    """Return the message for ``n`` things in the reader's language.

    The languages so far have one form for all numbers (Chinese) or two (English).
    """
    return translated(singular if n == 1 else plural)


def shown(text: str) -> str:
    """Return a `Sentence` in the reader's language, and any other text as it is."""
    if not isinstance(text, Sentence):
        return text
    template = translated(text.template)
    if not text.values:
        return template
    return template.format(
        **{name: shown(value) if isinstance(value, str) else value for name, value in text.values.items()}
    )


def _reader() -> tuple[str, dict[str, str]]:
    global _reading
    if _reading is None:
        language = language_of_person(LANGUAGES)
        _reading = language, _texts(language)
    return _reading


def _texts(language: str) -> dict[str, str]:
    if language == LANGUAGES[0]:
        return {}
    try:
        return read_catalogue(_CATALOGUES / language / "LC_MESSAGES" / "hotloop.po")
    except OSError:  # packaged without it: English serves, too
        return {}
