"""What a person reads, in their language: ``_("text")`` looks the text up when it is shown.

English is the language of the sources, of every key and value in JSON, and of errors raised in Python, whose texts
people search the web for. The other languages are gettext catalogues in ``locales/``.

::

    _("{n} rows").format(n=n)           text that is shown at once
    n_("{n} row", "{n} rows", n)        the same for a number of things
    Sentence("{n} rows", n=n)           text that is kept first: notes, reasons, errors; it is English,
    shown(sentence)                     and in the reader's language where it is shown
"""

from hotloop.language.layout import display_width, pad, wrap
from hotloop.language.reader import LANGUAGES, _, current, n_, shown, translated, use
from hotloop.sentence import Sentence, clauses

__all__ = [
    "LANGUAGES",
    "Sentence",
    "_",
    "clauses",
    "current",
    "display_width",
    "n_",
    "pad",
    "shown",
    "translated",
    "use",
    "wrap",
]
